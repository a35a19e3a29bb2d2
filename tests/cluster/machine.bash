# shellcheck shell=bash
# machine.bash - what the keeper and the nodes have in common: a machine's own host name, /proc, /tmp and so on.

# The directories of CLUSTER_SHARE that a new /tmp would hide are in it too.
own_tmp()
{
	local directory parts

	mount -t tmpfs tmpfs "$CLUSTER/mnt"
	chmod 1777 "$CLUSTER/mnt"
	IFS=: read -r -a parts <<<"$CLUSTER_SHARE"
	for directory in "${parts[@]}"; do
		[[ $directory == /tmp/?* && -d $directory ]] || continue
		mkdir -p "$CLUSTER/mnt${directory#/tmp}"
		mount --rbind "$directory" "$CLUSTER/mnt${directory#/tmp}"
	done
	mount --move "$CLUSTER/mnt" /tmp
}

# furnish NAME: $CLUSTER/NAME.init says under which number the host knows this process.
furnish()
{
	local name=$1 stat

	read -r stat <"$CLUSTER/proc/self/stat"
	# shellcheck disable=SC2086
	set -- ${stat%% *} ${stat##*) }
	echo "$1 ${21}" >"$CLUSTER/$name.init"
	hostname "$name"
	mount -t proc proc /proc
	mount -t tmpfs tmpfs /dev/shm
	mount --bind "$CLUSTER/hosts" /etc/hosts
	own_tmp
	ip link set lo up
}
