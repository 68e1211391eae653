/*
 * A message goes through the chain in a batch of its own. Before a transformation its messages are noted as bytes
 * (`before`); the chain's events say what became of each, the first `step` behind a transformation (or the end of the
 * run, when nothing is left) compares and prints. Memory is that of one line: two arenas that change places, and one
 * for comparing.
 */
#include "cmd/explain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define VALUE_WIDTH 60	  /* code points of a value */
#define PAYLOAD_WIDTH 100 /* of a payload */
#define REASON_WIDTH 1000 /* of an error */
#define CHANGES_MAX 40	  /* lines of changed members a step */
#define OUT_SIZE ((size_t)64 << 10)

enum colour { PLAIN, DIM, BOLD, RED, GREEN, YELLOW };

/* A message as it was before a transformation. */
struct before {
	const char *label; /* "" for the line itself, else "#2" or "#2.1" */
	struct df_str payload, metadata;
	uint16_t route;
};

enum fate { GOES_ON, DROPPED, FAILED, SPLIT };

struct outcome {
	enum fate fate;
	size_t n;	    /* SPLIT: outputs */
	const char *reason; /* FAILED */
};

struct df_explain {
	struct df_chain *chain;
	bool colour;
	struct df_buf out;
	/* During a run. */
	const struct df_chain_events *events;
	struct df_batch *batch;
	struct df_arena now, next, scratch;
	struct before *before;
	struct outcome *outcomes; /* of `before`, in the transformation that runs */
	size_t count;
	bool pending;	/* an outcome was noted and not printed yet */
	size_t at;	/* the transformation it came from */
	size_t changes; /* of members, in the step that is printed */
	bool no_memory;
	int write_errno;
};

struct df_explain *df_explain_new(struct df_chain *chain)
{
	struct df_explain *e = calloc(1, sizeof(*e));
	const char *no_colour = getenv("NO_COLOR"); /* https://no-color.org */
	const char *terminal = getenv("TERM");

	if (!e)
		return NULL;
	e->chain = chain;
	e->colour = isatty(STDOUT_FILENO) && !(no_colour && *no_colour) && !(terminal && strcmp(terminal, "dumb") == 0);
	return e;
}

void df_explain_free(struct df_explain *e)
{
	if (!e)
		return;
	df_buf_done(&e->out);
	df_arena_done(&e->now);
	df_arena_done(&e->next);
	df_arena_done(&e->scratch);
	free(e);
}

/* ---- text --------------------------------------------------------------------------------------------------------------- */

static void flush(struct df_explain *e, size_t from)
{
	if (e->out.failed)
		e->no_memory = true;
	if (e->out.len < from || e->out.len == 0)
		return;
	if (fwrite(e->out.data, 1, e->out.len, stdout) != e->out.len)
		e->write_errno = errno;
	e->out.len = 0;
}

static void add_word(struct df_explain *e, enum colour colour, int width, const char *word)
{
	static const char *const codes[] = { "", "\033[2m", "\033[1m", "\033[31m", "\033[32m", "\033[33m" };

	int len = (int)strlen(word);

	if (e->colour && colour != PLAIN)
		df_buf_printf(&e->out, "%s%s\033[0m%*s", codes[colour], word, width > len ? width - len : 0, "");
	else
		df_buf_printf(&e->out, "%-*s", width, word);
}

/* Bytes of the code point that text begins with; 0 when it begins with none. */
static size_t first_length(struct df_str text)
{
	for (size_t n = 1; n <= 4 && n <= text.len; n++)
		if (df_utf8_valid(df_str(text.ptr, n), NULL))
			return n;
	return 0;
}

/* For a terminal: nothing that would move its cursor (C0, DEL, C1), no broken UTF-8. */
static void add_code_point(struct df_buf *out, struct df_str text, size_t len)
{
	unsigned char c = (unsigned char)text.ptr[0];

	if (len == 0 || c < 0x20 || c == 0x7F)
		df_buf_printf(out, "\\x%02X", c);
	else if (len == 2 && c == 0xC2 && (unsigned char)text.ptr[1] < 0xA0)
		df_buf_printf(out, "\\u00%02X", (unsigned char)text.ptr[1]);
	else
		df_buf_add(out, text.ptr, len);
}

