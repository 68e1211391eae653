/*
 * The first byte chooses a chain, the rest are messages, one a line (a byte 0x1E in it stands for a line end in a
 * payload). Whatever comes: JSON stays JSON, other bytes stay as they are, a failing message is as it was, and running
 * it again gives the same. A payload ends with its heap block, so that reading one byte too far is seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/yaml.h"
#include "transformers/chain.h"
#include "transformers/factory.h"

#define MESSAGES_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All types, most of them together with one that undoes, repeats or follows what it did. */
static const char *const configs[] = {
	"[{type: timestamp}, {type: timestamp, config: {fieldName: a.b.0, format: StampNano}}]",
	"[{type: flatten, config: {field: items}}, {type: cast, config: {spec: {a: int64, '*.b': float64}}}]",
	"[{type: flatten, config: {field: $}}, {type: flatten, config: {field: a.items}}, {type: structFlatten}]",
	"[{type: filter, config: {condition: \"a == 1 || (b != 'x' && items.#(n>1).m)\"}}, {type: snakeCase}]",
	"[{type: filter, config: {condition: \"a =~ '^(x|é)+$' || !b\"}}, {type: camelCase, config: {deep: true}}]",
	"[{type: mask, config: {fields: ['*', 'items[*].a', '#.b'], keepLength: true, maskChar: é}}, {type: mask, "
	"config: "
	"{fields: [a.0]}}]",
	"[{type: router, config: {routes: [{condition: a, sink: {type: none, config: {}}}, {condition: b > 1.5, sink: "
	"{type: none, config: {}}}]}}, {type: remove, config: {fields: [a]}}]",
	"[{type: select, config: {fields: [a, b.c, 'items.#.a', 'x*', 'items.#(n>=1)#.m', 'd|0', e.@keys]}}]",
	"[{type: select, config: {fields: ['items.@flatten', 'a.@tostr', 'b.@fromstr', 'c.@reverse']}}]",
	"[{type: remove, config: {fields: [a, 'items.#(a)#', '*.b', 'items.0', '[0]', '#.x']}}]",
	"[{type: snakeCase, config: {deep: true}}, {type: snakeCase, config: {deep: true}}, {type: camelCase}]",
	"[{type: camelCase}, {type: snakeCase}]",
	"[{type: debeziumUnwrap, config: {inferDeleteFromTombstone: true, includeSourceInMetadata: true, "
	"addOperationFields: true, addSourceFields: [table, lsn]}}, {type: insertField, config: {fields: {op: "
	"'${metadata.operation}'}}}]",
	"[{type: replaceField, config: {include: [a, 'items.#.a', '*.b'], renames: ['a:b', 'b:a', 'items.0.a:x.y']}}]",
	"[{type: replaceField, config: {exclude: [a.b, 'i*.#.n'], renames: ['a.c:d', 'd:a.c.e']}}]",
	"[{type: headersToPayload, config: {mappings: ['h:a.b', 'i:items.1', 'j\\:k:c']}}]",
	"[{type: structFlatten, config: {delimiter: _}}, {type: extractField, config: {field: 'a*'}}]",
	"[{type: hoistField, config: {field: x}}, {type: extractField, config: {field: x}}]",
	"[{type: extractField, config: {field: 'items.#(a==\"x\").b|0'}}, {type: hoistField, config: {field: ''''}}]",
	"[{type: cast, config: {spec: {a: string, a.b: bool, '*': int64, 'items[*]': float64, n: ~}}}]",
	"[{type: timezone, config: {timezone: Europe/Berlin, sourceTimezone: America/New_York, fields: [a, "
	"'items[*].at']}}, "
	"{type: timezone, config: {timezone: '-03:30', fields: [a], format: UnixMilli}}]",
	"[{type: insertField, config: {fields: {a.b: '${now}', items.0.x: 'json:{\"n\":1.50}', c: "
	"'${metadata.key}'}}}]",
	"[{type: filter, config: {condition: status == 'active' && total > 10}}, {type: select, config: {fields: [id, "
	"status, "
	"total, ship]}}, {type: remove, config: {fields: [id]}}, {type: snakeCase, config: {deep: true}}, {type: "
	"timestamp}]",
};
#define CONFIGS (sizeof(configs) / sizeof(configs[0]))

static const struct df_clock clock_fixed = { .fixed = true, .fixed_ns = INT64_C(1705312200123456789) };

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_chain: %s\n", what);
	abort();
}

/* A sink for routes; never made. */
static const struct df_table none_table;
static const struct df_type none_type = { .name = "none", .settings = &none_table };

static struct df_chain *load(size_t which)
{
	static struct df_arena arena;
	static struct df_components lists[CONFIGS];
	static const struct df_type *const sinks[] = { &none_type };
	struct df_registry *registry = calloc(1, sizeof(*registry));
	struct df_yaml_documents documents = { 0 };
	struct df_diags diags = { 0 };
	struct df_components *list = &lists[which];
	struct df_chain *chain = NULL;

	registry->types[DF_SINK] = sinks;
	registry->count[DF_SINK] = 1;
	registry->types[DF_TRANSFORMATION] = df_transformer_types(&registry->count[DF_TRANSFORMATION]);
	df_yaml_parse(df_str_c(configs[which]), NULL, &arena, &documents, &diags);
	must(diags.errors == 0 && documents.count == 1, configs[which]);
	list->items = calloc(documents.items[0]->len, sizeof(*list->items));
	df_for_each (item, documents.items[0])
		df_component_parse(DF_TRANSFORMATION, item, NULL,
				   &(struct df_parse_options){ .path = "spec", .registry = registry },
				   &list->items[list->count++], &diags);
	if (diags.errors || df_chain_new(list, &clock_fixed, &chain, &diags) < 0)
		fprintf(stderr, "%s: %s\n", diags.items[0].path, diags.items[0].text);
	must(chain != NULL, configs[which]);
	free(registry);
	df_diags_done(&diags);
	return chain;
}

