#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# [key] storage = token: one exchange serves later commands, and whatever goes wrong with
# what was kept heals itself or is named.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
export KEYWARD_KEY_STORAGE=token
state=$HOME/.local/state/keyward/lab.session
namespace=$LAB_OBJECTS_URL/n/
exchanges() { requests '"target":"/oauth2/v1/token"'; }
key_id() { sed 's/.*"key":"\([0-9a-f]*\)".*/\1/' "$state"; }

succeeds 'exchange' exchange
ok 'exchange: no word of a rehearsal' not says rehearsal
ok 'the state: mode 0600' is "$(stat -c %a "$state")" 600
ok 'the state: its folder' is "$(stat -c %a "$(dirname "$state")")" 700
ok 'the token: a key pair' is "$(objects)" 2
ok 'one exchange' is "$(exchanges)" 1
first=$(key_id)
succeeds 'request' request GET "$namespace"
succeeds 'sign' sign GET "$namespace"
succeeds 'request again' request GET "$compartments_url"
ok 'still one exchange' is "$(exchanges)" 1
ok 'and one subject token' is "$(requests '"target":"/token-request')" 1
ok 'the key in keyId is that of the token' is "$(key_id)" "$first"
succeeds 'keys' keys
ok 'keys: the stored one' grep -qE "^$first .* stored session" "$out"
succeeds 'keys --json' --json keys
ok 'keys --json: id' is "$(field id)" "$first"
succeeds 'keys --prune' keys --prune
ok 'keys --prune: leaves the session in use' is "$(objects)" 2

# Each exchange makes a new key and takes the old one away.
succeeds 'exchange again' exchange
ok 'exchange again: one key pair' is "$(objects)" 2
ok 'exchange again: another one' not is "$(key_id)" "$first"

# The stored session has expired.
sed -i 's/"not_after":[0-9]*/"not_after":1700000000/' "$state"
n=$(exchanges)
succeeds 'request with an expired state' request GET "$namespace"
ok 'request with an expired state: a new exchange' is "$(exchanges)" $((n + 1))
ok 'request with an expired state: one key pair' is "$(objects)" 2

# The key is deleted behind our back.
find "$work/tokens" -name '*.object' ! -name token.object -delete
succeeds 'request without the key' request GET "$namespace"
ok 'request without the key: a new exchange' is "$(exchanges)" $((n + 2))
ok 'request without the key: one key pair' is "$(objects)" 2

# The state belongs to another configuration: never taken for ours.
n=$(exchanges)
good=$(cat "$state")
KEYWARD_OCI_REQUESTED=rpst KEYWARD_OCI_RES_TYPE=$LAB_RES_TYPE kw request GET "$namespace"
expect_exit 'request with another configuration' 0
ok 'request with another configuration: an exchange of its own' is "$(exchanges)" $((n + 1))
ok 'request with another configuration: one key pair' is "$(objects)" 2

# Two profiles, each with its own state.
one=$config two=$work/two.ini
{ cat "$one" && sed -n '/^\[oci lab\]/,/^$/p' "$one" | sed "s/oci lab/oci other/; s/^client_id.*/client_id = other/"; } >"$two"
cp "$state" "${state%lab.session}other.session"
config=$two
kw --profile other request GET "$namespace"
expect_exit "another profile with this one's state: not served by it" 7
ok "another profile with this one's state: its own client is refused" says invalid_client
config=$one
succeeds 'exchange' exchange
good=$(cat "$state")

# Damaged in every way: named, and not touched.
damaged() { # NAME TEXT
    local before
    printf '%s' "$2" >"$state"
    before=$(cat "$state")
    fails "state: $1" 2 "$state|remove it" request GET "$namespace"
    ok "state: $1: left as it was" is "$(cat "$state")" "$before"
}
damaged 'empty' ''
damaged 'no JSON' 'hello'
damaged 'half' "${good:0:60}"
damaged 'another version' "${good/\"version\":1/\"version\":2}"
damaged 'no key id' "$(sed 's/"key":"[0-9a-f]*"/"key":"..\/x"/' <<<"$good")"
damaged 'a member too many' "${good/\{/\{\"x\":1,}"
damaged 'a member twice' "${good/\{/\{\"version\":1,}"
printf '%s' "$good" >"$state"
chmod 644 "$state"
fails 'state: others can read it' 2 "$state|chmod 600" request GET "$namespace"
rm "$state"
printf '%s' "$good" >"$work/kept"
ln -s "$work/kept" "$state"
fails 'state: a symbolic link' 2 "$state" request GET "$namespace"
rm "$state"
mkdir "$state"
fails 'state: a directory' 2 "$state" request GET "$namespace"
rmdir "$state"
tampered=$(sed 's/"token":"\(.*\)\..*"/"token":"\1.AAAA"/' <<<"$good")
printf '%s' "$tampered" >"$state"
chmod 600 "$state"
kw request GET "$namespace"
expect_exit 'state: a session token with a broken signature is the cloud'\''s to refuse' 7
printf '%s' "$(sed 's/"token":"[^"]*"/"token":"no-jwt"/' <<<"$good")" >"$state"
succeeds 'state: no JWT: made anew' request GET "$namespace"

# Left-overs and the end.
rm "$state"
succeeds 'keys: left over' keys
ok 'keys: left over is said' has 'left over'
succeeds 'keys --prune' keys --prune
ok 'keys --prune: nothing is left' is "$(objects)" 0
succeeds 'exchange' exchange
succeeds 'keys --prune --all' keys --prune --all
ok 'keys --prune --all: nothing is left' is "$(objects):$(test -e "$state" || echo gone)" 0:gone
kw keys --all
expect_exit 'keys --all alone' 2
ok 'keys --all alone: says why' says '--prune'

# A failed renewal does not cost the session that is there.
succeeds 'exchange' exchange
fault status=401,path=/oauth2/v1/token
kw exchange
expect_exit 'a failed renewal' 7
succeeds 'the old session still serves' request GET "$namespace"
ok 'one key pair' is "$(objects)" 2
fault
unset HOME
fails 'no place for the state' 2 'XDG_STATE_HOME' exchange
STATE_DIRECTORY=$work/files kw exchange
ok 'STATE_DIRECTORY' is "$rc:$(stat -c %a "$work/files/lab.session")" 0:600
finish
