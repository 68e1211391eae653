/* Reference pages (Markdown) and the terminal's help, from field tables. */
#include <inttypes.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "spec/generate.h"
#include "spec/spec_internal.h"

#define HELP_WIDTH 88
#define EXAMPLE_NOW "2024-01-15T09:50:00Z"
#define MADE "<!-- Made by `make generate` from the field tables. Do not edit. -->\n"

void df_generate_twin_name(const struct df_field *field, struct df_buf *buf)
{
	if (field->ref)
		df_buf_add_c(buf, field->ref);
	else
		df_buf_printf(buf, "%sSecretRef", field->name);
}

static bool has_twin(const struct df_field *f)
{
	return f->type == DF_TYPE_SECRET || f->type == DF_TYPE_SECRET_STRINGS;
}

static const char *type_name(const struct df_field *f)
{
	switch (f->type) {
	case DF_TYPE_STRING:
	case DF_TYPE_SECRET:
		return "text";
	case DF_TYPE_BOOL:
	case DF_TYPE_OPT_BOOL:
		return "bool";
	case DF_TYPE_INT:
	case DF_TYPE_INT64:
	case DF_TYPE_OPT_INT:
	case DF_TYPE_OPT_INT64:
		return "int";
	case DF_TYPE_DURATION:
		return "duration";
	case DF_TYPE_STRINGS:
	case DF_TYPE_SECRET_STRINGS:
		return "list of text";
	case DF_TYPE_SECRET_REF:
		return "Secret reference";
	case DF_TYPE_PAIRS:
		return "map";
	case DF_TYPE_OBJECT:
		return "object";
	case DF_TYPE_OBJECTS:
		return "list of objects";
	case DF_TYPE_RAW:
		return f->json == DF_ARRAY ? "list" : f->json == DF_OBJECT ? "object" : "any";
	case DF_TYPE_REST:
		return "any";
	case DF_TYPE_COMPONENT:
		return df_component_kind_name(f->component);
	case DF_TYPE_COMPONENTS:
		return f->component == DF_TRANSFORMATION ? "list of transformations" : "list of connectors";
	}
	return "";
}

/* "`a`, `b` or `c`" */
static void add_values(const char *const *values, struct df_buf *buf)
{
	for (size_t i = 0; values[i]; i++)
		df_buf_printf(buf, "%s`%s`", i == 0 ? "" : values[i + 1] ? ", " : " or ", values[i]);
}

static void add_bound(const struct df_field *f, int64_t n, struct df_buf *buf)
{
	char text[32];

	if (f->type == DF_TYPE_DURATION)
		df_buf_add(buf, text, df_duration_format(n, text));
	else
		df_buf_printf(buf, "%" PRId64, n);
}

/* " At least 1." and the like. */
static void add_range(const struct df_field *f, struct df_buf *buf)
{
	bool small = f->type == DF_TYPE_INT || f->type == DF_TYPE_OPT_INT;
	bool low = f->min > (small ? INT32_MIN : INT64_MIN);
	bool high = f->max < (small ? INT32_MAX : INT64_MAX);

	if (f->min == 0 && f->max == 0)
		return;
	if (f->type == DF_TYPE_DURATION && f->min == 1 && !high) {
		df_buf_add_c(buf, " Greater than 0.");
		return;
	}
	if (!low && !high)
		return;
	df_buf_add_c(buf, low && high ? " " : low ? " At least " : " At most ");
	if (low)
		add_bound(f, f->min, buf);
	if (low && high)
		df_buf_add_c(buf, " to ");
	if (high)
		add_bound(f, f->max, buf);
	df_buf_add_char(buf, '.');
}

