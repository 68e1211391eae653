/* Diagnostics: every error and warning of a manifest at once, each with file, line and path. */
#ifndef DF_SPEC_DIAG_H
#define DF_SPEC_DIAG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

struct df_diag {
	bool warning;
	char *file;    /* NULL: not from a file */
	uint32_t line; /* 1-based; 0 unknown */
	char *path;    /* "spec.source.config.brokers[1]"; NULL: the whole file */
	char *text;
};

/* So many errors are kept, and so many warnings: nobody reads more, and whoever wrote a file with a hundred thousand
 * mistakes shall not cost us their memory. */
#define DF_DIAGS_MAX 1000

struct df_diags {
	struct df_diag *items;
	size_t count;
	size_t errors; /* of them, not warnings; an error that is missing from the list counts too */
	bool failed;   /* out of memory: something is missing from the list */
};

/* Where something stands: what checks report against. Borrowed. */
struct df_place {
	const char *file;
	uint32_t line;
	const char *path;
	/* The object that was parsed, for the lines of its members; may be NULL. */
	const struct df_value *value;
};

void df_diags_done(struct df_diags *diags);

/* One more error or warning would not be kept, only counted: its text need not be made. */
bool df_diags_full(const struct df_diags *diags, bool warning);

/* Adds one. sub: appended to the place's path with '.' unless it begins with '['; NULL: the place itself. The line is
 * that of the member when place->value has it. */
void df_diag_error(struct df_diags *diags, const struct df_place *place, const char *sub, const char *fmt, ...)
	df_printf(4, 5);
void df_diag_warning(struct df_diags *diags, const struct df_place *place, const char *sub, const char *fmt, ...)
	df_printf(4, 5);

/* "flow.yaml:12: spec.source.config.brokers[1]: text", one a line, warnings as "... warning: text". */
void df_diags_print(const struct df_diags *diags, struct df_buf *buf);
/* The first error as a df_error (DF_ERR_CONFIG), with "(and N more)"; 0 when there is none. */
int df_diags_error(const struct df_diags *diags, struct df_error *err) df_must_check;

#pragma GCC visibility pop

#endif
