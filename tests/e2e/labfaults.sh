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
# user's, whatever it is). token-stale is of Google's token service: OCI's takes no notice.
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
cut - 20 8 8 8
late-status =503 20 8 8 8
page =0 20 - 0 -
lro-fails - 20 - 0 -
lro-polls =5 20 - 0 -
spread =5 20 - 0 -
denied =* 20 - 0 -
TABLE
}
# The same where it meets Google: issuer, token service, IAM Credentials, API. What is temporary
# is tried again there until the time is over.
google_table() {
    cat <<TABLE
latency =12000 5 8 8 8 8
status =503 4 8 8 8 8
status =401 20 5 7 7 7
drop - 4 8 8 8 8
not-json - 20 5 7 7 0
html - 20 5 7 7 0
redirect =$LAB_ISSUER/elsewhere 20 5 7 7 7
truncate - 4 8 8 8 8
reset - 4 8 8 8 8
overlong - 20 5 7 7 -
overlong =100000 20 5 7 7 0
endless - 20 5 7 7 -
endless =10000000000 5 5 7 7 8
drip =400 5 8 8 8 8
long-header =20000 20 5 7 7 7
jwk-wrong - 20 - 0 - -
jwk-missing - 20 - 0 - -
jwk-object - 20 - 0 - -
token-expired - 20 - 0 - -
token-life =100 20 - 0 - -
token-garbage - 20 - 7 0 -
token-absent - 20 - 7 0 -
token-stale - 20 - 7 - -
jwt-wrong-key - 20 7 - - -
jwt-expired - 20 6 - - -
jwt-garbage - 20 5 - - -
clock =7200 20 6 - - -
cut - 4 8 8 8 8
late-status =503 4 8 8 8 8
page =0 20 - 0 0 0
lro-fails - 20 - 0 0 0
lro-polls =5 20 - 0 0 0
spread =5 20 - 0 0 0
denied =nothing 20 - 0 0 0
TABLE
}
path_of() { # PLACE
    case $1 in
    sts) echo /v1/token ;;
    iam) echo '*generateAccessToken' ;;
    compute) echo '/compute/*' ;;
    issuer) echo '/token-request*' ;;
    domain) echo /oauth2/v1/token ;;
    api) echo /n/ ;;
    esac
}
# What a command makes of it: `keys` speaks to nobody, `claims` to the issuer only and judges
# no signature, and an API call is made by `request` only.
expected() { # COMMAND PLACE CODE KIND
    case $1:$2:$4 in
    keys:* | claims:domain:* | claims:sts:* | claims:iam:* | claims:issuer:jwt-wrong-key) echo 0 ;;
    request:api:* | request:compute:*) echo "$3" ;;
    *:api:* | *:compute:*) echo 0 ;;
    *) echo "$3" ;;
    esac
}
meet() { # COMMAND PLACE KIND VALUE CODE
    local command=$1 name="$3${4#-}, $2, $1" want before
    want=$(expected "$1" "$2" "$5" "$3")
    fault "$3${4#-},path=$(path_of "$2")"
    [ "$3" != clock ] || fault "$3$4"
    case $command in
    request) set -- request GET -o "$work/files/new" "$called" ;;
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

ok "Google's table, too" is "$(google_table | cut -d' ' -f1 | sort -u)" "$(cat "$work/kinds")"

n=0 met=0
meetings() { # TABLE PLACE...: of the commands
    local kind value timeout codes p command places=("${@:2}")
    while read -r kind value timeout codes; do
        export KEYWARD_DIAL_TIMEOUT=$timeout
        read -ra codes <<<"$codes"
        n=$((n + 1))
        if [ "${KW_LABFAULTS:-}" = all ]; then
            for p in "${!places[@]}"; do
                [ "${codes[$p]}" = - ] && continue
                for command in "${commands[@]}"; do
                    meet "$command" "${places[$p]}" "$kind" "$value" "${codes[$p]}"
                    met=$((met + 1))
                done
            done
        elif [ $((n % every)) -eq 0 ]; then
            p=$((n % ${#places[@]}))
            while [ "${codes[$p]}" = - ]; do p=$(((p + 1) % ${#places[@]})); done
            meet "${commands[$((n % ${#commands[@]}))]}" "${places[$p]}" "$kind" "$value" "${codes[$p]}"
            met=$((met + 1))
        fi
    done < <("$1")
}
called=$LAB_OBJECTS_URL/n/
meetings table issuer domain api

# --- Google ------------------------------------------------------------------------------------------
{
    printf '[source]\ntype = github\n[google lab]\nprovider = %s\nservice_account = %s\n' "$LAB_GOOGLE_PROVIDER" "$LAB_GOOGLE_ACCOUNT"
    printf '[policy lab]\nissuer = %s\nclaim.repository_id = 592302719\n' "$LAB_ISSUER"
    printf '[tls]\nca_file = %s\n[dial]\nresolve = %s\n' "$LAB_CA_FILE" "$LAB_RESOLVE"
} >"$work/google.ini"
config=$work/google.ini
commands=(exchange request claims doctor)
called=$LAB_COMPUTE_URL/compute/v1/projects/$LAB_GOOGLE_PROJECT/zones/z/instances
meetings google_table issuer sts iam compute
ok 'faults were met' test "$met" -ge $((n / every))
echo "$met meetings of $n faults"
finish
