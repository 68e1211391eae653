/* debeziumUnwrap: the row out of a Debezium change event (debezium.io, "Change event values"). */
#include <stdlib.h>

#include "transformers/interface.h"
#include "transformers/settings.h"

struct unwrap_settings {
	bool infer_delete;
	bool source_in_metadata;
	char *snapshot_operation;
	bool operation_fields;
	struct df_strings source_fields;
};

static const char *const snapshot_operations[] = { "insert", "update", NULL };

static const struct df_field unwrap_fields[] = {
	DF_FIELD(struct unwrap_settings, infer_delete, "inferDeleteFromTombstone", 0,
		 .doc = "`true`: an empty payload (a tombstone) becomes a delete of the row that the metadata `key` "
			"holds. `false`: it is dropped.",
		 .example = "true"),
	DF_FIELD(struct unwrap_settings, source_in_metadata, "includeSourceInMetadata", 0,
		 .doc = "Puts every member of `payload.source` into the metadata as `source_<name>`.",
		 .example = "true"),
	DF_FIELD(struct unwrap_settings, snapshot_operation, "snapshotOperation", 0, .def = "insert",
		 .values = snapshot_operations, .doc = "The `operation` of rows that a snapshot read (`op` is `r`).",
		 .example = "update"),
	DF_FIELD(struct unwrap_settings, operation_fields, "addOperationFields", 0,
		 .doc = "Appends the fields `__op` (the event's `op`) and `__deleted` (`\"true\"` or `\"false\"`, "
			"texts).",
		 .example = "true"),
	DF_FIELD(
		struct unwrap_settings, source_fields, "addSourceFields", 0,
		.doc = "Names of members of `payload.source` that are appended to the row as `source_<name>`. One that "
		       "the event does not have is left out.",
		.example = "[ts_ms, table]"),
};

static const struct df_table unwrap_table = DF_TABLE(struct unwrap_settings, unwrap_fields);

/* ---- making ---------------------------------------------------------------------------------------------- */

struct unwrap {
	struct df_transformer base;
	const struct unwrap_settings *settings;
	size_t source_field_count;
	struct df_str source_fields[]; /* each name once; in the settings */
};

static void unwrap_free(struct df_transformer *t)
{
	free(t);
}

static void add_once(struct unwrap *unwrap, struct df_str name)
{
	for (size_t i = 0; i < unwrap->source_field_count; i++) {
		if (df_str_equal(unwrap->source_fields[i], name))
			return;
	}
	unwrap->source_fields[unwrap->source_field_count++] = name;
}

static int unwrap_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
			 struct df_diags *diags)
{
	const struct unwrap_settings *s = settings;
	struct unwrap *unwrap = calloc(1, sizeof(*unwrap) + s->source_fields.count * sizeof(unwrap->source_fields[0]));

	(void)place;
	(void)diags;
	if (!unwrap)
		return DF_ERR_NO_MEMORY;
	unwrap->settings = s;
	for (size_t i = 0; i < s->source_fields.count; i++)
		add_once(unwrap, df_str_c(s->source_fields.items[i]));
	*ret = &unwrap->base;
	return 0;
}

/* ---- events ---------------------------------------------------------------------------------------------- */

/* What a message turns into. Nothing of the message is changed before all of it is there. */
struct event {
	const struct unwrap *unwrap;
	struct df_arena *arena;
	char op;
	const char *operation;	       /* for the metadata */
	const char *row_name;	       /* for errors */
	struct df_value *row;	       /* an object */
	const struct df_value *source; /* an object, or NULL */
	struct df_value *added;	       /* an object: what is appended to the row */
};

/* The envelope's `payload`, or NULL when the document is none. */
static struct df_value *envelope_of(const struct df_value *root)
{
	struct df_value *payload = df_object_get_c(root, "payload");
	const struct df_value *op = df_object_get_c(payload, "op");

	if (!op || op->kind != DF_STRING)
		return NULL;
	if (!df_object_get_c(payload, "before") && !df_object_get_c(payload, "after") &&
	    !df_object_get_c(payload, "source"))
		return NULL;
	return payload;
}

/* The one letter, or 0 for anything else. */
static char letter_of(const struct df_value *op)
{
	static const char known[] = "curdtm";

	for (const char *letter = known; *letter; letter++) {
		if (df_value_string_equal(op, df_str(letter, 1)))
			return *letter;
	}
	return 0;
}

static const char *operation_of(const struct unwrap *unwrap, char op)
{
	switch (op) {
	case 'c':
		return "insert";
	case 'u':
		return "update";
	case 'r':
		return unwrap->settings->snapshot_operation;
	default:
		return "delete";
	}
}

/* "source_" and the name, in the arena; ptr NULL when out of memory. */
static struct df_str source_name(struct df_str name, struct df_arena *arena)
{
	static const struct df_str prefix = { "source_", 7 };
	char *text = df_arena_alloc(arena, prefix.len + name.len);

