# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The tables of bench.sh, each a function. Each number is the median of its rounds.
: "${root:?}" "${build:?}" "${scratch:?}" "${module:?}" "${priority[@]:?}" # bench.sh set them

few() { [ -n "$short" ] && echo "$1" || echo "$2"; } # SHORT LONG

median() { sort -n | awk '{v[NR]=$1} END {printf "%.4f", NR%2 ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2}'; }
ratio() { awk -v a="$1" -v b="$2" -v f="${3:-%.2f}" 'BEGIN { printf f, a / b }'; }
ms() { awk -v s="$1" 'BEGIN { printf "%.0f", s * 1000 }'; }
kw() { "${priority[@]}" "$build/keyward" --config "$scratch/$1.ini" --profile lab "${@:2}"; }

# --- through the keeper ---------------------------------------------------------------------

rate() { # MODULE SESSIONS ROUNDS PER-ROUND [audit]: into $got
    local name value
    declare -gA got=()
    "${priority[@]}" "$build/tests/kw-rate" "$@" >"$scratch/rate"
    while read -r name value; do got[$name]=$value; done <"$scratch/rate"
}

table_signing() {
    cat <<'MD'
### Signatures through keeper and IPC

The real keyward-keeper with policy and fences, asked over its channel as the exchanger asks it,
against a loop of `C_SignInit` and `C_Sign` with as many sessions (RSA-2048, SoftHSM).
Wanted: a ratio of 0.95 or more, and 100 µs or less added to one signature, without a log.

| sessions | audit log | raw, per s | keyward, per s | ratio (p10 to p90) | raw, µs | keyward, µs | added, µs (p10 to p90) |
|---|---|---|---|---|---|---|---|
MD
    local s log
    for log in '' audit; do
        for s in 1 2 4 8; do
            [ -z "$short" ] || [ "$s" -le 2 ] || continue
            rate "$module" "$s" "$(few 5 15)" "$(few 150 300)" ${log:+audit}
            printf '| %s | %s | %s | %s | %s (%s to %s) | %s | %s | %s (%s to %s) |\n' "$s" "${log:+yes}" \
                "${got[raw_per_second]}" "${got[keeper_per_second]}" "${got[ratio]}" "${got[ratio_p10]}" \
                "${got[ratio_p90]}" "${got[raw_us]}" "${got[keeper_us]}" "${got[added_us]}" "${got[added_us_p10]}" \
                "${got[added_us_p90]}"
        done
    done
}

table_slow() {
    cat <<'MD'
### A token that takes 5 ms longer

The same with a module that sleeps 5 ms in each `C_Sign` (tests/mock/spy.c) before SoftHSM signs.
Wanted: throughput in step with `[token] sessions`.

| sessions | raw, per s | keyward, per s | ratio | keyward, per s and session | in step with one session |
|---|---|---|---|---|---|
MD
    local s one=''
    export KW_SPY_DO='C_Sign@*=sleep5'
    for s in 1 2 4 8 16; do
        rate "$build/tests/mock/spy.so" "$s" "$(few 2 9)" $((s * $(few 30 60)))
        one=${one:-${got[keeper_per_second]}}
        printf '| %s | %s | %s | %s | %s | %s |\n' "$s" "${got[raw_per_second]}" "${got[keeper_per_second]}" \
            "${got[ratio]}" "$(ratio "${got[keeper_per_second]}" "$s" %.0f)" \
            "$(ratio "${got[keeper_per_second]}" $((s * one)))"
    done
    unset KW_SPY_DO
}

# --- whole commands -------------------------------------------------------------------------

# Runs a command in the scratch directory: its wall and processor time (of all its
# processes), in seconds, are appended to NAME.wall and NAME.cpu.
timed() { # NAME COMMAND...
    local name=$1 real user system
    shift
    (cd "$scratch" && TIMEFORMAT='%R %U %S' && { time "${priority[@]}" "$@" >"$name.out" 2>"$name.err"; } 2>"$name.time") ||
        { cat "$scratch/$name.err" >&2 && return 1; }
    read -r real user system <"$scratch/$name.time"
    echo "$real" >>"$scratch/$name.wall"
    awk -v u="$user" -v s="$system" 'BEGIN { print u + s }' >>"$scratch/$name.cpu"
}
wall() { median <"$scratch/$1.wall"; }
cpu() { median <"$scratch/$1.cpu"; }

exchange_of() { # NAME: one exchange from nothing
    local sdk=$root/build/interop/sdk keyward=("$build/keyward" --profile lab exchange)
    case $1 in
    keyward) timed "$1" "${keyward[@]}" --config "$scratch/keyward.ini" ;;
    keyward-given) timed "$1" "${keyward[@]}" --config "$scratch/import.ini" ;;
    scripts) timed "$1" "$sdk/python/bin/python" "$root/tests/bench/wif_scripts.py" ;;
    scripts-given) timed "$1" "$sdk/python/bin/python" "$root/tests/bench/wif_scripts.py" "$scratch/key.pem" ;;
    python) timed "$1" "$sdk/python/bin/python" "$root/tests/interop/sdk/python/exchange.py" ;;
    # This SDK (65.130.0) gives its request up before it has read the answer, and fails where
    # the answer is not there at once: those runs are not counted.
    go) timed "$1" "$sdk/go/exchange" 2>"$scratch/go.failed" || exchange_of go ;;
    esac
}

exchange_row() { # NAME WORDS BASE
    printf '| %s | %s | %s | %s | %s |\n' "$2" "$(ms "$(wall "$1")")" "$(ms "$(cpu "$1")")" \
        "$(ratio "$(wall "$1")" "$(wall "$3")")" "$(ratio "$(cpu "$1")" "$(cpu "$3")" %.1f)"
}

