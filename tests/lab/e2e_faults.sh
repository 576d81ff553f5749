# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by e2e.sh: control, injected faults, doors, strictness of HTTP.
status=$(curl -s --cacert "$LAB_CA_FILE" -o "$work/out" -w '%{http_code}' "$LAB_CONTROL_URL/log")
ok 'control without token: 401' is "$status" 401
control GET log
for s in "$secret" "$(cat "$LAB_REQUEST_TOKEN_FILE")" "$(cat "$LAB_CONTROL_TOKEN_FILE")" \
    "$(cut -d. -f2 "$work/upst")" "$sig"; do ok 'log: no secret' not has "$s"; done
control POST faults 'no-such-thing'
ok 'bad fault: 400' is "$status" 400
ok 'bad fault: words' has 'no such kind'
control POST faults $'drop\nno-such-thing'
control GET faults
ok 'bad fault: none added' is "$(cat "$work/out")" '[]'

ns() { fresh GET "$objects" /n/ && seal && send; }
fault() { control POST faults "$1" && ok "fault $1 taken" is "$status" 200; }
fault 'status=503,count=2,skip=1,path=/n/*'
for want in 200 503 503 200; do
    ns
    ok "skip 1, then 503 twice" is "$status" "$want"
done
fault 'status=429,count=1'
ns
ok '429: body' has '"code":"TooManyRequests"'
fault 'status=500,count=1,path=/oauth2/*'
ns
ok 'other path is spared' is "$status" 200
exchange
oauth 'domain: 500' 500 server_error
fault truncate,count=1 && ns
ok 'truncated body' is "$rc" 18
fault reset,count=1 && ns
ok 'reset' is "$rc" 56
fault drop,count=1 && ns
ok 'dropped' is "$rc" 52
fault not-json,count=1 && ns
ok 'no JSON' has 'not JSON'
fault html,count=1 && ns
ok 'HTML' file_has "$work/head" 'content-type: text/html'
fault redirect=https://elsewhere.test/,count=1 && ns
ok 'redirect: 302' is "$status" 302
ok 'redirect: where' file_has "$work/head" 'location: https://elsewhere.test/'
fault overlong=100000,count=1 && ns
ok 'over-long' is "$(wc -c <"$work/out")" 100000
fault endless=300000,count=1 && ns
ok 'endless' is "$rc" 18
fault long-header=20000,count=1 && ns
ok 'long header' is "$(grep -c '^x-long: aaaa' "$work/head")" 1
fault drip=5,count=1 && ns
ok 'drip' has "$LAB_NAMESPACE"
fault latency=400,count=1
begin=$(date +%s%N)
ns
ok 'latency' test $((($(date +%s%N) - begin) / 1000000)) -ge 400

# Session tokens that must not be trusted.
upst() { subject && exchange && printf %s "$token" >"$work/upst" && claims_of "$token" >"$work/out"; }
cp "$work/upst" "$work/good-upst"
fault jwk-missing,count=1 && upst
ok 'no jwk' not has '"jwk"'
ns
refused 'session token without jwk'
fault jwk-wrong,count=1 && upst
ns
refused 'session token with another key'
fault jwk-object,count=1 && upst
ok 'jwk as object' has '"jwk":{'
ns
good 'session token with jwk as object' 200
fault token-expired,count=1 && upst
ns
refused 'expired session token'
fault token-garbage,count=1 && subject && exchange
ok 'garbage' has '"token":"not.a jwt"'
fault token-absent,count=1 && subject && exchange
ok 'no token' not has '"token"'
fault jwt-garbage,count=1 && subject
ok 'garbage for a JWT' has '"value":"not.a jwt"'
fault jwt-expired,count=1 && subject && exchange
oauth 'expired JWT' 400 invalid_grant
cp "$work/good-upst" "$work/upst"
fault clock=600 && ns
refused 'the lab is ahead'
control DELETE faults
ns
good 'the lab is on time' 200

# Doors and names.
LAB_CONNECT_TO_GOOD=$LAB_CONNECT_TO
for d in TLS11:35 EXPIRED:60 WRONG_HOST:60 UNKNOWN_CA:60; do
    v=LAB_PORT_${d%:*}
    LAB_CONNECT_TO=::127.0.0.1:${!v}
    web "$LAB_ISSUER/.well-known/jwks"
    ok "door $v" is "$rc" "${d#*:}"
    web -k --ciphers DEFAULT@SECLEVEL=0 --tlsv1.0 "$LAB_ISSUER/.well-known/jwks"
    ok "door $v serves those who don't care" is "$status" 200
