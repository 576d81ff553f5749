#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The token, the PIN and the module: wrong, absent, doubled, hanging, crashing, lying. One
# login costs one try of the PIN, and a failure none that is not needed.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
namespace=$LAB_OBJECTS_URL/n/

# --- where the PIN comes from --------------------------------------------------------------

KEYWARD_TOKEN_PIN_SOURCE=fd:9 kw exchange 9<"$work/pin"
expect_exit 'PIN by descriptor' 0
mkdir "$work/credentials"
cp "$work/pin" "$work/credentials/pin"
CREDENTIALS_DIRECTORY=$work/credentials KEYWARD_TOKEN_PIN_SOURCE=credential:pin succeeds 'PIN by credential' exchange
typed() { # TEXT: at a terminal
    sleep 1 | cat - <(printf '%s\r' "$1") <(sleep 2) |
        KEYWARD_TOKEN_PIN_SOURCE=prompt script -qec "'$KW_BIN/keyward' --config '$config' exchange" /dev/null >"$out" 2>"$err"
    rc=$?
}
typed "$pin"
ok 'PIN at the prompt' is "$rc:$(grep -c 'PIN of the token' "$out")" 0:1
ok 'PIN at the prompt: not echoed' no_secrets

# --- the PIN -------------------------------------------------------------------------------

printf 'not-the-pin\n' >"$work/wrong"
wrong_pin() { # NAME ARGUMENT...
    local name=$1
    shift
    spy
    KEYWARD_TOKEN_PIN_SOURCE=file:$work/wrong fails "$name" 4 'PIN|not tried again' "$@"
    ok "$name: one C_Login" is "$(calls C_Login)" 1
    no_spy
}
wrong_pin 'wrong PIN' exchange
wrong_pin 'wrong PIN: request' request GET -o "$work/files/new" "$namespace"
wrong_pin 'wrong PIN: sign' sign GET "$namespace"
spy
KEYWARD_TOKEN_PIN_SOURCE=file:$work/wrong kw doctor
ok 'wrong PIN: doctor' is "$rc:$(calls C_Login)" 4:1
KEYWARD_TOKEN_PIN_SOURCE=file:$work/wrong kw keys
ok 'wrong PIN: keys' is "$rc:$(calls C_Login)" 4:2
no_spy
export KEYWARD_KEY_STORAGE=token
succeeds 'a session is kept' exchange
wrong_pin 'wrong PIN with a stored session' request GET "$namespace"
succeeds 'the stored session outlives that' request GET "$namespace"
succeeds 'keys --prune --all' keys --prune --all
unset KEYWARD_KEY_STORAGE
for flag in final locked; do
    spy $flag
    fails "token says $flag" 4 'PIN' exchange
    ok "token says $flag: not tried" is "$(calls C_Login)" 0
done
spy
succeeds 'the right PIN still works' exchange
ok 'one login' is "$(calls C_Login)" 1
inits=$(calls C_SignInit) signs=$(calls C_Sign) # the key is tried before it is used
spy
succeeds 'a call' request GET "$namespace"
pairs=$(calls C_GenerateKeyPair)
ok 'two calls a signature' is "$(calls C_SignInit):$(calls C_Sign)" "$((inits + 1)):$((signs + 1))"
no_spy

# --- the module ----------------------------------------------------------------------------

module() { # NAME "TEXT" PATH
    KEYWARD_TOKEN_URI="pkcs11:token=$label?module-path=$3&pin-source=file:$work/pin" fails "module: $1" 3 "$3|$2" exchange
}
module 'absent' '' "$work/none.so"
module 'no library' '' "$work/pin"
module 'a directory' '' "$work"
module 'a library, but no module' 'C_GetFunctionList' "$(find /lib /usr/lib -name 'libz.so.1' -o -name 'libm.so.6' | head -n 1)"
bad() { # NAME "TEXT" WORDS ARGUMENT...
    local name=$1 text=$2 words=$3
    shift 3
    # shellcheck disable=SC2086 # words
    spy $words
    fails "module $name" 3 "$text" "$@"
    no_spy
}
bad 'crashes in C_GetSlotList' 'crashed|the enumeration of slots' C_GetSlotList@1=crash exchange
for function in C_Initialize C_OpenSession C_Login C_GenerateKeyPair; do
    bad "crashes in $function" "crashed|$function" "$function@1=crash" exchange
