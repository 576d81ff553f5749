#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# p11-kit's remoting: the module is p11-kit-client.so, and behind a UNIX socket `p11-kit
# server` has SoftHSM. The server is one process and one more for each client.
# shellcheck source=tests/interop/tokens/lib.sh
. "$(dirname "$0")/lib.sh"
name='p11-kit remoting' package=p11-kit token=$label
module=$(find_module p11-kit-client.so) || exit 1
start_token
socket=$work/p11.sock
export P11_KIT_SERVER_ADDRESS=unix:path=$socket
in_token() { pkcs11-tool --module "$softhsm" --token-label "$token" --login --pin "$pin" --list-objects 2>/dev/null; }
start_it() {
    rm -f "$socket"
    daemon server setsid p11-kit server -f -n "$socket" --provider "$softhsm" "pkcs11:token=$token"
    wait_for 20 test -S "$socket" || { cat "$work/server.log" && exit 1; }
}
stop() {
    local process clients
    clients=$(grep -l "^PPid:.$(pid server)\$" /proc/[0-9]*/status 2>/dev/null | cut -d/ -f3)
    for process in $(pid server) $clients; do killed "$process"; done
}

start_it
begin
kw exchange
ok 'without [token] network: exit code' is "$rc" 3
ok 'without [token] network: says so' says '[token] network = local'
echo 'network = local' >>"$config"
configured='[token] network = local'
as_told 1 CKM_SHA256_RSA_PKCS \
    'TOKEN=0 PRIVATE=1 SENSITIVE=1 EXTRACTABLE=0 ALWAYS_SENSITIVE=1 NEVER_EXTRACTABLE=1 LOCAL=1 MODIFIABLE=0 COPYABLE=0 SIGN=1 DECRYPT=0 UNWRAP=0 SIGN_RECOVER=0 DERIVE=0' \
    'nothing came out: 7 reads of private attributes, '
many
keeps
dies 'C_Sign|CKR_DEVICE_ERROR|see that it runs' 'no token|there is none at all|daemon'
row
finish
