/* Progress of a running pipeline on stderr, and the summary at its end. */
#ifndef DF_CMD_PROGRESS_H
#define DF_CMD_PROGRESS_H

#include "processor/processor.h"

enum df_progress_mode {
	DF_PROGRESS_NONE,
	DF_PROGRESS_LIVE,  /* one line that is redrawn; a terminal */
	DF_PROGRESS_PLAIN, /* a line every few seconds */
	DF_PROGRESS_JSON,  /* a JSON object a second */
};

/* "auto", "plain", "json", "none" as --progress takes them; auto: live on a terminal, else only the summary. */
enum df_progress_mode df_progress_mode(const char *text);

struct df_progress;

/* Starts a thread that reports; none for DF_PROGRESS_NONE. NULL when there is nothing to do or no memory. */
struct df_progress *df_progress_start(const struct df_processor *p, const char *name, enum df_progress_mode mode);
/* Stops it and clears the live line. Accepts NULL. */
void df_progress_stop(struct df_progress *progress);

/* What was done, as text or, in JSON mode, as one object. seconds: how long it ran. */
void df_progress_summary(const struct df_processor *p, const char *name, enum df_progress_mode mode, double seconds,
			 bool failed);

#endif
