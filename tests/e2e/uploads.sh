#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Bodies of every origin and size, through a process that never holds them whole; and
# paths and queries that are signed and sent as they stand.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
# One exchange for all: what is tested here are the calls.
export KEYWARD_KEY_STORAGE=token
succeeds 'exchange' exchange

round() { # NAME FILE: object NAME is what FILE is
    kw request GET -o "$work/files/back" "$objects_url/$1"
    ok "$1: comes back" is "$rc" 0
    ok "$1: the same bytes" cmp -s "$2" "$work/files/back"
}
head -c 70000 /dev/urandom >"$work/some"
: >"$work/empty"
succeeds 'from a file' request PUT -d "@$work/some" "$objects_url/file"
round file "$work/some"
input=$work/some succeeds 'from standard input' request PUT -d @- "$objects_url/stdin"
round stdin "$work/some"
succeeds 'an empty file' request PUT -d "@$work/empty" "$objects_url/empty"
round empty "$work/empty"
succeeds 'no body at all' request PUT "$objects_url/none"
round none "$work/empty"
printf 'text = \303\274' >"$work/text"
succeeds 'literal text' request PUT -d "$(cat "$work/text")" "$objects_url/text"
round text "$work/text"
cat "$work/some" | kw request PUT -d @/dev/stdin "$objects_url/pipe"
fails 'a body that is not there' 2 "$work/missing" request PUT -d "@$work/missing" "$objects_url/x"
fails 'a body that is a directory' 2 "$work" request PUT -d "@$work" "$objects_url/x"
fails 'GET with a body' 2 'GET' request GET -d x "$objects_url/x"
fails 'a header of ours' 2 'Content-Length|made by keyward' request PUT -H 'Content-Length: 5' -d x "$objects_url/x"
fails 'a header with a line break' 2 'header' request GET -H $'x: a\r\nhost: b' "$objects_url"
fails 'a header without a colon' 2 '-H' request GET -H nothing "$objects_url"

# 64 MiB there and back, with every process watched.
large=67108864
head -c $large /dev/zero | openssl enc -aes-128-ctr -K 00112233445566778899aabbccddeeff \
    -iv 00000000000000000000000000000000 >"$work/large" 2>"$work/openssl.log"
ok 'the large body' is "$(stat -c %s "$work/large")" $large
most() { # the largest VmHWM in KiB of any process of the call, until it ends
    local pid name kib top=0
    while kill -0 "$session" 2>/dev/null; do
        for pid in $(processes "$session"); do
            name=$(sed -n 's/^Name:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null)
            kib=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status" 2>/dev/null)
            case $name in keyward*) [ "${kib:-0}" -le "$top" ] || top=$kib ;; esac
        done
        sleep 0.05
    done
    echo "$top"
}
# What the same processes take for a small body is the measure: 8 MiB more for a body of
# 64. (AddressSanitizer keeps what is freed for a while and mirrors it in its shadow: twice
# that there.)
more=8192
! grep -qa __asan_init "$KW_BIN/keyward" || more=16384
export ASAN_OPTIONS=quarantine_size_mb=1:thread_local_quarantine_size_kb=64
fault 'latency=2000,count=1,path=*/small' # long enough to be seen
kw_start request PUT -d "@$work/some" "$objects_url/small"
base=$(most)
kw_wait
fault
ok 'the small body was watched' test "$base" -gt 1000
kw_start request PUT -d "@$work/large" "$objects_url/large"
top=$(most)
kw_wait
expect_exit 'PUT 64 MiB' 0
ok "PUT 64 MiB: bounded memory ($base KiB at rest, $top KiB)" at_most "$top" $((base + more))
kw_start request GET -o "$work/files/back" "$objects_url/large"
top=$(most)
kw_wait
ok 'GET 64 MiB' is "$rc" 0
ok 'GET 64 MiB: the same bytes' cmp -s "$work/large" "$work/files/back"
ok "GET 64 MiB: bounded memory ($base KiB at rest, $top KiB)" at_most "$top" $((base + more))
rm "$work/files/back"
kw --json request GET "$objects_url/large"
ok '--json keeps its answer in memory, so it has a limit' is "$rc:$(grep -c 'needs -o' "$err")" 2:1

# Paths and queries.
odd() { # NAME: as it stands in the URL
    succeeds "object $1" request PUT -d "$1" "$objects_url/$1"
    printf '%s' "$1" >"$work/text"
    round "$1" "$work/text"
}
odd 'a%20b'
odd 'a%2Fb'
odd 'a/b/c'
odd 'a//b'
odd 'percent%25'
odd '%C3%BC%F0%9F%94%91'
odd "sub!\$&'()*+,;=:@~-._"
odd 'plus+plus'
odd '%e2%82%ac'
odd 'a%2F..b'
fails 'a name that some server would resolve' 2 'which servers resolve' request PUT -d x "$objects_url/..%2F..%2Fetc"
succeeds 'a query' request GET "$objects_url?prefix=a&limit=2&fields=name,size"
ok 'a query: bounded' is "$(grep -o '"name"' "$out" | wc -l)" 2
succeeds 'an encoded query' request GET "$objects_url?prefix=a%2Fb%2F&limit=10"
ok 'an encoded query: the one that fits' has 'a/b/c'
succeeds 'an empty query value' request GET "$objects_url?prefix=&limit=1"
succeeds 'port 443 is named' request GET "${LAB_OBJECTS_URL}:443/n/"
succeeds 'the host in capitals' request GET "${LAB_OBJECTS_URL/objectstorage/ObjectStorage}/n/"
fails 'a fragment' 2 'URL' request GET "$objects_url#x"
fails 'a space' 2 'URL' request GET "$objects_url/a b"
fails 'user and password' 2 'URL' request GET "https://u:p@objectstorage.us-lab-1.oraclecloud.com/n/"
fails 'a bare non-ASCII byte' 2 'URL' request GET "$objects_url/$(printf '\303\274')"
fails 'a bad escape' 2 'URL' request GET "$objects_url/%zz"
fails 'no TLS' 2 'https' request GET "${objects_url/https/http}"
fails 'no URL' 2 'URL' request GET objects
fails 'a method in small letters that is none' 2 'G ET|GET HEAD POST' request 'G ET' "$objects_url"
finish
