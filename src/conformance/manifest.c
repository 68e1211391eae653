/* The manifest under test: source and sink as written, placeholders, Secrets. */
#include <string.h>

#include "api/v1/dataflow.h"
#include "conformance/internal.h"

static const char *const side_names[DF_SIDES] = { "source", "sink" };

#define NAME_PLACEHOLDER "{name}"
#define ADDRESS_PLACEHOLDER "{address}"

/* ---- placeholders ---------------------------------------------------------------------------------------- */

/* Without quotes, YAML takes `{name}` for an object with a key and no value. */
static const char *bare_placeholder(const struct df_value *v)
{
	if (v->kind != DF_OBJECT || v->len != 1 || v->first->kind != DF_NULL)
		return NULL;
	if (df_str_equal_c(df_value_key(v->first), "name"))
		return NAME_PLACEHOLDER;
	return df_str_equal_c(df_value_key(v->first), "address") ? ADDRESS_PLACEHOLDER : NULL;
}

static bool has(struct df_str text, const char *what)
{
	return text.len && memmem(text.ptr, text.len, what, strlen(what));
}

/* Makes bare placeholders texts, and notes which there are. False: out of memory. */
static bool find_placeholders(struct df_subject *s, struct df_value *v)
{
	const char *bare = bare_placeholder(v);

	if (bare) {
		struct df_value *text = df_value_string(&s->arena, df_str_c(bare));

		if (!text)
			return false;
		df_value_replace(v, text);
	}
	if (v->kind == DF_STRING) {
		struct df_str text = df_value_text(v, &s->arena);

		s->has_name = s->has_name || has(text, NAME_PLACEHOLDER);
		s->has_address = s->has_address || has(text, ADDRESS_PLACEHOLDER);
		return text.ptr != NULL;
	}
	if (df_value_is_container(v))
		df_for_each (child, v)
			if (!find_placeholders(s, child))
				return false;
	return true;
}

static void substitute(struct df_str text, const char *name, const char *address, struct df_buf *buf)
{
	while (text.len) {
		size_t used = 1;

		if (df_str_starts(text, DF_STR(NAME_PLACEHOLDER))) {
			df_buf_add_c(buf, name);
			used = sizeof(NAME_PLACEHOLDER) - 1;
		} else if (df_str_starts(text, DF_STR(ADDRESS_PLACEHOLDER))) {
			df_buf_add_c(buf, address ? address : "");
			used = sizeof(ADDRESS_PLACEHOLDER) - 1;
		} else {
			df_buf_add_char(buf, text.ptr[0]);
		}
		text = df_str(text.ptr + used, text.len - used);
	}
}

static bool fill_in(struct df_value *v, const char *name, const char *address, struct df_arena *arena)
{
	if (v->kind == DF_STRING) {
		struct df_str text = df_value_text(v, arena);
		struct df_buf buf = { 0 };
		struct df_value *filled;

		if (!has(text, NAME_PLACEHOLDER) && !has(text, ADDRESS_PLACEHOLDER))
			return text.ptr != NULL;
		substitute(text, name, address, &buf);
		filled = buf.failed ? NULL : df_value_string_copy(arena, df_buf_str(&buf));
		df_buf_done(&buf);
		if (filled)
			df_value_replace(v, filled);
		return filled != NULL;
	}
	if (df_value_is_container(v))
		df_for_each (child, v)
			if (!fill_in(child, name, address, arena))
				return false;
	return true;
}

struct df_value *df_subject_config(const struct df_subject *s, enum df_component_kind kind, const char *name,
				   const char *address, struct df_arena *arena)
{
	struct df_value *config =
		s->config[kind] ? df_value_clone_deep(s->config[kind], arena) : df_value_new(arena, DF_OBJECT);

	return config && fill_in(config, name, address, arena) ? config : NULL;
}

/* ---- loading --------------------------------------------------------------------------------------------- */

static int subject_secret(const struct df_secrets *self, const struct df_secret_ref *ref, char **ret,
			  struct df_error *err)
{
	const struct df_subject *s = DF_CONTAINER_OF(self, struct df_subject, secrets);
	const struct df_secrets *own = df_secret_store_get(s->store), *more = s->options->secrets;
	int r = own->get(own, ref, ret, err);