done
LAB_CONNECT_TO=$LAB_CONNECT_TO_GOOD
web -H 'host: iaas.us-lab-1.oraclecloud.com' "$LAB_ISSUER/.well-known/jwks"
ok 'SNI and Host differ: 421' is "$status" 421
web -k https://unknown.lab.test/
ok 'unknown host: 421' is "$status" 421
raw() { # bytes: what a client would not send by itself
    printf "$1" | timeout 10 openssl s_client -quiet -connect "127.0.0.1:$LAB_PORT" \
        -servername localhost -CAfile "$LAB_CA_FILE" 2>/dev/null >"$work/out"
}
raw 'GET /lab/state HTTP/1.1\nhost: localhost\n\n\r\n\r\n'
ok 'bare LF' has 'HTTP/1.1 400 '
raw 'GET /lab/state HTTP/1.0\r\nhost: localhost\r\n\r\n'
ok 'HTTP/1.0' has 'HTTP/1.1 505 '
raw 'POST /lab/faults HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'
ok 'two framings' has 'HTTP/1.1 400 '
raw 'POST /lab/faults HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n\r\n'
ok 'huge body' has 'HTTP/1.1 413 '
raw "GET /$(head -c 9000 /dev/zero | tr '\0' a) HTTP/1.1\\r\\nhost: localhost\\r\\n\\r\\n"
ok 'long target' has 'HTTP/1.1 414 '
n=$(curl -s --cacert "$LAB_CA_FILE" --connect-to "$LAB_CONNECT_TO" -o "$work/out" -o "$work/out2" \
    -w '%{num_connects} ' "$LAB_ISSUER/.well-known/jwks" "$LAB_ISSUER/.well-known/jwks")
ok 'kept alive' is "$n" '1 0 '
for _ in $(seq 40); do
    curl -s --cacert "$LAB_CA_FILE" --connect-to "$LAB_CONNECT_TO" \
        "$LAB_ISSUER/.well-known/jwks" >>"$work/many" &
    jobs+=($!)
done
wait "${jobs[@]}"
ok 'forty at once' is "$(grep -o '"keys"' "$work/many" | wc -l)" 40
fresh PUT "$objects" "$o/chunked" 'in chunks' && names='date (request-target) host' && seal &&
    extra='transfer-encoding: chunked' && send
good 'chunked upload' 200

# Usage errors, and a second start in the same directory with other options.
"$lab" --no-such-option 2>"$work/out"
ok 'bad option: 2' is $? 2
"$lab" --dir "$work/x" --fault nonsense 2>"$work/out"
ok 'bad --fault: 2' is $? 2
"$lab" --help >"$work/out"
for k in --die-with-parent jwk-wrong control.curl; do ok "help names $k" has "$k"; done
ok 'modes' is "$(stat -c %a "$LAB_CLIENT_SECRET_FILE" "$work/lab/ca.key" "$LAB_CONTROL_CURL" | sort -u)" 600
cp "$LAB_CA_FILE" "$work/first-ca"
kill "$pid"
wait "$pid"
ok 'first end' is $? 0
start --max-connections 3 --rule 'sub eq repo:keyward/demo:* => human' --claim ref=refs/heads/other --fault status=429,count=1
ok 'the CA is reused' cmp -s "$work/first-ca" "$LAB_CA_FILE"
basic=$LAB_CLIENT_ID:$(cat "$LAB_CLIENT_SECRET_FILE")
subject
ok '--fault counts' is "$status" 429
subject
claims_of "$jwt" >"$work/out"
ok '--claim counts' has '"ref":"refs/heads/other"'
exchange
oauth 'no service user' 401 unauthorized_client
ok 'no service user: words' has 'User requesting is not a service user.'
"$lab" --dir "$work/fd" --ready-fd 9 9>"$work/out" &
kid=$!
# (Until the word is there: `out` holds an older answer until the lab's descriptor is made.)
for _ in $(seq 1000); do grep -q '^READY' "$work/out" && break; sleep 0.05; done
. "$work/fd/lab.env"
ok '--ready-fd' is "$(cat "$work/out")" "READY $LAB_PORT"
kill $kid
wait $kid
. "$work/lab/lab.env"
(
    "$lab" --dir "$work/orphan" --ready-file "$work/orphan-ready" --die-with-parent &
    echo $! >"$work/orphan-pid"
    for _ in $(seq 200); do [ -f "$work/orphan-ready" ] && break; sleep 0.05; done
)
for _ in $(seq 60); do kill -0 "$(cat "$work/orphan-pid")" 2>/dev/null || break; sleep 0.05; done
ok 'dies with its parent' not kill -0 "$(cat "$work/orphan-pid")" 2>/dev/null
