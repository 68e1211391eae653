/* Parsing a settings struct out of a document by its field table, freeing it, and writing it. */
#ifndef DF_SPEC_SPEC_H
#define DF_SPEC_SPEC_H

#include "spec/diag.h"
#include "spec/field.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

/* Finds secret values. Returns 0 with *ret a heap string that the caller frees (NUL-terminated, no NUL inside), or NULL
 * when the reference shall stay unresolved; DF_ERR_CONFIG naming Secret and key when there is none; never the value in
 * a text. */
struct df_secrets {
	int (*get)(const struct df_secrets *self, const struct df_secret_ref *ref, char **ret, struct df_error *err);
};

struct df_parse_options {
	const char *file; /* for diagnostics; may be NULL */
	const char *path; /* of the object itself: "spec" */
	const struct df_registry *registry;
	const struct df_secrets *secrets; /* NULL: references are kept and not resolved (validate, operator) */
	bool unknown_keys_warn;		  /* objects already stored in a cluster: warn instead of refusing */
};

/*
 * Fills *ret_settings (table->size bytes, zeroed by this function) from an object. All problems go to diags; the
 * settings can be used only when no error was added, and must be given to df_settings_done in any case. Unknown keys,
 * wrong kinds, ranges, enums, required fields, rules, nested components of both forms: the manifest reference, sections
 * 2 and 8.
 */
void df_settings_parse(const struct df_table *table, const struct df_value *object,
		       const struct df_parse_options *options, void *ret_settings, struct df_diags *diags);

/* Frees the contents. Accepts NULL and half-parsed settings. */
void df_settings_done(const struct df_table *table, void *settings);

/* Defaults only: as if parsed from {}; no required check. */
void df_settings_defaults(const struct df_table *table, void *settings, struct df_diags *diags);

/* Parses one component ({type, config} or the per-type form) outside a table; df_component_done frees. */
void df_component_parse(enum df_component_kind kind, const struct df_value *object, const struct df_table *extra,
			const struct df_parse_options *options, struct df_component *ret, struct df_diags *diags);
void df_component_done(struct df_component *component);

/* Appends canonical JSON (keys as in the table, absent ones left out). Sensitive values and values that came from a
 * Secret are replaced by their reference, or by "***" when written directly. */
void df_settings_write(const struct df_table *table, const void *settings, struct df_buf *buf);

/* The same for the connector itself: with the values that came from Secrets. The buffer holds secrets then. */
void df_settings_write_resolved(const struct df_table *table, const void *settings, struct df_buf *buf);

/* Calls fn for every value that must not be shown: what came from a Secret, and sensitive ones. */
void df_settings_secret_values(const struct df_table *table, const void *settings,
			       void (*fn)(void *arg, const char *value), void *arg);

/* Calls fn for every Secret reference in the settings, nested ones too, with its path. */
void df_settings_secret_refs(const struct df_table *table, const void *settings,
			     void (*fn)(void *arg, const char *path, const struct df_secret_ref *ref), void *arg);

/* Calls fn for every sensitive text that is written directly in the settings, nested ones too, with its path; twin: the
 * field that takes a reference instead, NULL: none. */
void df_settings_direct_secrets(const struct df_table *table, const void *settings,
				void (*fn)(void *arg, const char *path, const char *twin, const char *value),
				void *arg);

/* Is the field set? By name, as the rules see it. */
bool df_settings_is_set(const struct df_table *table, const void *settings, const char *name);

#pragma GCC visibility pop

#endif
