#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The token as identity provider: an RSA and an EC key in SoftHSM issue JWTs, their key sets
# are registered with the lab, and both clouds take what they sign.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start_token
mkdir "$work/job"
cd "$work/job" || exit 1
iss=https://hsm.example
for kind in rsa:2048 EC:prime256v1; do
    name=issuer-${kind%%:*}
    pkcs11-tool --module "$softhsm" --token-label "$label" --login --pin env:P11_PIN --keypairgen \
        --key-type "$kind" --label "$name" --id "$(printf %s "$name" | od -An -tx1 | tr -d ' \n')" >"$work/p11.log" 2>&1 <<<'' ||
        P11_PIN=$pin pkcs11-tool --module "$softhsm" --token-label "$label" --login --pin env:P11_PIN --keypairgen \
            --key-type "$kind" --label "$name" --id "$(printf %s "$name" | od -An -tx1 | tr -d ' \n')" >"$work/p11.log" 2>&1 ||
        { cat "$work/p11.log" && exit 1; }
done
issuer_config() { # KEY-LABEL
    printf '[token]\nuri = %s\n[issuer]\nkey = pkcs11:object=%s\niss = %s\nsub = hsm:deployer\nlifetime = 600\nclaim.job = nightly\n' \
        "$token_uri" "$1" "$iss" >"$config"
    printf '[audit]\nfile = %s\n' "$work/audit.jsonl" >>"$config"
}
kw_plain() { "$KW_BIN/keyward" --config "$config" "$@" >"$out" 2>"$err" </dev/null; rc=$?; }

# --- key sets ------------------------------------------------------------------------------------
issuer_config issuer-rsa
kw_plain jwks
ok 'jwks, RSA' is "$rc" 0
ok 'jwks, RSA: the members that Google takes' is "$(grep -oE '"[a-z]+":' "$out" | sort | tr -d '\n')" '"alg":"e":"keys":"kid":"kty":"n":"use":'
cp "$out" "$work/rsa.json"
issuer_config issuer-EC
kw_plain jwks
ok 'jwks, EC' is "$rc" 0
ok 'jwks, EC: the members that Google takes' is "$(grep -oE '"[a-z]+":' "$out" | sort | tr -d '\n')" '"alg":"crv":"keys":"kid":"kty":"use":"x":"y":'
cp "$out" "$work/ec.json"
# Both keys in one set, as while one follows the other.
sed -n '/{ *$/,/} *$/p' "$work/rsa.json" >/dev/null
{ sed '$d' "$work/rsa.json" | sed '$d' && echo ',' && sed '1,2d' "$work/ec.json"; } >"$work/jwks.json"

start_lab --trust "$iss=$work/jwks.json" --rule 'sub eq hsm:deployer'
unset ACTIONS_ID_TOKEN_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN
both() { # KEY-LABEL
    issuer_config "$1"
    {
        printf '[source]\ntype = token\n'
        printf '[google lab]\nprovider = %s/lab-hsm\nservice_account = %s\n' "${LAB_GOOGLE_PROVIDER%/*}" "$LAB_GOOGLE_ACCOUNT"
        printf '[oci lab]\ndomain_url = %s\nclient_id = %s\nclient_secret_source = file:%s\n' "$LAB_DOMAIN_URL" "$LAB_CLIENT_ID" "$LAB_CLIENT_SECRET_FILE"
        printf '[policy lab]\nissuer = %s\n[tls]\nca_file = %s\n[dial]\nresolve = %s\n' "$iss" "$LAB_CA_FILE" "$LAB_RESOLVE"
    } >>"$config"
}
for key in issuer-rsa issuer-EC; do
    both $key
    succeeds "$key: issue" issue --audience x --claim 'deep/name=a b'
    ok "$key: issue: one JWT" grep -qE '^eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$' "$out"
    cp "$out" "$work/jwt"
    cat "$work/jwt" >>"$work/secrets"
    kw claims --token-file "$work/jwt"
    ok "$key: its issuer" has "$iss"
    ok "$key: its subject" has hsm:deployer
    ok "$key: its claims" has nightly
    ok "$key: the claim of the command line" has 'a b'
    ok "$key: kid is in the key set" grep -q "\"kid\": \"$(sed -n 's/^ *kid  *\([^ ]*\).*/\1/p' "$out" | head -n 1)\"" "$work/jwks.json"
    succeeds "$key: Google" exchange --cloud google
    ok "$key: Google: by way of the token" grep -q '^source  *token' "$out"
    succeeds "$key: Google: request" request GET "$LAB_COMPUTE_URL/v1/accounts-only"
    succeeds "$key: OCI" exchange --cloud oci
    succeeds "$key: OCI: request" request GET "$LAB_OBJECTS_URL/n/"
    kw claims --cloud oci
    ok "$key: claims of a live token" has hsm:deployer
