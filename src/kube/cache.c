#include "kube/cache.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/retry.h"
#include "kube/pack.h"

struct item {
	char *key;		      /* "namespace/name" */
	char *index;		      /* NULL: it has none */
	struct df_kube_packed packed; /* compact JSON */
	uint64_t seen;		      /* the number of the list that had it last */
};

struct df_kube_cache {
	struct df_kube_cache_options options;
	struct df_kube_client *client;
	struct df_context *ctx;
	pthread_t thread;
	bool running;

	/* The thread's alone. */
	char *version; /* of the last event: where to watch from */
	uint64_t lists;
	struct df_arena scratch;
	struct df_kube_packer *packer; /* packing is the thread's, unpacking everybody's */

	pthread_mutex_t lock;
	pthread_cond_t synced_changed;
	void *items; /* tsearch, by key */
	size_t count, bytes;
	bool synced;
	int64_t seen_ns;
};

/* ---- items ----------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->key, ((const struct item *)b)->key);
}

static void item_free(void *arg)
{
	struct item *item = arg;

	free(item->key);
	free(item->index);
	free(item->packed.data);
	free(item);
}

static char *key_of(const struct df_value *object, struct df_arena *arena)
{
	struct df_str ns = df_kube_text(object, arena, "metadata", "namespace", NULL);
	struct df_str name = df_kube_text(object, arena, "metadata", "name", NULL);
	struct df_buf buf = { 0 };

	df_buf_printf(&buf, DF_STR_FMT "/" DF_STR_FMT, DF_STR_ARG(ns), DF_STR_ARG(name));
	return df_buf_take(&buf);
}

static struct item *find(struct df_kube_cache *c, const char *key)
{
	struct item probe = { .key = (char *)key };
	struct item **found = tfind(&probe, &c->items, compare);

	return found ? *found : NULL;
}

/* Takes what was packed, and the index, which may be NULL. Was there one before, and the same? */
static int store(struct df_kube_cache *c, const char *key, char *index, struct df_kube_packed packed, bool *ret_new,
		 bool *ret_same, struct df_error *err)
{
	DF_LOCK_SCOPE(&c->lock);
	struct item *item = find(c, key);

	*ret_new = !item;
	*ret_same = item && item->packed.len == packed.len && memcmp(item->packed.data, packed.data, packed.len) == 0;
	if (!item) {
		item = calloc(1, sizeof(*item));
		if (item)
			item->key = strdup(key);
		if (!item || !item->key || !tsearch(item, &c->items, compare)) {
			if (item)
				item_free(item);
			free(index);
			free(packed.data);
			return df_error_no_memory(err);
		}
		c->count++;
	}
	c->bytes += packed.len;
	c->bytes -= item->packed.len;
	free(item->packed.data);
	free(item->index);
	item->packed = packed;
	item->index = index;
	item->seen = c->lists;
	return 0;
}

/* The object, in the arena. */
static int unpack(struct df_kube_cache *c, const struct df_kube_packed *packed, struct df_arena *arena,
		  struct df_value **ret, struct df_error *err)
{
	char *text = df_arena_alloc(arena, packed->text_len);
	int code = text ? df_kube_unpack(c->packer, packed, text, err) : df_error_no_memory(err);

	return code < 0 ? code : df_value_parse_text(df_str(text, packed->text_len), arena, ret, err);
}

/* Takes the item out; the caller frees it. NULL: there is none. */
static struct item *take(struct df_kube_cache *c, const char *key)
{
	DF_LOCK_SCOPE(&c->lock);
	struct item *item = find(c, key);

	if (item) {
		tdelete(item, &c->items, compare);
		c->count--;
		c->bytes -= item->packed.len;
	}
	return item;
}

/* ---- what the server says -------------------------------------------------------------------------------- */

static void remove_member(struct df_value *object, const char *key)
{
	struct df_value *child = df_object_get_c(object, key);

	if (child)
		df_container_remove(object, df_container_prev(object, child), child);
}

static void seen(struct df_kube_cache *c)
{
	DF_LOCK_SCOPE(&c->lock);
	c->seen_ns = df_clock_monotonic();
}

static void tell(struct df_kube_cache *c, enum df_kube_event event, struct df_value *object)
{
	if (c->options.on_change)
		c->options.on_change(c->options.arg, event, object, &c->scratch);
}

