#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Bad input from this side of the network: subject tokens, URIs, configuration lines, the
# command line, and files that hold PIN or secret. None of it reaches the cloud.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
good=$config
echo 'the token in this file' >"$work/files/jwt"
export KEYWARD_SOURCE_PATH=$work/files/jwt KEYWARD_SOURCE_TYPE=file
b64() { base64 -w0 | tr '+/' '-_' | tr -d =; }
now=$(date +%s)
claims='{"iss":"'"$LAB_ISSUER"'","sub":"s","aud":"a","repository_id":"592302719","exp":'$((now + 300))'}'
head=$(printf '{"alg":"RS256"}' | b64)
body=$(printf '%s' "$claims" | b64)
mark=s3cr3t-in-a-token
echo "$mark" >>"$work/secrets"

# --- subject tokens ------------------------------------------------------------------------

token() { # NAME "TEXT" TOKEN: refused before anything is sent
    printf '%s' "$3" >"$work/files/jwt"
    fails "token: $1" 5 "$2" exchange
}
lab DELETE log
token 'empty' 'empty' ''
token 'a line end only' 'empty' $'\n'
token 'no dots' 'three parts' "${mark}nodots"
token 'two parts' 'three parts' "$head.$body"
token 'four parts' 'three parts' "$head.$body.c2ln.c2ln"
token 'an empty part' 'three parts' "$head..c2ln"
token 'bad base64 in the header' 'header is not strict base64url' "a+/=.$body.c2ln"
token 'padding' 'not strict base64url' "$head.$body=.c2ln"
token 'bad base64 in the signature' 'signature' "$head.$body.***"
token 'alg none' 'alg none' "$(printf '{"alg":"none"}' | b64).$body.c2ln"
token 'alg nOnE' 'alg none' "$(printf '{"alg":"nOnE"}' | b64).$body.c2ln"
token 'no alg' 'no alg' "$(printf '{}' | b64).$body.c2ln"
token 'no signature' 'three parts' "$head.$body."
token 'a header that is no JSON' 'not valid JSON' "$(printf '%s' "$mark" | b64).$body.c2ln"
token 'claims that are an array' 'not a JSON object' "$head.$(printf '[]' | b64).c2ln"
token 'a claim twice' 'twice' "$head.$(printf '{"sub":"a","sub":"b"}' | b64).c2ln"
token 'nested too deep' 'too deep' "$head.$(printf '{"a":%s1%s}' "$(printf '[%.0s' {1..40})" "$(printf ']%.0s' {1..40})" | b64).c2ln"
token 'a NUL in the claims' 'JSON' "$head.$(printf '{"sub":"\000"}' | b64).c2ln"
token 'bad UTF-8 in the claims' 'JSON' "$head.$(printf '{"sub":"\377"}' | b64).c2ln"
token 'a space in between' 'no JWT has' "$head. $body.c2ln"
token 'two lines' 'no JWT has' "$head.$body.c2ln"$'\n'"$mark"
token '40 KiB' '32768 bytes' "$head.$body.$(head -c 40960 /dev/zero | tr '\0' A)"
head -c 3000 /dev/urandom >"$work/files/jwt"
fails 'token: binary' 5 '' exchange
printf '%s\0%s' "$head" ".$body.c2ln" >"$work/files/jwt"
fails 'token: a NUL' 5 'no JWT has' exchange
printf '\357\273\277%s' "$head.$body.c2ln" >"$work/files/jwt"
fails 'token: a byte order mark' 5 'no JWT has' exchange
printf '%s' "$head.${mark}$body.c2ln" >"$work/files/jwt"
fails 'claims: no JWT' 5 'claims' claims
fails 'request: no JWT' 5 'claims' request GET -o "$work/files/new" "$objects_url"
fails 'sign: no JWT' 5 'claims' sign GET "$objects_url"

policy() { # NAME "TEXT" CLAIMS: a JWT that the claim policy refuses
    printf '%s' "$head.$(printf '%s' "$3" | b64).c2ln" >"$work/files/jwt"
    fails "policy: $1" 6 "$2" exchange
}
policy 'expired' 'expired' "${claims/$((now + 300))/$((now - 1000))}"
policy 'no exp' 'exp' "${claims/\"exp\"/\"exq\"}"
policy 'exp is text' 'exp' "${claims/$((now + 300))/\"soon\"}"
policy 'another issuer' "issuer = $LAB_ISSUER|https://evil.test" "${claims/$LAB_ISSUER/https://evil.test}"
policy 'another repository' 'claim.repository_id|592302720' "${claims/592302719/592302720}"
policy 'no repository' 'claim.repository_id|absent' "${claims/repository_id/repository_ix}"
policy 'from the future' 'iat|clock' "${claims/\{/\{\"iat\":$((now + 500)),}"
policy 'not yet' 'nbf|clock' "${claims/\{/\{\"nbf\":$((now + 500)),}"
policy 'control characters' 'claim.repository_id' "${claims/592302719/\\u001b[2J\\u0007\\n}"
ok 'policy: a claim can'\''t drive the terminal' not grep -q "$(printf '[\033\007]')" "$err"
lab GET log
ok 'the cloud got none of these' is "$(grep -c '"target":"/oauth2' "$work/lab.out")" 0
unset KEYWARD_SOURCE_PATH KEYWARD_SOURCE_TYPE

