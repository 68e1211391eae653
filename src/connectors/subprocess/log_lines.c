#include "connectors/subprocess/log_lines.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "value/value.h"

#define READ_BYTES 8192

/* ---- one line -------------------------------------------------------------------------------------------- */

static const struct {
	const char *word;
	enum df_log_level level;
} words[] = {
	{ "trace", DF_LOG_DEBUG },	{ "debug", DF_LOG_DEBUG },    { "info", DF_LOG_INFO },
	{ "information", DF_LOG_INFO }, { "notice", DF_LOG_INFO },    { "warn", DF_LOG_WARN },
	{ "warning", DF_LOG_WARN },	{ "error", DF_LOG_ERROR },    { "err", DF_LOG_ERROR },
	{ "fatal", DF_LOG_ERROR },	{ "critical", DF_LOG_ERROR }, { "panic", DF_LOG_ERROR },
};

static bool level_of(struct df_str word, enum df_log_level *ret)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(words); i++) {
		if (word.len != strlen(words[i].word) || strncasecmp(word.ptr, words[i].word, word.len) != 0)
			continue;
		*ret = words[i].level;
		return true;
	}
	return false;
}

/* {"level": ..., "msg" or "message": ...} */
static bool from_json(struct df_str line, struct df_arena *arena, enum df_log_level *level, struct df_str *text)
{
	struct df_value *object;

	if (line.len == 0 || line.ptr[0] != '{' || df_value_parse(line, arena, &object, NULL) != DF_PARSE_OK)
		return false;
	struct df_value *message = df_object_get_c(object, "msg"), *name = df_object_get_c(object, "level");
	if (!message)
		message = df_object_get_c(object, "message");
	if (!message || message->kind != DF_STRING)
		return false;
	*text = df_value_text(message, arena);
	if (name && name->kind == DF_STRING)
		(void)level_of(df_value_text(name, arena), level);
	return true;
}

/* "error: ...", "[WARN] ...", "INFO ..." */
static void from_text(struct df_str line, enum df_log_level *level, struct df_str *text)
{
	bool bracket = line.len > 0 && line.ptr[0] == '[';
	size_t from = bracket, at = from;

	*text = line;
	while (at < line.len && isalpha((unsigned char)line.ptr[at]))
		at++;
	if (!level_of(df_str(line.ptr + from, at - from), level))
		return;
	if (bracket ? at < line.len && line.ptr[at] == ']' : at == line.len || strchr(": \t|", line.ptr[at]))
		*text = df_str_trim(df_str(line.ptr + at + (at < line.len), line.len - at - (at < line.len)));
	else
		*level = DF_LOG_INFO; /* a word that only begins like one */
	if (text->len > 0 && text->ptr[0] == ':')
		*text = df_str_trim(df_str(text->ptr + 1, text->len - 1));
}

enum df_log_level df_log_line_take_apart(struct df_str line, struct df_arena *arena, struct df_str *ret_text)
{
	enum df_log_level level = DF_LOG_INFO;

	line = df_str_trim(line);
	if (!from_json(line, arena, &level, ret_text))
		from_text(line, &level, ret_text);
	return level;
}

/* ---- the limit ------------------------------------------------------------------------------------------- */

static void tell_dropped(struct df_log_lines *lines)
{
	if (lines->dropped && lines->logger)
		df_warn(lines->logger, "%" PRIu64 " more lines of the program's standard error are not logged",
			lines->dropped);
	lines->dropped = 0;
}

/* May one more line be logged now? */
static bool within_limit(struct df_log_lines *lines)
{
	int64_t now = df_clock_monotonic();

	if (now - lines->second_ns >= DF_NS_PER_S) {
		tell_dropped(lines);
		lines->second_ns = now;
		lines->in_second = 0;
	}
	return lines->in_second++ < DF_LOG_LINES_A_SECOND;
}

int df_log_lines_timeout_ms(const struct df_log_lines *lines)
{
	return lines->dropped ? 1000 : -1;
}

static void log_line(struct df_log_lines *lines)
{
	df_cleanup(df_buf_done) struct df_buf shown = { 0 };
	struct df_str text;
	struct df_arena arena;

	if (lines->len == 0 || !lines->logger)
		return;
	if (!within_limit(lines)) {
		lines->dropped++;
		return;
	}
	/* A secret that the cut goes through is none that could be found. */
	if (lines->cut && lines->hidden->count) {
		size_t longest = strlen(lines->hidden->values[0]);

		lines->len -= longest < lines->len ? longest : lines->len;
	}
	df_arena_init(&arena, NULL);
	enum df_log_level level = df_log_line_take_apart(df_str(lines->line, lines->len), &arena, &text);
	df_hidden_write(lines->hidden, text, &shown);
	df_arena_done(&arena);
	if (shown.len && !shown.failed && df_log_enabled(level))
		df_log(lines->logger, level, NULL, "%s%s", df_buf_c(&shown), lines->cut ? "..." : "");
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static void take(struct df_log_lines *lines, struct df_str bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		if (bytes.ptr[i] == '\n') {
			log_line(lines);
			lines->len = 0;
			lines->cut = false;
		} else if (lines->len < sizeof(lines->line)) {
			lines->line[lines->len++] = bytes.ptr[i];
		} else {
			lines->cut = true;
		}
	}
}

void df_log_lines_init(struct df_log_lines *lines, const struct df_logger *logger, const struct df_hidden *hidden)
{
	*lines = (struct df_log_lines){ .logger = logger, .hidden = hidden };
}

bool df_log_lines_read(struct df_log_lines *lines, int fd)
{
	char bytes[READ_BYTES];
	ssize_t n;

	if (lines->dropped && df_clock_monotonic() - lines->second_ns >= DF_NS_PER_S)
		tell_dropped(lines);
	while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
		take(lines, df_str(bytes, (size_t)n));
		if ((size_t)n < sizeof(bytes))
			break;
	}
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

void df_log_lines_done(struct df_log_lines *lines)
{
	log_line(lines);
	tell_dropped(lines);
}