done
# A key that can be copied is the user's own doing, but not in silence.
P11_PIN=$pin pkcs11-tool --module "$softhsm" --token-label "$label" --login --pin env:P11_PIN --keypairgen \
    --key-type EC:prime256v1 --label issuer-loose --id 99 --extractable >"$work/p11.log" 2>&1 || { cat "$work/p11.log" && exit 1; }
both issuer-rsa
kw doctor --cloud google
ok 'doctor: a key that stays in the token: all is well' has 'all is well'
ok 'doctor: a key that stays in the token: no warning' not says 'can be taken out'
both issuer-loose
kw doctor --cloud google # (whose key the lab doesn't know)
ok 'doctor: a key that can be copied' says 'the issuer key can be taken out of the token by who has the PIN (CKA_EXTRACTABLE)'
both issuer-rsa
ok 'audit: what was issued' grep -q '"event":"issue","subject":"hsm:deployer","audience":' "$work/audit.jsonl"
ok 'audit: the keys' grep -q '"what":"issuer key"' "$work/audit.jsonl"
ok 'audit: no JWT' not grep -qE 'eyJ[A-Za-z0-9_-]{8,}\.' "$work/audit.jsonl"
ok 'audit: the chain holds' "$KW_BIN/keyward" audit verify "$work/audit.jsonl" >"$out" 2>"$err"
fails 'issue: not into the workspace' 2 'lies in the working directory' issue --audience x -o "$work/job/jwt"
succeeds 'issue: to a file' issue --audience x -o "$work/files/jwt"
ok 'issue: mode 0600, no line end' is "$(stat -c %a "$work/files/jwt") $(tail -c 1 "$work/files/jwt" | tr -d 'A-Za-z0-9_-' | wc -c)" '600 0'
rm "$work/files/jwt"

# --- what is refused ---------------------------------------------------------------------------------
may_change=audit
for claim in iss=x sub=x aud=x exp=1 nbf=1 iat=1 jti=x; do
    fails "issue: the claim ${claim%%=*} is ours" 2 'set by keyward' issue --audience x --claim "$claim"
done
fails 'issue: a claim twice' 2 'given twice' issue --audience x --claim job=other
fails 'issue: a claim without a value' 2 'NAME=VALUE' issue --audience x --claim job
fails 'issue: too long a life' 2 'lifetime' issue --audience x --lifetime 601
fails 'issue: no life' 2 'lifetime' issue --audience x --lifetime 0
both issuer-none
fails 'issue: no such key' 3 'issuer key|issuer-none' issue --audience x
both issuer-rsa
sed -i '/^iss = /d' "$config"
fails 'issue: no issuer' 2 '[issuer] iss' issue --audience x
both issuer-rsa
sed -i '/^sub = /d' "$config"
fails 'exchange: no subject' 2 '[issuer] sub' exchange --cloud google
both issuer-rsa
sed -i "s|^iss = .*|iss = https://stranger.example|; s|^issuer = .*|issuer = https://stranger.example|" "$config"
fails 'an issuer that nobody knows' 7 'issuer in ID Token' exchange --cloud google
printf 'wrong\n' >"$work/pin"
both issuer-rsa
spy
fails 'a wrong PIN is tried once' 4 'PIN' issue --audience x
ok 'a wrong PIN: one login' is "$(calls C_Login)" 1
finish
