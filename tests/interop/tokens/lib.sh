# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the scripts for the tokens share, on top of what the e2e tests have. A script makes
# its token in the scratch directory, calls `begin` and then the checks below, and ends
# with `row` and `finish`. It sets, besides the variables of tests/e2e/lib.sh:
#
#   name, package   of the token, and the Debian package whose version is told
#   module, token   path and label
#   stored          1: the token has no session objects ([key] storage = token)
#   in_token        function: lists the objects in the token as another program sees them,
#                   one line each
#   stop, start_it  functions: the daemon is killed (the files are moved away), and is back
#
# KW_SIGNS is the program signs; KW_TOKEN_RESULTS, if set, a directory for what `row` says.
tokens_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$tokens_here/../../e2e/lib.sh"
name='' package='' module='' token='' stored=0

sanitized() { grep -qa __asan_init "$KW_BIN/keyward"; }
find_module() { # NAME: its path, wherever this Debian has it
    find /usr/lib -name "$1" ! -type d 2>/dev/null | head -n 1 | grep . ||
        { echo "$1 is not installed: tests/interop/setup installs it" >&2 && return 1; }
}
wait_for() { # SECONDS CONDITION...
    local i most=$(($1 * 20))
    shift
    for ((i = 0; i < most; i++)); do
        "$@" && return
        sleep 0.05
    done
    return 1
}
declare -A pid_of
daemon() { # NAME COMMAND...: in the background, what it says in $work/NAME.log
    local name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 </dev/null &
    pid_of[$name]=$!
    pids="$pids $!"
    disown # bash need not tell when it is killed
}
pid() { echo "${pid_of[$1]}"; } # NAME
killed() { # PID: and gone, so that nothing is answered any more
    kill -KILL "$1"
    wait_for 20 eval "! kill -0 $1 2>/dev/null || grep -qs '^State:.Z' /proc/$1/status"
}

# The lab, and a configuration with the token and the lines given.
begin() { # LINE...
    printf '%s\n' "$pin" >>"$work/secrets"
    printf '%s\n' "$pin" >"$work/pin"
    token_uri="pkcs11:token=${token// /%20}?module-path=$module&pin-source=file:$work/pin"
    start_lab
    write_config
    printf '%s\n' "$@" >>"$config"
    configured=$*
    mkdir "$work/bin"
    cp "$KW_BIN"/keyward-* "$KW_SIGNS" "$work/bin"
}
# The same token through the module that counts calls (tests/mock/spy.c).
spied() {
    export KW_SPY_MODULE=$module KW_SPY_LOG=$work/spy.log KW_SPY_DO=
    export KEYWARD_TOKEN_ENV='KW_SPY_MODULE KW_SPY_LOG KW_SPY_DO'
    export KEYWARD_TOKEN_URI="pkcs11:token=${token// /%20}?module-path=$KW_SPY&pin-source=file:$work/pin"
    : >"$work/spy.log"
}

# --- what keyward makes of it ------------------------------------------------------------

# The rung, the mechanism, the attributes as read back and the verdict, as both commands
# show them.
as_told() { # RUNG MECHANISM "ATTRIBUTES" "VERDICT"
    rung=$1 mechanism=$2 attributes=$3
    kw --json exchange
    ok 'exchange' is "$rc" 0
    ok 'exchange: rung' is "$(field rung)" "$1"
    ok 'exchange: mechanism' is "$(field mechanism)" "$2"
    ok 'exchange: attributes as read back' is "$(field attributes)" "$3"
    ok 'exchange: extraction self-test' has "\"extraction_test\": \"$4"
    succeeds 'doctor' doctor
    ok 'doctor: token and rung' has "ok   PKCS#11 token and session key: $token (serial "
    ok 'doctor: rung' has ", $2, rung $1 of 4, $3"
    ok 'doctor: extraction self-test' has "ok   extraction self-test: $4"
    ok 'doctor: all well' has 'all is well'
    succeeds 'request' request GET "$LAB_OBJECTS_URL/n/"
    ok 'request: the answer' has '"labnamespace"'
    prune
}
prune() { # what storage = token leaves for later commands
    [ "$stored" -eq 0 ] || succeeds 'keys --prune --all' keys --prune --all
    ok 'no process left' no_strays
    ok 'nothing of ours in the token' is "$(in_token)" ''
}

# A stored key is seen by another program, which shows that its look at the others means
# something; and it goes.
keeps() {
    local before
    ok 'nothing is in the token' is "$(in_token)" ''
    export KEYWARD_KEY_STORAGE=token
    succeeds 'stored session' exchange
    before=$(in_token)
    ok 'stored session: another program sees its key' test -n "$before"
    succeeds 'stored session: a request' request GET "$LAB_OBJECTS_URL/n/"
    ok 'stored session: no key more' is "$(in_token)" "$before"
    succeeds 'stored session: removed' keys --prune --all
    ok 'stored session: gone' is "$(in_token)" ''
    unset KEYWARD_KEY_STORAGE
}

# --- many signatures in one session ---------------------------------------------------------

