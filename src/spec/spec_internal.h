/* Shared by the files of this floor only. */
#ifndef DF_SPEC_INTERNAL_H
#define DF_SPEC_INTERNAL_H

#include "base/arena.h"
#include "base/cleanup.h"
#include "spec/diag.h"
#include "spec/field.h"
#include "spec/spec.h"
#include "spec/yaml.h"

/* ---- diagnostics (diag.c) -------------------------------------------------------------------------------- */

/* An allocation failed somewhere else: counts as an error, so that nobody uses what was read so far. */
void df_diags_no_memory(struct df_diags *diags);

/* ---- what was written (yaml_scalar.c) -------------------------------------------------------------------- */

#define DF_YAML_SIZE_MAX ((size_t)16 << 20)
#define DF_YAML_DEPTH_MAX 100
#define DF_YAML_NODES_MAX 1000000
#define DF_YAML_ALIAS_NODES_MAX 100000
#define DF_YAML_ANCHORS_MAX 1000

/*
 * A number or bool as it stands in the file. The reader marks a node whose spelling differs from its JSON text (`0x10`,
 * `yes`, `007`) with logical TEXT and keeps the spelling: a number's `last` is a string node, a bool's `text` and `len`
 * are it.
 */
struct df_str df_yaml_written(const struct df_value *v);

/* A plain scalar by YAML 1.2's core schema, and yes/no/on/off. text is referenced, not copied. NULL when out of memory.
 * *ret_note, if it is set, says why the text is not what it looks like. */
struct df_value *df_yaml_plain(struct df_str text, struct df_arena *arena, const char **ret_note);

/* ---- the tree builder (yaml_build.c), fed by the YAML and the JSON reader
 * -------------------------------------------- */

struct df_yaml_frame {
	struct df_value *container;
	struct df_str key; /* of the member to come, when have_key */
	uint32_t key_line;
	bool have_key;
	bool key_merge;
	struct df_value *merge; /* the member `<<` */
};

struct df_yaml_anchor {
	struct df_str name;
	struct df_value *node;
};

struct df_yaml_builder {
	struct df_arena *arena;
	const char *file;
	struct df_diags *diags;
	struct df_yaml_documents *ret;
	size_t document_cap;
	struct df_value *root;
	size_t depth; /* frames in use */
	struct df_yaml_frame frames[DF_YAML_DEPTH_MAX];
	struct df_yaml_anchor *anchors;
	size_t anchor_count, anchor_cap;
	size_t nodes, alias_nodes;
};

/* All return false when reading must stop; the reason is in diags. */
bool df_build_wants_key(const struct df_yaml_builder *b);
bool df_build_key(struct df_yaml_builder *b, struct df_str key, uint32_t line, bool merge);
bool df_build_add(struct df_yaml_builder *b, struct df_value *node, uint32_t line); /* node NULL: out of memory */
bool df_build_open(struct df_yaml_builder *b, enum df_kind kind, struct df_str anchor, uint32_t line);
bool df_build_close(struct df_yaml_builder *b);
bool df_build_anchor(struct df_yaml_builder *b, struct df_str name, struct df_value *node, uint32_t line);
bool df_build_alias(struct df_yaml_builder *b, struct df_str name, uint32_t line);
bool df_build_document(struct df_yaml_builder *b); /* the end of one */
bool df_build_no_memory(struct df_yaml_builder *b);
/* Reports at the place where the next node would stand. Always false. */
bool df_build_error(struct df_yaml_builder *b, uint32_t line, const char *fmt, ...) df_printf(3, 4);
void df_build_warning(struct df_yaml_builder *b, uint32_t line, const char *fmt, ...) df_printf(3, 4);

/* Feeds a text that is known to be JSON and lives in the builder's arena (yaml_json.c). */
bool df_build_json(struct df_yaml_builder *b, struct df_str text);

/* A libyaml problem as a sentence with its fix (yaml_problem.c). */
struct yaml_parser_s;
void df_yaml_problem(const struct yaml_parser_s *parser, struct df_str text, const char *file, struct df_diags *diags);

/* ---- parsing settings ------------------------------------------------------------------------------------ */

struct df_parser {
	const struct df_parse_options *options;
	struct df_diags *diags;
	struct df_arena arena; /* scratch: paths, decoded texts */
};