static void add_text(struct df_explain *e, struct df_str text, size_t width)
{
	struct df_str rest = text;

	for (; rest.len > 0 && width > 0; width--) {
		size_t len = first_length(rest);
		size_t step = len ? len : 1;

		add_code_point(&e->out, rest, len);
		rest = df_str(rest.ptr + step, rest.len - step);
	}
	if (rest.len > 0)
		df_buf_printf(&e->out, "... (%zu bytes)", text.len);
}

static void add_payload(struct df_explain *e, struct df_str payload)
{
	if (payload.len == 0)
		add_word(e, DIM, 0, "(empty)");
	else if (df_value_check(payload) == DF_PARSE_NOT_JSON)
		add_word(e, DIM, 0, "(not JSON) ");
	add_text(e, payload, PAYLOAD_WIDTH);
	df_buf_add_char(&e->out, '\n');
}

/* "  [1] snakeCase         #2  " */
static void add_head(struct df_explain *e, size_t transformer, const char *label)
{
	char place[32];

	snprintf(place, sizeof(place), "  [%zu] ", transformer);
	df_buf_add_c(&e->out, place);
	add_word(e, BOLD, 18, df_chain_type_name(e->chain, transformer));
	df_buf_printf(&e->out, "%s%s", label, *label ? "  " : "");
}

/* A line below a head begins with a word. */
static void add_detail(struct df_explain *e, enum colour colour, const char *word)
{
	df_buf_add_c(&e->out, "        ");
	add_word(e, colour, 10, word);
}

/* ---- members that differ ------------------------------------------------------------------------------------------------ */

struct members {
	const struct df_value **in_order;
	const struct df_value **sorted; /* by key */
	struct df_str *texts;		/* of in_order */
	size_t count;
	const char *prefix; /* "" or "metadata " */
};

static int compare_keys(const void *a, const void *b)
{
	return df_str_compare(df_value_key(*(const struct df_value *const *)a),
			      df_value_key(*(const struct df_value *const *)b));
}

/* The object's members; false when the text is no object, or when there is no memory. */
static bool take_members(struct df_explain *e, struct df_str text, struct members *ret)
{
	struct df_value *root = NULL;
	enum df_parse_result r = df_value_parse(text, &e->scratch, &root, NULL);
	size_t n = 0;

	*ret = (struct members){ .prefix = "" };
	e->no_memory |= r == DF_PARSE_NO_MEMORY;
	if (r != DF_PARSE_OK || root->kind != DF_OBJECT)
		return false;
	ret->count = root->len;
	ret->in_order = df_arena_alloc(&e->scratch, ret->count * sizeof(struct df_value *));
	ret->sorted = df_arena_alloc(&e->scratch, ret->count * sizeof(struct df_value *));
	ret->texts = df_arena_alloc(&e->scratch, ret->count * sizeof(*ret->texts));
	if (!ret->in_order || !ret->sorted || !ret->texts) {
		e->no_memory = true;
		return false;
	}
	df_for_each (member, root) {
		ret->texts[n] = df_value_to_arena(member, &e->scratch);
		e->no_memory |= !ret->texts[n].ptr;
		ret->sorted[n] = member;
		ret->in_order[n++] = member;
		/* Its number, for who finds it by its key. */
		member->line = (uint32_t)n;
	}
	qsort(ret->sorted, n, sizeof(struct df_value *), compare_keys);
	return !e->no_memory;
}

/* The place in in_order, or SIZE_MAX. */
static size_t find_member(const struct members *members, const struct df_value *like)
{
	const struct df_value **found =
		bsearch(&like, members->sorted, members->count, sizeof(struct df_value *), compare_keys);

	return found ? (*found)->line - 1 : SIZE_MAX;
}

/* False when there were enough of them. */
static bool begin_change(struct df_explain *e, const struct members *members, enum colour colour, const char *word,
			 const struct df_value *member)
{
	if (++e->changes > CHANGES_MAX)
		return false;
	add_detail(e, colour, word);
	df_buf_add_c(&e->out, members->prefix);
	add_text(e, df_value_key(member), VALUE_WIDTH);
	return true;
}

