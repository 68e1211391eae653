#include "processor/checkpoint_configmap.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kube/lease.h"

#define KEY "checkpoint.json"
#define FENCE "dataflow.dataflow.io/fence"
#define LEASE_DURATION (30 * DF_NS_PER_S)
#define LEASE_DEADLINE (20 * DF_NS_PER_S)
#define LEASE_RETRY (5 * DF_NS_PER_S)
#define CONFIGMAP_WAIT (60 * DF_NS_PER_S)
#define PAUSE DF_NS_PER_S
#define SAVE_TIME (10 * DF_NS_PER_S)
#define SIZE_WARN ((size_t)256 << 10)
#define CHECKPOINT_MAX ((size_t)900 << 10)
#define CONFLICTS_MAX 5

struct configmap_store {
	struct df_checkpoint_store store;
	struct df_checkpoint_configmap_options options;
	struct df_kube_client *client;
	struct df_kube_lease *lease;
	struct df_kube_ref ref;
	char *configmap_name, *lease_name;
	char *version; /* resourceVersion that we saw or wrote last */
	char *text;    /* the checkpoint as it was then; NULL: none */
	int64_t fence;
	atomic_bool lost;
	bool warned_size;
};

static struct configmap_store *store_of(struct df_checkpoint_store *store)
{
	return DF_CONTAINER_OF(store, struct configmap_store, store);
}

static void lose(void *arg, const struct df_error *why)
{
	struct configmap_store *s = arg;

	if (!atomic_exchange(&s->lost, true) && s->options.on_lost)
		s->options.on_lost(s->options.arg, why);
}

/* ---- what stands there ----------------------------------------------------------------------------------- */

/* Remembers version and text of a ConfigMap; *ret_fence 0: it has none. */
static int remember(struct configmap_store *s, const struct df_value *object, struct df_arena *arena,
		    int64_t *ret_fence, struct df_error *err)
{
	struct df_str version = df_kube_text(object, arena, "metadata", "resourceVersion", NULL);
	struct df_str text = df_kube_text(object, arena, "data", KEY, NULL);
	struct df_str fence = df_kube_text(object, arena, "metadata", "annotations", FENCE, NULL);
	char *version_copy = df_str_dup(version), *text_copy = text.ptr ? df_str_dup(text) : NULL;

	if (!version_copy || (text.ptr && !text_copy)) {
		free(version_copy);
		free(text_copy);
		return df_error_no_memory(err);
	}
	free(s->version);
	free(s->text);
	s->version = version_copy;
	s->text = text_copy;
	*ret_fence = 0;
	if (fence.len && (!df_str_to_int64(fence, ret_fence) || *ret_fence < 0))
		return df_error_set(err, DF_ERR_CONFIG, "ConfigMap %s: the annotation " FENCE " is not a number",
				    s->configmap_name);
	return 0;
}

/* A higher number is another holder's, who came after us. */
static int check_fence(struct configmap_store *s, int64_t fence, struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;

	if (fence <= s->fence)
		return 0;
	df_error_set(&why, DF_ERR_CLOSED, "another processor of %s/%s has taken over", s->options.namespace,
		     s->options.name);
	if (err)
		*err = why;
	lose(s, &why);
	return DF_ERR_CLOSED;
}

static int look(struct configmap_store *s, struct df_context *ctx, bool *ret_there, int64_t *ret_fence,
		struct df_error *err)
{
	struct df_value *object = NULL;
	struct df_arena arena;
	int code;

	df_arena_init(&arena, NULL);
	code = df_kube_get(s->client, ctx, &s->ref, &arena, &object, err);
	*ret_there = object != NULL;
	if (code == 0 && object)
		code = remember(s, object, &arena, ret_fence, err);
	df_arena_done(&arena);
	return code;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

static struct df_value *member(struct df_value *object, const char *key, struct df_value *value)
{
	if (object && value)
		df_object_append(object, df_str_c(key), value);
	return value ? object : NULL;
}

/* {"metadata": {"resourceVersion": ours, "annotations": {fence}}, "data": {key: text}}: refused when somebody wrote
 * since. */
static struct df_value *make_patch(const struct configmap_store *s, const char *text, struct df_arena *arena)
{
	struct df_value *metadata = df_value_new(arena, DF_OBJECT), *patch = df_value_new(arena, DF_OBJECT);
	struct df_value *annotations = df_value_new(arena, DF_OBJECT);
	char fence[24];

