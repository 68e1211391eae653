#include "connectors/kafka/registry.h"

#include <stdlib.h>

#include "base/clock.h"
#include "net/http_client.h"
#include "net/url.h"
#include "value/value.h"

#define TIMEOUT (30 * DF_NS_PER_S)
#define CONNECT_TIMEOUT (10 * DF_NS_PER_S)
#define MEDIA_TYPE "application/vnd.schemaregistry.v1+json"
#define REFERENCES_MAX 200 /* schemas that one schema needs, all in all */
#define REFERENCES_DEPTH 50

struct df_kafka_registry {
	const struct df_schema_registry_settings *settings;
	struct df_http_client *http;
	struct df_tls tls;
};

/* An answer that is JSON, in the arena. */
struct answer {
	int status;
	const struct df_value *json; /* NULL: it is none */
};

void df_kafka_registry_free(struct df_kafka_registry *registry)
{
	if (!registry)
		return;
	df_http_client_free(registry->http);
	free(registry);
}

int df_kafka_registry_new(const struct df_schema_registry_settings *settings, struct df_kafka_registry **ret,
			  struct df_error *err)
{
	df_cleanup(df_kafka_registry_freep) struct df_kafka_registry *registry = calloc(1, sizeof(*registry));
	const struct df_tls_settings *tls = settings->tls.settings;
	struct df_http_client_options options = { .connect_timeout_ns = CONNECT_TIMEOUT };
	int code;

	*ret = NULL;
	if (!registry)
		return df_error_no_memory(err);
	registry->settings = settings;
	if (tls) {
		registry->tls =
			(struct df_tls){ tls->ca.value, tls->cert.value, tls->key.value, tls->insecure_skip_verify };
		options.tls = &registry->tls;
	}
	code = df_http_client_new(&options, &registry->http, err);
	if (code < 0)
		return code;
	*ret = DF_TAKE(registry);
	return 0;
}

/* ---- asking ---------------------------------------------------------------------------------------------- */

/* What the registry says about its error, cut; "" when it says nothing. */
static struct df_str message_of(const struct answer *a, struct df_arena *arena)
{
	const struct df_value *message = df_object_get_c(a->json, "message");
	struct df_str text = message && message->kind == DF_STRING ? df_value_text(message, arena) : df_str(NULL, 0);

	return text.ptr ? df_str(text.ptr, text.len < 300 ? text.len : 300) : DF_STR("");
}

/* Is the 404 that of a registry, and not of whatever else answers at the URL? */
static bool not_found(const struct answer *a)
{
	return a->status == 404 && df_object_get_c(a->json, "error_code");
}

/* Anything but 200. */
static int refusal(const struct answer *a, const char *path, struct df_arena *arena, struct df_error *err)
{
	struct df_str message = message_of(a, arena);
	int code = a->status == 401 || a->status == 403	  ? DF_ERR_AUTH
		   : a->status == 429 || a->status >= 500 ? DF_ERR_TRANSIENT
							  : DF_ERR_CONFIG;

	df_error_set(err, code, "schema registry: %s: status %d%s" DF_STR_FMT "%s", path, a->status,
		     message.len ? ": " : "", DF_STR_ARG(message),
		     a->status == 404 && !a->json ? " (is schemaRegistry.url that of a schema registry?)" : "");
	return code;
}

/* GET, or POST when there is a body. `path` is the rest of the URL, encoded. 0 for any status that means something. */
static int ask(struct df_kafka_registry *registry, struct df_context *ctx, const char *path, struct df_str body,
	       struct df_arena *arena, struct answer *ret, struct df_error *err)
{
	static const struct df_http_header headers[] = { { "Accept", MEDIA_TYPE ", application/json" },
							 { "Content-Type", MEDIA_TYPE } };
	const struct df_basic_auth_settings *basic = registry->settings->basic_auth.settings;
	df_cleanup(df_buf_done) struct df_buf url = { 0 };
	df_cleanup(df_http_response_done) struct df_http_response response = { 0 };
	struct df_http_request request = {
		.headers = headers,
		.header_count = body.ptr ? 2 : 1,
		.body = body,
		.username = basic ? basic->username.value : NULL,
		.password = basic ? basic->password.value : NULL,
		.bearer = registry->settings->bearer_token.value,
		.timeout_ns = TIMEOUT,
		.decompress = true,
	};
	struct df_str base = df_str_c(registry->settings->url.value);
	struct df_value *json = NULL;
	struct df_str text;
	int code;

