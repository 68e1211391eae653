#include "kube/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "kube/client_internal.h"
#include "net/url.h"

#define TIMEOUT_NS (30 * DF_NS_PER_S)
#define TOKEN_MAX 65536

/* ---- life ------------------------------------------------------------------------------------------------ */

int df_kube_client_new(const struct df_kube_client_options *options, struct df_kube_client **ret, struct df_error *err)
{
	const struct df_kube_config *config = options->config;
	struct df_kube_client *c = calloc(1, sizeof(*c));
	int code;

	*ret = NULL;
	if (!c)
		return df_error_no_memory(err);
	c->options = *options;
	if (!c->options.timeout_ns)
		c->options.timeout_ns = TIMEOUT_NS;
	c->retry_after_ns = -1;
	c->tls = (struct df_tls){
		.ca = config->ca, .cert = config->cert, .key = config->key, .insecure_skip_verify = config->insecure
	};
	code = df_http_client_new(&(struct df_http_client_options){ .tls = &c->tls }, &c->http, err);
	if (code != 0) {
		df_kube_client_free(c);
		return code;
	}
	*ret = c;
	return 0;
}

void df_kube_client_free(struct df_kube_client *client)
{
	if (!client)
		return;
	df_http_client_free(client->http);
	free(client->token);
	free(client);
}

const char *df_kube_client_manager(struct df_kube_client *client, const char *field_manager)
{
	const char *before = client->options.field_manager;

	client->options.field_manager = field_manager;
	return before;
}

int64_t df_kube_retry_after_ns(const struct df_kube_client *client)
{
	return client->retry_after_ns;
}

bool df_kube_is(const struct df_error *err, const char *reason)
{
	return err && strcmp(err->remote, reason) == 0;
}

/* ---- the token ------------------------------------------------------------------------------------------- */

static int read_token(const char *path, char **ret, struct df_error *err)
{
	df_cleanup(df_fclosep) FILE *file = fopen(path, "re");
	struct df_buf buf = { .max = TOKEN_MAX };
	char piece[4096];
	size_t n;

	if (!file)
		return df_error_errno(err, DF_ERR_AUTH, errno, "the token file %s", path);
	while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
		df_buf_add(&buf, piece, n);
	*ret = df_str_dup(df_str_trim(df_buf_str(&buf)));
	df_buf_done(&buf);
	if (!*ret)
		return df_error_no_memory(err);
	return **ret ? 0 : df_error_set(err, DF_ERR_AUTH, "the token file %s is empty", path);
}

/* A pod's token is replaced long before it ends; what the file holds now is what counts. */
static int find_token(struct df_kube_client *c, const char **ret, struct df_error *err)
{
	const char *path = c->options.config->token_file;
	struct stat st;

	*ret = c->options.config->token;
	if (*ret || !path)
		return 0;
	if (stat(path, &st) != 0)
		return df_error_errno(err, DF_ERR_AUTH, errno, "the token file %s", path);
	int64_t mtime_ns = st.st_mtim.tv_sec * DF_NS_PER_S + st.st_mtim.tv_nsec;

	if (!c->token || mtime_ns != c->token_mtime_ns) {
		char *token = NULL;
		int code = read_token(path, &token, err);

		if (code != 0) {
			free(token);
			return code;
		}
		free(c->token);
		c->token = token;
		c->token_mtime_ns = mtime_ns;
	}
	*ret = c->token;
	return 0;
}

/* ---- one exchange ---------------------------------------------------------------------------------------- */

static void add_segment(struct df_buf *url, const char *segment)
{
	df_buf_add_char(url, '/');
	df_url_encode(url, df_str_c(segment));
}