	snprintf(fence, sizeof(fence), "%lld", (long long)s->fence);
	if (!member(annotations, FENCE, df_value_string_copy(arena, df_str_c(fence))) ||
	    !member(metadata, "resourceVersion", df_value_string(arena, df_str_c(s->version))) ||
	    !member(metadata, "annotations", annotations) || !member(patch, "metadata", metadata))
		return NULL;
	if (text) {
		struct df_value *data = df_value_new(arena, DF_OBJECT);

		if (!member(data, KEY, df_value_string(arena, df_str_c(text))) || !member(patch, "data", data))
			return NULL;
	}
	return patch;
}

static int write_patch(struct configmap_store *s, struct df_context *ctx, const char *text, struct df_error *err)
{
	struct df_value *patch, *object = NULL;
	struct df_arena arena;
	int64_t fence;
	int code;

	df_arena_init(&arena, NULL);
	patch = make_patch(s, text, &arena);
	code = patch ? df_kube_patch(s->client, ctx, &s->ref, DF_KUBE_MERGE_PATCH, patch, &arena, &object, err)
		     : df_error_no_memory(err);
	if (code == 0)
		code = remember(s, object, &arena, &fence, err);
	df_arena_done(&arena);
	return code;
}

/* ---- opening --------------------------------------------------------------------------------------------- */

/* The ConfigMap, once it is there; an API server that does not answer is waited for. */
static int await_configmap(struct configmap_store *s, struct df_context *ctx, int64_t *ret_fence, struct df_error *err)
{
	int64_t missing_since = 0;

	for (;;) {
		struct df_error why = DF_ERROR_INIT;
		bool there = false;
		int code = look(s, ctx, &there, ret_fence, &why);

		if (code == 0 && there)
			return 0;
		if (code == 0) {
			missing_since = missing_since ? missing_since : df_clock_monotonic();
			if (df_clock_monotonic() - missing_since > CONFIGMAP_WAIT)
				return df_error_set(
					err, DF_ERR_CONFIG,
					"there is no ConfigMap %s/%s: the operator makes it; is it running?",
					s->options.namespace, s->configmap_name);
		} else if (!df_code_retryable(code)) {
			if (err)
				*err = why;
			return code;
		} else {
			df_log_error(s->options.logger, DF_LOG_WARN, &why, "loading the checkpoint, trying again");
		}
		if (df_context_sleep(ctx, PAUSE) != 0)
			return df_context_check(ctx, err);
	}
}

static int raise_fence(struct configmap_store *s, struct df_context *ctx, struct df_error *err)
{
	for (;;) {
		struct df_error why = DF_ERROR_INIT;
		int64_t fence = 0;
		int code = await_configmap(s, ctx, &fence, err);

		if (code != 0)
			return code;
		s->fence = fence + 1;
		code = write_patch(s, ctx, NULL, &why);
		if (code == 0)
			return 0;
		if (!df_code_retryable(code)) {
			if (err)
				*err = why;
			return code;
		}
		if (df_context_sleep(ctx, df_kube_is(&why, "Conflict") ? DF_NS_PER_MS : PAUSE) != 0)
			return df_context_check(ctx, err);
	}
}

static void configmap_free(struct df_checkpoint_store *store)
{
	struct configmap_store *s = store_of(store);

	df_kube_lease_release(s->lease);
	df_kube_client_free(s->client);
	free(s->configmap_name);
	free(s->lease_name);
	free(s->version);
	free(s->text);
	free(s);
}

/* ---- load, save ------------------------------------------------------------------------------------------ */

static int parse(const struct configmap_store *s, struct df_arena *arena, struct df_value **ret, struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;
	struct df_str text;
	int code;

	if (!s->text) {
		*ret = df_value_new(arena, DF_OBJECT);
		return *ret ? 0 : df_error_no_memory(err);
	}
	text = df_arena_dup(arena, df_str_c(s->text));
	if (!text.ptr)
		return df_error_no_memory(err);
	code = df_value_parse_text(text, arena, ret, &why);
	if (code == 0 && (*ret)->kind == DF_OBJECT)
		return 0;
	if (code == DF_ERR_NO_MEMORY)
		return df_error_no_memory(err);
	return df_error_set(err, DF_ERR_CONFIG,
			    "the checkpoint in ConfigMap %s/%s is damaged (%s); set checkpointReset: true to read the "
			    "source from its beginning, else restore it from a backup",
			    s->options.namespace, s->configmap_name, code ? why.text : "it is not an object");
}

static int configmap_load(struct df_checkpoint_store *store, struct df_arena *arena, struct df_value **ret,
			  struct df_error *err)
{
	return parse(store_of(store), arena, ret, err);
}

static int check_size(struct configmap_store *s, size_t len, struct df_error *err)
{
	if (len > CHECKPOINT_MAX)
		return df_error_set(
			err, DF_ERR_UNKNOWN,
			"the checkpoint of %s has %zu bytes, a ConfigMap holds 1 MiB: key %s of ConfigMap %s",
			s->options.source_type, len, KEY, s->configmap_name);
	if (len > SIZE_WARN && !s->warned_size)
		df_warn(s->options.logger, "the checkpoint has %zu bytes already; over %zu it is refused", len,
			CHECKPOINT_MAX);
	s->warned_size = len > SIZE_WARN;
	return 0;
}

/* Our object of the checkpoint in what others wrote meanwhile. The caller frees. */
static int merge(const struct configmap_store *s, const struct df_value *checkpoint, char **ret, struct df_error *err)
{
	const struct df_value *mine = df_object_get_c(checkpoint, s->options.source_type);
	struct df_value *there = NULL, *copy;
	struct df_buf buf = { 0 };
	struct df_arena arena;
	int code;

	df_arena_init(&arena, NULL);
	code = parse(s, &arena, &there, err);
	if (code == 0 && mine) {
		copy = df_value_clone(mine, &arena);
		if (copy)
			df_object_set(there, df_str_c(s->options.source_type), copy);
		else
			code = df_error_no_memory(err);
	}
	if (code == 0)
		df_value_write(there, &buf);
	*ret = code == 0 ? df_buf_take(&buf) : NULL;
	if (code == 0 && !*ret)
		code = df_error_no_memory(err);
	df_buf_done(&buf);
	df_arena_done(&arena);
	return code;
}

/* Whatever the API says, a later save may be taken: rights come back, and a ConfigMap that was deleted is made again.
 * The pipeline goes on meanwhile. */
static int later(int code, struct df_error *err)
{
	if (code < 0 && !df_code_retryable(code) && code != DF_ERR_NO_MEMORY)
		code = err->code = DF_ERR_TRANSIENT;
	return code;
}

static int save_once(struct configmap_store *s, struct df_context *ctx, const struct df_value *checkpoint,
		     struct df_error *err)
{
	df_cleanup(df_freep) char *text = NULL;
	int code = merge(s, checkpoint, &text, err);