	while (base.len && base.ptr[base.len - 1] == '/')
		base.len--;
	df_buf_printf(&url, DF_STR_FMT "/%s", DF_STR_ARG(base), path);
	request.url = df_buf_c(&url);
	code = df_http_request(registry->http, ctx, &request, &response, err);
	if (code < 0) {
		df_error_prefix(err, "schema registry");
		if (code == DF_ERR_INVALID_DATA) { /* an answer that is too long is no poison of a record's */
			code = DF_ERR_CONFIG;
			if (err)
				err->code = code;
		}
		return code;
	}
	text = df_arena_dup(arena, df_buf_str(&response.body));
	if (!text.ptr)
		return df_error_no_memory(err);
	if (df_value_parse(text, arena, &json, NULL) != DF_PARSE_OK || json->kind != DF_OBJECT)
		json = NULL;
	*ret = (struct answer){ response.status, json };
	if (response.status == 200 && !json)
		return df_error_set(err, DF_ERR_CONFIG, "schema registry: %s: what answers is no schema registry",
				    path);
	return response.status == 200 || not_found(ret) ? 0 : refusal(ret, path, arena, err);
}

/* ---- schemas --------------------------------------------------------------------------------------------- */

/* The texts that make up a schema: what it refers to before it. */
struct texts {
	struct df_kafka_registry *registry;
	struct df_context *ctx;
	struct df_arena *arena;
	struct df_str *items, *names; /* names: "subject/version" of the references */
	size_t count;
};

static int collect(struct texts *t, const struct df_value *answer, unsigned depth, struct df_error *err);

static int collect_reference(struct texts *t, const struct df_value *reference, unsigned depth, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf path = { 0 };
	const struct df_value *subject = df_object_get_c(reference, "subject");
	const struct df_value *version = df_object_get_c(reference, "version");
	struct df_str name;
	struct answer a;
	int code;

	if (!subject || !version || depth > REFERENCES_DEPTH || t->count >= REFERENCES_MAX)
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "schema registry: the schema's references are broken or too many");
	df_buf_add_c(&path, "subjects/");
	df_url_encode(&path, df_value_text(subject, t->arena));
	df_buf_add_c(&path, "/versions/");
	df_url_encode(&path, df_value_text(version, t->arena));
	name = df_arena_dup(t->arena, df_str_c(df_buf_c(&path)));
	if (!name.ptr || path.failed)
		return df_error_no_memory(err);
	for (size_t i = 0; i < t->count; i++)
		if (t->names[i].ptr && df_str_equal(t->names[i], name))
			return 0;
	code = ask(t->registry, t->ctx, name.ptr, df_str(NULL, 0), t->arena, &a, err);
	if (code == 0 && a.status != 200)
		code = df_error_set(err, DF_ERR_INVALID_DATA,
				    "schema registry: %s, which the schema refers to, is not there", name.ptr);
	if (code == 0)
		code = collect(t, a.json, depth + 1, err);
	if (code == 0)
		t->names[t->count - 1] = name;
	return code;
}

static int collect(struct texts *t, const struct df_value *answer, unsigned depth, struct df_error *err)
{
	const struct df_value *text = df_object_get_c(answer, "schema"), *kind = df_object_get_c(answer, "schemaType");
	const struct df_value *references = df_object_get_c(answer, "references");
	int code = 0;

	if (kind && kind->kind == DF_STRING && !df_value_string_equal(kind, DF_STR("AVRO")))
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "schema registry: the schema is no Avro but `" DF_STR_FMT "`",
				    DF_STR_ARG(df_value_text(kind, t->arena)));
	if (!text || text->kind != DF_STRING)
		return df_error_set(err, DF_ERR_CONFIG, "schema registry: an answer without `schema`");
	if (references && references->kind == DF_ARRAY)
		for (const struct df_value *r = references->first; r && code == 0; r = r->next)
			code = collect_reference(t, r, depth, err);
	if (code < 0)
		return code;
	t->items[t->count] = df_value_text(text, t->arena);
	t->names[t->count] = df_str(NULL, 0);
	return t->items[t->count++].ptr ? 0 : df_error_no_memory(err);
}

