#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2119 # start takes options, of the lab
#
# What goes on side by side: several commands on one stored session, a login beside a
# network that fails, an error behind a result. And where results go.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
namespace=$LAB_OBJECTS_URL/n/
good_config=$(cat "$config")

# --- a wrong PIN is heard of, whatever else fails --------------------------------------------
printf '0000\n' >"$work/wrong"
sed -i "s#file:$work/pin#file:$work/wrong#" "$config"
sed -i -E 's#:127\.0\.0\.1:[0-9]+#:127.0.0.1:1#g' "$config"
fails 'wrong PIN and no network: the PIN is the news' 4 'CKR_PIN_INCORRECT' exchange
kw doctor
expect_exit 'doctor, wrong PIN and no network' 4
printf '%s\n' "$good_config" >"$config"
sed -i "s#file:$work/pin#file:$work/wrong#; s#^claim.repository_id = .*#claim.repository_id = 1#" "$config"
fails 'wrong PIN and a refused token' 4 'CKR_PIN_INCORRECT' exchange
printf '%s\n' "$good_config" >"$config"
sed -i -E 's#:127\.0\.0\.1:[0-9]+#:127.0.0.1:1#g' "$config"
kw exchange
expect_exit 'the right PIN and no network' 8
printf '%s\n' "$good_config" >"$config"

# --- one stored session, many commands -------------------------------------------------------
export KEYWARD_KEY_STORAGE=token
state=$HOME/.local/state/keyward/lab.session
all_at_once() { # N ARGUMENT...: each one's exit code in $work/rc.*
    local n=$1 i waits=''
    shift
    for i in $(seq "$n"); do
        {
            setsid "$KW_BIN/keyward" --config "$config" --profile lab "$@" >"$work/out.$i" 2>"$work/err.$i" </dev/null
            echo $? >"$work/rc.$i"
        } &
        waits="$waits $!"
    done
    # shellcheck disable=SC2086 # words
    wait $waits
    rc=$(sort -u "$work"/rc.* | tr '\n' ' ')
    cat "$work"/err.[0-9]* >"$err"
    rm -f "$work"/rc.* "$work"/out.[0-9]* "$work"/err.[0-9]*
}
all_at_once 5 request GET "$namespace"
ok 'five commands without a session: all served' is "$rc" '0 '
ok 'five commands without a session: one exchange' is "$(requests '"target":"/oauth2/v1/token"')" 1
ok 'five commands without a session: one key pair' is "$(objects)" 2
sed -i 's/"not_after":[0-9]*/"not_after":1700000000/' "$state"
all_at_once 4 request GET "$namespace"
ok 'four commands, session expired: all served' is "$rc" '0 '
ok 'four commands, session expired: one key pair' is "$(objects)" 2
all_at_once 3 exchange
ok 'three renewals at once' is "$rc" '0 '
ok 'three renewals at once: one key pair' is "$(objects)" 2
ok 'three renewals at once: nothing to warn of' not says 'still in the token'
succeeds 'the session serves' request GET "$namespace"

# The stored key is gone, and the PIN can be read but once.
find "$work/tokens" -name '*.object' ! -name token.object -delete
KEYWARD_TOKEN_PIN_SOURCE=fd:0 input=$work/pin kw request GET "$namespace"
expect_exit 'the key gone, the PIN by descriptor' 3
ok 'the key gone, the PIN by descriptor: the cure' says 'run keyward exchange'
KEYWARD_TOKEN_PIN_SOURCE=fd:0 input=$work/pin kw exchange
expect_exit 'the cure' 0
unset KEYWARD_KEY_STORAGE

# --- one object, whatever happens ------------------------------------------------------------
odd=$(printf 'a\xff\xfeb')
cp "$config" "$work/$odd.ini"
config_was=$config config=$work/$odd.ini
succeeds 'policy --json, a path that is no UTF-8' --json policy
ok 'policy --json, a path that is no UTF-8: JSON' json
ok 'policy --json, a path that is no UTF-8: the issuer' is "$(field issuer)" "$LAB_ISSUER"
succeeds 'doctor --json, a path that is no UTF-8' --json doctor
ok 'doctor --json: no step is lost' has '"step": "configuration"'
config=$config_was
fails 'a profile that is no UTF-8' 2 'letters, digits' --profile "$odd" policy
echo '{"iss":"x","exp":1}' >"$work/$odd"
kw --json claims --claims-file "$work/$odd"
expect_exit 'claims --json refused' 6
ok 'claims --json refused: one object' json
ok 'claims --json refused: both the rules and the error' is "$(grep -cE '"rules"|"error"' "$out")" 2
KEYWARD_KEY_STORAGE=token succeeds 'keys --json' --json keys
ok 'keys --json: an object' has '"keys": ['
printf '{"a":1,"a":2}' >"$work/twice"
succeeds 'PUT' request PUT -d "@$work/twice" "$objects_url/twice"
succeeds 'GET --json, a member twice' --json request GET "$objects_url/twice"
ok 'GET --json, a member twice: nothing is lost' has '{\"a\":1,\"a\":2}'

# --- where -o goes ---------------------------------------------------------------------------
mkfifo "$work/pipe"
cat "$work/pipe" >"$work/piped" &
reader=$!
succeeds '-o to a pipe' request GET -o "$work/pipe" "$namespace"
wait "$reader"
ok '-o to a pipe: it is still one' test -p "$work/pipe"
ok '-o to a pipe: the answer went through' file_has "$work/piped" "$LAB_NAMESPACE"
echo old >"$work/files/real"
ln -s real "$work/files/link"
succeeds '-o to a link' request GET -o "$work/files/link" "$namespace"
ok '-o to a link: it is still one' test -L "$work/files/link"
ok '-o to a link: the file behind it' file_has "$work/files/real" "$LAB_NAMESPACE"
ln -s /dev/null "$work/files/null"
succeeds '-o to a device' request GET -o "$work/files/null" "$namespace"
ok '-o to a device: nothing took its place' test -c "$work/files/null"
succeeds '-o -' request GET -o - "$namespace"
ok '-o -: standard output' has "$LAB_NAMESPACE"
n=$(requests '"target":"/n/')
fails '-o where nothing can be written' 1 '/nonexistent' request PUT -d x -o /nonexistent/x "$objects_url/never"
ok '-o where nothing can be written: nothing was asked for' is "$(requests '"target":"/n/')" "$n"

# What is signed is what was given: another's client sends it as it stands.
succeeds 'sign' sign GET "${namespace}%7Ex"
grep -E '^[a-z0-9-]+: ' "$out" >"$work/headers"
code=$(curl -sS --cacert "$LAB_CA_FILE" --noproxy '*' --connect-to "$LAB_CONNECT_TO" --path-as-is \
    -H "@$work/headers" -o "$work/answer" -w '%{http_code}' "${namespace}%7Ex")
ok 'sign: the signature is good for %7E as given' is "$code" 404
finish
