#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `keyward run` against the same work without it, in the same run and in turn: requests and
# bytes through the proxy, what the proxy adds where nothing is signed, memory, and the start.
# Prints rows of a table, each with what was wanted; judges nothing. All of it runs on one
# machine, the client, the token and the lab as well: they need the processors that keyward needs.
#
# usage: tests/bench/run.sh BUILD-DIR [ROUNDS]
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
rounds=${2:-9}
module=${SOFTHSM2_MODULE:-/usr/lib/softhsm/libsofthsm2.so}
client=$root/tests/bench/run_client
scratch=$(mktemp -d "${TMPDIR:-/tmp}/keyward-bench.XXXXXX")
lab_pid='' proxy_pid=''
trap 'kill $lab_pid $proxy_pid 2>/dev/null || true; rm -rf "$scratch"' EXIT
requests=2000 bearers=200 idle=500 megabytes=1024
[ "$rounds" -gt 1 ] || megabytes=256 # a look, not a measurement

start_world() {
    mkdir "$scratch/tokens"
    echo "directories.tokendir = $scratch/tokens" >"$scratch/softhsm2.conf"
    export SOFTHSM2_CONF=$scratch/softhsm2.conf
    softhsm2-util --init-token --free --label bench --pin 12345678 --so-pin 87654321 >/dev/null
    (umask 077 && echo 12345678 >"$scratch/pin")
    "$build/tests/lab/keyward-lab" --dir "$scratch/lab" --ready-file "$scratch/ready" --die-with-parent \
        --max-body $((megabytes << 20)) &
    lab_pid=$!
    while [ ! -e "$scratch/ready" ]; do sleep 0.05; done
    set -a
    # shellcheck disable=SC1091
    . "$scratch/lab/lab.env"
    set +a
    ACTIONS_ID_TOKEN_REQUEST_TOKEN=$(cat "$LAB_REQUEST_TOKEN_FILE")
    export ACTIONS_ID_TOKEN_REQUEST_URL=$LAB_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN
    config "$module" '' >"$scratch/oci.ini"
    # The same with a key that is given (tests/mock/insider.c) instead of searched for.
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$scratch/key.pem" 2>/dev/null
    openssl pkey -in "$scratch/key.pem" -outform DER -out "$scratch/key.der"
    export KW_SPY_REAL=$module KW_SPY_KEY=$scratch/key.der KW_SPY_INSIDER=import
    config "$build/tests/mock/insider.so" 'env = KW_SPY_REAL KW_SPY_KEY KW_SPY_INSIDER' >"$scratch/import.ini"
    # A module that is as slow as an HSM, and lets others work meanwhile (tests/mock/mock.c).
    (umask 077 && echo 1234 >"$scratch/mock.pin")
    mock_config 4 >"$scratch/slow.ini"
    # Of the lab's configuration, Google's part instead of OCI's.
    sed -E -e 's/^; (\[google lab\]|provider =|service_account =)/\1/' -e '/^\[oci /,/^$/d' -e '/^audience =/d' \
        -e 's/^dial = .*/& *.googleapis.com:443/' "$LAB_KEYWARD_INI" >"$scratch/google.ini"
    cat /etc/ssl/certs/ca-certificates.crt "$LAB_CA_FILE" >"$scratch/roots.pem"
    truncate -s "${megabytes}M" "$scratch/big"
}
config() { # MODULE LINE
    printf '[token]\nuri = pkcs11:token=bench?module-path=%s&pin-source=file:%s/pin\n%s\n' "$1" "$scratch" "$2"
    cat "$LAB_KEYWARD_INI"
}
mock_config() { # SESSIONS
    printf '[token]\nuri = pkcs11:token=mock?module-path=%s&pin-source=file:%s/mock.pin\nenv = KW_MOCK\nsessions = %s\n' \
        "$build/tests/mock/mock.so" "$scratch" "$1"
    cat "$LAB_KEYWARD_INI"
}
kw() { "$build/keyward" --config "$scratch/$1.ini" --profile lab "${@:2}"; }
run() { kw "$1" run -- "$client" "${@:2}" 2>"$scratch/err" || { cat "$scratch/err" >&2 && return 1; }; }
# The same client without keyward: by name to the lab, with what `sign` or `exchange` gave.
plain() { # AUTHORIZATION-FILE WORD...
    BENCH_AUTH=$1 BENCH_CONNECT_TO=$LAB_CONNECT_TO CURL_CA_BUNDLE=$scratch/roots.pem "$client" "${@:2}"
}

