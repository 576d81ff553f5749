/* SPDX-License-Identifier: Apache-2.0
 *
 * The dialer of `run`: fuzz_dialer.c with the proxy for a third peer, whose questions are answered
 * when the dialer has nothing else to do. Channels: main, exchanger, proxy; the fourth is what a
 * server says first. */
#define KW_FUZZ_POOL 1
#include "fuzz_dialer.c"
