/*
 * Exactly once, kafka to kafka: the records of a write and the group's offsets of the messages they came from are one
 * transaction. Offsets go with the membership of the consumer that read them, so the broker refuses a commit of a
 * member that the group gave up (KIP-447), and the transactional id shuts out a process that was thought dead. A
 * refused transaction is taken back and tried again: by then the source knows the new membership, and which messages
 * others have now.
 *
 * Whether a commit happened is never a guess here: librdkafka asks until it knows. When the producer breaks meanwhile,
 * the pipeline stops and the next start reads from where the group's committed offsets are.
 */
#include "connectors/kafka/sink.h"

#define STEP_MS 1000 /* between two looks at the context */

void df_kafka_sink_set_transactional(struct df_kafka_sink *s, struct df_kafka_conf *c)
{
	const struct df_connector_env *env = &s->base.state.env;
	struct df_buf name = { 0 };
	char *id;

	if (s->settings->transactional_id)
		df_buf_add_c(&name, s->settings->transactional_id);
	else
		df_buf_printf(&name, "dataflow-%s-%s-${POD_NAME}", env->namespace ? env->namespace : "default",
			      env->name ? env->name : "flow");
	id = df_kafka_expand_pod(df_buf_c(&name));
	df_kafka_set(c, "transactional.id", id ? id : "");
	free(id);
	df_buf_done(&name);
}

/* One step of librdkafka's transaction API. */
typedef rd_kafka_error_t *(*step_fn)(rd_kafka_t *rk, void *arg, int ms);

/* Whatever is refused now may be granted later: asks again until it is, or the context ends. 0, or why not;
 * *abort: the transaction can be taken back, else the producer is of no use any more. */
static int run_step(struct df_kafka_sink *s, struct df_context *ctx, step_fn step, void *arg, const char *what,
		    bool *abort, struct df_error *err)
{
	for (;;) {
		df_cleanup(df_kafka_error_freep) rd_kafka_error_t *error = step(s->rk, arg, STEP_MS);
		rd_kafka_resp_err_t code;

		*abort = false;
		if (!error)
			return 0;
		code = rd_kafka_error_code(error);
		df_kafka_error(err, code, "%s (%s)", what, rd_kafka_error_string(error));
		*abort = rd_kafka_error_txn_requires_abort(error);
		if (rd_kafka_error_is_fatal(error)) {
			df_error_set(
				err, DF_ERR_UNKNOWN,
				"%s: %s; another process with this transactionalId, or a transaction that took too "
				"long. The next start goes on where the last committed transaction ended",
				what, rd_kafka_error_string(error));
			df_error_remote(err, rd_kafka_err2name(code));
		}
		if (*abort || !rd_kafka_error_is_retriable(error))
			return err->code;
		if (df_context_check(ctx, NULL) < 0)
			return df_error_set(err, DF_ERR_CANCELED, "stopped while %s", what);
		(void)!df_context_sleep(ctx, 20 * DF_NS_PER_MS);
	}
}

static rd_kafka_error_t *step_init(rd_kafka_t *rk, void *arg, int ms)
{
	(void)arg;
	return rd_kafka_init_transactions(rk, ms);
}

static rd_kafka_error_t *step_begin(rd_kafka_t *rk, void *arg, int ms)
{
	(void)arg;
	(void)ms;
	return rd_kafka_begin_transaction(rk);
}

static rd_kafka_error_t *step_commit(rd_kafka_t *rk, void *arg, int ms)
{
	(void)arg;
	return rd_kafka_commit_transaction(rk, ms);
}

static rd_kafka_error_t *step_abort(rd_kafka_t *rk, void *arg, int ms)
{
	(void)arg;
	return rd_kafka_abort_transaction(rk, ms);
}

int df_kafka_sink_begin_transactional(struct df_kafka_sink *s, struct df_context *ctx, struct df_error *err)
{
	bool abort;
	int r = run_step(s, ctx, step_init, NULL, "beginning transactions", &abort, err);

	if (r == DF_ERR_UNKNOWN)
		err->code = r = DF_ERR_CONFIG;
	return r;
}

/* ---- offsets --------------------------------------------------------------------------------------------- */

struct offsets {
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_consumer_group_metadata_t *member;
};

static rd_kafka_error_t *step_offsets(rd_kafka_t *rk, void *arg, int ms)
{
	const struct offsets *o = arg;

	return rd_kafka_send_offsets_to_transaction(rk, o->list, o->member, ms);
}

/* The object that the Kafka source described, wherever the processor put it. */
static const struct df_value *find_position(const struct df_value *v)
{
	if (!v || v->kind != DF_OBJECT)
		return NULL;
	if (df_object_get_c(v, "member") && df_object_get_c(v, "offsets"))
		return v;
	df_for_each (child, v) {
		const struct df_value *found = find_position(child);

		if (found)
			return found;
	}
	return NULL;
}

static int read_member(const struct df_value *position, struct df_arena *arena,
		       rd_kafka_consumer_group_metadata_t **ret, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf bytes = { 0 };
	struct df_str text = df_value_text(df_object_get_c(position, "member"), arena);

	if (text.ptr && df_buf_add_base64_decoded(&bytes, text)) {
		df_cleanup(df_kafka_error_freep) rd_kafka_error_t *error =
			rd_kafka_consumer_group_metadata_read(ret, bytes.data, bytes.len);

		if (!error)
			return 0;
	}
	return df_error_set(err, DF_ERR_UNKNOWN, "the consumer's membership cannot be read");
}

