# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What e2e.sh and setup.sh stand on: the running lab, curl, signatures by openssl, the
# exchange. Sourced with $lab set.
set -u
work=$(mktemp -d "${TMPDIR:-/tmp}/lab-e2e.XXXXXX")
pid=
trap 'if [ -n "$pid" ]; then kill "$pid" 2>/dev/null; wait "$pid"; fi; rm -rf "$work"' EXIT
unset HTTPS_PROXY https_proxy ALL_PROXY all_proxy
tests=0 failed=0 jobs=()

ok() { # NAME CONDITION...
    local name=$1
    shift
    tests=$((tests + 1))
    if ! "$@"; then
        failed=$((failed + 1))
        echo "not ok - $name (status ${status-}, answer: $(head -c 300 "$work/out" 2>/dev/null))"
    fi
}
is() { [ "$1" = "$2" ]; }
has() { grep -qF -- "$1" "$work/out"; }
file_has() { grep -qF -- "$2" "$1"; }
not() { ! "$@"; }

start() { # OPTION...
    rm -f "$work/ready"
    "$lab" --dir "$work/lab" --ready-file "$work/ready" --api-key "$api_id=$work/api.pub" \
        --assertion-key "lab-alias=$work/api.pub" \
        --trust "https://second.test/x=$work/second.jwks" "$@" 2>"$work/lab.err" &
    pid=$!
    for _ in $(seq 200); do
        [ -f "$work/ready" ] && break
        sleep 0.05
    done
    [ -f "$work/ready" ] || { cat "$work/lab.err"; echo "the lab did not start"; exit 1; }
    # shellcheck source=/dev/null
    . "$work/lab/lab.env"
}
control() { # METHOD PATH [BODY]
    status=$(curl -K "$LAB_CONTROL_CURL" -o "$work/out" -w '%{http_code}' -X "$1" \
        ${3+--data-binary "$3"} "$LAB_CONTROL_URL/$2" 2>"$work/curl.err")
}
# curl to the hosts that the lab plays; sets $status and $rc.
web() {
    : >"$work/out"
    status=$(curl -sS --cacert "$LAB_CA_FILE" --connect-to "$LAB_CONNECT_TO" --path-as-is \
        --max-time 20 -o "$work/out" -D "$work/head" -w '%{http_code}' "$@" 2>"$work/curl.err")
    rc=$?
}

# --- OCI signatures: fresh sets everything, seal signs, send sends -----------------------
fresh() { # METHOD HOST TARGET [BODY]
    m=$1 h=$2 t=$3 b=${4-}
    date=$(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S GMT') xdate='' extra=''
    ctype=application/json len=${#b}
    sha=$(printf %s "$b" | openssl dgst -sha256 -binary | base64 -w0)
    alg=rsa-sha256 ver=1 key=$work/session.pem keyid="ST\$$(cat "$work/upst")" wire_host=$h
    names='date (request-target) host'
    case $m in POST | PUT | PATCH) names="$names content-length content-type x-content-sha256" ;; esac
}
seal() {
    local s='' n
    for n in $names; do
        case ${n,,} in
        '(request-target)') s+="(request-target): ${m,,} $t" ;;
        host) s+="host: $h" ;;
        date) s+="date: $date" ;;
        x-date) s+="x-date: $xdate" ;;
        content-length) s+="content-length: $len" ;;
        content-type) s+="content-type: $ctype" ;;
        x-content-sha256) s+="x-content-sha256: $sha" ;;
        *) s+="$n: " ;;
        esac
        s+=$'\n'
    done
    sig=$(printf %s "${s%$'\n'}" | openssl dgst -sha256 -sign "$key" | base64 -w0)
}
send() {
    local args=(-H "host: $wire_host")
    auth="Signature version=\"$ver\",keyId=\"$keyid\",algorithm=\"$alg\",headers=\"$names\",signature=\"$sig\""
    printf 'authorization: %s\n' "${override-$auth}" >"$work/auth"
    [ -n "$date" ] && args+=(-H "date: $date")
    [ -n "$xdate" ] && args+=(-H "x-date: $xdate")
    [ -n "$extra" ] && args+=(-H "$extra")
    case $m in
    POST | PUT | PATCH)
        printf %s "$b" >"$work/body"
        args+=(-H "content-type: $ctype" -H "x-content-sha256: $sha" --data-binary "@$work/body")
        ;;
    HEAD) args+=(--head) ;;
    esac
    [ "$m" = HEAD ] || args+=(-X "$m")
    web "${args[@]}" -H "@$work/auth" "https://$h$t"
}
good() { ok "$1" is "$status" "$2"; }
refused() { # NAME: 401 with the vendor's body
    ok "$1: 401" is "$status" 401
    ok "$1: body" has '"code":"NotAuthenticated"'
    ok "$1: request id" file_has "$work/head" 'opc-request-id: '
}
newest() { # the newest log entry has this text
    control GET log
    sed 's/{"time"/\n&/g' "$work/out" | tail -n 1 >"$work/last"
    ok "log: $1" file_has "$work/last" "$1"
}

# --- subject token and exchange ----------------------------------------------------------
subject() { # [AUDIENCE]
    printf 'authorization: bearer %s\n' "$(cat "$LAB_REQUEST_TOKEN_FILE")" >"$work/auth"
    web -H "@$work/auth" "$LAB_REQUEST_URL&audience=${1-$LAB_AUDIENCE}"
    jwt=$(sed -n 's/.*"value":"\([^"]*\)".*/\1/p' "$work/out")
}
claims_of() { # JWT
    local p
    p=$(printf %s "$1" | cut -d. -f2 | tr '_-' '/+')
    while [ $((${#p} % 4)) -ne 0 ]; do p="$p="; done
    printf %s "$p" | base64 -d
}
exchange() { # [FIELD=VALUE ...] replaces defaults; FIELD= drops one
    declare -A f=([grant_type]=urn:ietf:params:oauth:grant-type:token-exchange
        [requested_token_type]=urn:oci:token-type:oci-upst [subject_token]=$jwt
        [subject_token_type]=jwt [public_key]=$spki)
    local kv args=() k
    for kv in "$@"; do f[${kv%%=*}]=${kv#*=}; done
    for k in "${!f[@]}"; do [ -n "${f[$k]}" ] && args+=(--data-urlencode "$k=${f[$k]}"); done
    [ -n "$basic" ] && printf 'authorization: Basic %s\n' "$(printf %s "$basic" | base64 -w0)" >"$work/auth"
    [ -n "$basic" ] || echo 'x-none: 1' >"$work/auth"
    web "${args[@]}" ${twice+--data-urlencode "$twice"} -H "@$work/auth" "$LAB_DOMAIN_URL/oauth2/v1/token"
    token=$(sed -n 's/.*"token":"\([^"]*\)".*/\1/p' "$work/out")
}
oauth() { # NAME STATUS ERROR
    ok "$1: $2" is "$status" "$2"
    ok "$1: $3" has "\"error\":\"$3\""
    ok "$1: ecid" file_has "$work/head" 'x-oracle-dms-ecid: '
}

finish() {
    kill "$pid"
    wait "$pid"
    ok 'ends cleanly on SIGTERM' is $? 0
    pid=
    echo "$tests checks, $failed failed"
    [ "$failed" -eq 0 ] || { tail -n 20 "$work/lab.err"; exit 1; }
}