# A running `signs`: what it says is in $work/NAME.out; numbers go to its descriptor.
declare -A signer_fd signer_pid
signer() { # NAME keyward|raw: comes back when it is ready to sign, or has failed
    local fd leaks=1
    [ "$2" = keyward ] || leaks=0 # of the module, which is in the same process then
    rm -f "$work/$1.in"
    mkfifo "$work/$1.in"
    : >"$work/$1.out"
    ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=$leaks "$work/bin/signs" "$config" lab "$2" <"$work/$1.in" >"$work/$1.out" 2>"$work/$1.err" &
    signer_pid[$1]=$!
    pids="$pids $!"
    exec {fd}>"$work/$1.in"
    signer_fd[$1]=$fd
    wait_for 120 eval "grep -qE '^(verdict|ready)' '$work/$1.out' || ! kill -0 ${signer_pid[$1]} 2>/dev/null"
}
answers() { grep -c '^signed ' "$work/$1.out"; } # NAME
signs() { # NAME N: N signatures more; false if they failed
    local before
    before=$(answers "$1")
    (echo "$2" >&"${signer_fd[$1]}") # it may have ended, which is SIGPIPE
    wait_for 240 eval "[ \$(answers $1) -gt $before ] || ! kill -0 ${signer_pid[$1]} 2>/dev/null"
    [ "$(answers "$1")" -gt "$before" ]
}
signer_ends() { # NAME: $rc, $out and $err as after kw
    local fd=${signer_fd[$1]}
    exec {fd}>&-
    wait "${signer_pid[$1]}"
    rc=$?
    cp "$work/$1.out" "$out"
    cp "$work/$1.err" "$err"
}
rate() { # NAME: signatures a second, by the median of the slices' medians
    sed -n 's/^signed .* median \([0-9]*\) us/\1/p' "$work/$1.out" | sort -n |
        awk '{ us[NR] = $1 } END { print (NR > 0 ? int(1e6 / us[int((NR + 1) / 2)]) : 0) }'
}

# A thousand signatures in one session, each checked; in turn with a plain loop over the
# module, so that what else the machine does meets both. Under the sanitizers a tenth.
many() {
    local n=1000 slices=10 i good=0 destroyed=$((1 - stored))
    sanitized && n=100
    signer kw keyward
    signer raw raw
    for ((i = 0; i < slices; i++)); do
        signs kw $((n / slices)) || break
        good=$((good + 1))
        signs raw $((n / slices / 5)) || break
    done
    signer_ends raw
    ok 'the loop to compare with ran' is "$rc:$(answers raw)" "0:$slices"
    signer_ends kw
    ok "$n signatures in one session: exit code" is "$rc" 0
    ok "$n signatures in one session: all verified" is "$good" "$slices"
    ok "$n signatures in one session: counted, and what became of the key" \
        has "closed signatures $n destroyed $destroyed"
    verdict=$(sed -n 's/^verdict //p' "$work/kw.out")
    rates="$(rate kw)|$(rate raw)"
    prune
}

# --- its daemon dies --------------------------------------------------------------------------

# In the middle of a session, which then goes on or ends with a clear word; a command that
# finds it dead fails with a clear word and does not try the PIN; the next one works when it
# is back.
dies() { # survives|"TEXT" "TEXT|TEXT": what the session says, and the command
    local text IFS='|'
    spied
    signer kw keyward
    ok 'its daemon lives: signs' signs kw 5
    stop
    if [ "$1" = survives ]; then
        ok 'its daemon has died: the session goes on' signs kw 20
        signer_ends kw
        ok 'its daemon has died: ends in order' is "$rc" 0
    else
        ok 'its daemon has died: no signature' not signs kw 1
        signer_ends kw
        ok 'its daemon has died in the session: exit code' is "$rc" 3
        for text in $1; do ok "its daemon has died in the session: says '$text'" says "$text"; done
    fi
    ok 'its daemon has died in the session: one login in all' is "$(calls C_Login)" 1
    ok 'its daemon has died in the session: no process died of a signal' not says 'crashed ('
    : >"$work/spy.log"
    kw exchange
    ok 'no daemon: exit code' is "$rc" 3
    for text in $2; do ok "no daemon: says '$text'" says "$text"; done
    ok 'no daemon: the PIN was not tried' is "$(calls C_Login)" 0
    ok 'no daemon: no process left' no_strays
    start_it
    : >"$work/spy.log"
    succeeds 'the daemon is back' request GET "$LAB_OBJECTS_URL/n/"
    ok 'the daemon is back: one login' is "$(calls C_Login)" 1
    no_spy
    prune
}

# --- the row for docs/tokens.md -----------------------------------------------------------------

# What of the attributes is not the strictest there is.
deviations() {
    local best word found=''
    best=' PRIVATE=1 SENSITIVE=1 EXTRACTABLE=0 ALWAYS_SENSITIVE=1 NEVER_EXTRACTABLE=1 LOCAL=1 MODIFIABLE=0 COPYABLE=0 SIGN=1 DECRYPT=0 UNWRAP=0 SIGN_RECOVER=0 DERIVE=0 TOKEN=0 '
    for word in $attributes; do
        [[ $best == *" $word "* ]] || found+="${found:+, }$word"
    done
    echo "${found:-all as asked}"
}
row() {
    local line
    line="$name|$(dpkg-query -W -f '${Version}' "$package")|$rung|$mechanism|$(deviations)|$verdict|$configured|$rates"
    echo "$line"
    if [ -n "${KW_TOKEN_RESULTS:-}" ] && [ -w "$KW_TOKEN_RESULTS" ] && [ "$failed" -eq 0 ]; then
        echo "$line" >"$KW_TOKEN_RESULTS/$(basename "$0" .sh)"
    fi
}
