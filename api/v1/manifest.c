/* Loading manifest files: documents, kinds, metadata, Secrets, --set, then the tables. */
#include "api/v1/internal.h"
#include "base/cleanup.h"
#include "base/digest.h"

#define NAME_MAX_DATAFLOW 63	 /* a label's value */
#define NAME_MAX_DATAFLOWCRON 48 /* its CronJob's name ends at 52 */

/* A Secret store for each namespace that manifests have: a reference without namespace means the manifest's own. */
struct store {
	char *namespace;
	struct df_secret_store *secrets;
};

struct loader {
	const char *file;
	const struct df_manifest_options *options;
	struct df_diags *diags;
	struct df_arena arena;
	struct df_yaml_documents documents;
	struct df_manifests *ret;
	struct store *stores;
	size_t store_count;
};

static const struct df_table *spec_table(enum df_manifest_kind kind, bool parts)
{
	if (kind == DF_KIND_DATAFLOWCRON)
		return parts ? &df_dataflowcron_parts_table : &df_dataflowcron_table;
	return parts ? &df_dataflow_parts_table : &df_dataflow_table;
}

static int no_memory(struct loader *l)
{
	struct df_place place = { l->file, 0, NULL, NULL };

	l->diags->failed = true;
	df_diag_error(l->diags, &place, NULL, "out of memory");
	return DF_ERR_NO_MEMORY;
}

/* The text of a string member, or the empty slice. */
static struct df_str text_of(const struct df_value *object, const char *key, struct loader *l)
{
	const struct df_value *v = df_object_get_c(object, key);

	return v && v->kind == DF_STRING ? df_value_text(v, &l->arena) : (struct df_str){ 0 };
}

/* ---- Secrets
 * ---------------------------------------------------------------------------------------------------------- */

static bool is_secret(const struct df_value *document)
{
	const struct df_value *kind = df_object_get_c(document, "kind");

	return kind && df_value_string_equal(kind, DF_STR("Secret"));
}

static bool is_ours(const struct df_value *document)
{
	const struct df_value *kind = df_object_get_c(document, "kind");

	return kind &&
	       (df_value_string_equal(kind, DF_STR("DataFlow")) || df_value_string_equal(kind, DF_STR("DataFlowCron")));
}

/* Problems with the documents themselves are told with the first store only. */
static const struct df_secrets *secrets_for(struct loader *l, const char *namespace)
{
	struct df_diags again = { 0 };
	struct store *stores;
	struct store new = { 0 };

	for (size_t i = 0; i < l->store_count; i++)
		if (strcmp(l->stores[i].namespace, namespace) == 0)
			return df_secret_store_get(l->stores[i].secrets);
	stores = reallocarray(l->stores, l->store_count + 1, sizeof(*stores));
	if (!stores) {
		no_memory(l);
		return NULL;
	}
	l->stores = stores;
	new.namespace = df_str_dup(df_str_c(namespace));
	new.secrets = df_secret_store_new(l->options->secrets_dir, namespace);
	if (!new.namespace || !new.secrets) {
		free(new.namespace);
		df_secret_store_free(new.secrets);
		no_memory(l);
		return NULL;
	}
	if (!l->options->resolve_secrets)
		df_secret_store_partial(new.secrets);
	for (size_t i = 0; i < l->documents.count; i++)
		if (is_secret(l->documents.items[i]))
			df_secret_store_add(new.secrets, l->documents.items[i], l->file,
					    l->store_count ? &again : l->diags);
	df_diags_done(&again);
	l->stores[l->store_count++] = new;
	return df_secret_store_get(new.secrets);
}

/* ---- apiVersion, kind, metadata
 * --------------------------------------------------------------------------------------- */

/* Keys beside the known ones of a document or of nothing else: always an error, they are ours to read. */
static void check_keys(struct loader *l, const struct df_value *document)
{
	static const char *const known[] = { "apiVersion", "kind", "metadata", "spec", "status" };

	df_for_each (m, document) {
		struct df_place place = { l->file, m->line, NULL, NULL };
		const char *near;
		size_t i = 0;

		while (i < DF_ARRAY_SIZE(known) && !df_str_equal_c(df_value_key(m), known[i]))
			i++;
		if (i < DF_ARRAY_SIZE(known))
			continue;
		near = df_nearest(df_value_key(m), known, DF_ARRAY_SIZE(known));
		df_diag_error(l->diags, &place, NULL, "unknown field `" DF_STR_FMT "`%s%s%s",
			      DF_STR_ARG(df_value_key(m)),
			      near ? "; did you mean \"" : "; known are apiVersion, kind, metadata and spec",
			      near ? near : "", near ? "\"?" : "");
	}
}

