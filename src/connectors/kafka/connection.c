/* What source and sink share: properties, brokers' errors, waiting for a topic. */
#include "connectors/kafka/connection.h"

#include <stdlib.h>
#include <unistd.h>

#include "net/tls.h"

#define SAY_EVERY (60 * DF_NS_PER_S)
#define CONNECT_TIMEOUT (10 * DF_NS_PER_S)
#define SCRAM_VERSION 0x02060100 /* older ones send the client's nonce twice, which Kafka 4 refuses */

/* ---- trouble --------------------------------------------------------------------------------------------- */

void df_kafka_client_init(struct df_kafka_client *client, const struct df_logger *logger)
{
	*client = (struct df_kafka_client){ .logger = logger };
	pthread_mutex_init(&client->lock, NULL);
}

void df_kafka_client_done(struct df_kafka_client *client)
{
	df_kafka_oauth_free(client->oauth);
	pthread_mutex_destroy(&client->lock);
}

bool df_kafka_say(int64_t *said_ns)
{
	int64_t now = df_clock_monotonic();

	if (*said_ns && now - *said_ns < SAY_EVERY)
		return false;
	*said_ns = now;
	return true;
}

static void note(struct df_kafka_client *client, const struct df_error *err)
{
	DF_LOCK_SCOPE(&client->lock);
	if (client->last.code != DF_ERR_AUTH) /* which says more than that no broker is left */
		client->last = *err;
	if (!client->down_ns)
		__atomic_store_n(&client->down_ns, df_clock_monotonic(), __ATOMIC_RELAXED);
	if (!df_kafka_say(&client->said_ns)) {
		client->unsaid++;
		return;
	}
	if (client->unsaid > 0)
		df_log_error(client->logger, DF_LOG_WARN, err, "brokers do not answer; %u more such errors since then",
			     client->unsaid);
	else
		df_log_error(client->logger, DF_LOG_WARN, err, "a broker does not answer, trying again and again");
	client->unsaid = 0;
}

int df_kafka_client_trouble(struct df_kafka_client *client, struct df_error *err)
{
	int code;

	DF_LOCK_SCOPE(&client->lock);
	code = client->last.code;
	if (code && err)
		*err = client->last;
	client->last = DF_ERROR_INIT;
	return code;
}

void df_kafka_client_working(struct df_kafka_client *client)
{
	int64_t since = __atomic_load_n(&client->down_ns, __ATOMIC_RELAXED);

	if (__builtin_expect(!since, 1))
		return;
	DF_LOCK_SCOPE(&client->lock);
	df_info(client->logger, "brokers answer again after %.1f s",
		(double)(df_clock_monotonic() - since) / (double)DF_NS_PER_S);
	__atomic_store_n(&client->down_ns, 0, __ATOMIC_RELAXED);
	client->said_ns = 0;
	client->unsaid = 0;
}

void df_kafka_client_ask(struct df_kafka_client *client, rd_kafka_t *rk, int ms)
{
	const struct rd_kafka_metadata *metadata;

	if (rd_kafka_metadata(rk, 0, NULL, &metadata, ms))
		return;
	rd_kafka_metadata_destroy(metadata);
	df_kafka_client_working(client);
}

/* One broker of several that is down, or closed an idle connection, is librdkafka's own business. */
static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	struct df_error err;

	(void)rk;
	df_error_set(&err, df_kafka_code(code), "%s", reason);
	df_error_remote(&err, rd_kafka_err2name(code));
	note(opaque, &err);
}

static void on_log(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
	const struct df_kafka_client *client = rd_kafka_opaque(rk);

	(void)level; /* what matters comes as an error too */
	df_debug(client ? client->logger : NULL, "librdkafka: %s: %s", fac, text);
}

/* ---- properties ------------------------------------------------------------------------------------------ */

