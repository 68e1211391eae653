/* What gives many objects: lists, watches, logs. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kube/client_internal.h"
#include "net/url.h"

#define PAGE 500
#define WATCH_SECONDS 290 /* the server ends it, so that a dead connection is noticed at the latest then */
#define WATCH_SILENCE_NS (330 * DF_NS_PER_S)
#define LINE_MAX ((size_t)16 << 20)

static void add_parameter(struct df_buf *query, const char *name, const char *value)
{
	if (!value)
		return;
	df_buf_printf(query, "%s%s=", query->len ? "&" : "", name);
	df_url_encode(query, df_str_c(value));
}

static void add_selectors(struct df_buf *query, const struct df_kube_list_options *options)
{
	if (!options)
		return;
	add_parameter(query, "labelSelector", options->label_selector);
	add_parameter(query, "fieldSelector", options->field_selector);
}

/* ---- list ------------------------------------------------------------------------------------------------ */

struct page {
	char *next;    /* the token of the page behind it; NULL: it was the last */
	char *version; /* the list's */
};

static int take_text(const struct df_value *list, struct df_arena *arena, const char *key, char **ret,
		     struct df_error *err)
{
	struct df_str text = df_kube_text(list, arena, "metadata", key, NULL);

	free(DF_TAKE(*ret));
	if (text.len == 0)
		return 0;
	*ret = df_str_dup(text);
	return *ret ? 0 : df_error_no_memory(err);
}

static int each(const struct df_value *list, int (*on_object)(void *arg, struct df_value *object, struct df_error *err),
		void *arg, struct df_error *err)
{
	const struct df_value *items = df_object_get_c(list, "items");
	int code = 0;

	if (!items || items->kind != DF_ARRAY)
		return 0;
	for (struct df_value *item = items->first, *next; item && code == 0; item = next) {
		next = item->next; /* on_object may change the item */
		code = on_object(arg, item, err);
	}
	return code;
}

static int list_page(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		     const struct df_kube_list_options *options,
		     int (*on_object)(void *arg, struct df_value *object, struct df_error *err), void *arg,
		     struct page *page, struct df_error *err)
{
	struct df_kube_exchange x = { .method = "GET", .ref = ref, .timeout_ns = client->options.timeout_ns };
	struct df_buf query = { 0 };
	struct df_value *list = NULL;
	struct df_arena arena;
	int code;

	df_buf_printf(&query, "limit=%zu", options && options->page ? options->page : (size_t)PAGE);
	add_selectors(&query, options);
	add_parameter(&query, "continue", page->next);
	x.query = df_buf_c(&query);
	df_arena_init(&arena, NULL);
	code = query.failed ? df_error_no_memory(err) : df_kube_exchange(client, ctx, &x, err);
	if (code == 0)
		code = df_value_parse_text(df_buf_str(&x.response.body), &arena, &list, err);
	if (code == 0)
		code = take_text(list, &arena, "continue", &page->next, err);
	if (code == 0)
		code = take_text(list, &arena, "resourceVersion", &page->version, err);
	if (code == 0)
		code = each(list, on_object, arg, err);
	df_arena_done(&arena);
	df_buf_done(&query);
	df_kube_exchange_done(&x);
	return code;
}

int df_kube_list(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		 const struct df_kube_list_options *options,
		 int (*on_object)(void *arg, struct df_value *object, struct df_error *err), void *arg,
		 char **ret_version, struct df_error *err)
{
	struct page page = { 0 };
	int code;

	if (ret_version)
		*ret_version = NULL;
	do {
		code = list_page(client, ctx, ref, options, on_object, arg, &page, err);
	} while (code == 0 && page.next);
	free(page.next);
	if (code == 0 && ret_version)
		*ret_version = DF_TAKE(page.version);
	free(page.version);
	return code;
}

/* ---- watch ----------------------------------------------------------------------------------------------- */

struct watching {
	const struct df_kube_ref *ref;
	int (*on_event)(void *arg, enum df_kube_event event, struct df_value *object, struct df_error *err);
	void *arg;
	struct df_buf line; /* what came of one so far */
	struct df_arena arena;
};

