# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the claim tests share, on top of what the e2e tests have. CMake sets the variables;
# by hand, `tests/claims/claim-NN-WORDS` takes build/release, or the build named by KW_BUILD.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$(realpath -m "${KW_BUILD:-$root/build/release}")
export KW_BIN=${KW_BIN:-$build} KW_LAB=${KW_LAB:-$build/tests/lab/keyward-lab}
export KW_SPY=${KW_SPY:-$build/tests/mock/spy.so} KW_INSIDER=${KW_INSIDER:-$build/tests/mock/insider.so}
export KW_TOOLS=${KW_TOOLS:-$build/tests/claims} KW_MOCK_SO=${KW_MOCK_SO:-$build/tests/mock/mock.so}
unset HTTPS_PROXY https_proxy HTTP_PROXY http_proxy ALL_PROXY all_proxy NO_PROXY no_proxy
# shellcheck source=tests/e2e/lib.sh
. "$here/../e2e/lib.sh"
# shellcheck source=tests/claims/result.sh
. "$here/result.sh"
claim_begins
: >"$out" && : >"$err"

# A tracer is not what LeakSanitizer expects, and the sanitizers' shadow makes a difference
# to a few questions.
sanitized() { grep -qa __asan_init "$KW_BIN/keyward"; }
is_root() { [ "$(id -u)" -eq 0 ]; }

# The same token behind the module that attacks from inside (tests/mock/insider.c).
insider() { # WORDS...
    export KW_SPY_REAL=$softhsm KW_SPY_REPORT=$work/report KW_SPY_INSIDER="$*"
    export KEYWARD_TOKEN_ENV='KW_SPY_REAL KW_SPY_REPORT KW_SPY_INSIDER KW_SPY_KEY KW_SPY_PORT'
    export KEYWARD_TOKEN_URI="pkcs11:token=$label?module-path=$KW_INSIDER&pin-source=file:$work/pin"
    : >"$work/report"
}
no_insider() { unset KW_SPY_REAL KW_SPY_REPORT KW_SPY_INSIDER KEYWARD_TOKEN_ENV KEYWARD_TOKEN_URI; }
reports() { grep -qF -- "$1" "$work/report"; }

# A token of our own that misbehaves by a script (tests/mock/mock.c), empty at first.
mock() { # WORD...
    export KW_MOCK="$*" KW_MOCK_LOG=$work/mock.log KW_MOCK_STORE=$work/mock.store
    export KEYWARD_TOKEN_ENV='KW_MOCK KW_MOCK_LOG KW_MOCK_STORE'
    export KEYWARD_TOKEN_URI="pkcs11:token=mock?module-path=$KW_MOCK_SO&pin-source=file:$work/mock.pin"
    [ -e "$work/mock.pin" ] || printf '1234\n' >"$work/mock.pin"
    rm -f "$work/mock.store"
    : >"$work/mock.log"
}

# The profile "lab" with Google instead, in a file of its own: needs no PKCS#11 token.
google=$work/google.ini
google_config() { # LINE...
    {
        printf '[source]\ntype = github\n[google lab]\nprovider = %s\nservice_account = %s\n' "$LAB_GOOGLE_PROVIDER" "$LAB_GOOGLE_ACCOUNT"
        printf '[policy lab]\nissuer = %s\nclaim.repository_id = 592302719\n' "$LAB_ISSUER"
        printf '[tls]\nca_file = %s\n[dial]\nresolve = %s\n' "$LAB_CA_FILE" "$LAB_RESOLVE"
        [ $# -eq 0 ] || printf '%s\n' "$@"
    } >"$google"
    # shellcheck disable=SC2034 # for the scripts
    instances=$LAB_COMPUTE_URL/compute/v1/projects/$LAB_GOOGLE_PROJECT/zones/z/instances
}

# hunt says what it searched; a find of it shows where.
hunt() {
    "$KW_TOOLS/hunt" "$@" >"$work/hunt.out" 2>&1
    local status=$?
    [ "$status" -eq "${expect:-0}" ] || sed 's/^/    hunt: /' "$work/hunt.out"
    return "$status"
}
hunt_finds() { # the positive control
    expect=1 hunt "$@"
    [ $? -eq 1 ]
}

# keyward under strace, all its processes: everything that touches a file, a descriptor,
# the network or a process, with every byte. The kernel lets an ordinary user's strace not
# see the memory of processes that may not be dumped (claim 12), so this is for root. Nobody's
# strace sees what is in memfd_secret memory, so the kernel is made to say that it has none.
traced() { # TRACE ARGUMENT...
    local trace=$1 asan=${ASAN_OPTIONS:-}
    shift
    ASAN_OPTIONS=$asan:detect_leaks=0 strace -f -y -v -x -s 65536 -o "$trace" \
        -e inject=memfd_secret:error=ENOSYS -e trace=%file,%desc,%network,%process,memfd_secret \
        "$KW_BIN/keyward" --config "$config" --profile lab "$@" \
        >"$out" 2>"$err" <"${input:-/dev/null}"
    rc=$?
}

# A call that the lab holds up for a while, so that all processes can be looked at: comes
# back when the request has been signed, hence login and exchange are over. `release` lets
# it end.
hold() { # ARGUMENT...
    fault 'latency=240000,count=1,path=/n/*' 'latency=240000,count=1,path=/compute/*'
    export KEYWARD_DIAL_TIMEOUT=240 # looking at memory takes its time, on a busy machine
    export KEYWARD_AUDIT_FILE=$work/files/hold.jsonl
    rm -f "$KEYWARD_AUDIT_FILE"
    kw_start "$@"
    local i
    for ((i = 0; i < 300; i++)); do
        grep -qE '"event":"(sign|call)"' "$KEYWARD_AUDIT_FILE" 2>/dev/null && break
        sleep 0.1
    done
    unset KEYWARD_AUDIT_FILE KEYWARD_DIAL_TIMEOUT
    sleep 0.3 # on the wire, and waiting
    ok "held: main and three roles are there" is "$(processes "$session" | wc -l)" 4
}
release() {
    kill -TERM "$session"
    kw_wait
    fault
    ok 'held call: it ends when told to' no_strays
}
role_pid() { # ROLE. A busy machine may need a second look.
    local pid look comm=keyward
    [ "$1" = main ] || comm=$(printf 'keyward-%s' "$1" | cut -c1-15)
    for look in 1 2 3 4 5 6 7 8 9; do
        for pid in $(processes "$session"); do
            [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$comm" ] && echo "$pid" && return
        done
        sleep "0.0$look"
    done
}

# What the table of claims says of this run, besides the number of checks: figure "4 ms".
figures=''
figure() { figures+="; $*"; }
# Nothing that decides can be looked at here, as this user or by this kernel: then it is
# neither held nor broken, and the table says why.
unjudged=''
not_judged() { unjudged=$*; } # REASON
finish() {
    local verdict=held
    [ -z "$unjudged" ] || verdict="not judged: $unjudged"
    [ "$tests" -gt 0 ] && [ "$failed" -eq 0 ] || verdict='NOT HELD'
    echo "$tests checks, $failed failed$figures"
    [ "$verdict" = held ] || echo "$verdict"
    claim_result "$verdict" "$tests checks$figures"
    [ "$verdict" != 'NOT HELD' ]
    exit $?
}
