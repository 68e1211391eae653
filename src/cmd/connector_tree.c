#include "cmd/connector_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

#define LIST "src/connectors/list.h"
#define OPTIONS "meson_options.txt"

/* ---- files ----------------------------------------------------------------------------------------------- */

static int read_file(const char *top, const char *file, struct df_buf *ret, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf path = { 0 };
	FILE *f;
	size_t n;

	df_buf_printf(&path, "%s/%s", top, file);
	f = fopen(df_buf_c(&path), "r");
	if (!f)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "%s is not the top of a DataFlow tree: %s", top, file);
	do {
		char *room = df_buf_reserve(ret, 4096);

		n = room ? fread(room, 1, 4096, f) : 0;
		ret->len += n;
	} while (n > 0);
	fclose(f);
	df_buf_c(ret);
	return ret->failed ? df_error_no_memory(err) : 0;
}

/* In one step: the old file or the new one. */
static int replace_file(const char *top, const char *file, const struct df_buf *text, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf path = { 0 };
	df_cleanup(df_buf_done) struct df_buf fresh = { 0 };
	FILE *f;
	bool ok;

	df_buf_printf(&path, "%s/%s", top, file);
	df_buf_printf(&fresh, "%s/%s.new", top, file);
	f = fopen(df_buf_c(&fresh), "wx");
	ok = f && fwrite(text->data, 1, text->len, f) == text->len;
	if (f && fclose(f) != 0)
		ok = false;
	if (!ok || rename(df_buf_c(&fresh), df_buf_c(&path)) < 0)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "cannot write %s", df_buf_c(&path));
	printf("changed %s\n", df_buf_c(&path));
	return 0;
}

/* ---- lines ----------------------------------------------------------------------------------------------- */

/* Behind the line that begins with this text (the last such one); NULL: there is none. */
static const char *behind_line(const char *text, const char *begin)
{
	const char *behind = NULL;

	for (const char *line = text; line && *line;) {
		const char *end = strchr(line, '\n');

		if (strncmp(line, begin, strlen(begin)) == 0)
			behind = end ? end + 1 : line + strlen(line);
		line = end ? end + 1 : NULL;
	}
	return behind;
}

/* Does a line begin with these three? */
static bool has_line(const char *text, const char *before, const char *name, const char *after)
{
	char begin[128];

	snprintf(begin, sizeof(begin), "%s%s%s", before, name, after);
	return behind_line(text, begin) != NULL;
}

/* Behind the options of the connectors that are in the list. */
static const char *behind_options(const char *options, const char *list)
{
	const char *behind = NULL;

	for (const char *row = strstr(list, "\nDF_CONNECTOR("); row; row = strstr(row + 1, "\nDF_CONNECTOR(")) {
		const char *name = row + strlen("\nDF_CONNECTOR(");
		char begin[128];
		const char *at;

		snprintf(begin, sizeof(begin), "option('%.*s'", (int)strcspn(name, ")"), name);
		at = behind_line(options, begin);
		if (at && (!behind || at > behind))
			behind = at;
	}
	return behind ? behind : options + strlen(options);
}

/* ---- the two files --------------------------------------------------------------------------------------- */

int df_connector_tree_check(const char *top, const char *name, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf list = { 0 };
	df_cleanup(df_buf_done) struct df_buf options = { 0 };
	int code = read_file(top, LIST, &list, err);

	if (code == 0)
		code = read_file(top, OPTIONS, &options, err);
	if (code != 0)
		return code;
	if (!strstr(df_buf_c(&list), "DF_CONNECTOR("))
		return df_error_set(err, DF_ERR_CONFIG, "%s is not the top of a DataFlow tree: %s has no connector",
				    top, LIST);
	if (has_line(df_buf_c(&list), "DF_CONNECTOR(", name, ")"))
		return df_error_set(err, DF_ERR_CONFIG, "there is a connector `%s` already in %s/%s; take another name",
				    name, top, LIST);
	if (has_line(df_buf_c(&options), "option('", name, "'"))
		return df_error_set(err, DF_ERR_CONFIG, "there is an option `%s` already in %s/%s; take another name",
				    name, top, OPTIONS);
	return 0;
}

static int add_line(const char *top, const char *file, const struct df_buf *old, const char *at, const char *line,
		    struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	size_t before = (size_t)(at - old->data);

	df_buf_add(&text, old->data, before);
	if (before > 0 && old->data[before - 1] != '\n')
		df_buf_add_char(&text, '\n');
	df_buf_add_c(&text, line);
	df_buf_add(&text, at, old->len - before);
	return text.failed ? df_error_no_memory(err) : replace_file(top, file, &text, err);
}

int df_connector_tree_add(const char *top, const char *name, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf list = { 0 };
	df_cleanup(df_buf_done) struct df_buf options = { 0 };
	char line[256];
	int code = read_file(top, LIST, &list, err);

	if (code == 0)
		code = read_file(top, OPTIONS, &options, err);
	if (code != 0)
		return code;
	snprintf(line, sizeof(line), "option('%s', type: 'feature', value: 'auto', description: '%s connector')\n",
		 name, name);
	code = add_line(top, OPTIONS, &options, behind_options(df_buf_c(&options), df_buf_c(&list)), line, err);
	if (code != 0)
		return code;
	snprintf(line, sizeof(line), "DF_CONNECTOR(%s)\n", name);
	return add_line(top, LIST, &list, behind_line(df_buf_c(&list), "DF_CONNECTOR("), line, err);
}
