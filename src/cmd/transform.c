/*
 * `transform`: a filter for JSON Lines. Lines are read into batches, a batch goes through the chain, the results are
 * written; memory stays flat whatever the input's size.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "cmd/common.h"
#include "cmd/explain.h"
#include "connectors/factory.h"
#include "transformers/chain.h"

#define BATCH_LINES 256
#define BATCH_BYTES ((size_t)256 << 10)

struct transform_options {
	const char *file, *envelope, *now, *errors;
	bool explain;
	struct df_option_list set;
};

static const char *const envelope_choices[] = { "auto", "raw", NULL };

static const struct df_option transform_option_rows[] = {
	DF_OPTION(struct transform_options, file, "file", 'f', .argument = "FILE",
		  .doc = "a list of transformations or a whole manifest, YAML or JSON (required)"),
	DF_OPTION(
		struct transform_options, envelope, "envelope", 0, .choices = envelope_choices, .optional = "auto",
		.doc = "lines are {\"data\": JSON} or {\"raw\": \"text\"}, with \"metadata\"; =raw writes raw always"),
	DF_OPTION(struct transform_options, now, "now", 0, .argument = "TIME",
		  .doc = "fix the clock: an RFC 3339 time"),
	DF_OPTION(struct transform_options, errors, "errors", 0, .argument = "FILE",
		  .doc = "a failing message becomes a line of FILE and the run goes on; without it the first one ends "
			 "it"),
	DF_OPTION(struct transform_options, explain, "explain", 0,
		  .doc = "show instead of the results what each transformation makes of each line"),
	DF_OPTION(struct transform_options, set, "set", 's', .argument = "PATH=VALUE",
		  .doc = "change one place of FILE before it is used; repeatable"),
};

/* A line of --errors, in the text of all. */
struct failure {
	uint32_t index; /* of the input line */
	size_t at, len;
};

struct transform {
	const struct transform_options *options;
	struct df_chain *chain;
	struct df_batch_pool *pool;
	FILE *errors;
	struct df_explain *explain; /* NULL without --explain */
	struct df_buf failure_text;
	struct failure *failures; /* of the batch, in the order in which they came */
	size_t failure_count, failure_cap;
	struct df_buf out;
	char *line; /* getline's */
	size_t line_cap;
	uint32_t index; /* of the next input line */
	/* The failure with the lowest index when there is no --errors: nothing behind it is written. */
	uint32_t stop_at;
	char stop_text[DF_ERROR_TEXT_MAX + 128];
};

/* ---- failures -------------------------------------------------------------------------------------------- */

static int report_failure(struct transform *t, uint32_t index, const char *transformer, int64_t transformer_index,
			  const char *text)
{
	struct df_buf *buf = &t->failure_text;
	size_t at = buf->len;

	if (!t->errors) {
		if (index < t->stop_at) {
			t->stop_at = index;
			snprintf(t->stop_text, sizeof(t->stop_text), "line %u: %s (transformation %lld): %s", index + 1,
				 transformer, (long long)transformer_index, text);
		}
		return 0;
	}
	if (t->failure_count == t->failure_cap) {
		size_t cap = t->failure_cap ? t->failure_cap * 2 : 16;
		struct failure *failures = reallocarray(t->failures, cap, sizeof(*failures));

		if (!failures)
			return DF_ERR_NO_MEMORY;
		t->failures = failures;
		t->failure_cap = cap;
	}
	df_buf_printf(buf, "{\"index\":%u,\"transformer\":\"%s\",\"transformer_index\":%lld,\"error\":", index,
		      transformer, (long long)transformer_index);
	df_json_write_string(df_str_c(text), buf);
	df_buf_add_c(buf, "}\n");
	t->failures[t->failure_count++] = (struct failure){ index, at, buf->len - at };
	return buf->failed ? DF_ERR_NO_MEMORY : 0;
}

