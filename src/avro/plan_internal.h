/*
 * The plan of a decoder: what to do for each type of the writer's schema, to make what the reader's asks for. Resolved
 * once ("Schema Resolution" of the specification), so that decoding only follows it.
 */
#ifndef DF_AVRO_PLAN_INTERNAL_H
#define DF_AVRO_PLAN_INTERNAL_H

#include "avro/schema.h"
#include "base/arena.h"

enum df_avro_code {
	OP_NULL,
	OP_BOOLEAN,
	OP_INT,
	OP_LONG,
	OP_LONG_AS_FLOAT, /* also of an int; logical tells float32 from float64 */
	OP_FLOAT,
	OP_DOUBLE,
	OP_BYTES,
	OP_STRING,
	OP_FIXED,
	OP_ENUM,
	OP_ARRAY,
	OP_MAP,
	OP_RECORD,
	OP_UNION,
	OP_WRAP,  /* {"<name>": value} around a branch */
	OP_ERROR, /* no value of the reader's schema; `why` says it */
	OP_DECIMAL,
	OP_DECIMAL_FIXED,
	OP_UUID,
	OP_UUID_FIXED,
	OP_DATE,
	OP_TIME,
	OP_TIMESTAMP,
	OP_DURATION,
};

struct df_avro_step {
	struct df_avro_op *op;
	uint32_t slot; /* which member of the document; DF_AVRO_SLOT_NONE: read over it */
};
#define DF_AVRO_SLOT_NONE UINT32_MAX

/* A member that the writer does not have: its default as Avro binary, and how to read that. */
struct df_avro_default {
	struct df_avro_op *op;
	uint32_t slot;
	struct df_str bytes;
};

struct df_avro_op {
	uint8_t code;
	uint8_t logical;    /* enum df_logical of what comes out */
	uint32_t min_bytes; /* the shortest encoding, at least; bounds what a count may promise */
	uint32_t count;	    /* steps, branches, symbols */
	uint32_t scale;	    /* DECIMAL */
	int64_t unit;	    /* TIME, TIMESTAMP: in a second */
	size_t size;	    /* FIXED */
	uint64_t batch;	    /* RECORD, WRAP: the batch whose arena the keys are in */
	union {
		struct {
			struct df_avro_step *steps; /* in the writer's order */
			struct df_value *members;   /* one a slot, with key, in the reader's order */
			uint32_t member_count, default_count;
			struct df_avro_default *defaults;
			char *keys; /* all keys, one behind the other */
			size_t keys_len;
		} record;
		struct df_avro_op **branches;
		struct df_avro_op *element;   /* ARRAY, MAP */
		const struct df_str *symbols; /* one for each of the writer's; ptr NULL: unknown to the reader */
		struct {
			struct df_avro_op *inner;
			struct df_str name;
			const char *key; /* in the batch's arena */
		} wrap;
		struct df_str why;
	};
};

/* DF_ERR_NO_MEMORY; DF_ERR_CONFIG: nothing that the writer writes can become what the reader asks for. */
int df_avro_plan(const struct df_avro_node *writer, const struct df_avro_node *reader, struct df_arena *arena,
		 struct df_avro_op **ret, struct df_error *err) df_must_check;

/* Appends a field's default as Avro binary. DF_ERR_CONFIG: it does not fit the type. */
int df_avro_default_encode(const struct df_avro_node *node, const struct df_value *def, struct df_buf *buf,
			   struct df_error *err) df_must_check;

#endif