void df_kafka_set(struct df_kafka_conf *c, const char *property, const char *value)
{
	char why[256];

	if (c->r < 0 || rd_kafka_conf_set(c->conf, property, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
		return;
	/* librdkafka's words may hold the value. */
	c->r = df_error_set(c->err, DF_ERR_CONFIG, "librdkafka %s refuses the value of `%s`", rd_kafka_version_str(),
			    property);
}

void df_kafka_set_int(struct df_kafka_conf *c, const char *property, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	df_kafka_set(c, property, text);
}

void df_kafka_set_opt(struct df_kafka_conf *c, const char *property, struct df_opt_int value)
{
	if (value.set)
		df_kafka_set_int(c, property, value.value);
}

void df_kafka_set_ms(struct df_kafka_conf *c, const char *property, struct df_duration value)
{
	if (value.set)
		df_kafka_set_int(c, property, value.ns / DF_NS_PER_MS);
}

static void set_brokers(struct df_kafka_conf *c, const struct df_strings *brokers)
{
	struct df_buf list = { 0 };

	for (size_t i = 0; i < brokers->count; i++) {
		if (i)
			df_buf_add_char(&list, ',');
		df_buf_add_c(&list, brokers->items[i]);
	}
	df_kafka_set(c, "bootstrap.servers", df_buf_c(&list));
	df_buf_done(&list);
}

static void set_pem(struct df_kafka_conf *c, const struct df_secret *secret, const char *as_text, const char *as_path)
{
	if (secret->value)
		df_kafka_set(c, df_tls_is_pem(secret->value) ? as_text : as_path, secret->value);
}

static void set_tls(struct df_kafka_conf *c, const struct df_tls_settings *tls)
{
	if (!tls)
		return;
	set_pem(c, &tls->ca, "ssl.ca.pem", "ssl.ca.location");
	set_pem(c, &tls->cert, "ssl.certificate.pem", "ssl.certificate.location");
	set_pem(c, &tls->key, "ssl.key.pem", "ssl.key.location");
	if (tls->insecure_skip_verify && !tls->ca.value) {
		df_kafka_set(c, "enable.ssl.certificate.verification", "false");
		df_kafka_set(c, "ssl.endpoint.identification.algorithm", "none");
	}
}

static const char *const mechanisms[][2] = {
	{ "plain", "PLAIN" },
	{ "scram-sha-256", "SCRAM-SHA-256" },
	{ "scram-sha-512", "SCRAM-SHA-512" },
	{ "oauthbearer", "OAUTHBEARER" },
};

static void set_sasl(struct df_kafka_conf *c, const struct df_sasl_settings *sasl, struct df_kafka_client *client)
{
	struct df_str wanted = sasl ? df_str_c(sasl->mechanism) : (struct df_str){ 0 };

	if (!sasl || c->r < 0)
		return;
	for (size_t i = 0; i < DF_ARRAY_SIZE(mechanisms); i++) {
		if (df_str_equal_c(wanted, mechanisms[i][0]))
			df_kafka_set(c, "sasl.mechanism", mechanisms[i][1]);
	}
	if (df_str_starts(wanted, DF_STR("scram")) && rd_kafka_version() < SCRAM_VERSION) {
		c->r = df_error_set(c->err, DF_ERR_CONFIG,
				    "sasl.mechanism %s needs librdkafka 2.6.1 or newer, this is %s: build it with "
				    "scripts/librdkafka, or use `plain`",
				    sasl->mechanism, rd_kafka_version_str());
		return;
	}
	if (df_str_equal_c(wanted, "oauthbearer")) {
		c->r = df_kafka_oauth_new(sasl, client, c->conf, c->err);
		return;
	}
	df_kafka_set(c, "sasl.username", sasl->username.value);
	df_kafka_set(c, "sasl.password", sasl->password.value);
}

void df_kafka_conf_begin(struct df_kafka_conf *c, const struct df_kafka_connection *settings,
			 struct df_kafka_client *client, struct df_error *err)
{
	static const char *const protocols[] = {
		[DF_KAFKA_PLAINTEXT] = "plaintext",
		[DF_KAFKA_SSL] = "ssl",
		[DF_KAFKA_SASL_PLAINTEXT] = "sasl_plaintext",
		[DF_KAFKA_SASL_SSL] = "sasl_ssl",
	};

	*c = (struct df_kafka_conf){ .conf = rd_kafka_conf_new(), .err = err };
	rd_kafka_conf_set_opaque(c->conf, client);
	rd_kafka_conf_set_error_cb(c->conf, on_error);
	rd_kafka_conf_set_log_cb(c->conf, on_log);
	df_kafka_set(c, "client.id", "dataflow-operator");
	df_kafka_set(c, "log.connection.close", "false");
	df_kafka_set(c, "enable.metrics.push", "false");
	df_kafka_set(c, "security.protocol", protocols[df_kafka_security(settings)]);
	set_brokers(c, &settings->brokers.list);
	set_tls(c, settings->tls.settings);
	set_sasl(c, settings->sasl.settings, client);
}

int df_kafka_conf_finish(struct df_kafka_conf *c, const struct df_kafka_connection *settings, rd_kafka_type_t type,
			 rd_kafka_t **ret)
{
	char why[512];

	for (size_t i = 0; i < settings->extra.count; i++)
		df_kafka_set(c, settings->extra.items[i].key, settings->extra.items[i].text);
	if (c->r < 0) {
		rd_kafka_conf_destroy(c->conf);
		return c->r;
	}
	*ret = rd_kafka_new(type, c->conf, why, sizeof(why));
	if (*ret) {
		/* Tokens are fetched on librdkafka's background thread: nobody polls while connecting or idle. */
		df_kafka_ignore(rd_kafka_sasl_background_callbacks_enable(*ret)); /* refused: another mechanism */
		return 0;
	}
	rd_kafka_conf_destroy(c->conf);
	/* A file that cannot be read, a certificate that is none, two properties that exclude each other. */
	return df_error_set(c->err, DF_ERR_CONFIG, "librdkafka: %s", why);
}

char *df_kafka_expand_pod(const char *text)
{
	struct df_str rest = df_str_c(text), variable = DF_STR("${POD_NAME}");
	const char *pod = getenv("POD_NAME");
	struct df_buf out = { 0 };
	char host[256] = "";

	if (!pod || !*pod) {
		gethostname(host, sizeof(host) - 1);
		pod = host;
	}
	while (rest.len > 0) {
		if (df_str_starts(rest, variable)) {
			df_buf_add_c(&out, pod);
			rest = df_str(rest.ptr + variable.len, rest.len - variable.len);
		} else {
			df_buf_add_char(&out, *rest.ptr);
			rest = df_str(rest.ptr + 1, rest.len - 1);
		}
	}
	return df_buf_take(&out);
}

/* ---- the topic ------------------------------------------------------------------------------------------- */

int df_kafka_no_topic(const char *topic, bool may_create, struct df_error *err)
{
	df_error_set(err, DF_ERR_CONFIG, "the topic `%s` does not exist: create it%s", topic,
		     may_create ? ", or set autoCreateTopic" : "");
	df_error_remote(err, rd_kafka_err2name(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART));
	return DF_ERR_CONFIG;
}

/* One question. 0 with *ret_partitions 0: it is not there (yet). */
static int ask_topic(rd_kafka_t *rk, rd_kafka_topic_t *topic, int ms, int *ret_partitions, struct df_error *err)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, topic, &metadata, ms);
	int r = 0;

	*ret_partitions = 0;
	if (code)
		return df_kafka_error(err, code, "asking the brokers for the topic `%s`", rd_kafka_topic_name(topic));
	if (metadata->topic_cnt > 0) {
		code = metadata->topics[0].err;
		*ret_partitions = code ? 0 : metadata->topics[0].partition_cnt;
	}
	if (code && df_kafka_code(code) != DF_ERR_TRANSIENT)
		r = df_kafka_error(err, code, "topic `%s`", rd_kafka_topic_name(topic));
	rd_kafka_metadata_destroy(metadata);
	return r;
}