	return r < 0 && more ? more->get(more, ref, ret, err) : r;
}

static bool is_kind(const struct df_value *document, const char *kind)
{
	const struct df_value *v = df_object_get_c(document, "kind");

	return v && df_value_string_equal(v, df_str_c(kind));
}

/* The settings of {type, config} or {type, <type>: settings}: what stands beside `type`. */
static struct df_value *settings_of(const struct df_value *component)
{
	struct df_value *config = df_object_get_c(component, "config");

	if (config)
		return config;
	df_for_each (member, component)
		if (member->kind == DF_OBJECT)
			return member;
	return NULL;
}

static void load_side(struct df_subject *s, enum df_component_kind kind, const struct df_value *spec,
		      struct df_diags *diags)
{
	const struct df_value *component = df_object_get_c(spec, side_names[kind]);
	const struct df_value *type = df_object_get_c(component, "type");
	struct df_place place = { s->options->manifest, component ? component->line : 0, "spec", spec };
	struct df_str name = type && type->kind == DF_STRING ? df_value_text(type, &s->arena) : (struct df_str){ 0 };
	const char *near;

	if (!component)
		return;
	s->type[kind] = df_registry_find(df_registry(), kind, name);
	if (!s->type[kind]) {
		near = df_registry_nearest(df_registry(), kind, name);
		df_diag_error(diags, &place, side_names[kind], "unknown type `" DF_STR_FMT "`%s%s%s", DF_STR_ARG(name),
			      near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
		return;
	}
	if (!df_connector_built(kind, s->type[kind]))
		df_diag_error(diags, &place, side_names[kind], "this build has no %s %s", s->type[kind]->name,
			      side_names[kind]);
	s->config[kind] = settings_of(component);
	if (s->config[kind] && !find_placeholders(s, s->config[kind]))
		diags->failed = true;
}

static const struct df_value *find_flow(struct df_subject *s, const struct df_yaml_documents *documents,
					struct df_diags *diags)
{
	struct df_place place = { .file = s->options->manifest };
	const struct df_value *flow = NULL;

	for (size_t i = 0; i < documents->count; i++) {
		const struct df_value *d = documents->items[i];

		if (is_kind(d, "Secret"))
			df_secret_store_add(s->store, d, s->options->manifest, diags);
		else if (!flow && (is_kind(d, "DataFlow") || is_kind(d, "DataFlowCron")))
			flow = d;
	}
	if (!flow && diags->errors == 0)
		df_diag_error(diags, &place, NULL, "there is no DataFlow in this file");
	return flow;
}

/* What does not depend on a rule is wrong once, not in every rule. */
static void check(struct df_subject *s, struct df_diags *diags)
{
	struct df_place place = { .file = s->options->manifest };

	if (s->has_address && !s->options->server)
		df_diag_error(diags, &place, NULL,
			      "`{address}` stands in it: say with --server what that is (HOST:PORT)");
	for (int kind = DF_SOURCE; kind < DF_SIDES && diags->errors == 0; kind++) {
		struct df_component component = { 0 };
		struct df_value *config;

		if (!s->type[kind])
			continue;
		config = df_subject_config(s, (enum df_component_kind)kind, "df_name", s->options->server, &s->arena);
		if (config)
			df_subject_parse(s, (enum df_component_kind)kind, config, &s->arena, &component, diags);
		else
			diags->failed = true;
		df_component_done(&component);
	}
}

int df_subject_load(struct df_subject *s, const struct df_conformance_options *options, struct df_diags *diags,
		    struct df_error *err)
{
	struct df_place place = { .file = options->manifest };
	struct df_yaml_documents documents = { 0 };
	const struct df_value *flow, *spec;

