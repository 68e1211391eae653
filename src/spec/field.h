/*
 * Field tables: one declaration for every setting. A settings struct and one table beside it; from the table alone come
 * parsing, defaults, validation with full paths and lines, the SecretRef twin, redaction, freeing, the CRD's OpenAPI
 * schema, the reference pages, the JSON Schema, completion.
 *
 *   struct example_settings {
 *           struct df_secret path;
 *           int32_t poll_interval;
 *           struct df_opt_int batch_size;
 *   };
 *   static const struct df_field example_fields[] = {
 *           DF_FIELD(struct example_settings, path, "path", DF_REQUIRED, .doc = "The file to read."),
 *           DF_FIELD(struct example_settings, poll_interval, "pollInterval", 0, .def = "5", .min = 1, .max = INT32_MAX,
 *                    .doc = "Seconds between two polls."),
 *           DF_FIELD(struct example_settings, batch_size, "batchSize", 0, .min = 0, .max = 1000000, .doc = "..."),
 *   };
 *   const struct df_table example_table = DF_TABLE(struct example_settings, example_fields, example_rules);
 *
 * The type of a row follows from the type of the member by _Generic: a member of another type does not compile.
 */
#ifndef DF_SPEC_FIELD_H
#define DF_SPEC_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "value/value.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

struct df_table;
struct df_type;
struct df_place;

/* ---- the member types ------------------------------------------------------------------------------------ */

struct df_secret_ref {
	char *name, *key;
	char *namespace; /* NULL: the manifest's */
};

/* A text that may come from a Secret ("±Ref" in the reference). */
struct df_secret {
	char *value;		   /* NULL: absent, or a reference that was not resolved */
	struct df_secret_ref *ref; /* NULL: written directly */
};

struct df_strings {
	char **items; /* NUL-terminated each */
	size_t count;
};

/* A list that may come from one Secret as comma-separated text. */
struct df_secret_strings {
	struct df_strings list;
	struct df_secret_ref *ref;
};

/* A map in the order written. */
struct df_pair {
	char *key;
	char *text;   /* a string's content, else the compact JSON text; NUL-terminated */
	uint8_t kind; /* enum df_kind of the value */
	uint32_t line;
};
struct df_pairs {
	struct df_pair *items;
	size_t count;
};

struct df_duration {
	int64_t ns;
	bool set; /* false: absent and no default */
};

struct df_opt_int {
	int32_t value;
	bool set;
};

struct df_opt_int64 {
	int64_t value;
	bool set;
};

struct df_opt_bool {
	bool value;
	bool set;
};

/* A nested object: `items` is NULL when absent, else one struct of the row's table. */
struct df_object {
	void *settings;
};

struct df_objects {
	void *items; /* count structs of the row's table, contiguous */
	size_t count;
};

/* Any JSON, kept as its compact text (affinity, tolerations). NULL: absent. */
struct df_raw {
	char *json;
	size_t len;
};

enum df_component_kind { DF_SOURCE, DF_SINK, DF_TRANSFORMATION, DF_COMPONENT_KINDS };

/*
 * The members of an object that no other row takes, at any depth as they are: the settings of a type whose fields are
 * not known (a program's). `<name>SecretRef: {name, key}` anywhere in them stands for `<name>`. At most one row of a
 * table.
 */
struct df_rest {
	char *written;	/* JSON members without the braces; secrets that are written directly as "***". NULL: none */
	char *resolved; /* the same with every secret's value in its place; NULL: a reference could not be resolved */
	struct df_rest_secret {
		char *path;		   /* of the reference, below the object; NULL: written directly */
		struct df_secret_ref *ref; /* NULL: written directly under a name that tells (password, token ...) */
		char *value;		   /* NULL: not resolved */
	} * secrets;
	size_t secret_count;
};

/* A connector or a transformation: `type` and its settings, in either form of the manifest reference, section 2. */
struct df_component {
	enum df_component_kind kind;
	const struct df_type *type; /* NULL: absent */
	void *settings;		    /* one struct of type->settings; never NULL when type is set */
	void *extra;		    /* keys beside `type` (errors.ackPolicy): one struct of extra_table, or NULL */
	char *path;		    /* "spec.transformations[2]" */
	char *settings_path;	    /* "spec.transformations[2].config", or with the per-type key that the user wrote */
	uint32_t line;
	const struct df_table *extra_table; /* set with extra */
};

struct df_components {
	struct df_component *items;
	size_t count;
};

/* ---- rows ------------------------------------------------------------------------------------------------ */

