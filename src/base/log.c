#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/time.h"

/* One line is built on the stack, so that logging works when memory is what ran out. */
#define DF_LOG_LINE_MAX 8192
#define DF_LOG_MESSAGE_MAX 4096
#define DF_LOG_TAIL 32 /* always free: what closes a text and the line */

static struct {
	enum df_log_level level;
	bool text;
	bool colour;
	pthread_mutex_t lock; /* one line at a time; guards the hook */
	void (*before)(void *arg);
	void (*after)(void *arg);
	void *arg;
} df_log_state = { .level = DF_LOG_INFO, .lock = PTHREAD_MUTEX_INITIALIZER };

static const char *const df_log_names[] = { "debug", "info", "warn", "error" };

struct df_log_line {
	size_t len;
	char data[DF_LOG_LINE_MAX];
};

static size_t df_log_room(const struct df_log_line *line)
{
	size_t limit = sizeof(line->data) - DF_LOG_TAIL;

	return line->len < limit ? limit - line->len : 0;
}

/* For what is known to fit: constants and what stands in the tail. */
static void df_log_put(struct df_log_line *line, const char *text)
{
	size_t n = strlen(text);

	if (n > sizeof(line->data) - line->len)
		return;
	memcpy(line->data + line->len, text, n);
	line->len += n;
}

/* The JSON escape of an ASCII character (RFC 8259, section 7), or NULL when it stands for itself. */
static const char *df_log_escape(unsigned char c, char out[8])
{
	switch (c) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '\n':
		return "\\n";
	case '\r':
		return "\\r";
	case '\t':
		return "\\t";
	default:
		if (c >= 0x20 && c != 0x7f)
			return NULL;
		snprintf(out, 8, "\\u%04x", c);
		return out;
	}
}

/* The next printable piece of s, moving s on: an escape, a code point as it is, or U+FFFD for a byte that is no UTF-8.
 * C1 controls are escaped too: they drive terminals. */
static struct df_str df_log_piece(struct df_str *s, char out[8], bool quotes)
{
	unsigned char c = (unsigned char)s->ptr[0];
	struct df_str piece = df_str(s->ptr, 1);

	if (c < 0x80) {
		bool plain = !quotes && (c == '"' || c == '\\');
		const char *escape = plain ? NULL : df_log_escape(c, out);
		if (escape)
			piece = df_str_c(escape);
		*s = df_str(s->ptr + 1, s->len - 1);
		return piece;
	}
	size_t n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (n > s->len || !df_utf8_valid(df_str(s->ptr, n), NULL)) {
		*s = df_str(s->ptr + 1, s->len - 1);
		return DF_STR("\xef\xbf\xbd");
	}
	piece.len = n;
	if (c == 0xc2 && (unsigned char)s->ptr[1] < 0xa0) {
		snprintf(out, 8, "\\u%04x", (unsigned char)s->ptr[1]);
		piece = df_str_c(out);
	}
	*s = df_str(s->ptr + n, s->len - n);
	return piece;
}

/* Escaped text without the quotes around it; ends with an ellipsis when it does not fit. */
static void df_log_escaped(struct df_log_line *line, struct df_str s, bool quotes)
{
	char out[8];

	while (s.len > 0) {
		struct df_str piece = df_log_piece(&s, out, quotes);
		if (piece.len > df_log_room(line)) {
			df_log_put(line, "\xe2\x80\xa6");
			return;
		}
		memcpy(line->data + line->len, piece.ptr, piece.len);
		line->len += piece.len;
	}
}

static void df_log_quoted(struct df_log_line *line, struct df_str s)
{
	df_log_put(line, "\"");
	df_log_escaped(line, s, true);
	df_log_put(line, "\"");
}

/* Would it be read as one word? */
static bool df_log_is_word(struct df_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f)
			return false;
	}
	return s.len > 0;
}

static void df_log_field(struct df_log_line *line, const struct df_log_field *field)
{
	struct df_str key = df_str_c(field->key);
	char number[32];

	if (df_log_room(line) < key.len * 6 + 64)
		return; /* the line is full */
	if (df_log_state.text) {
		df_log_put(line, " ");
		df_log_escaped(line, key, false);
		df_log_put(line, "=");
	} else {
		df_log_put(line, ",");
		df_log_quoted(line, key);
		df_log_put(line, ":");
	}
	if (field->kind == DF_FIELD_INT) {
		snprintf(number, sizeof(number), "%lld", (long long)field->number);
		df_log_put(line, number);
	} else if (df_log_state.text && df_log_is_word(field->text)) {
		df_log_escaped(line, field->text, false);
	} else {
		df_log_quoted(line, field->text);
	}
}

static void df_log_head(struct df_log_line *line, enum df_log_level level)
{
	static const char *const words[] = { "DEBUG", "INFO", "WARN", "ERROR" };
	static const char *const colours[] = { "\x1b[90m", "\x1b[32m", "\x1b[33m", "\x1b[31m" };
	int64_t now = df_clock_now(NULL);
	struct df_instant t = { now / DF_NS_PER_S, (int32_t)(now % DF_NS_PER_S) };
	char time[DF_RFC3339_MAX];
	size_t n = df_rfc3339_format(t, 0, DF_FRACTION_3, time);

	time[n] = '\0';
	if (!df_log_state.text) {
		df_log_put(line, "{\"time\":\"");
		df_log_put(line, time);
		df_log_put(line, "\",\"level\":\"");
		df_log_put(line, df_log_names[level]);
		df_log_put(line, "\",\"msg\":");
		return;
	}
	time[19] = '\0'; /* YYYY-MM-DDTHH:MM:SS */
	df_log_put(line, time + 11);
	df_log_put(line, " ");
	df_log_put(line, df_log_state.colour ? colours[level] : "");
	df_log_put(line, words[level]);
	df_log_put(line, df_log_state.colour ? "\x1b[0m" : "");
	df_log_put(line, " ");
}