	if (!text)
		return df_str(NULL, 0);
	memcpy(text, prefix.ptr, prefix.len);
	if (name.len > 0)
		memcpy(text + prefix.len, name.ptr, name.len);
	return df_str(text, prefix.len + name.len);
}

/* A name that the row has is refused. key NULL or value NULL: out of memory. */
static int add_field(const struct event *event, struct df_str key, struct df_value *value, struct df_error *err)
{
	if (!key.ptr || !value)
		return df_error_no_memory(err);
	if (df_object_get(event->row, key))
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "cannot add the field " DF_STR_FMT ": %s has one of that name", DF_STR_ARG(key),
				    event->row_name);
	df_object_append(event->added, key, value);
	return 0;
}

static int add_operation(const struct event *event, struct df_error *err)
{
	struct df_arena *arena = event->arena;
	struct df_value *deleted = df_value_string(arena, event->op == 'd' ? DF_STR("true") : DF_STR("false"));
	int r = add_field(event, DF_STR("__op"), df_value_string_copy(arena, df_str(&event->op, 1)), err);

	return r < 0 ? r : add_field(event, DF_STR("__deleted"), deleted, err);
}

static int add_source(const struct event *event, struct df_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && event->source && i < event->unwrap->source_field_count; i++) {
		struct df_str name = event->unwrap->source_fields[i];
		const struct df_value *value = df_object_get(event->source, name);
		if (value)
			r = add_field(event, source_name(name, event->arena), df_value_clone(value, event->arena), err);
	}
	return r;
}

static int make_added(struct event *event, struct df_error *err)
{
	int r = 0;

	event->added = df_value_new(event->arena, DF_OBJECT);
	if (!event->added)
		return df_error_no_memory(err);
	if (event->unwrap->settings->operation_fields)
		r = add_operation(event, err);
	return r < 0 ? r : add_source(event, err);
}

/* A copy of the metadata with what the event puts into it. */
static int make_metadata(const struct event *event, const struct df_message *m, struct df_value **ret,
			 struct df_error *err)
{
	struct df_arena *arena = event->arena;
	struct df_value *metadata = m->metadata ? df_value_clone(m->metadata, arena) : df_value_new(arena, DF_OBJECT);
	struct df_value *operation = df_value_string_copy(arena, df_str_c(event->operation));

	if (!metadata || !operation)
		return df_error_no_memory(err);
	df_object_set(metadata, DF_STR("operation"), operation);
	*ret = metadata;
	if (!event->source || !event->unwrap->settings->source_in_metadata)
		return 0;
	df_for_each (member, event->source) {
		struct df_str key = source_name(df_value_key(member), arena);
		struct df_value *value = df_value_clone(member, arena);
		if (!key.ptr || !value)
			return df_error_no_memory(err);
		df_object_set(metadata, key, value);
	}
	return 0;
}

static int finish(struct event *event, struct df_message *m, struct df_error *err)
{
	struct df_value *root = df_value_new(event->arena, DF_OBJECT);
	struct df_value *metadata = NULL;
	int r = root ? make_added(event, err) : df_error_no_memory(err);

	if (r == 0)
		r = make_metadata(event, m, &metadata, err);
	if (r < 0)
		return r;
	/* From here on nothing fails: the row is taken out of the document, which is given up. */
	df_value_replace(root, event->row);
	for (struct df_value *field = df_container_take(event->added), *next; field; field = next) {
		next = field->next;
		df_object_append(root, df_value_key(field), field);
	}
	m->metadata = metadata;
	df_message_set_document(m, root);
	return DF_KEEP;
}

/* ---- messages -------------------------------------------------------------------------------------------- */

static int unwrap_envelope(const struct unwrap *unwrap, const struct df_transform *call, struct df_message *m,
			   struct df_value *payload, struct df_error *err)
{
	struct event event = { .unwrap = unwrap,
			       .arena = call->arena,
			       .op = letter_of(df_object_get_c(payload, "op")) };

	if (!event.op)
		return df_error_set(err, DF_ERR_INVALID_DATA, "payload.op is not one of c, u, r, d, t, m");
	if (event.op == 't')
		return DF_DROP;
	if (event.op == 'm')
		return DF_KEEP;
	event.operation = operation_of(unwrap, event.op);
	event.row_name = event.op == 'd' ? "payload.before" : "payload.after";
	event.row = df_object_get_c(payload, event.op == 'd' ? "before" : "after");
	event.source = df_object_get_c(payload, "source");
	if (event.source && event.source->kind != DF_OBJECT)
		event.source = NULL;
	if (!event.row || event.row->kind != DF_OBJECT)
		return df_error_set(
			err, DF_ERR_INVALID_DATA, "%s is %s, expected an object: the row of an event with op \"%c\"%s",
			event.row_name, event.row ? df_kind_words((enum df_kind)event.row->kind) : "missing", event.op,
			event.op == 'd' ? "; PostgreSQL sends it with REPLICA IDENTITY FULL" : "");
	return finish(&event, m, err);
}

