#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs one script (e2e/NAME.sh, interop/tokens/NAME.sh) as who runs this, or, started by
# root, as an ordinary user who owns nothing but a scratch directory.
#
#   run.sh root|user SCRIPT BIN-DIRECTORY KEYWARD-LAB SPY.SO [SIGNS]
set -eu
who=$1 script=$2
tests=$(cd "$(dirname "$0")/.." && pwd)
export KW_BIN=$3 KW_LAB=$4 KW_SPY=$5 KW_SIGNS=${6:-}
unset HTTPS_PROXY https_proxy HTTP_PROXY http_proxy ALL_PROXY all_proxy NO_PROXY no_proxy

if [ "$who" = root ] || [ "$(id -u)" -ne 0 ]; then
    exec bash "$tests/$script"
fi

# Number 65534 has no rights anywhere, nor need it have a name.
as_user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/kw-e2e-user.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/tmp" "$scratch/run"
# The build may be in a folder that is closed to others.
if ! "${as_user[@]}" test -r "$tests/$script" -a -x "$KW_BIN/keyward" -a -x "$KW_LAB" -a -r "$KW_SPY"; then
    cp "$KW_BIN"/keyward "$KW_BIN"/keyward-* "$KW_LAB" "$KW_SPY" ${KW_SIGNS:+"$KW_SIGNS"} "$scratch/run"
    beside=$(dirname "$script")
    (cd "$tests" && cp --parents e2e/*.sh e2e/ociclient e2e/ocicli e2e/gcloudcli e2e/attacker "$scratch/run")
    [ "$beside" = e2e ] || (cd "$tests" && cp --parents "$beside"/*.sh "$scratch/run")
    chmod -R a+rX "$scratch/run"
    tests=$scratch/run KW_BIN=$scratch/run KW_LAB=$scratch/run/keyward-lab KW_SPY=$scratch/run/$(basename "$KW_SPY")
    KW_SIGNS=${KW_SIGNS:+$scratch/run/signs}
fi
chmod 711 "$scratch"
chown 65534:65534 "$scratch/tmp"
cd "$scratch/tmp"
status=0
"${as_user[@]}" env TMPDIR="$scratch/tmp" bash "$tests/$script" || status=$?
exit "$status"
