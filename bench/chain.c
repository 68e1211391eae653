/*
 * A chain on the lines of a file, parse to compact text.
 * Usage: bench-chain CHAIN.yaml LINES.jsonl ROUNDS [--check|--measure]; --check prints the results, --measure
 * nanoseconds and heap allocations a message in the steady state (allocations are counted by bench-chain-allocations
 * only).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "spec/yaml.h"
#include "transformers/chain.h"
#include "transformers/factory.h"

#define BATCH 100
#define BATCH_BYTES ((size_t)64 << 10)

/* bench/allocations.c, when it is linked. */
__attribute__((weak)) size_t bench_allocations(void);

/* For the routes of a router; nothing is written. */
static const struct df_table none_table;
static const struct df_type none_type = { .name = "none", .settings = &none_table };
static const struct df_type *const sinks[] = { &none_type };

static struct df_registry registry;
static const struct df_clock clock_fixed = { true, INT64_C(1705314600) * DF_NS_PER_S };

static void die(const char *what)
{
	fprintf(stderr, "bench-chain: %s\n", what);
	exit(1);
}

static void dropped(void *arg, struct df_message *m, size_t transformer)
{
	(void)m;
	(void)transformer;
	++*(size_t *)arg;
}

static int failed(void *arg, struct df_message *m, size_t transformer, const struct df_error *err)
{
	(void)arg;
	(void)m;
	(void)transformer;
	die(err->text);
	return DF_ERR_UNKNOWN;
}

static struct df_chain *load_chain(const char *file, struct df_component *components)
{
	static struct df_arena arena;
	struct df_yaml_documents documents;
	struct df_diags diags = { 0 };
	struct df_components list = { .items = components };
	struct df_chain *chain = NULL;

	df_yaml_load(file, &arena, &documents, &diags);
	if (diags.errors || documents.count != 1)
		die("cannot read the chain");
	registry.types[DF_SINK] = sinks;
	registry.count[DF_SINK] = 1;
	registry.types[DF_TRANSFORMATION] = df_transformer_types(&registry.count[DF_TRANSFORMATION]);
	df_for_each (item, documents.items[0])
		df_component_parse(DF_TRANSFORMATION, item, NULL,
				   &(struct df_parse_options){ .path = "spec", .registry = &registry },
				   &components[list.count++], &diags);
	static struct df_components kept;
	kept = list;
	if (df_chain_new(&kept, &clock_fixed, &chain, &diags) < 0) {
		struct df_buf buf = { 0 };

		df_diags_print(&diags, &buf);
		die(df_buf_c(&buf));
	}
	return chain;
}

static size_t load_lines(const char *file, struct df_str **ret)
{
	FILE *f = fopen(file, "r");
	size_t n = 0, cap = 0, line_cap = 0;
	char *line = NULL;
	ssize_t len;

	if (!f)
		die("cannot read the lines");
	while ((len = getline(&line, &line_cap, f)) > 0) {
		if (n == cap)
			*ret = realloc(*ret, (cap = cap ? cap * 2 : 1024) * sizeof(**ret));
		(*ret)[n++] = df_str(memcpy(malloc((size_t)len), line, (size_t)len), (size_t)len - 1);
	}
	fclose(f);
	return n;
}

struct bench {
	struct df_chain *chain;
	struct df_batch_pool *pool;
	struct df_str *lines;
	size_t count;
	struct df_value *metadata; /* of every message */
	struct df_buf out;
	size_t drops;
	bool check;
};

static void run_batch(struct bench *b, struct df_batch *batch)
{
	const struct df_chain_events events = { &b->drops, dropped, failed, NULL, NULL };
	struct df_error err;

	if (df_chain_run(b->chain, batch, &events, &err) < 0)
		die(err.text);
	b->out.len = 0;
	for (size_t i = 0; i < batch->count; i++) {
		df_message_write(&batch->messages[i], &b->out);
		df_buf_add_char(&b->out, '\n');
	}
	if (b->check)
		fwrite(b->out.data, 1, b->out.len, stdout);
}

static void run_round(struct bench *b)
{
	for (size_t at = 0; at < b->count;) {
		struct df_batch *batch = df_batch_new(b->pool);
		size_t bytes = 0;

		/* As many as a source would put into one. */
		for (size_t i = 0; i < BATCH && at < b->count && bytes < BATCH_BYTES; i++, at++) {
			struct df_message *m = df_batch_add(batch);
			m->payload = b->lines[at];
			m->metadata = b->metadata;
			bytes += b->lines[at].len;
		}
		run_batch(b, batch);
		df_batch_free(batch);
	}
}

/* What callgrind counts with --toggle-collect. */
__attribute__((noinline)) static void run_steady_round(struct bench *b)
{
	run_round(b);
	__asm__ volatile("" ::: "memory");
}

/* Behind two rounds that fill caches and pools: the time of the fastest round and the allocations of all. */
static void measure(struct bench *b, long rounds)
{
	int64_t best = INT64_MAX;
	size_t allocations;

	run_round(b);
	run_round(b);
	allocations = bench_allocations ? bench_allocations() : 0;
	for (long round = 0; round < rounds; round++) {
		struct timespec from, to;

		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
		run_steady_round(b);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
		int64_t ns = (to.tv_sec - from.tv_sec) * DF_NS_PER_S + (to.tv_nsec - from.tv_nsec);
		best = ns < best ? ns : best;
	}
	allocations = bench_allocations ? bench_allocations() - allocations : 0;
	printf("{\"ns\":%.1f,\"allocations\":%.4f}\n", (double)best / (double)b->count,
	       (double)allocations / (double)b->count / (double)rounds);
}

static struct df_value *make_metadata(void)
{
	static struct df_arena arena;
	struct df_value *metadata = NULL;

	if (df_value_parse(
		    DF_STR("{\"topic\":\"orders\",\"key\":\"7\",\"headers\":{\"traceId\":\"4bf92f35\",\"tenant\":"
			   "\"north\"}}"),
		    &arena, &metadata, NULL) != DF_PARSE_OK)
		die("no memory");
	return metadata;
}

int main(int argc, char **argv)
{
	struct df_component components[16] = { 0 };
	struct bench b = { 0 };
	const char *option = argc > 4 ? argv[4] : "";

	if (argc < 4)
		die("usage: bench-chain CHAIN.yaml LINES.jsonl ROUNDS [--check|--measure]");
	b.check = strcmp(option, "--check") == 0;
	b.chain = load_chain(argv[1], components);
	b.count = load_lines(argv[2], &b.lines);
	b.pool = df_batch_pool_new(1 << 20);
	if (strcmp(option, "--measure") == 0) {
		b.metadata = make_metadata();
		measure(&b, atol(argv[3]));
	} else {
		for (long round = atol(argv[3]); round > 0; round--)
			run_round(&b);
	}
	df_chain_free(b.chain);
	df_batch_pool_free(b.pool);
	return 0;
}