table_exchange() {
    cat <<'MD'
### From nothing to a session token

A process that fetches the subject token, has a key, exchanges, and ends; against keyward-lab on
this machine. "Given" rows have their key instead of searching its primes, which in software is
most of the work of each of them (and keyward searches twice: it tries to steal the second key);
a hardware token does that itself. Oracle's scripts are wifRuntime.py's work with `requests` and
`cryptography` (tests/bench/wif_scripts.py); the SDKs' own are TokenExchangeSigner (Python) and
TokenExchangeConfigurationProvider (Go, which makes RSA-3072). Wanted: 20 times less processor
time than the scripts.

| what | wall, ms | processor, ms | wall / keyward's | processor / keyward's |
|---|---|---|---|---|
MD
    local name names=(keyward keyward-given)
    if [ -e "$root/build/interop/sdk/there" ]; then names+=(scripts scripts-given python go); fi
    for _ in $(seq "$(few 3 15)"); do
        for name in "${names[@]}"; do exchange_of "$name"; done
    done
    exchange_row keyward-given 'keyward, key given' keyward-given
    if [ ${#names[@]} -gt 2 ]; then exchange_row scripts-given "Oracle's scripts, key given" keyward-given; fi
    exchange_row keyward 'keyward' keyward
    if [ ${#names[@]} -gt 2 ]; then
        exchange_row scripts "Oracle's scripts" keyward
        exchange_row python 'Python SDK' keyward
        exchange_row go 'Go SDK' keyward
    fi
}

table_google() {
    cat <<'MD'
### From nothing to a Google access token

`keyward exchange` from a job's JWT to a service account's access token, against plain curl that makes
the same three calls, one process each, with the same roots and no check of what it is told; in turn,
by tests/bench/google.sh. Wanted: 1.1 of curl's time or less.

| time | keyward, ms | curl, ms | ratio (p10 to p90) |
|---|---|---|---|
MD
    "${priority[@]}" "$root/tests/bench/google.sh" "$build" "$(few 7 41)" || echo 'That is more than was wanted.'
    printf '\nWhen this table was made: %s, load %s.\n' "$(date -u +%Y-%m-%d)" "$(cut -d ' ' -f 1 /proc/loadavg)"
}

table_start() {
    cat <<'MD'
### Start

A whole `keyward request GET`, from nothing to the answer, against one process that does just that
work with raw Cryptoki and libcurl, without any check, fence or second process (floor.c); both with
the key given. And `keyward --version`, which starts one process and does nothing.

| what | keyward, ms | floor, ms | ratio |
|---|---|---|---|
MD
    local url=$LAB_OBJECTS_URL/n/
    for _ in $(seq "$(few 3 25)"); do
        timed floor "$build/tests/bench/kw-floor" "$build/tests/mock/insider.so" bench 12345678 "$url"
        timed request "$build/keyward" --config "$scratch/import.ini" --profile lab request GET "$url"
        timed version "$build/keyward" --version
    done
    printf '| request, wall | %s | %s | %s |\n' "$(ms "$(wall request)")" "$(ms "$(wall floor)")" \
        "$(ratio "$(wall request)" "$(wall floor)")"
    printf '| request, processor | %s | %s | %s |\n' "$(ms "$(cpu request)")" "$(ms "$(cpu floor)")" \
        "$(ratio "$(cpu request)" "$(cpu floor)")"
    printf '| --version, wall | %s | | |\n' "$(ms "$(wall version)")"
}

# Proportional set size of all four processes while a request waits for its answer, and the
# PKCS#11 calls of one request more.
table_memory() {
    cat <<'MD'
### Memory

Proportional set size (shared pages divided among those who share them) of each process while a
request waits for its answer. Wanted: 16 MiB or less in all.

| process | KiB |
|---|---|
MD
    local url=$LAB_OBJECTS_URL/n/
    printf 'latency=8000,host=objectstorage*,count=1\n' |
        curl -s -K "$LAB_CONTROL_CURL" --data-binary @- "$LAB_CONTROL_URL/faults" >/dev/null
    "$build/keyward" --config "$scratch/keyward.ini" --profile lab request GET "$url" >/dev/null &
    local main=$! total=0 pid kib
    sleep 4
    for pid in "$main" $(pgrep -P "$main"); do
        kib=$(awk '/^Pss:/ {print $2}' "/proc/$pid/smaps_rollup")
        printf '| %s | %d |\n' "$(cat "/proc/$pid/comm")" "$kib"
        total=$((total + kib))
    done
    wait "$main"
    printf '| all | %d |\n' "$total"
    local with without
    KW_SPY_LOG=$scratch/with kw spy request GET "$url" >/dev/null
    KW_SPY_LOG=$scratch/without kw spy exchange >/dev/null 2>&1
    with=$(grep -c '^C_Sign' "$scratch/with")
    without=$(grep -c '^C_Sign' "$scratch/without")
    printf '\nPKCS#11 calls for one signature more: %d.\n' $((with - without))
}

table_run() {
    cat <<'MD'
### Under `keyward run`

The same curl under `keyward run` and without it, at the lab, in turn (tests/bench/run.sh). Client, proxy,
keeper, token and lab share the machine: where two processors are less than they all need, a rate under
`run` is not the lesser of what each could do alone.

| what | keyward | floor | ratio or difference | wanted |
|---|---|---|---|---|
MD
    "${priority[@]}" "$root/tests/bench/run.sh" "$build" "$(few 1 5)"
    printf '\nWhen this table was made: %s, load %s.\n' "$(date -u +%Y-%m-%d)" "$(cut -d ' ' -f 1 /proc/loadavg)"
}
