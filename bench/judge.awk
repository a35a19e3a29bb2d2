# SPDX-License-Identifier: BSD-3-Clause
# judge.awk - of lines "OURS PEER" in ns or bytes (PEER "-": there is none) and the variables unit, test and bar, which
# bench/run explains, makes "ours|peer|measured|bar|verdict"; the verdict is "undecided" when the pairs disagree.

function text(x, sign) {
	sign = x < 0 ? -1 : 1
	x *= sign
	return sprintf(x >= 100 ? "%.0f" : x >= 10 ? "%.1f" : x >= 0.1 ? "%.2f" : "%.3f", sign * x)
}
# Sorts the n values of a; n is small.
function sort(a, n, i, j, t) {
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && a[j - 1] > a[j]; j--) {
			t = a[j]; a[j] = a[j - 1]; a[j - 1] = t
		}
}
function median(a, n) {
	return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}
BEGIN {
	scale["ns"] = 1; scale["µs"] = 1e3; scale["ms"] = 1e6; scale["s"] = 1e9; scale["MiB"] = 1048576; scale["%"] = 1e7
}
{
	ours[NR] = $1 / scale[unit]
	if ($2 == "-")
		alone = 1
	else
		peer[NR] = $2 / scale[unit]
	if (test == "value")
		score[NR] = ours[NR]
	else if (alone)
		score[NR] = 0
	else if (test == "beyond")
		score[NR] = ours[NR] - peer[NR]
	else if (test == "rate")
		score[NR] = peer[NR] / ours[NR]
	else
		score[NR] = ours[NR] / peer[NR]
	good += test == "rate" ? score[NR] >= bar : score[NR] <= bar
}
END {
	sort(ours, NR); sort(peer, NR); sort(score, NR)
	after = test == "value" ? " " unit : test == "beyond" ? " " unit " beyond it" : " ×"
	if (test == "rate")
		after = after " the rate"
	measured = text(median(score, NR)) after " (" text(score[1]) " … " text(score[NR]) ", " NR ")"
	limit = bar == "" ? "" : (test == "rate" ? "≥ " : "≤ ") bar after
	verdict = good >= 0.8 * NR ? "met" : good <= 0.2 * NR ? "missed" : "undecided"
	if (alone && test != "value") {
		measured = ""
		verdict = "no peer"
	} else if (bar == "")
		verdict = ""
	beside = alone ? "" : text(median(peer, NR)) " " unit
	print text(median(ours, NR)) " " unit "|" beside "|" measured "|" limit "|" verdict
}