done
# The first three: key and twin are tried, and the twin once more after it was attacked.
for n in 1 4; do
    bad "crashes in the $n. C_Sign" 'crashed|C_Sign' C_Sign@$n=crash request GET -o "$work/files/new" "$namespace"
done
bad 'aborts' 'crashed|C_Login' C_Login@1=abort exchange
bad 'ends the process' 'ended the process|C_Login' C_Login@1=exit exchange
export KEYWARD_DIAL_TIMEOUT=3
for function in C_GetFunctionList C_Initialize C_Login C_GenerateKeyPair; do
    bad "hangs in $function" "did not come back from|$function" "$function@1=hang" exchange
done
for n in 1 4; do
    KEYWARD_DIAL_TIMEOUT=3 bad "hangs in the $n. C_Sign" 'C_Sign' C_Sign@$n=hang request GET -o "$work/files/new" "$namespace"
done
unset KEYWARD_DIAL_TIMEOUT
bad 'answers CKR_DEVICE_ERROR' 'CKR_DEVICE_ERROR|C_OpenSession' C_OpenSession@1=0x30 exchange
bad 'generates nothing' 'CKR_DEVICE_ERROR|C_GenerateKeyPair' 'C_GenerateKeyPair@*=0x30' exchange
bad 'signs wrongly' 'does not verify' badsig request GET -o "$work/files/new" "$namespace"
bad 'signs requests wrongly' 'does not verify' 'C_Sign@4..=badsig' request GET -o "$work/files/new" "$namespace"
spy C_Sign@1=0x70 # of the key or of its twin, whichever was there first
succeeds 'makes a key that cannot sign: another rung is taken' request GET "$namespace"
ok 'makes a key that cannot sign: one key more' is "$(calls C_GenerateKeyPair)" "$((pairs + 1))"
no_spy
bad 'makes extractable keys' 'accept' force:0x162=1 exchange
bad 'shows keys as not sensitive' 'SENSITIVE' show:0x103=0 exchange
bad 'wraps the key' 'accept' wrap exchange
bad 'gives out a copy' 'accept' copy exchange
bad 'lets attributes be changed' 'accept' change exchange
spy stdout
kw request GET "$namespace"
ok "module prints: our result alone" is "$rc:$(cat "$out")" "0:\"$LAB_NAMESPACE\""
no_spy

# --- the token -----------------------------------------------------------------------------

token() { # NAME "TEXT" ATTRIBUTES
    KEYWARD_TOKEN_URI="pkcs11:$3?module-path=$softhsm&pin-source=file:$work/pin" fails "token: $1" 3 "$2" exchange
}
token 'absent' 'no token|token=nobody|e2e' 'token=nobody'
token 'another serial' 'no token|serial=1234' "token=$label;serial=1234"
serial=$(softhsm2-util --show-slots | sed -n 's/.*Serial number: *\([0-9a-f]\{1,\}\)$/\1/p' | head -n 1)
new_token "$label"
token 'two of the same label' "2 tokens match|serial=$serial|by its serial" "token=$label"
KEYWARD_TOKEN_URI="pkcs11:serial=$serial?module-path=$softhsm&pin-source=file:$work/pin" succeeds 'token by serial' exchange
rm -rf "$work/tokens"
mkdir "$work/tokens"
token 'none at all' 'no token' "token=$label"
SOFTHSM2_CONF=$work/none token "the module's own configuration is missing" '' "token=$label"
finish
