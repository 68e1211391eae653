/*
 * The order of the source's commits. Between the source and librdkafka (the linker's --wrap) a commit can be held, and
 * let go when the test says so: one that comes late is a test's decision here, not a broker's.
 */
#include <pthread.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kafka_kit.h"

#define PATIENCE_MS 5000 /* of the source with a commit on its way: source_position.c */

typedef void commit_callback(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets, void *a,
			     void *b);

rd_kafka_resp_err_t __real_rd_kafka_commit_queue(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
						 rd_kafka_queue_t *queue, commit_callback *done, void *opaque);
rd_kafka_resp_err_t __wrap_rd_kafka_commit_queue(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
						 rd_kafka_queue_t *queue, commit_callback *done, void *opaque);
rd_kafka_resp_err_t __real_rd_kafka_event_error(rd_kafka_event_t *event);
rd_kafka_resp_err_t __wrap_rd_kafka_event_error(rd_kafka_event_t *event);

/* Between the source's thread and the test's. */
static struct {
	pthread_mutex_t lock;
	bool hold_next; /* the next commit does not leave */
	rd_kafka_t *rk; /* the one that is held */
	rd_kafka_queue_t *queue;
	rd_kafka_topic_partition_list_t *offsets; /* NULL: none */
	rd_kafka_resp_err_t answer;		  /* in place of the next one's; 0: its own */
	int commits;				  /* so many were to be sent */
} between = { .lock = PTHREAD_MUTEX_INITIALIZER };

rd_kafka_resp_err_t __wrap_rd_kafka_commit_queue(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
						 rd_kafka_queue_t *queue, commit_callback *done, void *opaque)
{
	{
		DF_LOCK_SCOPE(&between.lock);
		between.commits++;
		if (between.hold_next) {
			between.hold_next = false;
			between.rk = rk;
			between.queue = queue;
			between.offsets = rd_kafka_topic_partition_list_copy(offsets);
			return 0;
		}
	}
	return __real_rd_kafka_commit_queue(rk, offsets, queue, done, opaque);
}

rd_kafka_resp_err_t __wrap_rd_kafka_event_error(rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t answer = 0;

	if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT) {
		DF_LOCK_SCOPE(&between.lock);
		answer = between.answer;
		between.answer = 0;
	}
	return answer ? answer : __real_rd_kafka_event_error(event);
}

static int commits(void)
{
	DF_LOCK_SCOPE(&between.lock);
	return between.commits;
}

static void hold_next(void)
{
	DF_LOCK_SCOPE(&between.lock);
	between.hold_next = true;
}

/* Sends what was held, as late as now, or forgets it as a network does; then its answer is this code. */
static void let_go(rd_kafka_resp_err_t lost)
{
	DF_LOCK_SCOPE(&between.lock);
	assert_non_null(between.offsets);
	if (lost) {
		between.answer = lost;
		for (int i = 0; i < between.offsets->cnt; i++)
			between.offsets->elems[i].offset = 0; /* where the group stands */
	}
	assert_int_equal(__real_rd_kafka_commit_queue(between.rk, between.offsets, between.queue, NULL, NULL), 0);
	rd_kafka_topic_partition_list_destroy(between.offsets);
	between.offsets = NULL;
}

/* A source that has read three messages, and committed none. */
struct kit {
	struct harness h;
	struct harness_reader reader;
	struct df_source *source;
	rd_kafka_t *asking;
	const char *topic;
};

static void begin(struct kit *kit)
{
	kit->topic = mock_topic(1);
	kit->asking = mock_consumer(kit->topic);
	harness_init(&kit->h);
	kit->h.env.once = false;
	mock_fill(kit->topic, "one");
	mock_fill(kit->topic, "two");
	mock_fill(kit->topic, "three");
	kit->source = mock_source(&kit->h, kit->topic, kit->topic);
	harness_start(&kit->reader, &kit->h, kit->source);
	harness_await(&kit->h, 3);
	between.commits = 0;
}

static void end(struct kit *kit)
{
	assert_int_equal(harness_stop(&kit->reader), DF_ERR_CANCELED);
	df_source_free(kit->source);
	harness_done(&kit->h);
	rd_kafka_destroy(kit->asking);
}

static void commit(struct kit *kit, size_t message)
{
	free(harness_commit_some(&kit->h, kit->source, message, 1));
}

static void test_one_at_a_time(void **state)
{
	struct kit kit;

	(void)state;
	begin(&kit);
	hold_next();
	commit(&kit, 0);
	commit(&kit, 1);
	commit(&kit, 2);
	usleep(PATIENCE_MS / 3 * 1000);
	assert_int_equal(commits(), 1); /* the others wait for it */
	let_go(0);
	mock_await_committed(kit.asking, kit.topic, 3);
	assert_int_equal(commits(), 2); /* what waited left as one */
	end(&kit);
}

static void test_no_answer_holds_up_nothing(void **state)
{
	struct kit kit;

	(void)state;
	begin(&kit);
	hold_next();
	commit(&kit, 0);
	commit(&kit, 1);
	mock_await_committed(kit.asking, kit.topic, 2); /* after the source's patience */
	let_go(0);					/* and takes it back to 1 */
	for (int i = 0; i < 100 && commits() < 3; i++)
		usleep(50000);
	mock_await_committed(kit.asking, kit.topic, 2);
	usleep(1500000);
	assert_int_equal(commits(), 3); /* and that was all there is to say */
	end(&kit);
}

/* A commit that was lost is told again, though nothing more is done. */
static void test_lost(void **state)
{
	static const rd_kafka_resp_err_t codes[] = { RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(codes); i++) {
		struct kit kit;

		begin(&kit);
		hold_next();
		commit(&kit, 0);
		let_go(codes[i]);
		mock_await_committed(kit.asking, kit.topic, 1);
		assert_int_equal(commits(), 2);
		end(&kit);
	}
}

/* A source that stops waits for no answer that does not come: it says all again, and what there is besides. */
static void test_stop_without_an_answer(void **state)
{
	(void)state;
	for (size_t besides = 0; besides < 2; besides++) {
		struct kit kit;

		begin(&kit);
		hold_next();
		for (size_t i = 0; i <= besides; i++)
			commit(&kit, i);
		assert_int_equal(commits(), 1);
		assert_int_equal(harness_stop(&kit.reader), DF_ERR_CANCELED);
		df_source_free(kit.source);
		assert_int_equal(mock_committed(kit.asking, kit.topic), 1 + besides);
		rd_kafka_topic_partition_list_destroy(between.offsets);
		harness_done(&kit.h);
		rd_kafka_destroy(kit.asking);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_no_answer_holds_up_nothing),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_stop_without_an_answer),
	};

	return cmocka_run_group_tests(tests, mock_set_up, mock_tear_down);
}
