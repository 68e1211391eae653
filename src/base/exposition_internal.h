/* What reading and merging share. */
#ifndef DF_BASE_EXPOSITION_INTERNAL_H
#define DF_BASE_EXPOSITION_INTERNAL_H

#include "base/exposition.h"

struct df_label {
	struct df_str name, value; /* as written */
};

struct df_labels {
	struct df_label items[64]; /* one with more is no good sample */
	size_t count;
};

/* As df_sample_parse, with its labels one by one. */
bool df_sample_parse_labels(struct df_str line, struct df_sample *ret, struct df_labels *labels);

#endif
