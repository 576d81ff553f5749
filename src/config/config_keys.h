/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the configuration: the table that names every key, the setter that
 * checks one value, and the reader of INI text. Only config*.c and tests include it.
 */
#ifndef KW_CONFIG_KEYS_H
#define KW_CONFIG_KEYS_H

/* What names of sections and profiles are made of. */
#define KW_INI_NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

#include "config.h"

enum kw_kind {
    KW_K_WORD,    /* visible ASCII without spaces */
    KW_K_WORDS,   /* the same, several separated by spaces */
    KW_K_COMMAND, /* a line for sh -c: any printable text; no comment may follow it */
    KW_K_PATH,    /* absolute path */
    KW_K_NAME,    /* name of one environment variable */
    KW_K_NAMES,   /* names of environment variables, separated by spaces */
    KW_K_U32,     /* decimal number, min..max */
    KW_K_CHOICE,  /* one word of .choices */
    KW_K_FLAGS,   /* words of .choices, or'ed */
    KW_K_TOKEN,   /* PKCS#11 URI that names a token and a module */
    KW_K_OBJECT,  /* PKCS#11 URI that names an object */
    KW_K_PIN,     /* fd:N | file:/path | credential:NAME | prompt | protected */
    KW_K_SECRET,  /* fd:N | file:/path | credential:NAME */
    KW_K_ORIGIN,  /* https://host[:port] */
    KW_K_PROXY,   /* http://host:port */
    KW_K_HOSTS,   /* host patterns, separated by spaces */
    KW_K_METHODS, /* HTTP methods, separated by spaces */
    KW_K_PATHS,   /* patterns of paths, separated by spaces */
    KW_K_DIAL,    /* host-pattern:port, separated by spaces */
    KW_K_RESOLVE, /* host:port:address:port, separated by spaces */
    KW_K_CLAIM,   /* claim.NAME = patterns */
    KW_K_HEADER,  /* header.NAME = value */
    KW_K_SAY,     /* claim.NAME = value, of a JWT that we issue */
    KW_K_NAMED,   /* PREFIX.NAME = any text: lines NAME=TEXT in the field */
    KW_K_TEXT,    /* any printable text */
};

struct kw_choice {
    const char *word;
    uint32_t value;
};

struct kw_key {
    const char *section, *name; /* a name that ends in '.' stands for all it begins */
    enum kw_kind kind;
    size_t offset, size; /* of the field in struct kw_config */
    uint32_t min, max;
    const struct kw_choice *choices; /* ended by a NULL word */
    const char *dflt;                /* NULL: none */
    bool env;                        /* KEYWARD_SECTION_KEY may set it */
    const char *help;
};

extern const struct kw_key kw_keys[]; /* ended by a NULL section */

/* The key, or NULL. `section` without a profile's name. */
const struct kw_key *kw_key_find(const char *section, const char *name);
bool kw_section_known(const char *section);
/* Sections that carry a profile's name: "oci", "google", "policy". */
bool kw_section_named(const char *section);
/* The cure for a name that looks like a place for a secret, else NULL. */
const char *kw_key_cure(const char *name);

/* The reason why a text value is refused, or NULL. */
const char *kw_key_check(const struct kw_key *k, const char *value);

/* Checks value and stores it in *c. name: as given ("claim.ref"); where and line:
 * for errors (line 0: none). Values that could be a misplaced secret aren't quoted. */
int kw_key_set(struct kw_config *c, const struct kw_key *k, const char *name, const char *value,
               const char *where, unsigned line, struct kw_err *err);

enum {
    KW_INI_BYTES = 65536, /* largest file */
    KW_INI_LINE = 4096,   /* longest line, without its end */
    KW_INI_ENTRIES = 512,
    KW_INI_SECTIONS = 64,
    KW_INI_SECTION = 50, /* inih cuts longer section names silently: we refuse them */
};

struct kw_ini_entry {
    char section[KW_INI_SECTION];
    char *name, *value; /* owned */
    unsigned line;
};

struct kw_ini {
    char path[1024];
    struct kw_ini_entry entries[KW_INI_ENTRIES];
    size_t n;
    struct {
        char name[KW_INI_SECTION];
        unsigned line;
    } sections[KW_INI_SECTIONS]; /* also the empty ones */
    size_t n_sections;
};

/* Reads INI text into *ini (zeroed first; freed by kw_ini_free(), also after an
 * error). Every line must be readable in one way only: see config_ini.c. */
int kw_ini_parse(const char *text, size_t n, const char *path, struct kw_ini *ini,
                 struct kw_err *err);
void kw_ini_free(struct kw_ini *ini);

/* "KEYWARD_OCI_CLIENT_ID" of a key; false if it doesn't fit. */
bool kw_key_variable(const char *section, const char *name, char *out, size_t size);

/* The last step of loading: do the values fit together? Fills the default of dial. */
int kw_config_complete(struct kw_config *c, char *const *environ_list, struct kw_err *err);

/* The error for a key that a command needs. */
int kw_config_missing(const struct kw_config *c, const char *section, const char *key,
                      const char *why, struct kw_err *err);

/* Once c->cloud is chosen, and once a run: what is the other cloud's goes. */
int kw_config_narrow(struct kw_config *c, char *const *environ_list, struct kw_err *err);

/* Makes dial from the rest unless it was configured. */
int kw_config_default_dial(struct kw_config *c, char *const *environ_list, struct kw_err *err);

/* All of kw_config_load() behind the reading of the file: ini may be NULL (no file),
 * environ_list NULL (no environment). */
int kw_config_build(struct kw_config *c, const struct kw_ini *ini, const char *profile,
                    char *const *environ_list, struct kw_err *err);

#endif
