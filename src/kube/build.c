#include "kube/build.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/cleanup.h"

static void add_string(struct df_str text, struct df_buf *buf)
{
	if (text.ptr)
		df_json_write_string(text, buf);
	else
		df_buf_add_c(buf, "null");
}

static void add_value(const struct df_value *v, struct df_buf *buf)
{
	if (v)
		df_value_write(v, buf);
	else
		df_buf_add_c(buf, "null");
}

static void broken(const char *shape, const char *why)
{
	fprintf(stderr, "df_kube_build: %s in %s\n", why, shape);
	abort();
}

/* The text with its holes filled. */
static void fill(const char *shape, va_list args, struct df_buf *buf)
{
	for (const char *p = shape; *p; p++) {
		if (*p == '\'') {
			df_buf_add_char(buf, '"');
			continue;
		} else if (*p != '%') {
			df_buf_add_char(buf, *p);
			continue;
		}
		switch (*++p) {
		case 's':
			add_string(df_str_c(va_arg(args, const char *)), buf);
			break;
		case 'S':
			add_string(va_arg(args, struct df_str), buf);
			break;
		case 'd':
			df_buf_printf(buf, "%lld", (long long)va_arg(args, int64_t));
			break;
		case 'b':
			df_buf_add_c(buf, va_arg(args, int) ? "true" : "false");
			break;
		case 'v':
			add_value(va_arg(args, const struct df_value *), buf);
			break;
		default:
			broken(shape, "an unknown hole");
		}
	}
}

static void drop_nulls(struct df_value *v)
{
	struct df_value *prev = NULL, *next;

	if (!df_value_is_container(v))
		return;
	for (struct df_value *child = v->first; child; child = next) {
		next = child->next;
		if (v->kind == DF_OBJECT && child->kind == DF_NULL) {
			df_container_remove(v, prev, child);
			continue;
		}
		drop_nulls(child);
		prev = child;
	}
}

int df_kube_build(struct df_arena *arena, struct df_value **ret, struct df_error *err, const char *shape, ...)
{
	struct df_buf buf = { 0 };
	struct df_str text;
	va_list args;

	*ret = NULL;
	va_start(args, shape);
	fill(shape, args, &buf);
	va_end(args);
	text = buf.failed ? df_str(NULL, 0) : df_arena_dup(arena, df_buf_str(&buf));
	df_buf_done(&buf);
	if (!text.ptr)
		return df_error_no_memory(err);
	switch (df_value_parse(text, arena, ret, NULL)) {
	case DF_PARSE_OK:
		drop_nulls(*ret);
		return 0;
	case DF_PARSE_NO_MEMORY:
		return df_error_no_memory(err);
	default:
		broken(shape, "no JSON");
	}
	return DF_ERR_UNKNOWN;
}
