#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Measures keyward against floors in the same run and prints tables (Markdown). Not a test: it
# judges nothing. What is compared takes turns, so that a drift of the machine meets both.
#
# usage: tests/bench/bench.sh BUILD-DIR [--write] [--short] [TABLE...]
#
#   TABLE     signing slow exchange google start memory run (all)
#   --short   fewer rounds: a look, not a measurement
#   --write   into docs/benchmarks.md, all tables
#
# The exchange is also measured against Python and Go where tests/interop/sdk/setup has
# installed them. KW_BENCH_PRIORITY (for instance `chrt -f 50`) is put before what is
# measured: on a busy machine, as root.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
shift
write='' short='' tables=()
for word in "$@"; do
    case $word in
    --write) write=1 ;;
    --short) short=1 ;;
    signing | slow | exchange | google | start | memory | run) tables+=("$word") ;;
    *) sed -n 's/^# usage: /usage: /p' "$0" >&2 && exit 2 ;;
    esac
done
[ ${#tables[@]} -gt 0 ] || tables=(signing slow exchange google start memory run)
module=${SOFTHSM2_MODULE:-/usr/lib/softhsm/libsofthsm2.so}
read -ra priority <<<"${KW_BENCH_PRIORITY:-env}"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/keyward-bench.XXXXXX")
trap 'kill "${LAB_PID:-}" 2>/dev/null || true; rm -rf "$scratch"' EXIT
# shellcheck source=tests/bench/tables.sh
. "$root/tests/bench/tables.sh"

start_world() { # a token, the lab, and what a job at GitHub has in its environment
    mkdir "$scratch/tokens"
    echo "directories.tokendir = $scratch/tokens" >"$scratch/softhsm2.conf"
    export SOFTHSM2_CONF=$scratch/softhsm2.conf
    softhsm2-util --init-token --free --label bench --pin 12345678 --so-pin 87654321 >/dev/null
    (umask 077 && echo 12345678 >"$scratch/pin")
    "$build/tests/lab/keyward-lab" --dir "$scratch/lab" --ready-file "$scratch/ready" --die-with-parent &
    for _ in $(seq 600); do
        [ ! -e "$scratch/ready" ] || break
        sleep 0.1
    done
    set -a
    # shellcheck disable=SC1091
    . "$scratch/lab/lab.env"
    set +a
    ACTIONS_ID_TOKEN_REQUEST_TOKEN=$(cat "$LAB_REQUEST_TOKEN_FILE")
    export ACTIONS_ID_TOKEN_REQUEST_URL=$LAB_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN
    # A key for what is measured without the making of one.
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$scratch/key.pem" 2>/dev/null
    openssl pkey -in "$scratch/key.pem" -outform DER -out "$scratch/key.der"
    export KW_SPY_REAL=$module KW_SPY_KEY=$scratch/key.der KW_SPY_INSIDER=import KW_SPY_MODULE=$module
    config "$module" '' >"$scratch/keyward.ini"
    config "$build/tests/mock/insider.so" 'env = KW_SPY_REAL KW_SPY_KEY KW_SPY_INSIDER' >"$scratch/import.ini"
    config "$build/tests/mock/spy.so" 'env = KW_SPY_MODULE KW_SPY_LOG' >"$scratch/spy.ini"
}
config() { # MODULE LINE
    printf '[token]\nuri = pkcs11:token=bench?module-path=%s&pin-source=file:%s/pin\n%s\n' "$1" "$scratch" "$2"
    cat "$LAB_KEYWARD_INI"
}

machine() {
    local os
    os=$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release)
    printf 'Date: %s\n\n' "$(date -u +%Y-%m-%d)"
    printf 'Machine: %s, %s processors, Linux %s, %s, %s, SoftHSM %s. Build: `%s`, %s.\n\n' \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sort -u | head -n 1)" "$(nproc)" "$(uname -r)" "$os" \
        "$(openssl version | cut -d ' ' -f 1,2)" "$(softhsm2-util --version)" "$(basename "$build")" \
        "$(git -C "$root" describe --always --dirty 2>/dev/null || echo 'no repository')"
    printf 'Load when it began: %s (%s). Priority of what was measured: `%s`.\n' "$(cut -d ' ' -f 1 /proc/loadavg)" \
        'processes that wanted a processor' "${KW_BENCH_PRIORITY:-none}"
}

page() {
    sed '/^<!-- made by tests\/bench\/bench.sh/,$d' "$root/docs/benchmarks.md"
    printf '<!-- made by tests/bench/bench.sh; do not edit below -->\n\n'
    machine
    local table
    for table in "${tables[@]}"; do
        echo
        "table_$table"
    done
}

start_world
if [ -n "$write" ]; then
    tables=(signing slow exchange google start memory run)
    page >"$scratch/page"
    cp "$scratch/page" "$root/docs/benchmarks.md"
else
    for table in "${tables[@]}"; do
        "table_$table"
        echo
    done
fi