/* The description with what follows from the row. */
static void add_description(const struct df_field *f, struct df_buf *buf)
{
	if (f->flags & DF_IGNORED)
		df_buf_add_c(buf, "Ignored with a warning. ");
	if (f->alias_of)
		df_buf_printf(buf, "Deprecated, use `%s`. ", f->alias_of);
	else if (f->flags & DF_DEPRECATED)
		df_buf_add_c(buf, "Deprecated. ");
	df_buf_add_c(buf, f->doc ? f->doc : "");
	if (f->values) {
		df_buf_add_c(buf, " One of ");
		add_values(f->values, buf);
		df_buf_add_c(buf, f->flags & DF_ANY_CASE ? ", in any case." : ".");
	}
	add_range(f, buf);
	if (f->flags & DF_OURS)
		df_buf_add_c(buf, " An extension of ours.");
}

static void add_default(const struct df_field *f, const char *quote, struct df_buf *buf)
{
	if (f->flags & DF_REQUIRED)
		df_buf_add_c(buf, "required");
	else if (f->def && *f->def)
		df_buf_printf(buf, "%s%s%s", quote, f->def, quote);
	else if (f->def_doc)
		df_buf_add_c(buf, f->def_doc);
	else if (f->type == DF_TYPE_BOOL)
		df_buf_printf(buf, "%sfalse%s", quote, quote);
}

/* ---- Markdown -------------------------------------------------------------------------------------------- */

/* Text in a table's cell: `|` would end it. */
static void add_cell(struct df_str text, struct df_buf *buf)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '|')
			df_buf_add_char(buf, '\\');
		df_buf_add_char(buf, text.ptr[i] == '\n' ? ' ' : text.ptr[i]);
	}
}

static void field_row(const struct df_field *f, struct df_buf *buf)
{
	df_cleanup(df_buf_done) struct df_buf cell = { 0 };

	df_buf_printf(buf, "| `%s`", f->name);
	if (has_twin(f)) {
		df_buf_add_c(buf, ", `");
		df_generate_twin_name(f, buf);
		df_buf_add_char(buf, '`');
	}
	df_buf_printf(buf, " | %s | ", type_name(f));
	add_default(f, "`", &cell);
	add_cell(df_buf_str(&cell), buf);
	cell.len = 0;
	add_description(f, &cell);
	if (f->example)
		df_buf_printf(&cell, " Example: `%s`.", f->example);
	df_buf_add_c(buf, " | ");
	add_cell(df_buf_str(&cell), buf);
	df_buf_add_c(buf, " |\n");
}

static void add_names(const struct df_rule *rule, size_t first, const char *last_word, struct df_buf *buf)
{
	for (size_t i = first; i < DF_RULE_FIELDS && rule->fields[i]; i++) {
		bool last = i + 1 == DF_RULE_FIELDS || !rule->fields[i + 1];

		if (i > first)
			df_buf_printf(buf, last ? " %s " : ", ", last_word);
		df_buf_printf(buf, "`%s`", rule->fields[i]);
	}
}

/* "`first`" or "`first: value`" */
static void add_first(const struct df_rule *rule, struct df_buf *buf)
{
	df_buf_printf(buf, rule->value ? "`%s: %s`" : "`%s`", rule->fields[0], rule->value);
}

/* False: nothing to say. */
static bool add_rule(const struct df_rule *rule, struct df_buf *buf)
{
	if (rule->text) {
		size_t len = strlen(rule->text);

		df_buf_printf(buf, "%s%s", rule->text, len && rule->text[len - 1] == '.' ? "" : ".");
		return true;
	}
	switch (rule->kind) {
	case DF_RULE_ONE_OF:
		df_buf_add_c(buf, "At least one of ");
		add_names(rule, 0, "and", buf);
		df_buf_add_c(buf, " is needed.");
		return true;
	case DF_RULE_EXCLUSIVE:
		df_buf_add_c(buf, "At most one of ");
		add_names(rule, 0, "and", buf);
		df_buf_add_char(buf, '.');
		return true;
	case DF_RULE_TOGETHER:
		add_names(rule, 0, "and", buf);
		df_buf_add_c(buf, " only together.");
		return true;
	case DF_RULE_REQUIRES:
	case DF_RULE_FORBIDS:
		add_first(rule, buf);
		df_buf_add_c(buf, rule->kind == DF_RULE_REQUIRES ? " needs " : " excludes ");
		add_names(rule, 1, "and", buf);
		df_buf_add_char(buf, '.');
		return true;
	case DF_RULE_POINTLESS:
		df_buf_printf(buf, "`%s` has no effect without `%s", rule->fields[0], rule->fields[1]);
		df_buf_printf(buf, rule->value ? ": %s`." : "`.", rule->value);
		return true;
	case DF_RULE_CHECK:
		break;
	}
	return false;
}

