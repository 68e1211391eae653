/* Where in a value something is wrong, put together from the inside out while the failure returns: `a.b[3].c`. */
#ifndef DF_AVRO_PLACE_INTERNAL_H
#define DF_AVRO_PLACE_INTERNAL_H

#include <stdio.h>

#include "base/error.h"
#include "base/str.h"

struct df_avro_place {
	size_t used; /* from the end; what does not fit is left out at the front */
	char text[160];
};

static inline void df_avro_place_add(struct df_avro_place *place, const char *text, size_t len)
{
	if (place->used + len > sizeof(place->text)) {
		place->used = sizeof(place->text);
		return;
	}
	place->used += len;
	memcpy(place->text + sizeof(place->text) - place->used, text, len);
}

/* Both return the code, for `return df_avro_place_key(...)`. */
static inline int df_avro_place_key(struct df_avro_place *place, struct df_str key, int code)
{
	df_avro_place_add(place, key.ptr, key.len);
	df_avro_place_add(place, ".", 1);
	return code;
}

static inline int df_avro_place_index(struct df_avro_place *place, size_t index, int code)
{
	char text[32];

	df_avro_place_add(place, text, (size_t)snprintf(text, sizeof(text), "[%zu]", index));
	return code;
}

static inline struct df_str df_avro_place_str(const struct df_avro_place *place)
{
	struct df_str text = df_str(place->text + sizeof(place->text) - place->used, place->used);

	return text.len && text.ptr[0] == '.' ? df_str(text.ptr + 1, text.len - 1) : text;
}

#endif
