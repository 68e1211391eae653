/* What the files of df_chain share: the runs as they are read out of the Jobs. */
#ifndef DF_OPERATOR_CHAIN_INTERNAL_H
#define DF_OPERATOR_CHAIN_INTERNAL_H

#include "operator/chain.h"

enum chain_outcome { CHAIN_OPEN, CHAIN_DONE, CHAIN_FAILED, CHAIN_REPLACED, CHAIN_OUTCOMES };
extern const char *const chain_marks[CHAIN_OUTCOMES]; /* of D/chain, by enum chain_outcome */

struct chain_job {
	const struct df_value *object;
	const char *name, *uid, *version;
	const char *run_label;	    /* D/run-id; NULL: none */
	const char *processor_name; /* of a trigger Job: D/processor-job */
	int64_t index;		    /* -1: the processor's */
	bool complete, failed;
	bool suspended, deleting, by_hand;
	int64_t created, ended, scheduled; /* seconds since 1970; 0: unknown */
	const char *why;		   /* it failed */
	enum chain_outcome mark;	   /* D/chain says how the run ended */
	int64_t marked;			   /* D/chain is trigger-<marked>; -1: it is not */
};

struct chain_run {
	char id[9];
	const char *processor_name;
	struct chain_job *processor; /* NULL: pruned */
	struct chain_job **triggers; /* in order of their index */
	size_t trigger_count;
	int64_t created;

	/* What follows from them; evaluate() in chain.c. */
	enum chain_outcome recorded; /* some Job is marked with it */
	enum chain_outcome outcome;
	int64_t position;	  /* of the last trigger that was begun; -1: none */
	struct chain_job *at;	  /* its Job; NULL: gone */
	int64_t next;		  /* the trigger to be begun; -1: none */
	bool gated;		  /* waits behind the gate */
	bool release, skip, drop; /* of a gated one: begins; is too late; is replaced */
	const char *text;	  /* what there is to say about its end */
};

struct chain {
	const struct df_chain_input *in;
	struct df_arena *arena;
	struct df_chain_result *result;
	size_t action_cap;
	struct chain_job *jobs;
	size_t job_count;
	struct chain_run *runs; /* oldest first */
	size_t run_count;
	bool no_memory;
};

static inline bool chain_unfinished(const struct chain_job *job)
{
	return job && !job->complete && !job->failed;
}

/* Printf in the arena; "" when out of memory, which is remembered. */
const char *chain_text(struct chain *c, const char *fmt, ...) df_printf(2, 3);

/* chain_read.c: fills jobs and runs. */
void chain_read(struct chain *c);
/* A processor Job that is not its operator's yet has no label; one of those is gated when it is suspended. */
bool chain_begun(const struct chain_job *processor);

/* chain_words.c: what the pods of a Job say about it; NULL: nothing. */
const char *chain_last_words(struct chain *c, const struct chain_job *job);
const char *chain_trouble(struct chain *c, const struct chain_job *job);

/* "1 (report)": the trigger of that index, as texts name it. */
const char *chain_trigger_words(struct chain *c, int64_t index);

/* One of its Jobs is at work, or waits. */
bool chain_run_unfinished(const struct chain_run *run);

/* The Job with which a run failed; NULL: none has. */
const struct chain_job *chain_failed_job(const struct chain_run *run);

/* chain_status.c */
void chain_status(struct chain *c);

#endif
