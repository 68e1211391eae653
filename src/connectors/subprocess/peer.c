#include "connectors/subprocess/peer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "connectors/subprocess/errors.h"
#include "connectors/subprocess/scan.h"

#define FATE_WAIT DF_NS_PER_S /* from the end of its output to the end of the program */
#define OUT_MAX ((size_t)1 << 30)

/* ---- what goes wrong ------------------------------------------------------------------------------------- */

int df_peer_fault(struct df_peer *peer, struct df_error *err, const char *fmt, ...)
{
	struct df_error why = DF_ERROR_INIT;
	va_list args;

	va_start(args, fmt);
	df_error_setv(&why, DF_ERR_CONNECTION, fmt, args);
	va_end(args);
	df_error_prefix(&why, "program %s", peer->program->path);
	peer->broken = true;
	peer->why = why;
	if (err)
		*err = why;
	return DF_ERR_CONNECTION;
}

static int gone(struct df_peer *peer, struct df_error *err)
{
	bool torn = df_lines_rest(&peer->lines).len > 0;
	char fate[80];

	if (!df_process_wait(&peer->process, FATE_WAIT))
		return df_peer_fault(peer, err, "closed its standard output%s and goes on running",
				     torn ? " in the middle of a line" : "");
	df_process_fate(&peer->process, fate, sizeof(fate));
	return df_peer_fault(peer, err, "%s%s", fate, torn ? ", in the middle of a line" : "");
}

static int silent(struct df_peer *peer, struct df_error *err)
{
	(void)df_peer_fault(peer, err, "said nothing for %lld s while an answer was due: it is given up",
			    (long long)(peer->program->limits.timeout_ns / DF_NS_PER_S));
	peer->why.code = DF_ERR_TIMEOUT;
	if (err)
		err->code = DF_ERR_TIMEOUT;
	return DF_ERR_TIMEOUT;
}

/* ---- saying ---------------------------------------------------------------------------------------------- */

