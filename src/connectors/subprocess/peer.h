/* The conversation with a running program: starting it, saying commands, hearing answers, ending it. */
#ifndef DF_CONNECTORS_SUBPROCESS_PEER_H
#define DF_CONNECTORS_SUBPROCESS_PEER_H

#include "connectors/subprocess/answer.h"
#include "connectors/subprocess/lines.h"
#include "connectors/subprocess/process.h"
#include "connectors/subprocess/program.h"

#define DF_PROTOCOL 2
#define DF_IN_FLIGHT_MAX 64

struct df_peer {
	const struct df_program *program;
	struct df_hidden hidden; /* what must not be shown of what it says */
	struct df_process process;
	struct df_lines lines;
	struct df_buf out;	  /* commands */
	size_t said;		  /* so much of them is written */
	int wake;		  /* an eventfd of the owner's that makes df_peer_hear return; -1: none */
	_Atomic int64_t heard_ns; /* when it last said or took something, or silence began to count */
	int protocol;		  /* 1 or 2 */
	unsigned in_flight;	  /* commands that it takes ahead */
	bool acks;		  /* wants to know what is committed */
	_Atomic bool broken;	  /* it failed, or a command was cut off: there is nothing to say any more */
	struct df_error why;	  /* it broke, when code is not 0 */
};

enum {
	DF_PEER_ANSWER = 0,
	DF_PEER_WOKEN, /* the owner's eventfd was written */
	DF_PEER_QUIET, /* the time is over */
};

/* Starts the program. The peer is zeroed, but for what must not be shown; program and wake are borrowed. Whatever the
 * outcome, df_peer_close. DF_ERR_CONFIG, DF_ERR_TRANSIENT, DF_ERR_NO_MEMORY. */
int df_peer_start(struct df_peer *peer, const struct df_program *program, int wake, const struct df_logger *logger,
		  struct df_error *err) df_must_check;

/* What is said at the beginning. */
struct df_peer_opening {
	const struct df_connector_env *env;
	enum df_component_kind kind;
	const void *settings;
	struct df_str options; /* members of `options` behind ours, each with a comma before it */
	int wake;
};

/* df_peer_start, `init` and `connect`. The program's own error, or what df_peer_start and df_peer_hear say. Whatever
 * the outcome, df_peer_close. */
int df_peer_open(struct df_peer *peer, struct df_context *ctx, const struct df_peer_opening *opening,
		 struct df_error *err) df_must_check;

/*
 * The next answer and its line, while what is in `out` is written; both live until the next call. until_ns: when to
 * come back with DF_PEER_QUIET, 0: never. due: an answer must come, and silence longer than the limit is
 * DF_ERR_TIMEOUT. The end of the program, and lines that are no answers, are DF_ERR_CONNECTION; DF_ERR_CANCELED.
 */
int df_peer_hear(struct df_peer *peer, struct df_context *ctx, int64_t until_ns, bool due, struct df_answer *ret,
		 struct df_str *ret_line, struct df_error *err) df_must_check;

/* Writes text at once, from another thread than the one that hears; it blocks while the program does not read. Silence
 * of the program for longer than the limit is DF_ERR_TIMEOUT. `out` must not be used then. */
int df_peer_say(struct df_peer *peer, struct df_context *ctx, struct df_str text, struct df_error *err) df_must_check;

/* From now on silence counts: it was not asked before, or nobody listened. */
void df_peer_be_patient(struct df_peer *peer);

/* The program did what the protocol does not allow: nothing more is said to it. Returns DF_ERR_CONNECTION. */
int df_peer_fault(struct df_peer *peer, struct df_error *err, const char *fmt, ...) df_printf(3, 4);

/* Says what is left in `out`, `cancel` when answers are due that nobody waits for, and `close`; waits, and kills what
 * does not go. Accepts a zeroed one. */
void df_peer_close(struct df_peer *peer, bool due);

#endif
