#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Each kind of fault that the lab knows, at each place where keyward talks to a server, met by
# each command: the exit code that the table below has, one line, and nothing left. (What the
# line says is badcloud.sh's.) KW_LABFAULTS=all does all of it; else each kind meets one
# command at one place.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
export KEYWARD_KEY_STORAGE=session
every=1
! grep -qa __asan_init "$KW_BIN/keyward" || every=3
commands=(exchange request sign claims doctor keys)

# kind, its value, [dial] timeout, and the exit codes where it meets the issuer's token service,
# the identity domain and the API. -: it can't. 0: no fault for keyward (an API's answer is the
# user's, whatever it is). token-stale is of Google's token service: others take no notice.
table() {
    cat <<TABLE
latency =12000 5 8 8 8
status =503 20 8 8 8
status =401 20 5 7 7
drop - 20 8 8 8
not-json - 20 5 7 0
html - 20 5 7 0
redirect =$LAB_ISSUER/elsewhere 20 5 7 7
truncate - 20 8 8 8
reset - 20 8 8 8
overlong - 20 5 7 -
overlong =100000 20 5 7 0
endless - 20 5 7 -
endless =10000000000 5 5 7 8
drip =400 5 8 8 8
long-header =20000 20 5 7 7
jwk-wrong - 20 - 7 -
jwk-missing - 20 - 7 -
jwk-object - 20 - 0 -
token-expired - 20 - 7 -
token-life =100 20 - 0 -
token-garbage - 20 - 7 -
token-absent - 20 - 7 -
token-stale - 20 - 0 -
jwt-wrong-key - 20 7 - -
jwt-expired - 20 6 - -
jwt-garbage - 20 5 - -
clock =7200 20 6 - -
TABLE
}
path_of() { # PLACE
    case $1 in
    issuer) echo '/token-request*' ;;
    domain) echo /oauth2/v1/token ;;
    api) echo /n/ ;;
    esac
}
# What a command makes of it: `keys` speaks to nobody, `claims` to the issuer only and judges
# no signature, and an API call is made by `request` only.
expected() { # COMMAND PLACE CODE KIND
    case $1:$2:$4 in
    keys:* | claims:domain:* | claims:issuer:jwt-wrong-key) echo 0 ;;
    request:api:*) echo "$3" ;;
    *:api:*) echo 0 ;;
    *) echo "$3" ;;
    esac
}
meet() { # COMMAND PLACE KIND VALUE CODE
    local command=$1 name="$3${4#-}, $2, $1" want before
    want=$(expected "$1" "$2" "$5" "$3")
    fault "$3${4#-},path=$(path_of "$2")"
    [ "$3" != clock ] || fault "$3$4"
    case $command in
    request) set -- request GET -o "$work/files/new" "$LAB_OBJECTS_URL/n/" ;;
    sign) set -- sign GET "$LAB_OBJECTS_URL/n/" ;;
    *) set -- "$command" ;;
    esac
    before=$(snapshot)
    # (doctor's words are its result, and so is what claims shows of what policy refuses.)
    if [ "$want" -ne 0 ] && [ "$command" != doctor ] && [ "$command:$want" != claims:6 ]; then
        fails "$name" "$want" '' "$@"
        return
    fi
    kw "$@"
    expect_exit "$name" "$want"
    [ "$command:$want" = "$command:0" ] || ok "$name: $command names it" grep -qE 'FAIL|REFUSED|refuse' "$out" "$err"
    ok "$name: no process left" no_strays
    ok "$name: no secret told" no_secrets
    rm -f "$work/files/new"
    ok "$name: nothing else is left" is "$(snapshot)" "$before"
}

"$KW_LAB" --help | sed -n '/^faults:/,/^files /p' | sed -nE 's/^  ([a-z-]+)(\[?=[A-Z]+\]?)?  .*/\1/p' | sort -u >"$work/kinds"
ok 'the table has every kind of fault' is "$(table | cut -d' ' -f1 | sort -u)" "$(cat "$work/kinds")"

n=0 met=0
while read -r kind value timeout issuer domain api; do
    export KEYWARD_DIAL_TIMEOUT=$timeout
    codes=("$issuer" "$domain" "$api") places=(issuer domain api)
    n=$((n + 1))
    [ "${codes[*]}" != '- - -' ] || continue # of a service that this table doesn't have
    if [ "${KW_LABFAULTS:-}" = all ]; then
        for p in 0 1 2; do
            [ "${codes[$p]}" = - ] && continue
            for command in "${commands[@]}"; do
                meet "$command" "${places[$p]}" "$kind" "$value" "${codes[$p]}"
                met=$((met + 1))
            done
        done
    elif [ $((n % every)) -eq 0 ]; then
        p=$((n % 3))
        while [ "${codes[$p]}" = - ]; do p=$(((p + 1) % 3)); done
        meet "${commands[$((n % 5))]}" "${places[$p]}" "$kind" "$value" "${codes[$p]}"
        met=$((met + 1))
    fi
done < <(table)
ok 'faults were met' test "$met" -ge $((n / every))
echo "$met meetings of $n faults"
finish