/* https://SERVER/api/v1/namespaces/NS/PLURAL/NAME/SUBRESOURCE?QUERY, or /apis/GROUP/VERSION/... */
static void make_url(const struct df_kube_client *c, const struct df_kube_exchange *x, struct df_buf *url)
{
	const struct df_kube_ref *ref = x->ref;
	const struct df_kube_resource *r = ref->resource;

	df_buf_add_c(url, c->options.config->server);
	df_buf_add_c(url, *r->group ? "/apis" : "/api");
	if (*r->group)
		add_segment(url, r->group);
	add_segment(url, r->version);
	if (!r->cluster && ref->namespace) {
		df_buf_add_c(url, "/namespaces");
		add_segment(url, ref->namespace);
	}
	add_segment(url, r->plural);
	if (ref->name)
		add_segment(url, ref->name);
	if (ref->subresource)
		add_segment(url, ref->subresource);
	if (x->query)
		df_buf_printf(url, "?%s", x->query);
}

struct body {
	struct df_kube_exchange *x;
	struct df_buf refused; /* the body of an answer that is no 2xx */
};

static bool good(int status)
{
	return status >= 200 && status < 300;
}

static int on_body(void *arg, struct df_str piece, struct df_error *err)
{
	struct body *b = arg;

	if (good(b->x->response.status))
		return b->x->on_body(b->x->arg, piece, err);
	df_buf_add_str(&b->refused, piece);
	return 0;
}

static int run(struct df_kube_client *c, struct df_context *ctx, struct df_kube_exchange *x, struct df_str body,
	       struct df_error *err)
{
	struct body answer = { .x = x, .refused = { .max = 1 << 20 } };
	const struct df_http_header headers[] = {
		{ "Content-Type", x->content_type ? x->content_type : "application/json" },
		{ "Accept", x->on_body && !x->idle_timeout_ns ? "*/*" : "application/json" },
	};
	struct df_buf url = { 0 };
	struct df_http_request request = { .method = x->method,
					   .headers = body.ptr ? headers : headers + 1,
					   .header_count = body.ptr ? 2 : 1,
					   .body = body,
					   .timeout_ns = x->timeout_ns,
					   .idle_timeout_ns = x->idle_timeout_ns,
					   .decompress = !x->on_body,
					   .on_body = x->on_body ? on_body : NULL,
					   .arg = &answer,
					   .max_body = (size_t)256 << 20 };
	int code = find_token(c, &request.bearer, err);

	make_url(c, x, &url);
	if (url.failed)
		code = df_error_no_memory(err);
	request.url = df_buf_c(&url);
	if (code == 0)
		code = df_http_request(c->http, ctx, &request, &x->response, err);
	c->retry_after_ns = x->response.retry_after_ns;
	if (code == 0 && !good(x->response.status))
		code = df_kube_status_error(x->response.status,
					    df_buf_str(x->on_body ? &answer.refused : &x->response.body), x->ref, err);
	df_buf_done(&answer.refused);
	df_buf_done(&url);
	return code;
}

int df_kube_exchange(struct df_kube_client *client, struct df_context *ctx, struct df_kube_exchange *x,
		     struct df_error *err)
{
	struct df_buf body = { 0 };
	int code;

	client->retry_after_ns = -1;
	x->response = (struct df_http_response){ .retry_after_ns = -1 };
	code = df_kube_limiter_take(client->options.limiter, ctx, err);
	if (code != 0)
		return code;
	if (client->options.may_write && strcmp(x->method, "GET") != 0 &&
	    !client->options.may_write(client->options.arg))
		return df_error_set(err, DF_ERR_CLOSED, "another process may write now: nothing is sent any more");
	if (x->body)
		df_value_write(x->body, &body);
	code = body.failed ? df_error_no_memory(err)
			   : run(client, ctx, x, x->body ? df_buf_str(&body) : df_str(NULL, 0), err);
	df_buf_done(&body);
	return code;
}

void df_kube_exchange_done(struct df_kube_exchange *x)
{
	df_http_response_done(&x->response);
}

/* ---- errors ---------------------------------------------------------------------------------------------- */

static int code_of(int status)
{
	if (status == 401 || status == 403)
		return DF_ERR_AUTH;
	if (status == 400 || status == 422)
		return DF_ERR_CONFIG;
	if (status == 409 || status == 410 || status == 429 || status >= 500)
		return DF_ERR_TRANSIENT;
	return DF_ERR_UNKNOWN;
}