static int make_schema(struct df_kafka_registry *registry, struct df_context *ctx, const struct df_value *answer,
		       struct df_arena *arena, struct df_avro_schema **ret, struct df_error *err)
{
	struct df_str items[REFERENCES_MAX + REFERENCES_DEPTH + 2], names[DF_ARRAY_SIZE(items)];
	struct texts t = { registry, ctx, arena, items, names, 0 };
	int code = collect(&t, answer, 0, err);

	if (code < 0)
		return code;
	code = df_avro_schema_parse(items, t.count, ret, err);
	if (code == DF_ERR_CONFIG) {
		df_error_prefix(err, "schema registry");
		code = DF_ERR_INVALID_DATA;
		if (err)
			err->code = code;
	}
	return code;
}

int df_kafka_registry_schema(struct df_kafka_registry *registry, struct df_context *ctx, uint32_t id,
			     struct df_avro_schema **ret, struct df_error *err)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct answer a;
	char path[64];
	int code;

	*ret = NULL;
	snprintf(path, sizeof(path), "schemas/ids/%u", id);
	code = ask(registry, ctx, path, df_str(NULL, 0), &arena, &a, err);
	if (code == 0 && a.status != 200)
		code = df_error_set(err, DF_ERR_INVALID_DATA, "schema registry: there is no schema with the id %u", id);
	return code < 0 ? code : make_schema(registry, ctx, a.json, &arena, ret, err);
}

/* ---- subjects -------------------------------------------------------------------------------------------- */

static int take_id(const struct answer *a, uint32_t *ret, struct df_error *err)
{
	const struct df_value *id = df_object_get_c(a->json, "id");
	int64_t number;

	if (!id || !df_value_to_int64(id, &number) || number < 0 || number > INT32_MAX)
		return df_error_set(err, DF_ERR_CONFIG, "schema registry: an answer without `id`");
	*ret = (uint32_t)number;
	return 0;
}

int df_kafka_registry_latest(struct df_kafka_registry *registry, struct df_context *ctx, const char *subject,
			     uint32_t *ret_id, struct df_avro_schema **ret, struct df_error *err)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	df_cleanup(df_buf_done) struct df_buf path = { 0 };
	struct answer a;
	int code;

	*ret = NULL;
	df_buf_add_c(&path, "subjects/");
	df_url_encode(&path, df_str_c(subject));
	df_buf_add_c(&path, "/versions/latest");
	code = ask(registry, ctx, df_buf_c(&path), df_str(NULL, 0), &arena, &a, err);
	if (code == 0 && a.status != 200)
		code = df_error_set(err, DF_ERR_CONFIG,
				    "schema registry: the subject `%s` has no schema: register one, or give avroSchema",
				    subject);
	if (code == 0)
		code = take_id(&a, ret_id, err);
	if (code == 0)
		code = make_schema(registry, ctx, a.json, &arena, ret, err);
	if (code == DF_ERR_INVALID_DATA) { /* not what a record has: whoever wrote the manifest must act */
		code = DF_ERR_CONFIG;
		if (err)
			err->code = code;
	}
	return code;
}

int df_kafka_registry_id(struct df_kafka_registry *registry, struct df_context *ctx, const char *subject,
			 const char *schema, bool registers, uint32_t *ret_id, struct df_error *err)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	df_cleanup(df_buf_done) struct df_buf path = { 0 };
	df_cleanup(df_buf_done) struct df_buf body = { 0 };
	struct answer a;
	int code;

	df_buf_add_c(&path, "subjects/");
	df_url_encode(&path, df_str_c(subject));
	df_buf_add_c(&body, "{\"schema\":");
	df_json_write_string(df_str_c(schema), &body);
	df_buf_add_char(&body, '}');
	if (body.failed)
		return df_error_no_memory(err);
	/* Looking up first: who may only read can go on with what is there. */
	code = ask(registry, ctx, df_buf_c(&path), df_buf_str(&body), &arena, &a, err);
	if (code == 0 && a.status != 200 && registers) {
		df_buf_add_c(&path, "/versions");
		code = ask(registry, ctx, df_buf_c(&path), df_buf_str(&body), &arena, &a, err);
	}
	if (code == 0 && a.status != 200)
		code = df_error_set(err, DF_ERR_CONFIG,
				    "schema registry: the subject `%s` does not have this schema: register it, or set "
				    "autoRegister",
				    subject);
	return code < 0 ? code : take_id(&a, ret_id, err);
}