# --- URIs ----------------------------------------------------------------------------------

uri() { # NAME "TEXT" URI
    KEYWARD_TOKEN_URI=$3 fails "uri: $1" 2 "KEYWARD_TOKEN_URI|$2" exchange
}
m="module-path=$softhsm"
uri 'no scheme' 'pkcs11:' "token=e2e?$m"
uri 'names no token' 'token' "pkcs11:?$m"
uri 'names no module' 'module-path' 'pkcs11:token=e2e'
uri 'unknown attribute' 'tokn' "pkcs11:tokn=e2e?$m"
uri 'twice' 'token' "pkcs11:token=a;token=b?$m"
uri 'pin-value' 'pin-value' "pkcs11:token=e2e?$m&pin-value=$pin"
uri 'relative module' 'absolute' 'pkcs11:token=e2e?module-path=softhsm2.so'
uri 'relative pin-source' 'pin-source' "pkcs11:token=e2e?$m&pin-source=pin"
uri 'bad escape' '' "pkcs11:token=%zz?$m"
uri 'a NUL' '' "pkcs11:token=%00?$m"
uri 'too long' '' "pkcs11:token=$(head -c 400 /dev/zero | tr '\0' a)?$m"

# --- configuration lines -------------------------------------------------------------------

line() { # NAME "TEXT" LINE [SECTION]: the line is put first into a section, at the end if there is none
    local section=${4-audit} at
    config=$work/bad.ini
    cp "$good" "$config"
    grep -qxF "[$section]" "$config" || printf '[%s]\n' "$section" >>"$config"
    at=$(grep -nxF "[$section]" "$config" | cut -d: -f1)
    printf '%s\n' "$3" | sed -i "${at}r /dev/stdin" "$config"
    fails "line: $1" 2 "$config:$((at + $(wc -l <<<"$3")))|$2" exchange
    config=$good
}
line 'unknown key' 'fyle' 'fyle = /x'
line 'no equals' '' 'file /x'
line 'relative path' 'absolute' 'file = x'
line 'twice' 'given before' $'file = /x\nfile = /y'
line 'a secret' 'client_secret_source' "client_secret = $mark" 'oci lab'
line 'a PIN' 'pin_source' "pin = $pin" token
line 'an unknown choice' 'session' 'storage = disk' key
line 'a bad number' 'number' 'timeout = 1e3' dial
line 'too large a number' '600' 'timeout = 601' dial
line 'a negative number' 'timeout' 'timeout = -1' dial
line 'plain http' 'https' 'domain_url = http://idcs.test' 'oci more'
line 'a path in the domain' 'domain_url' 'domain_url = https://idcs.test/x' 'oci more'
line 'a bad pattern' 'sign.host' 'sign.host = *oraclecloud.com' 'policy lab'
line 'a claim without a name' 'claim.' 'claim. = x' 'policy lab'
line 'a bad method' 'sign.method' 'sign.method = TRACE' 'policy lab'
line 'a bad path' 'sign.path' 'sign.path = n/*' 'policy lab'
line 'a proxy with https' 'proxy' 'proxy = https://p:1' dial
line 'an LD_ variable for the module' 'LD_' 'env = LD_PRELOAD' token
line 'a verify switch' 'verify' 'verify = no' tls
line 'an insecure switch' 'insecure' 'insecure = true' tls
KEYWARD_DIAL_RESOLVE=host:443 fails 'a bad redirection' 2 'KEYWARD_DIAL_RESOLVE' exchange
config=$work/bad.ini
{ cat "$good" && printf '[audits]\nfile = /x\n'; } >"$config"
fails 'an unknown section' 2 "$config:|audits" exchange
{ cat "$good" && printf '[token]\nsessions = 4\n'; } >"$config"
fails 'a section twice' 2 "$config:|[token]" exchange
printf 'x = 1\n' >"$config"
fails 'no section' 2 "$config:1" exchange
printf '[tls\n' >"$config"
fails 'an open section' 2 "$config:1" exchange
head -c 100000 /dev/urandom >"$config"
fails 'binary' 2 "$config" exchange
{ cat "$good" && printf '[audit]\nfile = /%s\n' "$(head -c 9000 /dev/zero | tr '\0' a)"; } >"$config"
fails 'a line too long' 2 "$config:" exchange
cp "$good" "$config"
chmod 666 "$config"
fails 'others can write it' 2 "$config" exchange
rm "$config"
fails 'absent' 2 "$config|No such file" exchange
mkdir "$config"
fails 'a directory' 2 "$config" exchange
rmdir "$config"
config=$good
fails 'another profile' 2 'prod|lab' --profile prod exchange
{ cat "$good" && printf '\n[oci dev]\nregion = x\n'; } >"$work/two.ini"
setsid "$KW_BIN/keyward" --config "$work/two.ini" exchange >"$out" 2>"$err"
rc=$?
ok 'two profiles and no choice' is "$rc:$(grep -c 'dev' "$err")" 2:1

