#include <stdlib.h>

#include "avro/decode.h"
#include "base/clock.h"
#include "connectors/kafka/avro.h"
#include "connectors/kafka/avro_internal.h"
#include "connectors/kafka/registry.h"

#define FRAME 5 /* a zero byte and the id */
#define UNKNOWN_KEPT (60 * DF_NS_PER_S)
#define UNKNOWN_SLOTS 256U

/* A schema of the registry, for ever. */
struct known {
	uint32_t id;
	struct df_avro_schema *schema;
	struct df_avro_decoder *decoder;
};

/* An id that is none, or whose schema cannot be used: for a while, so that not every record asks. */
struct unknown {
	uint32_t id;
	int64_t until_ns; /* 0: the slot is free */
	struct df_error err;
};

struct df_kafka_avro_reader {
	struct df_kafka_registry *registry; /* NULL: none */
	struct df_avro_schema *wanted;	    /* the reader's schema; NULL: as written */
	struct df_avro_schema *fixed;	    /* without a registry: the writer's */
	struct df_avro_decoder *decoder;    /* its */
	struct known *known;		    /* open addressing by id; schema NULL: free */
	size_t known_count, known_cap;
	struct unknown *unknown; /* UNKNOWN_SLOTS, direct-mapped; made when the first comes */
	struct df_avro_batch batch;
};

void df_kafka_avro_reader_free(struct df_kafka_avro_reader *reader)
{
	if (!reader)
		return;
	for (size_t i = 0; i < reader->known_cap; i++) {
		df_avro_decoder_free(reader->known[i].decoder);
		df_avro_schema_free(reader->known[i].schema);
	}
	free(reader->known);
	free(reader->unknown);
	df_avro_decoder_free(reader->decoder);
	df_avro_schema_free(reader->fixed);
	df_avro_schema_free(reader->wanted);
	df_kafka_registry_free(reader->registry);
	free(reader);
}

int df_kafka_avro_reader_new(const struct df_kafka_avro_options *options, struct df_kafka_avro_reader **ret,
			     struct df_error *err)
{
	df_cleanup(df_kafka_avro_reader_freep) struct df_kafka_avro_reader *reader = calloc(1, sizeof(*reader));
	int code = 0;

	*ret = NULL;
	if (!reader)
		return df_error_no_memory(err);
	if (options->reader_schema)
		code = df_kafka_avro_parse(options->reader_schema, "readerSchema", &reader->wanted, err);
	if (code == 0 && options->registry) {
		code = df_kafka_registry_new(options->registry, &reader->registry, err);
	} else if (code == 0) {
		df_cleanup(df_freep) char *text = NULL;

		code = df_kafka_avro_text(options, &text, err);
		if (code == 0)
			code = df_kafka_avro_parse(text, options->schema ? "avroSchema" : "avroSchemaFile",
						   &reader->fixed, err);
		if (code == 0)
			code = df_avro_decoder_new(reader->fixed, reader->wanted, &reader->decoder, err);
	}
	if (code < 0)
		return code;
	*ret = DF_TAKE(reader);
	return 0;
}

void df_kafka_avro_reader_batch(struct df_kafka_avro_reader *reader, struct df_arena *arena)
{
	reader->batch.arena = arena;
	reader->batch.number++;
}

/* ---- schemas of the registry ----------------------------------------------------------------------------- */

static struct known *known_find(struct known *table, size_t cap, uint32_t id)
{
	size_t i = id * UINT64_C(0x9E3779B97F4A7C15) >> 32;

	for (i &= cap - 1; table[i].schema && table[i].id != id;)
		i = (i + 1) & (cap - 1);
	return &table[i];
}

static int known_grow(struct df_kafka_avro_reader *reader, struct df_error *err)
{
	size_t cap = reader->known_cap ? 2 * reader->known_cap : 16;
	struct known *table = calloc(cap, sizeof(*table));

	if (!table)
		return df_error_no_memory(err);
	for (size_t i = 0; i < reader->known_cap; i++)
		if (reader->known[i].schema)
			*known_find(table, cap, reader->known[i].id) = reader->known[i];
	free(reader->known);
	reader->known = table;
	reader->known_cap = cap;
	return 0;
}

