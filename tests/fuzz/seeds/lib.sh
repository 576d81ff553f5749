# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The form of peers.h, for the scripts that write seeds.
set -euo pipefail
export LC_ALL=C

byte() { printf '%b' "\\x$(printf %02x "$1")"; }
u16() { byte $(($1 & 255)) && byte $(($1 >> 8)); }
u32() { u16 $(($1 & 65535)) && u16 $(($1 >> 16)); }
n() { for number in "$@"; do byte 1 && u32 "$number"; done; }                 # items: numbers,
long() { byte 2 && u32 "$1" && u32 0; }                                       # of 8 bytes,
t() { for text in "$@"; do byte 3 && byte ${#text} && printf %s "$text"; done; } # texts,
file() { byte 4 && u16 "$(stat -c %s "$1")" && cat "$1"; }                    # long ones
bytes() { byte 5 && byte $((${#1} / 2)) && printf '%b' "$(sed 's/../\\x&/g' <<<"$1")"; }
fill() { byte 6 && printf %s "$1" && u16 "$2"; }                              # and very long ones

m() { # CHANNEL TYPE [ITEMS-COMMAND...]: one message
    byte "$1" && byte "$2"
    shift 2
    [ $# -eq 0 ] || "$@"
    byte 0
}
gone() { byte $((128 + $1)); }
# shellcheck disable=SC2034 # for those who read this file
two='8' # descriptors, added to the channel: 2 << 2
# shellcheck disable=SC2034 # the same
one='4'

raw() { # FILE: without a length before it
    local at=0 size
    size=$(stat -c %s "$1")
    while [ "$at" -lt "$size" ]; do
        local n=$((size - at < 255 ? size - at : 255))
        byte 5 && byte "$n" && tail -c +$((at + 1)) "$1" | head -c "$n"
        at=$((at + n))
    done
}
