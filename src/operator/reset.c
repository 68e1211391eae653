#include "operator/reset.h"

#include "connectors/factory.h"
#include "kube/build.h"
#include "operator/events.h"
#include "operator/names.h"
#include "operator/status.h"
#include "operator/text.h"

#define KEY "checkpoint.json"
#define KEY_PREVIOUS "checkpoint.previous.json"

/* ---- the wish -------------------------------------------------------------------------------------------- */

struct df_reset_wish df_reset_wish(const struct df_resource *resource, struct df_arena *arena)
{
	struct df_reset_wish wish = { .field = resource->spec.flow.checkpoint_reset };
	struct df_str text =
		df_kube_text(resource->object, arena, "metadata", "annotations", DF_ANNOTATION_RESET, NULL);

	if (df_str_equal_c(text, "true"))
		wish.annotation = true;
	else if (text.len && !df_str_equal_c(text, "false"))
		wish.token = text;
	return wish;
}

static bool sink_holds_position(const struct df_component *sink)
{
	const struct df_connector *c = df_connector_find(DF_SINK, df_str_c(sink->type->name));

	return c && c->sink_ops && c->sink_ops->transactional && c->sink_ops->transactional(sink->settings);
}

const char *df_reset_pointless(const struct df_resource *resource, struct df_arena *arena)
{
	const struct df_dataflow_spec *spec = &resource->spec.flow;

	if (spec->source.type->scales_out)
		return df_text(arena, "The server of the source %s holds the position: reset it there",
			       spec->source.type->name);
	if (sink_holds_position(&spec->sink))
		return df_text(arena, "The sink %s holds the position (exactlyOnce): remove it there",
			       spec->sink.type->name);
	return NULL;
}

/* ---- patches --------------------------------------------------------------------------------------------- */

static struct df_value *text_value(const struct df_value *v, struct df_arena *arena)
{
	struct df_str text = df_value_to_arena(v, arena);

	return text.ptr ? df_value_string(arena, text) : NULL;
}

/* {"<type>": <entry>}, as a text. */
static struct df_value *previous_of(const char *source_type, struct df_value *entry, struct df_arena *arena)
{
	struct df_value *object = df_value_new(arena, DF_OBJECT);

	if (!object)
		return NULL;
	df_object_append(object, df_str_c(source_type), entry);
	return text_value(object, arena);
}

/* data of the patch: {checkpoint.json, checkpoint.previous.json}. A checkpoint without such an entry (it was taken out
 * before a crash) is left alone, and so is the previous value; a damaged one goes as a whole. */
static int take_out(const struct df_value *configmap, const char *source_type, struct df_arena *arena,
		    struct df_value *data, struct df_error *err)
{
	struct df_str text = df_kube_text(configmap, arena, "data", KEY, NULL);
	struct df_value *checkpoint = NULL, *entry, *left, *previous;

	if (!text.len)
		return 0;
	if (df_value_parse(text, arena, &checkpoint, NULL) != DF_PARSE_OK || checkpoint->kind != DF_OBJECT) {
		left = df_value_string(arena, DF_STR("{}"));
		previous = df_value_string(arena, text);
	} else {
		entry = df_object_get_c(checkpoint, source_type);
		if (!entry)
			return 0;
		df_container_remove(checkpoint, df_container_prev(checkpoint, entry), entry);
		left = text_value(checkpoint, arena);
		previous = previous_of(source_type, entry, arena);
	}
	if (!left || !previous)
		return df_error_no_memory(err);
	df_object_append(data, DF_STR(KEY), left);
	df_object_append(data, DF_STR(KEY_PREVIOUS), previous);
	return 0;
}

int df_reset_patch(const struct df_value *configmap, const char *source_type, struct df_str token, int64_t now,
		   struct df_arena *arena, struct df_value **ret, struct df_error *err)
{
	struct df_str fence = df_kube_text(configmap, arena, "metadata", "annotations", DF_ANNOTATION_FENCE, NULL);
	struct df_value *data = df_value_new(arena, DF_OBJECT), *stamp = df_status_time(now, arena);
	const char *next;
	int64_t n = 0;
	int code = data && stamp ? 0 : df_error_no_memory(err);

	if (code == 0)
		code = take_out(configmap, source_type, arena, data, err);
	if (code < 0)
		return code;
	if (fence.len)
		(void)df_str_to_int64(fence, &n);
	next = df_text(arena, "%lld", (long long)n + 1);
	if (!next)
		return df_error_no_memory(err);
	return df_kube_build(arena, ret, err,
			     "{'metadata':{'resourceVersion':%v,'annotations':{'" DF_ANNOTATION_RESET_AT "':%v,"
			     "'" DF_ANNOTATION_RESET_TOKEN "':%S,'" DF_ANNOTATION_FENCE "':%s}},'data':%v}",
			     df_kube_at(configmap, "metadata", "resourceVersion", NULL), stamp, token, next,
			     data->first ? data : NULL);
}

