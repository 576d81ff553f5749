#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Drives keyward-lab with curl and openssl only: good signatures pass, each tampered one
# fails, the token endpoint refuses what the real one refuses, and every fault shows on
# the wire. usage: e2e.sh path/to/keyward-lab
lab=$1
. "$(dirname "$0")/e2e_lib.sh"
. "$(dirname "$0")/e2e_keys.sh"
start
. "$(dirname "$0")/e2e_exchange.sh"
. "$(dirname "$0")/e2e_signatures.sh"
. "$(dirname "$0")/e2e_uploads.sh"
. "$(dirname "$0")/e2e_faults.sh"

finish