/* The value in a key with or without its schema, as Kafka Connect's JsonConverter writes it. */
static struct df_value *key_payload(struct df_value *key)
{
	struct df_value *payload = df_object_get_c(key, "payload");

	if (payload && (key->len == 1 || (key->len == 2 && df_object_get_c(key, "schema"))))
		return payload;
	return key;
}

static int parse_key(struct df_str text, struct df_arena *arena, struct df_value **ret, struct df_error *err)
{
	switch (df_value_parse(text, arena, ret, NULL)) {
	case DF_PARSE_OK:
		return 0;
	case DF_PARSE_NO_MEMORY:
		return df_error_no_memory(err);
	default:
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "a tombstone's key is not JSON: it does not tell which row was deleted");
	}
}

/* The row that the metadata's key holds, for the message alone. 1: there is no key. */
static int read_key(const struct df_message *m, struct df_arena *arena, struct df_value **ret, struct df_error *err)
{
	struct df_value *key = df_message_meta(m, "key");

	if (!key || key->kind == DF_NULL)
		return 1;
	if (key->kind == DF_STRING) {
		struct df_str text = df_value_text(key, arena);
		if (!text.ptr)
			return df_error_no_memory(err);
		if (text.len == 0)
			return 1;
		int r = parse_key(text, arena, &key, err);
		if (r < 0)
			return r;
	} else {
		key = df_value_clone(key, arena); /* the metadata keeps its own */
		if (!key)
			return df_error_no_memory(err);
	}
	key = key_payload(key);
	if (key->kind != DF_OBJECT || key->len == 0)
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "a tombstone's key is %s, expected an object with at least one member: it does not "
				    "tell which row was deleted",
				    key->kind == DF_OBJECT ? "an empty object"
							   : df_kind_words((enum df_kind)key->kind));
	*ret = key;
	return 0;
}

static int unwrap_tombstone(const struct unwrap *unwrap, const struct df_transform *call, struct df_message *m,
			    struct df_error *err)
{
	struct event event = {
		.unwrap = unwrap, .arena = call->arena, .op = 'd', .operation = "delete", .row_name = "the key"
	};

	if (!unwrap->settings->infer_delete)
		return DF_DROP;
	int r = read_key(m, call->arena, &event.row, err);
	if (r != 0)
		return r < 0 ? r : DF_DROP;
	return finish(&event, m, err);
}

static int unwrap_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
			struct df_error *err)
{
	const struct unwrap *unwrap = (const struct unwrap *)t;
	struct df_value *root = NULL;
	int r = df_message_document(m, call->arena, &root, err);

	if (r < 0)
		return r;
	if (!root && m->state == DF_PAYLOAD_EMPTY)
		return unwrap_tombstone(unwrap, call, m, err);
	struct df_value *payload = envelope_of(root);
	return payload ? unwrap_envelope(unwrap, call, m, payload, err) : DF_KEEP;
}

