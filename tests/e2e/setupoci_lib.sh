# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # between those that source this and lib.sh
# Sourced, after lib.sh, by setupoci.sh and setupcuts.sh: a bare lab with an administrator whose
# API key is in a profile of the OCI command line, and in the token.
tenancy=ocid1.tenancy.oc1..aaaaaaaakeywardlab
admin_id=$tenancy/ocid1.user.oc1..aaaaaaaaadmin/20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34
statement="Allow group 'Default'/'Deployers' to manage object-family in tenancy"
ocicli=$(cd "$(dirname "$0")" && pwd)/ocicli
export OCICLI_KEY=$work/api.pem OCICLI_KEY_ID=$admin_id

start_admin() {
    start_token
    mkdir "$work/job" && cd "$work/job" || exit 1 # a secret may not go into the working directory
    openssl genrsa -out "$work/api.pem" 2048 2>"$work/openssl.log"
    openssl pkey -in "$work/api.pem" -pubout -out "$work/api.pub"
    start_lab --bare --api-key "$admin_id=$work/api.pub"
    mkdir "$HOME/.oci"
    {
        echo '[DEFAULT]' && echo "tenancy=$tenancy" && echo "region=$LAB_REGION"
        echo 'user=ocid1.user.oc1..aaaaaaaaadmin' && echo 'fingerprint=20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34'
        echo '# as the CLI has it' && echo 'key_file=~/api.pem'
        echo '[NOBODY]' && echo "key_file=$work/other.pem"
    } >"$HOME/.oci/config"
    cp "$work/api.pem" "$HOME/api.pem"
    openssl genrsa -out "$work/other.pem" 2048 2>"$work/openssl.log"
    base_config
}
base_config() { # what a person has before there is anything at OCI
    printf '[token]\nuri = %s\n[oci lab]\ndomain_url = %s\n[tls]\nca_file = %s\n[dial]\nresolve = %s\n[audit]\nfile = %s\n' \
        "$token_uri" "$LAB_DOMAIN_URL" "$LAB_CA_FILE" "$LAB_RESOLVE" "$work/audit.jsonl" >"$config"
}
secret=$work/secret
setup() { # ARGUMENT...: the usual one
    kw setup oci --issuer github --issuer-url "$LAB_ISSUER" --repository keyward/demo --branch main \
        --client-secret "file:$secret" --service-user ci --group Deployers --statement "$statement" "$@"
    [ ! -e "$secret" ] || { cat "$secret" && echo; } >>"$work/secrets"
}
raw() { # METHOD PATH [BODY]: what the administrator does by himself, answer in $work/raw
    "$ocicli" raw-request --http-method "$1" --target-uri "$LAB_DOMAIN_URL/admin/v1/$2" ${3+--request-body "$3"} >"$work/raw" 2>"$work/raw.err"
}
raw_id() { sed -nE 's/.*"Resources"://; s/"id":"/\n&/; s/^[^\n]*\n"id":"([^"]*)".*/\1/p' "$work/raw" | head -n 1; }
total() { # KIND: how many there are of it
    raw GET "$1"
    sed -n 's/.*"totalResults":\([0-9]*\).*/\1/p' "$work/raw"
}
policies() { "$ocicli" iam policy list --compartment-id "$tenancy" --name keyward-lab | grep -o '"lifecycleState"' | wc -l; }
counts() { echo "$(total Apps) apps $(total Grants) grants $(total Users) users $(total Groups) groups $(total IdentityPropagationTrusts) trusts $(policies) policies"; }
tokens() { requests '"method":"POST","host":"[^"]*","target":"/oauth2/v1/token"'; } # which change nothing
writes() { echo $(($(requests '"method":"POST"') - $(tokens) + $(requests '"method":"PATCH"') + $(requests '"method":"PUT"') + $(requests '"method":"DELETE"'))); }

# --- interruptions -------------------------------------------------------------------------

all='1 apps 0 grants 1 users 1 groups 1 trusts 1 policies'
none='0 apps 0 grants 0 users 0 groups 0 trusts 0 policies'

again() { lab POST reset && lab DELETE log && rm -f "$secret"; }
by='P*' # POST, PUT, PATCH
met() { # the fault was there, and met
    lab GET faults
    ok "$1: met" not file_has "$work/lab.out" '"fault"'
}
usable() { # by what it printed
    cp "$out" "$config"
    kw exchange
    base_config
    [ "$rc" -eq 0 ]
}
converges() { # NAME: the same command, until there is no more to do: three times at most
    for _ in 1 2 3; do
        [ "$rc" -eq 0 ] && break
        setup --apply
    done
    ok "$1: done at last" is "$rc" 0
    ok "$1: nothing twice" is "$(counts)" "$all"
    ok "$1: in use" usable
}
