/*
 * Positions of the Kafka source. They are the group's: what the ledger says is done is committed to it. Behind a
 * transactional sink they are the sink's: `describe` says what its transaction has to store, and nothing is committed
 * here, where it could overtake that.
 */
#include <stdlib.h>

#include "connectors/kafka/source.h"

#define COMMIT_WAIT (5 * DF_NS_PER_S)
#define COMMIT_AGAIN (50 * DF_NS_PER_MS)
#define COMMIT_PATIENCE (5 * DF_NS_PER_S) /* with one that is on its way */
/* Not a time-out: that may be the answer. */
#define NO_ANSWER RD_KAFKA_RESP_ERR__IN_PROGRESS

static struct df_kafka_source *source_of(struct df_source *s)
{
	return (struct df_kafka_source *)s;
}

int df_kafka_source_room(struct df_kafka_source *s, int32_t number, struct df_error *err)
{
	size_t count = (size_t)number + 1;
	struct df_kafka_partition *grown;

	if (count <= s->partition_count)
		return 0;
	grown = realloc(s->partitions, count * sizeof(*grown));
	if (!grown)
		return df_error_no_memory(err);
	s->partitions = grown;
	for (size_t i = s->partition_count; i < count; i++) {
		grown[i] = (struct df_kafka_partition){
			.done = -1, .told = -1, .begin = -1, .restored = -1, .next = -1, .end = -1
		};
		snprintf(grown[i].key, sizeof(grown[i].key), "%zu", i);
	}
	s->partition_count = count;
	return 0;
}

/* The partition of the ledger's, when it is still ours. Under the lock. */
static struct df_kafka_partition *partition_of(struct df_kafka_source *s, const struct df_commit *commit)
{
	int64_t number;

	if (!df_str_to_int64(commit->key, &number) || number < 0 || (size_t)number >= s->partition_count)
		return NULL;
	return s->partitions[number].ledger == commit->partition ? &s->partitions[number] : NULL;
}

/* ---- the group's ----------------------------------------------------------------------------------------- */

/* One commit at a time: librdkafka sends one again that failed, and keeps one until there is a coordinator; behind a
 * later one it would take that back. One that gets no answer for long (a minute, when the coordinator went) does not
 * hold up the next; all is told once more when both are answered. */

static void add(struct df_kafka_source *s, rd_kafka_topic_partition_list_t *list, struct df_kafka_partition *p)
{
	if (!p->ledger || p->done < 0 || p->done == p->told)
		return;
	rd_kafka_topic_partition_list_add(list, df_kafka_source_topic(s), (int32_t)(p - s->partitions))->offset =
		p->done;
	p->told = p->done;
}

static void forget_told(struct df_kafka_source *s)
{
	for (size_t i = 0; i < s->partition_count; i++)
		s->partitions[i].told = -1;
}

/* Sends what the group does not know of these partitions (NULL: of all). False: there is nothing. Under the lock. */
static bool send_commit(struct df_kafka_source *s, const rd_kafka_topic_partition_list_t *of)
{
	df_cleanup(df_kafka_topic_list_freep) rd_kafka_topic_partition_list_t *list = NULL;
	int64_t now = df_clock_monotonic();

	if (!s->rk || s->described || s->gone || (s->committing && now - s->commit_ns < COMMIT_PATIENCE))
		return false;
	if (s->committing) {
		s->overlapped = true;
		forget_told(s);
	}
	list = rd_kafka_topic_partition_list_new(8);
	for (size_t i = 0; !of && i < s->partition_count; i++)
		add(s, list, &s->partitions[i]);
	for (int i = 0; of && i < of->cnt; i++) {
		if ((size_t)of->elems[i].partition < s->partition_count)
			add(s, list, &s->partitions[of->elems[i].partition]);
	}
	if (list->cnt == 0)
		return false;
	if (rd_kafka_commit_queue(s->rk, list, s->commits, NULL, NULL)) {
		forget_told(s);
		return false;
	}
	s->committing++;
	s->commit_ns = now;
	return true;
}

int df_kafka_source_commit(struct df_source *source, const struct df_commit *commits, size_t count,
			   struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	struct df_kafka_source *s = source_of(source);

	(void)checkpoint;
	(void)arena;
	(void)err;
	DF_LOCK_SCOPE(&s->lock);
	for (size_t i = 0; i < count; i++) {
		struct df_kafka_partition *p = partition_of(s, &commits[i]);

		if (p) /* else it went to another member, whose business it is now */
			p->done = commits[i].position.number + 1;
	}
	(void)send_commit(s, NULL);
	return 0;
}