/* 0, or an errno; EAGAIN: it does not read at the moment. */
static int write_some(struct df_peer *peer, struct df_str text, size_t *at)
{
	while (*at < text.len) {
		ssize_t n = write(peer->process.in, text.ptr + *at, text.len - *at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		*at += (size_t)n;
	}
	return 0;
}

/* Its input is closed: why will be known when its output is, too, so this is no failure yet. */
static void write_out(struct df_peer *peer)
{
	if (write_some(peer, df_buf_str(&peer->out), &peer->said) == EAGAIN)
		return;
	peer->out.len = 0;
	peer->said = 0;
}

int df_peer_say(struct df_peer *peer, struct df_context *ctx, struct df_str text, struct df_error *err)
{
	int64_t timeout = peer->program->limits.timeout_ns, moved = df_clock_monotonic();
	size_t at = 0, before = 0;
	int why, r = 0;

	while (r == 0 && (why = write_some(peer, text, &at)) != 0) {
		if (why != EAGAIN)
			r = df_error_errno(err, DF_ERR_CONNECTION, why, "program %s does not read its standard input",
					   peer->program->path);
		else if (at != before)
			peer->heard_ns = moved = df_clock_monotonic();
		else if (df_clock_monotonic() - moved > timeout)
			r = df_error_set(err, DF_ERR_TIMEOUT, "program %s has not read its standard input for %lld s",
					 peer->program->path, (long long)(timeout / DF_NS_PER_S));
		before = at;
		if (r == 0 && df_context_wait_fd(ctx, peer->process.in, POLLOUT, (int)(timeout / DF_NS_PER_MS) + 1) ==
				      DF_ERR_CANCELED)
			r = df_error_set(err, DF_ERR_CANCELED, "cancelled");
	}
	if (r < 0) /* half a command was said, or it cannot be said */
		peer->broken = true;
	return r;
}

void df_peer_be_patient(struct df_peer *peer)
{
	peer->heard_ns = df_clock_monotonic();
}

/* ---- hearing --------------------------------------------------------------------------------------------- */

/* A whole line that is not blank. */
static bool next_line(struct df_peer *peer, struct df_str *ret)
{
	while (df_lines_next(&peer->lines, ret))
		if (df_str_trim(*ret).len > 0)
			return true;
	return false;
}

static int take_line(struct df_peer *peer, struct df_str line, struct df_answer *ret, struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;

	if (df_answer_parse(line, ret, &why) == 0)
		return DF_PEER_ANSWER;
	return df_peer_fault(peer, err, "%s", why.text);
}

static int64_t earliest(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Milliseconds until then, rounded up; -1: for ever. */
static int until(int64_t ns, int64_t now)
{
	int64_t ms = ns <= now ? 0 : (ns - now) / DF_NS_PER_MS + 1;

	return ns == 0 ? -1 : ms > INT32_MAX ? INT32_MAX : (int)ms;
}

/* Waits for something to happen. DF_PEER_ANSWER: perhaps there is more to read. */
static int wait_for_more(struct df_peer *peer, struct df_context *ctx, int64_t until_ns, bool due, struct df_error *err)
{
	int64_t now = df_clock_monotonic();
	int64_t hang = due ? peer->heard_ns + peer->program->limits.timeout_ns : 0;
	struct pollfd fds[] = {
		{ .fd = peer->process.out, .events = POLLIN },
		{ .fd = peer->wake, .events = POLLIN },
		{ .fd = df_context_fd(ctx), .events = POLLIN },
		{ .fd = peer->out.len > 0 ? peer->process.in : -1, .events = POLLOUT },
	};
	int timeout = until(earliest(until_ns, hang), now), left = df_context_remaining_ms(ctx);
	eventfd_t count;

	if (left >= 0 && (timeout < 0 || left < timeout))
		timeout = left;
	if (poll(fds, DF_ARRAY_SIZE(fds), timeout) < 0 && errno != EINTR)
		return df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot wait for program %s", peer->program->path);
	int r = df_context_check(ctx, err);
	if (r < 0)
		return r;
	if (fds[3].revents)
		write_out(peer);
	if (fds[0].revents)
		return DF_PEER_ANSWER;
	if (fds[1].revents) {
		(void)!eventfd_read(peer->wake, &count);
		return DF_PEER_WOKEN;
	}
	now = df_clock_monotonic();
	if (hang && now >= hang)
		return silent(peer, err);
	return until_ns && now >= until_ns ? DF_PEER_QUIET : DF_PEER_ANSWER;
}

static int read_more(struct df_peer *peer, struct df_error *err)
{
	switch (df_lines_fill(&peer->lines)) {
	case DF_LINES_SOME:
		peer->heard_ns = df_clock_monotonic();
		return 0;
	case DF_LINES_END:
		return gone(peer, err);
	case DF_LINES_TOO_LONG:
		return df_peer_fault(peer, err,
				     "sent a line of more than %zu bytes: DATAFLOW_CONNECTOR_LINE_BYTES is the limit",
				     peer->lines.max);
	case DF_LINES_NO_MEMORY:
		peer->broken = true;
		return df_error_no_memory(err);
	case DF_LINES_NONE:
		break;
	}
	return 0;
}

int df_peer_hear(struct df_peer *peer, struct df_context *ctx, int64_t until_ns, bool due, struct df_answer *ret,
		 struct df_str *ret_line, struct df_error *err)
{
	if (peer->broken && peer->why.code) {
		if (err)
			*err = peer->why;
		return peer->why.code;
	}
	if (peer->out.failed)
		return df_error_no_memory(err);
	if (peer->out.len > 0)
		write_out(peer);
	while (!next_line(peer, ret_line)) {
		int r = wait_for_more(peer, ctx, until_ns, due, err);

		if (r == DF_PEER_ANSWER)
			r = read_more(peer, err);
		if (r != 0)
			return r;
	}
	return take_line(peer, *ret_line, ret, err);
}

/* ---- beginning ------------------------------------------------------------------------------------------- */

int df_peer_start(struct df_peer *peer, const struct df_program *program, int wake, const struct df_logger *logger,
		  struct df_error *err)
{
	int r;

	peer->program = program;
	peer->protocol = 1;
	peer->in_flight = 1;
	peer->out.max = OUT_MAX;
	peer->process.in = peer->process.out = peer->process.stop = -1;
	peer->wake = wake;
	r = df_program_check_file(program->path, err);
	if (r == 0)
		r = df_process_start(&peer->process, program->path, logger, &peer->hidden, err);
	peer->broken = r < 0;
	peer->lines = (struct df_lines){ .fd = peer->process.out, .max = program->limits.line_bytes };
	peer->heard_ns = df_clock_monotonic();
	return r;
}

static void add_member(struct df_buf *out, const char *name, const char *text)
{
	df_buf_printf(out, ",\"%s\":", name);
	df_json_write_string(df_str_c(text ? text : ""), out);
}

static const struct df_table *table_of(const struct df_program *program, enum df_component_kind kind)
{
	const struct df_type *type = kind == DF_SOURCE ? program->connector.source : program->connector.sink;

	return type->settings;
}

static void say_init(struct df_peer *peer, const struct df_peer_opening *opening)
{
	struct df_buf *out = &peer->out;
	const struct df_connector_env *env = opening->env;
	const struct df_table *table = table_of(peer->program, opening->kind);

	df_buf_printf(out, "{\"cmd\":\"init\",\"role\":\"%s\"", df_component_kind_name(opening->kind));
	add_member(out, "type", peer->program->type);
	df_buf_add_c(out, ",\"config\":");
	if (table)
		df_settings_write_resolved(table, opening->settings, out);
	else
		df_buf_add_c(out, "{}");
	df_buf_printf(out, ",\"options\":{\"protocol\":%d,\"once\":%s", DF_PROTOCOL, env->once ? "true" : "false");
	if (opening->kind == DF_SINK)
		df_buf_printf(out, ",\"resumed\":%s", env->resumed ? "true" : "false");
	add_member(out, "namespace", env->namespace);
	add_member(out, "name", env->name);
	df_buf_add_str(out, opening->options);
	df_buf_add_c(out, "}}\n");
}

/* What `ready` after `init` says about the program. */
static int take_offer(struct df_peer *peer, const struct df_members *members, struct df_error *err)
{
	struct df_scan scan;
	struct df_str feature;
	int64_t number;

	if (!members->protocol.ptr)
		return 0;
	if (!df_scan_int64(members->protocol, &number) || number < 1 || number > DF_PROTOCOL)
		return df_peer_fault(peer, err, "wants a protocol other than 1 and %d", DF_PROTOCOL);
	peer->protocol = (int)number;
	if (peer->protocol == 1)
		return 0;
	if (members->in_flight.ptr) {
		if (!df_scan_int64(members->in_flight, &number) || number < 1)
			return df_peer_fault(peer, err, "said `ready` with an `in_flight` that is no number from 1");
		peer->in_flight = number > DF_IN_FLIGHT_MAX ? DF_IN_FLIGHT_MAX : (unsigned)number;
	}
	for (bool more = members->features.ptr && df_scan_array(&scan, members->features);
	     more && df_scan_element(&scan, &feature);)
		peer->acks |= df_str_equal(feature, DF_STR("\"ack\""));
	return 0;
}

/* `ready`, or why not. */
static int hear_ready(struct df_peer *peer, struct df_context *ctx, bool offer, struct df_error *err)
{
	struct df_answer answer;
	struct df_str line;
	int r;

	do {
		r = df_peer_hear(peer, ctx, 0, true, &answer, &line, err);
	} while (r == DF_PEER_WOKEN || (r == 0 && answer.type == DF_ANSWER_IDLE));
	if (r < 0)
		return r;
	if (answer.type == DF_ANSWER_ERROR)
		return df_program_error(&answer.members, &peer->hidden, err);
	if (answer.type != DF_ANSWER_READY)
		return df_peer_fault(peer, err, "answered `%s` with `%s` instead of `ready`",
				     offer ? "init" : "connect", df_answer_name(answer.type));
	return offer ? take_offer(peer, &answer.members, err) : 0;
}

int df_peer_open(struct df_peer *peer, struct df_context *ctx, const struct df_peer_opening *opening,
		 struct df_error *err)
{
	const struct df_program *program = df_program_of(opening->env);
	const struct df_table *table = table_of(program, opening->kind);
	int r = table ? df_hidden_init(&peer->hidden, table, opening->settings, err) : 0;

	if (r == 0)
		r = df_peer_start(peer, program, opening->wake, opening->env->logger, err);
	if (r < 0)
		return r;
	say_init(peer, opening);
	r = hear_ready(peer, ctx, true, err);
	if (r < 0)
		return r;
	df_buf_add_c(&peer->out, "{\"cmd\":\"connect\"}\n");
	return hear_ready(peer, ctx, false, err);
}

/* ---- ending ---------------------------------------------------------------------------------------------- */

/* Says what is left, and reads what comes so that the program is not stuck in a full pipe, until it closes its output.
 */
static void part(struct df_peer *peer, bool due)
{
	int64_t end = df_clock_monotonic() + peer->program->limits.grace_ns;
	enum df_lines_result heard = DF_LINES_SOME;

	if (due && peer->protocol > 1)
		df_buf_add_c(&peer->out, "{\"cmd\":\"cancel\"}\n");
	df_buf_add_c(&peer->out, "{\"cmd\":\"close\"}\n");
	while (!peer->out.failed && heard != DF_LINES_END) {
		struct pollfd fds[] = {
			{ .fd = peer->process.out, .events = POLLIN },
			{ .fd = peer->out.len > 0 ? peer->process.in : -1, .events = POLLOUT },
		};
		int64_t now = df_clock_monotonic();

		if (now >= end || (poll(fds, 2, until(end, now)) < 0 && errno != EINTR))
			break;
		if (fds[1].revents)
			write_out(peer);
		if (peer->out.len == 0)
			df_closep(&peer->process.in), peer->process.in = -1;
		if (!fds[0].revents)
			continue;
		heard = df_lines_fill(&peer->lines);
		peer->lines.begin = peer->lines.end; /* nobody listens any more */
	}
	df_closep(&peer->process.in);
	peer->process.in = -1;
	(void)df_process_wait(&peer->process, end - df_clock_monotonic());
}

void df_peer_close(struct df_peer *peer, bool due)
{
	int64_t grace;

	if (!peer->program) {
		df_hidden_done(&peer->hidden);
		return;
	}
	grace = peer->program->limits.grace_ns;
	if (peer->process.pid > 0 && !peer->broken)
		part(peer, due);
	if (peer->process.pid > 0 && !peer->process.ended) {
		df_process_kill(&peer->process, SIGTERM);
		(void)df_process_wait(&peer->process,
				      peer->broken && grace > DF_NS_PER_S / 2 ? DF_NS_PER_S / 2 : grace);
	}
	df_process_done(&peer->process);
	df_lines_done(&peer->lines);
	if (peer->out.data)
		explicit_bzero(peer->out.data, peer->out.cap);
	df_buf_done(&peer->out);
	df_hidden_done(&peer->hidden);
	*peer = (struct df_peer){ .wake = -1 };
}
