/* SPDX-License-Identifier: Apache-2.0
 *
 * The system's CA certificates, most of which no run ever needs: a bundle is read and its
 * subjects are noted, but a certificate is parsed when a chain asks for it. Parsing all of
 * them costs OpenSSL 3.0 some twenty milliseconds, more than the rest of the exchanger's
 * start. No file is opened after kw_roots_add().
 */
#ifndef KW_ROOTS_H
#define KW_ROOTS_H

#include <openssl/x509.h>

/* Makes the certificates of a PEM file known to the store, besides those it holds. How many
 * there are; 0 if the file can't be read or holds none. What is no certificate in it is
 * passed over. */
unsigned kw_roots_add(X509_STORE *store, const char *path);

#endif