static bool is_committing(struct df_kafka_source *s)
{
	DF_LOCK_SCOPE(&s->lock);
	return s->committing > 0;
}

/* Waits for the answer to a commit that is on its way, if one is. */
static rd_kafka_resp_err_t take_answer(struct df_kafka_source *s, int ms)
{
	rd_kafka_event_t *event = is_committing(s) ? rd_kafka_queue_poll(s->commits, ms) : NULL;
	rd_kafka_resp_err_t code;

	DF_LOCK_SCOPE(&s->lock);
	if (!event)
		return s->committing ? NO_ANSWER : 0;
	code = rd_kafka_event_error(event);
	rd_kafka_event_destroy(event);
	s->committing--;
	if (code == RD_KAFKA_RESP_ERR__NO_OFFSET)
		code = 0;
	if (code || (s->overlapped && !s->committing))
		forget_told(s);
	s->overlapped &= s->committing > 0;
	return code;
}

void df_kafka_source_look_at_commits(struct df_kafka_source *s, bool due)
{
	bool sent = is_committing(s);
	rd_kafka_resp_err_t code = sent ? take_answer(s, 0) : 0;
	struct df_error err;

	if (code == NO_ANSWER && !due)
		return;
	s->commit_again |= code != 0 && code != NO_ANSWER;
	if (code && code != NO_ANSWER && df_kafka_say(&s->commit_said_ns)) {
		df_kafka_error(&err, code, "committing offsets");
		df_log_error(s->client.logger, DF_LOG_WARN, &err,
			     "the group's position stays behind, tried again every second");
	}
	if (s->commit_again ? !due : !sent)
		return;
	s->commit_again = false;
	DF_LOCK_SCOPE(&s->lock);
	(void)send_commit(s, NULL);
}

/* While the group makes up its mind (a cooperative member keeps its partitions meanwhile) the generation changes under
 * a commit, and the next try knows it. */
static bool passes(const struct df_kafka_source *s, rd_kafka_resp_err_t code)
{
	return df_kafka_code(code) == DF_ERR_TRANSIENT && code != RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID &&
	       !rd_kafka_assignment_lost(s->rk);
}

static bool send_more(struct df_kafka_source *s, const rd_kafka_topic_partition_list_t *of)
{
	DF_LOCK_SCOPE(&s->lock);
	return send_commit(s, of);
}

static void lose_patience(struct df_kafka_source *s)
{
	DF_LOCK_SCOPE(&s->lock);
	s->commit_ns -= COMMIT_PATIENCE;
}

void df_kafka_source_commit_now(struct df_kafka_source *s, const rd_kafka_topic_partition_list_t *of)
{
	int64_t end = df_clock_monotonic() + COMMIT_WAIT, left = COMMIT_WAIT;
	rd_kafka_resp_err_t code = take_answer(s, (int)(left / 2 / DF_NS_PER_MS));
	struct df_error why;

	if (code == NO_ANSWER)
		lose_patience(s);
	code = 0; /* whatever it was: what is missing is sent now */
	while (send_more(s, of) || is_committing(s)) {
		left = end - df_clock_monotonic();
		code = take_answer(s, (int)(left > 0 ? left / DF_NS_PER_MS : 0));
		if (code && (!passes(s, code) || left < COMMIT_AGAIN))
			break;
		if (code)
			(void)!df_context_sleep(NULL, COMMIT_AGAIN);
	}
	if (!code)
		return;
	df_kafka_error(&why, code == NO_ANSWER ? RD_KAFKA_RESP_ERR__TIMED_OUT : code, "committing offsets");
	df_log_error(s->client.logger, DF_LOG_WARN, &why, "messages that are done will be read again");
}

/* ---- a transactional sink's ------------------------------------------------------------------------------ */

static struct df_value *text_value(struct df_arena *arena, const char *text)
{
	return df_value_string_copy(arena, df_str_c(text));
}

/* The consumer's membership, with which a producer of the same cluster commits in its name. */
static struct df_value *membership(rd_kafka_t *rk, struct df_arena *arena)
{
	rd_kafka_consumer_group_metadata_t *metadata = rd_kafka_consumer_group_metadata(rk);
	struct df_value *value = NULL;
	void *bytes = NULL;
	size_t len = 0;

