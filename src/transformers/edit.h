/*
 * Edits of a document that can be taken back, for transformers that make several: one that fails half-way must leave
 * its message as it was, and a copy of the whole document would cost more than the edits. What is remembered is the
 * content of each node before it was edited, in the message's arena.
 */
#ifndef DF_TRANSFORMERS_EDIT_H
#define DF_TRANSFORMERS_EDIT_H

#include "transformers/interface.h"
#include "value/path.h"

struct df_edit;

/* Of one call on one document. Initialise with the arena. Between two edits nothing else may change the document. */
struct df_edits {
	struct df_arena *arena;
	struct df_edit *last;
	bool changed; /* some edit made a difference in the JSON text; may be set by the user, too */
};

/* Makes `at` hold what `from` holds, as df_value_replace; does not set `changed`. DF_ERR_NO_MEMORY: nothing was done.
 */
int df_edits_replace(struct df_edits *edits, struct df_value *at, const struct df_value *from) df_must_check;

/* df_path_set with its errors. A value that already stands there in the same text is left alone. */
int df_edits_set(struct df_edits *edits, const struct df_path *path, struct df_value *root, struct df_value *value,
		 struct df_error *err) df_must_check;

/* Ends the call with r: takes everything back when it is negative, else marks the message if it was changed. Returns r.
 */
int df_edits_end(struct df_edits *edits, struct df_message *m, int r);

#endif