static int event_of(struct df_str type)
{
	static const char *const names[] = { [DF_KUBE_ADDED] = "ADDED",
					     [DF_KUBE_MODIFIED] = "MODIFIED",
					     [DF_KUBE_DELETED] = "DELETED",
					     [DF_KUBE_BOOKMARK] = "BOOKMARK" };

	for (int i = 0; i < (int)DF_ARRAY_SIZE(names); i++)
		if (df_str_equal_c(type, names[i]))
			return i;
	return -1;
}

/* One line of the stream: {"type": ..., "object": ...}. */
static int take_line(struct watching *w, struct df_str line, struct df_error *err)
{
	struct df_value *root, *object;
	struct df_str type;
	int code;

	if (df_str_trim(line).len == 0)
		return 0;
	df_arena_reset(&w->arena);
	code = df_value_parse_text(line, &w->arena, &root, err);
	if (code != 0)
		return df_error_prefix(err, "an event of the API server");
	type = df_kube_text(root, &w->arena, "type", NULL);
	object = df_kube_at(root, "object", NULL);
	if (df_str_equal_c(type, "ERROR")) {
		struct df_str status = object ? df_value_to_arena(object, &w->arena) : df_str(NULL, 0);
		return df_kube_status_error(500, status, w->ref, err);
	}
	if (event_of(type) < 0 || !object || object->kind != DF_OBJECT)
		return 0; /* of a newer server */
	return w->on_event(w->arg, event_of(type), object, err);
}

static int on_piece(void *arg, struct df_str piece, struct df_error *err)
{
	struct watching *w = arg;

	while (piece.len > 0) {
		const char *end = memchr(piece.ptr, '\n', piece.len);
		size_t n = end ? (size_t)(end - piece.ptr) : piece.len;
		int code = 0;

		if (end && w->line.len == 0) {
			code = take_line(w, df_str(piece.ptr, n), err);
		} else {
			df_buf_add(&w->line, piece.ptr, n);
			if (w->line.failed)
				return df_error_set(err, DF_ERR_NO_MEMORY, "an event is larger than %zu bytes",
						    LINE_MAX);
			if (end) {
				code = take_line(w, df_buf_str(&w->line), err);
				w->line.len = 0;
			}
		}
		if (code != 0)
			return code;
		piece.ptr += n + (end != NULL);
		piece.len -= n + (end != NULL);
	}
	return 0;
}

int df_kube_watch(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		  const struct df_kube_list_options *options, const char *version,
		  int (*on_event)(void *arg, enum df_kube_event event, struct df_value *object, struct df_error *err),
		  void *arg, struct df_error *err)
{
	struct watching w = { .ref = ref, .on_event = on_event, .arg = arg, .line = { .max = LINE_MAX } };
	struct df_kube_exchange x = {
		.method = "GET", .ref = ref, .on_body = on_piece, .arg = &w, .idle_timeout_ns = WATCH_SILENCE_NS
	};
	struct df_buf query = { 0 };
	int code;

	df_buf_printf(&query, "watch=true&allowWatchBookmarks=true&timeoutSeconds=%d", WATCH_SECONDS);
	add_parameter(&query, "resourceVersion", version);
	add_selectors(&query, options);
	x.query = df_buf_c(&query);
	df_arena_init(&w.arena, NULL);
	code = query.failed ? df_error_no_memory(err) : df_kube_exchange(client, ctx, &x, err);
	df_kube_exchange_done(&x);
	df_arena_done(&w.arena);
	df_buf_done(&w.line);
	df_buf_done(&query);
	return code;
}

/* ---- logs ------------------------------------------------------------------------------------------------ */

int df_kube_logs(struct df_kube_client *client, struct df_context *ctx, const char *namespace, const char *pod,
		 const char *query, int (*on_log)(void *arg, struct df_str piece, struct df_error *err), void *arg,
		 struct df_error *err)
{
	const struct df_kube_ref ref = {
		.resource = &df_kube_pods, .namespace = namespace, .name = pod, .subresource = "log"
	};
	struct df_kube_exchange x = { .method = "GET", .ref = &ref, .query = query, .on_body = on_log, .arg = arg };
	int code = df_kube_exchange(client, ctx, &x, err);

	df_kube_exchange_done(&x);
	return code;
}
