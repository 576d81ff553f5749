#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Where the subject token may come from, what the environment overrides, and the Python
# scripts' runtimeConfig.ini.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
# Of the lab's own [source] only the audience stays.
sed -i '/^type = github/d' "$config"
jwt=$(subject)
ok 'the lab gives a JWT' grep -qE '^[^.]+\.[^.]+\.[^.]+$' <<<"$jwt"
printf '%s\n' "$jwt" >"$work/jwt"
echo "$jwt" >>"$work/secrets"

from() { # NAME TEXT: exchanges, and says where the token came from
    succeeds "$1" --json exchange
    ok "$1: source" has "$2"
    ok "$1: no secret" no_secrets
}
from 'auto: github by its variables' 'github (auto'
url=$ACTIONS_ID_TOKEN_REQUEST_URL token=$ACTIONS_ID_TOKEN_REQUEST_TOKEN
unset ACTIONS_ID_TOKEN_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN
fails 'auto: nothing there' 5 'no source of a subject token|KEYWARD_SOURCE_PATH' exchange
export GITHUB_ACTIONS=true
fails 'auto: GitHub without permission' 5 'permissions: id-token: write' exchange
unset GITHUB_ACTIONS
KEYWARD_SOURCE_TYPE=github fails 'github elsewhere' 5 'no GitHub Actions job' exchange

KEYWARD_SOURCE_PATH=$work/jwt from 'auto: file' 'file (auto'
KEYWARD_SOURCE_TYPE=file KEYWARD_SOURCE_PATH=$work/jwt from 'file' 'file ([source] type)'
export MY_JWT=$jwt
KEYWARD_SOURCE_NAME=MY_JWT from 'auto: env' 'env (auto'
KEYWARD_SOURCE_TYPE=env KEYWARD_SOURCE_NAME=MY_JWT from 'env' 'env ([source] type)'
unset MY_JWT
KEYWARD_SOURCE_NAME=MY_JWT fails 'env: unset' 5 'MY_JWT' exchange
KEYWARD_SOURCE_COMMAND="cat $work/jwt" from 'auto: command' 'command (auto'
input=$work/jwt KEYWARD_SOURCE_TYPE=stdin from 'stdin' stdin
KEYWARD_SOURCE_TYPE=stdin fails 'stdin: empty' 5 'empty|stdin' exchange
KEYWARD_SOURCE_COMMAND='echo oops >&2; exit 3' kw exchange
ok 'command fails: exit code and its own words' is "$rc:$(grep -c 'oops\|exit status 3' "$err")" 5:2
KEYWARD_DIAL_TIMEOUT=1 KEYWARD_SOURCE_COMMAND='sleep 60' fails 'command hangs' 5 'still running after 1 s' exchange
KEYWARD_SOURCE_COMMAND='yes' fails 'command without end' 5 'more than 32768 bytes' exchange
KEYWARD_SOURCE_COMMAND='kill -9 $$' fails 'command killed' 5 'signal 9' exchange
KEYWARD_SOURCE_COMMAND='no-such-program-here 2>/dev/null' fails 'command not found' 5 '127|not found' exchange
KEYWARD_SOURCE_PATH=$work/none fails 'file: absent' 5 "$work/none|No such file" exchange
KEYWARD_SOURCE_PATH=$work fails 'file: a directory' 5 "$work|not a regular file" exchange
KEYWARD_SOURCE_PATH=jwt fails 'file: relative' 2 'KEYWARD_SOURCE_PATH|absolute path' exchange
KEYWARD_SOURCE_TYPE=ftp fails 'unknown source' 2 'KEYWARD_SOURCE_TYPE|github' exchange
mkfifo "$work/fifo"
KEYWARD_SOURCE_PATH=$work/fifo fails 'file: a pipe' 5 'not a regular file' exchange

export ACTIONS_ID_TOKEN_REQUEST_URL=$url ACTIONS_ID_TOKEN_REQUEST_TOKEN=$token
KEYWARD_SOURCE_AUDIENCE=https://elsewhere.test fails 'an audience that the trust refuses' 7 'invalid_grant|claims' exchange
succeeds 'claims shows the audience asked for' claims
ok 'claims: aud' has "$LAB_AUDIENCE"
ACTIONS_ID_TOKEN_REQUEST_TOKEN=wrong fails 'a wrong bearer' 5 '401|id-token: write' exchange
ACTIONS_ID_TOKEN_REQUEST_URL=http://token.actions.lab.test/x fails 'a request URL without TLS' 5 \
    'ACTIONS_ID_TOKEN_REQUEST_URL|https' exchange

