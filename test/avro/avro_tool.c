/*
 * The codec for tests in other languages. Each line of the input is an object with `schema` (a text) and
 *   `data`       a list of values in hexadecimal: each is decoded, `reader` (a text) being the schema to resolve to
 *   `documents`  a list: each is encoded
 * and each gives one line: the document, the bytes in hexadecimal, or "!" and the error. A schema that is none gives
 * one such line for all.
 */
#include <stdio.h>
#include <stdlib.h>

#include "avro/decode.h"
#include "avro/encode.h"

static void print_error(const struct df_error *err)
{
	printf("!%s\n", err->text);
}

static struct df_str unhex(struct df_str hex, struct df_arena *arena)
{
	char *out = df_arena_alloc(arena, hex.len / 2);

	for (size_t i = 0; i < hex.len / 2; i++)
		out[i] = (char)strtol((char[]){ hex.ptr[2 * i], hex.ptr[2 * i + 1], 0 }, NULL, 16);
	return df_str(out, hex.len / 2);
}

static int parse(const struct df_value *line, const char *key, struct df_arena *arena, struct df_avro_schema **ret,
		 struct df_error *err)
{
	const struct df_value *text = df_object_get_c(line, key);
	struct df_str s;

	*ret = NULL;
	if (!text)
		return 0;
	s = df_value_text(text, arena);
	return df_avro_schema_parse(&s, 1, ret, err);
}

static int decode_all(const struct df_value *data, const struct df_avro_schema *writer,
		      const struct df_avro_schema *reader, struct df_arena *arena, struct df_error *err)
{
	df_cleanup(df_avro_decoder_freep) struct df_avro_decoder *decoder = NULL;
	struct df_avro_batch batch = { arena, 1 };
	int code = df_avro_decoder_new(writer, reader, &decoder, err);

	if (code < 0)
		return code;
	df_for_each (item, data) {
		df_cleanup(df_buf_done) struct df_buf out = { 0 };
		struct df_value *document;

		if (df_avro_decode(decoder, &batch, unhex(df_value_text(item, arena), arena), &document, err) < 0) {
			print_error(err);
			continue;
		}
		df_value_write(document, &out);
		puts(df_buf_c(&out));
	}
	return 0;
}

static void encode_all(const struct df_value *documents, const struct df_avro_schema *schema, struct df_arena *arena)
{
	df_for_each (document, documents) {
		df_cleanup(df_buf_done) struct df_buf out = { 0 };
		struct df_error err = DF_ERROR_INIT;

		if (df_avro_encode(schema, document, arena, &out, &err) < 0) {
			print_error(&err);
			continue;
		}
		for (size_t i = 0; i < out.len; i++)
			printf("%02x", (uint8_t)out.data[i]);
		putchar('\n');
	}
}

static int run(struct df_str text, struct df_arena *arena, struct df_error *err)
{
	df_cleanup(df_avro_schema_freep) struct df_avro_schema *schema = NULL;
	df_cleanup(df_avro_schema_freep) struct df_avro_schema *reader = NULL;
	struct df_value *line;
	int code = df_value_parse_text(text, arena, &line, err);

	if (code == 0)
		code = parse(line, "schema", arena, &schema, err);
	if (code == 0)
		code = parse(line, "reader", arena, &reader, err);
	if (code == 0 && df_object_get_c(line, "data"))
		code = decode_all(df_object_get_c(line, "data"), schema, reader, arena, err);
	if (code == 0 && df_object_get_c(line, "documents"))
		encode_all(df_object_get_c(line, "documents"), schema, arena);
	return code;
}

int main(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;

	while ((len = getline(&line, &cap, stdin)) > 0) {
		struct df_error err = DF_ERROR_INIT;
		struct df_arena arena = { 0 };

		if (run(df_str(line, (size_t)len), &arena, &err) < 0)
			print_error(&err);
		df_arena_done(&arena);
		puts("."); /* the line is done */
		fflush(stdout);
	}
	free(line);
	return 0;
}
