#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# X.509 federation with Google: mutual TLS with a key in SoftHSM, whose signature of the
# handshake the keeper makes; the exchanger has the certificate and no key. Impersonation
# after it.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start_token
p11() { P11_PIN=$pin pkcs11-tool --module "$softhsm" --token-label "$label" --login --pin env:P11_PIN "$@" >"$work/p11.log" 2>&1 || { cat "$work/p11.log" && exit 1; }; }
p11 --keypairgen --key-type EC:prime256v1 --label workload --id 4711
p11 --keypairgen --key-type EC:prime256v1 --label other --id 4712
p11 --keypairgen --key-type rsa:2048 --label rsa --id 4713

# A root, an intermediate, and certificates for the token's public keys.
(
    cd "$work" || exit 1
    openssl ecparam -genkey -name prime256v1 -out root.key && openssl ecparam -genkey -name prime256v1 -out mid.key
    openssl req -x509 -new -key root.key -subj /CN=root -days 2 -out root.pem \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
    openssl req -new -key mid.key -subj /CN=intermediate -out mid.csr
    printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n' >ca.ext
    openssl x509 -req -in mid.csr -CA root.pem -CAkey root.key -CAcreateserial -days 2 -extfile ca.ext -out mid.pem
    printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n' >leaf.ext
    openssl req -new -newkey rsa:2048 -nodes -keyout dummy.key -subj /CN=workload-1 -out leaf.csr
) >"$work/openssl.log" 2>&1 || { cat "$work/openssl.log" && exit 1; }
# OpenSSL 3.5 makes no certificate that has ended before it began, and takes dates instead.
life() { # DAYS
    if [ "$1" -lt 0 ] && [[ $(openssl x509 -help 2>&1) == *not_after* ]]; then
        echo -not_before 20200101000000Z -not_after 20200102000000Z
    else
        echo -days "$1"
    fi
}
leaf() { # ID FILE DAYS
    p11 --read-object --type pubkey --id "$1" --output-file "$work/pub.der"
    # shellcheck disable=SC2046 # words
    openssl pkey -pubin -inform DER -in "$work/pub.der" -out "$work/pub.pem" &&
        openssl x509 -req -in "$work/leaf.csr" -force_pubkey "$work/pub.pem" -CA "$work/mid.pem" -CAkey "$work/mid.key" \
            -CAcreateserial $(life "$3") -extfile "$work/leaf.ext" -out "$work/$2" 2>"$work/openssl.log" || { cat "$work/openssl.log" && exit 1; }
}
leaf 4711 leaf.pem 2
leaf 4712 other.pem 2
leaf 4713 rsa.pem 2
leaf 4711 expired.pem -1
cat "$work/leaf.pem" "$work/mid.pem" >"$work/chain.pem"
start_lab --google-anchor "$work/root.pem"
unset ACTIONS_ID_TOKEN_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN
x509_config() { # CERTIFICATE KEY LINE...
    local cert=$1 key=$2
    shift 2
    {
        printf '[token]\nuri = %s\n[google lab]\nprovider = %s/lab-x509\n' "$token_uri" "${LAB_GOOGLE_PROVIDER%/*}"
        printf 'client_cert = %s\nclient_key = pkcs11:object=%s\n' "$work/$cert" "$key"
        printf '%s\n' "$@"
        printf '[tls]\nca_file = %s\n[dial]\nresolve = %s\n[audit]\nfile = %s\n' "$LAB_CA_FILE" "$LAB_RESOLVE" "$work/audit.jsonl"
    } >"$config"
}
x509_config chain.pem workload
succeeds 'direct: exchange' exchange
ok 'direct: the subject is the CN' has '/workloadIdentityPools/lab-pool/subject/workload-1'
ok 'direct: by way of the certificate' grep -q '^source *certificate' "$out"
succeeds 'direct: request' request GET "$LAB_COMPUTE_URL/compute/v1/projects/$LAB_GOOGLE_PROJECT/zones/z/instances"
succeeds 'doctor' doctor
ok 'doctor: the key stays in the token: no warning' not says 'can be taken out'
ok 'doctor: shows the certificate' has 'CN=workload-1 issuer=intermediate sha256='
x509_config chain.pem workload "service_account = $LAB_GOOGLE_ACCOUNT"
succeeds 'impersonated: exchange' exchange
succeeds 'impersonated: request' request GET "$LAB_COMPUTE_URL/v1/accounts-only"
ok 'audit: the handshake' grep -q '"event":"tls","what":"client handshake"' "$work/audit.jsonl"
ok 'audit: the key' grep -q '"what":"TLS client key"' "$work/audit.jsonl"
ok 'audit: the certificate decided' grep -q '"claims":"certificate CN=workload-1' "$work/audit.jsonl"
ok 'audit: the chain holds' "$KW_BIN/keyward" audit verify "$work/audit.jsonl" >"$out" 2>"$err"
spy
succeeds 'counted: exchange' exchange
ok 'counted: no key was made' is "$(calls C_GenerateKeyPair)" 0
no_spy

p11 --keypairgen --key-type EC:prime256v1 --label loose --id 4714 --extractable
leaf 4714 loose.pem 2
cat "$work/loose.pem" "$work/mid.pem" >"$work/loose-chain.pem"
x509_config loose-chain.pem loose
succeeds 'a key that can be copied: doctor' doctor
ok 'a key that can be copied: doctor warns' says 'the TLS client key can be taken out of the token by who has the PIN (CKA_EXTRACTABLE)'

# --- what is refused -----------------------------------------------------------------------------
may_change=audit
x509_config leaf.pem workload
fails 'no intermediate' 7 'trust anchor|invalid' exchange
x509_config chain.pem other
fails 'another key than the certificate has' 7 'sts.mtls.googleapis.com|client_key the key of client_cert' exchange
x509_config chain.pem nobody
fails 'no such key' 3 'TLS client key|nobody' exchange
x509_config rsa.pem rsa
fails 'RSA' 2 'EC on P-256' exchange
x509_config expired.pem workload
fails 'expired' 5 'expired' exchange
x509_config root.key workload
fails 'a private key in the file' 2 'private key' exchange
x509_config pin workload
fails 'no certificate' 2 'no certificate in PEM' exchange
x509_config missing.pem workload
fails 'no file' 2 'missing.pem' exchange
x509_config chain.pem workload
sed -i '/^client_key/d' "$config"
fails 'no key named' 2 'client_key' exchange
x509_config chain.pem workload
printf '[policy lab]\nclaim.sub = x\n' >>"$config"
fails 'claim rules without a JWT' 2 'there is none' exchange
x509_config chain.pem workload
fault 'drop,host=sts.mtls.*'
fails 'the connection is lost' 8 'sts.mtls.googleapis.com' exchange
fault
printf 'wrong\n' >"$work/pin"
fails 'a wrong PIN' 4 'PIN' exchange
finish