static void show_one(struct df_explain *e, const struct members *members, enum colour colour, const char *word,
		     size_t i)
{
	if (!begin_change(e, members, colour, word, members->in_order[i]))
		return;
	df_buf_add_c(&e->out, ": ");
	add_text(e, members->texts[i], VALUE_WIDTH);
	df_buf_add_char(&e->out, '\n');
}

static void show_changed(struct df_explain *e, const struct members *was, size_t i, const struct members *is, size_t k)
{
	if (df_str_equal(was->texts[i], is->texts[k]) || !begin_change(e, is, YELLOW, "changed", is->in_order[k]))
		return;
	df_buf_add_c(&e->out, ": ");
	add_text(e, was->texts[i], VALUE_WIDTH);
	df_buf_add_c(&e->out, " -> ");
	add_text(e, is->texts[k], VALUE_WIDTH);
	df_buf_add_char(&e->out, '\n');
}

/* The next member behind *at that the other side does not have; false when there is none. */
static bool next_single(const struct members *members, const struct members *other, size_t *at)
{
	while (*at < members->count && find_member(other, members->in_order[*at]) != SIZE_MAX)
		++*at;
	return *at < members->count;
}

/*
 * The n-th member that went and the n-th that came are one with a new name when they have the same value: so every
 * renaming that keeps the order is told as one.
 */
static void show_renamed_or_gone(struct df_explain *e, const struct members *was, const struct members *is)
{
	size_t i = 0, k = 0;

	while (next_single(was, is, &i)) {
		bool paired = next_single(is, was, &k);

		if (!paired || !df_str_equal(was->texts[i], is->texts[k])) {
			show_one(e, was, RED, "removed", i);
		} else if (begin_change(e, was, YELLOW, "renamed", was->in_order[i])) {
			df_buf_add_c(&e->out, " -> ");
			add_text(e, df_value_key(is->in_order[k]), VALUE_WIDTH);
			df_buf_add_char(&e->out, '\n');
		}
		i++;
		k += paired;
	}
}

static void show_added(struct df_explain *e, const struct members *was, const struct members *is)
{
	size_t i = 0, k = 0;

	while (next_single(is, was, &k)) {
		bool paired = next_single(was, is, &i);

		if (!paired || !df_str_equal(was->texts[i], is->texts[k]))
			show_one(e, is, GREEN, "added", k);
		i += paired;
		k++;
	}
}

/* Says how two objects differ, member by member; of anything else the payload says all. */
static void show_members(struct df_explain *e, const char *prefix, struct df_str before, struct df_str after)
{
	struct members was, is;

	e->changes = 0;
	if (take_members(e, before, &was) && take_members(e, after, &is)) {
		was.prefix = is.prefix = prefix;
		show_renamed_or_gone(e, &was, &is);
		for (size_t i = 0; i < was.count; i++) {
			size_t k = find_member(&is, was.in_order[i]);
			if (k != SIZE_MAX)
				show_changed(e, &was, i, &is, k);
		}
		show_added(e, &was, &is);
		if (e->changes == 0) {
			add_detail(e, DIM, "same");
			df_buf_add_c(&e->out, "members, in another order or written compact\n");
		}
	}
	if (e->changes > CHANGES_MAX) {
		add_detail(e, DIM, "...");
		df_buf_printf(&e->out, "and %zu more\n", e->changes - CHANGES_MAX);
	}
	df_arena_done(&e->scratch);
}

/* ---- a message behind a transformation ---------------------------------------------------------------------------------- */

static void take(struct df_explain *e, const struct df_message *m, const char *label, struct df_arena *arena,
		 struct before *ret)
{
	*ret = (struct before){ .label = label, .metadata = DF_STR("{}"), .route = m->route };
	e->no_memory |= df_message_payload(m, arena, &ret->payload) < 0;
	if (m->metadata)
		ret->metadata = df_value_to_arena(m->metadata, arena);
	e->no_memory |= !ret->metadata.ptr || !label;
	if (!label)
		ret->label = "";
}

static void add_route(struct df_explain *e, uint16_t route)
{
	const struct df_route *routes;

	df_chain_routes(e->chain, &routes);
	add_text(e, routes[route - 1].condition, VALUE_WIDTH);
	df_buf_printf(&e->out, " (to %s)\n", routes[route - 1].sink->type->name);
}

