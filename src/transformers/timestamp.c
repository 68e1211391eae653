/* timestamp: writes the time into a field. */
#include <stdlib.h>

#include "base/time.h"
#include "transformers/interface.h"
#include "transformers/keys.h"
#include "transformers/settings.h"

struct timestamp_settings {
	char *field_name;
	char *format;
};

static int check_format(struct df_str text, struct df_error *err)
{
	df_cleanup(df_layout_freep) struct df_layout *layout = NULL;

	return df_layout_compile(text, &layout, err);
}

static const struct df_field timestamp_fields[] = {
	DF_FIELD(struct timestamp_settings, field_name, "fieldName", 0, .def = "created_at",
		 .check = df_check_path_plain,
		 .doc = "Path of the field to set. One that exists is overwritten where it stands; missing parents are "
			"created.",
		 .example = "meta.processed_at"),
	DF_FIELD(struct timestamp_settings, format, "format", 0, .def = "RFC3339", .check = check_format,
		 .doc = "A name (`RFC3339`, `RFC3339Nano`, `DateTime`, `DateOnly`, `Unix`, `UnixMilli` and the others "
			"of Go's package time), or a Go layout such as `2006-01-02 15:04:05`.",
		 .example = "RFC3339Nano"),
};

static const struct df_table timestamp_table = DF_TABLE(struct timestamp_settings, timestamp_fields);

struct timestamp {
	struct df_transformer base;
	struct df_path *path;
	struct df_str key; /* the path's, when it is a single name; else ptr NULL */
	bool key_plain;
	struct df_layout *layout;
	int64_t unit; /* the text stays the same within so many nanoseconds from a multiple of them on */
	/* The last text, and the time from which on it is right for a unit. */
	bool have_text;
	bool text_plain;
	int64_t text_from;
	struct df_buf text;
};

static void timestamp_free(struct df_transformer *t)
{
	struct timestamp *timestamp = (struct timestamp *)t;

	if (!timestamp)
		return;
	df_path_free(timestamp->path);
	df_layout_free(timestamp->layout);
	df_buf_done(&timestamp->text);
	free(timestamp);
}

DF_DEFINE_TRANSFORMER_CLEANUP(struct timestamp *, timestamp_free)

/* Does the layout write parts of a second? */
static int find_unit(struct timestamp *timestamp)
{
	df_cleanup(df_buf_done) struct df_buf parts = { 0 };
	size_t len;

	df_layout_format(timestamp->layout, (struct df_instant){ 0, 0 }, &parts);
	len = parts.len;
	df_layout_format(timestamp->layout, (struct df_instant){ 0, 123456789 }, &parts);
	if (parts.failed)
		return DF_ERR_NO_MEMORY;
	bool same = parts.len == 2 * len && (len == 0 || memcmp(parts.data, parts.data + len, len) == 0);
	timestamp->unit = same ? DF_NS_PER_S : 1;
	return 0;
}

static int timestamp_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
			    struct df_diags *diags)
{
	const struct timestamp_settings *s = settings;
	struct df_error err = DF_ERROR_INIT;
	df_cleanup(timestamp_freep) struct timestamp *timestamp = calloc(1, sizeof(*timestamp));

	if (!timestamp)
		return DF_ERR_NO_MEMORY;
	int r = df_compile_path(s->field_name, DF_PATH_PLAIN, place, "fieldName", &timestamp->path, diags);
	if (r < 0)
		return r;
	if (df_path_steps(timestamp->path) == 1)
		timestamp->key = df_path_step(timestamp->path, 0, NULL);
	timestamp->key_plain = df_text_is_plain(timestamp->key);
	if (df_layout_compile(df_str_c(s->format), &timestamp->layout, &err) < 0)
		return df_tell(diags, place, "format", &err);
	if (find_unit(timestamp) < 0)
		return DF_ERR_NO_MEMORY;
	*ret = &DF_TAKE(timestamp)->base;
	return 0;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Brings `text` up to date. */
static __attribute__((noinline)) int format(struct timestamp *timestamp, int64_t now)
{
	int64_t seconds = floor_div(now, DF_NS_PER_S);
	struct df_instant t = { seconds, (int32_t)(now - seconds * DF_NS_PER_S) };

	timestamp->have_text = false;
	timestamp->text.len = 0;
	df_layout_format(timestamp->layout, t, &timestamp->text);
	if (timestamp->text.failed)
		return DF_ERR_NO_MEMORY;
	timestamp->text_plain = df_text_is_plain(df_buf_str(&timestamp->text));
	timestamp->text_from = timestamp->unit == 1 ? now : seconds * DF_NS_PER_S;
	timestamp->have_text = true;
	return 0;
}

static struct df_value *now_value(struct timestamp *timestamp, const struct df_transform *call)
{
	int64_t now = df_clock_now(call->clock);