#define SEEN_MAX 32

/* Tables printed on this page: a shared block stands there once. */
struct page {
	struct df_buf *buf;
	const struct df_table *seen[SEEN_MAX];
	char *paths[SEEN_MAX];
	size_t count;
};

static void page_done(struct page *page)
{
	for (size_t i = 0; i < page->count; i++)
		free(page->paths[i]);
}

static void heading(int level, const char *text, struct df_buf *buf)
{
	df_buf_add_char(buf, '\n');
	for (int i = 0; i < level; i++)
		df_buf_add_char(buf, '#');
	df_buf_printf(buf, " %s\n\n", text);
}

static void table_docs(struct page *page, const struct df_table *table, const char *prefix, int level);

static void nested_docs(struct page *page, const struct df_field *f, const char *prefix, int level)
{
	df_cleanup(df_buf_done) struct df_buf path = { 0 }, title = { 0 };
	size_t i = 0;

	if (!f->table || f->alias_of)
		return;
	df_buf_printf(&path, "%s%s%s%s", prefix, *prefix ? "." : "", f->name, f->type == DF_TYPE_OBJECTS ? "[]" : "");
	df_buf_printf(&title, "`%s`", df_buf_c(&path));
	heading(level, df_buf_c(&title), page->buf);
	while (i < page->count && page->seen[i] != f->table)
		i++;
	if (i < page->count) {
		df_buf_printf(page->buf, "As `%s` above.\n", page->paths[i]);
		return;
	}
	if (page->count < SEEN_MAX) {
		char *copy = df_str_dup(df_buf_str(&path));

		if (copy) {
			page->seen[page->count] = f->table;
			page->paths[page->count++] = copy;
		}
	}
	if (f->type == DF_TYPE_COMPONENT)
		df_buf_printf(page->buf, "A %s, with these keys beside `type`:\n\n",
			      df_component_kind_name(f->component));
	table_docs(page, f->table, df_buf_c(&path), level);
}

static void table_docs(struct page *page, const struct df_table *table, const char *prefix, int level)
{
	bool any = false;

	if (table->field_count == 0) {
		df_buf_add_c(page->buf, "No settings.\n");
		return;
	}
	df_buf_add_c(page->buf, "| Field | Type | Default | Description |\n|-|-|-|-|\n");
	for (size_t i = 0; i < table->field_count; i++)
		field_row(&table->fields[i], page->buf);
	for (size_t i = 0; i < table->rule_count; i++) {
		df_cleanup(df_buf_done) struct df_buf rule = { 0 };

		if (!add_rule(&table->rules[i], &rule))
			continue;
		df_buf_printf(page->buf, "%s- %s\n", any ? "" : "\n", df_buf_c(&rule));
		any = true;
	}
	for (size_t i = 0; i < table->field_count; i++)
		nested_docs(page, &table->fields[i], prefix, level);
}

void df_generate_field_docs(const struct df_table *table, int heading_level, struct df_buf *buf)
{
	df_cleanup(page_done) struct page page = { .buf = buf };

	table_docs(&page, table, "", heading_level);
}

/* Every line behind an indent, the first behind one of its own. */
static void add_lines(const char *text, const char *first, const char *rest, struct df_buf *buf)
{
	for (const char *indent = first; *text; indent = rest) {
		size_t len = strcspn(text, "\n");

		df_buf_add_c(buf, len > 0 ? indent : "");
		df_buf_add(buf, text, len);
		df_buf_add_char(buf, '\n');
		text += len + (text[len] == '\n');
	}
}