# The environment overrides what the file says; the file named there is read.
KEYWARD_KEY_BITS=3072 succeeds 'bits' --json exchange
KEYWARD_TLS_CA_FILE=$work/none fails 'ca_file from the environment' 2 "$work/none" exchange
KEYWARD_KEY_BITS=1024 fails 'bits out of bounds' 2 'KEYWARD_KEY_BITS|2048' exchange
KEYWARD_OCI_CLIENT_SECRET=hush fails 'a secret in the environment' 2 'KEYWARD_OCI_CLIENT_SECRET|client_secret_source' exchange
KEYWARD_TOKEN_PIN=1234 fails 'a PIN in the environment' 2 'KEYWARD_TOKEN_PIN|pin_source' exchange
KEYWARD_KEY_BITZ=2048 fails 'an unknown variable' 2 'KEYWARD_KEY_BITZ' exchange
without_config() { # ARGUMENT...: as kw, but what is read is found by searching
    setsid "$KW_BIN/keyward" "$@" >"$out" 2>"$err" </dev/null
    rc=$?
}
KEYWARD_CONFIG=$config KEYWARD_PROFILE=lab without_config exchange
expect_exit 'KEYWARD_CONFIG and KEYWARD_PROFILE' 0
mkdir -p "$HOME/.config/keyward" "$work/repository"
cp "$config" "$HOME/.config/keyward/keyward.ini"
without_config exchange
expect_exit 'HOME/.config/keyward/keyward.ini, one profile' 0
rm "$HOME/.config/keyward/keyward.ini"
cp "$config" "$work/repository/keyward.ini"
cd "$work/repository" || exit 1
without_config exchange
expect_exit 'never from the working directory' 2
cd / || exit 1

# The scripts' runtimeConfig.ini.
runtime=$work/runtimeConfig.ini
secret=$(cat "$LAB_CLIENT_SECRET_FILE")
write_runtime() {
    cat >"$runtime" <<END
[IdentityDomain]
iam_guid = $LAB_DOMAIN_URL

[WIFConfig]
oauthclientid = $LAB_CLIENT_ID
oauthclientsecret = $secret
subjecttoken = $jwt
END
}
from_file() { # NAME
    succeeds "$1" --json exchange --from "$runtime"
    ok "$1: source" has 'given with --from'
    ok "$1: no secret" no_secrets
}
# The line is meant to be refused; $2 is its number and reason.
from_refused() { # NAME "TEXT|TEXT"
    fails "$1" 2 "$runtime|$2" exchange --from "$runtime"
}
write_runtime
from_file 'runtimeConfig.ini'
sed -i 's/^oauthclientid = /OAuthClientId: /; s/^iam_guid = /IAM_GUID=/; s/$/\r/' "$runtime"
from_file 'runtimeConfig.ini: key case, colon, CR LF'
write_runtime
printf '\n[KeyPair]\nprivatekeypath = /tmp/key.pem\n' >>"$runtime"
from_file 'runtimeConfig.ini: sections that play no part'
sed -i 's/^iam_guid.*/& ; the domain/' "$runtime"
from_refused 'runtimeConfig.ini: a comment behind a value' ':2: |a line of their own'
write_runtime
sed -i 's/^oauthclientsecret = .*/oauthclientsecret = ab%cd/' "$runtime"
from_refused 'runtimeConfig.ini: a bare %' ":6: |'%'"
write_runtime
sed -i 's/^subjecttoken.*/subjecttoken =\n  abc/' "$runtime"
from_refused 'runtimeConfig.ini: a continued line' ':8: |indented'
write_runtime
sed -i '/^oauthclientsecret/d' "$runtime"
from_refused 'runtimeConfig.ini: no secret' 'oauthclientsecret'
write_runtime
sed -i '/^iam_guid/d' "$runtime"
from_refused 'runtimeConfig.ini: no domain' 'iam_guid'
write_runtime
sed -i 's,^iam_guid.*,iam_guid = idcs-lab,' "$runtime"
from_refused 'runtimeConfig.ini: a domain that is no URL' ':2: |iam_guid'
write_runtime
sed -i 's,^iam_guid = https,iam_guid = http,' "$runtime"
from_refused 'runtimeConfig.ini: a domain without TLS' ':2: |https'
write_runtime
echo 'oauthclientid = twice' >>"$runtime"
from_refused 'runtimeConfig.ini: twice' ':8: |twice'
write_runtime
sed -i '1d' "$runtime"
from_refused 'runtimeConfig.ini: no section' ':1: |before any'
write_runtime
chmod 666 "$runtime"
from_refused 'runtimeConfig.ini: others can write it' 'chmod go-w'
chmod 644 "$runtime"
kw exchange --from "$runtime"
ok 'runtimeConfig.ini: others can read it: a warning' is "$rc:$(grep -c 'chmod 600' "$err")" 0:1
fails 'runtimeConfig.ini: absent' 2 "$work/none|No such file" exchange --from "$work/none"
finish