# A plain reverse proxy at work between the same client and the lab: TLS ended and begun again.
reverse_proxy() {
    local port=18443 name=${LAB_OBJECTS_URL#https://}
    openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj "/CN=$name" -addext "subjectAltName=DNS:$name" \
        -keyout "$scratch/proxy.key" -out "$scratch/proxy.pem" 2>/dev/null
    cat "$scratch/proxy.key" "$scratch/proxy.pem" >"$scratch/proxy.both"
    cat >"$scratch/haproxy.cfg" <<CONFIG
global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend client
    bind 127.0.0.1:$port ssl crt $scratch/proxy.both
    default_backend lab
backend lab
    server lab 127.0.0.1:${LAB_CONNECT_TO##*:} ssl verify required ca-file $LAB_CA_FILE verifyhost $name sni str($name)
CONFIG
    haproxy -db -f "$scratch/haproxy.cfg" >"$scratch/haproxy.log" 2>&1 &
    proxy_pid=$!
    through_proxy=::127.0.0.1:$port
    for _ in $(seq 100); do
        ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || return 0
        sleep 0.05
    done
    cat "$scratch/haproxy.log" >&2 && return 1
}
# The same client through that proxy.
proxied() { # AUTHORIZATION-FILE WORD...
    BENCH_AUTH=$1 BENCH_CONNECT_TO=$through_proxy CURL_CA_BUNDLE=$scratch/proxy.pem "$client" "${@:2}"
}

median() { sort -n | awk '{v[NR]=$1} END {print NR%2 ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2}'; }
row() { # WHAT OURS FLOOR UNIT FIGURE WANTED
    printf '| %s | %s %s | %s | %s | %s |\n' "$1" "$2" "$4" "${3:+$3 $4}" "$5" "$6"
}
calc() { awk "BEGIN { printf \"$1\", $2 }"; }

# --- requests per second ------------------------------------------------------------------------
# Two floors: the lesser of what token and reverse proxy do when each has the machine to itself;
# and both at once, a request and a signature each, since one machine has to do both.
requests_rate() {
    local url=$LAB_OBJECTS_URL/n/ raw proxy ours both floor start in raw_pid
    for _ in $(seq "$rounds"); do
        "$build/tests/kw-rate" "$module" 4 3 200 | awk '$1 == "raw_per_second" {print $2}' >>"$scratch/raw"
        kw oci sign GET "$url" >"$scratch/auth"
        proxied "$scratch/auth" rate "$url" "$requests" | awk -v n="$requests" '{print n / $1}' >>"$scratch/proxied"
        coproc raw_loop { "$build/tests/bench/kw-raw" "$module" bench 4 "$requests"; }
        # shellcheck disable=SC2154 # that is raw_loop's
        raw_pid=$raw_loop_PID in=${raw_loop[1]}
        cat "$scratch/pin" >&"$in"
        read -r _ <&"${raw_loop[0]}"
        start=$EPOCHREALTIME
        echo >&"$in"
        proxied "$scratch/auth" rate "$url" "$requests" >/dev/null
        wait "$raw_pid"
        calc '%.2f\n' "$requests / ($EPOCHREALTIME - $start)" >>"$scratch/both"
        run oci rate "$url" "$requests" | awk -v n="$requests" '{print n / $1}' >>"$scratch/ours"
    done
    raw=$(median <"$scratch/raw") proxy=$(median <"$scratch/proxied") both=$(median <"$scratch/both") ours=$(median <"$scratch/ours")
    floor=$(calc %.0f "$raw < $proxy ? $raw : $proxy")
    row "signed requests; floor: the lesser of \`C_Sign\` alone ($(calc %.0f "$raw")) and HAProxy alone ($(calc %.0f "$proxy"))" \
        "$(calc %.0f "$ours")" "$floor" /s "$(calc %.2f "$ours / $floor")" 'at least 0.9'
    row "the same; floor: \`C_Sign\` and HAProxy at once" \
        "$(calc %.0f "$ours")" "$(calc %.0f "$both")" /s "$(calc %.2f "$ours / $both")" ''
}

# --- a module that takes 5 ms for each signature -------------------------------------------------
slow_module() {
    local url=$LAB_OBJECTS_URL/n/ sessions ours one=''
    export KW_MOCK='C_Sign@*=sleep5'
    for sessions in 1 2 4 8 16; do
        mock_config "$sessions" >"$scratch/slow.ini"
        for _ in $(seq $(((rounds + 2) / 3))); do
            run slow rate "$url" $((sessions * 150)) "$sessions" | awk -v n=$((sessions * 150)) '{print n / $1}' >>"$scratch/slow.$sessions"
        done
        ours=$(median <"$scratch/slow.$sessions")
        one=${one:-$ours}
        row "signed requests, a module of 5 ms a signature, $sessions sessions; floor: as many times what one does" \
            "$(calc %.0f "$ours")" "$(calc %.0f "$one * $sessions")" /s "$(calc %.2f "$ours / $one / $sessions")" 'in step'
    done
    unset KW_MOCK
}

# --- what the proxy itself adds ------------------------------------------------------------------
bearer_latency() {
    local url=$LAB_COMPUTE_URL/compute/v1/projects/$LAB_GOOGLE_PROJECT/zones/z/instances
    for _ in $(seq "$rounds"); do
        kw google exchange --format access-token -o "$scratch/token"
        printf 'authorization: Bearer %s\n' "$(cat "$scratch/token")" >"$scratch/auth"
        plain "$scratch/auth" latency "$url" "$bearers" >>"$scratch/plain"
        run google latency "$url" "$bearers" >>"$scratch/through"
    done
    local through plain_ms
    through=$(median <"$scratch/through" | awk '{print $1 * 1000}') plain_ms=$(median <"$scratch/plain" | awk '{print $1 * 1000}')
    row 'a request with a bearer, nothing signed' "$(calc %.2f "$through")" "$(calc %.2f "$plain_ms")" ms \
        "$(calc %+.2f "$through - $plain_ms") ms" 'at most 0.5 ms more'
}

# --- a large upload, and memory --------------------------------------------------------------------
# Proportional set size of keyward's processes (not CMD's), the largest seen while PID lives.
watch_memory() { # PID FILE
    local most=0 sum pid kib
    while kill -0 "$1" 2>/dev/null; do
        sum=0
        for pid in "$1" $(pgrep -P "$1" || true); do
            [[ $(cat "/proc/$pid/comm" 2>/dev/null) = keyward* ]] || continue
            kib=$(awk '/^Pss:/ {print $2}' "/proc/$pid/smaps_rollup" 2>/dev/null || true)
            sum=$((sum + ${kib:-0}))
        done
        [ "$sum" -le "$most" ] || most=$sum
        echo "$most" >"$2"
        sleep 0.05
    done
}
watched() { # CONFIGURATION WORD...: the client under run; its output in $scratch/out, memory in $scratch/memory
    "$build/keyward" --config "$scratch/$1.ini" --profile lab run -- "$client" "${@:2}" >"$scratch/out" 2>"$scratch/err" &
    local pid=$!
    watch_memory "$pid" "$scratch/memory"
    wait "$pid" || { cat "$scratch/err" >&2 && return 1; }
}
upload() {
    local url=$LAB_OBJECTS_URL/n/$LAB_NAMESPACE/b/$LAB_BUCKET/o/big most=0 kib ours floor
    for _ in $(seq $(((rounds + 2) / 3))); do
        kw oci sign PUT "$url" >"$scratch/auth"
        plain "$scratch/auth" put "$url" "$scratch/big" >>"$scratch/put.plain"
        watched oci put "$url" "$scratch/big"
        cat "$scratch/out" >>"$scratch/put.ours"
        kib=$(cat "$scratch/memory")
        [ "$kib" -le "$most" ] || most=$kib
    done
    ours=$(median <"$scratch/put.ours") floor=$(median <"$scratch/put.plain")
    row "PUT of $megabytes MiB" "$(calc %.0f "$megabytes / $ours")" "$(calc %.0f "$megabytes / $floor")" MiB/s \
        "$(calc %.2f "$floor / $ours")" 'at least 0.8'
    row 'memory of all processes meanwhile' "$(calc %.1f "$most / 1024")" '' MiB '' 'at most 24 MiB'
}
idle_memory() {
    watched oci idle "$LAB_OBJECTS_URL" 1
    local one many
    one=$(cat "$scratch/memory")
    watched oci idle "$LAB_OBJECTS_URL" "$idle"
    many=$(cat "$scratch/memory")
    row "memory with $idle idle connections; floor: with one" "$(calc %.1f "$many / 1024")" "$(calc %.1f "$one / 1024")" MiB \
        "$(calc %+.1f "($many - $one) / 1024") MiB" 'at most 20 MiB more'
}

# --- the start ---------------------------------------------------------------------------------------
wall() { # FILE COMMAND...
    local start=$EPOCHREALTIME
    "${@:2}" >"$scratch/out" 2>"$scratch/err"
    calc '%.6f\n' "$EPOCHREALTIME - $start" >>"$1"
}
starts() {
    local run_ms exchange_ms
    for _ in $(seq $((rounds * 3))); do
        wall "$scratch/start.run" kw import run -- true
        wall "$scratch/start.exchange" kw import exchange
        KW_MOCK='C_GenerateKeyPair@*=sleep300' wall "$scratch/start.slow.run" kw slow run -- true
        KW_MOCK='C_GenerateKeyPair@*=sleep300' wall "$scratch/start.slow.exchange" kw slow exchange
    done
    run_ms=$(median <"$scratch/start.run") exchange_ms=$(median <"$scratch/start.exchange")
    row "\`run -- true\`, session key given; floor: \`exchange\`, the same" "$(calc %.0f "$run_ms * 1000")" "$(calc %.0f "$exchange_ms * 1000")" ms \
        "$(calc %+.0f "($run_ms - $exchange_ms) * 1000") ms" 'at most 30 ms more'
    run_ms=$(median <"$scratch/start.slow.run") exchange_ms=$(median <"$scratch/start.slow.exchange")
    row "\`run -- true\`, a module of 300 ms a key; floor: \`exchange\`, the same" "$(calc %.0f "$run_ms * 1000")" "$(calc %.0f "$exchange_ms * 1000")" ms \
        "$(calc %+.0f "($run_ms - $exchange_ms) * 1000") ms" 'at most 30 ms more'
}

"$root/ci/packages" haproxy
start_world
reverse_proxy
requests_rate
slow_module
bearer_latency
upload
idle_memory
starts
