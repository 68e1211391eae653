/* What the group and the topic do: partitions come and go, positions fall out of range, ends are reached. */
#include "connectors/kafka/source.h"

#include <inttypes.h>

#define DRAIN (10 * DF_NS_PER_S) /* what is in flight may take that long when partitions are taken away */
#define ASK_MS 5000		 /* a question to a broker that is asked while polling */

struct df_kafka_partition *df_kafka_source_partition(struct df_kafka_source *s, int32_t number)
{
	if (number < 0 || (size_t)number >= s->partition_count || !s->partitions[number].ledger)
		return NULL;
	return &s->partitions[number];
}

rd_kafka_topic_partition_list_t *df_kafka_source_ours(struct df_kafka_source *s)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)s->partition_count);

	for (size_t i = 0; i < s->partition_count; i++) {
		if (s->partitions[i].ledger)
			rd_kafka_topic_partition_list_add(list, df_kafka_source_topic(s), (int32_t)i);
	}
	return list;
}

bool df_kafka_source_ended(const struct df_kafka_source *s)
{
	for (size_t i = 0; i < s->partition_count; i++) {
		if (s->partitions[i].ledger && !s->partitions[i].ended)
			return false;
	}
	return s->assigned;
}

void df_kafka_source_tell_lag(struct df_kafka_source *s)
{
	for (size_t i = 0; i < s->partition_count; i++) {
		const struct df_kafka_partition *p = &s->partitions[i];
		int64_t low, high;

		if (!p->ledger ||
		    rd_kafka_get_watermark_offsets(s->rk, df_kafka_source_topic(s), (int32_t)i, &low, &high))
			continue;
		if (high >= 0 && p->next >= 0)
			df_emitter_lag(s->out, p->ledger, high > p->next ? high - p->next : 0);
	}
}

/* ---- partitions come ------------------------------------------------------------------------------------- */

static int64_t initial_offset(const struct df_kafka_source *s)
{
	return df_str_equal_c(df_str_c(s->settings->initial_offset), "latest") ? RD_KAFKA_OFFSET_END
									       : RD_KAFKA_OFFSET_BEGINNING;
}

/* Where a group without a position begins in this partition. The end is a number, so that what comes from now on is not
 * skipped when the partition is assigned anew. */
static int64_t first_offset(const struct df_kafka_source *s, rd_kafka_t *rk, const rd_kafka_topic_partition_t *t)
{
	int64_t low, high, offset = initial_offset(s);

	if (offset == RD_KAFKA_OFFSET_END &&
	    !rd_kafka_query_watermark_offsets(rk, t->topic, t->partition, &low, &high, ASK_MS))
		return high;
	return offset;
}

/* The group's position, or that of a sink that is ahead of it, or where a group without one begins. */
static void choose_offsets(struct df_kafka_source *s, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list)
{
	df_cleanup(df_kafka_topic_list_freep) rd_kafka_topic_partition_list_t *committed =
		rd_kafka_topic_partition_list_copy(list);
	rd_kafka_resp_err_t code = rd_kafka_committed(rk, committed, ASK_MS);

	for (int i = 0; i < list->cnt; i++) {
		rd_kafka_topic_partition_t *t = &list->elems[i];
		const rd_kafka_topic_partition_t *c =
			rd_kafka_topic_partition_list_find(committed, t->topic, t->partition);
		const struct df_kafka_partition *p = &s->partitions[t->partition];

		/* Not answered: librdkafka asks again; the event AUTO_OFFSET_RESET when there is none. */
		t->offset = RD_KAFKA_OFFSET_STORED;
		if (!code && c && !c->err)
			t->offset = c->offset >= 0 ? c->offset : first_offset(s, rk, t);
		if (p->restored >= 0 && p->restored > t->offset)
			t->offset = p->restored;
	}
}