static void df_log_write(const char *data, size_t len)
{
	DF_LOCK_SCOPE(&df_log_state.lock);
	if (df_log_state.before)
		df_log_state.before(df_log_state.arg);
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break; /* nowhere to report it */
		data += n;
		len -= (size_t)n;
	}
	if (df_log_state.after)
		df_log_state.after(df_log_state.arg);
}

static void df_log_line(const struct df_logger *logger, enum df_log_level level, struct df_str message,
			const struct df_log_field *fields, const struct df_log_field *more)
{
	int saved = errno;
	struct df_log_line line;
	const struct df_log_field owner[] = {
		DF_LOG_C("dataflow_namespace", logger ? logger->namespace : NULL),
		DF_LOG_C("dataflow_name", logger ? logger->name : NULL),
		DF_LOG_C("connector_type", logger ? logger->connector_type : NULL),
	};

	line.len = 0;
	df_log_head(&line, level);
	if (df_log_state.text)
		df_log_escaped(&line, message, false);
	else
		df_log_quoted(&line, message);
	for (size_t i = 0; i < DF_ARRAY_SIZE(owner); i++) {
		if (owner[i].text.ptr)
			df_log_field(&line, &owner[i]);
	}
	for (; fields && fields->key; fields++)
		df_log_field(&line, fields);
	for (; more && more->key; more++)
		df_log_field(&line, more);
	df_log_put(&line, df_log_state.text ? "\n" : "}\n");
	df_log_write(line.data, line.len);
	errno = saved;
}

void df_log_setup(enum df_log_format format, const char *level_text)
{
	const char *no_colour = getenv("NO_COLOR"); /* https://no-color.org */
	const char *terminal = getenv("TERM");
	bool tty = isatty(STDERR_FILENO);
	bool known = !level_text;

	df_log_state.text = format == DF_LOG_TEXT || (format == DF_LOG_AUTO && tty);
	df_log_state.colour =
		df_log_state.text && tty && !(no_colour && *no_colour) && !(terminal && strcmp(terminal, "dumb") == 0);
	df_log_state.level = DF_LOG_INFO;
	for (size_t i = 0; level_text && i < DF_ARRAY_SIZE(df_log_names); i++) {
		if (strcasecmp(level_text, df_log_names[i]) == 0) {
			df_log_state.level = (enum df_log_level)i;
			known = true;
		}
	}
	if (!known)
		df_log(NULL, DF_LOG_WARN, NULL,
		       "LOG_LEVEL \"%s\" is unknown, using info; it may be debug, info, warn, error", level_text);
}

bool df_log_enabled(enum df_log_level level)
{
	return level >= df_log_state.level;
}

void df_log_set_hook(void (*before)(void *arg), void (*after)(void *arg), void *arg)
{
	DF_LOCK_SCOPE(&df_log_state.lock);
	df_log_state.before = before;
	df_log_state.after = after;
	df_log_state.arg = arg;
}

/* Formats into out, which has DF_LOG_MESSAGE_MAX bytes; "..." ends a text that is too long. */
static df_printf(2, 0) struct df_str df_log_format(char *out, const char *fmt, va_list args)
{
	int n = vsnprintf(out, DF_LOG_MESSAGE_MAX, fmt, args);
	size_t len = n < 0 ? 0 : (size_t)n;

	if (len >= DF_LOG_MESSAGE_MAX) {
		len = DF_LOG_MESSAGE_MAX - 4;
		while (len > 0 && ((unsigned char)out[len] & 0xc0) == 0x80)
			len--;
		memcpy(out + len, "...", 3);
		len += 3;
	}
	return df_str(out, len);
}

void df_log(const struct df_logger *logger, enum df_log_level level, const struct df_log_field *fields, const char *fmt,
	    ...)
{
	char message[DF_LOG_MESSAGE_MAX];
	va_list args;

	if (!df_log_enabled(level))
		return;
	va_start(args, fmt);
	struct df_str text = df_log_format(message, fmt, args);
	va_end(args);
	df_log_line(logger, level, text, fields, NULL);
}

void df_log_error(const struct df_logger *logger, enum df_log_level level, const struct df_error *err, const char *fmt,
		  ...)
{
	char message[DF_LOG_MESSAGE_MAX + DF_ERROR_TEXT_MAX + 2];
	va_list args;

	if (!df_log_enabled(level))
		return;
	va_start(args, fmt);
	struct df_str text = df_log_format(message, fmt, args);
	va_end(args);
	if (!err) {
		df_log_line(logger, level, text, NULL, NULL);
		return;
	}
	int n = snprintf(message + text.len, sizeof(message) - text.len, ": %s", err->text);
	text.len += n > 0 ? (size_t)n : 0;
	const struct df_log_field remote[] = { DF_LOG_C("code", err->remote), { .key = NULL } };
	df_log_line(logger, level, text, DF_LOG_FIELDS(DF_LOG_C("error_type", df_code_name(err->code))),
		    err->remote[0] ? remote : NULL);
}