#define FIELD "'/spec/checkpointReset'"
#define ANNOTATION "'/metadata/annotations/" DF_API_GROUP "~1reset-checkpoint'"

int df_reset_clear(const struct df_resource *resource, const struct df_reset_wish *wish, struct df_arena *arena,
		   struct df_value **ret, struct df_error *err)
{
	struct df_value *field = NULL, *annotation = NULL, *patch = NULL;
	int code;

	*ret = NULL;
	if (!wish->field && !wish->annotation)
		return 0;
	/* One patch for all, of the generation that was looked at: a later one may be another wish. */
	code = df_kube_build(arena, &patch, err,
			     "[{'op':'test','path':'/metadata/uid','value':%s},"
			     "{'op':'test','path':'/metadata/generation','value':%d}]",
			     resource->uid, resource->generation);
	if (code == 0 && wish->field)
		code = df_kube_build(arena, &field, err,
				     "[{'op':'test','path':" FIELD ",'value':true},{'op':'remove','path':" FIELD "}]");
	if (code == 0 && wish->annotation)
		code = df_kube_build(arena, &annotation, err,
				     "[{'op':'test','path':" ANNOTATION ",'value':'true'},"
				     "{'op':'remove','path':" ANNOTATION "}]");
	if (code < 0)
		return code;
	const struct df_value *const parts[] = { field, annotation };

	for (size_t i = 0; i < DF_ARRAY_SIZE(parts); i++) {
		struct df_value *op = parts[i] ? parts[i]->first : NULL, *next;

		for (; op; op = next) {
			next = op->next;
			df_array_append(patch, op);
		}
	}
	*ret = patch;
	return 0;
}

/* ---- requests -------------------------------------------------------------------------------------------- */

static const struct df_kube_resource *const kinds[] = {
	[DF_KIND_DATAFLOW] = &df_kube_dataflows, [DF_KIND_DATAFLOWCRON] = &df_kube_dataflowcrons
};

struct reset {
	struct df_reconcile *r;
	struct df_resource *resource;
	struct df_reset_wish wish;
	const char *pointless;
	struct df_kube_ref configmap;
};

static bool has_token(const struct df_value *configmap, struct df_str token, struct df_arena *arena)
{
	struct df_str seen = df_kube_text(configmap, arena, "metadata", "annotations", DF_ANNOTATION_RESET_TOKEN, NULL);

	return token.ptr && seen.ptr && df_str_equal(seen, token);
}

/* Is there something left to do? A token that the checkpoint carries is done with. */
static int look(struct reset *s, bool *ret, struct df_error *err)
{
	struct df_value *configmap = NULL;
	int code;

	*ret = s->wish.field || s->wish.annotation;
	if (*ret || !s->wish.token.ptr)
		return 0;
	code = df_watched_get(s->r, DF_WATCH_CONFIGMAPS, s->configmap.namespace, s->configmap.name, &configmap, err);
	/* Just made: a new resource with a token begins where that wants it, without starting twice. */
	if (code == 0 && !configmap && s->resource->checkpoint)
		code = df_kube_get(s->r->client, s->r->ctx, &s->configmap, s->r->arena, &configmap, err);
	/* Without a checkpoint there is nothing to be reset, and nowhere to remember that. */
	*ret = configmap && !has_token(configmap, s->wish.token, s->r->arena);
	return code;
}

/* Takes the entry out, or only remembers the token. *ret_done: the wish is fulfilled, and to be told. Without a
 * checkpoint there is nothing to write: pods that start begin anew. */
static int write_checkpoint(struct reset *s, bool *ret_done, struct df_error *err)
{
	struct df_reconcile *r = s->r;
	bool token_only = !s->wish.field && !s->wish.annotation;
	struct df_value *configmap = NULL, *patch = NULL;
	int code = df_kube_get(r->client, r->ctx, &s->configmap, r->arena, &configmap, err);

	*ret_done = code == 0 && !configmap && !token_only;
	if (code < 0 || !configmap || (token_only && has_token(configmap, s->wish.token, r->arena)))
		return code; /* or the cache was behind */
	if (s->pointless)
		code = s->wish.token.ptr
			       ? df_kube_build(r->arena, &patch, err,
					       "{'metadata':{'annotations':{'" DF_ANNOTATION_RESET_TOKEN "':%S}}}",
					       s->wish.token)
			       : 0;
	else
		code = df_reset_patch(configmap, s->resource->spec.flow.source.type->name, s->wish.token, r->now,
				      r->arena, &patch, err);
	if (code == 0 && patch)
		code = df_kube_patch(r->client, r->ctx, &s->configmap, DF_KUBE_MERGE_PATCH, patch, r->arena, NULL, err);
	*ret_done = code == 0;
	return code;
}

