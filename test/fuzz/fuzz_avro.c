/*
 * A schema, a zero byte, and a value: any bytes through the schema parser, the planner, the decoder (also with
 * resolution to another schema) and the encoder. What the decoder makes is JSON, and what the encoder
 * makes of a document decodes again. The value is
 * copied to the end of an exact heap block, so that reading one byte too far is seen.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "avro/decode.h"
#include "avro/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Records, names and fields that mutations of the corpus share with it. */
static const char reader_text[] =
	"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"b\",\"type\":[\"null\",\"double\",\"string\"]},"
	"{\"name\":\"n\",\"type\":[\"null\",\"R\"],\"default\":null},"
	"{\"name\":\"d\",\"type\":{\"type\":\"map\",\"values\":\"bytes\"},\"default\":{\"k\":\"\\u00ff\"}}]}";

static void must(int condition)
{
	if (!condition)
		abort();
}

static void decode(const struct df_avro_schema *writer, const struct df_avro_schema *reader, struct df_str bytes,
		   bool must_do)
{
	df_cleanup(df_avro_decoder_freep) struct df_avro_decoder *decoder = NULL;
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_avro_batch batch = { &arena, 1 };
	struct df_error err = DF_ERROR_INIT;
	struct df_value *v;

	if (df_avro_decoder_new(writer, reader, &decoder, &err) < 0)
		return;
	if (df_avro_decode(decoder, &batch, bytes, &v, &err) == 0) {
		df_value_write(v, &text);
		must(text.failed || df_value_check(df_buf_str(&text)) != DF_PARSE_NOT_JSON);
	} else {
		must(!must_do && err.text[0]);
	}
}

static void encode(const struct df_avro_schema *schema, struct df_str text)
{
	df_cleanup(df_buf_done) struct df_buf out = { 0 };
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_error err = DF_ERROR_INIT;
	struct df_value *v;

	if (df_value_parse(text, &arena, &v, NULL) != DF_PARSE_OK)
		return;
	if (df_avro_encode(schema, v, &arena, &out, &err) == 0)
		decode(schema, NULL, df_buf_str(&out), true);
	else
		must(err.text[0] && out.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	df_cleanup(df_avro_schema_freep) struct df_avro_schema *schema = NULL, *reader = NULL;
	const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
	struct df_str text = df_str((const char *)data, zero ? (size_t)(zero - data) : size);
	size_t left = zero ? size - text.len - 1 : 0;
	struct df_error err = DF_ERROR_INIT;
	char *copy;

	if (df_avro_schema_parse(&text, 1, &schema, &err) < 0) {
		must(err.text[0]);
		return 0;
	}
	copy = malloc(left ? left : 1);
	if (left)
		memcpy(copy, zero + 1, left);
	text = df_str(reader_text, sizeof(reader_text) - 1);
	must(df_avro_schema_parse(&text, 1, &reader, NULL) == 0);
	decode(schema, NULL, df_str(copy, left), false);
	decode(schema, reader, df_str(copy, left), false);
	encode(schema, df_str(copy, left));
	free(copy);
	return 0;
}
