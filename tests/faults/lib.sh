# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Faults inside keyward's processes, on top of what the claim tests have (source
# tests/claims/lib.sh first). A copy of keyward in a folder of its own starts the roles that
# lie beside it; there each is a few lines of shell that preload faults.so into the real
# program. main gets it by its environment, which no role inherits.
#
#   faulty ROLE NAME=NUMBER...   the next calls of `fkw` have this fault in that process
#   fkw ARGUMENT...              as kw
#   figures_of ROLE NAME...      what faults.so counted there
build_of_faults=$(dirname "$KW_TOOLS")/faults
faults_so=${KW_FAULTS_SO:-$build_of_faults/faults.so} gate=${KW_GATE:-$build_of_faults/gate.so}
steer=${KW_STEER:-$build_of_faults/steer}
roles='main keeper exchanger dialer'

# The sanitizer's runtime comes second, and leaves it to malloc()'s caller what no memory means.
faults_asan() { echo "${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0:allocator_may_return_null=1"; }

faults_prepare() {
    local role
    mkdir "$work/faulty"
    echo 'leak:ssl_new' >"$work/lsan"
    cp "$KW_BIN/keyward" "$work/faulty"
    for role in keeper exchanger dialer; do
        printf '#!/bin/sh\nKW_FAULTS=%s LD_PRELOAD=%s exec %s "$@"\n' \
            "$work/page.$role" "$faults_so" "$KW_BIN/keyward-$role" >"$work/faulty/keyward-$role"
    done
    chmod 700 "$work/faulty"/*
    no_faults
}
# Where sockets are streams and not packets: behind the last descriptor of roles.h.
stream_from() {
    case $1 in
    exchanger) echo 7 ;;
    dialer) echo 6 ;;
    *) echo 0 ;;
    esac
}
faulty() { # ROLE NAME=NUMBER...
    local role=$1
    shift
    "$steer" "$work/page.$role" new stream-from="$(stream_from "$role")" "$@" || exit 1
}
no_faults() {
    local role
    for role in $roles; do faulty "$role"; done
}
figures_of() { # ROLE NAME...
    local role=$1
    shift
    "$steer" "$work/page.$role" get "$@"
}
who() { "$steer" "$work/page.$1" who | head -n 12 | sed 's/^/    who: /'; }

# What OpenSSL 3.0 itself loses where an allocation of its own failed is not ours to free:
# its objects that we own are watched by all the tests in which nothing fails.
faults_lsan() { echo "suppressions=$work/lsan:print_suppressions=0"; }

fkw_start() { # ARGUMENT...: in the background, ended by kw_wait
    ASAN_OPTIONS=$(faults_asan) LSAN_OPTIONS=$(faults_lsan) setsid env KW_FAULTS="$work/page.main" LD_PRELOAD="$faults_so" \
        "$work/faulty/keyward" --config "$config" --profile lab "$@" >"$out" 2>"$err" <"${input:-/dev/null}" &
    session=$!
}
fkw() {
    fkw_start "$@"
    kw_wait
}
# The module of the token behind the gate that tells whose an allocation is. Between them one
# that imports a key instead of generating it: that costs a fifth, and is always the same.
gated() {
    insider import
    openssl genrsa 2048 2>/dev/null | openssl rsa -outform DER -out "$work/known.der" 2>/dev/null
    export KW_SPY_KEY=$work/known.der KW_GATE_MODULE=$KW_INSIDER
    export KEYWARD_TOKEN_ENV="$KEYWARD_TOKEN_ENV KW_GATE_MODULE"
    export KEYWARD_TOKEN_URI="pkcs11:token=$label?module-path=$gate&pin-source=file:$work/pin"
}

# --- what must hold after any fault ---------------------------------------------------------

no_report() { ! grep -qE 'Sanitizer|runtime error' "$err"; }
# What is said besides: not an error.
said() { grep -vE 'this was a rehearsal|no key of keyward' "$err"; }
one_error() { # the last line, and main's only one; before it a role may have had to say something
    [ "$(said | grep -c '^keyward: .')" -eq 1 ] && said | tail -n 1 | grep -q '^keyward: .' &&
        ! said | grep -qvE '^keyward( keeper| exchanger| dialer)?: .'
}
nothing_half() { # no temporary file of an atomic write, here or there
    [ -z "$(find "$HOME" "$work/files" -name '*.??????' ! -name '*.session' ! -name '*.jsonl')" ]
}
state_file=$HOME/.local/state/keyward/lab.session
state_whole() { [ ! -e "$state_file" ] || grep -qE '^\{.*"token":"[^"]+"\}$' "$state_file"; }
forget_session() { # the state of the world before a call
    [ "$(objects)" -eq 0 ] || kw keys --prune --all
    rm -f "$state_file"
}