int df_kafka_await_topic(struct df_kafka_client *client, rd_kafka_t *rk, struct df_context *ctx, const char *topic,
			 int64_t unknown_ns, int *ret_partitions, struct df_error *err)
{
	int64_t begin = df_clock_monotonic(), answered = 0;
	rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
	struct df_error why = DF_ERROR_INIT;
	int ms = 250, r;

	if (!handle)
		return df_kafka_error(err, rd_kafka_last_error(), "topic `%s`", topic);
	for (;;) {
		int64_t now;

		r = ask_topic(rk, handle, ms, ret_partitions, err);
		rd_kafka_poll(rk, 0);
		if (df_context_check(ctx, NULL) < 0) {
			r = df_error_set(err, DF_ERR_CANCELED, "stopped while connecting");
			break;
		}
		if (r == 0 && *ret_partitions > 0) {
			df_kafka_client_working(client);
			break;
		}
		now = df_clock_monotonic();
		if (r == 0) {
			answered = answered ? answered : now;
			if (now - answered >= unknown_ns)
				break;
			(void)!df_context_sleep(ctx, 200 * DF_NS_PER_MS);
			continue;
		}
		if (r == DF_ERR_AUTH || r == DF_ERR_DENIED || r == DF_ERR_CONFIG)
			break;
		/* Why nobody answers, in the broker connection's words. Identity: there is no point in waiting. */
		if (df_kafka_client_trouble(client, &why) == DF_ERR_AUTH || now - begin >= CONNECT_TIMEOUT) {
			if (why.code)
				*err = why;
			r = err->code == DF_ERR_AUTH ? DF_ERR_AUTH : DF_ERR_CONNECTION;
			err->code = r;
			break;
		}
		ms = ms < 2000 ? ms * 2 : ms;
	}
	rd_kafka_topic_destroy(handle);
	return r;
}