static int read_offsets(const struct df_value *position, struct df_arena *arena, struct offsets *ret,
			struct df_error *err)
{
	df_cleanup(df_freep) char *topic = df_str_dup(df_value_text(df_object_get_c(position, "topic"), arena));
	int r = topic ? read_member(position, arena, &ret->member, err) : df_error_no_memory(err);

	if (r < 0)
		return r;
	df_for_each (child, df_object_get_c(position, "offsets")) {
		int64_t number = 0, offset = 0;

		if (df_str_to_int64(df_value_key(child), &number) && df_value_to_int64(child, &offset))
			rd_kafka_topic_partition_list_add(ret->list, topic, (int32_t)number)->offset = offset;
	}
	return 0;
}

static int send_offsets(struct df_kafka_sink *s, struct df_context *ctx, struct df_write *w, bool *abort,
			struct df_error *err)
{
	df_cleanup(df_kafka_topic_list_freep) rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(8);
	struct offsets offsets = { .list = list };
	struct df_value *root = NULL;
	const struct df_value *position;
	int r = 0;

	*abort = true;
	if (w->checkpoint.ptr)
		r = df_value_parse_text(w->checkpoint, w->arena, &root, err);
	position = r == 0 ? find_position(root) : NULL;
	if (r == 0 && !position)
		r = df_error_set(
			err, DF_ERR_CONFIG,
			"exactlyOnce of a kafka sink needs a kafka source: no other's position can be stored in "
			"its transaction");
	if (r == 0)
		r = read_offsets(position, w->arena, &offsets, err);
	if (r < 0)
		return r;
	r = run_step(s, ctx, step_offsets, &offsets, "adding offsets to the transaction", abort, err);
	rd_kafka_consumer_group_metadata_destroy(offsets.member);
	return r;
}

/* ---- one write ------------------------------------------------------------------------------------------- */

/* Until every message has its report. */
static int flush(struct df_kafka_sink *s, struct df_context *ctx, struct df_error *err)
{
	while (rd_kafka_flush(s->rk, STEP_MS) == RD_KAFKA_RESP_ERR__TIMED_OUT) {
		if (df_context_check(ctx, NULL) < 0)
			return df_error_set(err, DF_ERR_CANCELED, "stopped while writing");
	}
	return 0;
}

static int take_back(struct df_kafka_sink *s, struct df_context *ctx, int r, struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;
	bool abort;

	if (run_step(s, ctx, step_abort, NULL, "taking a transaction back", &abort, &why) == 0)
		return r;
	*err = why;
	return why.code;
}

static int run_transaction(struct df_kafka_sink *s, struct df_context *ctx, struct df_write *w, bool *abort,
			   struct df_error *err)
{
	int r;

	*abort = true;
	r = df_kafka_sink_produce(s, ctx, w, err);
	if (r == 0)
		r = flush(s, ctx, err);
	if (r == 0) {
		DF_LOCK_SCOPE(&s->lock);
		if (s->refused > 0)
			return DF_WRITE_UNDONE;
		if (s->failed.code) {
			*err = s->failed;
			return s->failed.code;
		}
	}
	if (r == 0)
		r = send_offsets(s, ctx, w, abort, err);
	return r == 0 ? run_step(s, ctx, step_commit, NULL, "committing a transaction", abort, err) : r;
}

/* A broken producer does not come back by being made anew: whether its last commit happened is in the group's offsets,
 * which the source reads at the next start. */
static int judge_fatal(struct df_kafka_sink *s, int r, struct df_error *err)
{
	char words[256];
	rd_kafka_resp_err_t code = rd_kafka_fatal_error(s->rk, words, sizeof(words));

	if (!code || err->code == DF_ERR_UNKNOWN)
		return r;
	df_error_set(err, DF_ERR_UNKNOWN,
		     "the transactional producer is broken (%s): another process with its transactionalId, or a "
		     "transaction that took too long. The next start goes on where the last committed one ended",
		     words);
	df_error_remote(err, rd_kafka_err2name(code));
	return DF_ERR_UNKNOWN;
}

int df_kafka_sink_transaction(struct df_kafka_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	bool abort = false;
	int r;

	s->refused = 0;
	s->failed = DF_ERROR_INIT;
	r = run_step(s, ctx, step_begin, NULL, "beginning a transaction", &abort, err);
	if (r == 0)
		r = run_transaction(s, ctx, w, &abort, err);
	if (r == 0)
		return 0;
	if (r == DF_WRITE_UNDONE)
		return take_back(s, ctx, r, err);
	r = judge_fatal(s, r, err);
	if (abort && r != DF_ERR_UNKNOWN) {
		bool stays = r == DF_ERR_CONFIG || r == DF_ERR_CANCELED || r == DF_ERR_AUTH;

		r = take_back(s, ctx, r, err);
		/* A transaction that was taken back can be tried again as a whole. */
		if (!stays && !df_code_poison(r) && r != DF_ERR_UNKNOWN && r != DF_ERR_DENIED)
			err->code = r = DF_ERR_TRANSIENT;
	}
	return r;
}
