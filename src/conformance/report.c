/* The JSON report of a run, the connector's passport. */
#include <errno.h>
#include <string.h>

#include "base/time.h"
#include "conformance/internal.h"
#include "connectors/plugin_load.h"

#define SUITE_VERSION 1 /* of the rules' names and of this format */

/* ---- writing JSON ---------------------------------------------------------------------------------------- */

/* A key on a line of its own; what stands before it says whether a comma is needed. */
static void add_key(struct df_buf *buf, const char *indent, const char *key)
{
	if (buf->len && buf->data[buf->len - 1] != '{')
		df_buf_add_char(buf, ',');
	df_buf_printf(buf, "\n%s", indent);
	df_json_write_string(df_str_c(key), buf);
	df_buf_add_c(buf, ": ");
}

static void add_text(struct df_buf *buf, const char *indent, const char *key, const char *text)
{
	add_key(buf, indent, key);
	if (text)
		df_json_write_string(df_str_c(text), buf);
	else
		df_buf_add_c(buf, "null");
}

static void add_number(struct df_buf *buf, const char *indent, const char *key, size_t n)
{
	add_key(buf, indent, key);
	df_buf_printf(buf, "%zu", n);
}

/* ---- what was tested, and how ---------------------------------------------------------------------------- */

/* Of a connector that was loaded: where from, and which. */
static void add_plugin(const struct df_type *type, struct df_buf *buf)
{
	const char *file = df_plugin_file_of(type);
	size_t n;
	const struct df_plugin_info *plugins = df_plugins(&n);

	for (size_t i = 0; file && i < n; i++) {
		if (strcmp(plugins[i].file, file) != 0)
			continue;
		add_text(buf, "    ", "plugin", plugins[i].name);
		add_text(buf, "    ", "version", plugins[i].version);
	}
}

/* The type and its settings, as written but for secrets. */
static void add_side(const struct df_subject *s, enum df_component_kind kind, struct df_buf *buf)
{
	struct df_component component = { 0 };
	struct df_diags diags = { 0 };
	struct df_arena arena;
	struct df_value *config;

	if (!s->type[kind])
		return;
	df_arena_init(&arena, NULL);
	add_key(buf, "  ", df_component_kind_name(kind));
	df_buf_add_char(buf, '{');
	add_text(buf, "    ", "type", s->type[kind]->name);
	add_plugin(s->type[kind], buf);
	add_key(buf, "    ", "settings");
	config = df_subject_config(s, kind, "{name}", "{address}", &arena);
	if (config)
		df_subject_parse(s, kind, config, &arena, &component, &diags);
	if (config && diags.errors == 0 && s->type[kind]->settings)
		df_settings_write(s->type[kind]->settings, component.settings, buf);
	else
		df_buf_add_c(buf, "null");
	df_buf_add_c(buf, "\n  }");
	df_component_done(&component);
	df_diags_done(&diags);
	df_arena_done(&arena);
}

/* Commands and settings may hold secrets: only that they were given is told. */
static void add_options(const struct df_conformance_options *o, struct df_buf *buf)
{
	const struct {
		const char *name;
		bool given;
	} rows[] = {
		{ "server", o->server },
		{ "setup", o->setup },
		{ "cleanup", o->cleanup },
		{ "feed", o->feed },
		{ "dump", o->dump },
		{ "restart", o->restart },
		{ "wrongCredentials", o->wrong_credentials && o->wrong_credentials[0] },
		{ "patience", o->soon_ns > 0 },
		{ "quick", o->quick },
	};

	add_key(buf, "  ", "options");
	df_buf_add_char(buf, '[');
	for (size_t i = 0, n = 0; i < DF_ARRAY_SIZE(rows); i++)
		if (rows[i].given)
			df_buf_printf(buf, "%s\"%s\"", n++ ? ", " : "", rows[i].name);
	df_buf_add_char(buf, ']');
	add_key(buf, "  ", "only");
	df_buf_add_char(buf, '[');
	for (size_t i = 0; o->rules && o->rules[i]; i++) {
		df_buf_add_c(buf, i ? ", " : "");
		df_json_write_string(df_str_c(o->rules[i]), buf);
	}
	df_buf_add_char(buf, ']');
}

static const char *doc_of(const char *rule)
{
	size_t n;
	const struct df_conformance_rule *const *rules = df_conformance_rules(&n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(rules[i]->name, rule) == 0)
			return rules[i]->doc;
	return NULL;
}

static void add_result(const struct df_conformance_result *r, bool first, struct df_buf *buf)
{
	static const char *const verdicts[] = { "pass", "fail", "not applicable" };

	df_buf_add_c(buf, first ? "\n    {" : ",\n    {");
	add_text(buf, "      ", "rule", r->rule);
	add_text(buf, "      ", "mustHold", doc_of(r->rule));
	add_text(buf, "      ", "verdict", verdicts[r->verdict]);
	add_text(buf, "      ", "seen", r->seen);
	add_key(buf, "      ", "seconds");
	df_buf_printf(buf, "%.3f\n    }", (double)r->ns / (double)DF_NS_PER_S);
}

static void write_passport(const struct df_subject *s, const struct df_conformance_report *report, struct df_buf *buf)
{
	int64_t now = df_clock_now(NULL);
	char date[DF_RFC3339_MAX + 1];

	date[df_rfc3339_format((struct df_instant){ .seconds = now / DF_NS_PER_S }, 0, DF_FRACTION_NONE, date)] = '\0';
	df_buf_add_char(buf, '{');
	add_number(buf, "  ", "suite", SUITE_VERSION);
	add_text(buf, "  ", "program", "dataflow " DF_VERSION);
	add_text(buf, "  ", "date", date);
	add_side(s, DF_SOURCE, buf);
	add_side(s, DF_SINK, buf);
	add_options(s->options, buf);
	add_number(buf, "  ", "passed", report->passed);
	add_number(buf, "  ", "failed", report->failed);
	add_number(buf, "  ", "notApplicable", report->not_applicable);
	add_key(buf, "  ", "rules");
	df_buf_add_char(buf, '[');
	for (size_t i = 0; i < report->count; i++)
		add_result(&report->results[i], i == 0, buf);
	df_buf_add_c(buf, "\n  ]\n}\n");
}

int df_report_write(const struct df_subject *s, const struct df_conformance_report *report, struct df_error *err)
{
	struct df_buf buf = { 0 };
	FILE *f;
	bool ok;

	write_passport(s, report, &buf);
	if (buf.failed)
		return df_error_no_memory(err);
	f = fopen(s->options->report, "we");
	ok = f && fwrite(buf.data, 1, buf.len, f) == buf.len;
	if (f && fclose(f) != 0)
		ok = false;
	df_buf_done(&buf);
	return ok ? 0 : df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot write the report %s", s->options->report);
}
