/*
 * Writing as the processor does it (src/processor/attempt.c), without its retries: a result for every message, whether
 * the sink gave one for each or failed the whole write. And what rules about sinks share.
 */
#ifndef DF_CONFORMANCE_DELIVER_H
#define DF_CONFORMANCE_DELIVER_H

#include "conformance/stage.h"

struct df_delivery {
	struct df_error *results; /* one a message; code 0: written. Arena memory */
	size_t count;
	size_t written;
	size_t refused; /* with a code that is the message's own fault: poison */
	size_t failed;	/* with any other */
	size_t splits;	/* a whole write failed with a data error, and was written again in halves */
};

/*
 * Writes the messages, within ns for each attempt. A whole write that fails with a data error is split until the
 * message at fault stands alone; what a transactional sink has undone is written again without the refused ones.
 * Nothing is retried.
 */
void df_deliver(struct df_stage *st, struct df_sink *s, struct df_message *const *messages, size_t n, int64_t ns,
		struct df_delivery *ret);

/* The first result that is not 0, or NULL. */
const struct df_error *df_delivery_failure(const struct df_delivery *d);

/* Payloads, delivered; fails the rule when one was not written. */
void df_deliver_all(struct df_stage *st, struct df_sink *s, const char *const *payloads, size_t n);

/* Rows first .. first + n - 1 in one write; fails the rule when one was not written. */
void df_deliver_rows(struct df_stage *st, struct df_sink *s, int64_t first, size_t n);

/* The sink's final sync; fails the rule when it does. */
void df_deliver_sync(struct df_stage *st, struct df_sink *s);
/* The same for a sink that is not to be used any more: sync, close, free. */
void df_deliver_end(struct df_stage *st, struct df_sink *s);

/* printf into the arena; fails the rule when there is no memory. */
char *df_rule_text(struct df_stage *st, const char *fmt, ...) df_printf(2, 3);

/* An error as rules show it: "code_name: text". Arena memory. */
const char *df_rule_error(struct df_stage *st, const struct df_error *err);

/* A value as rules show it: its JSON, cut when it is long. Arena memory; "nothing" for NULL. */
const char *df_rule_value(struct df_stage *st, const struct df_value *value);

/* The row with this id; NULL: none. Fails the rule when there are several. */
struct df_value *df_rows_find(struct df_stage *st, const struct df_rows_seen *seen, int64_t id);

/*
 * Fails the rule unless the ids are first .. first + n - 1, each once (doubles: at least once), without those of
 * `without` (NULL: all are there), and every name that is there is "row <id>". what: what should have been, for the
 * text.
 */
void df_rows_check(struct df_stage *st, const struct df_rows_seen *seen, int64_t first, size_t n, const bool *without,
		   bool doubles, const char *what);

#endif