/* item: as the element of a list. */
static void fence(const char *info, const char *text, bool item, struct df_buf *buf)
{
	df_buf_printf(buf, "```%s\n", info);
	add_lines(text, item ? "- " : "", item ? "  " : "", buf);
	df_buf_add_c(buf, "```\n");
}

/* In the form that test/rules/test_doc_examples.py reads. */
static void example_docs(const struct df_example *e, int level, struct df_buf *buf)
{
	heading(level, e->title, buf);
	if (e->doc)
		df_buf_printf(buf, "%s\n\n", e->doc);
	fence("yaml config", e->config, !df_str_starts(df_str_c(e->config), DF_STR("- ")), buf);
	df_buf_add_char(buf, '\n');
	fence(e->envelope ? "json in envelope" : "json in", e->in, false, buf);
	df_buf_add_char(buf, '\n');
	fence("json out", e->out, false, buf);
	if (!e->errors)
		return;
	df_buf_add_char(buf, '\n');
	fence("json errors", e->errors, false, buf);
}

static void examples_docs(const struct df_type *type, int level, struct df_buf *buf)
{
	heading(level, "Examples", buf);
	df_buf_add_c(buf, "Each shows `config.yaml`, the messages that come in and those that go out, one a line, and, "
			  "where one fails, what `--errors` gets:\n\n"
			  "```\ndataflow transform -f config.yaml --now " EXAMPLE_NOW
			  " --errors errors.jsonl < in.jsonl > out.jsonl\n```\n\n"
			  "With `--envelope` where metadata is shown.\n");
	for (size_t i = 0; i < type->example_count; i++)
		example_docs(&type->examples[i], level + 1, buf);
}

/* key: where it stands in a manifest. */
static void part_docs(const struct df_type *type, const char *key, int level, struct df_buf *buf)
{
	if (type->title)
		df_buf_printf(buf, "%s\n", type->title);
	if (type->later)
		df_buf_add_c(
			buf,
			"\n> Settings are read and checked, but this build cannot run it: the driver comes later.\n");
	if (type->doc)
		df_buf_printf(buf, "\n%s\n", type->doc);
	if (type->example && key) {
		df_buf_printf(buf, "\n```yaml\n%s:\n", key);
		add_lines(type->example, "  ", "  ", buf);
		df_buf_add_c(buf, "```\n");
	}
	heading(level, "Settings", buf);
	if (type->settings)
		df_generate_field_docs(type->settings, level + 1, buf);
	else
		df_buf_add_c(buf, "No settings.\n");
	if (type->example_count > 0)
		examples_docs(type, level, buf);
}

void df_generate_type_docs(const struct df_type *source, const struct df_type *sink, struct df_buf *buf)
{
	const struct df_type *any = source ? source : sink;

	if (!any)
		return;
	df_buf_printf(buf, "# %s\n\n" MADE, any->name);
	if (source) {
		heading(2, "Source", buf);
		part_docs(source, "source", 3, buf);
	}
	if (sink) {
		heading(2, "Sink", buf);
		part_docs(sink, "sink", 3, buf);
	}
}

void df_generate_transformation_docs(const struct df_type *type, struct df_buf *buf)
{
	df_buf_printf(buf, "# %s\n\n" MADE "\n", type->name);
	part_docs(type, NULL, 2, buf);
}

/* ---- terminal -------------------------------------------------------------------------------------------- */

/* Does the newline at text.ptr[at] stand between two paragraphs or before an item, a table's row, a fence? */
static bool breaks_line(struct df_str text, size_t at)
{
	return at + 1 >= text.len || strchr("\n-*|`", text.ptr[at + 1]) || (at > 0 && text.ptr[at - 1] == '\n');
}