/* Under the lock. */
static int take_over(struct df_kafka_source *s, rd_kafka_t *rk, const rd_kafka_topic_partition_t *t,
		     struct df_error *err)
{
	struct df_kafka_partition *p = &s->partitions[t->partition];
	struct df_partition *ledger = NULL;
	int64_t low, high;
	int r = df_emitter_partition(s->out, df_str_c(p->key), &ledger, err);

	if (r < 0)
		return r;
	p->ledger = ledger;
	p->done = p->told = -1;
	p->begin = p->next = t->offset >= 0 ? t->offset : -1;
	p->end = -1;
	p->ended = false;
	if (s->base.state.env.once &&
	    !rd_kafka_query_watermark_offsets(rk, t->topic, t->partition, &low, &high, ASK_MS)) {
		p->end = high;
		p->ended = low == high || p->next >= high;
	}
	return 0;
}

static void give(struct df_kafka_source *s, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, struct df_error *err)
{
	int r = 0;

	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < list->cnt && r == 0; i++)
		r = df_kafka_source_room(s, list->elems[i].partition, err);
	pthread_mutex_unlock(&s->lock);
	if (r == 0)
		choose_offsets(s, rk, list);
	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < list->cnt && r == 0; i++)
		r = take_over(s, rk, &list->elems[i], err);
	s->gone = false;
	pthread_mutex_unlock(&s->lock);
	s->assigned = true;
	df_info(s->client.logger, "the group gives %d partition%s of `%s`", list->cnt, list->cnt == 1 ? "" : "s",
		df_kafka_source_topic(s));
	if (s->cooperative)
		df_kafka_ignore(rd_kafka_incremental_assign(rk, list));
	else
		(void)rd_kafka_assign(rk, list);
	if (s->paused) /* the new ones too */
		(void)rd_kafka_pause_partitions(rk, list);
}

/* ---- and go ---------------------------------------------------------------------------------------------- */

static bool is_in(const rd_kafka_topic_partition_list_t *list, const struct df_kafka_source *s,
		  const struct df_batch *b)
{
	for (int i = 0; i < list->cnt; i++) {
		if (b->count > 0 && b->messages[0].partition == s->partitions[list->elems[i].partition].ledger)
			return true;
	}
	return false;
}

static bool is_listed(const rd_kafka_topic_partition_list_t *list, const rd_kafka_message_t *m)
{
	for (int i = 0; m && i < list->cnt; i++) {
		if (list->elems[i].partition == m->partition)
			return true;
	}
	return false;
}

/* What did not become a batch, or did not fit downstream in time: the new owner reads it. */
static void drop_waiting(struct df_kafka_source *s, const rd_kafka_topic_partition_list_t *list)
{
	struct df_batch *batch = s->first;

	for (size_t i = s->polled_at; i < s->polled_count; i++) {
		if (is_listed(list, s->polled[i]))
			rd_kafka_message_destroy(DF_TAKE(s->polled[i]));
	}
	s->first = s->last = NULL;
	while (batch) {
		struct df_batch *next = batch->next;

		if (is_in(list, s, batch)) {
			df_batch_free(batch);
		} else {
			batch->next = NULL;
			if (s->last)
				s->last->next = batch;
			else
				s->first = batch;
			s->last = batch;
		}
		batch = next;
	}
}

/* What is in flight is finished and committed, as far as the time suffices. Not ended by the reader's context: what was
 * read is delivered also when the program stops just now. */
static void finish(struct df_kafka_source *s, const rd_kafka_topic_partition_list_t *list)
{
	df_cleanup(df_context_freep) struct df_context *limited = df_context_new(s->base.state.context);
	int64_t end = df_clock_monotonic() + DRAIN;
	struct df_error ignored;
	bool all = true;

	if (!limited)
		return;
	df_context_deadline(limited, end);
	all = df_kafka_source_flush(s, limited, end, &ignored) == 0;
	for (int i = 0; i < list->cnt; i++) {
		struct df_kafka_partition *p = df_kafka_source_partition(s, list->elems[i].partition);

		if (p && df_emitter_drain(s->out, p->ledger, limited, &ignored) < 0)
			all = false;
	}
	if (!all)
		df_warn(s->client.logger,
			"the group takes partitions away, and what was read of them was not written within %d s: the new "
			"owner reads it again",
			(int)(DRAIN / DF_NS_PER_S));
	df_kafka_source_commit_now(s, list);
}

