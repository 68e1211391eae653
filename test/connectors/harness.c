#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

/* ---- the emitter ----------------------------------------------------------------------------------------- */

static struct harness *harness_of(struct df_emitter *e)
{
	return DF_CONTAINER_OF(e, struct harness, emitter);
}

static struct df_batch *emitter_batch(struct df_emitter *e)
{
	return df_batch_new(harness_of(e)->pool);
}

/* The contract: limits kept, everything of a message set. */
static void check_batch(const struct harness *h, const struct df_batch *batch)
{
	size_t bytes = 0;

	assert_true(batch->count <= h->emitter.batch_messages);
	for (size_t i = 0; i < batch->count; i++) {
		const struct df_message *m = &batch->messages[i];

		assert_non_null(m->partition);
		assert_true(m->payload.len > 0 || m->document != NULL);
		bytes += m->payload.len;
	}
	assert_true(batch->bytes >= bytes);
}

static void wake(void *arg)
{
	struct harness *h = arg;

	DF_LOCK_SCOPE(&h->lock);
	pthread_cond_broadcast(&h->changed);
}

static int emitter_emit(struct df_emitter *e, struct df_context *ctx, struct df_batch **batch, struct df_error *err)
{
	struct harness *h = harness_of(e);
	struct df_context_callback cb = { .fn = wake, .arg = h };
	int r = df_context_check(ctx, err);

	if (r < 0)
		return r;
	if ((*batch)->count == 0) {
		df_batch_free(DF_TAKE(*batch));
		return 0;
	}
	check_batch(h, *batch);
	df_context_on_cancel(ctx, &cb);
	pthread_mutex_lock(&h->lock);
	while (r == 0 && h->refuse_after && h->messages >= h->refuse_after) {
		r = df_context_check(ctx, err);
		if (r == 0)
			pthread_cond_wait(&h->changed, &h->lock);
	}
	pthread_mutex_unlock(&h->lock);
	df_context_off_cancel(ctx, &cb);
	if (r == 0)
		r = df_ledger_open(*batch, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&h->lock);
	(*batch)->next = NULL;
	if (h->last)
		h->last->next = *batch;
	else
		h->first = *batch;
	h->last = *batch;
	h->batches++;
	h->messages += (*batch)->count;
	*batch = NULL;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
	return 0;
}

static int emitter_try_emit(struct df_emitter *e, struct df_batch **batch, struct df_error *err)
{
	return emitter_emit(e, NULL, batch, err);
}

static int emitter_partition(struct df_emitter *e, struct df_str key, struct df_partition **ret, struct df_error *err)
{
	return df_ledger_partition(harness_of(e)->ledger, key, ret, err);
}

static void emitter_idle(struct df_emitter *e)
{
	struct harness *h = harness_of(e);

	DF_LOCK_SCOPE(&h->lock);
	h->idles++;
	pthread_cond_broadcast(&h->changed);
}

static int emitter_drain(struct df_emitter *e, struct df_partition *p, struct df_context *ctx, struct df_error *err)
{
	return df_ledger_drain(harness_of(e)->ledger, p, ctx, err);
}

void harness_init(struct harness *h)
{
	static const struct df_logger logger = { .name = "test" };
	static const struct df_clock clock = { 0 };

	*h = (struct harness){
		.env = { .logger = &logger, .clock = &clock, .namespace = "test", .name = "flow", .once = true },
		.emitter = { .batch_messages = 100,
			     .batch_bytes = 64 * 1024,
			     .batch = emitter_batch,
			     .emit = emitter_emit,
			     .try_emit = emitter_try_emit,
			     .partition = emitter_partition,
			     .idle = emitter_idle,
			     .drain = emitter_drain },
		.patience = 10,
		.pool = df_batch_pool_new(1 << 20),
		.ledger = df_ledger_new(),
	};
	assert_non_null(h->pool);
	assert_non_null(h->ledger);
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->changed, NULL);
}

void harness_done(struct harness *h)
{
	while (h->first) {
		struct df_batch *batch = h->first;

		h->first = batch->next;
		df_batch_free(batch);
	}
	df_component_done(&h->component);
	df_ledger_free(h->ledger);
	df_batch_pool_free(h->pool);
	pthread_cond_destroy(&h->changed);
	pthread_mutex_destroy(&h->lock);
}

/* ---- components ------------------------------------------------------------------------------------------ */

