# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by e2e.sh: request signatures, good ones and tampered ones.
objects=${LAB_OBJECTS_URL#https://} identity=${LAB_IDENTITY_URL#https://} core=${LAB_CORE_URL#https://}
o=/n/$LAB_NAMESPACE/b/$LAB_BUCKET/o
unset override

# Good ones.
fresh GET "$objects" /n/ && seal && send
good namespace 200
ok 'namespace: body' has "\"$LAB_NAMESPACE\""
newest '"verdict":"signature good"'
ok 'log: signing string' file_has "$work/last" '"signing_string":"date: '
ok 'log: no token' not file_has "$work/last" 'ST$'
fresh GET "$objects" /n/ && names='host X-Date (request-target)' xdate=$date && seal && send
good 'x-date, other order, mixed case' 200
fresh GET "$objects" /n/ && date= xdate=$(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S GMT') &&
    names='x-date (request-target) host' && seal && send
good 'x-date alone' 200
fresh GET "$objects" /n/ && keyid=$api_id key=$work/api.pem && seal && send
good 'API key' 200
fresh GET "$identity" "/20160918/compartments?compartmentId=$LAB_TENANCY&limit=1" && seal && send
good compartments 200
ok 'compartments: page' file_has "$work/head" 'opc-next-page: 1'
fresh GET "$core" "/20160918/vcns?compartmentId=$LAB_COMPARTMENT" && seal && send
good vcns 200
ok 'vcns: body' has '"displayName":"main"'
fresh GET "$core" /20160918/vcns && seal && send
good 'no compartmentId' 400
fresh GET "$core" '/20160918/vcns?compartmentId=ocid1.x' && seal && send
good 'unknown compartment' 404
ok 'unknown compartment: body' has '"code":"NotAuthorizedOrNotFound"'
fresh POST "$core" /20160918/vcns '{"a":1}' && seal && send
good 'signed POST to a path that takes none' 405
fresh POST "$core" /20160918/vcns '' && seal && send
good 'signed POST with an empty body' 405
fresh PUT "$objects" "$o/a%20b/c~d" 'some bytes' && names='date (request-target) host' && seal && send
good 'PutObject, body not signed' 200
fresh PUT "$objects" "$o/a2" more && seal && send
good 'PutObject, body signed' 200
fresh GET "$objects" "$o/a%20b/c~d" && seal && send
good GetObject 200
ok 'GetObject: body' is "$(cat "$work/out")" 'some bytes'
fresh HEAD "$objects" "$o/a2" && seal && send
good HeadObject 200
fresh GET "$objects" "$o?prefix=a2&fields=name,size" && seal && send
ok ListObjects has '"objects":[{"name":"a2","size":4}]'
head_has() { tr -d '\r' <"$work/head" | grep -qixF -- "$1"; }
fresh GET "$objects" "$o/a2" && seal && extra='range: bytes=1-2' && send
good 'a range' 206
ok 'a range: its bytes' is "$(cat "$work/out")" or
ok 'a range: which' head_has 'content-range: bytes 1-2/4'
fresh GET "$objects" "$o/a2" && seal && extra='range: bytes=-3' && send
ok 'the last bytes' is "$status $(cat "$work/out")" '206 ore'
fresh GET "$objects" "$o/a2" && seal && extra='range: bytes=2-' && send
ok 'an open range' is "$status $(cat "$work/out")" '206 re'
fresh GET "$objects" "$o/a2" && seal && extra='range: bytes=2-99' && send
ok 'a range beyond the end' is "$status $(cat "$work/out")" '206 re'
fresh GET "$objects" "$o/a2" && seal && extra='range: bytes=4-' && send
good 'a range outside' 416
ok 'a range outside: the size' head_has 'content-range: bytes */4'
for range in 2-1 - x 1-2,3-4 1-2x; do
    fresh GET "$objects" "$o/a2" && seal && extra="range: bytes=$range" && send
    good "range $range" 400
done
fresh HEAD "$objects" "${o%/o}" && seal && send
good HeadBucket 200
fresh DELETE "$objects" "$o/a2" && seal && send
good DeleteObject 204
fresh GET "$objects" "$o/a2" && seal && send
good 'object is gone' 404
ok 'object is gone: body' has '"code":"ObjectNotFound"'
fresh GET "$objects" /n/other/b/x/o && seal && send
ok 'other bucket' has '"code":"BucketNotFound"'
fresh GET "$objects" /n/ && extra='opc-request-id: mine/yours' && seal && send
ok 'request id is kept' file_has "$work/head" 'opc-request-id: mine/yours/'

# The exchange with an API key's signature instead of a client secret.
form="grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=$jwt"
form+="&requested_token_type=urn%3Aoci%3Atoken-type%3Aoci-upst&subject_token_type=jwt"
form+="&public_key=$(printf %s "$spki" | sed 's/+/%2B/g; s|/|%2F|g; s/=/%3D/g')"
signed_exchange() {
    fresh POST "${LAB_DOMAIN_URL#https://}" /oauth2/v1/token "$form"
    ctype=application/x-www-form-urlencoded keyid=$api_id key=$work/api.pem
}
signed_exchange && seal && send
good 'exchange signed by an API key' 200
ok 'exchange signed by an API key: token' has '"token":"ey'
signed_exchange && key=$work/other.pem && seal && send
oauth 'exchange signed by another key' 401 invalid_client
signed_exchange && seal && b=$b%20 && send
oauth 'exchange changed after signing' 401 invalid_client

# Tampered with, one thing at a time.
t1() { fresh GET "$identity" "/20160918/compartments?compartmentId=$LAB_TENANCY"; }
p1() { fresh POST "$core" /20160918/vcns '{"a":1}'; }
t1 && seal && t=/20160918/compartments?compartmentId=x && send
refused 'query changed'
fresh GET "$objects" "$o/a" && seal && t=$o/b && send
refused 'path changed'
fresh GET "$objects" "$o/%7E" && seal && t=$o/~ && send
refused 'path spelt otherwise'
fresh GET "$objects" "$o/a" && seal && m=DELETE && send
refused 'method changed'
t1 && seal && date=$(LC_ALL=C date -u -d '+1 second' '+%a, %d %b %Y %H:%M:%S GMT') && send
refused 'date changed'
t1 && h=$core && seal && h=$identity && send
refused 'host changed'
p1 && seal && b='{"a":2}' && send
refused 'body changed'
p1 && seal && sha=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= && send
refused 'hash changed'
p1 && sha=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= && seal && send
refused 'wrong hash, but signed'
p1 && len=8 && seal && send
refused 'other length signed'
p1 && seal && ctype=text/plain && send
refused 'content-type changed'
t1 && seal && sig=$(printf %s "$sig" | tr 'A-Za-z' 'B-ZAb-za') && send
refused 'signature changed'
t1 && seal && sig=${sig%??????}== && send
refused 'signature cut'
t1 && seal && sig=$(printf %s "$sig" | tr -d =) && send
refused 'signature without padding'
t1 && key=$work/other.pem && seal && send
refused 'signed by another key'
t1 && keyid=${keyid%.*}.$(printf x | b64url) && seal && send
refused 'session token with a foreign signature'
t1 && keyid="ST\$$jwt" && seal && send
refused 'subject token as session token'
t1 && keyid=${keyid#ST\$} && seal && send
refused 'keyId without ST$'
t1 && keyid=${api_id%4}5 && key=$work/api.pem && seal && send
refused 'unknown API key'
t1 && alg=rsa-sha512 && seal && send
refused 'other algorithm'
t1 && ver=2 && seal && send
refused 'other version'
t1 && names='date host' && seal && send
refused '(request-target) not signed'
t1 && names='date (request-target)' && seal && send
refused 'host not signed'
t1 && names='(request-target) host' && seal && send
refused 'date not signed'
t1 && xdate=$date && seal && send
refused 'x-date there but not signed'
t1 && names='date (request-target) host date' && seal && send
refused 'header listed twice'
t1 && names='date (request-target) host x-other' && seal && send
refused 'signed header missing'
t1 && seal && extra="date: $date" && send
refused 'date there twice'
for n in content-length content-type x-content-sha256; do
    p1 && names=${names/ $n/} && seal && send
    refused "$n not signed"
done
fresh PUT "$core" "$o/a" x && names='date (request-target) host' && seal && send
refused 'unsigned body elsewhere than at Object Storage'
t1 && date=$(LC_ALL=C date -u -d '-310 seconds' '+%a, %d %b %Y %H:%M:%S GMT') && seal && send
refused 'date too old'
t1 && date=$(LC_ALL=C date -u -d '+310 seconds' '+%a, %d %b %Y %H:%M:%S GMT') && seal && send
refused 'date too far ahead'
t1 && date=$(LC_ALL=C date -u '+%A, %d-%b-%y %H:%M:%S GMT') && seal && send
refused 'date in another form'
t1 && seal && override= && send
refused 'no Authorization'
t1 && seal && override='Basic YTpi' && send
refused 'Basic'
unset override
t1 && seal && extra='authorization: Signature version="1"' && send
refused 'Authorization twice'
newest '"verdict":"refused: '
