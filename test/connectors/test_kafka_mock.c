/*
 * What a broker will not say on demand: every error code of producing, fetching, committing and of the group, once
 * each, from librdkafka's mock cluster. The rest is tested on a real broker (test/integration/kafka).
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connectors/kafka/errors.h"
#include "harness.h"
#include "kafka_kit.h"

#define E(name) RD_KAFKA_RESP_ERR_##name

enum {
	PRODUCE = 0,
	FETCH = 1,
	LIST_OFFSETS = 2,
	METADATA = 3,
	OFFSET_COMMIT = 8,
	OFFSET_FETCH = 9,
	FIND_COORDINATOR = 10,
	JOIN_GROUP = 11,
	HEARTBEAT = 12,
	SYNC_GROUP = 14,
	INIT_PRODUCER_ID = 22
};

static void fail_once(int api, rd_kafka_resp_err_t code)
{
	rd_kafka_mock_push_request_errors_array(mock_cluster, (int16_t)api, 1, &code);
}

/* ---- the table of codes ---------------------------------------------------------------------------------- */

static void test_codes(void **state)
{
	static const struct {
		rd_kafka_resp_err_t code;
		int ours;
	} rows[] = {
		{ E(UNKNOWN_TOPIC_OR_PART), DF_ERR_TRANSIENT },
		{ E(THROTTLING_QUOTA_EXCEEDED), DF_ERR_TRANSIENT },
		{ E(_ALL_BROKERS_DOWN), DF_ERR_CONNECTION },
		{ E(_MSG_TIMED_OUT), DF_ERR_TIMEOUT },
		{ E(TOPIC_AUTHORIZATION_FAILED), DF_ERR_DENIED },
		{ E(SASL_AUTHENTICATION_FAILED), DF_ERR_AUTH },
		{ E(MSG_SIZE_TOO_LARGE), DF_ERR_INVALID_DATA },
		{ E(INVALID_RECORD), DF_ERR_INVALID_DATA },
		{ E(_UNKNOWN_TOPIC), DF_ERR_CONFIG },
		{ E(UNSUPPORTED_VERSION), DF_ERR_UNKNOWN },
	};
	struct df_error err;

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++)
		assert_int_equal(df_kafka_code(rows[i].code), rows[i].ours);
	assert_int_equal(df_kafka_error(&err, E(NOT_ENOUGH_REPLICAS), "topic `%s`", "t"), DF_ERR_TRANSIENT);
	assert_string_equal(err.text, "topic `t`: Broker: Not enough in-sync replicas");
	assert_string_equal(err.remote, "NOT_ENOUGH_REPLICAS");
}

/* ---- producing ------------------------------------------------------------------------------------------- */

/* What becomes of a write whose first request gets this answer. */
static const struct {
	rd_kafka_resp_err_t code;
	int want; /* 0: written */
} answers[] = {
	{ E(LEADER_NOT_AVAILABLE), 0 },
	{ E(NOT_LEADER_FOR_PARTITION), 0 },
	{ E(REQUEST_TIMED_OUT), 0 },
	{ E(BROKER_NOT_AVAILABLE), 0 },
	{ E(REPLICA_NOT_AVAILABLE), 0 },
	{ E(NETWORK_EXCEPTION), DF_ERR_CONNECTION },
	{ E(NOT_ENOUGH_REPLICAS), 0 },
	{ E(NOT_ENOUGH_REPLICAS_AFTER_APPEND), 0 },
	{ E(KAFKA_STORAGE_ERROR), 0 },
	{ E(UNKNOWN_TOPIC_OR_PART), 0 },
	{ E(MSG_SIZE_TOO_LARGE), DF_ERR_INVALID_DATA },
	{ E(RECORD_LIST_TOO_LARGE), DF_ERR_INVALID_DATA },
	{ E(INVALID_TIMESTAMP), DF_ERR_INVALID_DATA },
	{ E(POLICY_VIOLATION), DF_ERR_INVALID_DATA },
	{ E(TOPIC_AUTHORIZATION_FAILED), DF_ERR_DENIED },
	{ E(CLUSTER_AUTHORIZATION_FAILED), DF_ERR_DENIED },
	{ E(OUT_OF_ORDER_SEQUENCE_NUMBER), DF_ERR_CONNECTION },
	{ E(INVALID_PRODUCER_EPOCH), DF_ERR_CONNECTION },
	{ E(UNKNOWN_PRODUCER_ID), 0 },
};

