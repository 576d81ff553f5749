#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Sets both clouds up in a bare keyward-lab, by their administration's requests alone, with
# curl and openssl: what is made counts at the token endpoints, each rule is broken once,
# and an interruption by the faults leaves what it should. usage: setup.sh path/to/keyward-lab
lab=$1
. "$(dirname "$0")/e2e_lib.sh"
. "$(dirname "$0")/e2e_keys.sh"
unset override twice
: >"$work/upst"
field() { sed -n "s/.*\"$1\": *\"\\([^\"]*\\)\".*/\\1/p" "$work/out" | head -n 1; } # the last of that name
enc() { printf %s "$1" | sed 's/ /%20/g; s/"/%22/g; s/\[/%5B/g; s/\]/%5D/g; s/:/%3A/g'; }

start --bare
. "$(dirname "$0")/setup_oci.sh"
. "$(dirname "$0")/setup_policy.sh"
. "$(dirname "$0")/setup_faults.sh"
. "$(dirname "$0")/setup_google.sh"
finish
