#include "cmd/mounted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "connectors/factory.h"
#include "spec/secrets.h"
#include "spec/yaml.h"

/* One value that parsing asked for. */
struct used {
	char *what; /* Secret "db", key "password" */
	uint64_t hash;
};

struct df_reading {
	struct df_dataflow_spec spec;
	struct used *used; /* in the order of the document */
	size_t used_count;
};

struct df_mounted {
	struct df_mounted_options options;
	struct df_arena arena;
	struct df_yaml_documents documents;
	struct df_secret_store *store;
	struct df_reading *reading;
};

/* ---- reading --------------------------------------------------------------------------------------------- */

/* Hands values out and notes which they were. */
struct recorder {
	struct df_secrets secrets; /* first */
	const struct df_secrets *from;
	struct df_reading *reading;
};

/* A newline at its end is no part of a value: see df_resolve_ref. */
static uint64_t hash_of(const char *value)
{
	struct df_str text = df_str_c(value);

	for (const char *end = "\n\r"; *end; end++)
		text.len -= text.len > 0 && text.ptr[text.len - 1] == *end;
	return df_fnv1a(DF_FNV1A, text);
}

static int note(struct df_reading *reading, const struct df_secret_ref *ref, const char *value, struct df_error *err)
{
	struct used *used = reallocarray(reading->used, reading->used_count + 1, sizeof(*used));
	char *what = NULL;

	if (!used)
		return df_error_no_memory(err);
	reading->used = used;
	if (asprintf(&what, "Secret \"%s%s%s\", key \"%s\"", ref->namespace ? ref->namespace : "",
		     ref->namespace ? "/" : "", ref->name, ref->key) < 0)
		return df_error_no_memory(err);
	used[reading->used_count++] = (struct used){ what, hash_of(value) };
	return 0;
}

static int record(const struct df_secrets *self, const struct df_secret_ref *ref, char **ret, struct df_error *err)
{
	const struct recorder *r = (const struct recorder *)self;
	int code = r->from->get(r->from, ref, ret, err);

	if (code < 0 || !*ret)
		return code;
	code = note(r->reading, ref, *ret, err);
	if (code < 0) {
		explicit_bzero(*ret, strlen(*ret));
		free(*ret);
		*ret = NULL;
	}
	return code;
}

void df_reading_free(struct df_reading *reading)
{
	if (!reading)
		return;
	df_settings_done(&df_dataflow_table, &reading->spec);
	for (size_t i = 0; i < reading->used_count; i++)
		free(reading->used[i].what);
	free(reading->used);
	free(reading);
}

/* The spec alone, without kind and metadata. */
static struct df_reading *parse(const struct df_mounted *m, struct df_diags *diags)
{
	struct df_reading *reading = calloc(1, sizeof(*reading));
	struct recorder recorder = { { record }, df_secret_store_get(m->store), reading };
	const struct df_value *document = m->documents.items[0];
	struct df_place place = { .file = m->options.spec_path, .path = "spec", .value = document };
	size_t errors = diags->errors;

	if (!reading) {
		diags->failed = true;
		return NULL;
	}
	df_settings_parse(&df_dataflow_table, document,
			  &(struct df_parse_options){ .file = m->options.spec_path,
						      .path = "spec",
						      .registry = df_registry(),
						      .secrets = &recorder.secrets,
						      .unknown_keys_warn = true },
			  &reading->spec, diags);
	if (diags->errors == errors && !diags->failed)
		df_manifest_check(DF_KIND_DATAFLOW, (const struct df_dataflowcron_spec *)&reading->spec, &place, diags);
	if (diags->errors == errors && !diags->failed)
		return reading;
	df_reading_free(reading);
	return NULL;
}

/* ---- the mount ------------------------------------------------------------------------------------------- */

static void load(struct df_mounted *m, struct df_diags *diags)
{
	struct df_place place = { .file = m->options.spec_path };

	m->store = df_secret_store_new(m->options.secrets_dir, m->options.namespace);
	if (!m->store) {
		diags->failed = true;
		return;
	}
	df_yaml_load(m->options.spec_path, &m->arena, &m->documents, diags);
	if (diags->errors || diags->failed)
		return;
	if (m->documents.count == 1)
		m->reading = parse(m, diags);
	else
		df_diag_error(diags, &place, NULL, "one spec is expected, the file has %zu documents",
			      m->documents.count);
}

struct df_mounted *df_mounted_open(const struct df_mounted_options *options, struct df_diags *diags)
{
	struct df_mounted *m = calloc(1, sizeof(*m));

	if (!m) {
		diags->failed = true;
		return NULL;
	}
	m->options = *options;
	df_arena_init(&m->arena, NULL);
	load(m, diags);
	if (m->reading)
		return m;
	df_mounted_free(m);
	return NULL;
}

void df_mounted_free(struct df_mounted *m)
{
	if (!m)
		return;
	df_reading_free(m->reading);
	df_secret_store_free(m->store);
	df_arena_done(&m->arena);
	free(m);
}

const struct df_dataflow_spec *df_mounted_spec(const struct df_mounted *m)
{
	return &m->reading->spec;
}

bool df_mounted_has_secrets(const struct df_mounted *m)
{
	return m->reading->used_count > 0;
}

/* ---- looking again --------------------------------------------------------------------------------------- */

/* The document is the same, so it asks for the same values in the same order. */
static const char *first_change(const struct df_reading *before, const struct df_reading *now)
{
	for (size_t i = 0; i < before->used_count && i < now->used_count; i++)
		if (before->used[i].hash != now->used[i].hash)
			return now->used[i].what;
	return NULL;
}

struct df_reading *df_mounted_look(const struct df_mounted *m, char *what, struct df_diags *diags)
{
	struct df_reading *now = parse(m, diags);
	const char *changed = now ? first_change(m->reading, now) : NULL;

	if (!changed) {
		df_reading_free(now);
		return NULL;
	}
	snprintf(what, DF_MOUNTED_WHAT, "%s", changed);
	return now;
}

struct df_dataflow_spec *df_reading_spec(struct df_reading *reading)
{
	return &reading->spec;
}

void df_mounted_renew(struct df_mounted *m, struct df_reading *reading)
{
	df_reading_free(m->reading);
	m->reading = reading;
}