/* False when the document is not one of ours: told as a warning, or as an error when it was meant to be. */
static bool read_kind(struct loader *l, const struct df_value *document, enum df_manifest_kind *ret)
{
	static const char *const kinds[] = { "DataFlow", "DataFlowCron" };
	const struct df_value *kind = df_object_get_c(document, "kind");
	const struct df_value *version = df_object_get_c(document, "apiVersion");
	struct df_place place = { l->file, document->line, NULL, document };
	struct df_str kind_text = text_of(document, "kind", l), version_text = text_of(document, "apiVersion", l);
	const char *near = df_nearest(kind_text, kinds, DF_ARRAY_SIZE(kinds));
	bool cron = df_str_equal_c(kind_text, kinds[1]);

	if (!kind || kind_text.len == 0) {
		df_diag_error(l->diags, &place, "kind", "is required: DataFlow or DataFlowCron");
		return false;
	}
	if (!cron && !df_str_equal_c(kind_text, kinds[0])) {
		bool group = df_str_starts(version_text, DF_STR(DF_API_GROUP "/"));

		if (near)
			df_diag_error(l->diags, &place, "kind", "unknown kind `" DF_STR_FMT "`; did you mean \"%s\"?",
				      DF_STR_ARG(kind_text), near);
		else if (group)
			df_diag_error(l->diags, &place, "kind",
				      "unknown kind `" DF_STR_FMT "`; expected DataFlow or DataFlowCron",
				      DF_STR_ARG(kind_text));
		else
			df_diag_warning(l->diags, &place, "kind",
					"a `" DF_STR_FMT "` is left out: only DataFlow, DataFlowCron and Secret are "
					"read",
					DF_STR_ARG(kind_text));
		return false;
	}
	*ret = cron ? DF_KIND_DATAFLOWCRON : DF_KIND_DATAFLOW;
	if (!version || version->kind == DF_NULL)
		df_diag_error(l->diags, &place, "apiVersion", "is required: " DF_API_VERSION);
	else if (!df_str_equal_c(version_text, DF_API_VERSION))
		df_diag_error(l->diags, &place, "apiVersion",
			      "`" DF_STR_FMT "` is not known; did you mean \"" DF_API_VERSION "\"?",
			      DF_STR_ARG(version_text));
	return true;
}

/* A text member of metadata, checked; NULL when absent or wrong (told). */
static char *read_name(struct loader *l, const struct df_value *metadata, const struct df_place *place, const char *key,
		       size_t max, df_field_check check)
{
	const struct df_value *v = df_object_get_c(metadata, key);
	struct df_str text;
	struct df_error err;
	char *copy;

	if (!v || v->kind == DF_NULL)
		return NULL;
	if (v->kind != DF_STRING) {
		df_diag_error(l->diags, place, key, "expected a text%s",
			      df_value_is_container(v) ? "" : "; write it in quotes");
		return NULL;
	}
	text = df_value_text(v, &l->arena);
	if (text.len > max) {
		df_diag_error(l->diags, place, key,
			      "has %zu characters; the most is %zu, so that the names made of it fit", text.len, max);
		return NULL;
	}
	if (check(text, &err)) {
		df_diag_error(l->diags, place, key, "%s", err.text);
		return NULL;
	}
	copy = df_str_dup(text);
	if (!copy)
		no_memory(l);
	return copy;
}

static void read_metadata(struct loader *l, const struct df_value *document, struct df_manifest *m)
{
	const struct df_value *metadata = df_object_get_c(document, "metadata");
	struct df_place top = { l->file, document->line, NULL, document };
	struct df_place place = { l->file, metadata ? metadata->line : document->line, "metadata", metadata };

	if (metadata && metadata->kind != DF_NULL && metadata->kind != DF_OBJECT) {
		df_diag_error(l->diags, &top, "metadata", "expected an object with `name`");
		return;
	}
	m->name = read_name(l, metadata, &place, "name",
			    m->kind == DF_KIND_DATAFLOWCRON ? NAME_MAX_DATAFLOWCRON : NAME_MAX_DATAFLOW,
			    df_check_dns_subdomain);
	if (!m->name && (!df_object_get_c(metadata, "name") || df_object_get_c(metadata, "name")->kind == DF_NULL))
		df_diag_error(l->diags, &place, "name", "is required");
	m->namespace = read_name(l, metadata, &place, "namespace", 63, df_check_dns_label);
	if (!m->namespace && !(m->namespace = df_str_dup(DF_STR("default"))))
		no_memory(l);
}

