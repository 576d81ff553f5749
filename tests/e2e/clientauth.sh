#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The exchange without a client secret: signed by an API key in the token, or by a JWT
# assertion; and resource principal session tokens.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start_token
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$work/api.pem" 2>"$work/openssl.log" || exit 1
openssl pkey -in "$work/api.pem" -pubout -out "$work/api.pub" || exit 1
for name in api:a1 other:b2; do
    softhsm2-util --import "$work/api.pem" --token "$label" --label "${name%:*}" --id "${name#*:}" --pin "$pin" \
        >"$work/softhsm.log" 2>&1 || { cat "$work/softhsm.log" && exit 1; }
done
key_id=ocid1.tenancy.oc1..aaaaaaaakeywardlab/ocid1.user.oc1..aaaaaaaauser/$(openssl pkey -pubin -in "$work/api.pub" \
    -outform DER | openssl md5 -c | sed 's/.*= *//')
start_lab --api-key "$key_id=$work/api.pub" --assertion-key "lab-alias=$work/api.pub"
write_config
# From here on the client secret is of no use.
rm "$LAB_CLIENT_SECRET_FILE"
sed -i '/^client_secret_source/d' "$config"
printf '[audit]\nfile = %s\n' "$work/files/audit" >>"$config"
before=$(objects)
namespace=$LAB_OBJECTS_URL/n/

fails 'no secret and no key' 2 'client_secret_source' exchange

export KEYWARD_OCI_CLIENT_AUTH=signature
fails 'signature without a key' 2 'client_key' exchange
export KEYWARD_OCI_CLIENT_KEY='pkcs11:object=api'
may_change=files/audit
fails 'signature without a keyId' 2 'client_key_id' exchange
export KEYWARD_OCI_CLIENT_KEY_ID=$key_id
succeeds 'signature' exchange
succeeds 'signature: request' request GET "$namespace"
KEYWARD_OCI_CLIENT_KEY='pkcs11:id=%A1' succeeds 'signature, key by id' exchange
KEYWARD_OCI_CLIENT_KEY='pkcs11:object=none' fails 'signature, no such key' 3 'client key|none|label and id' exchange
KEYWARD_OCI_CLIENT_KEY_ID=$key_id-x fails 'signature, unknown keyId' 7 "invalid_client|or the client's key" exchange
succeeds 'the API key is not for calls' audit verify "$work/files/audit"

export KEYWARD_OCI_CLIENT_AUTH=assertion
fails 'assertion without an alias' 2 'client_key_kid' exchange
export KEYWARD_OCI_CLIENT_KEY_KID=lab-alias
succeeds 'assertion' exchange
succeeds 'assertion: request' request GET "$namespace"
KEYWARD_OCI_CLIENT_KEY_KID=none fails 'assertion, unknown alias' 7 'invalid_client' exchange

export KEYWARD_OCI_REQUESTED=rpst
fails 'rpst without a res_type' 2 'res_type' exchange
export KEYWARD_OCI_RES_TYPE=$LAB_RES_TYPE
KEYWARD_OCI_RPST_EXP=120 succeeds 'rpst' --json exchange
left=$(($(field expires_at) - $(date +%s)))
ok "rpst: lives as long as asked for ($left s)" test "$left" -gt 60 -a "$left" -le 121
succeeds 'rpst: request' request GET "$namespace"
KEYWARD_OCI_RES_TYPE=none fails 'rpst, unknown resource' 7 '' exchange
KEYWARD_OCI_RPST_EXP=43201 fails 'rpst, too long a life' 2 'KEYWARD_OCI_RPST_EXP|43200' exchange
ok 'the token holds what it held' is "$(objects)" "$before"
ok 'audit: no secret' not grep -qFf "$work/secrets" "$work/files/audit"
finish
