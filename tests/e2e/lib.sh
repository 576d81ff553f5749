# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What every e2e script stands on: the real programs, a SoftHSM token and keyward-lab, all
# in one scratch directory that is gone at the end. A script sources this, makes its calls
# with `kw`, and ends with `finish`. Run by run.sh, which sets:
#
#   KW_BIN   directory of keyward and its role programs
#   KW_LAB   keyward-lab
#   KW_SPY   spy.so, the module between keyward and SoftHSM (tests/mock)
#
# After `kw ARG...`: $rc, and the files $out and $err.
set -u
umask 077
export LC_ALL=C
unset GITHUB_ACTIONS ACTIONS_ID_TOKEN_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN
unset "${!KEYWARD_@}" XDG_STATE_HOME STATE_DIRECTORY CREDENTIALS_DIRECTORY GITHUB_EVENT_NAME
unset GITHUB_WORKSPACE CI_PROJECT_DIR BUILDKITE_BUILD_CHECKOUT_PATH WORKSPACE CIRCLE_WORKING_DIRECTORY BITBUCKET_CLONE_DIR

work=$(mktemp -d "${TMPDIR:-/tmp}/kw-e2e.XXXXXX") || exit 1
out=$work/out err=$work/err rc=0
tests=0 failed=0 lab_pid='' pids=''
export HOME=$work/home
mkdir "$HOME" "$work/files"