int df_kube_status_error(int http, struct df_str body, const struct df_kube_ref *ref, struct df_error *err)
{
	struct df_value *status = NULL;
	struct df_str message = DF_STR(""), reason = DF_STR("");
	char remote[DF_ERROR_REMOTE_MAX];
	struct df_arena arena;
	int64_t own;

	df_arena_init(&arena, NULL);
	if (df_value_parse(body, &arena, &status, NULL) == DF_PARSE_OK && status->kind == DF_OBJECT) {
		const struct df_value *code = df_object_get_c(status, "code");

		message = df_kube_text(status, &arena, "message", NULL);
		reason = df_kube_text(status, &arena, "reason", NULL);
		if (code && df_value_to_int64(code, &own) && own >= 300 && own < 600)
			http = (int)own;
	}
	if (http == 404 && !message.len) /* no object is missing, the whole path is */
		message = DF_STR("the server has no such kind; is its CustomResourceDefinition installed?");
	snprintf(remote, sizeof(remote), DF_STR_FMT, DF_STR_ARG(reason));
	df_error_set(err, code_of(http), "%s%s%s: HTTP %d%s" DF_STR_FMT, ref->resource->plural, ref->name ? " " : "",
		     ref->name ? ref->name : "", http, message.len ? ": " : "", DF_STR_ARG(message));
	if (reason.len)
		df_error_remote(err, remote);
	df_arena_done(&arena);
	return code_of(http);
}

int df_kube_parse(struct df_str text, struct df_arena *arena, struct df_value **ret, struct df_error *err)
{
	struct df_str copy = df_arena_dup(arena, text);
	int code;

	if (!copy.ptr)
		return df_error_no_memory(err);
	code = df_value_parse_text(copy, arena, ret, err);
	if (code == 0 && (*ret)->kind != DF_OBJECT)
		code = df_error_set(err, DF_ERR_INVALID_DATA, "not an object");
	if (code != 0)
		df_error_prefix(err, "the API server's answer");
	return code;
}

/* ---- one object ------------------------------------------------------------------------------------------ */

static int exchange_object(struct df_kube_client *client, struct df_context *ctx, struct df_kube_exchange *x,
			   struct df_arena *arena, struct df_value **ret_object, struct df_error *err)
{
	int code;

	x->timeout_ns = client->options.timeout_ns;
	code = df_kube_exchange(client, ctx, x, err);
	if (code == 0 && ret_object)
		code = df_kube_parse(df_buf_str(&x->response.body), arena, ret_object, err);
	df_kube_exchange_done(x);
	return code;
}

int df_kube_get(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		struct df_arena *arena, struct df_value **ret_object, struct df_error *err)
{
	struct df_kube_exchange x = { .method = "GET", .ref = ref };
	struct df_error why = DF_ERROR_INIT;
	int code;

	*ret_object = NULL;
	code = exchange_object(client, ctx, &x, arena, ret_object, &why);
	if (code != 0 && df_kube_is(&why, "NotFound"))
		return 0;
	if (code != 0 && err)
		*err = why;
	return code;
}

/* "fieldManager=<ours>" and what comes behind it; the caller frees. */
static char *manager_query(const struct df_kube_client *client, const char *more)
{
	const char *manager = client->options.field_manager;
	struct df_buf buf = { 0 };

	df_buf_add_c(&buf, "fieldManager=");
	df_url_encode(&buf, df_str_c(manager ? manager : "dataflow"));
	df_buf_add_c(&buf, more);
	return df_buf_take(&buf);
}

/* The URL of what is created has no name: the object says it. */
int df_kube_create(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		   const struct df_value *object, struct df_arena *arena, struct df_value **ret_object,
		   struct df_error *err)
{
	df_cleanup(df_freep) char *query = manager_query(client, "");
	struct df_kube_ref collection = *ref;
	struct df_kube_exchange x = { .method = "POST", .ref = &collection, .query = query, .body = object };

