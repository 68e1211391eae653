/* What a program answers to writes: each message gets its result, whoever waits for a whole write is told. */
#include "connectors/factory.h"
#include "connectors/subprocess/errors.h"
#include "connectors/subprocess/scan.h"
#include "connectors/subprocess/sink_internal.h"

/* ---- results --------------------------------------------------------------------------------------------- */

/* Takes part i out of the list; the caller holds the lock. */
static struct part take_part(struct program_sink *s, size_t i)
{
	struct part part = s->parts[i];

	memmove(&s->parts[i], &s->parts[i + 1], (--s->part_count - i) * sizeof(part));
	s->settling = part.write;
	return part;
}

static void part_settled(struct program_sink *s)
{
	DF_LOCK_SCOPE(&s->lock);
	s->settling = NULL;
	pthread_cond_broadcast(&s->changed);
}

/* All messages of a part that is not waited for. */
static void fail_part(const struct part *part, const struct df_error *why)
{
	size_t count = part->count; /* behind the last result the write is gone, and the index with it */

	for (size_t i = 0; i < count; i++)
		df_write_fail(part->write, part->index[i], why);
}

/* The program is lost: everything that is under way, and all that comes. */
static void fail_all(struct program_sink *s, const struct df_error *why)
{
	pthread_mutex_lock(&s->lock);
	s->why = *why;
	if (why->code != DF_ERR_CANCELED)	 /* by close */
		s->why.code = DF_ERR_CONNECTION; /* whatever it was: this program does not come back */
	while (s->part_count > 0) {
		struct part part = take_part(s, 0);

		pthread_mutex_unlock(&s->lock);
		if (!part.waited_for)
			fail_part(&part, why);
		pthread_mutex_lock(&s->lock);
		s->settling = NULL;
	}
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

/* The part that an answer belongs to. False: there is none. */
static bool find_part(struct program_sink *s, const struct df_answer *answer, struct part *ret)
{
	int64_t batch = 0;
	bool named = df_scan_int64(answer->members.batch, &batch);
	DF_LOCK_SCOPE(&s->lock);

	if (!named && s->part_count == 1) {
		*ret = take_part(s, 0);
		return true;
	}
	for (size_t i = 0; named && i < s->part_count; i++) {
		if (s->parts[i].batch != batch)
			continue;
		*ret = take_part(s, i);
		return true;
	}
	return false;
}

/* ---- answers --------------------------------------------------------------------------------------------- */

/* One of `failed`. failed: which messages of the part have been told already. */
static int take_failure(struct program_sink *s, const struct part *part, struct df_str text, bool *failed,
			struct df_error *err)
{
	struct df_members members;
	struct df_error why = DF_ERROR_INIT;
	int64_t index;

	if (!df_members_parse(text, &members) || !df_scan_int64(members.index, &index) || index < 0 ||
	    (uint64_t)index >= part->count)
		return df_peer_fault(&s->peer, err, "sent `failed` with an `index` that the write does not have");
	if (failed[index])
		return 0;
	failed[index] = true;
	(void)df_program_error(&members, &s->peer.hidden, &why);
	df_write_fail(part->write, part->index[index], &why);
	return 0;
}

/* `done`: who is in `failed` was not written, all others were. A list that cannot be read says nothing about those
 * either: they fail with the program. */
static int settle_done(struct program_sink *s, const struct part *part, struct df_str list, struct df_error *err)
{
	df_cleanup(df_freep) bool *failed = calloc(part->count, sizeof(*failed));
	size_t count = part->count;
	struct df_scan scan;
	struct df_str element;
	int r = 0;

	if (!failed) {
		r = df_error_no_memory(err);
	} else if (list.ptr && !df_scan_array(&scan, list)) {
		r = df_peer_fault(&s->peer, err, "sent `failed` that is no list");
	} else {
		while (r == 0 && list.ptr && df_scan_element(&scan, &element))
			r = take_failure(s, part, element, failed, err);
	}
	for (size_t i = 0; i < count; i++) {
		if (failed && failed[i])
			continue;
		if (r == 0)
			df_write_done(part->write, part->index[i]);
		else if (!part->waited_for)
			df_write_fail(part->write, part->index[i], err);
	}
	return r;
}

/* `error`: when it is about messages and there are several, nobody knows which; the next attempt is waited for. */
static void settle_error(struct program_sink *s, const struct part *part, const struct df_error *why)
{
	struct df_error again = *why;

	if (df_code_poison(why->code)) {
		s->careful_ns = df_clock_monotonic() + DF_CAREFUL_NS;
		if (part->count > 1)
			again.code = DF_ERR_TRANSIENT;
	}
	fail_part(part, &again);
}

static int take_result(struct program_sink *s, const struct df_answer *answer, struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;
	struct part part;
	int r = 0;

	if (answer->type == DF_ANSWER_ERROR)
		(void)df_program_error(&answer->members, &s->peer.hidden, &why);
	if (!find_part(s, answer, &part)) {
		if (!why.code)
			return df_peer_fault(&s->peer, err, "answers a write that is not under way");
		*err = why;
		return why.code;
	}
	s->answered++;
	if (!why.code)
		r = settle_done(s, &part, answer->members.failed, err);
	else if (!part.waited_for)
		settle_error(s, &part, &why);
	if (part.waited_for) {
		pthread_mutex_lock(&s->lock);
		s->outcome = r < 0 ? *err : why;
		pthread_mutex_unlock(&s->lock);
	}
	part_settled(s);
	return r;
}

/* ---- hearing --------------------------------------------------------------------------------------------- */

static bool anything_due(struct program_sink *s)
{
	DF_LOCK_SCOPE(&s->lock);
	return s->part_count > 0;
}

/* pinged: an answer to `ping` is due, and whatever comes shows that the program is alive. */
static int take_answer(struct program_sink *s, const struct df_answer *answer, bool *pinged, struct df_error *err)
{
	bool was_pinged = *pinged;

	*pinged = false;
	switch (answer->type) {
	case DF_ANSWER_ERROR:
		if (was_pinged && !answer->members.batch.ptr && !anything_due(s))
			return 0; /* it does not know `ping` */
		return take_result(s, answer, err);
	case DF_ANSWER_DONE:
		return take_result(s, answer, err);
	case DF_ANSWER_PONG:
	case DF_ANSWER_IDLE:
		return 0;
	default:
		return df_peer_fault(&s->peer, err, "sent `%s` while it is written to", df_answer_name(answer->type));
	}
}

/* Nothing is under way: is it alive? Not while somebody else talks to it. */
static bool ping(struct program_sink *s, struct df_context *ctx)
{
	bool said = false;

	if (pthread_mutex_trylock(&s->saying) != 0)
		return false;
	if (!s->peer.broken)
		said = df_peer_say(&s->peer, ctx, DF_STR("{\"cmd\":\"ping\"}\n"), NULL) == 0;
	pthread_mutex_unlock(&s->saying);
	df_peer_be_patient(&s->peer);
	return said;
}

void *df_program_sink_hear(void *arg)
{
	struct program_sink *s = arg;
	struct df_context *ctx = s->base.state.context;
	struct df_error err = DF_ERROR_INIT;
	int64_t often = s->peer.program->limits.timeout_ns / 2;
	bool pinged = false;
	int r = 0;

	while (r >= 0) {
		struct df_answer answer;
		struct df_str line;
		bool due = pinged || anything_due(s);

		r = df_peer_hear(&s->peer, ctx, due ? 0 : df_clock_monotonic() + often, due, &answer, &line, &err);
		if (r == DF_PEER_ANSWER)
			r = take_answer(s, &answer, &pinged, &err);
		else if (r == DF_PEER_QUIET)
			pinged = ping(s, ctx);
	}
	if (r == DF_ERR_CANCELED)
		df_error_set(&err, DF_ERR_CANCELED, "closed before the answer came");
	fail_all(s, &err);
	return NULL;
}
