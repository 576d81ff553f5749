#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# SoftHSM, the token of all other tests. It has no daemon: its files are moved away.
# shellcheck source=tests/interop/tokens/lib.sh
. "$(dirname "$0")/lib.sh"
name='SoftHSM' package=libsofthsm2 token=$label
module=$(find_module libsofthsm2.so) || exit 1
start_token
in_token() { pkcs11-tool --module "$module" --token-label "$token" --login --pin "$pin" --list-objects 2>/dev/null; }
stop() { mv "$work/tokens" "$work/away"; }
start_it() { mv "$work/away" "$work/tokens"; }

begin
as_told 1 CKM_SHA256_RSA_PKCS \
    'TOKEN=0 PRIVATE=1 SENSITIVE=1 EXTRACTABLE=0 ALWAYS_SENSITIVE=1 NEVER_EXTRACTABLE=1 LOCAL=1 MODIFIABLE=0 COPYABLE=0 SIGN=1 DECRYPT=0 UNWRAP=0 SIGN_RECOVER=0 DERIVE=0' \
    'nothing came out: 7 reads of private attributes, '
many
keeps
dies survives 'C_Initialize'
row
finish