	if (!metadata)
		return NULL;
	{
		df_cleanup(df_kafka_error_freep) rd_kafka_error_t *error =
			rd_kafka_consumer_group_metadata_write(metadata, &bytes, &len);
		struct df_str copy = error ? (struct df_str){ 0 } : df_arena_dup(arena, df_str(bytes, len));

		value = copy.ptr ? df_value_bytes(arena, copy) : NULL;
	}
	free(bytes);
	rd_kafka_consumer_group_metadata_destroy(metadata);
	return value;
}

/* Where partition i goes on: the commit's word, else what was described before, unless others have read on since. */
static int64_t described_offset(const struct df_kafka_source *s, size_t i, const struct df_commit *commits,
				size_t count, const struct df_value *before)
{
	const struct df_kafka_partition *p = &s->partitions[i];
	int64_t offset;

	for (size_t n = 0; n < count; n++) {
		if (commits[n].partition == p->ledger)
			return commits[n].position.number + 1;
	}
	if (!before || !df_value_to_int64(before, &offset) || p->begin < 0 || offset < p->begin)
		return -1;
	return offset;
}

static int describe_offsets(struct df_kafka_source *s, const struct df_commit *commits, size_t count,
			    struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	const struct df_value *before = df_object_get_c(checkpoint, "offsets");
	struct df_value *offsets = df_value_new(arena, DF_OBJECT);

	for (size_t i = 0; offsets && i < s->partition_count; i++) {
		int64_t offset = -1;
		struct df_value *number;
		struct df_str key;

		if (s->partitions[i].ledger)
			offset = described_offset(s, i, commits, count, df_object_get_c(before, s->partitions[i].key));
		if (offset < 0)
			continue;
		key = df_arena_dup(arena, df_str_c(s->partitions[i].key));
		number = df_value_int64(arena, offset);
		if (!key.ptr || !number)
			return df_error_no_memory(err);
		df_object_append(offsets, key, number);
	}
	if (!offsets)
		return df_error_no_memory(err);
	df_object_set(checkpoint, DF_STR("offsets"), offsets);
	return 0;
}

int df_kafka_source_describe(struct df_source *source, const struct df_commit *commits, size_t count,
			     struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	struct df_kafka_source *s = source_of(source);
	struct df_value *topic = text_value(arena, df_kafka_source_topic(s));
	struct df_value *member = NULL;
	int r = 0;

	DF_LOCK_SCOPE(&s->lock);
	s->described = true;
	if (!topic)
		return df_error_no_memory(err);
	df_object_set(checkpoint, DF_STR("topic"), topic);
	if (count == 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (!partition_of(s, &commits[i]))
			return df_error_set(err, DF_ERR_TRANSIENT,
					    "the group gave partition " DF_STR_FMT " to another member just now",
					    DF_STR_ARG(commits[i].key));
	}
	r = describe_offsets(s, commits, count, checkpoint, arena, err);
	if (r == 0 && s->rk)
		member = membership(s->rk, arena);
	if (member)
		df_object_set(checkpoint, DF_STR("member"), member);
	return r;
}

int df_kafka_source_restore(struct df_source *source, const struct df_value *checkpoint, struct df_error *err)
{
	struct df_kafka_source *s = source_of(source);
	struct df_value *topic = df_object_get_c(checkpoint, "topic"),
			*offsets = df_object_get_c(checkpoint, "offsets");

	if (topic && !df_value_string_equal(topic, df_str_c(df_kafka_source_topic(s))))
		return df_error_set(
			err, DF_ERR_CONFIG,
			"the position that is held is of another topic, not of `%s`: set checkpointReset to "
			"begin where the group stands",
			df_kafka_source_topic(s));
	if (!offsets)
		return 0;
	DF_LOCK_SCOPE(&s->lock);
	df_for_each (child, offsets) {
		int64_t number, offset;
		int r;

		if (!df_str_to_int64(df_value_key(child), &number) || number < 0 || number > 1000000 ||
		    !df_value_to_int64(child, &offset) || offset < 0)
			return df_error_set(
				err, DF_ERR_CONFIG,
				"the offsets that are held are damaged: set checkpointReset to begin where the "
				"group stands");
		r = df_kafka_source_room(s, (int32_t)number, err);
		if (r < 0)
			return r;
		s->partitions[number].restored = offset;
	}
	return 0;
}