# --- command line --------------------------------------------------------------------------

usage() { # NAME "TEXT" ARGUMENT...
    local name=$1 text=$2
    shift 2
    fails "usage: $name" 2 "$text" "$@"
}
usage 'no command' 'command'
usage 'unknown command' 'frobnicate' frobnicate
usage 'unknown option' '--insecure' exchange --insecure
usage 'unknown short option' '-k' request -k GET "$objects_url"
usage 'an argument too many' 'x' exchange x
usage 'an argument missing' 'METHOD URL' request GET
usage 'a value missing' '--output' request GET "$objects_url" --output
usage 'a value too many' '--json' --json=yes exchange
usage 'an abbreviation' '--verb' --verb exchange

# --- the PIN's file, and the secret's ------------------------------------------------------

secret_file() { # NAME CODE "TEXT" FILE: once as PIN and once as client secret
    KEYWARD_TOKEN_PIN_SOURCE=file:$4 fails "PIN file: $1" "$2" "$3" exchange
    KEYWARD_OCI_CLIENT_SECRET_SOURCE=file:$4 fails "secret file: $1" 2 "$3" exchange
}
cp "$work/pin" "$work/files/pin"
chmod 604 "$work/files/pin"
secret_file 'mode 0604' 4 "$work/files/pin|chmod 600" "$work/files/pin"
chmod 602 "$work/files/pin"
secret_file 'mode 0602' 4 "$work/files/pin|chmod 600" "$work/files/pin"
chmod 600 "$work/files/pin"
ln -s pin "$work/files/link"
secret_file 'a symbolic link' 4 "$work/files/link" "$work/files/link"
secret_file 'absent' 4 "$work/files/none|No such file" "$work/files/none"
secret_file 'a directory' 4 "$work/files" "$work/files"
mkfifo "$work/files/fifo"
secret_file 'a pipe' 4 "$work/files/fifo" "$work/files/fifo"
: >"$work/files/empty"
secret_file 'empty' 4 'empty' "$work/files/empty"
head -c 2000 /dev/zero | tr '\0' 7 >"$work/files/long"
secret_file 'too long' 4 "$work/files/long" "$work/files/long"
printf '1234\n5678\n' >"$work/files/lines"
KEYWARD_TOKEN_PIN_SOURCE=file:$work/files/lines fails 'PIN file: two lines' 4 'not tried' exchange
if [ "$(id -u)" -eq 0 ]; then
    chown 65534 "$work/files/pin"
    secret_file "somebody else's" 4 "$work/files/pin|must be yours or root's" "$work/files/pin"
else
    chmod 640 "$work/files/pin" # at root's it is what systemd makes
    secret_file 'mode 0640' 4 "$work/files/pin|chmod 600" "$work/files/pin"
    KEYWARD_TOKEN_PIN_SOURCE=file:/etc/shadow fails 'PIN file: may not be read' 4 '/etc/shadow' exchange
fi
KEYWARD_TOKEN_PIN_SOURCE=fd:77 fails 'PIN descriptor: not open' 4 'fd:77' exchange
KEYWARD_TOKEN_PIN_SOURCE=credential:pin fails 'PIN credential: not under systemd' 2 'LoadCredential' exchange
KEYWARD_TOKEN_PIN_SOURCE=prompt fails 'PIN prompt: no terminal' 4 'no terminal' exchange
KEYWARD_TOKEN_PIN_SOURCE="$pin" fails 'PIN in the variable' 2 'KEYWARD_TOKEN_PIN_SOURCE|not the PIN' exchange
printf 'wrong-secret' >"$work/files/empty"
KEYWARD_OCI_CLIENT_SECRET_SOURCE=file:$work/files/empty fails 'a wrong client secret' 7 'invalid_client|client_secret_source' exchange
succeeds 'and all is well after that' exchange
finish