static void show_difference(struct df_explain *e, const struct before *before, const struct before *after)
{
	bool payload = !df_str_equal(before->payload, after->payload);
	bool metadata = !df_str_equal(before->metadata, after->metadata);
	bool route = before->route != after->route;

	if (!payload && !metadata && !route) {
		add_word(e, DIM, 0, "unchanged");
		df_buf_add_char(&e->out, '\n');
		return;
	}
	add_word(e, YELLOW, 0, "changed");
	df_buf_add_char(&e->out, '\n');
	if (payload)
		show_members(e, "", before->payload, after->payload);
	if (metadata)
		show_members(e, "metadata ", before->metadata, after->metadata);
	if (route) {
		add_detail(e, YELLOW, "route");
		add_route(e, after->route);
	}
	if (payload) {
		add_detail(e, PLAIN, "payload");
		add_payload(e, after->payload);
	}
}

static const char *child_label(struct df_arena *arena, const char *parent, size_t number)
{
	size_t size = strlen(parent) + 24;
	char *label = df_arena_alloc(arena, size);

	if (label)
		snprintf(label, size, "%s%s%zu", *parent ? parent : "#", *parent ? "." : "", number);
	return label;
}

static void show_outputs(struct df_explain *e, const struct before *parent, const struct df_message *m, size_t n,
			 struct before *next)
{
	char text[40];

	snprintf(text, sizeof(text), "becomes %zu messages", n);
	add_word(e, YELLOW, 0, text);
	df_buf_add_char(&e->out, '\n');
	for (size_t i = 0; i < n && !e->no_memory; i++) {
		take(e, &m[i], child_label(&e->next, parent->label, i + 1), &e->next, &next[i]);
		add_detail(e, PLAIN, next[i].label);
		add_payload(e, next[i].payload);
		flush(e, OUT_SIZE);
	}
}

/* What became of one message; its outputs begin at m. Returns how many they are. */
static size_t show_message(struct df_explain *e, size_t transformer, size_t i, const struct df_message *m,
			   struct before *next)
{
	const struct before *before = &e->before[i];
	const struct outcome *outcome = &e->outcomes[i];

	add_head(e, transformer, before->label);
	switch (outcome->fate) {
	case DROPPED:
		add_word(e, RED, 0, "dropped");
		df_buf_add_char(&e->out, '\n');
		return 0;
	case FAILED:
		add_word(e, RED, 0, "failed: ");
		add_text(e, df_str_c(outcome->reason), REASON_WIDTH);
		df_buf_add_char(&e->out, '\n');
		return 0;
	case SPLIT:
		if (outcome->n != 1) {
			show_outputs(e, before, m, outcome->n, next);
			return outcome->n;
		}
		break;
	case GOES_ON:
		break;
	}
	const char *label = df_arena_dup(&e->next, df_str_c(before->label)).ptr;
	take(e, m, label, &e->next, next);
	show_difference(e, before, next);
	return 1;
}

/* Prints what the transformation made of all messages, and notes those that go on. */
static void show_pass(struct df_explain *e, size_t transformer)
{
	const struct df_batch *batch = e->batch;
	struct before *next = df_arena_alloc(&e->next, batch->count * sizeof(*next));
	struct outcome *outcomes = df_arena_zalloc(&e->next, batch->count * sizeof(*outcomes));
	struct df_arena arena;
	size_t k = 0;

	e->no_memory |= !next || !outcomes;
	for (size_t i = 0; i < e->count && !e->no_memory; i++) {
		k += show_message(e, transformer, i, &batch->messages[k], &next[k]);
		flush(e, OUT_SIZE);
	}
	arena = e->now;
	e->now = e->next;
	e->next = arena;
	df_arena_done(&e->next);
	e->before = next;
	e->outcomes = outcomes;
	e->count = e->no_memory ? 0 : batch->count;
	e->pending = false;
}

/* ---- events ------------------------------------------------------------------------------------------------------------- */

/* The outcome of m, which stands in the batch where it stood before the transformation. NULL after a lack of memory. */
static struct outcome *outcome_of(struct df_explain *e, const struct df_message *m)
{
	size_t i = (size_t)(m - e->batch->messages);

	return i < e->count ? &e->outcomes[i] : NULL;
}

