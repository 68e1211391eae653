/*
 * The program: reads commands, one a line, and answers. The protocol is in DataFlow's docs/connector-protocol.md; what the connector does is in
 * connector.c. Nothing in this file needs to be changed.
 *
 * Standard output belongs to the protocol. Log lines go to standard error: fprintf(stderr, "warn: ...\n").
 */
//@if source
#include <poll.h>
//@end
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
//@if source
#include <time.h>
//@end
#include <unistd.h>

#include "connector.h"

/* ---- lines ----------------------------------------------------------------------------------------------- */

static struct buffer input;
static size_t input_used; /* of it; the rest came behind the line that is carried out */

/* The next line; at NULL: the input has ended. Valid until the next call. */
static struct json next_line(void)
{
	size_t looked_at = 0;

	if (input_used > 0)
		memmove(input.data, input.data + input_used, input.len - input_used);
	input.len -= input_used;
	input_used = 0;
	for (;;) {
		char *end = input.len > looked_at ? memchr(input.data + looked_at, '\n', input.len - looked_at) : NULL;
		ssize_t n;

		if (end) {
			input_used = (size_t)(end + 1 - input.data);
			return (struct json){ input.data, input_used - 1 };
		}
		looked_at = input.len;
		n = read(STDIN_FILENO, buffer_reserve(&input, 1 << 16), 1 << 16);
		if (n <= 0)
			return (struct json){ NULL, 0 };
		input.len += (size_t)n;
	}
}

//@if source
/* Waits so long for another command; true: there is one. */
static bool command_waits(long long milliseconds)
{
	struct pollfd pollfd = { .fd = STDIN_FILENO, .events = POLLIN };

	return input.len > input_used || poll(&pollfd, 1, (int)milliseconds) > 0;
}

//@end
static void send_answer(struct buffer *answer)
{
	buffer_add_text(answer, "\n");
	fwrite(answer->data, 1, answer->len, stdout);
	if (fflush(stdout) != 0)
		exit(1); /* the pipeline is gone */
	answer->len = 0;
}

/* ---- answers --------------------------------------------------------------------------------------------- */

static struct buffer answer;

/* {"type":"done","batch":7 */
static void begin(const char *type, struct json command)
{
	struct json batch = json_member(command, "batch");

	buffer_printf(&answer, "{\"type\":\"%s\"", type);
	if (batch.at) {
		buffer_add_text(&answer, ",\"batch\":");
		buffer_add(&answer, batch.at, batch.len);
	}
}

static void end(void)
{
	buffer_add_text(&answer, "}");
	send_answer(&answer);
}

static void add_failure(const struct failure *failure)
{
	buffer_add_text(&answer, "\"message\":");
	buffer_add_string(&answer, failure->text);
	buffer_add_text(&answer, ",\"code\":");
	buffer_add_string(&answer, failure->code ? failure->code : "unknown");
}

static void fail(const struct failure *failure, struct json command)
{
	answer.len = 0;
	begin("error", command);
	buffer_add_text(&answer, ",");
	add_failure(failure);
	end();
}

/* ---- commands -------------------------------------------------------------------------------------------- */

static char *init_line; /* a copy, and what is in it */
static struct json init_role, init_config, init_options;
static bool connected;

static bool do_describe(struct json command, struct failure *failure)
{
	(void)command;
	(void)failure;
	buffer_add_text(&answer, connector_description);
	send_answer(&answer);
	return true;
}

static bool do_init(struct json command, struct failure *failure)
{
	struct json init;

	free(init_line);
	init_line = malloc(command.len);
	if (!init_line)
		return connector_fail(failure, "transient", "out of memory");
	memcpy(init_line, command.at, command.len);
	init = (struct json){ init_line, command.len };
	init_role = json_member(init, "role");
	init_config = json_member(init, "config");
	init_options = json_member(init, "options");
	if (json_number(json_member(init_options, "protocol"), 1) < 2)
		return connector_fail(failure, "config", "this program speaks protocol 2, and was not offered it");
	begin("ready", command);
	buffer_add_text(&answer, ",\"protocol\":2");
	end();
	return true;
}

//@if source
/* The position that was saved, of the only partition. */
static struct json saved_position(void)
{
	struct json positions = json_member(init_options, "positions"), first = { NULL, 0 };

