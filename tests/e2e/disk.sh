#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# No room: for the audit log, the state file, -o and standard output. As root on a file
# system that is full; and, as anybody, by the limit of a file's size.
if [ "$(id -u)" -eq 0 ] && [ -z "${KW_E2E_SMALL-}" ] && unshare --mount true 2>/dev/null; then
    KW_E2E_SMALL=1 exec unshare --mount --propagation private bash "$0"
fi
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
namespace=$LAB_OBJECTS_URL/n/
mkdir "$work/small"
head -c 100000 /dev/urandom >"$work/body"
succeeds 'a large object' request PUT -d "@$work/body" "$objects_url/large"

nothing_in() { ok "$1: nothing half written" is "$(find "$work/small" -mindepth 1 ! -name 'filler' ! -name audit ! -name '*.lock' | wc -l)" 0; }
no_room() { # NAME TEXT: all of it, where there is no room for more
    local name=$1 text=$2
    fails "$name: -o" 1 "could not write $work/small/x|$text" request GET -o "$work/small/x" "$objects_url/large"
    nothing_in "$name: -o"
    echo old >"$work/small/old" 2>/dev/null
    KEYWARD_KEY_STORAGE=token STATE_DIRECTORY=$work/small fails "$name: state" 1 "$work/small|$text" exchange
    ok "$name: state: no key left" is "$(objects)" 0
    rm -f "$work/small/old"
    nothing_in "$name: state"
}
audit_full() { # NAME: the audit log takes no more
    export KEYWARD_AUDIT_FILE=$work/small/audit
    before=$(requests '"target":"/n/"')
    fails "$1: audit" 1 'audit' request GET -o "$work/files/new" "$namespace"
    ok "$1: audit: no call that is not in it" is "$(requests '"target":"/n/"')" "$before"
    unset KEYWARD_AUDIT_FILE
}

# The size of files is bounded: anybody can have that.
KEYWARD_AUDIT_FILE=$work/small/audit succeeds 'an audit log is begun' exchange
until [ "$(stat -c %s "$work/small/audit")" -gt 32768 ]; do
    KEYWARD_AUDIT_FILE=$work/small/audit kw keys
done
ulimit -S -f 32
fails 'size limit: -o' 1 "could not write $work/small/x|too large" request GET -o "$work/small/x" "$objects_url/large"
nothing_in 'size limit: -o'
audit_full 'size limit'
ulimit -S -f unlimited
rm -f "$work/small/audit"

if [ -n "${KW_E2E_SMALL-}" ]; then
    mount -t tmpfs -o size=64k,mode=700 tmpfs "$work/small" || exit 1
    head -c 100000 /dev/zero >"$work/small/filler" 2>/dev/null
    no_room 'full disk' 'No space left'
    rm "$work/small/filler"
    KEYWARD_AUDIT_FILE=$work/small/audit succeeds 'an audit log is begun' exchange
    head -c 100000 /dev/zero >"$work/small/filler" 2>/dev/null
    while printf x >>"$work/small/audit" 2>/dev/null; do :; done
    sed -i '$d' "$work/small/audit" 2>/dev/null
    audit_full 'full disk'
    umount "$work/small"
fi

# Standard output.
setsid "$KW_BIN/keyward" --config "$config" request GET "$objects_url/large" >/dev/full 2>"$err"
rc=$?
ok 'standard output is full' is "$rc:$(grep -c 'No space left' "$err")" 1:1
setsid "$KW_BIN/keyward" --config "$config" request GET "$objects_url/large" 2>"$err" | head -c 10 >"$out"
rc=${PIPESTATUS[0]}
ok 'standard output is closed' is "$rc:$(grep -c '^keyward: ' "$err")" 1:1
setsid "$KW_BIN/keyward" --config "$config" exchange >&- 2>"$err"
rc=$?
ok 'there is no standard output' is "$rc" 1

# -o goes into what is there: nothing takes the place of a pipe, a device or a link.
mkfifo "$work/files/fifo"
: >"$work/files/behind"
ln -s behind "$work/files/link"
cat "$work/files/fifo" >"$work/piped" &
succeeds '-o a pipe' request GET -o "$work/files/fifo" "$namespace"
wait $!
ok '-o a pipe: gets it, and is one still' test -p "$work/files/fifo" -a "$(cat "$work/piped")" = "\"$LAB_NAMESPACE\""
succeeds '-o a symbolic link' request GET -o "$work/files/link" "$namespace"
ok '-o a symbolic link: the file behind it' test -L "$work/files/link" -a "$(cat "$work/files/behind")" = "\"$LAB_NAMESPACE\""
fails '-o a directory' 1 "$work/files|Is a directory" request GET -o "$work/files" "$namespace"
before=$(requests '"target":"/n/"')
fails '-o into nowhere' 1 "$work/none/x|No such file" request GET -o "$work/none/x" "$namespace"
ok '-o into nowhere: no call whose answer could not be kept' is "$(requests '"target":"/n/"')" "$before"
KEYWARD_AUDIT_FILE=$work/files/fifo fails 'audit: a pipe' 2 "$work/files/fifo" exchange
KEYWARD_AUDIT_FILE=$work/files/link fails 'audit: a symbolic link' 2 "$work/files/link" exchange
KEYWARD_AUDIT_FILE=$work/none/x fails 'audit: into nowhere' 2 "$work/none/x" exchange
echo 'no audit log' >"$work/files/text"
KEYWARD_AUDIT_FILE=$work/files/text fails 'audit: a file that is none' 1 'audit' exchange
ok 'audit: a file that is none: left as it was' is "$(cat "$work/files/text")" 'no audit log'
finish
