#include "connectors/subprocess/secrets.h"

#include <stdlib.h>

static void add(void *arg, const char *value)
{
	struct df_hidden *hidden = arg;
	char **values;
	char *copy;

	if (!*value)
		return;
	values = reallocarray(hidden->values, hidden->count + 1, sizeof(*values));
	if (values)
		hidden->values = values;
	copy = values ? df_str_dup(df_str_c(value)) : NULL;
	if (!copy) {
		hidden->failed = true;
		return;
	}
	/* One that is a part of another must not break it up. */
	size_t at = hidden->count++;
	for (; at > 0 && strlen(hidden->values[at - 1]) < strlen(copy); at--)
		hidden->values[at] = hidden->values[at - 1];
	hidden->values[at] = copy;
}

int df_hidden_init(struct df_hidden *hidden, const struct df_table *table, const void *settings, struct df_error *err)
{
	*hidden = (struct df_hidden){ 0 };
	df_settings_secret_values(table, settings, add, hidden);
	return hidden->failed ? df_error_no_memory(err) : 0;
}

void df_hidden_done(struct df_hidden *hidden)
{
	for (size_t i = 0; i < hidden->count; i++) {
		explicit_bzero(hidden->values[i], strlen(hidden->values[i]));
		free(hidden->values[i]);
	}
	free(hidden->values);
	*hidden = (struct df_hidden){ 0 };
}

/* The secret that stands at the beginning of text; its length, or 0. */
static size_t starts_with(const struct df_hidden *hidden, struct df_str text)
{
	for (size_t i = 0; i < hidden->count; i++)
		if (df_str_starts(text, df_str_c(hidden->values[i])))
			return strlen(hidden->values[i]);
	return 0;
}

void df_hidden_write(const struct df_hidden *hidden, struct df_str text, struct df_buf *buf)
{
	size_t shown = 0;

	for (size_t i = 0; i < text.len && hidden->count; i++) {
		size_t len = starts_with(hidden, df_str(text.ptr + i, text.len - i));

		if (!len)
			continue;
		df_buf_add(buf, text.ptr + shown, i - shown);
		df_buf_add_c(buf, "***");
		shown = i + len;
		i = shown - 1;
	}
	if (shown < text.len)
		df_buf_add(buf, text.ptr + shown, text.len - shown);
}
