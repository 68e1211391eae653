#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* Makes the text what the header promises: one line of valid UTF-8 that ends with no blank. Bytes that are no UTF-8
 * become '?'; a sequence that the end of the buffer cut is removed whole. */
static void df_error_tidy(char *text, bool cut)
{
	size_t len = strlen(text);
	size_t bad = 0;

	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = ' ';
	}
	while (!df_utf8_valid(df_str(text, len), &bad)) {
		if (cut && len - bad < 4 && (unsigned char)text[bad] >= 0xc0) {
			len = bad;
			break;
		}
		text[bad] = '?';
	}
	while (len > 0 && text[len - 1] == ' ')
		len--;
	text[len] = '\0';
}

/* Formats into a buffer of its own first: the arguments may point into err->text. */
static df_printf(2, 0) void df_error_format(struct df_error *err, const char *fmt, va_list args, const char *tail)
{
	char head[DF_ERROR_TEXT_MAX];
	int n = vsnprintf(head, sizeof(head), fmt, args);

	if (n < 0)
		head[0] = '\0';
	n = snprintf(err->text, sizeof(err->text), "%s%s", head, tail);
	df_error_tidy(err->text, n < 0 || (size_t)n >= sizeof(err->text) || strlen(head) == sizeof(head) - 1);
}

int df_error_setv(struct df_error *err, int code, const char *fmt, va_list args)
{
	if (!err)
		return code;
	df_error_format(err, fmt, args, "");
	err->code = code;
	err->remote[0] = '\0';
	return code;
}

int df_error_set(struct df_error *err, int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	df_error_setv(err, code, fmt, args);
	va_end(args);
	return code;
}

int df_error_errno(struct df_error *err, int code, int errnum, const char *fmt, ...)
{
	const char *text = strerrordesc_np(errnum);
	const char *name = strerrorname_np(errnum);
	char tail[96];
	va_list args;

	if (!err)
		return code;
	if (text)
		snprintf(tail, sizeof(tail), ": %s", text);
	else
		snprintf(tail, sizeof(tail), ": errno %d", errnum);
	va_start(args, fmt);
	df_error_format(err, fmt, args, tail);
	va_end(args);
	err->code = code;
	df_error_remote(err, name);
	return code;
}

int df_error_prefix(struct df_error *err, const char *fmt, ...)
{
	char tail[DF_ERROR_TEXT_MAX + 2];
	va_list args;

	if (!err)
		return DF_ERR_UNKNOWN;
	snprintf(tail, sizeof(tail), ": %s", err->text);
	va_start(args, fmt);
	df_error_format(err, fmt, args, tail);
	va_end(args);
	return err->code;
}

void df_error_remote(struct df_error *err, const char *remote_code)
{
	if (!err)
		return;
	if (!remote_code)
		remote_code = "";
	int n = snprintf(err->remote, sizeof(err->remote), "%s", remote_code);
	df_error_tidy(err->remote, n < 0 || (size_t)n >= sizeof(err->remote));
}

int df_error_no_memory(struct df_error *err)
{
	return df_error_set(err, DF_ERR_NO_MEMORY, "out of memory");
}

const char *df_code_name(int code)
{
	switch (code) {
	case DF_ERR_CONNECTION:
		return "connection_error";
	case DF_ERR_TIMEOUT:
		return "timeout";
	case DF_ERR_AUTH:
	case DF_ERR_DENIED:
		return "auth_error";
	case DF_ERR_CONSTRAINT:
		return "constraint_violation";
	case DF_ERR_INVALID_DATA:
		return "invalid_data";
	case DF_ERR_TRANSIENT:
		return "transient";
	case DF_ERR_CANCELED:
		return "context_canceled";
	default:
		return "unknown";
	}
}

bool df_code_retryable(int code)
{
	return code == DF_ERR_CONNECTION || code == DF_ERR_TIMEOUT || code == DF_ERR_TRANSIENT || code == DF_ERR_DENIED;
}

bool df_code_poison(int code)
{
	return code == DF_ERR_CONSTRAINT || code == DF_ERR_INVALID_DATA;
}