/* ---- one manifest
 * ----------------------------------------------------------------------------------------------------- */

/* The FAQ once shows a list of windows. Told here in its own words; taken out, so that it is not told twice. */
static void check_windows(struct loader *l, struct df_value *spec)
{
	struct df_value *maintenance = df_object_get_c(spec, "maintenance");
	struct df_place place = { l->file, spec->line, "spec", spec };

	if (!maintenance || maintenance->kind != DF_ARRAY)
		return;
	df_diag_error(l->diags, &place, "maintenance",
		      "expected one object, found a list: one window (startTime, duration, repeat) is supported");
	df_container_remove(spec, df_container_prev(spec, maintenance), maintenance);
}

static void apply_sets(struct loader *l, struct df_value *document)
{
	struct df_place place = { l->file, 0, NULL, NULL };
	const char *only = l->options->set_name;

	if (only && !df_str_equal_c(text_of(df_object_get_c(document, "metadata"), "name", l), only))
		return;
	for (size_t i = 0; i < l->options->set_count; i++) {
		struct df_error err = DF_ERROR_INIT;

		if (df_yaml_set(document, df_str_c(l->options->sets[i]), &l->arena, &err))
			df_diag_error(l->diags, &place, NULL, "--set %s: %s", l->options->sets[i], err.text);
	}
}

/* ---- fingerprints
 * ----------------------------------------------------------------------------------------------------- */

struct fingerprint {
	struct loader *l;
	const struct df_secrets *secrets;
	uint64_t hash;
};

static void hash_document(struct fingerprint *f, const struct df_value *document)
{
	struct df_buf buf = { 0 };

	df_value_write(document, &buf);
	if (buf.failed)
		no_memory(f->l);
	f->hash = df_fnv1a(f->hash, df_buf_str(&buf));
	if (buf.data)
		explicit_bzero(buf.data, buf.len);
	df_buf_done(&buf);
}

static void hash_secret(void *arg, const char *path, const struct df_secret_ref *ref)
{
	struct fingerprint *f = arg;
	struct df_error err = DF_ERROR_INIT;
	char *value = NULL;

	(void)path;
	if (f->secrets->get(f->secrets, ref, &value, &err) < 0 || !value)
		return;
	f->hash = df_fnv1a(f->hash, df_str_c(value));
	explicit_bzero(value, strlen(value));
	free(value);
}

static void set_fingerprint(struct loader *l, const struct df_value *document, struct df_manifest *m)
{
	struct fingerprint f = { l, secrets_for(l, m->namespace ? m->namespace : "default"), DF_FNV1A };

	hash_document(&f, document);
	for (size_t i = 0; i < l->documents.count; i++)
		if (is_secret(l->documents.items[i]))
			hash_document(&f, l->documents.items[i]);
	if (f.secrets && l->options->resolve_secrets)
		df_settings_secret_refs(spec_table(m->kind, l->options->transformations_only), &m->spec, hash_secret,
					&f);
	m->fingerprint = f.hash;
}

static void read_spec(struct loader *l, struct df_value *document, struct df_manifest *m)
{
	bool parts = l->options->transformations_only;
	const struct df_table *table = spec_table(m->kind, parts);
	struct df_value *spec = df_object_get_c(document, "spec");
	struct df_place top = { l->file, document->line, NULL, document };
	struct df_place place = { l->file, spec ? spec->line : document->line, "spec", spec };
	struct df_parse_options options = {
		.file = l->file,
		.path = "spec",
		.registry = l->options->registry,
		.unknown_keys_warn = l->options->unknown_keys_warn,
	};
	size_t errors = l->diags->errors;

	if (!spec || spec->kind != DF_OBJECT) {
		df_diag_error(l->diags, &top, "spec",
			      spec && spec->kind != DF_NULL ? "expected an object with source and sink"
							    : "is required");
		return;
	}
	check_windows(l, spec);
	options.secrets = secrets_for(l, m->namespace ? m->namespace : "default");
	df_settings_parse(table, spec, &options, &m->spec, l->diags);
	if (l->diags->errors != errors)
		return;
	df_manifest_check(m->kind, &m->spec, &place, l->diags);
	set_fingerprint(l, document, m);
}

static struct df_manifest *add_manifest(struct loader *l, const struct df_value *document, enum df_manifest_kind kind)
{
	struct df_manifest *items = reallocarray(l->ret->items, l->ret->count + 1, sizeof(*items));
	struct df_manifest *m;

