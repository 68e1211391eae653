#include "spec/diag.h"

#include <stdio.h>
#include <stdlib.h>

#include "spec/spec_internal.h"
#include "value/value.h"

void df_diags_done(struct df_diags *diags)
{
	if (!diags)
		return;
	for (size_t i = 0; i < diags->count; i++) {
		free(diags->items[i].file);
		free(diags->items[i].path);
		free(diags->items[i].text);
	}
	free(diags->items);
	*diags = (struct df_diags){ 0 };
}

void df_diags_no_memory(struct df_diags *diags)
{
	diags->failed = true;
	diags->errors++;
}

/* The member that `sub` begins with (map keys may contain dots: the longest wins). */
static const struct df_value *member_of(const struct df_value *object, const char *sub, size_t *ret_len)
{
	const struct df_value *best = NULL;

	*ret_len = 0;
	df_for_each (child, object) {
		size_t len = child->key_len;
		if (len == 0 || (best && len <= *ret_len) || strncmp(sub, child->key, len) != 0)
			continue;
		if (sub[len] == '\0' || sub[len] == '.' || sub[len] == '[') {
			best = child;
			*ret_len = len;
		}
	}
	return best;
}

static const struct df_value *element_of(const struct df_value *array, const char *sub, size_t *ret_len)
{
	char *end;
	unsigned long index = strtoul(sub + 1, &end, 10);

	if (*end != ']')
		return NULL;
	*ret_len = (size_t)(end - sub) + 1;
	return df_array_get(array, index);
}

/* The line of the deepest node on the way to `sub`. */
static uint32_t line_of(const struct df_place *place, const char *sub)
{
	uint32_t line = place->line;
	const struct df_value *at = place->value;

	while (at && sub && *sub) {
		size_t len = 0;
		if (*sub == '[')
			at = at->kind == DF_ARRAY ? element_of(at, sub, &len) : NULL;
		else
			at = at->kind == DF_OBJECT ? member_of(at, sub, &len) : NULL;
		if (!at)
			break;
		if (at->line)
			line = at->line;
		sub += len;
		if (*sub == '.')
			sub++;
	}
	return line;
}

/* One diagnostic is one line, whatever a key or a value in the manifest contains. */
static void one_line(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

static char *join(const char *path, const char *sub)
{
	char *ret = NULL;
	const char *dot = path && *path && sub && *sub && *sub != '[' ? "." : "";

	if (asprintf(&ret, "%s%s%s", path ? path : "", dot, sub ? sub : "") < 0)
		return NULL;
	one_line(ret);
	return ret;
}

static bool fill(struct df_diag *diag, const struct df_place *place, const char *sub, const char *fmt, va_list args)
	df_printf(4, 0);
static bool fill(struct df_diag *diag, const struct df_place *place, const char *sub, const char *fmt, va_list args)
{
	if (vasprintf(&diag->text, fmt, args) < 0) {
		diag->text = NULL;
		return false;
	}
	one_line(diag->text);
	if (!place)
		return true;
	/* What came from no file has no lines to look for, among members that may be as many as somebody likes. */
	diag->line = place->file ? line_of(place, sub) : place->line;
	if (place->file && !(diag->file = strdup(place->file)))
		return false;
	if ((place->path || sub) && !(diag->path = join(place->path, sub)))
		return false;
	return true;
}

static size_t errors_kept(const struct df_diags *diags)
{
	return diags->errors < DF_DIAGS_MAX ? diags->errors : DF_DIAGS_MAX;
}

bool df_diags_full(const struct df_diags *diags, bool warning)
{
	size_t kept = errors_kept(diags), warnings = diags->count > kept ? diags->count - kept : 0;

	return (warning ? warnings : diags->errors) >= DF_DIAGS_MAX;
}

static void add(struct df_diags *diags, bool warning, const struct df_place *place, const char *sub, const char *fmt,
		va_list args) df_printf(5, 0);
static void add(struct df_diags *diags, bool warning, const struct df_place *place, const char *sub, const char *fmt,
		va_list args)
{
	struct df_diag diag = { .warning = warning };

	if (df_diags_full(diags, warning)) {
		diags->errors += !warning;
		return;
	}
	/* Doubling whenever the count is a power of two needs no capacity in the struct. */
	if ((diags->count & (diags->count - 1)) == 0) {
		size_t cap = diags->count ? diags->count * 2 : 1;
		struct df_diag *items = reallocarray(diags->items, cap, sizeof(*items));
		if (!items)
			goto failed;
		diags->items = items;
	}
	if (!fill(&diag, place, sub, fmt, args))
		goto failed;
	diags->items[diags->count++] = diag;
	diags->errors += !warning;
	return;
failed:
	free(diag.file);
	free(diag.path);
	free(diag.text);
	df_diags_no_memory(diags);
}

void df_diag_error(struct df_diags *diags, const struct df_place *place, const char *sub, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(diags, false, place, sub, fmt, args);
	va_end(args);
}

void df_diag_warning(struct df_diags *diags, const struct df_place *place, const char *sub, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(diags, true, place, sub, fmt, args);
	va_end(args);
}

static void print_one(const struct df_diag *diag, struct df_buf *buf)
{
	if (diag->file && diag->line)
		df_buf_printf(buf, "%s:%u: ", diag->file, (unsigned)diag->line);
	else if (diag->file)
		df_buf_printf(buf, "%s: ", diag->file);
	if (diag->path && *diag->path)
		df_buf_printf(buf, "%s: ", diag->path);
	if (diag->warning)
		df_buf_add_c(buf, "warning: ");
	df_buf_add_c(buf, diag->text);
}

void df_diags_print(const struct df_diags *diags, struct df_buf *buf)
{
	for (size_t i = 0; i < diags->count; i++) {
		print_one(&diags->items[i], buf);
		df_buf_add_char(buf, '\n');
	}
	if (diags->errors > DF_DIAGS_MAX)
		df_buf_printf(buf, "and %zu more errors\n", diags->errors - DF_DIAGS_MAX);
	if (diags->failed)
		df_buf_add_c(buf, "out of memory: the list of problems is not complete\n");
}

int df_diags_error(const struct df_diags *diags, struct df_error *err)
{
	struct df_buf buf = { 0 };
	size_t i = 0;

	if (diags->errors == 0)
		return 0;
	while (i < diags->count && diags->items[i].warning)
		i++;
	if (i == diags->count)
		return df_error_no_memory(err);
	print_one(&diags->items[i], &buf);
	if (diags->errors > 1)
		df_buf_printf(&buf, " (and %zu more)", diags->errors - 1);
	int r = buf.failed ? df_error_no_memory(err) : df_error_set(err, DF_ERR_CONFIG, "%s", df_buf_c(&buf));
	df_buf_done(&buf);
	return r;
}
