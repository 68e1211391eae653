#include "connectors/subprocess/describe.h"

#include <ctype.h>
#include <stdio.h>

#include "connectors/settings.h"
#include "connectors/subprocess/peer.h"
#include "connectors/subprocess/scan.h"

#define DESCRIBE_TIMEOUT (5 * DF_NS_PER_S)
#define DESCRIBE_GRACE (DF_NS_PER_S / 2)
#define DESCRIPTION_BYTES ((size_t)4 << 20)
#define FIELDS_MAX 500
#define NAME_MAX_BYTES 64

/* ---- settings that are not known ------------------------------------------------------------------------- */

struct open_settings {
	struct df_batch_settings batch;
	struct df_rest rest;
};

#define REST_FIELD                                                                                                       \
	DF_FIELD(                                                                                                        \
		struct open_settings, rest, "*", 0,                                                                      \
		.doc = "Every other setting is handed to the program as it stands here. `<name>SecretRef: {name, key}` " \
		       "at any depth stands for `<name>`.")

static const struct df_field open_source_fields[] = { REST_FIELD };
static const struct df_field open_sink_fields[] = { DF_BATCH_FIELDS(struct open_settings), REST_FIELD };
static const struct df_table open_source = DF_TABLE(struct open_settings, open_source_fields);
static const struct df_table open_sink = DF_TABLE(struct open_settings, open_sink_fields);

/* Whether it does, shows only when it runs. */
static bool keeps_position(const void *settings)
{
	(void)settings;
	return true;
}

static struct df_type type_of(const struct df_program *program, const struct df_table *settings, bool source)
{
	return (struct df_type){
		.name = program->type,
		.title = "A program",
		.doc = "",
		.settings = settings,
		.settings_optional = true,
		.keeps_position = source ? keeps_position : NULL,
	};
}

static void set_open(struct df_program *program)
{
	program->source = type_of(program, &open_source, true);
	program->sink = type_of(program, &open_sink, false);
}

/* ---- a field --------------------------------------------------------------------------------------------- */

static const struct kind {
	const char *name;
	enum df_field_type type, secret; /* secret: 0 when it cannot be one */
	size_t size;
} kinds[] = {
	{ "string", DF_TYPE_STRING, DF_TYPE_SECRET, sizeof(struct df_secret) },
	{ "bool", DF_TYPE_OPT_BOOL, 0, sizeof(struct df_opt_bool) },
	{ "int", DF_TYPE_OPT_INT, 0, sizeof(struct df_opt_int) },
	{ "int64", DF_TYPE_OPT_INT64, 0, sizeof(struct df_opt_int64) },
	{ "duration", DF_TYPE_DURATION, 0, sizeof(struct df_duration) },
	{ "strings", DF_TYPE_STRINGS, DF_TYPE_SECRET_STRINGS, sizeof(struct df_secret_strings) },
	{ "map", DF_TYPE_PAIRS, 0, sizeof(struct df_pairs) },
	{ "json", DF_TYPE_RAW, 0, sizeof(struct df_raw) },
};

/* Members begin at multiples of eight bytes: enough for every kind. */
static size_t in_eights(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

static const struct kind *find_kind(struct df_str name)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(kinds); i++)
		if (df_str_equal_c(name, kinds[i].name))
			return &kinds[i];
	return NULL;
}

static bool is_name(struct df_str name)
{
	if (name.len == 0 || name.len > NAME_MAX_BYTES || !isalpha((unsigned char)name.ptr[0]))
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!isalnum((unsigned char)name.ptr[i]) && name.ptr[i] != '_' && name.ptr[i] != '-')
			return false;
	return true;
}

/* The text of a string member, for ever; NULL: absent. *bad: it is something else. */
static const char *text_of(const struct df_value *object, const char *key, struct df_arena *arena, bool *bad)
{
	const struct df_value *value = df_object_get_c(object, key);

	if (!value || value->kind == DF_NULL)
		return NULL;
	struct df_str text =
		value->kind == DF_STRING ? df_arena_dup(arena, df_value_text(value, arena)) : df_str(NULL, 0);
	if (!text.ptr || memchr(text.ptr, '\0', text.len)) {
		*bad = true;
		return NULL;
	}
	return text.ptr;
}

static bool flag_of(const struct df_value *object, const char *key, bool *bad)
{
	const struct df_value *value = df_object_get_c(object, key);

	*bad |= value && value->kind != DF_TRUE && value->kind != DF_FALSE && value->kind != DF_NULL;
	return value && value->kind == DF_TRUE;
}

/* min and max: both 0 is no bound, so one alone gets the type's other end. */
static void set_range(struct df_field *field, const struct df_value *object, bool *bad)
{
	const struct df_value *min = df_object_get_c(object, "min"), *max = df_object_get_c(object, "max");

	if (!min && !max)
		return;
	*bad |= field->type != DF_TYPE_OPT_INT && field->type != DF_TYPE_OPT_INT64;
	field->min = field->type == DF_TYPE_OPT_INT ? INT32_MIN : INT64_MIN;
	field->max = field->type == DF_TYPE_OPT_INT ? INT32_MAX : INT64_MAX;
	*bad |= (min && !df_value_to_int64(min, &field->min)) || (max && !df_value_to_int64(max, &field->max));
}