	if (!items) {
		no_memory(l);
		return NULL;
	}
	l->ret->items = items;
	m = &items[l->ret->count++];
	*m = (struct df_manifest){ .kind = kind, .line = document->line };
	if (l->file && !(m->file = df_str_dup(df_str_c(l->file))))
		no_memory(l);
	return m;
}

/* A bare list of transformations, as a DataFlow around it. */
static struct df_value *wrap_list(struct loader *l, struct df_value *list)
{
	struct df_value *document = df_value_new(&l->arena, DF_OBJECT);
	struct df_value *metadata = df_value_new(&l->arena, DF_OBJECT);
	struct df_value *spec = df_value_new(&l->arena, DF_OBJECT);
	struct df_value *name = df_value_string(&l->arena, DF_STR("transform"));
	struct df_value *kind = df_value_string(&l->arena, DF_STR("DataFlow"));
	struct df_value *version = df_value_string(&l->arena, DF_STR(DF_API_VERSION));

	if (!document || !metadata || !spec || !name || !kind || !version) {
		no_memory(l);
		return NULL;
	}
	document->line = metadata->line = spec->line = name->line = kind->line = version->line = list->line;
	df_object_set(document, DF_STR("apiVersion"), version);
	df_object_set(document, DF_STR("kind"), kind);
	df_object_set(metadata, DF_STR("name"), name);
	df_object_set(document, DF_STR("metadata"), metadata);
	df_object_set(spec, DF_STR("transformations"), list);
	df_object_set(document, DF_STR("spec"), spec);
	return document;
}

static void read_document(struct loader *l, struct df_value *document)
{
	struct df_place place = { l->file, document->line, NULL, NULL };
	struct df_manifest *m;
	enum df_manifest_kind kind;

	if (document->kind == DF_ARRAY && l->options->transformations_only)
		document = wrap_list(l, document);
	if (!document)
		return;
	if (document->kind != DF_OBJECT) {
		df_diag_error(l->diags, &place, NULL, "expected an object with apiVersion, kind, metadata and spec");
		return;
	}
	if (is_secret(document))
		return;
	if (is_ours(document))
		apply_sets(l, document);
	if (!read_kind(l, document, &kind))
		return;
	m = add_manifest(l, document, kind);
	if (!m)
		return;
	check_keys(l, document);
	read_metadata(l, document, m);
	read_spec(l, document, m);
}

static void check_duplicates(struct loader *l)
{
	for (size_t i = 0; i < l->ret->count; i++)
		for (size_t k = 0; k < i; k++) {
			const struct df_manifest *a = &l->ret->items[k], *b = &l->ret->items[i];
			struct df_place place = { l->file, b->line, "metadata.name", NULL };

			if (a->kind == b->kind && a->name && b->name && a->namespace && b->namespace &&
			    strcmp(a->name, b->name) == 0 && strcmp(a->namespace, b->namespace) == 0)
				df_diag_error(l->diags, &place, NULL,
					      "`%s` stands twice in this file (first in line %u)", b->name,
					      (unsigned)a->line);
		}
}

void df_manifests_load(const char *file, const struct df_manifest_options *options, struct df_manifests *ret,
		       struct df_diags *diags)
{
	struct loader l = { .file = file, .options = options, .diags = diags, .ret = ret };
	struct df_place place = { file, 0, NULL, NULL };
	size_t errors = diags->errors;

	*ret = (struct df_manifests){ 0 };
	df_arena_init(&l.arena, NULL);
	df_yaml_load(file, &l.arena, &l.documents, diags);
	if (diags->errors == errors) {
		/* Also reads Secret documents that nothing refers to, so that a mistake in one is told. */
		secrets_for(&l, "default");
		for (size_t i = 0; i < l.documents.count; i++)
			read_document(&l, l.documents.items[i]);
		check_duplicates(&l);
		if (ret->count == 0 && diags->errors == errors)
			df_diag_error(diags, &place, NULL, "has no DataFlow or DataFlowCron");
	}
	for (size_t i = 0; i < l.store_count; i++) {
		free(l.stores[i].namespace);
		df_secret_store_free(l.stores[i].secrets);
	}
	free(l.stores);
	df_arena_done(&l.arena);
}

void df_manifests_done(struct df_manifests *manifests)
{
	if (!manifests)
		return;
	for (size_t i = 0; i < manifests->count; i++) {
		struct df_manifest *m = &manifests->items[i];

		df_settings_done(spec_table(m->kind, false), &m->spec);
		free(m->name);
		free(m->namespace);
		free(m->file);
	}
	free(manifests->items);
	*manifests = (struct df_manifests){ 0 };
}
