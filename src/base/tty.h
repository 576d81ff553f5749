/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper switches echo off while a PIN is typed. If it dies just then (a ^C, a
 * hanging module), main gives the terminal back as it was.
 */
#ifndef KW_TTY_H
#define KW_TTY_H

/* Remembers the controlling terminal's settings; without a terminal both do nothing. */
void kw_tty_save(void);
/* Puts them back if they have changed since. Idempotent. */
void kw_tty_restore(void);

/* Gives the controlling terminal up: from here on /dev/tty leads this process, and what it
 * loads, nowhere. (Not setsid(): who ends a session's processes shall still find us.) */
void kw_tty_leave(void);

#endif
