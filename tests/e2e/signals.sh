#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The end at any moment: signals to main, and the death of each role. Within seconds there
# is no process, no key in the token, no file that is half written.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
# The key is stored in the token while the command runs: what stays would be seen.
export KEYWARD_KEY_STORAGE=token KEYWARD_DIAL_TIMEOUT=20
namespace=$LAB_OBJECTS_URL/n/
state=$HOME/.local/state/keyward/lab.session

pid_of() { # PROGRAM, as the kernel knows it: 15 bytes. A busy machine may need a second look.
    local pid look
    for look in 1 2 3 4 5 6 7 8 9 10; do
        for pid in $(processes "$session"); do
            [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "${1:0:15}" ] && echo "$pid" && return
        done
        sleep "0.0$look"
    done
    echo "    no process $1 among: $(processes "$session" | tr '\n' ' ')" >&2
}
reached() { # within ten seconds a condition holds
    local i
    for i in $(seq 200); do
        "$@" && return
        sleep 0.05
    done
    echo "    not reached after $i looks"
    return 1
}
generating() { [ "$(calls C_GenerateKeyPair)" -ge 1 ]; }
signing() { [ "$(calls C_Sign)" -ge "$1" ]; }
step() { grep -qF "keyward: $1: done" "$err"; }

hold=9000
# A command that is being held up at MOMENT is in the background.
arrive() { # MOMENT
    rm -f "$state" "$work/files/new"
    find "$work/tokens" -name '*.object' ! -name token.object -delete
    no_spy
    fault
    case $1 in
    fetch) fault "latency=$hold,path=/token-request*" ;;
    exchange) fault "latency=$hold,path=/oauth2/v1/token" ;;
    call) fault "latency=$hold,path=/n/" ;;
    generation) spy C_GenerateKeyPair@1=sleep1500 ;;
    trial) spy C_Sign@1=sleep1500 ;;
    signature) spy C_Sign@3=sleep1500 ;; # after the trials of key and twin
    esac
    kw_start -v -v request GET -o "$work/files/new" "$namespace"
    case $1 in
    fetch) reached step 'network processes and their fences' ;;
    exchange) reached step 'PKCS#11 token and session key' ;;
    call) reached step 'session kept for later commands' ;;
    generation) reached generating ;;
    trial) reached signing 1 ;;
    signature) reached signing 3 ;;
    esac
}
over() { # NAME SECONDS: all of it has ended within that time
    local before=$SECONDS
    kw_wait
    for _ in $(seq 150); do
        [ -z "$(processes "$session")" ] && break
        sleep 0.1
    done
    ok "$1: no process left" is "$(processes "$session")" ''
    ok "$1: within $2 s" at_most $((SECONDS - before)) "$2"
    # A temporary file beside it is nobody's after SIGKILL, which leaves no time.
    [ "$rc" -ne 137 ] || rm -f "$work/files/new".*
    ok "$1: nothing at -o" is "$(find "$work/files" -type f)" ''
    ok "$1: no secret told" no_secrets
}
keys_gone() { # NAME: but for that of a session which was kept before the end came
    if [ -e "$state" ] && [ "$rc" -ne 137 ]; then
        ok "$1: the kept session's key" is "$(objects)" 2
        fault
        succeeds "$1: the kept session is good" request GET "$namespace"
        kw keys --prune --all
    fi
    ok "$1: no key in the token" is "$(objects)" 0
}
for moment in fetch exchange call generation trial signature; do
    for signal in INT TERM HUP; do
        [ "$signal" = TERM ] || [ "$moment" = exchange ] || continue
        arrive $moment
        kill -s $signal "$session"
        over "SIG$signal in $moment" 12
        ok "SIG$signal in $moment: exit code" is "$rc" 1
        ok "SIG$signal in $moment: says so" says interrupted
        ok "SIG$signal in $moment: nothing but that" is "$(grep -cvE ': (done|failed)$|: subject token: |keyward dialer: | has gone$' "$err")" 1
        keys_gone "SIG$signal in $moment"
    done
    arrive $moment
    kill -s KILL "$session"
    over "SIGKILL in $moment" 12
    ok "SIGKILL in $moment: exit code" is "$rc" 137
    keys_gone "SIGKILL in $moment"
done

# The death of a role is told as what it is. A keeper that is killed can't destroy a key
# that is stored: keys --prune can, and takes a half that is alone as well. (Files that
# SoftHSM had only half written have no name that says whose they are.)
visible() { pkcs11-tool --module "$softhsm" --login --pin "$pin" --list-objects 2>/dev/null | grep -c 'label: *keyward'; }
role() { # ROLE MOMENT CODE TEXT
    arrive "$2"
    kill -s KILL "$(pid_of "keyward-$1")"
    over "$1 killed in $2" 14
    ok "$1 killed in $2: exit code" is "$rc" "$3"
    ok "$1 killed in $2: says so" says "$4"
    fault
    no_spy
    if [ "$1" = keeper ]; then
        succeeds "$1 killed in $2: keys --prune" keys --prune --all
        ok "$1 killed in $2: no object in the token" is "$(visible)" 0
    else
        keys_gone "$1 killed in $2"
    fi
}
role exchanger fetch 1 'the exchanger died: Killed'
role exchanger exchange 1 'the exchanger died: Killed'
role exchanger call 1 'the exchanger died: Killed'
# Whoever dies while the answer is awaited is missed at once, not when time is up (20 s).
hold=30000
role keeper call 1 keeper
role dialer call 1 dialer
hold=9000
role keeper generation 3 'C_GenerateKeyPair'
role keeper trial 3 'C_Sign'
role keeper signature 3 'C_Sign'
hold=1500
role dialer fetch 1 'dialer'
role dialer exchange 1 'dialer'
hold=9000

# With the key in the session nothing is left to prune, whoever dies.
unset KEYWARD_KEY_STORAGE
arrive generation
kill -s KILL "$(pid_of keyward-keeper)"
over 'keeper killed, storage = session' 6
ok 'keeper killed, storage = session: no key' is "$(objects)" 0

# A module that hangs while main is killed: the keeper has no one to wait for.
spy C_GenerateKeyPair@1=hang
kw_start exchange
reached generating
kill -s KILL "$session"
over 'SIGKILL while the module hangs' 13
no_spy

# The token command and its children end with us.
KEYWARD_SOURCE_COMMAND='sleep 77 & sleep 77' KEYWARD_SOURCE_TYPE=command kw_start exchange
sleep 1
kill -s TERM "$session"
over 'SIGTERM while the token command runs' 6
ok 'SIGTERM while the token command runs: exit code' is "$rc" 1
finish
