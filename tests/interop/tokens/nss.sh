#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# NSS softokn, the token of Firefox's kind of databases. It says of a key that it never was
# and never will be extractable, and wraps it for whoever asks: refused, with words that say
# so, unless the user takes the risk by name. It has no daemon: its database is moved away.
# shellcheck source=tests/interop/tokens/lib.sh
. "$(dirname "$0")/lib.sh"
name='NSS softokn' package=libnss3 token='NSS Certificate DB'
module=$(find_module libsoftokn3.so) || exit 1
mkdir "$work/nss"
printf '%s\n' "$pin" >"$work/nss.pin"
certutil -N -d "sql:$work/nss" -f "$work/nss.pin" || exit 1
in_token() { # certutil says so, on standard error, where there is none
    certutil -K -d "sql:$work/nss" -f "$work/nss.pin" 2>/dev/null | grep '^<'
}
stop() { mv "$work/nss" "$work/away"; }
start_it() { mv "$work/away" "$work/nss"; }
args="args = configdir='sql:$work/nss' flags=readWrite"

begin "$args"
may_change=/nss/
# Both that it gives keys out and that CKA_LOCAL is wrong, in one go, and the way to take it.
for command in exchange "request GET $LAB_OBJECTS_URL/n/" "sign GET $LAB_OBJECTS_URL/n/"; do
    # shellcheck disable=SC2086 # words
    fails "NSS, ${command%% *}" 3 'gives keys out that it calls safe|C_WrapKey by CKM_|gives the key out|take the risk with [key] accept = extractable|CKA_LOCAL is 0, not 1|[key] accept: not-local' $command
    ok "NSS, ${command%% *}: no key of ours stays" is "$(in_token)" ''
done
ok 'NSS: no request was signed' is "$(requests '"host": *"objectstorage')" 0
kw doctor
ok 'NSS, doctor: exit code' is "$rc" 3
ok 'NSS, doctor: says what fails' has 'gives keys out that it calls safe'
for half in extractable not-local modifiable; do
    KEYWARD_KEY_ACCEPT=$half fails "NSS, only $half accepted" 3 '[key] accept' exchange
done

printf '[key]\naccept = extractable not-local\n' >>"$config"
configured="[token] args = configdir='sql:/PATH' flags=readWrite; [key] accept = extractable not-local"
as_told 1 CKM_SHA256_RSA_PKCS \
    'TOKEN=0 PRIVATE=1 SENSITIVE=1 EXTRACTABLE=0 ALWAYS_SENSITIVE=1 NEVER_EXTRACTABLE=1 LOCAL=0 MODIFIABLE=0 COPYABLE=0 SIGN=1 DECRYPT=0 UNWRAP=0 SIGN_RECOVER=0 DERIVE=0' \
    'C_WrapKey by CKM_'
ok 'NSS, accepted: a request was signed' is "$(requests '"host": *"objectstorage')" 1
kw exchange
ok 'NSS, accepted: said all the same' says 'weakness accepted by [key] accept: C_WrapKey by CKM_'
many
# Keys in its database are slow beyond use (each touch derives a key from the PIN anew), so
# that another program sees what is in there is shown with a key of certutil's.
certutil -G -d "sql:$work/nss" -f "$work/nss.pin" -z "$work/pin" >"$work/certutil.log" 2>&1
ok 'certutil sees a key where there is one' test -n "$(in_token)"
certutil -F -d "sql:$work/nss" -f "$work/nss.pin" -k "$(in_token | sed -n 's/^<[ 0-9]*> rsa *\([0-9a-f]*\).*/\1/p')" >"$work/certutil.log" 2>&1
ok 'certutil sees none where there is none' is "$(in_token)" ''
dies survives 'C_Initialize'
row
finish
