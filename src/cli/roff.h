/* SPDX-License-Identifier: Apache-2.0
 *
 * Man pages in the macros of man(7), from the texts that --help prints. What is given is
 * plain text; nothing in it is taken for a request or an escape of troff.
 */
#ifndef KW_ROFF_H
#define KW_ROFF_H

#include <stdio.h>

/* The page's head and its NAME section. name as in the file's name: "keyward.ini". */
void kw_roff_page(FILE *out, const char *name, int section, const char *purpose);
void kw_roff_section(FILE *out, const char *title);
void kw_roff_subsection(FILE *out, const char *title);
/* Paragraphs end with an empty line; a line that begins with a space is printed as it is. */
void kw_roff_text(FILE *out, const char *text);
/* One tagged paragraph, and more paragraphs under the same tag. */
void kw_roff_item(FILE *out, const char *tag, const char *text);
void kw_roff_item_more(FILE *out, const char *text);

#endif