static void forget(struct df_kafka_source *s, const rd_kafka_topic_partition_list_t *list)
{
	DF_LOCK_SCOPE(&s->lock);
	for (int i = 0; i < list->cnt; i++) {
		struct df_kafka_partition *p = df_kafka_source_partition(s, list->elems[i].partition);

		if (!p)
			continue;
		if (s->out)
			df_emitter_lag(s->out, p->ledger, -1);
		df_partition_forget(DF_TAKE(p->ledger));
		p->done = p->begin = p->next = -1;
	}
}

/* They went without asking: logged and counted. */
static void say_lost(struct df_kafka_source *s, int count)
{
	struct df_error why;

	if (s->gone) /* its positions mean nothing for a topic that is made anew under the name */
		df_error_set(&why, DF_ERR_TRANSIENT, "the topic `%s` was deleted: the group's position in it is void",
			     df_kafka_source_topic(s));
	else
		df_error_set(&why, DF_ERR_TRANSIENT,
			     "the group gave %d partition%s to others without asking (no heartbeat reached it in "
			     "time): what is in flight of them is written twice",
			     count, count == 1 ? "" : "s");
	df_warn(s->client.logger, "%s", why.text);
	df_emitter_trouble(s->out, &why);
}

static void take_away(struct df_kafka_source *s, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list)
{
	bool lost = rd_kafka_assignment_lost(rk) != 0;

	if (s->out) {
		if (s->gone || lost)
			say_lost(s, list->cnt);
		else
			finish(s, list);
		drop_waiting(s, list);
		forget(s, list);
		df_info(s->client.logger, "the group takes %d partition%s of `%s`", list->cnt,
			list->cnt == 1 ? "" : "s", df_kafka_source_topic(s));
	}
	if (s->paused) /* librdkafka would remember it for when they come back */
		(void)rd_kafka_resume_partitions(rk, list);
	if (s->cooperative)
		df_kafka_ignore(rd_kafka_incremental_unassign(rk, list));
	else
		(void)rd_kafka_assign(rk, NULL);
}

void df_kafka_source_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
			       void *opaque)
{
	struct df_kafka_source *s = DF_CONTAINER_OF((struct df_kafka_client *)opaque, struct df_kafka_source, client);

	df_kafka_client_working(&s->client);
	if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && s->out)
		give(s, rk, list, &s->failure);
	else
		take_away(s, rk, list);
}

/* ---- events in place of messages ------------------------------------------------------------------------- */

/* Reading goes on there once what librdkafka handed out is through. */
static void move(struct df_kafka_source *s, struct df_kafka_partition *p, int64_t to)
{
	DF_LOCK_SCOPE(&s->lock);
	p->begin = p->next = to >= 0 ? to : -1;
	p->moved = true;
	s->moved = true;
}

/* librdkafka stopped fetching what was out of range, and seeks only where it fetches: assigned anew it begins again.
 * The eager protocol knows only whole assignments. */
void df_kafka_source_move(struct df_kafka_source *s)
{
	df_cleanup(df_kafka_topic_list_freep) rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new((int)s->partition_count);

	s->moved = false;
	for (size_t i = 0; i < s->partition_count; i++) {
		struct df_kafka_partition *p = &s->partitions[i];
		rd_kafka_topic_partition_t *t;

		if (!p->ledger || (s->cooperative && !p->moved))
			continue;
		p->moved = false;
		t = rd_kafka_topic_partition_list_add(list, df_kafka_source_topic(s), (int32_t)i);
		t->offset = p->next >= 0 ? p->next : initial_offset(s);
	}
	if (list->cnt == 0)
		return;
	if (s->cooperative) {
		df_kafka_ignore(rd_kafka_incremental_unassign(s->rk, list));
		df_kafka_ignore(rd_kafka_incremental_assign(s->rk, list));
	} else {
		(void)rd_kafka_assign(s->rk, list);
	}
}