enum df_field_type {
	DF_TYPE_STRING, /* char * */
	DF_TYPE_SECRET,
	DF_TYPE_BOOL,
	DF_TYPE_INT,   /* int32_t */
	DF_TYPE_INT64, /* int64_t */
	DF_TYPE_OPT_BOOL,
	DF_TYPE_OPT_INT,
	DF_TYPE_OPT_INT64,
	DF_TYPE_DURATION,
	DF_TYPE_STRINGS,
	DF_TYPE_SECRET_STRINGS,
	DF_TYPE_SECRET_REF, /* struct df_secret_ref *: a reference without a direct twin (tls.caSecretRef) */
	DF_TYPE_PAIRS,
	DF_TYPE_OBJECT,
	DF_TYPE_OBJECTS,
	DF_TYPE_RAW,
	DF_TYPE_COMPONENT,
	DF_TYPE_COMPONENTS,
	DF_TYPE_REST,
};

#define DF_TYPE_OF(S, member) \
	_Generic(((S *)0)->member,                                                                                     \
		char *: DF_TYPE_STRING,                                                                                \
		struct df_secret: DF_TYPE_SECRET,                                                                      \
		bool: DF_TYPE_BOOL,                                                                                    \
		int32_t: DF_TYPE_INT,                                                                                  \
		int64_t: DF_TYPE_INT64,                                                                                \
		struct df_opt_bool: DF_TYPE_OPT_BOOL,                                                                  \
		struct df_opt_int: DF_TYPE_OPT_INT,                                                                    \
		struct df_opt_int64: DF_TYPE_OPT_INT64,                                                                \
		struct df_duration: DF_TYPE_DURATION,                                                                  \
		struct df_strings: DF_TYPE_STRINGS,                                                                    \
		struct df_secret_strings: DF_TYPE_SECRET_STRINGS,                                                      \
		struct df_secret_ref *: DF_TYPE_SECRET_REF,                                                            \
		struct df_pairs: DF_TYPE_PAIRS,                                                                        \
		struct df_object: DF_TYPE_OBJECT,                                                                      \
		struct df_objects: DF_TYPE_OBJECTS,                                                                    \
		struct df_raw: DF_TYPE_RAW,                                                                            \
		struct df_component: DF_TYPE_COMPONENT,                                                                \
		struct df_components: DF_TYPE_COMPONENTS,                                                              \
		struct df_rest: DF_TYPE_REST)

enum df_field_flags {
	DF_REQUIRED = 1 << 0,	/* absent, null or empty is an error (for a secret: value and reference both absent) */
	DF_SENSITIVE = 1 << 1,	/* never shown, in any form, even when written directly */
	DF_ANY_CASE = 1 << 2,	/* enum values compare without case; stored as the table spells them */
	DF_KEEP_EMPTY = 1 << 3, /* an empty text is a value, not an absence */
	DF_DEPRECATED = 1 << 4, /* accepted with a warning; .doc says what to use */
	DF_IGNORED = 1 << 5,	/* accepted with a warning and without effect */
	DF_OURS = 1 << 6,	/* not in the original */
	DF_NO_BLANK = 1 << 7,	/* each text must have a non-blank character */
	DF_CRD_NO_DEFAULT = 1 << 8, /* the CRD must not fill the default in (it would change the meaning) */
	DF_OPERATOR_ONLY = 1 << 9,  /* used by the operator alone: not part of a processor's spec.json */
};

/* Checks one text (a list's element, a map's key): 0 or DF_ERR_CONFIG with the reason, without the path. */
typedef int (*df_field_check)(struct df_str text, struct df_error *err);

struct df_field {
	const char *name; /* the manifest's spelling; of a REST row "*" */
	enum df_field_type type;
	unsigned flags; /* enum df_field_flags */
	size_t offset;
	const char *def;		  /* default as text; NULL: zero value / absent */
	int64_t min, max;		  /* numbers, durations (ns): both 0 means no bound */
	const char *const *values;	  /* enum: NULL-terminated */
	df_field_check check;		  /* after the rest; may be NULL */
	const struct df_table *table;	  /* OBJECT, OBJECTS; COMPONENT: the keys beside `type`, or NULL */
	enum df_component_kind component; /* COMPONENT, COMPONENTS */
	enum df_kind json;		  /* RAW: the kind it must have (DF_OBJECT, DF_ARRAY); 0: any */
	const char *ref;		  /* SECRET(_STRINGS): the twin's name when it is not "<name>SecretRef" */
	const char *alias_of;		  /* G aliases: this name is read into the row of that name, with a warning */
	const char *def_doc; /* for people: what applies when the field is absent and nothing is filled in; else NULL */
	const char *doc;     /* sentences for people: reference page, CRD description, schema */
	const char *example; /* one YAML value */
};

#define DF_FIELD(S, member, key, field_flags, ...)                                                                   \
	{                                                                                                            \
		.name = (key), .type = DF_TYPE_OF(S, member), .flags = (field_flags), .offset = offsetof(S, member), \
		__VA_ARGS__                                                                                          \
	}

/* ---- cross-field rules ----------------------------------------------------------------------------------- */

struct df_diags;

