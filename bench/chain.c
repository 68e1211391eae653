/*
 * The chain of five (filter, select, remove, snakeCase deep, timestamp) on the lines of a file, parse to compact text.
 * Usage: bench-chain CHAIN.yaml LINES.jsonl ROUNDS [--check]; --check prints the results of one round.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/yaml.h"
#include "transformers/chain.h"
#include "transformers/factory.h"

#define BATCH 100

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

int main(int argc, char **argv)
{
	struct df_component components[16] = { 0 };
	struct df_chain *chain;
	struct df_str *lines = NULL;
	struct df_batch_pool *pool = df_batch_pool_new(1 << 20);
	struct df_buf out = { 0 };
	size_t drops = 0, n;
	bool check = argc > 4;

	if (argc < 4)
		die("usage: bench-chain CHAIN.yaml LINES.jsonl ROUNDS [--check]");
	chain = load_chain(argv[1], components);
	n = load_lines(argv[2], &lines);
	for (long round = atol(argv[3]); round > 0; round--) {
		for (size_t at = 0; at < n; at += BATCH) {
			const struct df_chain_events events = { &drops, dropped, failed, NULL, NULL };
			struct df_batch *batch = df_batch_new(pool);
			struct df_error err;

			for (size_t i = at; i < at + BATCH && i < n; i++)
				df_batch_add(batch)->payload = lines[i];
			if (df_chain_run(chain, batch, &events, &err) < 0)
				die(err.text);
			out.len = 0;
			for (size_t i = 0; i < batch->count; i++) {
				df_message_write(&batch->messages[i], &out);
				df_buf_add_char(&out, '\n');
			}
			if (check)
				fwrite(out.data, 1, out.len, stdout);
			df_batch_free(batch);
		}
	}
	df_chain_free(chain);
	df_batch_pool_free(pool);
	return 0;
}