/* The group's position is not in the topic any more, or there is none. */
static int out_of_range(struct df_kafka_source *s, const rd_kafka_message_t *m, struct df_error *err)
{
	struct df_kafka_partition *p = df_kafka_source_partition(s, m->partition);
	struct df_str policy = df_str_c(s->settings->offset_out_of_range);
	int64_t low, high, to;
	rd_kafka_resp_err_t code;
	struct df_error why;

	if (!p)
		return 0;
	if (m->offset <
	    0) { /* the group's position could not be asked for when the partition came, and there is none */
		move(s, p, RD_KAFKA_OFFSET_INVALID);
		return 0;
	}
	code = rd_kafka_query_watermark_offsets(s->rk, df_kafka_source_topic(s), m->partition, &low, &high, ASK_MS);
	if (code)
		return df_kafka_error(err, code, "asking where partition %" PRId32 " begins", m->partition);
	if (df_str_equal_c(policy, "error")) {
		df_error_set(err, DF_ERR_CONFIG,
			     "position %" PRId64 " is not in partition %" PRId32 " of `%s`, which holds %" PRId64
			     " to %" PRId64
			     ": retention was faster. Set offsetOutOfRange to earliest or latest to go on",
			     m->offset, m->partition, df_kafka_source_topic(s), low, high);
		df_error_remote(err, rd_kafka_err2name(RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE));
		return DF_ERR_CONFIG;
	}
	to = df_str_equal_c(policy, "latest") ? high : low;
	df_error_set(&why, DF_ERR_UNKNOWN,
		     "position %" PRId64 " is not in partition %" PRId32 " of `%s` any more (it holds %" PRId64
		     " to %" PRId64 "): reading goes on at %" PRId64,
		     m->offset, m->partition, df_kafka_source_topic(s), low, high, to);
	df_warn(s->client.logger, "%s", why.text);
	df_emitter_trouble(s->out, &why);
	p->ended = p->end >= 0 && to >= p->end;
	move(s, p, to);
	return 0;
}

static int fatal(struct df_kafka_source *s, struct df_error *err)
{
	char words[256];
	rd_kafka_resp_err_t code = rd_kafka_fatal_error(s->rk, words, sizeof(words));

	df_error_set(err, df_kafka_code(code), "%s", words);
	df_error_remote(err, rd_kafka_err2name(code));
	if (code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
		df_error_set(err, DF_ERR_CONFIG,
			     "another consumer of the group took over the groupInstanceId of this one");
	return err->code;
}

int df_kafka_source_event(struct df_kafka_source *s, const rd_kafka_message_t *m, struct df_error *err)
{
	struct df_kafka_partition *p = df_kafka_source_partition(s, m->partition);
	struct df_error why;

	if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		if (p)
			p->ended = true;
		return 0;
	}
	if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
		return out_of_range(s, m, err);
	if (m->err == RD_KAFKA_RESP_ERR__FATAL)
		return fatal(s, err);
	if (m->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || m->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) {
		DF_LOCK_SCOPE(&s->lock);
		s->gone = true;
	}
	/* librdkafka goes on trying whatever it is: a topic that is deleted may come back, a right be given. */
	df_error_set(&why, df_kafka_code(m->err), "%s", rd_kafka_message_errstr(m));
	df_error_remote(&why, rd_kafka_err2name(m->err));
	df_emitter_trouble(s->out, &why);
	if (!df_kafka_say(&s->said_ns))
		return 0;
	df_log_error(s->client.logger, df_kafka_code(m->err) == DF_ERR_TRANSIENT ? DF_LOG_WARN : DF_LOG_ERROR, &why,
		     "reading `%s` does not get on, trying again and again", df_kafka_source_topic(s));
	return 0;
}
