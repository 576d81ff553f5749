/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the files of the presets: what one is put together with. Only setup_preset*.c
 * include it. */
#ifndef KW_SETUP_PRESET_INT_H
#define KW_SETUP_PRESET_INT_H

#include "setup_preset.h"

enum { KW_PRESET_VALUE = 400 };

struct kw_preset_job {
    const struct kw_preset_ask *ask;
    struct kw_preset *p;
    struct kw_err *err;
    bool bad; /* something did not fit, or there was no memory */
};

/* One more term of the condition; a text of its own; a mapping; a claim of [policy]; a rule of
 * OCI's; a warning. */
void kw_preset_term(struct kw_preset_job *j, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void kw_preset_text(struct kw_preset_job *j, char *out, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void kw_preset_map(struct kw_preset_job *j, const char *key, const char *expression);
void kw_preset_claim(struct kw_preset_job *j, const char *name, const char *value);
void kw_preset_rule(struct kw_preset_job *j, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void kw_preset_warn(struct kw_preset_job *j, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* --subject, besides what else was asked: the whole sub, and no other. Last, where sub isn't what
 * the preset goes by. */
void kw_preset_whole_sub(struct kw_preset_job *j);

/* KW_USAGE. */
int kw_preset_refuse(struct kw_preset_job *j, const char *why);
/* A/B with both there and no third part, unless parts may be more; also NULL. */
bool kw_preset_pair(const char *s, bool more);

/* setup_preset_ci.c: those with repositories, projects and pipelines. */
int kw_preset_github(struct kw_preset_job *j);
int kw_preset_gitlab(struct kw_preset_job *j);
int kw_preset_circleci(struct kw_preset_job *j);
int kw_preset_buildkite(struct kw_preset_job *j);

#endif
