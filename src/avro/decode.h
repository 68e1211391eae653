/*
 * Avro binary to documents, in one pass and without any allocation but the batch's arena. Logical types come out as the
 * document's (connectors reference, sections 1 and 5), with schema resolution when a reader's schema is given.
 */
#ifndef DF_AVRO_DECODE_H
#define DF_AVRO_DECODE_H

#include "avro/schema.h"
#include "base/arena.h"

struct df_avro_decoder; /* for one thread at a time */

/* What documents of one batch share: their keys, copied into the arena once. `number` is another for every batch. */
struct df_avro_batch {
	struct df_arena *arena;
	uint64_t number; /* from 1 */
};

/* Both schemas must outlive the decoder. reader NULL: as written. DF_ERR_CONFIG: nothing of the writer's can become
 * what the reader asks for, or a default of the reader's does not fit; DF_ERR_NO_MEMORY. */
int df_avro_decoder_new(const struct df_avro_schema *writer, const struct df_avro_schema *reader,
			struct df_avro_decoder **ret, struct df_error *err) df_must_check;
void df_avro_decoder_free(struct df_avro_decoder *decoder); /* accepts NULL */
DF_DEFINE_CLEANUP(struct df_avro_decoder *, df_avro_decoder_free)

/*
 * One value, all of `bytes`, to a document in the batch's arena, which does not refer to the decoder. Texts and bytes
 * point into `bytes`, which must live as long as the arena. DF_ERR_INVALID_DATA, with the field and without any
 * content: the bytes end too early or too late or do not fit the schema; DF_ERR_NO_MEMORY.
 */
int df_avro_decode(struct df_avro_decoder *decoder, const struct df_avro_batch *batch, struct df_str bytes,
		   struct df_value **ret, struct df_error *err) df_must_check;

#endif
