/* What the parts of the `generate` source share: its settings, and the compiled template. Private to
 * src/connectors/generate. */
#ifndef DF_CONNECTORS_GENERATE_H
#define DF_CONNECTORS_GENERATE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "spec/field.h"

/* ---- template.c ------------------------------------------------------------------------------------------ */

struct df_template;

/* What one message is made from. */
struct df_template_call {
	uint64_t counter; /* of the message, from 1 */
	uint64_t seed;	  /* the same seed and counter give the same text (but for ${now}) */
	int64_t now_ns;	  /* wall time */
};

/* text is referenced by the template. DF_ERR_CONFIG names the placeholder and what is wrong with it, or that the result
 * is not JSON; DF_ERR_NO_MEMORY. */
int df_template_compile(struct df_str text, struct df_template **ret, struct df_error *err) df_must_check;
void df_template_free(struct df_template *t);

/* The length that no result exceeds, in bytes. */
size_t df_template_max(const struct df_template *t);
/* Writes one message to out, which has df_template_max bytes; returns its length. Allocates nothing. */
size_t df_template_render(const struct df_template *t, const struct df_template_call *call, char *out);

/* The table's check of a template. */
int df_template_check(struct df_str text, struct df_error *err);

/* Every placeholder, for the reference page (Markdown). A list: the bars of a choice would end the cells of a table. */
#define DF_TEMPLATE_DOC                                                                                       \
	"Placeholders of the template:\n\n"                                                                   \
	"- `${counter}`, `${counter:START}`: the number of the message, from 1 or from START\n"               \
	"- `${random:N}`, `${random:MIN:MAX}`: an integer from 0 to N-1, or from MIN to MAX, both included\n" \
	"- `${float:MIN:MAX}`, `${float:MIN:MAX:DIGITS}`: a number with 2, or 0 to 9 decimals\n"              \
	"- `${string:N}`: N lower-case letters and digits\n"                                                  \
	"- `${choice:a|b|c}`: one of the texts, as it stands\n"                                               \
	"- `${bool}`: `true` or `false`\n"                                                                    \
	"- `${uuid}`: a random UUID (version 4)\n"                                                            \
	"- `${now}`: the time, RFC 3339 in UTC with milliseconds\n"                                           \
	"- `${now:unix}`, `${now:unix_ms}`: seconds or milliseconds since 1970\n"                             \
	"- `$${`: the two characters `${`\n"

/* ---- settings -------------------------------------------------------------------------------------------- */

struct generate_settings {
	int64_t count; /* 0: endless */
	int64_t rate;  /* messages per second; 0: unlimited */
	int64_t seed;
	char *template;
};

#endif