/* What was written changes the version, and with the spec the generation: the status is to be about those. */
static void take_over(struct df_resource *resource, const struct df_value *answer, struct df_arena *arena)
{
	static const char *const keys[] = { "resourceVersion", "generation" };
	const struct df_value *generation = df_kube_at(answer, "metadata", "generation", NULL);

	for (size_t i = 0; i < DF_ARRAY_SIZE(keys); i++) {
		struct df_value *at = df_kube_at(resource->object, "metadata", keys[i], NULL);
		const struct df_value *now = df_kube_at(answer, "metadata", keys[i], NULL);
		struct df_value *copy = at && now ? df_value_clone(now, arena) : NULL;

		if (copy)
			df_value_replace(at, copy);
	}
	if (generation)
		(void)df_value_to_int64(generation, &resource->generation);
}

/* Is the wish another one than was seen? "Invalid" is also what the API server says of an object that it refuses. */
static int is_another(const struct reset *s, const struct df_kube_ref *ref, bool *ret, struct df_error *err)
{
	struct df_reconcile *r = s->r;
	struct df_value *now = NULL;
	int64_t generation = 0;
	int code = df_kube_get(r->client, r->ctx, ref, r->arena, &now, err);
	const struct df_value *g = df_kube_at(now, "metadata", "generation", NULL);

	*ret = !now || !g || !df_value_to_int64(g, &generation) || generation != s->resource->generation ||
	       !df_str_equal_c(df_kube_text(now, r->arena, "metadata", "uid", NULL), s->resource->uid) ||
	       (s->wish.annotation &&
		!df_str_equal_c(df_kube_text(now, r->arena, "metadata", "annotations", DF_ANNOTATION_RESET, NULL),
				"true"));
	return code;
}

/* *ret_cleared false: somebody changed the wish meanwhile. */
static int clear(struct reset *s, bool *ret_cleared, struct df_error *err)
{
	struct df_reconcile *r = s->r;
	bool another = false;
	struct df_kube_ref ref = { .resource = kinds[r->kind], .namespace = r->namespace, .name = r->name };
	struct df_value *patch = NULL, *answer = NULL;
	struct df_error why = DF_ERROR_INIT;
	int code = df_reset_clear(s->resource, &s->wish, r->arena, &patch, err);

	*ret_cleared = true;
	if (code < 0 || !patch)
		return code;
	code = df_kube_patch(r->client, r->ctx, &ref, DF_KUBE_JSON_PATCH, patch, r->arena, &answer, &why);
	if (code == 0) {
		take_over(s->resource, answer, r->arena);
		return 0;
	}
	if (df_kube_is(&why, "Invalid")) { /* of a `test` that failed: */
		int looked = is_another(s, &ref, &another, err);

		if (looked < 0)
			return looked;
	}
	*ret_cleared = !another;
	if (!another && err)
		*err = why;
	return another ? 0 : code;
}

static void tell(const struct reset *s)
{
	const char *type = s->resource->spec.flow.source.type->name;

	if (s->pointless)
		df_event(s->r, s->resource->object, true, "CheckpointResetIgnored", "%s", s->pointless);
	else if (!s->resource->checkpoint)
		df_event(s->r, s->resource->object, false, "CheckpointReset",
			 "No checkpoint is kept: the source %s begins anew", type);
	else
		df_event(s->r, s->resource->object, false, "CheckpointReset",
			 "The checkpoint of the source %s was taken back to the beginning", type);
}

#define AGAIN (100 * DF_NS_PER_MS)

int df_reset_checkpoint(struct df_reconcile *r, struct df_resource *resource, bool quiet, enum df_reset *ret,
			struct df_error *err)
{
	struct reset s = {
		.r = r,
		.resource = resource,
		.wish = df_reset_wish(resource, r->arena),
		.configmap = { .resource = &df_kube_configmaps,
			       .namespace = r->namespace,
			       .name = df_object_name(DF_NAME_CHECKPOINT, r->kind, r->name, r->arena) },
	};
	bool wanted = false, done = false, cleared = false;
	int code = s.configmap.name ? look(&s, &wanted, err) : df_error_no_memory(err);

	*ret = DF_RESET_NONE;
	if (code < 0 || !wanted)
		return code;
	s.pointless = df_reset_pointless(resource, r->arena);
	*ret = s.pointless ? DF_RESET_NONE : DF_RESET_WAITING;
	if (!quiet && !s.pointless)
		return 0;
	code = write_checkpoint(&s, &done, err);
	if (code == 0)
		code = clear(&s, &cleared, err);
	if (code < 0)
		return code;
	if (!cleared) {
		df_reconcile_again(r, AGAIN);
		return 0;
	}
	if (done)
		tell(&s);
	*ret = DF_RESET_NONE;
	return 0;
}
