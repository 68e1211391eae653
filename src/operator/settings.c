#include "operator/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/str.h"

/* ---- single variables ------------------------------------------------------------------------------------ */

/* A copy of the variable; fallback when it is unset or empty; NULL: neither, or (*failed) no memory. */
static char *text_of(const char *name, const char *fallback, bool *failed)
{
	const char *value = getenv(name);
	char *copy = NULL;

	if (!value || !value[0])
		value = fallback;
	if (value) {
		copy = strdup(value);
		*failed = *failed || !copy;
	}
	return copy;
}

static int number_of(const char *name, int64_t fallback, int64_t min, int64_t max, int64_t *ret, struct df_error *err)
{
	const char *value = getenv(name);

	*ret = fallback;
	if (!value || !value[0])
		return 0;
	if (df_str_to_int64(df_str_c(value), ret) && *ret >= min && *ret <= max)
		return 0;
	return df_error_set(err, DF_ERR_CONFIG, "%s is `%s`, not a number from %lld to %lld", name, value,
			    (long long)min, (long long)max);
}

#define SECONDS_MAX 86400

static int numbers(struct df_operator_settings *s, struct df_error *err)
{
	const struct {
		const char *name;
		int64_t fallback;
		int64_t *ret;
	} seconds[] = {
		{ "RECONCILE_TIMEOUT_SECONDS", 180, &s->reconcile_timeout_ns },
		{ "RECONCILE_PENDING_REQUEUE_SECONDS", 20, &s->pending_requeue_ns },
		{ "COUNTS_INTERVAL_SECONDS", 30, &s->counts_interval_ns },
		{ "LEADER_ELECTION_LEASE_DURATION_SECONDS", 15, &s->lease_duration_ns },
		{ "LEADER_ELECTION_RENEW_DEADLINE_SECONDS", 10, &s->lease_deadline_ns },
	};
	int64_t workers;
	int code = 0;

	for (size_t i = 0; code == 0 && i < DF_ARRAY_SIZE(seconds); i++) {
		code = number_of(seconds[i].name, seconds[i].fallback, 1, SECONDS_MAX, seconds[i].ret, err);
		*seconds[i].ret *= DF_NS_PER_S;
	}
	if (code == 0)
		code = number_of("MAX_CONCURRENT_RECONCILES", 4, 1, 64, &workers, err);
	if (code < 0)
		return code;
	s->workers = (unsigned)workers;
	s->lease_retry_ns = 2 * DF_NS_PER_S;
	if (s->lease_deadline_ns >= s->lease_duration_ns)
		return df_error_set(err, DF_ERR_CONFIG,
				    "LEADER_ELECTION_RENEW_DEADLINE_SECONDS must be less than "
				    "LEADER_ELECTION_LEASE_DURATION_SECONDS: else two could lead");
	return 0;
}

/* ---- lists ----------------------------------------------------------------------------------------------- */

/* Calls add for each element that is not blank, trimmed. */
static int each_element(const char *text,
			int (*add)(struct df_operator_settings *s, struct df_str element, struct df_error *err),
			struct df_operator_settings *s, struct df_error *err)
{
	int code = 0;

	while (text && *text && code == 0) {
		size_t n = strcspn(text, ",");
		struct df_str element = df_str_trim(df_str(text, n));

		if (element.len)
			code = add(s, element, err);
		text += n + (text[n] == ',');
	}
	return code;
}

static int add_namespace(struct df_operator_settings *s, struct df_str element, struct df_error *err)
{
	char **items = reallocarray(s->watch_namespaces, s->watch_namespace_count + 1, sizeof(*items));

	if (!items)
		return df_error_no_memory(err);
	s->watch_namespaces = items;
	items[s->watch_namespace_count] = df_str_dup(element);
	return items[s->watch_namespace_count] ? (s->watch_namespace_count++, 0) : df_error_no_memory(err);
}

/* <flow ns>=<ns>/<secret> */
static int add_allowed(struct df_operator_settings *s, struct df_str element, struct df_error *err)
{
	const char *equals = memchr(element.ptr, '=', element.len), *end = element.ptr + element.len;
	const char *slash = equals ? memchr(equals, '/', (size_t)(end - equals)) : NULL;
	struct df_allowed_reference *items, *item;

	if (!slash || equals == element.ptr || slash == equals + 1 || slash + 1 == end)
		return df_error_set(err, DF_ERR_CONFIG,
				    "ALLOWED_SECRET_REFERENCES has `" DF_STR_FMT
				    "`, not <flow namespace>=<namespace>/<secret>",
				    DF_STR_ARG(element));
	items = reallocarray(s->allowed, s->allowed_count + 1, sizeof(*items));
	if (!items)
		return df_error_no_memory(err);
	s->allowed = items;
	item = &items[s->allowed_count++];
	*item = (struct df_allowed_reference){
		.flow_namespace = df_str_dup(df_str(element.ptr, (size_t)(equals - element.ptr))),
		.namespace = df_str_dup(df_str(equals + 1, (size_t)(slash - equals - 1))),
		.secret = df_str_dup(df_str(slash + 1, (size_t)(end - slash - 1))),
	};
	return item->flow_namespace && item->namespace && item->secret ? 0 : df_error_no_memory(err);
}