# shellcheck disable=SC2317 # called by the trap
clean() {
    local status=$?
    for pid in $pids $lab_pid; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    if [ "$status" -ne 0 ] && [ -s "$work/lab.log" ]; then
        echo "--- the lab's log:" && tail -n 20 "$work/lab.log"
    fi
    rm -rf "$work"
    exit "$status"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

# --- saying what is right ------------------------------------------------------------------

show() { # what the last call said
    echo "    exit code $rc"
    { head -c 600 "$out" && echo; } | sed "s/^/    stdout: /"
    head -c 1200 "$err" | sed 's/^/    stderr: /'
}
ok() { # NAME CONDITION...
    local name=$1
    shift
    tests=$((tests + 1))
    "$@" && return
    failed=$((failed + 1))
    echo "not ok - $name"
    echo "    false: $*" | head -c 400
    echo
    show
}
is() { [ "$1" = "$2" ]; }
has() { grep -qF -- "$1" "$out"; }     # the result
says() { grep -qF -- "$1" "$err"; }    # standard error
file_has() { grep -qF -- "$2" "$1"; }  # FILE TEXT
not() { ! "$@"; }
at_most() { [ "$1" -le "$2" ]; }       # NUMBER MOST
json() { jansson_ok "$out"; }
finish() {
    echo "$tests checks, $failed failed"
    [ "$tests" -gt 0 ] && [ "$failed" -eq 0 ]
    exit $?
}

# One JSON value and nothing else; OpenSSL and curl read none, but keyward does: the lab
# takes a body of JSON only. Here a strict look at it is enough: claims reads any object.
jansson_ok() { # FILE
    "$KW_BIN/keyward" --config /dev/null claims --claims-file "$1" >"$work/json.out" 2>"$work/json.err"
    ! grep -qE 'not valid JSON|not a JSON object|member twice' "$work/json.err"
}
field() { # NAME: a string or number member of the JSON in $out, the first of that name
    sed -nE "s/.*\"$1\": ?\"?([^\",}]*)\"?.*/\\1/p" "$out" | head -n 1
}

# --- calling keyward -----------------------------------------------------------------------

config=$work/keyward.ini
kw() { # ARGUMENT...: in a session of its own, so that what it leaves behind can be seen
    local pid
    setsid "$KW_BIN/keyward" --config "$config" --profile lab "$@" >"$out" 2>"$err" <"${input:-/dev/null}" &
    pid=$!
    session=$pid
    wait "$pid"
    rc=$?
}
kw_start() { # ARGUMENT...: the same in the background; kw_wait ends it
    # (Now, not when it has come to that: whoever waits for a line would see the last one's.)
    : >"$out" 2>"$err"
    setsid "$KW_BIN/keyward" --config "$config" --profile lab "$@" >"$out" 2>"$err" <"${input:-/dev/null}" &
    session=$!
}
kw_wait() {
    { wait "$session"; } 2>/dev/null # bash tells of what was killed
    rc=$?
}

# pids of all processes of a session, by /proc: nothing else sees those that may not be
# traced. A zombie has ended: whoever is its parent is just slow to notice.
processes() { # SESSION
    local file line
    for file in /proc/[0-9]*/stat; do
        read -r line 2>/dev/null <"$file" || continue
        # state ppid pgrp session
        # shellcheck disable=SC2086 # words
        set -- "$1" ${line##*) }
        [ $# -ge 5 ] && [ "$5" = "$1" ] && [ "$2" != Z ] && basename "$(dirname "$file")"
    done
}
no_strays() { # within three seconds nothing of the last call is left
    local i
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
        [ -z "$(processes "$session")" ] && return
        sleep 0.1
    done
    echo "    left after $i tries: $(processes "$session" | tr '\n' ' ')"
    return 1
}

succeeds() { # NAME ARGUMENT...
    local name=$1
    shift
    kw "$@"
    ok "$name" is "$rc" 0
}
expect_exit() { ok "$1" is "$rc" "$2"; } # NAME CODE

# Everything that a refused call must not have done. Files named in $may_change (an audit
# log, say) don't count.
may_change=''
snapshot() {
    (cd "$work" && find home files tokens -type f ! -name '*.lock' -printf '%p %s\n' 2>/dev/null | sort) |
        grep -vF "${may_change:-/nothing}"
}
one_line() { [ "$(wc -l <"$err")" -eq 1 ] && grep -q '^keyward: .' "$err"; }
no_secrets() { # neither output holds a secret of this scratch world, nor what looks like a token
    local secret
    # (What `sign` prints has the session token, worth nothing without the key.)
    if grep -hE 'eyJ[A-Za-z0-9_-]{8,}\.eyJ|ya29\.[a-z]' "$out" "$err" | grep -qv '^authorization: .*keyId="ST\$'; then
        echo "    a token is in the output"
        return 1
    fi
    while read -r secret; do
        if [ -n "$secret" ] && grep -qF -- "$secret" "$out" "$err"; then
            echo "    a secret is in the output"
            return 1
        fi
    done <"$work/secrets"
}
fails() { # NAME CODE "TEXT|TEXT..." ARGUMENT...: one good line of error, and nothing else
    local name=$1 code=$2 texts=$3 before text
    shift 3
    before=$(snapshot)
    kw "$@"
    check_failed "$name" "$code" "$texts" "$before"
}
check_failed() { # NAME CODE "TEXT|TEXT" SNAPSHOT
    local name=$1 texts=$3 text IFS='|'
    ok "$name: exit code" is "$rc" "$2"
    ok "$name: one line that begins with 'keyward: '" one_line
    for text in $texts; do
        ok "$name: says '$text'" says "$text"
    done
    ok "$name: nothing on standard output" test ! -s "$out"
    ok "$name: nothing written" is "$(snapshot)" "$4"
    ok "$name: no process left" no_strays
    ok "$name: no secret told" no_secrets
}

# --- the token -----------------------------------------------------------------------------

softhsm=$(find /usr/lib /usr/lib64 -name libsofthsm2.so 2>/dev/null | head -n 1)
pin=$(od -An -N8 -tx8 /dev/urandom | tr -d ' \n')
so_pin=$(od -An -N8 -tx8 /dev/urandom | tr -d ' \n')
label=e2e

new_token() { # LABEL
    softhsm2-util --init-token --free --label "$1" --pin "$pin" --so-pin "$so_pin" >"$work/softhsm.log" 2>&1 ||
        { cat "$work/softhsm.log" && exit 1; }
}
start_token() {
    mkdir "$work/tokens"
    printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' \
        "$work/tokens" >"$work/softhsm2.conf"
    export SOFTHSM2_CONF=$work/softhsm2.conf
    new_token "$label"
    printf '%s\n' "$pin" >"$work/pin"
    printf '%s\n%s\n' "$pin" "$so_pin" >>"$work/secrets"
    token_uri="pkcs11:token=$label?module-path=$softhsm&pin-source=file:$work/pin"
}
# The same token through the module that counts and misbehaves: KW_SPY_DO says how.
spy() { # WORDS...
    export KW_SPY_MODULE=$softhsm KW_SPY_LOG=$work/spy.log KW_SPY_DO="$*"
    export KEYWARD_TOKEN_ENV='KW_SPY_MODULE KW_SPY_LOG KW_SPY_DO'
    export KEYWARD_TOKEN_URI="pkcs11:token=$label?module-path=$KW_SPY&pin-source=file:$work/pin"
    : >"$work/spy.log"
}
no_spy() { unset KW_SPY_MODULE KW_SPY_LOG KW_SPY_DO KEYWARD_TOKEN_ENV KEYWARD_TOKEN_URI; }
calls() { grep -cx "$1" "$work/spy.log"; } # FUNCTION
objects() { find "$work/tokens" -name '*.object' ! -name token.object | wc -l; }

# --- the lab -------------------------------------------------------------------------------

start_lab() { # OPTION...
    rm -f "$work/ready"
    "$KW_LAB" --dir "$work/lab" --ready-file "$work/ready" --die-with-parent "$@" \
        >"$work/lab.log" 2>&1 </dev/null &
    lab_pid=$!
    for _ in $(seq 400); do
        [ -e "$work/ready" ] && break
        kill -0 "$lab_pid" 2>/dev/null || break
        sleep 0.05
    done
    [ -e "$work/ready" ] || { echo "the lab did not start" && exit 1; }
    set -a
    # shellcheck source=/dev/null
    . "$work/lab/lab.env"
    set +a
    # What a job at GitHub finds in its environment.
    export ACTIONS_ID_TOKEN_REQUEST_URL=$LAB_REQUEST_URL
    ACTIONS_ID_TOKEN_REQUEST_TOKEN=$(cat "$LAB_REQUEST_TOKEN_FILE")
    export ACTIONS_ID_TOKEN_REQUEST_TOKEN
    { cat "$LAB_CLIENT_SECRET_FILE" && echo && cat "$LAB_REQUEST_TOKEN_FILE" && echo; } >>"$work/secrets"
    # shellcheck disable=SC2034 # for the scripts
    objects_url=$LAB_OBJECTS_URL/n/$LAB_NAMESPACE/b/$LAB_BUCKET/o
    # shellcheck disable=SC2034
    compartments_url="$LAB_IDENTITY_URL/20160918/compartments?compartmentId=$LAB_TENANCY"
}
stop_lab() {
    kill "$lab_pid" && wait "$lab_pid"
    lab_pid=''
}
lab() { # METHOD PATH [BODY]: the lab's control, answer in $work/lab.out
    curl -K "$LAB_CONTROL_CURL" -o "$work/lab.out" -X "$1" ${3+--data-binary "$3"} "$LAB_CONTROL_URL/$2" ||
        { echo "the lab did not take: $*" && cat "$work/lab.out" && exit 1; }
}
fault() { # SPEC...: instead of those before
    lab DELETE faults
    [ $# -eq 0 ] || lab POST faults "$(printf '%s\n' "$@")"
}
requests() { # PATTERN: how many requests the lab got whose log entry holds it
    lab GET log
    sed 's/{"time"/\n&/g' "$work/lab.out" | grep -c -- "$1"
}
subject() { # [AUDIENCE]: a fresh JWT of the lab's issuer
    printf 'header = "authorization: bearer %s"\n' "$ACTIONS_ID_TOKEN_REQUEST_TOKEN" |
        curl -sS -K - --cacert "$LAB_CA_FILE" --noproxy '*' --connect-to "$LAB_CONNECT_TO" \
            "$LAB_REQUEST_URL&audience=${1-$LAB_AUDIENCE}" | sed 's/.*"value": *"\([^"]*\)".*/\1/'
}

# The lab's own configuration with the token added; more lines may be appended.
write_config() {
    { cat "$LAB_KEYWARD_INI" && printf '\n[token]\nuri = %s\n' "$token_uri"; } >"$config"
}
start() { # LAB-OPTION...: all of it
    [ -n "$softhsm" ] || { echo "libsofthsm2.so is not installed" && exit 1; }
    start_token
    start_lab "$@"
    write_config
}