	json_next(&positions, &first);
	return json_member(first, "position");
}

//@end
static bool do_connect(struct json command, struct failure *failure)
{
	if (!connector_connect(init_config, failure))
		return false;
	connected = true;
//@if source
	if (json_equals(init_role, "source") && !connector_seek(saved_position(), failure))
		return false;
//@end
	begin("ready", command);
	end();
	return true;
}

//@if source
static long long now(void) /* milliseconds */
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Asks again and again while there is nothing new, until `wait` is over or another command comes. */
static bool do_read(struct json command, struct failure *failure)
{
	static struct buffer messages;
	bool once = json_true(json_member(init_options, "once"));
	long long until = now() + (once ? 0 : json_number(json_member(command, "wait"), 0)), count;

	do {
		messages.len = 0;
		if (!connector_read(json_number(json_member(command, "limit"), 1000), &messages, &count, failure))
			return false;
	} while (count == 0 && now() < until && !command_waits(100));
	if (count > 0) {
		begin("messages", command);
		buffer_add_text(&answer, ",\"messages\":[");
		buffer_add(&answer, messages.data, messages.len);
		buffer_add_text(&answer, "]");
		end();
	}
	begin("done", command);
	end();
	return true;
}

//@end
//@if sink
static void add_failures(const struct failure *failures, size_t count)
{
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		if (!failures[i].code)
			continue;
		buffer_printf(&answer, "%s{\"index\":%zu,", any ? "," : ",\"failed\":[", i);
		add_failure(&failures[i]);
		buffer_add_text(&answer, "}");
		any = true;
	}
	if (any)
		buffer_add_text(&answer, "]");
}

static bool do_write(struct json command, struct failure *failure)
{
	struct json rest = json_member(command, "messages"), message, *messages = NULL;
	struct failure *failures = NULL;
	size_t count = 0, room = 0;
	bool ok;

	while (json_next(&rest, &message)) {
		if (count == room) {
			room = room ? room * 2 : 1024;
			messages = realloc(messages, room * sizeof(*messages));
			if (!messages)
				return connector_fail(failure, "transient", "out of memory");
		}
		messages[count++] = message;
	}
	failures = calloc(count + 1, sizeof(*failures));
	ok = failures ? connector_write(messages, count, failures, failure) : connector_fail(failure, "transient", "out of memory");
	if (ok) {
		begin("done", command);
		add_failures(failures, count);
		end();
	}
	free(failures);
	free(messages);
	return ok;
}

//@end
static bool do_ping(struct json command, struct failure *failure)
{
	(void)failure;
	begin("pong", command);
	end();
	return true;
}

/* `cancel` needs nothing: what is under way is short. `ack` is not asked for. */
static bool do_nothing(struct json command, struct failure *failure)
{
	(void)command;
	(void)failure;
	return true;
}

static const struct {
	const char *name;
	bool (*run)(struct json command, struct failure *failure);
	bool needs_connection;
} commands[] = {
	{ "describe", do_describe, false }, { "init", do_init, false },	   { "connect", do_connect, false },
//@if source
	{ "read", do_read, true },
//@end
//@if sink
	{ "write", do_write, true },
//@end
	{ "ping", do_ping, false },	    { "cancel", do_nothing, false }, { "ack", do_nothing, false },
};

static bool carry_out(struct json command, struct failure *failure)
{
	struct json name = json_member(command, "cmd");

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!json_equals(name, commands[i].name))
			continue;
		if (commands[i].needs_connection && !connected)
			return connector_fail(failure, "unknown", "%s before connect", commands[i].name);
		return commands[i].run(command, failure);
	}
	return connector_fail(failure, "unknown", "unknown command %.*s", (int)(name.len < 40 ? name.len : 40), name.at ? name.at : "");
}

int main(void)
{
	struct json line;

	while ((line = next_line()).at) {
		struct failure failure = { 0 };
		bool closes = json_equals(json_member(line, "cmd"), "close");

		if (line.len == 0)
			continue;
		if (closes) {
			connector_close();
			begin("done", line);
			end();
			return 0;
		}
		if (!carry_out(line, &failure))
			fail(&failure, line);
	}
	connector_close();
	return 0;
}
