#include "cmd/last_words.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/time.h"

static void add_error(const struct df_flow_end *end, size_t message_max, struct df_buf *buf)
{
	const char *text = end->err.text;
	size_t len = strlen(text);

	if (end->err.code == 0)
		return;
	df_buf_printf(buf, ",\"error_type\":\"%s\",\"message\":", df_code_name(end->err.code));
	if (len > message_max)
		for (len = message_max; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80;)
			len--;
	df_json_write_string(df_str(text, len), buf);
}

static void add_time(int64_t ns, struct df_buf *buf)
{
	char text[DF_RFC3339_MAX];
	size_t len;

	if (ns <= 0)
		return;
	len = df_rfc3339_format((struct df_instant){ .seconds = ns / DF_NS_PER_S }, 0, DF_FRACTION_NONE, text);
	df_buf_printf(buf, ",\"lastProcessedTime\":\"%.*s\"", (int)len, text);
}

void df_last_words(const struct df_flow_end *end, struct df_buf *buf)
{
	const struct df_processor_stats *s = &end->stats;
	const uint64_t processed = s->written + s->filtered + s->dropped, errors = s->error_sinked + s->failed;

	/* What must be escaped takes up to six times its room. */
	for (size_t max = DF_ERROR_TEXT_MAX;; max /= 2) {
		buf->len = 0;
		df_buf_printf(buf, "{\"exit\":%d", end->exit_code);
		add_error(end, max, buf);
		df_buf_printf(buf, ",\"processed\":%llu,\"errors\":%llu", (unsigned long long)processed,
			      (unsigned long long)errors);
		add_time(s->last_processed, buf);
		df_buf_add_c(buf, "}");
		if (buf->failed || buf->len <= DF_LAST_WORDS_MAX)
			return;
	}
}

void df_last_words_leave(const struct df_flow_end *end, const char *path)
{
	df_cleanup(df_buf_done) struct df_buf words = { 0 };
	df_cleanup(df_closep) int fd = -1;

	fd = open(path ? path : DF_LAST_WORDS_FILE, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		if (path || (errno != ENOENT && errno != EACCES))
			df_warn(NULL, "the last words cannot be left in %s: %m", path ? path : DF_LAST_WORDS_FILE);
		return;
	}
	df_last_words(end, &words);
	if (words.failed || write(fd, words.data, words.len) != (ssize_t)words.len)
		df_warn(NULL, "the last words cannot be left in %s", path ? path : DF_LAST_WORDS_FILE);
}
