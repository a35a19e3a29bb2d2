#!/usr/bin/env bash
# start.sh OWNER NODE... - runs the keeper in namespaces of its own, and removes $CLUSTER when it has ended.

unshare --pid --fork --kill-child --mount --uts --ipc --net bash "$(dirname "$0")/keeper.sh" "$@"
rm -rf "$CLUSTER"