/* ---- what is handed to processors ------------------------------------------------------------------------ */

static int sentry(struct df_operator_settings *s, struct df_error *err)
{
	static const char *const names[] = { "SENTRY_DSN", "SENTRY_ENVIRONMENT", "SENTRY_TRACES_SAMPLE_RATE",
					     "SENTRY_DEBUG", "SENTRY_RELEASE" };
	const char *dsn = getenv(names[0]);
	bool failed = false;

	if (!dsn || !dsn[0])
		return 0;
	s->processor_env = calloc(DF_ARRAY_SIZE(names), sizeof(*s->processor_env));
	if (!s->processor_env)
		return df_error_no_memory(err);
	for (size_t i = 0; i < DF_ARRAY_SIZE(names); i++) {
		char *value = text_of(names[i], NULL, &failed);
		struct df_name_value *item = &s->processor_env[s->processor_env_count];

		if (!value)
			continue;
		*item = (struct df_name_value){ strdup(names[i]), value };
		failed = failed || !item->name;
		s->processor_env_count++;
	}
	return failed ? df_error_no_memory(err) : 0;
}

static int pod_defaults(struct df_operator_settings *s, struct df_error *err)
{
	const char *text = getenv("PROCESSOR_POD_DEFAULTS");
	struct df_value *value;
	struct df_str copy;
	int code;

	if (!text || !text[0])
		return 0;
	copy = df_arena_dup(&s->arena, df_str_c(text));
	if (!copy.ptr)
		return df_error_no_memory(err);
	code = df_value_parse_text(copy, &s->arena, &value, err);
	if (code < 0)
		return df_error_prefix(err, "PROCESSOR_POD_DEFAULTS");
	if (value->kind != DF_OBJECT)
		return df_error_set(err, DF_ERR_CONFIG, "PROCESSOR_POD_DEFAULTS is %s, not an object",
				    df_kind_words(value->kind));
	s->processor_defaults = value;
	return 0;
}

/* ---- all ------------------------------------------------------------------------------------------------- */

static int texts(struct df_operator_settings *s, struct df_error *err)
{
	bool failed = false;

	s->namespace = text_of("OPERATOR_NAMESPACE", NULL, &failed);
	s->processor_image = text_of("PROCESSOR_IMAGE", NULL, &failed);
	s->processor_log_level = text_of("PROCESSOR_LOG_LEVEL", "info", &failed);
	s->processor_progress_timeout = text_of("PROCESSOR_PROGRESS_TIMEOUT_SECONDS", "3600", &failed);
	s->webhook_cert_dir = text_of("WEBHOOK_CERT_DIR", NULL, &failed);
	s->webhook_configuration = text_of("WEBHOOK_CONFIGURATION_NAME", NULL, &failed);
	s->webhook_secret = text_of("WEBHOOK_SELF_SIGNED_SECRET", NULL, &failed);
	s->webhook_service = text_of("WEBHOOK_SERVICE_NAME", NULL, &failed);
	return failed ? df_error_no_memory(err) : 0;
}

int df_operator_settings_load(struct df_operator_settings *ret, struct df_error *err)
{
	int code = texts(ret, err);

	if (code == 0)
		code = numbers(ret, err);
	if (code == 0)
		code = each_element(getenv("WATCH_NAMESPACES"), add_namespace, ret, err);
	if (code == 0)
		code = each_element(getenv("ALLOWED_SECRET_REFERENCES"), add_allowed, ret, err);
	if (code == 0)
		code = sentry(ret, err);
	return code < 0 ? code : pod_defaults(ret, err);
}

void df_operator_settings_done(struct df_operator_settings *s)
{
	char *const texts[] = { s->namespace,		s->processor_image,
				s->processor_log_level, s->processor_progress_timeout,
				s->webhook_cert_dir,	s->webhook_configuration,
				s->webhook_secret,	s->webhook_service };

	for (size_t i = 0; i < DF_ARRAY_SIZE(texts); i++)
		free(texts[i]);
	for (size_t i = 0; i < s->processor_env_count; i++) {
		free(s->processor_env[i].name);
		free(s->processor_env[i].value);
	}
	free(s->processor_env);
	for (size_t i = 0; i < s->watch_namespace_count; i++)
		free(s->watch_namespaces[i]);
	free(s->watch_namespaces);
	for (size_t i = 0; i < s->allowed_count; i++) {
		free(s->allowed[i].flow_namespace);
		free(s->allowed[i].namespace);
		free(s->allowed[i].secret);
	}
	free(s->allowed);
	df_arena_done(&s->arena);
	memset(s, 0, sizeof(*s));
}

bool df_operator_allows(const struct df_operator_settings *settings, struct df_str flow_namespace,
			struct df_str namespace, struct df_str secret)
{
	for (size_t i = 0; i < settings->allowed_count; i++) {
		const struct df_allowed_reference *a = &settings->allowed[i];

		if (df_str_equal_c(flow_namespace, a->flow_namespace) && df_str_equal_c(namespace, a->namespace) &&
		    df_str_equal_c(secret, a->secret))
			return true;
	}
	return false;
}