static int compare_failures(const void *a, const void *b)
{
	const struct failure *x = a, *y = b;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Transformations see whole batches, and so find failures in another order than that of the input. */
static int write_failures(struct transform *t, struct df_error *err)
{
	if (t->failure_count == 0)
		return 0;
	qsort(t->failures, t->failure_count, sizeof(*t->failures), compare_failures);
	for (size_t i = 0; i < t->failure_count; i++)
		fwrite(t->failure_text.data + t->failures[i].at, 1, t->failures[i].len, t->errors);
	t->failure_count = 0;
	t->failure_text.len = 0;
	if (ferror(t->errors))
		return df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot write %s", t->options->errors);
	return 0;
}

static void on_dropped(void *arg, struct df_message *m, size_t transformer)
{
	(void)arg;
	(void)m;
	(void)transformer;
}

static int on_failed(void *arg, struct df_message *m, size_t transformer, const struct df_error *err)
{
	struct transform *t = arg;

	if (transformer == SIZE_MAX)
		return report_failure(t, m->index, "envelope", -1, err->text);
	return report_failure(t, m->index, df_chain_type_name(t->chain, transformer), (int64_t)transformer, err->text);
}

/* ---- input ----------------------------------------------------------------------------------------------- */

static int bad_envelope(struct df_message *m, struct df_arena *arena, const char *what)
{
	struct df_error *failure = df_arena_alloc(arena, sizeof(*failure));

	if (!failure)
		return DF_ERR_NO_MEMORY;
	df_error_set(failure, DF_ERR_INVALID_DATA, "%s", what);
	m->failure = failure;
	return 0;
}

/* Behind the closing quote of the string that begins at `at`. */
static size_t skip_string(struct df_str text, size_t at)
{
	for (at++; at < text.len && text.ptr[at] != '"'; at++)
		at += text.ptr[at] == '\\';
	return at < text.len ? at + 1 : text.len;
}

/* Where the member `data` stands in an envelope that is too deep to be parsed. False: there is none. */
static bool find_data(struct df_str line, size_t *ret_from, size_t *ret_to)
{
	struct df_str string = { 0 }; /* the last one */
	size_t depth = 0, from = 0;

	*ret_to = 0;
	for (size_t i = 0; i < line.len; i++) {
		char c = line.ptr[i];

		if (c == '"') {
			size_t behind = skip_string(line, i);
			string = df_str(line.ptr + i, behind - i);
			i = behind - 1;
		} else if (c == ':' && depth == 1 && df_str_equal(string, DF_STR("\"data\""))) {
			from = i + 1;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if (((c == ',' && depth == 1) || (c == '}' && depth == 1)) && from) {
			*ret_from = from;
			*ret_to = i;
			from = 0;
		}
		if ((c == '}' || c == ']') && depth > 0)
			depth--;
	}
	return *ret_to > 0;
}

/*
 * The envelope counts as a level of its own, but its payload may have as many as any: one that is too deep for the
 * whole is cut out. Then *ret is the envelope with a null in its place, and the payload is set.
 */
static int parse_envelope(struct df_message *m, struct df_arena *arena, struct df_str line, struct df_value **ret,
			  struct df_error *err)
{
	size_t from, to;
	int r = df_value_parse_text(line, arena, ret, err);

	if (r != DF_ERR_INVALID_DATA || df_value_check(line) != DF_PARSE_TOO_DEEP || !find_data(line, &from, &to))
		return r;
	df_cleanup(df_buf_done) struct df_buf rest = { 0 };
	df_buf_add_str(&rest, df_str(line.ptr, from));
	df_buf_add_c(&rest, "null");
	df_buf_add_str(&rest, df_str(line.ptr + to, line.len - to));
	struct df_str copy = df_arena_dup(arena, df_str(rest.data, rest.len));
	if (rest.failed || !copy.ptr)
		return DF_ERR_NO_MEMORY;
	m->payload = df_str_trim(df_str(line.ptr + from, to - from));
	return df_value_parse_text(copy, arena, ret, err);
}

static int open_envelope(struct df_message *m, struct df_arena *arena, struct df_str line)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_value *root, *data, *raw, *metadata;
	int r = parse_envelope(m, arena, line, &root, &err);

	if (r == DF_ERR_NO_MEMORY)
		return r;
	if (r < 0)
		return bad_envelope(m, arena, err.text);
	data = df_object_get_c(root, "data");
	raw = df_object_get_c(root, "raw");
	metadata = df_object_get_c(root, "metadata");
	if (root->kind != DF_OBJECT || !data == !raw)
		return bad_envelope(m, arena, "an envelope is an object with either data or raw");
	if (raw && raw->kind != DF_STRING)
		return bad_envelope(m, arena, "raw is not a string");
	if (metadata && metadata->kind != DF_OBJECT)
		return bad_envelope(m, arena, "metadata is not an object");
	m->metadata = metadata;
	if (m->payload.len == 0)
		m->payload = data ? df_value_to_arena(data, arena) : df_value_text(raw, arena);
	return m->payload.ptr || m->payload.len == 0 ? 0 : DF_ERR_NO_MEMORY;
}

static int add_line(struct transform *t, struct df_batch *batch, struct df_str line)
{
	struct df_message *m = df_batch_add(batch);
	struct df_str copy = df_arena_dup(&batch->arena, line);

	if (!m || !copy.ptr)
		return DF_ERR_NO_MEMORY;
	m->index = t->index++;
	batch->bytes += line.len;
	if (t->options->envelope)
		return open_envelope(m, &batch->arena, copy);
	m->payload = copy;
	return 0;
}

/* 1 when there is a batch, 0 at the end of the input, or a code. */
static int read_batch(struct transform *t, struct df_batch *batch, struct df_error *err)
{
	size_t lines = t->explain ? 1 : BATCH_LINES;

	while (batch->count < lines && batch->bytes < BATCH_BYTES) {
		ssize_t n;

		errno = 0;
		n = getline(&t->line, &t->line_cap, stdin);
		if (n < 0 && (ferror(stdin) || errno == ENOMEM))
			return df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot read standard input");
		if (n < 0)
			break;
		if (t->line[n - 1] == '\n')
			n--;
		if (add_line(t, batch, df_str(t->line, (size_t)n)) < 0)
			return df_error_no_memory(err);
	}
	return batch->count > 0;
}

/* ---- output ---------------------------------------------------------------------------------------------- */

static int write_envelope(struct transform *t, struct df_message *m, struct df_arena *arena, struct df_error *err)
{
	bool as_raw = strcmp(t->options->envelope, "raw") == 0;
	struct df_value *root = NULL;
	struct df_str payload;
	int r = 0;

	if (!as_raw)
		r = df_message_document(m, arena, &root, err);
	if (r == DF_ERR_NO_MEMORY)
		return r;
	if (root) {
		df_buf_add_c(&t->out, "{\"data\":");
		df_value_write(root, &t->out);
	} else {
		if (df_message_payload(m, arena, &payload) < 0)
			return df_error_no_memory(err);
		df_buf_add_c(&t->out, "{\"raw\":");
		df_json_write_string(payload, &t->out);
	}
	df_buf_add_c(&t->out, ",\"metadata\":");
	if (m->metadata)
		df_value_write(m->metadata, &t->out);
	else
		df_buf_add_c(&t->out, "{}");
	df_buf_add_char(&t->out, '}');
	return 0;
}

static int write_batch(struct transform *t, struct df_batch *batch, struct df_error *err)
{
	t->out.len = 0;
	for (size_t i = 0; i < batch->count; i++) {
		struct df_message *m = &batch->messages[i];
		int r = 0;

		if (m->index >= t->stop_at)
			continue;
		if (t->options->envelope)
			r = write_envelope(t, m, &batch->arena, err);
		else
			df_message_write(m, &t->out);
		if (r < 0)
			return r;
		df_buf_add_char(&t->out, '\n');
	}
	if (t->out.failed)
		return df_error_no_memory(err);
	if (fwrite(t->out.data, 1, t->out.len, stdout) != t->out.len)
		return df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot write to standard output");
	return 0;
}

/* ---- the run --------------------------------------------------------------------------------------------- */

static int transform_batch(struct transform *t, struct df_batch *batch, struct df_error *err)
{
	const struct df_chain_events events = { .arg = t, .dropped = on_dropped, .failed = on_failed };
	int r = t->explain ? df_explain_run(t->explain, batch, &events, err)
			   : df_chain_run(t->chain, batch, &events, err);

	if (r == 0)
		r = write_failures(t, err);
	if (r == 0 && !t->explain)
		r = write_batch(t, batch, err);
	if (r == 0 && t->stop_at != UINT32_MAX)
		r = df_error_set(err, DF_ERR_INVALID_DATA, "%s", t->stop_text);
	return r;
}

static int transform_all(struct transform *t, struct df_error *err)
{
	int r = 1;

	while (r > 0) {
		struct df_batch *batch = df_batch_new(t->pool);

		if (!batch)
			return df_error_no_memory(err);
		r = read_batch(t, batch, err);
		if (r > 0 && transform_batch(t, batch, err) < 0)
			r = err->code;
		df_batch_free(batch);
	}
	if (fflush(stdout) != 0 && r == 0)
		r = df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot write to standard output");
	if (t->errors && fflush(t->errors) != 0 && r == 0)
		r = df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot write %s", t->options->errors);
	return r;
}

static int run_transform(const struct transform_options *o, struct df_chain *chain)
{
	struct transform t = { .options = o, .chain = chain, .stop_at = UINT32_MAX };
	struct df_error err = DF_ERROR_INIT;
	int r;

	t.pool = df_batch_pool_new(BATCH_BYTES * 4);
	t.errors = o->errors ? fopen(o->errors, "w") : NULL;
	t.explain = o->explain ? df_explain_new(chain) : NULL;
	if (!t.pool || (o->explain && !t.explain))
		r = df_error_no_memory(&err);
	else if (o->errors && !t.errors)
		r = df_error_errno(&err, DF_ERR_UNKNOWN, errno, "cannot write %s", o->errors);
	else
		r = transform_all(&t, &err);
	if (r < 0)
		fprintf(stderr, "dataflow transform: %s\n", err.text);
	if (t.errors)
		fclose(t.errors);
	df_explain_free(t.explain);
	free(t.line);
	free(t.failures);
	df_buf_done(&t.failure_text);
	df_buf_done(&t.out);
	df_batch_pool_free(t.pool);
	return r < 0 ? DF_EXIT_FAILED : DF_EXIT_OK;
}

static int set_clock(const struct df_command *command, const char *text, struct df_clock *clock)
{
	struct df_instant t;

	if (!text)
		return 0;
	if (!df_rfc3339_parse(df_str_c(text), &t))
		return df_usage_error(command, "--now: '%s' is not an RFC 3339 time such as 2024-01-15T10:30:00Z",
				      text);
	if (__builtin_mul_overflow(t.seconds, DF_NS_PER_S, &clock->fixed_ns) ||
	    __builtin_add_overflow(clock->fixed_ns, t.nanoseconds, &clock->fixed_ns))
		return df_usage_error(command, "--now: '%s' is not between the years 1677 and 2262", text);
	clock->fixed = true;
	return 0;
}

static int transform_run(const struct df_command *command, void *options, int operands, char **operand)
{
	const struct transform_options *o = options;
	df_cleanup(df_chain_freep) struct df_chain *chain = NULL;
	struct df_clock clock = { 0 };
	struct df_manifests manifests = { 0 };
	struct df_diags diags = { 0 };
	int r;

	(void)operands;
	(void)operand;
	if (!o->file)
		return df_usage_error(command, "--file is required: a list of transformations or a manifest");
	r = set_clock(command, o->now, &clock);
	if (r)
		return r;
	df_manifests_load(o->file,
			  &(struct df_manifest_options){ .registry = df_registry(),
							 .sets = o->set.items,
							 .set_count = o->set.count,
							 .transformations_only = true },
			  &manifests, &diags);
	if (diags.errors == 0 && manifests.count != 1)
		r = df_pick_manifest(command, &manifests, NULL) ? 0 : DF_EXIT_USAGE;
	else if (diags.errors == 0 && df_chain_new(&manifests.items[0].spec.flow.transformations, &clock, &chain,
						   &diags) == DF_ERR_NO_MEMORY)
		diags.failed = true;
	if (r == 0)
		r = df_report_diags(&diags);
	if (r == 0)
		r = run_transform(o, chain);
	df_chain_free(DF_TAKE(chain));
	df_manifests_done(&manifests);
	df_diags_done(&diags);
	return r;
}

const struct df_command df_command_transform = {
	.name = "transform",
	.operands = "",
	.summary = "apply transformations to JSON Lines on standard input",
	.doc = "A filter: each input line is a payload, each output line one. FILE holds a list of transformations or "
	       "a whole\n"
	       "manifest, of which only the transformations count. A message that fails ends the run with exit code 1, "
	       "or, with\n"
	       "--errors, becomes a line {\"index\", \"transformer\", \"transformer_index\", \"error\"} there.\n"
	       "\n"
	       "--explain is for reading, not for programs. Below each line it shows what each transformation made of "
	       "it:\n"
	       "unchanged, dropped, failed with its reason, becomes N messages (#1, #2 ...), or changed, with the "
	       "members of the\n"
	       "root and of the metadata that were added, removed, changed or renamed, and the payload after it. Long "
	       "values are\n"
	       "cut. flatten, filter and snakeCase print for one line:\n"
	       "\n"
	       "  line 1  {\"orderId\":7,\"items\":[{\"qty\":1},{\"qty\":2}]}\n"
	       "    [0] flatten           becomes 2 messages\n"
	       "          #1        {\"orderId\":7,\"qty\":1}\n"
	       "          #2        {\"orderId\":7,\"qty\":2}\n"
	       "    [1] filter            #1  dropped\n"
	       "    [1] filter            #2  unchanged\n"
	       "    [2] snakeCase         #2  changed\n"
	       "          renamed   orderId -> order_id\n"
	       "          payload   {\"order_id\":7,\"qty\":2}\n"
	       "    result                #2  {\"order_id\":7,\"qty\":2}",
	.examples = "  echo '{\"a\":{\"b\":1}}' | dataflow transform -f flatten.yaml\n"
		    "  dataflow transform -f flow.yaml --now 2024-01-15T10:30:00Z --errors failed.jsonl < in.jsonl > "
		    "out.jsonl\n"
		    "  dataflow transform -f flow.yaml --explain < in.jsonl | less\n",
	.options = transform_option_rows,
	.option_count = sizeof(transform_option_rows) / sizeof(transform_option_rows[0]),
	.size = sizeof(struct transform_options),
	.run = transform_run,
};
