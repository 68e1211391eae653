/* `explain`: what a manifest promises about its messages, and why. */
#include <stdio.h>
#include <string.h>

#include "cmd/common.h"
#include "connectors/factory.h"
#include "processor/delivery.h"

#define WIDTH 88 /* of the texts' column */
#define INDENT 28

struct explain_options {
	struct df_option_list set;
	const char *name, *output;
};

static const char *const outputs[] = { "text", "json", NULL };

static const struct df_option explain_option_rows[] = {
	DF_OPTION(struct explain_options, output, "output", 'o', .choices = outputs,
		  .doc = "text, or json for programs"),
	DF_OPTION(struct explain_options, name, "name", 0, .argument = "NAME",
		  .doc = "only this flow of a file that has several"),
	DF_OPTION(struct explain_options, set, "set", 's', .argument = "PATH=VALUE",
		  .doc = "change one place of the manifest before it is explained; repeatable"),
};

/* ---- text ------------------------------------------------------------------------------------------------ */

/* Words of the text in lines of WIDTH; the first line goes on where the output stands. */
static void add_wrapped(struct df_buf *buf, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (column > 0 && column + 1 + len > WIDTH) {
			df_buf_printf(buf, "\n%*s", INDENT, "");
			column = 0;
		} else if (column > 0) {
			df_buf_add_char(buf, ' ');
			column++;
		}
		df_buf_add(buf, text, len);
		column += len;
		text += len + (text[len] == ' ');
	}
	df_buf_add_char(buf, '\n');
}

static void add_text(const struct df_manifest *m, const struct df_delivery *d, struct df_buf *buf)
{
	df_buf_printf(buf, "%s: %s\n  %s\n\n", m->name, df_delivery_name(d->level), df_delivery_meaning(d->level));
	for (size_t i = 0; i < d->count; i++) {
		const struct df_delivery_reason *r = &d->reasons[i];
		char place[64];

		snprintf(place, sizeof(place), "%s%s%s", r->place, r->type ? " " : "", r->type ? r->type : "");
		df_buf_printf(buf, "%s %-*s", r->weakens ? "-" : " ", INDENT - 2, place);
		add_wrapped(buf, r->text);
		if (r->fix) {
			df_buf_printf(buf, "%*s", INDENT, "");
			df_buf_printf(buf, "to change that: %s\n", r->fix);
		}
	}
}

/* ---- JSON ------------------------------------------------------------------------------------------------ */

/* `"key":"text"`, with a comma in front unless it is the first. */
static void add_member(struct df_buf *buf, const char *key, const char *text)
{
	if (!text)
		return;
	if (buf->len && buf->data[buf->len - 1] != '{')
		df_buf_add_char(buf, ',');
	df_buf_printf(buf, "\"%s\":", key);
	df_json_write_string(df_str_c(text), buf);
}

static void add_json(const struct df_manifest *m, const struct df_delivery *d, struct df_buf *buf)
{
	df_buf_add_char(buf, '{');
	add_member(buf, "namespace", m->namespace);
	add_member(buf, "name", m->name);
	add_member(buf, "guarantee", df_delivery_name(d->level));
	add_member(buf, "meaning", df_delivery_meaning(d->level));
	df_buf_add_c(buf, ",\"reasons\":[");
	for (size_t i = 0; i < d->count; i++) {
		const struct df_delivery_reason *r = &d->reasons[i];

		df_buf_add_c(buf, i > 0 ? ",{" : "{");
		add_member(buf, "place", r->place);
		add_member(buf, "type", r->type);
		df_buf_printf(buf, ",\"weakens\":%s", r->weakens ? "true" : "false");
		add_member(buf, "text", r->text);
		add_member(buf, "fix", r->fix);
		df_buf_add_char(buf, '}');
	}
	df_buf_add_c(buf, "]}\n");
}

/* ---- the command ----------------------------------------------------------------------------------------- */

static int explain_manifest(const struct df_manifest *m, bool json, struct df_buf *buf)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_delivery delivery;
	struct df_error err = DF_ERROR_INIT;

	if (df_delivery_explain(&m->spec.flow, &arena, &delivery, &err) < 0) {
		fprintf(stderr, "dataflow explain: %s\n", err.text);
		return DF_EXIT_FAILED;
	}
	if (!json && buf->len)
		df_buf_add_char(buf, '\n');
	(json ? add_json : add_text)(m, &delivery, buf);
	return DF_EXIT_OK;
}

static int explain_manifests(const struct df_command *command, struct df_manifests *manifests,
			     const struct explain_options *o, struct df_buf *buf)
{
	bool json = o->output && strcmp(o->output, "json") == 0;
	int r = DF_EXIT_OK;

	if (o->name) {
		struct df_manifest *m = df_pick_manifest(command, manifests, o->name);

		return m ? explain_manifest(m, json, buf) : DF_EXIT_USAGE;
	}
	for (size_t i = 0; r == DF_EXIT_OK && i < manifests->count; i++)
		r = explain_manifest(&manifests->items[i], json, buf);
	return r;
}

static int explain_run(const struct df_command *command, void *options, int operands, char **operand)
{
	const struct explain_options *o = options;
	struct df_manifests manifests = { 0 };
	struct df_diags diags = { 0 };
	struct df_buf buf = { 0 };
	int r;

	(void)operands;
	df_manifests_load(operand[0],
			  &(struct df_manifest_options){ .registry = df_registry(),
							 .sets = o->set.items,
							 .set_name = o->name,
							 .set_count = o->set.count },
			  &manifests, &diags);
	for (size_t i = 0; !diags.errors && i < manifests.count; i++)
		df_delivery_check(&manifests.items[i].spec.flow, &diags);
	r = df_report_diags(&diags);
	if (r == DF_EXIT_OK)
		r = explain_manifests(command, &manifests, o, &buf);
	if (r == DF_EXIT_OK)
		r = df_print(&buf);
	else
		df_buf_done(&buf);
	df_manifests_done(&manifests);
	df_diags_done(&diags);
	return r;
}

const struct df_command df_command_explain = {
	.name = "explain",
	.operands = "FILE",
	.min_operands = 1,
	.max_operands = 1,
	.summary = "tell the delivery guarantee of a manifest, and why",
	.doc = "Says for each flow of FILE which guarantee it has: exactly-once, effectively-once, at-least-once or\n"
	       "best-effort, what source, transformations, sinks and settings have to do with it, what happens at a stop "
	       "and\n"
	       "after a crash, and what to write for a stronger one (lines that begin with -). Nothing is connected. What\n"
	       "transformations make of a message is shown by `dataflow transform --explain`.",
	.examples = "  dataflow explain examples/earthquakes/flow.yaml\n"
		    "  dataflow explain --output json examples/earthquakes/flow.yaml\n"
		    "  dataflow explain --set spec.sink.config.upsertMode=false examples/earthquakes/flow.yaml\n",
	.options = explain_option_rows,
	.option_count = sizeof(explain_option_rows) / sizeof(explain_option_rows[0]),
	.size = sizeof(struct explain_options),
	.run = explain_run,
};