/* Nobody else writes items, so that they are read without the lock. */
static bool counts_for_nothing(struct df_kube_cache *c, const char *key, const struct df_value *object)
{
	const struct item *item = c->options.same ? find(c, key) : NULL;
	struct df_value *before;

	return item && unpack(c, &item->packed, &c->scratch, &before, NULL) == 0 && c->options.same(before, object);
}

static int changed(struct df_kube_cache *c, struct df_value *object, struct df_error *err)
{
	df_cleanup(df_freep) char *key = key_of(object, &c->scratch);
	struct df_value *metadata = df_object_get_c(object, "metadata");
	struct df_buf text = { 0 };
	const char *index = NULL;
	bool is_new = false, same = false, touched;
	int code;

	if (c->options.index)
		index = c->options.index(object, &c->scratch);
	if (metadata && metadata->kind == DF_OBJECT)
		remove_member(metadata, "managedFields");
	if (c->options.trim)
		c->options.trim(object, &c->scratch);
	df_value_write(object, &text);
	if (!key || text.failed) {
		df_buf_done(&text);
		return df_error_no_memory(err);
	}
	char *copy = index ? strdup(index) : NULL;
	struct df_kube_packed packed = { 0 };

	code = index && !copy ? df_error_no_memory(err) : df_kube_pack(c->packer, df_buf_str(&text), &packed, err);
	df_buf_done(&text);
	if (code < 0) {
		free(copy);
		return code;
	}
	touched = counts_for_nothing(c, key, object);
	code = store(c, key, copy, packed, &is_new, &same, err);
	if (code == 0 && !same)
		tell(c, is_new ? DF_KUBE_ADDED : touched ? DF_KUBE_TOUCHED : DF_KUBE_MODIFIED, object);
	return code;
}

/* Tells of an item that is gone with what was known of it. */
static void gone(struct df_kube_cache *c, struct item *item)
{
	struct df_value *object;

	if (!item)
		return;
	if (unpack(c, &item->packed, &c->scratch, &object, NULL) == 0)
		tell(c, DF_KUBE_DELETED, object);
	item_free(item);
}

static int on_object(void *arg, struct df_value *object, struct df_error *err)
{
	struct df_kube_cache *c = arg;

	df_arena_reset(&c->scratch);
	return changed(c, object, err);
}

static int on_event(void *arg, enum df_kube_event event, struct df_value *object, struct df_error *err)
{
	struct df_kube_cache *c = arg;
	struct df_str version;
	int code = 0;

	df_arena_reset(&c->scratch);
	version = df_kube_text(object, &c->scratch, "metadata", "resourceVersion", NULL);
	char *copy = version.len ? df_str_dup(version) : NULL;
	if (version.len && !copy)
		return df_error_no_memory(err);
	seen(c);
	if (event == DF_KUBE_DELETED) {
		df_cleanup(df_freep) char *key = key_of(object, &c->scratch);
		if (key)
			gone(c, take(c, key));
		else
			code = df_error_no_memory(err);
	} else if (event != DF_KUBE_BOOKMARK) {
		code = changed(c, object, err);
	}
	if (code == 0 && copy) {
		free(c->version);
		c->version = DF_TAKE(copy);
	}
	free(copy);
	return code;
}

/* ---- the thread ------------------------------------------------------------------------------------------ */

struct missing {
	uint64_t list;
	struct item **items;
	size_t count, cap;
	bool failed;
};

static void find_missing(const void *node, VISIT visit, void *arg)
{
	struct item *item = *(struct item *const *)node;
	struct missing *m = arg;

	if ((visit != postorder && visit != leaf) || item->seen == m->list || m->failed)
		return;
	if (m->count == m->cap) {
		size_t cap = m->cap ? m->cap * 2 : 64;
		struct item **items = realloc(m->items, cap * sizeof(struct item *));

		if (!items) {
			m->failed = true;
			return;
		}
		m->items = items;
		m->cap = cap;
	}
	m->items[m->count++] = item;
}