static void set_values(struct df_field *field, const struct df_value *object, struct df_arena *arena, bool *bad)
{
	const struct df_value *list = df_object_get_c(object, "values");
	const char **values;
	size_t n = 0;

	if (!list || list->kind == DF_NULL)
		return;
	values = list->kind == DF_ARRAY ? df_arena_zalloc(arena, (list->len + 1) * sizeof(*values)) : NULL;
	if (!values || list->len == 0) {
		*bad = true;
		return;
	}
	df_for_each (value, list) {
		struct df_str text =
			value->kind == DF_STRING ? df_arena_dup(arena, df_value_text(value, arena)) : df_str(NULL, 0);
		*bad |= !text.ptr;
		values[n++] = text.ptr ? text.ptr : "";
	}
	field->values = values;
}

/* *size: of the settings so far; the field's member comes behind it. */
static int take_field(const struct df_value *object, struct df_arena *arena, size_t *size, struct df_field *ret,
		      struct df_error *err)
{
	bool bad = object->kind != DF_OBJECT;
	const char *name = text_of(object, "name", arena, &bad), *type = text_of(object, "type", arena, &bad);
	const struct kind *kind = find_kind(df_str_c(type));
	bool secret = flag_of(object, "secret", &bad);

	if (bad || !is_name(df_str_c(name)))
		return df_error_set(err, DF_ERR_CONFIG, "a field has no `name` of letters, digits, `_` and `-`");
	if (!kind || (secret && !kind->secret))
		return df_error_set(err, DF_ERR_CONFIG, "field `%s`: `type` is none of those that are known%s", name,
				    kind ? " for a secret: string or strings" : "");
	*ret = (struct df_field){
		.name = name,
		.type = secret ? kind->secret : kind->type,
		.flags = (flag_of(object, "required", &bad) ? DF_REQUIRED : 0U) | (secret ? DF_SENSITIVE : 0U),
		.offset = *size,
		.def = text_of(object, "default", arena, &bad),
		.doc = text_of(object, "doc", arena, &bad),
		.example = text_of(object, "example", arena, &bad),
	};
	set_range(ret, object, &bad);
	set_values(ret, object, arena, &bad);
	*size += in_eights(kind->size);
	return bad ? df_error_set(err, DF_ERR_CONFIG, "field `%s`: a member of its description is not what it must be",
				  name)
		   : 0;
}

/* ---- a role ---------------------------------------------------------------------------------------------- */

static bool has_field(const struct df_table *table, const char *name)
{
	for (size_t i = 0; i < table->field_count; i++)
		if (strcmp(table->fields[i].name, name) == 0)
			return true;
	return false;
}

/* The rows that every sink has, but for those that the program describes itself. */
static void add_batch_fields(struct df_table *table, struct df_field *fields)
{
	for (size_t i = 0; i + 1 < open_sink.field_count; i++)
		if (!has_field(table, open_sink.fields[i].name))
			fields[table->field_count++] = open_sink.fields[i];
}

/* A default that does not fit its type shows only when it is used. */
static int try_defaults(const struct df_table *table, struct df_error *err)
{
	struct df_diags diags = { 0 };
	void *settings = calloc(1, table->size);
	int r;

	if (!settings)
		return df_error_no_memory(err);
	df_settings_defaults(table, settings, &diags);
	r = df_diags_error(&diags, err);
	df_settings_done(table, settings);
	df_diags_done(&diags);
	free(settings);
	return r;
}

static int take_role(const struct df_value *object, bool sink, struct df_arena *arena, struct df_type *type,
		     struct df_error *err)
{
	const struct df_value *list = object->kind == DF_OBJECT ? df_object_get_c(object, "fields") : NULL;
	size_t count = list && list->kind == DF_ARRAY ? list->len : 0;
	struct df_table *table = df_arena_zalloc(arena, sizeof(*table));
	struct df_field *fields = df_arena_zalloc(arena, (count + open_sink.field_count) * sizeof(*fields));
	int r = 0;

	if (!list || list->kind != DF_ARRAY || count > FIELDS_MAX)
		return df_error_set(err, DF_ERR_CONFIG, "`%s` has no list `fields` of at most %d",
				    sink ? "sink" : "source", FIELDS_MAX);
	if (!table || !fields)
		return df_error_no_memory(err);
	*table = (struct df_table){ .size = in_eights(sizeof(struct df_batch_settings)), .fields = fields };
	type->settings = table;
	type->settings_optional = true;
	df_for_each (field, list) {
		r = take_field(field, arena, &table->size, &fields[table->field_count], err);
		if (r < 0)
			return r;
		if (has_field(table, fields[table->field_count].name))
			return df_error_set(err, DF_ERR_CONFIG, "field `%s` is there twice",
					    fields[table->field_count].name);
		type->settings_optional &= !(fields[table->field_count].flags & DF_REQUIRED);
		table->field_count++;
	}
	if (sink)
		add_batch_fields(table, fields);
	return try_defaults(table, err);
}

