/* The templates of `connector new`, which are in the program (src/cmd/skeleton), and their language (README.md there).
 */
#ifndef DF_CMD_SKELETON_H
#define DF_CMD_SKELETON_H

#include "base/str.h"

struct df_skeleton_file {
	const char *name; /* "connector/source.c"; may hold placeholders */
	bool executable;
	size_t offset; /* of its text in what df_skeleton_unpack gives */
};

/* Ends with a row whose name is NULL. */
extern const struct df_skeleton_file df_skeleton_files[];
/* The texts, each with a NUL behind it, as zlib packed them. */
extern const unsigned char df_skeleton_packed[];
extern const size_t df_skeleton_packed_len, df_skeleton_len;

/* The texts; the caller frees. NULL: out of memory. */
char *df_skeleton_unpack(void);

struct df_placeholder {
	const char *name; /* without the @ */
	const char *text;
};

/* What a template is filled in with. */
struct df_skeleton_facts {
	const struct df_placeholder *placeholders; /* end with a row whose name is NULL */
	const char *const *words;		   /* those that may stand behind //@if; NULL-terminated */
	const bool *holds;			   /* which of them hold */
};

bool df_skeleton_holds(const struct df_skeleton_facts *facts, struct df_str word, bool *ret_known);

/* Appends the filled-in template. DF_ERR_INVALID_DATA, naming the line: it is wrong. */
int df_skeleton_fill(struct df_str text, const struct df_skeleton_facts *facts, struct df_buf *ret,
		     struct df_error *err) df_must_check;

#endif
