#include "table/identifier.h"

#include <stdlib.h>

int df_name_check(struct df_str name, const char *what, struct df_error *err)
{
	if (name.len == 0)
		return df_error_set(err, DF_ERR_INVALID_DATA, "%s is empty", what);
	if (memchr(name.ptr, '\0', name.len))
		return df_error_set(err, DF_ERR_INVALID_DATA, "%s contains a NUL character", what);
	if (!df_utf8_valid(name, NULL))
		return df_error_set(err, DF_ERR_INVALID_DATA, "%s is not valid UTF-8", what);
	return 0;
}

int df_name_check_key(struct df_str name, struct df_error *err)
{
	if (df_utf8_valid(name, NULL))
		return 0;
	return df_error_set(err, DF_ERR_CONFIG,
			    "the name of the column \"" DF_STR_FMT
			    "\" is not valid UTF-8, so no document can hold it; give it another in a query",
			    DF_STR_ARG(name));
}

void df_name_quote(struct df_buf *sql, enum df_quote quote, struct df_str name)
{
	char mark = quote == DF_QUOTE_BACKTICK ? '`' : '"';
	const char *end = name.ptr + name.len;

	df_buf_add_char(sql, mark);
	for (const char *p = name.ptr; p < end; p++) {
		if (quote == DF_QUOTE_BACKTICK && (*p == mark || *p == '\\'))
			df_buf_add_char(sql, '\\');
		else if (*p == mark)
			df_buf_add_char(sql, mark);
		df_buf_add_char(sql, *p);
	}
	df_buf_add_char(sql, mark);
}

void df_name_quote_in(struct df_buf *sql, enum df_quote quote, struct df_str qualifier, struct df_str name)
{
	if (qualifier.len) {
		df_name_quote(sql, quote, qualifier);
		df_buf_add_char(sql, '.');
	}
	df_name_quote(sql, quote, name);
}

/* Takes the first part off *rest: up to a dot, or a quoted text. NULL with err set when it is no name. */
static char *take_part(struct df_str *rest, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf part = { 0 };
	size_t i = 0;

	if (rest->len && rest->ptr[0] == '"') {
		bool closed = false;
		for (i = 1; i < rest->len && !closed; i++) {
			bool mark = rest->ptr[i] == '"';
			if (mark && i + 1 < rest->len && rest->ptr[i + 1] == '"')
				i++;
			else
				closed = mark;
			if (!closed)
				df_buf_add_char(&part, rest->ptr[i]);
		}
		if (!closed || (i < rest->len && rest->ptr[i] != '.')) {
			df_error_set(err, DF_ERR_CONFIG,
				     "table name " DF_STR_FMT ": a quoted part must end with a quote",
				     DF_STR_ARG(*rest));
			return NULL;
		}
	} else {
		while (i < rest->len && rest->ptr[i] != '.')
			i++;
		df_buf_add(&part, rest->ptr, i);
	}
	if (part.len == 0 && !part.failed) {
		df_error_set(err, DF_ERR_CONFIG, "table name has an empty part; write `name` or `schema.name`");
		return NULL;
	}
	*rest = df_str(rest->ptr + i, rest->len - i);
	char *text = df_buf_take(&part);
	if (!text)
		df_error_no_memory(err);
	else if (df_name_check(df_str_c(text), "table name", err) != 0)
		free(DF_TAKE(text));
	return text;
}

int df_table_name_split(struct df_str text, struct df_table_name *ret, struct df_error *err)
{
	df_cleanup(df_table_name_done) struct df_table_name name = { 0 };
	struct df_str rest = text;
	struct df_error local = DF_ERROR_INIT;

	name.name = take_part(&rest, &local);
	if (name.name && rest.len) {
		name.qualifier = DF_TAKE(name.name);
		rest = df_str(rest.ptr + 1, rest.len - 1);
		name.name = take_part(&rest, &local);
	}
	if (!name.name) {
		if (err)
			*err = local;
		return local.code;
	}
	if (rest.len)
		return df_error_set(err, DF_ERR_CONFIG,
				    "table name " DF_STR_FMT " has more than one dot; put a part that contains one in "
				    "double quotes",
				    DF_STR_ARG(text));
	*ret = (struct df_table_name){ .qualifier = DF_TAKE(name.qualifier), .name = DF_TAKE(name.name) };
	return 0;
}

void df_table_name_done(struct df_table_name *name)
{
	if (!name)
		return;
	free(DF_TAKE(name->qualifier));
	free(DF_TAKE(name->name));
}

void df_table_name_quote(struct df_buf *sql, enum df_quote quote, const struct df_table_name *name)
{
	df_name_quote_in(sql, quote, df_str_c(name->qualifier), df_str_c(name->name));
}

int df_names_add(struct df_strings *names, struct df_str name)
{
	char *copy = df_str_dup(name);
	char **items = copy ? reallocarray(names->items, names->count + 1, sizeof(*items)) : NULL;

	if (!items) {
		free(copy);
		return DF_ERR_NO_MEMORY;
	}
	items[names->count++] = copy;
	names->items = items;
	return 0;
}

int df_names_parse(const char *text, struct df_strings *ret, struct df_error *err)
{
	df_cleanup(df_names_done) struct df_strings names = { 0 };
	struct df_str rest = df_str_c(text);

	while (rest.len) {
		const char *comma = memchr(rest.ptr, ',', rest.len);
		size_t len = comma ? (size_t)(comma - rest.ptr) : rest.len;
		struct df_str name = df_str_trim(df_str(rest.ptr, len));

		if (name.len == 0 || (comma && len + 1 == rest.len))
			return df_error_set(err, DF_ERR_CONFIG, "list of columns \"%s\" has an empty entry", text);
		for (size_t i = 0; i < names.count; i++)
			if (df_str_equal_c(name, names.items[i]))
				return df_error_set(err, DF_ERR_CONFIG, "column %s stands twice in \"%s\"",
						    names.items[i], text);
		if (df_names_add(&names, name) != 0)
			return df_error_no_memory(err);
		len += comma ? 1 : 0;
		rest = df_str(rest.ptr + len, rest.len - len);
	}
	*ret = names;
	names = (struct df_strings){ 0 };
	return 0;
}

void df_names_done(struct df_strings *names)
{
	if (!names)
		return;
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(DF_TAKE(names->items));
	names->count = 0;
}

void df_names_quote(struct df_buf *sql, enum df_quote quote, const struct df_strings *names)
{
	for (size_t i = 0; i < names->count; i++) {
		if (i)
			df_buf_add_c(sql, ", ");
		df_name_quote(sql, quote, df_str_c(names->items[i]));
	}
}
