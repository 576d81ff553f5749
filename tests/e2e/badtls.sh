#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Servers that are not who they say: certificates, TLS versions, addresses; and that no
# option and no variable makes keyward believe them.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
namespace=$LAB_OBJECTS_URL/n/

through() { # PORT [HOST]: all traffic, or that to HOST only, goes to this port of the lab
    local all=$LAB_RESOLVE
    if [ $# -eq 1 ]; then
        export KEYWARD_DIAL_RESOLVE=${all//:$LAB_PORT/:$1}
    else
        export KEYWARD_DIAL_RESOLVE=${all//$2:443:127.0.0.1:$LAB_PORT/$2:443:127.0.0.1:$1}
    fi
}
issuer_host=${LAB_ISSUER#https://} domain_host=${LAB_DOMAIN_URL#https://} api_host=${LAB_OBJECTS_URL#https://}
door() { # NAME PORT "TEXT": at each of the three places
    through "$2" "$issuer_host"
    fails "$1, issuer" 5 "$issuer_host|$3" exchange
    through "$2" "$domain_host"
    fails "$1, domain" 7 "$domain_host|$3" exchange
    through "$2" "$api_host"
    fails "$1, API" 7 "$api_host|$3" request GET -o "$work/files/new" "$namespace"
    unset KEYWARD_DIAL_RESOLVE
}
lab DELETE log
door 'expired certificate' "$LAB_PORT_EXPIRED" 'expired|clock'
door 'certificate of another host' "$LAB_PORT_WRONG_HOST" 'another name'
door 'self-signed certificate' "$LAB_PORT_UNKNOWN_CA" "can't be trusted|ca_file"
door 'TLS 1.1' "$LAB_PORT_TLS11" 'TLS 1.2'
for port in "$LAB_PORT_EXPIRED" "$LAB_PORT_WRONG_HOST" "$LAB_PORT_UNKNOWN_CA" "$LAB_PORT_TLS11"; do
    ok "no request went through port $port" is "$(requests "\"port\":$port,")" 0
done

# The lab's CA is trusted by ca_file and by nothing else.
sed -i '/^ca_file/d' "$config"
distrusted() { # NAME
    fails "$1" 5 "$issuer_host|can't be trusted" exchange
}
distrusted 'without ca_file'
SSL_CERT_FILE=$LAB_CA_FILE distrusted SSL_CERT_FILE
mkdir "$work/ca"
cp "$LAB_CA_FILE" "$work/ca/$(openssl x509 -in "$LAB_CA_FILE" -noout -hash).0"
SSL_CERT_DIR=$work/ca distrusted SSL_CERT_DIR
CURL_CA_BUNDLE=$LAB_CA_FILE distrusted CURL_CA_BUNDLE
REQUESTS_CA_BUNDLE=$LAB_CA_FILE distrusted REQUESTS_CA_BUNDLE
printf 'insecure\ncacert = "%s"\n' "$LAB_CA_FILE" >"$HOME/.curlrc"
CURL_HOME=$HOME distrusted .curlrc
rm "$HOME/.curlrc"
cat >"$work/openssl.cnf" <<'END'
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = weak
[weak]
MinProtocol = TLSv1
CipherString = DEFAULT@SECLEVEL=0
VerifyMode = None
END
OPENSSL_CONF=$work/openssl.cnf distrusted OPENSSL_CONF
PYTHONHTTPSVERIFY=0 GIT_SSL_NO_VERIFY=1 NODE_TLS_REJECT_UNAUTHORIZED=0 CURL_SSL_NO_VERIFY=1 \
    distrusted "other programs' switches"
for text in -k --insecure --no-check-certificate --no-verify-ssl --cacert; do
    fails "no option $text" 2 "$text" exchange $text
done
for name in VERIFY INSECURE NO_VERIFY; do
    export "KEYWARD_TLS_$name=0"
    fails "no variable KEYWARD_TLS_$name" 2 "KEYWARD_TLS_$name" exchange
    unset "KEYWARD_TLS_$name"
done
write_config
through "$LAB_PORT_TLS11"
OPENSSL_CONF=$work/openssl.cnf fails 'TLS 1.1, allowed by OPENSSL_CONF' 5 'TLS 1.2' exchange
unset KEYWARD_DIAL_RESOLVE
SSLKEYLOGFILE=$work/files/keys kw exchange
ok 'SSLKEYLOGFILE gets nothing' test "$rc" -eq 0 -a ! -e "$work/files/keys"

# Proxies and addresses: only what the configuration says.
HTTPS_PROXY=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 ALL_PROXY=socks5://127.0.0.1:9 \
    all_proxy=http://127.0.0.1:9 succeeds 'proxy variables play no part' exchange
printf '%s\n' "127.0.0.1 $issuer_host" >"$work/hosts"
HOSTALIASES=$work/hosts succeeds 'HOSTALIASES plays no part' exchange
KEYWARD_DIAL_RESOLVE=' ' fails 'a name that does not resolve' 8 "$issuer_host" exchange
KEYWARD_POLICY_DIAL="$domain_host:443" fails 'dial policy, issuer' 6 "policy dial|$issuer_host:443" exchange
KEYWARD_POLICY_DIAL="$issuer_host:443" fails 'dial policy, domain' 6 "policy dial|$domain_host:443" exchange
KEYWARD_POLICY_DIAL="$issuer_host:443 $domain_host:443" fails 'dial policy, API' 6 "policy dial|$api_host:443" \
    request GET -o "$work/files/new" "$namespace"
KEYWARD_POLICY_DIAL='*.lab.test:443 *.oraclecloud.com:443' succeeds 'dial policy by patterns' request GET "$namespace"
KEYWARD_OCI_DOMAIN_URL=http://$domain_host fails 'a domain without TLS' 2 'KEYWARD_OCI_DOMAIN_URL|https' exchange
KEYWARD_DIAL_PROXY=http://127.0.0.1:9 KEYWARD_DIAL_RESOLVE=' ' fails 'a proxy that is not there' 8 'proxy' exchange
stop_lab
fails 'the lab is not running' 8 "$issuer_host:443|refused" exchange
fails 'the lab is not running: claims' 8 "$issuer_host" claims
finish
