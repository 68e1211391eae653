/* The topics of the Kafka sink: waiting for them, making them. */
#include <stdlib.h>

#include "connectors/kafka/sink.h"

#define CREATE_MS 30000
#define DESCRIBE_MS 5000
#define RECORD_BYTES 100 /* what a batch of one record has around key and value */
#define OTHERS_MAX 10000 /* topics that metadata may name */

/* A number in `extra`; false: it is not there. */
static bool extra_number(const struct df_kafka_sink *s, const char *name, int64_t *ret)
{
	const struct df_pairs *extra = &s->settings->connection.extra;

	for (size_t i = 0; i < extra->count; i++) {
		if (strcmp(extra->items[i].key, name) == 0)
			return df_str_to_int64(df_str_c(extra->items[i].text), ret);
	}
	return false;
}

/* How long a topic may be unknown: librdkafka waits as long before it fails a message. */
static int64_t patience(const struct df_kafka_sink *s)
{
	int64_t ms = 60000;

	(void)extra_number(s, "topic.metadata.propagation.max.ms", &ms);
	return ms * DF_NS_PER_MS;
}

/* ---- making one ------------------------------------------------------------------------------------------ */

/* The broker's answer, awaited so that a cancel ends it. */
static rd_kafka_event_t *await_event(rd_kafka_queue_t *queue, struct df_context *ctx)
{
	int64_t end = df_clock_monotonic() + (CREATE_MS + 1000) * DF_NS_PER_MS;
	rd_kafka_event_t *event = NULL;

	while (!event && !df_context_canceled(ctx) && df_clock_monotonic() < end)
		event = rd_kafka_queue_poll(queue, 100);
	return event;
}

