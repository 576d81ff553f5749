# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by e2e.sh: the client's keys.
for k in session other api; do
    openssl genrsa -out "$work/$k.pem" 2048 2>/dev/null
    openssl pkey -in "$work/$k.pem" -pubout -out "$work/$k.pub"
done
spki=$(openssl pkey -in "$work/session.pem" -pubout -outform DER | base64 -w0)
api_id=ocid1.tenancy.oc1..aaaaaaaakeywardlab/ocid1.user.oc1..aaaaaaaaadmin/20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34
# A second issuer that the lab is told to trust: its JWK set, from the API key.
b64url() { base64 -w0 | tr '/+' '_-' | tr -d =; }
modulus=$(openssl rsa -in "$work/api.pem" -noout -modulus | sed 's/.*=//; s/../\\x&/g')
printf '{"keys":[{"kty":"RSA","kid":"second","e":"AQAB","n":"%s"}]}' "$(printf "$modulus" | b64url)" \
    >"$work/second.jwks"
