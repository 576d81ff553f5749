#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Everything that a server can do wrong, at each of the three places where keyward talks to
# one: the issuer's token service, the identity domain, and the API.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
export KEYWARD_DIAL_TIMEOUT=20
may_change=''
issuer='path=/token-request*' domain='path=/oauth2/v1/token' api='path=/n/'
namespace=$LAB_OBJECTS_URL/n/
echo old >"$work/files/old"

at_issuer() { # FAULT CODE "TEXT"
    fault "$1,$issuer"
    fails "issuer, $1" "$2" "$3" exchange
}
at_domain() {
    fault "$1,$domain"
    fails "domain, $1" "$2" "$3" exchange
}
at_api() { # -o: not made, and what was there stays as it was
    fault "$1,$api"
    fails "API, $1" "$2" "$3" request GET -o "$work/files/old" "$namespace"
}
at_all() { # FAULT CODE-AT-ISSUER CODE-AT-DOMAIN CODE-AT-API "TEXT"
    at_issuer "$1" "$2" "$5"
    at_domain "$1" "$3" "$5"
    at_api "$1" "$4" "$5"
}
# An API's answer is the user's, whatever it is: there JSON is not demanded.
at_issuer not-json 5 'not JSON|check the URL'
at_domain not-json 7 'domain_url'
at_issuer html 5 'HTML|login page'
at_domain html 7 'domain_url'
at_issuer overlong 5 'token.actions.lab.test'
at_domain overlong 7 'idcs-lab'
at_issuer endless 5 'token.actions.lab.test'
at_domain endless 7 'idcs-lab'
at_all truncate 8 8 8 'cut short'
at_all reset 8 8 8 ''
at_all drop 8 8 8 'closed the connection'
at_all "redirect=$LAB_ISSUER/elsewhere" 5 7 7 'redirect'
ok 'a redirect was never followed' is "$(requests '"target":"/elsewhere"')" 0
at_all long-header=20000 5 7 7 'headers'
at_all status=400 5 7 7 '400'
at_all status=401 5 7 7 '401'
at_all status=403 5 7 7 '403'
at_all status=404 5 7 7 '404'
at_all status=409 5 7 7 '409'
at_all status=429 8 8 8 '429|try again later'
at_all status=500 8 8 8 '500|try again later'
at_all status=503 8 8 8 '503|try again later'
KEYWARD_DIAL_TIMEOUT=4 # a key generation on a busy machine has to fit in
at_all drip=1500 8 8 8 'in time'
at_all latency=15000 8 8 8 'in time'
at_api endless 8 '[dial] timeout'
KEYWARD_DIAL_TIMEOUT=20

# What only the issuer or the domain can do.
at_issuer jwt-garbage 5 'no JWT'
at_issuer jwt-expired 6 'expired'
at_issuer jwt-wrong-key 7 'invalid_grant'
at_domain jwk-wrong 7 'another key|thrown away'
at_domain jwk-missing 7 'no jwk'
at_domain token-expired 7 'expired|clock'
at_domain token-garbage 7 'no JWT'
at_domain token-absent 7 '"token"'
fault
subject >"$work/jwt"
export KEYWARD_SOURCE_TYPE=file KEYWARD_SOURCE_PATH=$work/jwt
at_domain clock=7200 7 'invalid_grant|fresh'
at_domain clock=-7200 7 'invalid_grant'
unset KEYWARD_SOURCE_TYPE KEYWARD_SOURCE_PATH
fault "jwk-object,$domain"
succeeds 'a jwk as an object is read as well' exchange
fault
lab POST claims '{"repository_id": "1"}'
fails 'a rule of the claim policy' 6 'claim.repository_id|592302719' exchange
lab DELETE claims
lab POST claims '{"sub": "repo:other/place:ref:refs/heads/main"}'
fails 'no rule of the trust fits' 7 'impersonation rule|keyward claims' exchange
lab DELETE claims

# With the session kept, nothing of a failed one is kept.
export KEYWARD_KEY_STORAGE=token
at_domain jwk-wrong 7 'another key'
at_domain status=500 8 '500'
at_domain truncate 8 'cut short'
KEYWARD_DIAL_TIMEOUT=4
at_domain latency=15000 8 'in time'
ok 'no key is left in the token' is "$(objects)" 0
KEYWARD_DIAL_TIMEOUT=20
fault
succeeds 'a session is kept' exchange
at_api clock=-900 7 '401 NotAuthenticated|clock'
at_api clock=900 7 '401 NotAuthenticated|clock'
fault
succeeds 'the session is still good' request GET "$namespace"
succeeds 'keys --prune --all' keys --prune --all
unset KEYWARD_KEY_STORAGE

# A single failure of a kept-alive connection, then all is well.
fault
succeeds 'and all is well after that' request GET "$namespace"
ok 'the old file was never touched' is "$(cat "$work/files/old")" old
finish