static df_printf(1, 0) char *quote(const char *fmt, va_list args)
{
	char *text = NULL;

	assert_true(vasprintf(&text, fmt, args) >= 0);
	for (char *c = text; *c; c++) {
		if (*c == '\'')
			*c = '"';
	}
	return text;
}

static void parse(enum df_component_kind kind, char *text, struct df_component *ret, struct df_diags *diags)
{
	struct df_parse_options options = { .path = "spec", .registry = df_registry() };
	struct df_error err = DF_ERROR_INIT;
	struct df_value *root = NULL;
	struct df_arena arena;

	df_arena_init(&arena, NULL);
	if (df_value_parse_text(df_str_c(text), &arena, &root, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	options.path = kind == DF_SOURCE ? "spec.source" : "spec.sink";
	df_component_parse(kind, root, NULL, &options, ret, diags);
	df_arena_done(&arena);
	free(text);
}

static void parse_good(struct harness *h, enum df_component_kind kind, char *text)
{
	struct df_diags diags = { 0 };
	struct df_error err = DF_ERROR_INIT;

	df_component_done(&h->component);
	parse(kind, text, &h->component, &diags);
	if (df_diags_error(&diags, &err) < 0)
		fail_msg("%s", err.text);
	df_diags_done(&diags);
}

struct df_source *harness_source(struct harness *h, const char *text, ...)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_source *s = NULL;
	va_list args;

	va_start(args, text);
	parse_good(h, DF_SOURCE, quote(text, args));
	va_end(args);
	if (df_source_create(df_str_c(h->component.type->name), h->component.settings, &h->env, &s, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

struct df_sink *harness_sink(struct harness *h, const char *text, ...)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_sink *s = NULL;
	va_list args;

	va_start(args, text);
	parse_good(h, DF_SINK, quote(text, args));
	va_end(args);
	if (df_sink_create(df_str_c(h->component.type->name), h->component.settings, &h->env, &s, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

char *harness_refused(enum df_component_kind kind, const char *text, ...)
{
	struct df_component component = { 0 };
	struct df_diags diags = { 0 };
	char *said = NULL;
	va_list args;

	va_start(args, text);
	parse(kind, quote(text, args), &component, &diags);
	va_end(args);
	for (size_t i = 0; !said && i < diags.count; i++) {
		if (!diags.items[i].warning)
			assert_true(asprintf(&said, "%s: %s", diags.items[i].path, diags.items[i].text) >= 0);
	}
	if (!said)
		fail_msg("accepted: %s", text);
	df_diags_done(&diags);
	df_component_done(&component);
	return said;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

int harness_read_fails(struct harness *h, struct df_source *s, struct df_error *err)
{
	int r = s->ops->connect(s, NULL, err);

	if (r == 0)
		r = s->ops->read(s, NULL, &h->emitter, err);
	assert_true(r <= 0);
	assert_true(r == 0 || err->code == r);
	return r;
}

void harness_read(struct harness *h, struct df_source *s)
{
	struct df_error err = DF_ERROR_INIT;

	if (harness_read_fails(h, s, &err) < 0)
		fail_msg("%s", err.text);
}

void harness_await(struct harness *h, size_t messages)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += h->patience;
	pthread_mutex_lock(&h->lock);
	while (h->messages < messages) {
		if (pthread_cond_timedwait(&h->changed, &h->lock, &until) == ETIMEDOUT)
			break;
	}
	size_t now = h->messages;
	pthread_mutex_unlock(&h->lock);
	assert_true(now >= messages);
}

struct df_message *harness_message(struct harness *h, size_t i)
{
	struct df_message *found = NULL;

	pthread_mutex_lock(&h->lock);
	for (struct df_batch *b = h->first; b && !found; b = b->next) {
		if (i < b->count)
			found = &b->messages[i];
		i -= b->count;
	}
	pthread_mutex_unlock(&h->lock);
	assert_non_null(found);
	return found;
}

const char *harness_payload(struct harness *h, size_t i)
{
	static struct df_buf buf;

	buf.len = 0;
	df_message_write(harness_message(h, i), &buf);
	return df_buf_c(&buf);
}

const char *harness_failure(struct harness *h, size_t i)
{
	const struct df_error *failure = harness_message(h, i)->failure;

	return failure ? failure->text : "";
}

static void *reader_main(void *arg)
{
	struct harness_reader *r = arg;

	r->result = r->s->ops->read(r->s, r->ctx, &r->h->emitter, &r->err);
	return NULL;
}

void harness_start(struct harness_reader *r, struct harness *h, struct df_source *s)
{
	*r = (struct harness_reader){ .h = h, .s = s, .ctx = df_context_new(NULL) };
	assert_non_null(r->ctx);
	if (s->ops->connect(s, r->ctx, &r->err) < 0)
		fail_msg("%s", r->err.text);
	assert_int_equal(pthread_create(&r->thread, NULL, reader_main, r), 0);
}

int harness_stop(struct harness_reader *r)
{
	df_context_cancel(r->ctx);
	pthread_join(r->thread, NULL);
	df_context_free(r->ctx);
	return r->result;
}

/* ---- committing ------------------------------------------------------------------------------------------ */

static char *commit(struct harness *h, struct df_source *s)
{
	struct df_commit *commits = NULL;
	struct df_error err = DF_ERROR_INIT;
	struct df_buf buf = { 0 };
	struct df_arena arena;
	struct df_value *checkpoint;
	size_t count = 0;

	df_arena_init(&arena, NULL);
	checkpoint = df_value_new(&arena, DF_OBJECT);
	assert_int_equal(df_ledger_collect(h->ledger, &arena, &commits, &count, &err), 0);
	assert_int_equal(s->ops->commit(s, commits, count, checkpoint, &arena, &err), 0);
	df_value_write(checkpoint, &buf);
	df_arena_done(&arena);
	return df_buf_take(&buf);
}

char *harness_commit_some(struct harness *h, struct df_source *s, size_t i, size_t n)
{
	for (; n > 0; n--, i++)
		df_ledger_done_one(harness_message(h, i));
	return commit(h, s);
}

char *harness_commit(struct harness *h, struct df_source *s)
{
	for (struct df_batch *b = h->first; b; b = b->next) {
		for (size_t i = 0; i < b->count; i++)
			df_ledger_done_one(&b->messages[i]);
	}
	return commit(h, s);
}

int harness_restore(struct df_source *s, const char *checkpoint, struct df_error *err)
{
	struct df_value *root = NULL;
	struct df_arena arena;
	int r;

	df_arena_init(&arena, NULL);
	r = df_value_parse_text(df_str_c(checkpoint), &arena, &root, err);
	if (r == 0)
		r = s->ops->restore(s, root, err);
	df_arena_done(&arena);
	return r;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

int harness_write(struct df_sink *s, const char *const *payloads, size_t count, char **results, struct df_error *err)
{
	struct df_message *messages = calloc(count, sizeof(*messages));
	struct df_message **pointers = calloc(count, sizeof(struct df_message *));
	struct df_write w;
	struct df_arena arena;
	int r;

	assert_true(messages && pointers);
	df_arena_init(&arena, NULL);
	for (size_t i = 0; i < count; i++) {
		messages[i].payload = df_str_c(payloads[i]);
		pointers[i] = &messages[i];
	}
	assert_int_equal(df_write_init(&w, pointers, count, &arena, err), 0);
	r = df_write_run(s, NULL, &w, err);
	for (size_t i = 0; results && i < count; i++) {
		const struct df_error *result = df_write_result(&w, i);

		results[i] = strdup(result ? result->text : "");
	}
	df_write_destroy(&w);
	df_arena_done(&arena);
	free(messages);
	free(pointers);
	return r;
}

/* ---- files ----------------------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static char directory[64];

static void remove_directory(void)
{
	nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *harness_directory(void)
{
	if (directory[0])
		remove_directory();
	else
		atexit(remove_directory);
	strcpy(directory, "/tmp/df-connector-XXXXXX");
	assert_non_null(mkdtemp(directory));
	return directory;
}

const char *harness_path(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % DF_ARRAY_SIZE(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static void put(const char *path, const char *mode, const void *data, size_t len)
{
	FILE *f = fopen(path, mode);

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

void harness_put_bytes(const char *path, const void *data, size_t len)
{
	put(path, "w", data, len);
}

void harness_put(const char *path, const char *content)
{
	put(path, "w", content, strlen(content));
}

void harness_append(const char *path, const char *content)
{
	put(path, "a", content, strlen(content));
}

char *harness_get(const char *path)
{
	FILE *f = fopen(path, "r");
	struct df_buf buf = { 0 };
	size_t n;

	if (!f)
		return NULL;
	do {
		char *room = df_buf_reserve(&buf, 4096);

		n = fread(room, 1, 4096, f);
		buf.len += n;
	} while (n > 0);
	fclose(f);
	return df_buf_take(&buf);
}
