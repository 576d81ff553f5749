/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper of `run`: fuzz_keeper.c with the proxy for a third peer, and a packet at a time, when
 * the keeper has nothing else to do, so that sessions can follow each other. Channels: main,
 * exchanger, proxy. */
#define KW_FUZZ_RUN 1
#include "fuzz_keeper.c"