	if (!query)
		return df_error_no_memory(err);
	if (!ref->subresource)
		collection.name = NULL;
	return exchange_object(client, ctx, &x, arena, ret_object, err);
}

int df_kube_update(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		   const struct df_value *object, struct df_arena *arena, struct df_value **ret_object,
		   struct df_error *err)
{
	struct df_kube_exchange x = { .method = "PUT", .ref = ref, .body = object };

	return exchange_object(client, ctx, &x, arena, ret_object, err);
}

int df_kube_apply(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		  const struct df_value *object, struct df_arena *arena, struct df_value **ret_object,
		  struct df_error *err)
{
	df_cleanup(df_freep) char *query = manager_query(client, "&force=true");
	struct df_kube_exchange x = { .method = "PATCH",
				      .ref = ref,
				      .query = query,
				      .content_type = "application/apply-patch+yaml", /* JSON is YAML */
				      .body = object };

	return query ? exchange_object(client, ctx, &x, arena, ret_object, err) : df_error_no_memory(err);
}

int df_kube_patch(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		  enum df_kube_patch kind, const struct df_value *patch, struct df_arena *arena,
		  struct df_value **ret_object, struct df_error *err)
{
	static const char *const types[] = {
		[DF_KUBE_MERGE_PATCH] = "application/merge-patch+json",
		[DF_KUBE_JSON_PATCH] = "application/json-patch+json",
		[DF_KUBE_STRATEGIC_PATCH] = "application/strategic-merge-patch+json",
	};
	df_cleanup(df_freep) char *query = manager_query(client, "");
	struct df_kube_exchange x = {
		.method = "PATCH", .ref = ref, .query = query, .content_type = types[kind], .body = patch
	};

	return query ? exchange_object(client, ctx, &x, arena, ret_object, err) : df_error_no_memory(err);
}

/* The DeleteOptions of the meta/v1 group. NULL: out of memory. */
/* NULL is left out. False: out of memory. */
static bool add_text(struct df_value *object, struct df_str key, const char *text, struct df_arena *arena)
{
	struct df_value *value = text ? df_value_string(arena, df_str_c(text)) : NULL;

	if (value)
		df_object_append(object, key, value);
	return value || !text;
}

static struct df_value *delete_options(const struct df_kube_delete_options *options, struct df_arena *arena)
{
	struct df_value *body = df_value_new(arena, DF_OBJECT), *value;

	if (!body)
		return NULL;
	if (options && options->propagation) {
		value = df_value_string(arena, df_str_c(options->propagation));
		if (!value)
			return NULL;
		df_object_append(body, DF_STR("propagationPolicy"), value);
	}
	if (options && options->grace_seconds >= 0) {
		value = df_value_int64(arena, options->grace_seconds);
		if (!value)
			return NULL;
		df_object_append(body, DF_STR("gracePeriodSeconds"), value);
	}
	if (options && (options->uid || options->version)) {
		struct df_value *preconditions = df_value_new(arena, DF_OBJECT);

		if (!preconditions || !add_text(preconditions, DF_STR("uid"), options->uid, arena) ||
		    !add_text(preconditions, DF_STR("resourceVersion"), options->version, arena))
			return NULL;
		df_object_append(body, DF_STR("preconditions"), preconditions);
	}
	return body;
}

int df_kube_delete(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		   const struct df_kube_delete_options *options, bool *ret_existed, struct df_error *err)
{
	struct df_kube_exchange x = { .method = "DELETE", .ref = ref };
	struct df_error why = DF_ERROR_INIT;
	struct df_arena arena;
	int code;

	df_arena_init(&arena, NULL);
	x.body = delete_options(options, &arena);
	code = x.body ? exchange_object(client, ctx, &x, &arena, NULL, &why) : df_error_no_memory(&why);
	df_arena_done(&arena);
	if (ret_existed)
		*ret_existed = code == 0;
	if (code != 0 && df_kube_is(&why, "NotFound"))
		return 0;
	if (code != 0 && err)
		*err = why;
	return code;
}