static void on_dropped(void *arg, struct df_message *m, size_t transformer)
{
	struct df_explain *e = arg;
	struct outcome *outcome = outcome_of(e, m);

	e->pending = true;
	e->at = transformer;
	if (outcome)
		outcome->fate = DROPPED;
	e->events->dropped(e->events->arg, m, transformer);
}

static int on_failed(void *arg, struct df_message *m, size_t transformer, const struct df_error *err)
{
	struct df_explain *e = arg;

	if (transformer == SIZE_MAX) {
		df_buf_add_c(&e->out, "  ");
		add_word(e, RED, 0, "failed: ");
		add_text(e, df_str_c(err->text), REASON_WIDTH);
		df_buf_add_char(&e->out, '\n');
	} else {
		struct outcome *outcome = outcome_of(e, m);
		e->pending = true;
		e->at = transformer;
		if (outcome)
			*outcome = (struct outcome){ .fate = FAILED,
						     .reason = df_arena_dup(&e->now, df_str_c(err->text)).ptr };
	}
	return e->events->failed(e->events->arg, m, transformer, err);
}

static void on_split(void *arg, const struct df_message *m, size_t n)
{
	struct df_explain *e = arg;
	struct outcome *outcome = outcome_of(e, m);

	if (outcome)
		*outcome = (struct outcome){ .fate = SPLIT, .n = n };
}

/* The first message behind a transformation stands for all. */
static void on_step(void *arg, const struct df_message *m, size_t transformer)
{
	struct df_explain *e = arg;

	if (m == e->batch->messages)
		show_pass(e, transformer);
}

/* ---- a line ------------------------------------------------------------------------------------------------------------- */

static void show_line(struct df_explain *e, const struct df_message *m)
{
	char text[32];

	e->before = df_arena_alloc(&e->now, sizeof(*e->before));
	e->outcomes = df_arena_zalloc(&e->now, sizeof(*e->outcomes));
	e->no_memory = !e->before || !e->outcomes;
	if (e->no_memory)
		return;
	e->count = 1;
	e->pending = false;
	take(e, m, "", &e->now, e->before);
	snprintf(text, sizeof(text), "line %u", m->index + 1);
	add_word(e, BOLD, 0, text);
	df_buf_add_c(&e->out, "  ");
	add_payload(e, e->before->payload);
	if (!m->metadata)
		return;
	df_buf_add_c(&e->out, "  metadata  ");
	add_text(e, e->before->metadata, PAYLOAD_WIDTH);
	df_buf_add_char(&e->out, '\n');
}

static void show_result(struct df_explain *e)
{
	for (size_t i = 0; i < e->count; i++) {
		const struct before *result = &e->before[i];

		df_buf_add_c(&e->out, "  ");
		add_word(e, BOLD, 22, "result");
		df_buf_printf(&e->out, "%s%s", result->label, *result->label ? "  " : "");
		add_payload(e, result->payload);
		if (result->route) {
			add_detail(e, YELLOW, "route");
			add_route(e, result->route);
		}
		flush(e, OUT_SIZE);
	}
	if (e->count == 0) {
		df_buf_add_c(&e->out, "  ");
		add_word(e, BOLD, 22, "result");
		add_word(e, DIM, 0, "none");
		df_buf_add_char(&e->out, '\n');
	}
	df_buf_add_char(&e->out, '\n');
}

int df_explain_run(struct df_explain *e, struct df_batch *batch, const struct df_chain_events *events,
		   struct df_error *err)
{
	const struct df_chain_events mine = {
		.arg = e, .dropped = on_dropped, .failed = on_failed, .split = on_split, .step = on_step
	};
	int r;

	e->events = events;
	e->batch = batch;
	show_line(e, &batch->messages[0]);
	r = e->no_memory ? DF_ERR_NO_MEMORY : df_chain_run(e->chain, batch, &mine, err);
	if (r == 0 && e->pending)
		show_pass(e, e->at);
	/* The envelope could not be opened. */
	e->count = batch->count ? e->count : 0;
	if (r == 0)
		show_result(e);
	flush(e, 0);
	df_arena_done(&e->now);
	df_arena_done(&e->next);
	if (r == 0 && e->write_errno)
		return df_error_errno(err, DF_ERR_UNKNOWN, e->write_errno, "cannot write to standard output");
	return e->no_memory ? df_error_no_memory(err) : r;
}