static const struct df_example debezium_unwrap_examples[] = {
	{
		.title = "Rows and their operations",
		.doc = "The operation stands in the metadata, where sinks that delete and update read it.",
		.config = "type: debeziumUnwrap\n"
			  "config:\n"
			  "  addSourceFields: [ts_ms]\n",
		.in = "{\"data\": {\"payload\": {\"op\": \"c\", \"before\": null, \"after\": {\"id\": 1}, \"source\": "
		      "{\"ts_ms\": 5}}}}\n"
		      "{\"data\": {\"payload\": {\"op\": \"u\", \"before\": {\"id\": 1}, \"after\": {\"id\": 2}, "
		      "\"source\": {}}}}\n"
		      "{\"data\": {\"payload\": {\"op\": \"d\", \"before\": {\"id\": 2}, \"after\": null, \"source\": "
		      "{\"ts_ms\": 7}}}}\n",
		.out = "{\"data\":{\"id\":1,\"source_ts_ms\":5},\"metadata\":{\"operation\":\"insert\"}}\n"
		       "{\"data\":{\"id\":2},\"metadata\":{\"operation\":\"update\"}}\n"
		       "{\"data\":{\"id\":2,\"source_ts_ms\":7},\"metadata\":{\"operation\":\"delete\"}}\n",
		.envelope = true,
	},
	{
		.title = "Deletes as fields, for a sink that only appends",
		.doc = "Like `delete.tombstone.handling.mode=rewrite` of Debezium. Truncates are dropped.",
		.config = "type: debeziumUnwrap\n"
			  "config:\n"
			  "  addOperationFields: true\n",
		.in = "{\"payload\": {\"op\": \"r\", \"after\": {\"id\": 1}, \"source\": {\"snapshot\": \"true\"}}}\n"
		      "{\"payload\": {\"op\": \"d\", \"before\": {\"id\": 1}, \"after\": null}}\n"
		      "{\"payload\": {\"op\": \"t\", \"source\": {\"table\": \"t\"}}}\n",
		.out = "{\"id\":1,\"__op\":\"r\",\"__deleted\":\"false\"}\n"
		       "{\"id\":1,\"__op\":\"d\",\"__deleted\":\"true\"}\n",
	},
	{
		.title = "Tombstones",
		.doc = "An empty payload with the key of the row is a delete. Without a key it is dropped, as all "
		       "tombstones are without `inferDeleteFromTombstone`.",
		.config = "type: debeziumUnwrap\n"
			  "config:\n"
			  "  inferDeleteFromTombstone: true\n",
		.in = "{\"raw\": \"\", \"metadata\": {\"key\": \"{\\\"id\\\":1}\"}}\n"
		      "{\"raw\": \"\", \"metadata\": {\"key\": "
		      "\"{\\\"schema\\\":{},\\\"payload\\\":{\\\"id\\\":2}}\"}}\n"
		      "{\"raw\": \"\"}\n",
		.out = "{\"data\":{\"id\":1},\"metadata\":{\"key\":\"{\\\"id\\\":1}\",\"operation\":\"delete\"}}\n"
		       "{\"data\":{\"id\":2},\"metadata\":{\"key\":\"{\\\"schema\\\":{},\\\"payload\\\":{\\\"id\\\":2}}"
		       "\",\"operation\":\"delete\"}}\n",
		.envelope = true,
	},
	{
		.title = "Events without `payload` around them",
		.doc = "Connectors with `schemas.enable=false` write those. They would pass unchanged.",
		.config = "- type: hoistField\n"
			  "  config:\n"
			  "    field: payload\n"
			  "- type: debeziumUnwrap\n",
		.in = "{\"op\": \"c\", \"before\": null, \"after\": {\"id\": 1}, \"source\": {\"table\": \"t\"}}\n",
		.out = "{\"id\":1}\n",
	},
	{
		.title = "A delete without its row",
		.doc = "PostgreSQL sends one for a table without a primary key and without `REPLICA IDENTITY FULL`. "
		       "The message fails, for a delete would be lost.",
		.config = "type: debeziumUnwrap\n",
		.in = "{\"payload\": {\"op\": \"d\", \"before\": null, \"after\": null, \"source\": {\"table\": "
		      "\"t\"}}}\n"
		      "{\"payload\": {\"op\": \"d\", \"before\": {\"id\": 2}, \"after\": null}}\n",
		.out = "{\"id\":2}\n",
		.errors = "{\"index\":0,\"transformer\":\"debeziumUnwrap\",\"transformer_index\":0,\"error\":\"payload."
			  "before is null, expected an object: the row of an event with op \\\"d\\\"; PostgreSQL sends "
			  "it with REPLICA IDENTITY FULL\"}\n",
	},
};

const struct df_transformer_type df_transformer_debezium_unwrap = {
	.type = {
		.name = "debeziumUnwrap",
		.title = "Take the row out of a Debezium change event",
		.doc = "An event is an object whose `payload` is an object with a text `op` and at least one of `before`, "
		       "`after` and `source`. Everything else passes unchanged, also an event without the `payload` around "
		       "it; put `hoistField` with `field: payload` before, then.\n\n"
		       "| `op` | payload becomes | metadata `operation` |\n"
		       "|-|-|-|\n"
		       "| `c` (create) | `payload.after` | `insert` |\n"
		       "| `u` (update) | `payload.after` | `update` |\n"
		       "| `r` (read by a snapshot) | `payload.after` | `snapshotOperation` |\n"
		       "| `d` (delete) | `payload.before` | `delete` |\n"
		       "| `t` (truncate) | the message is dropped | |\n"
		       "| `m` (logical message) | unchanged | unchanged |\n\n"
		       "Another `op`, a row that is not an object, and an added field that the row has already make the "
		       "message fail.\n\n"
		       "An empty payload is a tombstone. It is dropped, or with `inferDeleteFromTombstone: true` becomes "
		       "the row in the metadata `key` (its text is read as JSON; `{\"schema\": ..., \"payload\": ...}` "
		       "gives its `payload`) with the operation `delete`. Without a key it is dropped; a key that is no "
		       "object with at least one member makes it fail, because a delete would be lost.",
		.settings = &unwrap_table,
		.settings_optional = true,
		.examples = debezium_unwrap_examples,
		.example_count = DF_ARRAY_SIZE(debezium_unwrap_examples),
	},
	.create = unwrap_create,
	.apply = unwrap_apply,
	.free = unwrap_free,
};
