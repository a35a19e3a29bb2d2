#!/usr/bin/env bats
# What the table of bench/run makes of its pairs.  Nothing is measured here.

load lib

bats_require_minimum_version 1.5.0

# judged UNIT TEST BAR PAIR...: runs judge.awk on pairs written OURS/PEER.
judged()
{
	local unit=$1 test=$2 bar=$3

	shift 3
	printf '%s\n' "$@" | tr / ' ' >pairs
	run -0 env LC_ALL=C awk -v unit="$unit" -v test="$test" -v bar="$bar" -f "$top_srcdir/bench/judge.awk" pairs
}

@test "a ratio under its bar is met, by the median of the pairs' own ratios" {
	judged ns ratio 0.5 10/100 20/100 40/100 30/100 450/1000
	[[ $output == "30.0 ns|100 ns|0.30 × (0.10 … 0.45, 5)|≤ 0.5 ×|met" ]]
}

@test "a ratio over its bar is missed" {
	judged µs ratio 1.2 1300/1000 1500/1000 1400/1000
	[[ $output == "1.40 µs|1.00 µs|1.40 × (1.30 … 1.50, 3)|≤ 1.2 ×|missed" ]]
}

@test "one pair of five may be off, two leave it undecided" {
	judged ns ratio 1 9/10 9/10 9/10 9/10 50/10
	[[ $output == *"|met" ]]
	judged ns ratio 1 9/10 9/10 9/10 50/10 50/10
	[[ $output == *"|undecided" ]]
}

@test "a rate has to be above its bar" {
	judged ns rate 50 10/600 10/700 10/800
	[[ $output == "10.0 ns|700 ns|70.0 × the rate (60.0 … 80.0, 3)|≥ 50 × the rate|met" ]]
	judged ns rate 500 10/600 10/700 10/800
	[[ $output == *"|missed" ]]
}

@test "a difference is judged in its unit" {
	judged ms beyond 5.6 8000000/4000000 9000000/4000000 8500000/4000000
	[[ $output == "8.50 ms|4.00 ms|4.50 ms beyond it (4.00 … 5.00, 3)|≤ 5.6 ms beyond it|met" ]]
}

@test "a value needs no peer, a ratio does" {
	judged MiB value 64 7340032/-
	[[ $output == "7.00 MiB||7.00 MiB (7.00 … 7.00, 1)|≤ 64 MiB|met" ]]
	judged ns ratio 2 10/- 10/-
	[[ $output == "10.0 ns|||≤ 2 ×|no peer" ]]
}

@test "without a bar there is no verdict" {
	judged ns ratio "" 20/10
	[[ $output == "20.0 ns|10.0 ns|2.00 × (2.00 … 2.00, 1)||" ]]
}