static int creation_result(const rd_kafka_event_t *event, const char *name, struct df_error *err)
{
	rd_kafka_resp_err_t code =
		event ? rd_kafka_event_error((rd_kafka_event_t *)event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
	const rd_kafka_CreateTopics_result_t *result = NULL;
	const rd_kafka_topic_result_t **topics = NULL;
	size_t count = 0;

	if (!code)
		result = rd_kafka_event_CreateTopics_result((rd_kafka_event_t *)event);
	if (result)
		topics = rd_kafka_CreateTopics_result_topics(result, &count);
	if (count > 0)
		code = rd_kafka_topic_result_error(topics[0]);
	if (!code || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
		return 0;
	df_kafka_error(err, code, "creating the topic `%s`", name);
	return err->code == DF_ERR_INVALID_DATA ? (err->code = DF_ERR_CONFIG) : err->code; /* a policy */
}

static int create_topic(struct df_kafka_sink *s, struct df_context *ctx, const char *name, struct df_error *err)
{
	const struct df_kafka_sink_settings *settings = s->settings;
	int partitions = settings->topic_partitions.set ? settings->topic_partitions.value : -1;
	int replication = settings->topic_replication.set ? settings->topic_replication.value : -1;
	char why[256] = "";
	rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, replication, why, sizeof(why));
	rd_kafka_AdminOptions_t *options;
	rd_kafka_queue_t *queue;
	rd_kafka_event_t *event;
	int r;

	if (!topic)
		return df_error_set(err, DF_ERR_CONFIG, "the topic `%s` cannot be created: %s", name, why);
	options = rd_kafka_AdminOptions_new(s->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	(void)rd_kafka_AdminOptions_set_request_timeout(options, CREATE_MS, why, sizeof(why));
	(void)rd_kafka_AdminOptions_set_operation_timeout(options, CREATE_MS, why, sizeof(why));
	queue = rd_kafka_queue_new(s->rk);
	rd_kafka_CreateTopics(s->rk, &topic, 1, options, queue);
	event = await_event(queue, ctx);
	r = df_context_check(ctx, err);
	if (r == 0)
		r = creation_result(event, name, err);
	if (r == 0)
		df_info(s->client.logger, "topic `%s` is there", name);
	rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_NewTopic_destroy(topic);
	return r;
}

/* ---- finding them ---------------------------------------------------------------------------------------- */

static int await_or_create(struct df_kafka_sink *s, struct df_context *ctx, const char *name, struct df_error *err)
{
	bool create = s->settings->auto_create_topic;
	int partitions, r;

	r = df_kafka_await_topic(&s->client, s->rk, ctx, name, create ? 0 : patience(s), &partitions, err);
	if (r < 0 || partitions > 0)
		return r;
	if (!create)
		return df_kafka_no_topic(name, true, err);
	r = create_topic(s, ctx, name, err);
	if (r == 0)
		r = df_kafka_await_topic(&s->client, s->rk, ctx, name, patience(s), &partitions, err);
	return r < 0 || partitions > 0 ? r : df_kafka_no_topic(name, false, err);
}

/* ---- what it takes --------------------------------------------------------------------------------------- */

static void read_configs(const rd_kafka_event_t *event, struct df_kafka_topic *ret)
{
	const rd_kafka_DescribeConfigs_result_t *result =
		rd_kafka_event_DescribeConfigs_result((rd_kafka_event_t *)event);
	const rd_kafka_ConfigResource_t **resources;
	const rd_kafka_ConfigEntry_t **entries;
	size_t count = 0;

	resources = result ? rd_kafka_DescribeConfigs_result_resources(result, &count) : NULL;
	if (count == 0 || rd_kafka_ConfigResource_error(resources[0]))
		return;
	entries = rd_kafka_ConfigResource_configs(resources[0], &count);
	for (size_t i = 0; i < count; i++) {
		const char *name = rd_kafka_ConfigEntry_name(entries[i]),
			   *value = rd_kafka_ConfigEntry_value(entries[i]);
		int64_t bytes;

		if (value && strcmp(name, "max.message.bytes") == 0 && df_str_to_int64(df_str_c(value), &bytes) &&
		    bytes > 0 && bytes <= INT32_MAX)
			ret->max_bytes = (int32_t)bytes;
		if (value && strcmp(name, "cleanup.policy") == 0)
			ret->compacted = strstr(value, "compact") != NULL;
	}
}

/* A user that may not ask writes without knowing. */
static void ask_limits(struct df_kafka_sink *s, struct df_context *ctx, struct df_kafka_topic *ret)
{
	rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, ret->name);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(s->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(s->rk);
	rd_kafka_event_t *event;
	char why[256];

	(void)rd_kafka_AdminOptions_set_request_timeout(options, DESCRIBE_MS, why, sizeof(why));
	rd_kafka_DescribeConfigs(s->rk, &resource, 1, options, queue);
	event = await_event(queue, ctx);
	if (event && !rd_kafka_event_error(event))
		read_configs(event, ret);
	rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_ConfigResource_destroy(resource);
}

int df_kafka_sink_check(const struct df_kafka_record *record, struct df_error *err)
{
	const struct df_kafka_topic *topic = record->topic;
	size_t bytes = record->key.len + record->value.len;

	if (topic->compacted && !record->key.ptr) {
		df_error_set(err, DF_ERR_INVALID_DATA,
			     "topic `%s` is compacted and takes no record without a key: set keyField", topic->name);
		df_error_remote(err, rd_kafka_err2name(RD_KAFKA_RESP_ERR_INVALID_RECORD));
		return DF_ERR_INVALID_DATA;
	}
	if (topic->max_bytes > 0 && bytes + RECORD_BYTES > (size_t)topic->max_bytes) {
		df_error_set(err, DF_ERR_INVALID_DATA,
			     "a record of %zu bytes is more than topic `%s` takes (max.message.bytes: %d)", bytes,
			     topic->name, (int)topic->max_bytes);
		df_error_remote(err, rd_kafka_err2name(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE));
		return DF_ERR_INVALID_DATA;
	}
	return 0;
}

static int open_topic(struct df_kafka_sink *s, struct df_context *ctx, const char *name, struct df_kafka_topic *ret,
		      struct df_error *err)
{
	int64_t limit;

	*ret = (struct df_kafka_topic){ 0 };
	ret->handle = rd_kafka_topic_new(s->rk, name, NULL);
	if (!ret->handle)
		return df_kafka_error(err, rd_kafka_last_error(), "topic `%s`", name);
	ret->name = rd_kafka_topic_name(ret->handle);
	ret->name_len = strlen(ret->name);
	if (!extra_number(s, "message.max.bytes", &limit)) /* else the user knows how well it is compressed */
		ask_limits(s, ctx, ret);
	return df_context_check(ctx, err);
}

int df_kafka_sink_find_topic(struct df_kafka_sink *s, struct df_context *ctx, struct df_error *err)
{
	const char *name = s->settings->connection.topic.value;
	int r = await_or_create(s, ctx, name, err);

	return r < 0 ? r : open_topic(s, ctx, name, &s->topic, err);
}

int df_kafka_sink_other_topic(struct df_kafka_sink *s, struct df_context *ctx, struct df_str name,
			      const struct df_kafka_topic **ret, struct df_error *err)
{
	df_cleanup(df_freep) char *text = NULL;
	struct df_kafka_topic fresh = { 0 };
	int r;

	*ret = &s->topic;
	if (df_str_equal(name, df_str(s->topic.name, s->topic.name_len)))
		return 0;
	for (size_t i = 0; i < s->other_count; i++) {
		*ret = &s->others[i];
		if (df_str_equal(name, df_str(s->others[i].name, s->others[i].name_len)))
			return 0;
	}
	if (s->other_count == OTHERS_MAX)
		return df_error_set(err, DF_ERR_CONFIG, "metadata `%s` names more than %d topics",
				    s->settings->topic_from, OTHERS_MAX);
	if (s->other_count == s->other_cap) {
		size_t cap = s->other_cap ? s->other_cap * 2 : 8;
		struct df_kafka_topic *grown = realloc(s->others, cap * sizeof(*grown));

		if (!grown)
			return df_error_no_memory(err);
		s->others = grown;
		s->other_cap = cap;
	}
	text = df_str_dup(name);
	if (!text)
		return df_error_no_memory(err);
	r = await_or_create(s, ctx, text, err);
	if (r == 0)
		r = open_topic(s, ctx, text, &fresh, err);
	if (r < 0) {
		if (fresh.handle)
			rd_kafka_topic_destroy(fresh.handle);
		return r;
	}
	s->others[s->other_count] = fresh;
	*ret = &s->others[s->other_count++];
	return 0;
}

void df_kafka_sink_topics_done(struct df_kafka_sink *s)
{
	if (s->topic.handle)
		rd_kafka_topic_destroy(DF_TAKE(s->topic.handle));
	for (size_t i = 0; i < s->other_count; i++)
		rd_kafka_topic_destroy(s->others[i].handle);
	s->other_count = 0;
}