static int write_one(struct df_sink *s, struct df_error *why)
{
	struct df_message message = { .payload = df_str_c("{}") }, *pointer = &message;
	struct df_arena arena = { 0 };
	const struct df_error *result;
	struct df_write w;

	assert_int_equal(df_write_init(&w, &pointer, 1, &arena, why), 0);
	assert_int_equal(df_write_run(s, NULL, &w, why), 0);
	result = df_write_result(&w, 0);
	*why = result ? *result : DF_ERROR_INIT;
	df_write_destroy(&w);
	df_arena_done(&arena);
	return why->code;
}

static struct df_sink *new_sink(struct harness *h, const char *topic)
{
	struct df_sink *s = harness_sink(h,
					 "{'type': 'kafka', 'config': {'brokers': ['%s'], 'topic': '%s', 'extra': "
					 "{'retry.backoff.ms': '5', 'message.max.bytes': '1000000', "
					 "'topic.metadata.refresh.fast.interval.ms': '10'}}}",
					 rd_kafka_mock_cluster_bootstraps(mock_cluster), topic);
	struct df_error err = DF_ERROR_INIT;

	if (s->ops->connect(s, NULL, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

static void test_produce(void **state)
{
	const char *topic = mock_topic(1);

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(answers); i++) {
		struct harness h;
		struct df_sink *s;
		struct df_error why;

		harness_init(&h);
		s = new_sink(&h, topic);
		assert_int_equal(write_one(s, &why), 0); /* sequence numbers have begun */
		fail_once(PRODUCE, answers[i].code);
		if (write_one(s, &why) != answers[i].want)
			fail_msg("%s: %d (%s) instead of %d", rd_kafka_err2name(answers[i].code), why.code, why.text,
				 answers[i].want);
		rd_kafka_mock_clear_request_errors(mock_cluster, PRODUCE);
		df_sink_free(s);
		harness_done(&h);
	}
}

static void test_producer_id(void **state)
{
	static const rd_kafka_resp_err_t codes[] = { E(COORDINATOR_NOT_AVAILABLE), E(COORDINATOR_LOAD_IN_PROGRESS),
						     E(NOT_COORDINATOR), E(REQUEST_TIMED_OUT) };
	const char *topic = mock_topic(1);

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(codes); i++) {
		struct harness h;
		struct df_sink *s;
		struct df_error why;

		harness_init(&h);
		fail_once(INIT_PRODUCER_ID, codes[i]);
		s = new_sink(&h, topic);
		assert_int_equal(write_one(s, &why), 0);
		df_sink_free(s);
		harness_done(&h);
	}
}

/* ---- the consumer ---------------------------------------------------------------------------------------- */

/* A consumer that runs while each of these answers is given to one request; after each a message must come. */
static void run_consumer(int api, const rd_kafka_resp_err_t *codes, size_t count)
{
	const char *topic = mock_topic(1);
	struct harness_reader reader;
	struct harness h;
	struct df_source *s;
	size_t n = 0;

	harness_init(&h);
	h.env.once = false;
	s = mock_source(&h, topic, topic);
	mock_fill(topic, "first");
	harness_start(&reader, &h, s);
	harness_await(&h, ++n);
	for (size_t i = 0; i < count; i++) {
		fail_once(api, codes[i]);
		mock_fill(topic, rd_kafka_err2name(codes[i]));
		harness_await(&h, ++n);
		assert_string_equal(harness_payload(&h, n - 1), rd_kafka_err2name(codes[i]));
	}
	assert_int_equal(harness_stop(&reader), DF_ERR_CANCELED);
	df_source_free(s);
	harness_done(&h);
}

static void test_fetch(void **state)
{
	static const rd_kafka_resp_err_t codes[] = {
		E(NOT_LEADER_FOR_PARTITION),   E(LEADER_NOT_AVAILABLE),
		E(REPLICA_NOT_AVAILABLE),      E(KAFKA_STORAGE_ERROR),
		E(FENCED_LEADER_EPOCH),	       E(UNKNOWN_LEADER_EPOCH),
		E(BROKER_NOT_AVAILABLE),       E(OFFSET_NOT_AVAILABLE),
		E(TOPIC_AUTHORIZATION_FAILED), E(UNKNOWN),
	};

	(void)state;
	run_consumer(FETCH, codes, DF_ARRAY_SIZE(codes));
}

/* ---- the group ------------------------------------------------------------------------------------------- */

enum moment { STARTING, RUNNING, REJOINING, COMMITTING, COMMITTING_TWICE };

/* One answer to one request: before a consumer comes, while it is there, when it must join again, or to a commit. The
 * mock's group waits for members that it forgot (5 s, or 10 s), so each case has a process and a cluster of its own,
 * all at once. */
static const struct group_case {
	const char *name;
	enum moment moment;
	int api;
	rd_kafka_resp_err_t code;
} group_cases[] = {
	{ "find_coordinator_load_in_progress", STARTING, FIND_COORDINATOR, E(COORDINATOR_LOAD_IN_PROGRESS) },
	{ "find_coordinator_not_available", STARTING, FIND_COORDINATOR, E(COORDINATOR_NOT_AVAILABLE) },
	{ "join_load_in_progress", STARTING, JOIN_GROUP, E(COORDINATOR_LOAD_IN_PROGRESS) },
	{ "join_not_available", STARTING, JOIN_GROUP, E(COORDINATOR_NOT_AVAILABLE) },
	{ "join_not_coordinator", STARTING, JOIN_GROUP, E(NOT_COORDINATOR) },
	{ "join_unknown_member", STARTING, JOIN_GROUP, E(UNKNOWN_MEMBER_ID) },
	{ "join_again_unknown_member", REJOINING, JOIN_GROUP, E(UNKNOWN_MEMBER_ID) },
	{ "join_again_not_coordinator", REJOINING, JOIN_GROUP, E(NOT_COORDINATOR) },
	{ "sync_not_coordinator", STARTING, SYNC_GROUP, E(NOT_COORDINATOR) },
	{ "sync_rebalance_in_progress", STARTING, SYNC_GROUP, E(REBALANCE_IN_PROGRESS) },
	{ "sync_unknown_member", STARTING, SYNC_GROUP, E(UNKNOWN_MEMBER_ID) },
	{ "sync_illegal_generation", STARTING, SYNC_GROUP, E(ILLEGAL_GENERATION) },
	{ "heartbeat_not_coordinator", RUNNING, HEARTBEAT, E(NOT_COORDINATOR) },
	{ "heartbeat_not_available", RUNNING, HEARTBEAT, E(COORDINATOR_NOT_AVAILABLE) },
	{ "heartbeat_rebalance_in_progress", RUNNING, HEARTBEAT, E(REBALANCE_IN_PROGRESS) },
	{ "heartbeat_unknown_member", RUNNING, HEARTBEAT, E(UNKNOWN_MEMBER_ID) },
	{ "heartbeat_illegal_generation", RUNNING, HEARTBEAT, E(ILLEGAL_GENERATION) },
	{ "offset_fetch_unstable", STARTING, OFFSET_FETCH, E(UNSTABLE_OFFSET_COMMIT) },
	{ "offset_fetch_load_in_progress", STARTING, OFFSET_FETCH, E(COORDINATOR_LOAD_IN_PROGRESS) },
	{ "offset_fetch_not_coordinator", STARTING, OFFSET_FETCH, E(NOT_COORDINATOR) },
	{ "list_offsets_not_leader", STARTING, LIST_OFFSETS, E(NOT_LEADER_FOR_PARTITION) },
	{ "list_offsets_not_available", STARTING, LIST_OFFSETS, E(OFFSET_NOT_AVAILABLE) },
	{ "commit_load_in_progress", COMMITTING, OFFSET_COMMIT, E(COORDINATOR_LOAD_IN_PROGRESS) },
	{ "commit_not_available", COMMITTING, OFFSET_COMMIT, E(COORDINATOR_NOT_AVAILABLE) },
	{ "commit_not_coordinator", COMMITTING, OFFSET_COMMIT, E(NOT_COORDINATOR) },
	{ "commit_timed_out", COMMITTING, OFFSET_COMMIT, E(REQUEST_TIMED_OUT) },
	{ "commit_rebalance_in_progress", COMMITTING, OFFSET_COMMIT, E(REBALANCE_IN_PROGRESS) },
	{ "commit_unknown_topic", COMMITTING, OFFSET_COMMIT, E(UNKNOWN_TOPIC_OR_PART) },
	{ "commit_metadata_too_large", COMMITTING, OFFSET_COMMIT, E(OFFSET_METADATA_TOO_LARGE) },
	{ "commits_load_in_progress", COMMITTING_TWICE, OFFSET_COMMIT, E(COORDINATOR_LOAD_IN_PROGRESS) },
	{ "commits_not_available", COMMITTING_TWICE, OFFSET_COMMIT, E(COORDINATOR_NOT_AVAILABLE) },
	{ "commits_timed_out", COMMITTING_TWICE, OFFSET_COMMIT, E(REQUEST_TIMED_OUT) },
	{ "commits_rebalance_in_progress", COMMITTING_TWICE, OFFSET_COMMIT, E(REBALANCE_IN_PROGRESS) },
};

static void test_group(void **state)
{
	const struct group_case *c = *state;
	const char *topic = mock_topic(1);
	struct harness_reader reader;
	struct harness h;
	struct df_source *s;

	harness_init(&h);
	h.env.once = false;
	h.patience = 40;
	mock_fill(topic, "first");
	if (c->moment == STARTING)
		fail_once(c->api, c->code);
	s = mock_source(&h, topic, topic);
	harness_start(&reader, &h, s);
	harness_await(&h, 1);
	free(harness_commit(&h, s)); /* nothing is in flight when the group begins anew */
	if (c->moment != STARTING) {
		usleep(50000);
		fail_once(c->api, c->code);
		if (c->moment == REJOINING)
			fail_once(HEARTBEAT, E(REBALANCE_IN_PROGRESS));
		usleep(1100000); /* until the next heartbeat got it */
	}
	mock_fill(topic, "last");
	harness_await(&h, 2);
	assert_string_equal(harness_payload(&h, 1), "last");
	assert_int_equal(harness_stop(&reader), DF_ERR_CANCELED);
	df_source_free(s);
	harness_done(&h);
}

/* A commit that fails is made up for: by the next one, or when the consumer leaves. */
static void test_commit(void **state)
{
	const struct group_case *c = *state;
	const char *topic = mock_topic(1);
	struct harness_reader reader;
	struct df_source *s;
	struct harness h;

	harness_init(&h);
	h.env.once = false;
	mock_fill(topic, "one");
	s = mock_source(&h, topic, topic);
	harness_start(&reader, &h, s);
	harness_await(&h, 1);
	fail_once(OFFSET_COMMIT, c->code);
	free(harness_commit(&h, s));
	assert_int_equal(harness_stop(&reader), DF_ERR_CANCELED);
	df_source_free(s);
	rd_kafka_mock_clear_request_errors(mock_cluster, OFFSET_COMMIT);
	harness_done(&h);

	harness_init(&h); /* once: nothing is left */
	s = mock_source(&h, topic, topic);
	harness_read(&h, s);
	assert_int_equal(h.messages, 0);
	df_source_free(s);
	harness_done(&h);
}

/* A commit that is sent again must not take back what a later one said. */
static void test_commits_in_order(void **state)
{
	const struct group_case *c = *state;
	const char *topic = mock_topic(1);
	rd_kafka_t *asking = mock_consumer(topic);
	struct harness_reader reader;
	struct df_source *s;
	struct harness h;

	harness_init(&h);
	h.env.once = false;
	mock_fill(topic, "one");
	mock_fill(topic, "two");
	s = mock_source(&h, topic, topic);
	harness_start(&reader, &h, s);
	harness_await(&h, 2);
	fail_once(OFFSET_COMMIT, c->code);
	free(harness_commit_some(&h, s, 0, 1));
	usleep(20000);
	free(harness_commit_some(&h, s, 1, 1));
	mock_await_committed(asking, topic, 2);
	usleep(1500000); /* the first had its second try, too */
	assert_int_equal(mock_committed(asking, topic), 2);
	assert_int_equal(harness_stop(&reader), DF_ERR_CANCELED);
	df_source_free(s);
	harness_done(&h);
	rd_kafka_destroy(asking);
}

/* Forks before this process has threads; returns how many cases failed. */
static int run_group_cases(void)
{
	static void (*const tests[])(void **) = { [STARTING] = test_group,
						  [RUNNING] = test_group,
						  [REJOINING] = test_group,
						  [COMMITTING] = test_commit,
						  [COMMITTING_TWICE] = test_commits_in_order };
	pid_t children[DF_ARRAY_SIZE(group_cases)];
	int failed = 0;

	for (size_t i = 0; i < DF_ARRAY_SIZE(group_cases); i++) {
		const struct CMUnitTest alone[] = { { .name = group_cases[i].name,
						      .test_func = tests[group_cases[i].moment],
						      .initial_state = (void *)&group_cases[i] } };

		children[i] = fork();
		if (children[i] == 0) {
			alarm(100); /* a case that hangs fails */
			exit(cmocka_run_group_tests_name(group_cases[i].name, alone, mock_set_up, mock_tear_down));
		}
	}
	for (size_t i = 0; i < DF_ARRAY_SIZE(group_cases); i++) {
		int status;

		if (children[i] < 0 || waitpid(children[i], &status, 0) < 0 || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != 0) {
			fprintf(stderr, "%s did not pass\n", group_cases[i].name);
			failed++;
		}
	}
	return failed;
}

/* ---- positions for a transactional sink ------------------------------------------------------------------ */

static void test_describe(void **state)
{
	const char *topic = mock_topic(1);
	struct harness_reader reader;
	struct df_arena arena = { 0 };
	struct df_value *checkpoint = df_value_new(&arena, DF_OBJECT);
	struct df_error err = DF_ERROR_INIT;
	struct df_commit commit;
	struct harness h;
	struct df_source *s;
	int64_t offset;

	(void)state;
	harness_init(&h);
	h.env.once = false;
	mock_fill(topic, "zero");
	mock_fill(topic, "one");
	s = mock_source(&h, topic, topic);
	assert_int_equal(s->ops->describe(s, NULL, 0, checkpoint, &arena, &err), 0);
	harness_start(&reader, &h, s);
	harness_await(&h, 2);
	commit = (struct df_commit){ .partition = harness_message(&h, 0)->partition,
				     .key = df_partition_key(harness_message(&h, 0)->partition),
				     .position = harness_message(&h, 0)->position };
	assert_int_equal(s->ops->describe(s, &commit, 1, checkpoint, &arena, &err), 0);
	assert_true(df_value_to_int64(df_object_get_c(df_object_get_c(checkpoint, "offsets"), "0"), &offset));
	assert_int_equal(offset, 1);
	assert_non_null(df_object_get_c(checkpoint, "member"));
	free(harness_commit(&h, s)); /* the sink's business now: the group is told nothing */
	assert_int_equal(harness_stop(&reader), DF_ERR_CANCELED);
	df_source_free(s);
	harness_done(&h);

	harness_init(&h);
	s = mock_source(&h, topic, topic);
	assert_int_equal(s->ops->restore(s, checkpoint, &err), 0);
	harness_read(&h, s);
	assert_int_equal(h.messages, 1);
	assert_string_equal(harness_payload(&h, 0), "one");
	df_source_free(s);
	harness_done(&h);

	harness_init(&h);
	s = mock_source(&h, "another", topic);
	assert_int_equal(s->ops->restore(s, checkpoint, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "checkpointReset"));
	df_source_free(s);
	harness_done(&h);
	df_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codes), cmocka_unit_test(test_produce),  cmocka_unit_test(test_producer_id),
		cmocka_unit_test(test_fetch), cmocka_unit_test(test_describe),
	};
	int failed = run_group_cases();

	return cmocka_run_group_tests(tests, mock_set_up, mock_tear_down) + failed;
}