enum df_rule_kind {
	DF_RULE_ONE_OF,	   /* at least one of the fields is set */
	DF_RULE_EXCLUSIVE, /* at most one is set */
	DF_RULE_TOGETHER,  /* all or none */
	DF_RULE_REQUIRES,  /* the first set (or, with `value`, equal to it) requires all others */
	DF_RULE_FORBIDS,   /* the first set (or equal to `value`) forbids all others */
	DF_RULE_POINTLESS, /* warning: the first set has no effect without the second (or while the second is not
			      `value`) */
	DF_RULE_CHECK,	   /* `fn` */
};

#define DF_RULE_FIELDS 6

struct df_rule {
	enum df_rule_kind kind;
	const char *fields[DF_RULE_FIELDS]; /* names in this table; a bool counts as set when true */
	const char *value;
	bool warning; /* report as a warning */
	bool partial; /* CHECK: also when fields have errors; texts, keys and elements that have one are NULL then */
	const char *text; /* NULL: a text made from the kind and the names */
	void (*fn)(const void *settings, const struct df_place *place, struct df_diags *diags);
};

/* ---- tables ---------------------------------------------------------------------------------------------- */

struct df_table {
	size_t size; /* of the settings struct */
	const struct df_field *fields;
	size_t field_count;
	const struct df_rule *rules;
	size_t rule_count;
};

#define DF_TABLE(S, field_array)                                              \
	{                                                                     \
		.size = sizeof(S), .fields = (field_array),                   \
		.field_count = sizeof(field_array) / sizeof((field_array)[0]) \
	}
#define DF_TABLE_RULES(S, field_array, rule_array)                                                    \
	{                                                                                             \
		.size = sizeof(S), .fields = (field_array),                                           \
		.field_count = sizeof(field_array) / sizeof((field_array)[0]), .rules = (rule_array), \
		.rule_count = sizeof(rule_array) / sizeof((rule_array)[0])                            \
	}

/* ---- types: what stands behind `type:` ------------------------------------------------------------------- */

/* What a transformation makes of some messages, in texts of lines. test/rules/test_doc_examples.py runs all. */
struct df_example {
	const char *title;
	const char *doc;    /* what it teaches, Markdown; may be NULL */
	const char *config; /* YAML: one transformation, or a list of them */
	const char *in, *out;
	const char *errors; /* what `transform --errors` writes; NULL: no message fails */
	bool envelope;	    /* in and out have metadata: `transform --envelope` */
};

/* Declared once, as the first member of a connector's or transformer's own descriptor. */
struct df_type {
	const char *name;  /* "kafka" */
	const char *title; /* one line */
	const char *doc;   /* paragraphs for the reference page, Markdown */
	const struct df_table *settings;
	bool settings_optional;		   /* `config` may be absent: defaults apply */
	bool later;			   /* documented and validated, but no driver exists yet */
	const char *example;		   /* connector: YAML of the whole component; runs in the tests */
	const struct df_example *examples; /* transformation: the ordinary case first */
	size_t example_count;

	/* What the rules across a whole manifest ask (api/v1/check.c), so that they need no list of types. */
	bool scales_out; /* source: replicas share the work (a consumer group); it has no end of its own */
	bool (*keeps_position)(const void *settings); /* source: a checkpoint holds its position. NULL: never */
	bool (*repeatable)(const void *settings);     /* sink: a row written twice stands there once. NULL: never */
	/* With these settings a message can get lost there: a sentence that says when. NULL, also as answer: never. */
	const char *(*loses)(const void *settings);
};

/* The types known to this program; made by src/connectors/factory.c and src/transformers/factory.c. Sorted as listed.
 */
struct df_registry {
	const struct df_type *const *types[DF_COMPONENT_KINDS];
	size_t count[DF_COMPONENT_KINDS];
};

const char *df_component_kind_name(enum df_component_kind kind); /* "source", "sink", "transformation" */
/* NULL when there is none. */
const struct df_type *df_registry_find(const struct df_registry *registry, enum df_component_kind kind,
				       struct df_str name);
/* The nearest name for "did you mean", or NULL. */
const char *df_registry_nearest(const struct df_registry *registry, enum df_component_kind kind, struct df_str name);

/* ---- checks that many tables share (src/spec/check.c) ---------------------------------------------------- */

int df_check_identifier(struct df_str text, struct df_error *err); /* [A-Za-z_][A-Za-z0-9_]* */
int df_check_identifier_list(struct df_str text,
			     struct df_error *err); /* comma-separated identifiers, blanks trimmed */
int df_check_http_url(struct df_str text, struct df_error *err);
int df_check_host_port(struct df_str text, struct df_error *err);
int df_check_path_reading(struct df_str text, struct df_error *err); /* document paths, src/value/path.h */
int df_check_path_location(struct df_str text, struct df_error *err);
int df_check_path_plain(struct df_str text, struct df_error *err);

#pragma GCC visibility pop

#endif