/* ---- the description ------------------------------------------------------------------------------------- */

static int take_object(struct df_program *program, const struct df_value *object, struct df_arena *arena,
		       struct df_roles *ret, struct df_error *err)
{
	const struct df_value *source = df_object_get_c(object, "source"), *sink = df_object_get_c(object, "sink");
	bool bad = false;
	const char *title = text_of(object, "title", arena, &bad), *doc = text_of(object, "doc", arena, &bad);
	int r = 0;

	*ret = (struct df_roles){ source && source->kind != DF_NULL, sink && sink->kind != DF_NULL };
	if (bad || !(ret->source || ret->sink))
		return df_error_set(err, DF_ERR_CONFIG,
				    bad ? "`title` or `doc` is not text" : "it has neither `source` nor `sink`");
	program->source = type_of(program, NULL, true);
	program->sink = type_of(program, NULL, false);
	if (ret->source)
		r = take_role(source, false, arena, &program->source, err);
	if (r == 0 && ret->sink)
		r = take_role(sink, true, arena, &program->sink, err);
	if (title && *title)
		program->source.title = program->sink.title = title;
	if (doc)
		program->source.doc = program->sink.doc = doc;
	return r;
}

int df_program_take_description(struct df_program *program, struct df_str line, struct df_roles *ret,
				struct df_error *err)
{
	struct df_arena arena; /* never freed when it is used: the registry borrows what is in it */
	struct df_value *object = NULL;
	int r;

	df_arena_init(&arena, NULL);
	line = df_arena_dup(&arena, line);
	if (!line.ptr || df_value_parse(line, &arena, &object, NULL) == DF_PARSE_NO_MEMORY)
		r = df_error_no_memory(err);
	else if (!object || object->kind != DF_OBJECT)
		r = df_error_set(err, DF_ERR_CONFIG, "it is no JSON object");
	else
		r = take_object(program, object, &arena, ret, err);
	if (r == 0) {
		program->description = arena;
		return 0;
	}
	df_arena_done(&arena);
	set_open(program);
	*ret = (struct df_roles){ true, true };
	return r;
}

/* The answer to `describe`. 0 and *ret_line empty: it is no program of protocol 2. */
static int ask(struct df_peer *peer, const struct df_program *program, struct df_context *ctx, struct df_str *ret_line,
	       struct df_error *err)
{
	struct df_answer answer;
	int r = df_peer_start(peer, program, -1, NULL, err);

	if (r < 0)
		return r;
	df_buf_add_c(&peer->out, "{\"cmd\":\"describe\"}\n");
	r = df_peer_hear(peer, ctx, 0, true, &answer, ret_line, err);
	if (r == 0 && answer.type != DF_ANSWER_DESCRIPTION)
		*ret_line = df_str(NULL, 0);
	return r;
}

int df_program_describe(struct df_program *program, struct df_roles *ret, struct df_error *err)
{
	struct df_program_limits limits = program->limits;
	df_cleanup(df_context_freep) struct df_context *ctx = df_context_new(NULL);
	struct df_peer peer = { 0 };
	struct df_error why = DF_ERROR_INIT;
	struct df_str line = { 0 };
	int r;

	set_open(program);
	*ret = (struct df_roles){ true, true };
	if (!ctx)
		return df_error_no_memory(err);
	if (program->limits.timeout_ns > DESCRIBE_TIMEOUT)
		program->limits.timeout_ns = DESCRIBE_TIMEOUT;
	if (program->limits.grace_ns > DESCRIBE_GRACE)
		program->limits.grace_ns = DESCRIBE_GRACE;
	if (program->limits.line_bytes > DESCRIPTION_BYTES)
		program->limits.line_bytes = DESCRIPTION_BYTES;
	/* Chatter does not make it longer. */
	df_context_deadline(ctx, df_clock_monotonic() + program->limits.timeout_ns);
	r = ask(&peer, program, ctx, &line, &why);
	if (r == 0 && line.ptr)
		r = df_program_take_description(program, line, ret, &why);
	if (r == DF_ERR_TIMEOUT)
		df_warn(NULL, "program %s does not answer `describe`: any settings are accepted", program->path);
	else if (r == DF_ERR_CONFIG)
		df_warn(NULL, "program %s: its description cannot be used, any settings are accepted: %s",
			program->path, why.text);
	df_peer_close(&peer, false);
	program->limits = limits;
	if (r == DF_ERR_NO_MEMORY && err)
		*err = why;
	return r == DF_ERR_NO_MEMORY ? r : 0;
}
