#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What surrounds keyward wishes it ill: an answer that drives the terminal, a token command
# that looks for what it wasn't given, a parent that left its signals ignored, a neighbour
# who is there before the program has shut its door.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
sed -i '/^type = github/d' "$config"
subject >"$work/jwt"
export KEYWARD_SOURCE_PATH=$work/jwt

# --- descriptors ------------------------------------------------------------------------------
(
    unset KEYWARD_SOURCE_PATH
    export KEYWARD_SOURCE_COMMAND="ls -l /proc/self/fd >$work/fds; cat $work/jwt"
    kw exchange 7<"$work/pin" 9<>"$work/scratch" 11>"$work/scratch2"
    exit "$rc"
)
ok 'an exchange with descriptors that nobody asked for' is $? 0
ok 'control: the command saw its own' grep -q ' 1 ->' "$work/fds"
ok 'none of ours came to the token command' not grep -qE ' (7|9|11) ->|pin|scratch' "$work/fds"

# --- signals ----------------------------------------------------------------------------------
(
    trap '' ALRM CHLD PIPE USR1 TTOU
    kw exchange
    exit "$rc"
)
ok 'an exchange with signals ignored' is $? 0

# --- the terminal -----------------------------------------------------------------------------
printf 'a\033]0;title\007b\302\2331mc\n' >"$work/evil"
succeeds 'an object that drives terminals' request PUT "$objects_url/evil" -d "@$work/evil"
succeeds 'read into a file' request GET "$objects_url/evil"
ok 'a file gets every byte' cmp "$work/evil" "$out"
script -qec "'$KW_BIN/keyward' --config '$config' --profile lab request GET '$objects_url/evil'" /dev/null \
    </dev/null >"$work/screen" 2>"$err"
ok 'on a terminal it is text' grep -qaP 'a\?\]0;title\?b\xc2\?1mc' "$work/screen"
ok 'and no control character' not grep -qaP '\x1b|\x07|\x9b' "$work/screen"

# --- before the door is shut ------------------------------------------------------------------
# A program that its user can't read is closed to that user from its first instruction on,
# and that is how keyward is installed. Shown with one that never closes itself.
if [ "$(id -u)" -ne 0 ]; then
    for mode in 755 111; do
        install -m "$mode" "$(command -v sleep)" "$work/sleep$mode"
        "$work/sleep$mode" 60 &
        pids="$pids $!"
        sleep 0.3
        declare "seen$mode=$(head -c 1 "/proc/$!/environ" 2>/dev/null | wc -c)"
        declare "fds$mode=$(find "/proc/$!/fd" -type l 2>/dev/null | wc -l)"
    done
    # shellcheck disable=SC2154
    ok 'control: a readable one is open' test "$seen755" -eq 1 -a "$fds755" -gt 0
    # shellcheck disable=SC2154
    ok 'an unreadable one is closed' test "$seen111" -eq 0 -a "$fds111" -eq 0
fi
finish