/* The id is remembered as one that gives this error, when that is the records' and not the moment's. */
static int remember_unknown(struct df_kafka_avro_reader *reader, uint32_t id, const struct df_error *err)
{
	struct unknown *slot;

	if (err->code != DF_ERR_INVALID_DATA)
		return err->code;
	if (!reader->unknown)
		reader->unknown = calloc(UNKNOWN_SLOTS, sizeof(*reader->unknown));
	if (!reader->unknown) /* then it is asked again */
		return err->code;
	slot = &reader->unknown[id % UNKNOWN_SLOTS];
	*slot = (struct unknown){ id, df_clock_monotonic() + UNKNOWN_KEPT, *err };
	return err->code;
}

static int fetch(struct df_kafka_avro_reader *reader, struct df_context *ctx, uint32_t id, struct known *ret,
		 struct df_error *err)
{
	int code = df_kafka_registry_schema(reader->registry, ctx, id, &ret->schema, err);

	if (code == 0)
		code = df_avro_decoder_new(ret->schema, reader->wanted, &ret->decoder, err);
	if (code == DF_ERR_CONFIG && ret->schema) { /* this writer's schema cannot become the reader's */
		code = err->code = DF_ERR_INVALID_DATA;
		df_error_prefix(err, "the schema with the id %u", id);
	}
	ret->id = id;
	return code;
}

static int decoder_of(struct df_kafka_avro_reader *reader, struct df_context *ctx, uint32_t id,
		      struct df_avro_decoder **ret, struct df_error *err)
{
	struct known *known = reader->known_cap ? known_find(reader->known, reader->known_cap, id) : NULL;
	const struct unknown *unknown = reader->unknown ? &reader->unknown[id % UNKNOWN_SLOTS] : NULL;
	struct known fresh = { 0 };
	struct df_error why = DF_ERROR_INIT;
	int code;

	if (known && known->schema) {
		*ret = known->decoder;
		return 0;
	}
	if (unknown && unknown->id == id && unknown->until_ns > df_clock_monotonic()) {
		if (err)
			*err = unknown->err;
		return unknown->err.code;
	}
	code = fetch(reader, ctx, id, &fresh, &why);
	if (code == 0 && 2 * (reader->known_count + 1) > reader->known_cap)
		code = known_grow(reader, &why);
	if (code < 0) {
		df_avro_decoder_free(fresh.decoder);
		df_avro_schema_free(fresh.schema);
		if (err)
			*err = why;
		return remember_unknown(reader, id, &why);
	}
	*known_find(reader->known, reader->known_cap, id) = fresh;
	reader->known_count++;
	*ret = fresh.decoder;
	return 0;
}

/* ---- values ---------------------------------------------------------------------------------------------- */

static int decode_framed(struct df_kafka_avro_reader *reader, struct df_context *ctx, struct df_str payload,
			 struct df_value **ret, struct df_error *err)
{
	const uint8_t *p = (const uint8_t *)payload.ptr;
	struct df_avro_decoder *decoder;
	int code;

	if (payload.len < FRAME || p[0] != 0)
		return df_error_set(
			err, DF_ERR_INVALID_DATA,
			"Avro: the value does not begin with a schema's id (written without a schema registry?)");
	code = decoder_of(reader, ctx, (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4],
			  &decoder, err);
	if (code < 0)
		return code;
	return df_avro_decode(decoder, &reader->batch, df_str(payload.ptr + FRAME, payload.len - FRAME), ret, err);
}

int df_kafka_avro_reader_decode(struct df_kafka_avro_reader *reader, struct df_context *ctx, struct df_str payload,
				struct df_value **ret, struct df_error *err)
{
	int code;

	*ret = NULL;
	if (reader->registry)
		return decode_framed(reader, ctx, payload, ret, err);
	code = df_avro_decode(reader->decoder, &reader->batch, payload, ret, err);
	/* Written with a registry after all; the error that counts is that of the whole. */
	if (code == DF_ERR_INVALID_DATA && payload.len >= FRAME && payload.ptr[0] == 0 &&
	    df_avro_decode(reader->decoder, &reader->batch, df_str(payload.ptr + FRAME, payload.len - FRAME), ret,
			   NULL) == 0)
		return 0;
	return code;
}
