# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by e2e.sh: issuer and token endpoint.
web "$LAB_ISSUER/.well-known/openid-configuration"
ok discovery has "\"issuer\":\"$LAB_ISSUER\""
web "$LAB_ISSUER/.well-known/jwks"
ok jwks has '"kty":"RSA"'
ok 'jwks holds no private key' not has '"d":'
web "$LAB_REQUEST_URL&audience=x"
ok 'no request token: 401' is "$status" 401
subject
ok 'subject token: 200' is "$status" 200
claims_of "$jwt" >"$work/out"
ok 'subject token: claims' has '"sub":"repo:keyward/demo:ref:refs/heads/main"'
ok 'subject token: audience' has "\"aud\":\"$LAB_AUDIENCE\""

basic="$LAB_CLIENT_ID:$(cat "$LAB_CLIENT_SECRET_FILE")"
unset twice
exchange
ok 'UPST: 200' is "$status" 200
printf %s "$token" >"$work/upst"
claims_of "$token" >"$work/out"
for c in '"ptype":"user"' '"iss":"authService.oracle.com"' '"jwk":"{\"' '"source_authn_prin":"repo:' \
    "\"tenant\":\"$LAB_TENANCY\""; do ok "UPST: $c" has "$c"; done
exchange requested_token_type=urn:oci:token-type:oci-rpst "res_type=$LAB_RES_TYPE" rpst_exp=600
ok 'RPST: 200' is "$status" 200
claims_of "$token" >"$work/out"
ok 'RPST: claims' has "\"res_type\":\"$LAB_RES_TYPE\""

# Client authentication.
secret=${basic#*:}
basic=
exchange
oauth 'no client' 401 invalid_client
exchange "client_id=$LAB_CLIENT_ID" "client_secret=$secret"
ok 'client in the form: 200' is "$status" 200
exchange "client_id=$LAB_CLIENT_ID" client_secret=wrong
oauth 'wrong secret in the form' 401 invalid_client
basic=$LAB_CLIENT_ID:wrong
exchange
oauth 'wrong secret' 401 invalid_client
basic=$LAB_CLIENT_ID:$secret
exchange "client_id=$LAB_CLIENT_ID" "client_secret=$secret"
oauth 'two ways at once' 401 invalid_client
assertion() { # CLAIMS-JSON
    local s
    s="$(printf '{"alg":"RS256","typ":"JWT","kid":"lab-alias"}' | b64url).$(printf %s "$1" | b64url)"
    printf %s "$s.$(printf %s "$s" | openssl dgst -sha256 -sign "$work/api.pem" | b64url)"
}
basic=
at=client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer
c="\"iss\":\"$LAB_CLIENT_ID\",\"sub\":\"$LAB_CLIENT_ID\",\"aud\":[\"$LAB_DOMAIN_URL/\"]"
exchange "$at" "client_assertion=$(assertion "{$c,\"exp\":$(($(date +%s) + 300))}")"
ok 'assertion: 200' is "$status" 200
exchange "$at" "client_assertion=$(assertion "{$c,\"exp\":$(($(date +%s) - 1))}")"
oauth 'expired assertion' 401 invalid_client
exchange "$at" "client_assertion=$(assertion "{${c/$LAB_DOMAIN_URL/https:\/\/a},\"exp\":$(($(date +%s) + 300))}")"
oauth 'assertion for somebody else' 401 invalid_client

# The form.
basic=$LAB_CLIENT_ID:$secret
for f in grant_type requested_token_type subject_token subject_token_type public_key; do
    exchange $f=
    oauth "without $f" 400 invalid_request
done
exchange grant_type=password
oauth 'other grant' 400 unsupported_grant_type
exchange requested_token_type=urn:x
oauth 'other token type' 400 invalid_request
exchange "public_key=$(cat "$work/session.pub")"
oauth 'key in PEM' 400 invalid_request
exchange "public_key=${spki%????}"
oauth 'key cut short' 400 invalid_request
exchange requested_token_type=urn:oci:token-type:oci-rpst
oauth 'RPST without res_type' 400 invalid_request
exchange requested_token_type=urn:oci:token-type:oci-rpst "res_type=$LAB_RES_TYPE" rpst_exp=43201
oauth 'RPST too long' 400 invalid_request
twice=subject_token_type=jwt exchange
oauth 'field twice' 400 invalid_request
web -u "$basic" -H 'content-type: application/json' -d '{}' "$LAB_DOMAIN_URL/oauth2/v1/token"
oauth 'JSON body' 400 invalid_request

# The subject token.
good_jwt=$jwt
exchange subject_token=a.b.c
oauth 'no JWT' 400 invalid_grant
exchange "subject_token=${good_jwt%.*}.$(printf x | b64url)"
oauth 'bad signature' 400 invalid_grant
exchange "subject_token=$(printf '{"alg":"none"}' | b64url).$(printf %s "$good_jwt" | cut -d. -f2)."
oauth 'alg none' 400 invalid_grant
subject https://elsewhere.test
exchange
oauth 'other audience' 400 invalid_grant
try_claims() { # JSON NAME STATUS ERROR WORDS
    control POST claims "$1"
    subject
    exchange
    oauth "$2" "$3" "$4"
    ok "$2: $5" has "$5"
    control DELETE claims
}
try_claims '{"iss":"https://token.actions.lab.test/"}' 'other issuer' 400 invalid_grant 'No trust'
try_claims '{"exp":1000}' 'expired subject token' 400 invalid_grant 'has expired'
try_claims '{"exp":null}' 'subject token without exp' 400 invalid_grant 'has no expiry'
try_claims '{"nbf":4000000000}' 'subject token of the future' 400 invalid_grant 'not valid yet'
try_claims '{"sub":"repo:other/demo:x"}' 'no rule' 401 unauthorized_client 'No rules matched from given token to find impersonation user.'
control POST faults jwt-wrong-key,count=1
subject
exchange
oauth 'subject token of an unknown key' 400 invalid_grant
second() { # ISSUER KEY: a token of the issuer that --trust named
    local now s
    now=$(date +%s)
    s="$(printf '{"alg":"RS256","kid":"second"}' | b64url).$(printf \
        '{"iss":"%s","aud":["x","%s"],"sub":"repo:keyward/demo:z","iat":%d,"exp":%d}' \
        "$1" "$LAB_AUDIENCE" "$now" "$((now + 60))" | b64url)"
    exchange "subject_token=$s.$(printf %s "$s" | openssl dgst -sha256 -sign "$2" | b64url)"
}
second https://second.test/x "$work/api.pem"
ok 'second issuer: 200' is "$status" 200
second https://second.test/x "$work/other.pem"
oauth 'second issuer, other key' 400 invalid_grant
second "$LAB_ISSUER" "$work/api.pem"
oauth 'the key of one issuer under the name of another' 400 invalid_grant
subject
exchange
ok 'all well again' is "$status" 200
