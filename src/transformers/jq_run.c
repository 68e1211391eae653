/*
 * jq through libjq 1.6. What it lacks is made here.
 *
 * Variables with another value for each message: a program's arguments are constants of its compilation, so the input
 * is [payload, metadata] and the program begins by taking it apart.
 *
 * A time limit: jq_next looks before each instruction whether the program was halted (src/execute.c), so jq_halt from
 * another thread ends it at the next one, whatever loop it is in. One instruction can be a call of a builtin written in
 * C, which is not interrupted; regular expressions have a limit of their own (Oniguruma's retry limit).
 *
 * No environment, no files, no streams: the program stands in the scope of definitions that hide those builtins. libjq
 * drops definitions that nobody refers to before it resolves what they refer to, so that bodies that name something
 * undefined fail to compile exactly when the builtin is used. `import` and `include` must stand before definitions, so
 * they are syntax errors.
 */
#include "transformers/jq_internal.h"

#include <stdlib.h>

#include <jq.h>

#include "transformers/settings.h"

#define BLOCK(name) "def " name ": " DF_JQ_BLOCKED name ";"

#define TRIM(name)                                                                                 \
	"def _df_" name "($_df): " name "($_df);"                                                  \
	"def " name "($_df): if type == \"string\" and ($_df | type == \"string\") then _df_" name \
	"($_df) else . end;"

/* One line, so that the program's lines keep their numbers. error(null) would end the program like `empty`, and the
 * message would vanish. ltrimstr and rtrimstr leak memory where they find no text. */
static const char prelude[] =
	/* clang-format off */
	BLOCK("env") BLOCK("halt") BLOCK("halt_error") "def halt_error(_df): " DF_JQ_BLOCKED "halt_error;"
	BLOCK("input") BLOCK("inputs") BLOCK("_input") BLOCK("debug") BLOCK("stderr") BLOCK("input_filename")
	BLOCK("input_line_number") BLOCK("modulemeta") BLOCK("get_search_list") BLOCK("get_prog_origin")
	BLOCK("get_jq_origin")
	"def _df_raise: error;"
	"def error: if . == null then \"null (null) not a string\" else . end | _df_raise;"
	"def error(_df): _df | error;"
	TRIM("ltrimstr") TRIM("rtrimstr")
	"{} as $ENV | ";
/* clang-format on */
static const char with_metadata[] = ".[1] as $metadata | .[0] | ";

/* libjq reads ~/.jq for definitions that replace builtins, and modules. Programs must mean the same on every machine,
 * so libjq's function that reads files is replaced by this one (its calls are resolved by name). */
__attribute__((visibility("default"))) jv jv_load_file(const char *path, int raw);
jv jv_load_file(const char *path, int raw)
{
	(void)path;
	(void)raw;
	return jv_invalid_with_msg(jv_string("files are not read"));
}

struct jq {
	struct df_transformer base;
	const struct df_jq_settings *settings;
	jq_state *state;
	struct df_jq_watch *watch; /* from the first message on */
	struct df_jq_keys keys;
	bool metadata; /* the program may name $metadata */
};

/* ---- making ------------------------------------------------------------------------------------------------------ */

void df_jq_free(struct df_transformer *t)
{
	struct jq *jq = (struct jq *)t;

	if (!jq)
		return;
	df_jq_watch_free(jq->watch);
	jq_teardown(&jq->state);
	df_jq_keys_done(&jq->keys);
	free(jq);
}

DF_DEFINE_TRANSFORMER_CLEANUP(struct jq *, df_jq_free)

struct report {
	const struct df_place *place;
	struct df_diags *diags;
	bool told;
};

static void report_error(void *arg, jv message)
{
	struct report *report = arg;
	char text[DF_ERROR_TEXT_MAX];

	if (*df_jq_compile_failure(message, text, sizeof(text))) {
		df_diag_error(report->diags, report->place, "program", "%s", text);
		report->told = true;
	}
	jv_free(message);
}

static int compile(struct jq *jq, const struct df_place *place, struct df_diags *diags)
{
	struct report report = { .place = place, .diags = diags };
	df_cleanup(df_buf_done) struct df_buf text = { 0 };

	df_buf_add_c(&text, prelude);
	if (jq->metadata)
		df_buf_add_c(&text, with_metadata);
	df_buf_add_c(&text, jq->settings->program);
	if (text.failed)
		return DF_ERR_NO_MEMORY;
	jq_set_error_cb(jq->state, report_error, &report);
	int ok = jq_compile(jq->state, df_buf_c(&text));
	jq_set_error_cb(jq->state, NULL, NULL);
	if (ok)
		return 0;
	if (!report.told)
		df_diag_error(diags, place, "program", "jq cannot compile it, and does not say why");
	return DF_ERR_CONFIG;
}

int df_jq_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
		 struct df_diags *diags)
{
	df_cleanup(df_jq_freep) struct jq *jq = calloc(1, sizeof(*jq));

	if (!jq)
		return DF_ERR_NO_MEMORY;
	jq->settings = settings;
	/* The name alone: between `$` and a name may be blanks and comments. */
	jq->metadata = strstr(jq->settings->program, "metadata") != NULL;
	jq->state = jq_init();
	if (!jq->state)
		return DF_ERR_NO_MEMORY;
	int r = compile(jq, place, diags);
	if (r < 0)
		return r;
	*ret = &DF_TAKE(jq)->base;
	return 0;
}

