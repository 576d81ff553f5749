# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the scripts of `setup google` share: a bare lab, a configuration without a profile, the
# calls, and another program that says what is there.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir "$work/job"
cd "$work/job" || exit 1
[ -n "$softhsm" ] || { echo "libsofthsm2.so is not installed" && exit 1; }
start_token
start_lab --bare
printf '%s\n' "$(cat "$LAB_GOOGLE_ADMIN_TOKEN_FILE")" >>"$work/secrets"
admin_config() { # what an administrator has: no profile yet
    {
        printf '[tls]\nca_file = %s\n[dial]\nresolve = %s\n' "$LAB_CA_FILE" "$LAB_RESOLVE"
        printf '[audit]\nfile = %s\n' "$work/audit.jsonl"
    } >"$config"
}
admin_config
may_change=files/ini
account=ci-deploy@lab-project.iam.gserviceaccount.com
bucket=gs://lab-bucket
named=(--project lab-project --pool ci-pool --provider github --service-account ci-deploy
    --grant "roles/storage.objectViewer=$bucket" --grant roles/browser=project)
whose=(--issuer github --issuer-url "$LAB_ISSUER" --repository-id 592302719 --branch main)
setup() { kw setup google "${named[@]}" "${whose[@]}" "$@"; }
as_admin=(--admin-token-file "$LAB_GOOGLE_ADMIN_TOKEN_FILE")
apply() { setup "${as_admin[@]}" --wait "${patience-30}" --apply "$@"; }
plan_is() { # NAME PENDING: how many things the plan would change
    setup "${as_admin[@]}" --json
    ok "$1: the plan" is "$rc $(field pending)" "0 $2"
}

# --- what is there, asked for by another program ---------------------------------------------------
N=projects/$LAB_GOOGLE_NUMBER W=locations/global/workloadIdentityPools
iam=https://iam.googleapis.com/v1
goog() { # METHOD URL [BODY]
    printf 'authorization: Bearer %s\n' "$(cat "$LAB_GOOGLE_ADMIN_TOKEN_FILE")" >"$work/auth"
    curl -sS --cacert "$LAB_CA_FILE" --noproxy '*' --connect-to "$LAB_CONNECT_TO" -X "$1" -H "@$work/auth" \
        ${3+-H 'content-type: application/json' --data-binary "$3"} "$2"
}
many() { goog GET "$1" | grep -o "\"$2\":" | wc -l; } # URL MEMBER
bound() { goog POST "$iam/projects/-/serviceAccounts/$account:getIamPolicy" '{}' | grep -o 'principalSet:' | wc -l; }
everything() { # pools, providers, accounts, who may be the account: as it should be once set up
    echo "$(many "$iam/$N/$W" state) $(many "$iam/$N/$W/ci-pool/providers" state)" \
        "$(many "$iam/$N/serviceAccounts" email) $(bound)"
}
# shellcheck disable=SC2034 # for the scripts
pool=$iam/$N/$W/ci-pool
changes() { # how many requests changed, or tried to change, something
    lab GET log
    sed 's/{"time"/\n&/g' "$work/lab.out" | grep -E '"method":"(POST|PATCH|PUT|DELETE)"' | grep -vc getIamPolicy
}
destroy() { kw setup google "${named[@]}" "${as_admin[@]}" --wait "${patience-30}" --destroy "$@"; }