/* What the new list did not have vanished while nobody watched. */
static int drop_missing(struct df_kube_cache *c, struct df_error *err)
{
	struct missing m = { .list = c->lists };

	pthread_mutex_lock(&c->lock);
	twalk_r(c->items, find_missing, &m);
	pthread_mutex_unlock(&c->lock);
	for (size_t i = 0; i < m.count; i++) {
		df_arena_reset(&c->scratch);
		gone(c, take(c, m.items[i]->key));
	}
	free(m.items);
	return m.failed ? df_error_no_memory(err) : 0;
}

static int list_all(struct df_kube_cache *c, struct df_error *err)
{
	char *version = NULL;
	int code;

	c->lists++;
	code = df_kube_list(c->client, c->ctx, &c->options.what, &c->options.filter, on_object, c, &version, err);
	if (code == 0)
		code = drop_missing(c, err);
	if (code != 0) {
		free(version);
		return code;
	}
	free(c->version);
	c->version = version;
	DF_LOCK_SCOPE(&c->lock);
	c->synced = true;
	c->seen_ns = df_clock_monotonic();
	pthread_cond_broadcast(&c->synced_changed);
	return 0;
}

/* One list when there is no version to go on from, then watches until one fails. */
static int follow(struct df_kube_cache *c, struct df_retry *retry, struct df_error *err)
{
	int code = c->version ? 0 : list_all(c, err);

	while (code == 0) {
		int64_t began_ns = df_clock_monotonic();

		code = df_kube_watch(c->client, c->ctx, &c->options.what, &c->options.filter, c->version, on_event, c,
				     err);
		if (code == 0)
			seen(c);
		if (df_clock_monotonic() - began_ns > 10 * DF_NS_PER_S)
			df_retry_reset(retry);
		else if (code == 0)
			break; /* it ended at once: not again without a pause */
	}
	return code;
}

static void *run(void *arg)
{
	static const struct df_retry_policy policy = {
		.first_ns = 500 * DF_NS_PER_MS, .cap_ns = 5 * DF_NS_PER_S, .factor = 2, .jitter = 0.5
	};
	struct df_kube_cache *c = arg;
	struct df_retry retry;

	df_retry_init(&retry, &policy, (uint64_t)df_clock_monotonic() | 1);
	while (!df_context_canceled(c->ctx)) {
		struct df_error err = DF_ERROR_INIT;
		int code = follow(c, &retry, &err);

		if (df_context_canceled(c->ctx))
			break;
		if (df_kube_is(&err, "Expired") || df_kube_is(&err, "Gone")) {
			free(DF_TAKE(c->version));
		} else if (code != 0) {
			df_log_error(c->options.logger, DF_LOG_WARN, &err, "watching %s",
				     c->options.what.resource->plural);
			/* An event that could not be taken in would be missed otherwise. */
			if (code == DF_ERR_INVALID_DATA || code == DF_ERR_NO_MEMORY)
				free(DF_TAKE(c->version));
		}
		int64_t wait_ns = df_retry_next(&retry);
		int64_t told_ns = df_kube_retry_after_ns(c->client);
		if (df_context_sleep(c->ctx, wait_ns > told_ns ? wait_ns : told_ns) != 0)
			break;
	}
	return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

int df_kube_cache_start(const struct df_kube_cache_options *options, struct df_kube_cache **ret, struct df_error *err)
{
	struct df_kube_cache *c = calloc(1, sizeof(*c));
	int code;

	*ret = NULL;
	if (!c)
		return df_error_no_memory(err);
	c->options = *options;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->synced_changed, NULL);
	df_arena_init(&c->scratch, NULL);
	c->ctx = df_context_new(NULL);
	c->packer = df_kube_packer_new();
	code = c->ctx && c->packer ? df_kube_client_new(&options->client, &c->client, err) : df_error_no_memory(err);
	if (code == 0) {
		c->running = pthread_create(&c->thread, NULL, run, c) == 0;
		if (!c->running)
			code = df_error_set(err, DF_ERR_NO_MEMORY, "no thread for a watch");
	}
	if (code != 0) {
		df_kube_cache_free(c);
		return code;
	}
	*ret = c;
	return 0;
}