/* Words folded at HELP_WIDTH, every line indented, as Markdown reads newlines. */
static void fold(struct df_str text, int indent, struct df_buf *buf)
{
	const struct df_str whole = text;
	int column = 0;

	while (text.len > 0) {
		size_t len = 0;

		while (len < text.len && text.ptr[len] != ' ' && text.ptr[len] != '\n')
			len++;
		if (len > 0) {
			if (column > 0 && column + 1 + (int)len > HELP_WIDTH) {
				df_buf_add_char(buf, '\n');
				column = 0;
			}
			if (column == 0)
				df_buf_printf(buf, "%*s", indent, "");
			else
				df_buf_add_char(buf, ' ');
			column = (column ? column + 1 : indent) + (int)len;
			df_buf_add(buf, text.ptr, len);
		}
		if (len < text.len && text.ptr[len] == '\n' &&
		    breaks_line(whole, (size_t)(text.ptr - whole.ptr) + len)) {
			df_buf_add_char(buf, '\n');
			column = 0;
		}
		text = df_str(text.ptr + len + (len < text.len), text.len - len - (len < text.len));
	}
	if (column > 0)
		df_buf_add_char(buf, '\n');
}

static void field_help(const struct df_field *f, const char *prefix, struct df_buf *buf)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 }, def = { 0 };

	df_buf_printf(buf, "  %s%s%s", prefix, *prefix ? "." : "", f->name);
	if (has_twin(f)) {
		df_buf_printf(buf, ", %s%s", prefix, *prefix ? "." : "");
		df_generate_twin_name(f, buf);
	}
	df_buf_printf(buf, "  (%s", type_name(f));
	add_default(f, "", &def);
	if (f->flags & DF_REQUIRED)
		df_buf_add_c(buf, ", required");
	else if (def.len > 0)
		df_buf_printf(buf, ", default %s", df_buf_c(&def));
	df_buf_add_c(buf, ")\n");
	add_description(f, &text);
	fold(df_buf_str(&text), 6, buf);
}

static void table_help(const struct df_table *table, const char *prefix, struct df_buf *buf)
{
	for (size_t i = 0; i < table->field_count; i++) {
		const struct df_field *f = &table->fields[i];
		df_cleanup(df_buf_done) struct df_buf path = { 0 };

		field_help(f, prefix, buf);
		if (!f->table || f->alias_of)
			continue;
		df_buf_printf(&path, "%s%s%s%s", prefix, *prefix ? "." : "", f->name,
			      f->type == DF_TYPE_OBJECTS ? "[]" : "");
		table_help(f->table, df_buf_c(&path), buf);
	}
	for (size_t i = 0; i < table->rule_count; i++) {
		df_cleanup(df_buf_done) struct df_buf rule = { 0 };

		if (*prefix)
			df_buf_printf(&rule, "%s: ", prefix);
		if (add_rule(&table->rules[i], &rule))
			fold(df_buf_str(&rule), 2, buf);
	}
}

static void example_help(const struct df_example *e, struct df_buf *buf)
{
	df_buf_printf(buf, "\nExample: %s\n", e->title);
	add_lines(e->config, "  ", "  ", buf);
	df_buf_printf(buf, "\nIn%s:\n", e->envelope ? " (transform --envelope)" : "");
	add_lines(e->in, "  ", "  ", buf);
	df_buf_add_c(buf, "\nOut:\n");
	add_lines(e->out, "  ", "  ", buf);
}

void df_generate_type_help(enum df_component_kind kind, const struct df_type *type, struct df_buf *buf)
{
	df_buf_printf(buf, "%s (%s)\n", type->name, df_component_kind_name(kind));
	if (type->title)
		fold(df_str_c(type->title), 0, buf);
	if (type->later)
		df_buf_add_c(buf, "Settings are read and checked; the driver comes later.\n");
	if (type->doc) {
		df_buf_add_char(buf, '\n');
		fold(df_str_c(type->doc), 0, buf);
	}
	df_buf_add_c(buf, "\nSettings:\n");
	if (type->settings && type->settings->field_count > 0)
		table_help(type->settings, "", buf);
	else
		df_buf_add_c(buf, "  none\n");
	if (type->example) {
		df_buf_add_c(buf, "\nExample:\n");
		add_lines(type->example, "  ", "  ", buf);
	}
	if (type->example_count > 0)
		example_help(&type->examples[0], buf);
}