	/* As unsigned numbers: a time before text_from is far behind it. */
	if (!timestamp->have_text || (uint64_t)now - (uint64_t)timestamp->text_from >= (uint64_t)timestamp->unit) {
		if (format(timestamp, now) < 0)
			return NULL;
	}
	struct df_value *value = df_value_string_copy(call->arena, df_buf_str(&timestamp->text));
	if (value && timestamp->text_plain)
		value->repr = DF_REPR_PLAIN;
	return value;
}

static int timestamp_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
			   struct df_error *err)
{
	struct timestamp *timestamp = (struct timestamp *)t;
	struct df_value *root = NULL;
	int r = df_transform_object(call, m, &root, err);

	if (r < 0 || !root)
		return r;
	struct df_value *value = now_value(timestamp, call);
	if (!value)
		return df_error_no_memory(err);
	struct df_value *old = timestamp->key.ptr ? df_object_find(root, timestamp->key.ptr, timestamp->key.len) : NULL;
	if (old) {
		df_value_replace(old, value);
	} else if (timestamp->key.ptr) {
		df_object_append(root, timestamp->key, value);
		value->key_plain = timestamp->key_plain;
	} else {
		r = df_path_set(timestamp->path, root, call->arena, value, err);
		if (r < 0)
			return r;
	}
	m->changed = true;
	return 0;
}

static const struct df_example timestamp_examples[] = {
	{
		.title = "A time of processing",
		.doc = "Objects on the way to the field are created.",
		.config = "type: timestamp\n"
			  "config:\n"
			  "  fieldName: meta.processed_at\n"
			  "  format: RFC3339Nano\n",
		.in = "{\"id\": 1, \"total\": 9.90}\n"
		      "{\"id\": 2, \"meta\": {\"host\": \"a\"}}\n",
		.out = "{\"id\":1,\"total\":9.90,\"meta\":{\"processed_at\":\"2024-01-15T09:50:00Z\"}}\n"
		       "{\"id\":2,\"meta\":{\"host\":\"a\",\"processed_at\":\"2024-01-15T09:50:00Z\"}}\n",
	},
	{
		.title = "The default overwrites `created_at`",
		.doc = "A field that is there is overwritten where it stands. What is no object passes unchanged.",
		.config = "type: timestamp\n",
		.in = "{\"created_at\": \"2020-02-02T00:00:00Z\", \"id\": 1}\n"
		      "{\"id\": 2}\n"
		      "[1, 2]\n",
		.out = "{\"created_at\":\"2024-01-15T09:50:00Z\",\"id\":1}\n"
		       "{\"id\":2,\"created_at\":\"2024-01-15T09:50:00Z\"}\n"
		       "[1, 2]\n",
	},
	{
		.title = "Unix seconds are a text",
		.doc = "`cast` makes a number of it.",
		.config = "- type: timestamp\n"
			  "  config: {fieldName: text, format: Unix}\n"
			  "- type: timestamp\n"
			  "  config: {fieldName: number, format: Unix}\n"
			  "- type: cast\n"
			  "  config:\n"
			  "    spec: {number: int64}\n",
		.in = "{\"id\": 1}\n",
		.out = "{\"id\":1,\"text\":\"1705312200\",\"number\":1705312200}\n",
	},
	{
		.title = "A layout of your own",
		.doc = "A layout is written as Go does: the time 2006-01-02 15:04:05 in the form that is wanted.",
		.config = "type: timestamp\n"
			  "config:\n"
			  "  fieldName: printed\n"
			  "  format: \"Monday, 2 January 2006, 15:04\"\n",
		.in = "{\"id\": 1}\n",
		.out = "{\"id\":1,\"printed\":\"Monday, 15 January 2024, 09:50\"}\n",
	},
};

const struct df_transformer_type df_transformer_timestamp = {
	.type = {
		.name = "timestamp",
		.title = "Set a field to the current time",
		.doc = "The time is that of the clock in UTC when the message passes, and always a string, also as `Unix`. "
		       "Payloads that are no objects pass unchanged.",
		.settings = &timestamp_table,
		.settings_optional = true,
		.examples = timestamp_examples,
		.example_count = DF_ARRAY_SIZE(timestamp_examples),
	},
	.create = timestamp_create,
	.apply = timestamp_apply,
	.free = timestamp_free,
};
