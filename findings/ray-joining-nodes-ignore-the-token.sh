#!/bin/sh
# ray 2.60.0: after one program with `ray.init()`, `ray start --head` asks for a token that joining nodes do not send.
#
# The first `ray.init()` of a user writes ~/.ray/auth_token. From then on `ray start --head` turns token authentication on
# without any setting. The line that it prints for other nodes, `ray start --address=...`, run by the same user on the
# same machine, fails after 20 seconds with InvalidAuthToken: without RAY_AUTH_MODE=token a joining process sends no
# token, although the file is there. So whether two commands work depends on a program that ran once before them.
# Seen: without the file the node joins; with it, it fails with InvalidAuthToken, and joins with RAY_AUTH_MODE=token.
# It ends all Ray processes of the user that runs it (`ray stop --force`).
set -eu
folder=$(mktemp -d)
trap 'HOME=$folder "$folder/venv/bin/ray" stop --force >/dev/null 2>&1; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "ray[default]==2.60.0"
export HOME=$folder RAY_USAGE_STATS_ENABLED=0
unset RAY_AUTH_MODE RAY_AUTH_TOKEN RAY_AUTH_TOKEN_PATH RAY_ADDRESS
ray() { "$folder/venv/bin/ray" "$@"; }
size="--num-cpus=1 --object-store-memory=100000000 --node-ip-address=127.0.0.1 --disable-usage-stats"
head() { ray start --head --port=6411 --include-dashboard=false --temp-dir="$folder/a" $size; }
node() { ray start --address=127.0.0.1:6411 --temp-dir="$folder/b" $size; }
fail() { echo "changed: $1"; tail -3 "$folder"/*.log; exit 1; }

head >"$folder/head.log" 2>&1
node >"$folder/before.log" 2>&1 || fail "a node does not join where there is no token"
ray stop --force >"$folder/stop.log" 2>&1
"$folder/venv/bin/python" -c 'import ray; ray.init(num_cpus=1, include_dashboard=False)' >"$folder/init.log" 2>&1
test -s "$folder/.ray/auth_token" || fail "ray.init() writes no token"
head >"$folder/head.log" 2>&1
if node >"$folder/after.log" 2>&1; then fail "a node joins without RAY_AUTH_MODE"; fi
grep -q InvalidAuthToken "$folder/after.log" || fail "the node fails with another error"
RAY_AUTH_MODE=token node >"$folder/token.log" 2>&1 || fail "a node does not join with RAY_AUTH_MODE=token"
echo "as seen: the node joins before ray.init() has written a token, then fails with InvalidAuthToken without RAY_AUTH_MODE"