void df_kube_cache_free(struct df_kube_cache *cache)
{
	if (!cache)
		return;
	if (cache->ctx)
		df_context_cancel(cache->ctx);
	if (cache->running)
		pthread_join(cache->thread, NULL);
	df_kube_client_free(cache->client);
	df_context_free(cache->ctx);
	tdestroy(cache->items, item_free);
	df_kube_packer_free(cache->packer);
	free(cache->version);
	df_arena_done(&cache->scratch);
	pthread_cond_destroy(&cache->synced_changed);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

/* ---- looking --------------------------------------------------------------------------------------------- */

static void wake(void *arg)
{
	struct df_kube_cache *c = arg;

	DF_LOCK_SCOPE(&c->lock);
	pthread_cond_broadcast(&c->synced_changed);
}

int df_kube_cache_await(struct df_kube_cache *cache, struct df_context *ctx, struct df_error *err)
{
	struct df_context_callback cb = { .fn = wake, .arg = cache };
	int code = 0;

	df_context_on_cancel(ctx, &cb);
	pthread_mutex_lock(&cache->lock);
	while (!cache->synced && code == 0) {
		code = df_context_check(ctx, err);
		if (code == 0)
			pthread_cond_wait(&cache->synced_changed, &cache->lock);
	}
	pthread_mutex_unlock(&cache->lock);
	df_context_off_cancel(ctx, &cb);
	return code;
}

int64_t df_kube_cache_seen_ns(struct df_kube_cache *cache)
{
	DF_LOCK_SCOPE(&cache->lock);
	return cache->seen_ns;
}

int df_kube_cache_get(struct df_kube_cache *cache, const char *namespace, const char *name, struct df_arena *arena,
		      struct df_value **ret, struct df_error *err)
{
	struct df_buf key = { 0 };
	int code = 0;

	*ret = NULL;
	df_buf_printf(&key, "%s/%s", namespace ? namespace : "", name);
	if (key.failed)
		return df_error_no_memory(err);
	{
		DF_LOCK_SCOPE(&cache->lock);
		struct item *item = find(cache, df_buf_c(&key));

		if (item)
			code = unpack(cache, &item->packed, arena, ret, err);
	}
	df_buf_done(&key);
	return code;
}

struct walk {
	struct df_kube_cache *cache;
	const char *namespace, *index; /* NULL: any */
	int (*fn)(void *arg, struct df_value *object, struct df_error *err);
	void *arg;
	struct df_arena arena;
	struct df_error *err;
	int code;
};

static void walk_item(const void *node, VISIT visit, void *arg)
{
	const struct item *item = *(struct item *const *)node;
	struct walk *w = arg;
	struct df_value *object;
	size_t n = w->namespace ? strlen(w->namespace) : 0;

	if ((visit != postorder && visit != leaf) || w->code != 0)
		return;
	if (w->namespace && (strncmp(item->key, w->namespace, n) != 0 || item->key[n] != '/'))
		return;
	if (w->index && (!item->index || strcmp(item->index, w->index) != 0))
		return;
	df_arena_reset(&w->arena);
	w->code = unpack(w->cache, &item->packed, &w->arena, &object, w->err);
	if (w->code == 0)
		w->code = w->fn(w->arg, object, w->err);
}

int df_kube_cache_each(struct df_kube_cache *cache, const char *namespace,
		       int (*fn)(void *arg, struct df_value *object, struct df_error *err), void *arg,
		       struct df_error *err)
{
	return df_kube_cache_each_of(cache, namespace, NULL, fn, arg, err);
}

int df_kube_cache_each_of(struct df_kube_cache *cache, const char *namespace, const char *index,
			  int (*fn)(void *arg, struct df_value *object, struct df_error *err), void *arg,
			  struct df_error *err)
{
	struct walk w = { .cache = cache, .namespace = namespace, .index = index, .fn = fn, .arg = arg, .err = err };
	DF_LOCK_SCOPE(&cache->lock);

	df_arena_init(&w.arena, NULL);
	twalk_r(cache->items, walk_item, &w);
	df_arena_done(&w.arena);
	return w.code;
}

size_t df_kube_cache_count(struct df_kube_cache *cache)
{
	DF_LOCK_SCOPE(&cache->lock);
	return cache->count;
}

size_t df_kube_cache_bytes(struct df_kube_cache *cache)
{
	DF_LOCK_SCOPE(&cache->lock);
	return cache->bytes;
}