/* ---- one message ------------------------------------------------------------------------------------------------- */

/* On the watch's thread, while the message's thread is in jq_next or will wait for its return. */
static void halt(void *arg)
{
	struct jq *jq = arg;

	jq_halt(jq->state, jv_invalid(), jv_invalid());
}

static int make_input(struct jq *jq, const struct df_transform *call, struct df_message *m, struct df_value *root,
		      jv *ret, struct df_error *err)
{
	bool lossy = jq->settings->allow_lossy;
	jv metadata = jv_object();
	int r = df_jq_from_value(root, lossy, "the payload", &jq->keys, call->arena, ret, err);

	if (r == 0 && jq->metadata) {
		if (m->metadata) {
			jv_free(metadata);
			r = df_jq_from_value(m->metadata, lossy, "the metadata", &jq->keys, call->arena, &metadata,
					     err);
		}
		if (r == 0) {
			*ret = JV_ARRAY(*ret, metadata);
			return 0;
		}
	}
	jv_free(metadata);
	if (r < 0)
		jv_free(*ret);
	return r;
}

/* The results of one message: a list linked by `next`, in the arena. */
struct results {
	struct df_value *first, *last;
	size_t count;
	int64_t budget;
};

/* Consumes v. */
static int add_result(const struct jq *jq, jv v, struct df_arena *arena, struct results *results, struct df_error *err)
{
	struct df_value *value = NULL;

	if (results->count == (size_t)jq->settings->max_outputs) {
		jv_free(v);
		return df_error_set(err, DF_ERR_INVALID_DATA, "the program gives more than maxOutputs (%d) results",
				    jq->settings->max_outputs);
	}
	int r = df_jq_to_value(v, jq->settings->allow_lossy, arena, &results->budget, &value, err);
	if (r < 0)
		return r;
	if (results->last)
		results->last->next = value;
	else
		results->first = value;
	results->last = value;
	results->count++;
	return 0;
}

static int fail(const struct jq *jq, jv message, struct df_error *err)
{
	char text[DF_ERROR_TEXT_MAX / 2];

	df_jq_failure(message, jq->settings->program, text, sizeof(text));
	jv_free(message);
	return df_error_set(err, DF_ERR_INVALID_DATA, "the program failed: %s", text);
}

/* Runs the program to its end. Consumes input. */
static int run(struct jq *jq, jv input, struct df_arena *arena, struct results *results, struct df_error *err)
{
	int r = 0;

	/* jq_start forgets that the program was halted, so it comes first. */
	jq_start(jq->state, input, 0);
	df_jq_watch_arm(jq->watch);
	jv v = jq_next(jq->state);
	while (jv_is_valid(v)) {
		r = add_result(jq, v, arena, results, err);
		v = r < 0 ? jv_invalid() : jq_next(jq->state);
	}
	bool halted = df_jq_watch_disarm(jq->watch);
	if (r == 0 && jv_invalid_has_msg(jv_copy(v)))
		r = fail(jq, jv_invalid_get_msg(jv_copy(v)), err);
	else if (r == 0 && halted)
		r = df_error_set(err, DF_ERR_INVALID_DATA, "the program took longer than timeout (%g s)",
				 (double)jq->settings->timeout.ns / (double)DF_NS_PER_S);
	jv_free(v);
	/* What an unfinished program holds is given back now, not with the next message. */
	if (r < 0)
		jq_start(jq->state, jv_null(), 0);
	return r;
}

static int split(const struct results *results, const struct df_transform *call, const struct df_message *m,
		 struct df_error *err)
{
	struct df_value *next;

	if (df_batch_reserve(call->out, call->out->count + results->count) != 0)
		return df_error_no_memory(err);
	for (struct df_value *value = results->first; value; value = next) {
		struct df_message *out = df_transform_output(call, m);

		if (!out)
			return df_error_no_memory(err);
		next = value->next;
		value->next = NULL;
		df_message_set_document(out, value);
	}
	return DF_SPLIT;
}

static int start_watch(struct jq *jq, struct df_error *err)
{
	return jq->watch || df_jq_watch_new(jq->settings->timeout.ns, halt, jq, &jq->watch) == 0
		       ? 0
		       : df_error_no_memory(err);
}

int df_jq_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m, struct df_error *err)
{
	struct jq *jq = (struct jq *)t;
	struct results results = { .budget = jq->settings->max_output_bytes };
	struct df_value *root = NULL;
	jv input;
	int r = df_message_document(m, call->arena, &root, err);

	/* Empty or not JSON: there is nothing that the program could look at. */
	if (r < 0 || !root)
		return r;
	r = start_watch(jq, err);
	if (r == 0)
		r = make_input(jq, call, m, root, &input, err);
	if (r == 0)
		r = run(jq, input, call->arena, &results, err);
	if (r < 0)
		return r;
	if (results.count == 0)
		return DF_DROP;
	if (results.count > 1)
		return split(&results, call, m, err);
	df_message_set_document(m, results.first);
	return DF_KEEP;
}
