/*
 * Documents to Avro binary, strictly: what does not fit the schema is an error, not a guess (connectors reference,
 * section 5). The texts by which documents show bytes, times, uuids and the like are taken back; a member that is
 * missing takes the field's default, else null where that fits; a member that the schema does not have is an error.
 */
#ifndef DF_AVRO_ENCODE_H
#define DF_AVRO_ENCODE_H

#include "avro/schema.h"
#include "base/arena.h"

/*
 * Appends the document as a value of the schema. In a union of several types a record or map stands under its name, as
 * the decoder shows it; a record also without, when its members tell. `arena` is for what is needed on the way.
 * DF_ERR_INVALID_DATA, with the field and without any content; DF_ERR_NO_MEMORY. On an error buf is as it was.
 */
int df_avro_encode(const struct df_avro_schema *schema, const struct df_value *document, struct df_arena *arena,
		   struct df_buf *buf, struct df_error *err) df_must_check;

#endif
