/*
 * Prometheus' text exposition format, version 0.0.4: reading single samples, and merging the texts of several processes
 * into one.
 *
 * One line that is none makes Prometheus refuse a whole scrape, so a text of somebody else's is read strictly: what is
 * not a good sample is left out, whatever stands around it.
 */
#ifndef DF_BASE_EXPOSITION_H
#define DF_BASE_EXPOSITION_H

#include "base/cleanup.h"
#include "base/str.h"

/* `name{labels} value`, slices of the line. A timestamp or an exemplar behind it is not kept. */
struct df_sample {
	struct df_str name;
	struct df_str labels; /* between the braces, without a comma at its end; len 0: none */
	struct df_str value;
};

/* The next line of a text, without its newline; false at the end. A last line without one may be cut and is skipped. */
bool df_exposition_line(struct df_str *text, struct df_str *ret);
/* Is the line a sample that Prometheus takes: names, escapes, UTF-8, no label twice, a number in range? */
bool df_sample_parse(struct df_str line, struct df_sample *ret);
/* Is it the name of a metric? */
bool df_exposition_is_name(struct df_str text);
/* A label's value as written, with escapes; ptr NULL: it has none of that name. */
struct df_str df_sample_label(const struct df_sample *sample, const char *name);

/* Appends `text` as a label's value: with \\, \" and \n, without the quotes around it. */
void df_exposition_escape(struct df_buf *buf, struct df_str text);

/* ---- several texts --------------------------------------------------------------------------------------- */

/* The families of all texts, each with one HELP and TYPE (of the text that had it first) and the samples of all. */
struct df_families;

/* What is asked of the samples of a text. Zeroed: nothing. */
struct df_families_from {
	size_t max_bytes;     /* of all samples, this text's among them; 0: no limit */
	struct df_str prefix; /* of the families; others are left out */
	/* A label that each sample gets; one that has it already is left out. NULL: none. */
	const char *label;
	struct df_str label_value;
	/* Samples without these very labels are left out, values escaped: a process speaks for nobody else. */
	struct {
		const char *name;
		struct df_str value;
	} must[2];
};

struct df_families *df_families_new(void);	/* NULL: out of memory */
void df_families_free(struct df_families *all); /* accepts NULL */
DF_DEFINE_CLEANUP(struct df_families *, df_families_free)

/* Adds a text, or nothing of it: DF_ERR_NO_MEMORY (max_bytes, too). */
int df_families_add(struct df_families *all, struct df_str text, const struct df_families_from *from,
		    struct df_error *err) df_must_check;
/* Lines that were left out so far, beside those of other families. */
size_t df_families_left_out(const struct df_families *all);
/* Appends all of it, and leaves `all` empty. */
void df_families_write(struct df_families *all, struct df_buf *buf);

#endif