/* What an object says about one row. */
struct df_slot {
	const struct df_field *field;
	const struct df_value *value; /* NULL: absent */
	const char *name;	      /* the key it stood under: the row's or an alias */
	const struct df_value *ref;
	const char *ref_name;
	bool bad; /* an error was reported */
};

/* A text in the parser's arena; "" when out of memory (told in diags). */
const char *df_parser_text(struct df_parser *p, const char *fmt, ...) df_printf(2, 3);
/* The twin's name of a SECRET(_STRINGS) row called `name`; NULL for other types. */
const char *df_field_twin(struct df_parser *p, const struct df_field *field, const char *name);

void df_parse_object(struct df_parser *p, const struct df_table *table, const struct df_value *object,
		     const struct df_place *place, void *settings);
void df_parse_component(struct df_parser *p, enum df_component_kind kind, const struct df_value *value,
			const struct df_table *extra, const struct df_place *place, struct df_component *ret);
/* STRING, SECRET, STRINGS, SECRET_STRINGS, SECRET_REF, PAIRS (settings_text.c); member points into the settings. */
void df_parse_texts(struct df_parser *p, const struct df_place *place, const struct df_slot *slot, void *member);

/* REST (settings_rest.c). slot->value is an object of the members that no other row takes. */
void df_parse_rest(struct df_parser *p, const struct df_place *place, const struct df_slot *slot, struct df_rest *ret);
void df_rest_done(struct df_rest *rest);
/* The row that takes what no other takes; NULL: there is none. */
const struct df_field *df_table_rest(const struct df_table *table);

/* True when *ret is whole; else it was told why. *ret is the caller's to free in any case. */
bool df_parse_ref(struct df_parser *p, const struct df_place *place, const struct df_field *field, const char *name,
		  const struct df_value *value, struct df_secret_ref **ret);
/* The referenced value without one trailing newline; NULL when it cannot be had (told) or nobody resolves. */
char *df_resolve_ref(struct df_parser *p, const struct df_place *place, const char *name,
		     const struct df_secret_ref *ref);

/* BOOL, the numbers, DURATION (settings_number.c). */
void df_parse_number(struct df_parser *p, const struct df_place *place, const struct df_slot *slot, void *member);

/* "the number 5", in the parser's arena; a sensitive field's value is not shown. */
const char *df_parser_describe(struct df_parser *p, const struct df_field *field, const struct df_value *value);
/* "expected a list, found the number 5<fix>"; fix may be "". A sensitive field's value is not shown. */
void df_report_kind(struct df_parser *p, const struct df_place *place, const char *sub, const struct df_field *field,
		    const char *expected, const struct df_value *value, const char *fix);
void df_report_missing(struct df_parser *p, const struct df_place *place, const struct df_field *field);
void df_report_empty(struct df_parser *p, const struct df_place *place, const char *sub, const char *what);
/* `text` in quotes, escaped and cut, in the parser's arena. */
const char *df_parser_quote(struct df_parser *p, struct df_str text);

/* Skips what is never in the settings struct: rows that are read into another row, or not at all. */
static inline bool df_field_stored(const struct df_field *field)
{
	return !field->alias_of && !(field->flags & DF_IGNORED);
}

/* The row of that name, aliases followed; NULL when there is none. */
const struct df_field *df_table_find(const struct df_table *table, struct df_str name);

/* Fills one member with the row's default (settings_default.c). */
void df_field_default(const struct df_field *field, void *settings, struct df_diags *diags);
/* Splits comma-separated text, trimmed, empty parts dropped. False when out of memory; *ret is then half filled. */
bool df_strings_split(struct df_str text, struct df_strings *ret);

extern const struct df_table df_secret_ref_table; /* struct df_secret_ref */

void df_rules_run(struct df_parser *p, const struct df_table *table, const struct df_slot *slots, const void *settings,
		  const struct df_place *place, bool clean);

/* Wipes and frees a text that may be secret. */
static inline void df_wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static inline void df_wipep(char **text)
{
	df_wipe(*text);
}

/* ---- members (settings_write.c) -------------------------------------------------------------------------- */

/* Does the member hold something? Numbers and bools always do. */
bool df_member_is_present(const struct df_field *field, const void *member);

/* The reference that a member holds; NULL when it holds none (settings_secrets.c). */
const struct df_secret_ref *df_ref_of(const struct df_field *field, const void *member);

#endif
