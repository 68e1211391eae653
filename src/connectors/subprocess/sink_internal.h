/* Shared by the files of the sink only. */
#ifndef DF_CONNECTORS_SUBPROCESS_SINK_INTERNAL_H
#define DF_CONNECTORS_SUBPROCESS_SINK_INTERNAL_H

#include "connectors/base.h"
#include "connectors/subprocess/peer.h"

#define DF_CAREFUL_NS (5 * DF_NS_PER_S)

/* A command that is under way. */
struct part {
	int64_t batch;
	struct df_write *write;
	const uint32_t *index; /* which of the write's messages it has */
	size_t count;
	bool waited_for; /* `write` waits for it and gives the whole its result */
};

struct program_sink {
	struct df_base_connector base;
	const void *settings;
	struct df_peer peer;
	int wake;
	pthread_t hearer;
	bool hearing; /* the thread runs */
	pthread_mutex_t saying;
	struct df_buf text;	    /* the command that is made; of `write` */
	int64_t batches;	    /* commands that were made */
	int64_t answered;	    /* of the thread that hears */
	_Atomic int64_t careful_ns; /* until then */

	pthread_mutex_t lock; /* of the rest */
	pthread_cond_t changed;
	struct part parts[DF_IN_FLIGHT_MAX];
	size_t part_count;
	struct df_write *settling; /* whose results are being given */
	struct df_error outcome;   /* of the part that is waited for */
	struct df_error why;	   /* code not 0: the program is lost */
};

/* The thread that hears the answers and gives the messages their results (sink_answers.c); arg is the sink. It ends
 * with the sink's context, or when the program is lost: then `why` says so. */
void *df_program_sink_hear(void *arg);

#endif