	*s = (struct df_subject){ .options = options, .secrets.get = subject_secret };
	df_arena_init(&s->arena, NULL);
	s->store = df_secret_store_new(NULL, "default");
	if (!s->store)
		return df_error_no_memory(err);
	df_yaml_load(options->manifest, &s->arena, &documents, diags);
	flow = diags->errors ? NULL : find_flow(s, &documents, diags);
	spec = flow ? df_object_get_c(flow, "spec") : NULL;
	for (int kind = DF_SOURCE; flow && kind < DF_SIDES; kind++)
		load_side(s, (enum df_component_kind)kind, spec, diags);
	if (flow && diags->errors == 0 && !s->type[DF_SOURCE] && !s->type[DF_SINK])
		df_diag_error(diags, &place, "spec", "has neither a source nor a sink: there is nothing to test");
	if (diags->errors == 0)
		check(s, diags);
	return diags->failed ? df_error_no_memory(err) : df_diags_error(diags, err);
}

void df_subject_done(struct df_subject *s)
{
	df_secret_store_free(s->store);
	df_arena_done(&s->arena);
	*s = (struct df_subject){ 0 };
}

void df_subject_parse(const struct df_subject *s, enum df_component_kind kind, const struct df_value *config,
		      struct df_arena *arena, struct df_component *ret, struct df_diags *diags)
{
	struct df_parse_options options = { .file = s->options->manifest,
					    .path = kind == DF_SOURCE ? "spec.source" : "spec.sink",
					    .registry = df_registry(),
					    .secrets = &s->secrets };
	struct df_value *component = df_value_new(arena, DF_OBJECT);
	struct df_value *type = df_value_string(arena, df_str_c(s->type[kind]->name));
	struct df_value *own = df_value_clone(config, arena);

	*ret = (struct df_component){ 0 };
	if (!component || !type || !own) {
		diags->failed = true;
		diags->errors++;
		return;
	}
	df_object_set(component, DF_STR("type"), type);
	df_object_set(component, DF_STR("config"), own);
	df_component_parse(kind, component, NULL, &options, ret, diags);
}

/* ---- needs ----------------------------------------------------------------------------------------------- */

/* Source and sink of one type are taken to have one store. */
static bool has_one_store(const struct df_subject *s)
{
	return s->type[DF_SOURCE] && s->type[DF_SINK] && strcmp(s->type[DF_SOURCE]->name, s->type[DF_SINK]->name) == 0;
}

/* Says the sink's type `repeatable` of these settings? */
static bool is_repeatable(const struct df_subject *s)
{
	struct df_component sink = { 0 };
	struct df_diags diags = { 0 };
	struct df_arena arena;
	struct df_value *config;
	bool yes = false;

	if (!s->type[DF_SINK] || !s->type[DF_SINK]->repeatable)
		return false;
	df_arena_init(&arena, NULL);
	config = df_subject_config(s, DF_SINK, "df_name", s->options->server, &arena);
	if (config)
		df_subject_parse(s, DF_SINK, config, &arena, &sink, &diags);
	if (config && diags.errors == 0)
		yes = s->type[DF_SINK]->repeatable(sink.settings);
	df_component_done(&sink);
	df_diags_done(&diags);
	df_arena_done(&arena);
	return yes;
}

const char *df_subject_lacks(const struct df_subject *s, unsigned needs)
{
	const struct df_conformance_options *o = s->options;
	const struct {
		unsigned need;
		bool met;
		const char *why;
	} rows[] = {
		{ DF_NEEDS_SOURCE, s->type[DF_SOURCE], "the manifest has no source" },
		{ DF_NEEDS_SINK, s->type[DF_SINK], "the manifest has no sink" },
		{ DF_NEEDS_NAME, s->has_name, "`{name}` does not stand in the manifest" },
		{ DF_NEEDS_ADDRESS, s->has_address, "`{address}` does not stand in the manifest" },
		{ DF_NEEDS_FEED, o->feed || has_one_store(s),
		  "rows cannot be put into the source's store: no --feed, and the sink is of another type" },
		{ DF_NEEDS_DUMP, o->dump || has_one_store(s),
		  "rows of the sink's store cannot be looked at: no --dump, and the source is of another type" },
		{ DF_NEEDS_RESTART, o->restart, "no --restart" },
		{ DF_NEEDS_CREDENTIALS, o->wrong_credentials && o->wrong_credentials[0], "no --wrong-credentials" },
		{ DF_NEEDS_ONCE, !s->type[DF_SOURCE] || !s->type[DF_SOURCE]->scales_out,
		  "the source scales out and has no end" },
		{ DF_NEEDS_UPSERT, !(needs & DF_NEEDS_UPSERT) || is_repeatable(s),
		  "with these settings the sink does not write a row twice to one place" },
	};

	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++)
		if ((needs & rows[i].need) && !rows[i].met)
			return rows[i].why;
	return NULL;
}