struct run {
	struct df_chain *chain;
	struct df_batch *batch;
	struct df_str in[MESSAGES_MAX];
	bool json[MESSAGES_MAX];
	size_t count;
	struct df_buf text; /* all that came out, for comparing */
};

static struct df_str document_text(struct df_message *m, struct df_arena *arena)
{
	return m->document ? df_value_to_arena(m->document, arena) : df_str(NULL, 0);
}

static void on_dropped(void *arg, struct df_message *m, size_t transformer)
{
	struct run *run = arg;

	df_buf_printf(&run->text, "dropped %u %zu\n", m->index, transformer);
}

static int on_failed(void *arg, struct df_message *m, size_t transformer, const struct df_error *err)
{
	struct run *run = arg;
	struct df_arena *arena = &run->batch->arena;
	struct df_value *root = NULL;
	struct df_str payload;

	must(err->code == DF_ERR_INVALID_DATA && err->text[0], "a failure without a reason");
	must(df_message_payload(m, arena, &payload) == 0, "memory");
	/* Nothing of the first transformer's half-done change. */
	if (transformer == 0) {
		must(df_str_equal(payload, run->in[m->index]), "a failing message is not as it was");
		if (m->document && df_value_parse(run->in[m->index], arena, &root, NULL) == DF_PARSE_OK)
			must(df_str_equal(document_text(m, arena), df_value_to_arena(root, arena)),
			     "a failing document is not as it was");
	}
	df_buf_printf(&run->text, "failed %u %zu %s\n", m->index, transformer, err->text);
	return 0;
}

static void add_message(struct run *run, struct df_str payload)
{
	static const char metadata[] =
		"{\"key\":\"{\\\"id\\\":7.0}\",\"headers\":{\"h\":\"v\",\"i\":null,\"j:k\":\"w\"}}";
	struct df_message *m = df_batch_add(run->batch);
	struct df_error err = DF_ERROR_INIT;

	m->payload = payload;
	m->index = (uint32_t)run->count;
	must(df_value_parse_text(df_str_c(metadata), &run->batch->arena, &m->metadata, &err) == 0, "metadata");
	run->in[run->count] = payload;
	run->json[run->count++] = df_value_check(payload) == DF_PARSE_OK;
}

static void check_output(struct run *run, struct df_message *m)
{
	struct df_str out;

	must(df_message_payload(m, &run->batch->arena, &out) == 0, "memory");
	if (run->json[m->index] || (out.len && run->in[m->index].len == 0))
		must(df_value_check(out) == DF_PARSE_OK, "what comes out is not JSON");
	else
		must(df_str_equal(out, run->in[m->index]), "what is not JSON was changed");
	df_buf_add_str(&run->text, out);
	df_buf_printf(&run->text, "\n%u %u ", m->index, m->route);
	df_value_write(m->metadata, &run->text);
	df_buf_add_char(&run->text, '\n');
}

static void run_lines(struct run *run, struct df_batch_pool *pool, const struct df_str *lines, size_t count)
{
	const struct df_chain_events events = { .arg = run, .dropped = on_dropped, .failed = on_failed };
	struct df_error err = DF_ERROR_INIT;

	run->count = 0;
	run->text = (struct df_buf){ 0 };
	run->batch = df_batch_new(pool);
	for (size_t i = 0; i < count; i++)
		add_message(run, lines[i]);
	must(df_chain_run(run->chain, run->batch, &events, &err) == 0, err.text);
	for (size_t i = 0; i < run->batch->count; i++)
		check_output(run, &run->batch->messages[i]);
	df_batch_free(run->batch);
}

/* Every line in a block of its own. */
static size_t split_lines(const uint8_t *data, size_t size, struct df_str *lines)
{
	size_t count = 0, from = 0;

	for (size_t i = 0; i <= size && count < MESSAGES_MAX; i++) {
		if (i < size && data[i] != '\n')
			continue;
		char *copy = malloc(i - from + (i == from));
		for (size_t k = from; k < i; k++)
			copy[k - from] = data[k] == 0x1E ? '\n' : (char)data[k];
		lines[count++] = df_str(copy, i - from);
		from = i + 1;
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct df_chain *chains[CONFIGS];
	static struct df_batch_pool *pool;
	struct df_str lines[MESSAGES_MAX];
	struct run first = { 0 }, second = { 0 };
	size_t which, count;

	if (size == 0)
		return 0;
	which = data[0] % CONFIGS;
	if (!pool)
		pool = df_batch_pool_new(1 << 20);
	if (!chains[which])
		chains[which] = load(which);
	count = split_lines(data + 1, size - 1, lines);
	first.chain = second.chain = chains[which];
	run_lines(&first, pool, lines, count);
	run_lines(&second, pool, lines, count);
	must(df_str_equal(df_buf_str(&first.text), df_buf_str(&second.text)), "the second run gives something else");
	df_buf_done(&first.text);
	df_buf_done(&second.text);
	for (size_t i = 0; i < count; i++)
		free((char *)lines[i].ptr);
	return 0;
}
