/*
 * Avro messages to documents, in batches as a source makes them.
 * Usage: bench-avro MESSAGES ROUNDS [--check|--json|--make]; --check prints the documents, --json also writes each as
 * text, --make writes MESSAGES from the documents on its input (a line each). Prints the allocations of the rounds
 * behind the first (counted by bench-avro-allocations only).
 */
#include <string.h>

#include "avro/decode.h"
#include "avro/encode.h"
#include "avro_messages.h"

#define BATCH 100

/* bench/allocations.c, when it is linked. */
__attribute__((weak)) size_t bench_allocations(void);

static void die(const struct df_error *err)
{
	fprintf(stderr, "bench-avro: %s\n", err->text);
	exit(1);
}

static void make(const struct df_avro_schema *schema, const char *path)
{
	FILE *f = fopen(path, "wb");
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;

	while ((len = getline(&line, &cap, stdin)) > 0) {
		struct df_arena arena = { 0 };
		struct df_buf out = { 0 };
		struct df_error err;
		struct df_value *v;

		if (df_value_parse_text(df_str(line, (size_t)len), &arena, &v, &err) < 0 ||
		    df_avro_encode(schema, v, &arena, &out, &err) < 0)
			die(&err);
		fwrite((uint8_t[]){ (uint8_t)out.len, (uint8_t)(out.len >> 8), 0, 0 }, 1, 4, f);
		fwrite(out.data, 1, out.len, f);
		df_buf_done(&out);
		df_arena_done(&arena);
	}
	free(line);
	fclose(f);
}

int main(int argc, char **argv)
{
	struct df_str text = df_str(bench_schema, sizeof(bench_schema) - 1);
	struct df_avro_decoder *decoder;
	struct df_avro_schema *schema;
	struct df_arena_pool *pool = df_arena_pool_new(1 << 22);
	struct df_arena arena;
	struct df_buf out = { 0 };
	struct df_error err;
	struct df_avro_batch batch = { &arena, 0 };
	bool check = argc > 3 && strcmp(argv[3], "--check") == 0,
	     json = check || (argc > 3 && strcmp(argv[3], "--json") == 0);
	size_t len, before = 0;
	uint8_t *data;

	if (argc < 3 || df_avro_schema_parse(&text, 1, &schema, &err) < 0 ||
	    df_avro_decoder_new(schema, NULL, &decoder, &err) < 0)
		return 1;
	if (argc > 3 && strcmp(argv[3], "--make") == 0) {
		make(schema, argv[1]);
		return 0;
	}
	data = bench_read(argv[1], &len);
	df_arena_init(&arena, pool);
	for (int round = 0; round < atoi(argv[2]); round++) {
		const uint8_t *at = data, *message;
		long n;

		if (round == 1 && bench_allocations)
			before = bench_allocations();
		for (size_t i = 0; (n = bench_next(&at, data + len, &message)) >= 0; i++) {
			struct df_value *v;

			if (i % BATCH == 0) {
				df_arena_reset(&arena);
				batch.number++;
			}
			if (df_avro_decode(decoder, &batch, df_str((const char *)message, (size_t)n), &v, &err) < 0)
				die(&err);
			out.len = 0;
			if (json)
				df_value_write(v, &out);
			if (check)
				puts(df_buf_c(&out));
		}
	}
	if (bench_allocations)
		printf("%zu\n", bench_allocations() - before);
	return 0;
}
