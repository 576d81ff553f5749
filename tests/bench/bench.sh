#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Measures keyward against floors in the same run and prints a table. Not a test: it
# judges nothing. Each pair runs floor and keyward in turn, so that a drift of the
# machine meets both.
#
# usage: tests/bench/bench.sh BUILD-DIR [PAIRS]
set -euo pipefail

build=$(cd "$1" && pwd)
pairs=${2:-41}
module=${SOFTHSM2_MODULE:-/usr/lib/softhsm/libsofthsm2.so}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/keyward-bench.XXXXXX")
trap 'kill "${LAB_PID:-}" 2>/dev/null || true; rm -rf "$scratch"' EXIT

start() {
    mkdir "$scratch/tokens"
    echo "directories.tokendir = $scratch/tokens" >"$scratch/softhsm2.conf"
    export SOFTHSM2_CONF=$scratch/softhsm2.conf
    softhsm2-util --init-token --free --label bench --pin 12345678 --so-pin 87654321 >/dev/null
    (umask 077 && echo 12345678 >"$scratch/pin")
    "$build/tests/lab/keyward-lab" --dir "$scratch/lab" --ready-file "$scratch/ready" --die-with-parent &
    for _ in $(seq 100); do
        [ ! -e "$scratch/ready" ] || break
        sleep 0.1
    done
    set -a
    # shellcheck disable=SC1091
    . "$scratch/lab/lab.env"
    set +a
    ACTIONS_ID_TOKEN_REQUEST_TOKEN=$(cat "$LAB_REQUEST_TOKEN_FILE")
    export ACTIONS_ID_TOKEN_REQUEST_URL=$LAB_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN
    config "$module" "" >"$scratch/keyward.ini"
    url=$LAB_OBJECTS_URL/n/
}

config() { # MODULE EXTRA-LINES
    printf '[token]\nuri = pkcs11:token=bench?module-path=%s&pin-source=file:%s/pin\n%b\n' "$1" "$scratch" "$2"
    cat "$LAB_KEYWARD_INI"
}

now() { date +%s%N; }
kw() { "$build/keyward" --config "$scratch/keyward.ini" --profile lab "$@"; }

# Median of the numbers on standard input.
median() { sort -n | awk '{v[NR]=$1} END {print NR%2 ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2}'; }

cold() {
    local a b c
    for _ in $(seq "$pairs"); do
        a=$(now)
        "$build/tests/bench/kw-floor" "$module" bench 12345678 "$url" 2>"$scratch/floor.err"
        b=$(now)
        kw request GET "$url" >/dev/null
        c=$(now)
        echo "$(((b - a) / 1000)) $(((c - b) / 1000))" >>"$scratch/cold"
    done
    local floor ours
    floor=$(awk '{print $1}' "$scratch/cold" | median)
    ours=$(awk '{print $2}' "$scratch/cold" | median)
    awk -v f="$floor" -v o="$ours" -v n="$pairs" 'BEGIN {
        printf "cold request, median of %d pairs     %8.1f ms  floor %8.1f ms  ratio %.3f\n", n, o/1000, f/1000, o/f }'
    awk '{f+=$1; o+=$2} END {printf "cold request, mean                   %8.1f ms  floor %8.1f ms  ratio %.3f\n", o/NR/1000, f/NR/1000, o/f}' "$scratch/cold"
}

# Proportional set size of all four processes while a request waits for its answer.
memory() {
    printf 'latency=3000,host=objectstorage*,count=1\n' |
        curl -s -K "$LAB_CONTROL_CURL" --data-binary @- "$LAB_CONTROL_URL/faults" >/dev/null
    "$build/keyward" --config "$scratch/keyward.ini" --profile lab request GET "$url" >/dev/null &
    local main=$! total=0 pid kib
    sleep 1.5
    for pid in "$main" $(pgrep -P "$main"); do
        kib=$(awk '/^Pss:/ {print $2}' "/proc/$pid/smaps_rollup")
        printf 'memory, %-20s         %8d KiB proportional\n' "$(cat "/proc/$pid/comm")" "$kib"
        total=$((total + kib))
    done
    wait "$main"
    printf 'memory, all four processes           %8d KiB proportional  limit 16384\n' "$total"
}

# PKCS#11 calls that the signature of one request costs, counted by the spy between us
# and the module: a run with one request against one that only makes the session, less
# the heads of the audit log (there is none here).
calls() {
    local spy="env = KW_SPY_MODULE KW_SPY_LOG" with without
    config "$build/tests/mock/spy.so" "$spy" >"$scratch/keyward.ini"
    export KW_SPY_MODULE=$module
    KW_SPY_LOG=$scratch/with kw request GET "$url" >/dev/null
    KW_SPY_LOG=$scratch/without kw exchange >/dev/null 2>&1
    with=$(grep -c '^C_Sign' "$scratch/with")
    without=$(grep -c '^C_Sign' "$scratch/without")
    printf 'PKCS#11 calls per signature          %8d\n' $((with - without))
}

start
cold
memory
calls
