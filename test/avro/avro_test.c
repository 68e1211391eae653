#include "avro_test.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *quoted(const char *text)
{
	char *copy = strdup(text);

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	return copy;
}

struct df_avro_schema *schema_of(const char *json)
{
	df_cleanup(df_freep) char *text = quoted(json);
	struct df_error err = DF_ERROR_INIT;
	struct df_avro_schema *schema = NULL;
	struct df_str s = df_str_c(text);

	if (df_avro_schema_parse(&s, 1, &schema, &err) < 0)
		fail_msg("%s: %s", json, err.text);
	return schema;
}

/* To the end of a heap block of exactly that size, so that reading too far is seen. */
static char *unhex(const char *hex, size_t *ret_len)
{
	char *out = malloc(strlen(hex) / 2 + 1), *exact;
	size_t len = 0;

	while (*hex) {
		if (isspace((unsigned char)*hex)) {
			hex++;
			continue;
		}
		out[len++] = (char)strtol((char[]){ hex[0], hex[1], 0 }, NULL, 16);
		hex += 2;
	}
	exact = malloc(len ? len : 1);
	memcpy(exact, out, len);
	free(out);
	*ret_len = len;
	return exact;
}

struct decoded {
	struct df_arena arena;
	char *bytes;
	struct df_value *document;
	struct df_error err;
	int code;
};

static struct decoded decode(const char *writer, const char *reader, const char *hex)
{
	df_cleanup(df_avro_schema_freep) struct df_avro_schema *w = schema_of(writer);
	df_cleanup(df_avro_schema_freep) struct df_avro_schema *r = reader ? schema_of(reader) : NULL;
	df_cleanup(df_avro_decoder_freep) struct df_avro_decoder *decoder = NULL;
	struct decoded d = { .err = DF_ERROR_INIT };
	size_t len;

	d.bytes = unhex(hex, &len);
	d.code = df_avro_decoder_new(w, r, &decoder, &d.err);
	if (d.code == 0) {
		struct df_avro_batch batch = { &d.arena, 1 };
		struct df_arena scratch = { 0 };

		/* Twice: the second time keys and plans are known, and the arena is another. */
		batch.arena = &scratch;
		(void)!df_avro_decode(decoder, &batch, df_str(d.bytes, len), &d.document, &d.err);
		df_arena_done(&scratch);
		batch = (struct df_avro_batch){ &d.arena, 2 };
		d.code = df_avro_decode(decoder, &batch, df_str(d.bytes, len), &d.document, &d.err);
	}
	return d;
}

static void decoded_done(struct decoded *d)
{
	df_arena_done(&d->arena);
	free(d->bytes);
}

void assert_decodes_with(const char *writer, const char *reader, const char *hex, const char *document)
{
	df_cleanup(df_freep) char *wanted = quoted(document);
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	struct decoded d = decode(writer, reader, hex);

	if (d.code < 0)
		fail_msg("%s of %s: %s", hex, writer, d.err.text);
	df_value_write(d.document, &text); /* writer, plan and schema are gone: the document must not need them */
	if (strcmp(df_buf_c(&text), wanted) != 0)
		fail_msg("%s of %s: %s, wanted %s", hex, writer, df_buf_c(&text), wanted);
	decoded_done(&d);
}

void assert_no_decode_with(const char *writer, const char *reader, const char *hex, const char *piece)
{
	struct decoded d = decode(writer, reader, hex);

	if ((d.code != DF_ERR_INVALID_DATA && d.code != DF_ERR_CONFIG) || !strstr(d.err.text, piece))
		fail_msg("%s of %s: %d (%s), wanted an error with `%s`", hex, writer, d.code, d.err.text, piece);
	decoded_done(&d);
}

enum df_logical logical_of(const char *schema, const char *hex)
{
	struct decoded d = decode(schema, NULL, hex);
	struct df_value *member = df_object_get_c(d.document, "a");
	enum df_logical logical = (enum df_logical)(member ? member : d.document)->logical;

	assert_int_equal(d.code, 0);
	decoded_done(&d);
	return logical;
}

static int encode(const char *schema, const char *document, struct df_buf *out, struct df_error *err)
{
	df_cleanup(df_avro_schema_freep) struct df_avro_schema *s = schema_of(schema);
	df_cleanup(df_freep) char *text = quoted(document);
	struct df_arena arena = { 0 };
	struct df_value *v = NULL;
	int code = df_value_parse_text(df_str_c(text), &arena, &v, err);

	if (code < 0)
		fail_msg("%s: %s", document, err->text);
	df_buf_add_c(out, "before");
	code = df_avro_encode(s, v, &arena, out, err);
	df_arena_done(&arena);
	return code;
}

void assert_encodes(const char *schema, const char *document, const char *hex)
{
	df_cleanup(df_buf_done) struct df_buf out = { 0 };
	df_cleanup(df_freep) char *wanted = NULL;
	struct df_error err = DF_ERROR_INIT;
	size_t len;

	wanted = unhex(hex, &len);
	if (encode(schema, document, &out, &err) < 0)
		fail_msg("%s as %s: %s", document, schema, err.text);
	if (!df_str_equal(df_str(out.data + 6, out.len - 6), df_str(wanted, len))) {
		for (size_t i = 6; i < out.len; i++)
			print_error("%02x ", (uint8_t)out.data[i]);
		fail_msg("%s as %s: wanted %s", document, schema, hex);
	}
}

void assert_no_encode(const char *schema, const char *document, const char *piece)
{
	df_cleanup(df_buf_done) struct df_buf out = { 0 };
	struct df_error err = DF_ERROR_INIT;
	int code = encode(schema, document, &out, &err);

	if (code != DF_ERR_INVALID_DATA || !strstr(err.text, piece))
		fail_msg("%s as %s: %d (%s), wanted an error with `%s`", document, schema, code, err.text, piece);
	assert_string_equal(df_buf_c(&out), "before");
}

void assert_codec(const char *schema, const char *document, const char *hex)
{
	assert_decodes(schema, hex, document);
	assert_encodes(schema, document, hex);
}