	if (code == 0)
		code = check_size(s, strlen(text), err);
	return code == 0 ? later(write_patch(s, ctx, text, err), err) : code;
}

static int save_in_time(struct configmap_store *s, struct df_context *ctx, const struct df_value *checkpoint,
			struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;
	int code = 0;

	for (int i = 0; i < CONFLICTS_MAX; i++) {
		bool there = false;
		int64_t fence = 0;

		code = save_once(s, ctx, checkpoint, &why);
		if (code == 0 || !df_kube_is(&why, "Conflict"))
			break;
		/* Somebody wrote: a person, or another holder. */
		code = later(look(s, ctx, &there, &fence, &why), &why);
		if (code == 0 && there)
			code = check_fence(s, fence, &why);
		if (code == 0 && !there)
			code = df_error_set(&why, DF_ERR_TRANSIENT, "ConfigMap %s is gone", s->configmap_name);
		if (code != 0)
			break;
		code = df_error_set(&why, DF_ERR_TRANSIENT, "ConfigMap %s is written by others all the time",
				    s->configmap_name);
	}
	if (code != 0 && err)
		*err = why;
	return code;
}

static int configmap_save(struct df_checkpoint_store *store, const struct df_value *checkpoint, struct df_error *err)
{
	struct configmap_store *s = store_of(store);
	df_cleanup(df_context_freep) struct df_context *ctx = NULL;

	if (atomic_load(&s->lost) || !df_kube_lease_held(s->lease))
		return df_error_set(err, DF_ERR_CLOSED, "the Lease %s is not held any more: nothing is saved",
				    s->lease_name);
	ctx = df_context_new(NULL);
	if (!ctx)
		return df_error_no_memory(err);
	df_context_deadline(ctx, df_clock_monotonic() + SAVE_TIME);
	return save_in_time(s, ctx, checkpoint, err);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static char *name_of(const char *flow, const char *suffix)
{
	struct df_buf buf = { 0 };

	df_buf_printf(&buf, "df-%s-%s", flow, suffix);
	return df_buf_take(&buf);
}

static int acquire(struct configmap_store *s, struct df_context *ctx, struct df_error *err)
{
	struct df_kube_lease_options options = {
		.client = { .config = s->options.config, .field_manager = "dataflow-processor" },
		.namespace = s->options.namespace,
		.name = s->lease_name,
		.identity = s->options.holder,
		.ended_prefix = s->options.ended_holders,
		.duration_ns = LEASE_DURATION,
		.deadline_ns = LEASE_DEADLINE,
		.retry_ns = LEASE_RETRY,
		.logger = s->options.logger,
		.on_lost = lose,
		.arg = s,
	};

	return df_kube_lease_acquire(&options, ctx, &s->lease, err);
}

int df_checkpoint_configmap_open(const struct df_checkpoint_configmap_options *options, struct df_context *ctx,
				 struct df_checkpoint_store **ret, struct df_error *err)
{
	struct configmap_store *s = calloc(1, sizeof(*s));
	int code;

	*ret = NULL;
	if (!s)
		return df_error_no_memory(err);
	s->store = (struct df_checkpoint_store){ configmap_load, configmap_save, configmap_free };
	s->options = *options;
	s->configmap_name = name_of(options->name, "checkpoint");
	s->lease_name = name_of(options->name, "processor");
	s->ref = (struct df_kube_ref){ .resource = &df_kube_configmaps,
				       .namespace = options->namespace,
				       .name = s->configmap_name };
	code = s->configmap_name && s->lease_name ? 0 : df_error_no_memory(err);
	if (code == 0)
		code = df_kube_client_new(&(struct df_kube_client_options){ .config = options->config,
									    .field_manager = "dataflow-processor" },
					  &s->client, err);
	if (code == 0)
		code = acquire(s, ctx, err);
	if (code == 0)
		code = raise_fence(s, ctx, err);
	if (code != 0) {
		configmap_free(&s->store);
		return code;
	}
	*ret = &s->store;
	return 0;
}
