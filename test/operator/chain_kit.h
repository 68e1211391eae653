/* A cluster of Jobs for the tests of df_chain: as a store of versions, from which views are taken. */
#ifndef DF_TEST_CHAIN_KIT_H
#define DF_TEST_CHAIN_KIT_H

#include "operator/chain.h"

enum kit_state { KIT_ACTIVE, KIT_COMPLETE, KIT_FAILED };

struct kit_job {
	char name[80];
	char processor[80]; /* of a trigger Job; "": it is a processor's */
	int index;	    /* -1: the processor's */
	char run[9];	    /* D/run-id; "": none */
	char mark[24];	    /* D/chain; "": none */
	bool suspended, deleting, by_hand, there;
	enum kit_state state;
	int64_t created, ended, scheduled; /* 0: none */
	int64_t version;
};

/* As the API has it. Ends the test when out of memory. */
struct df_value *kit_object(const struct kit_job *job, struct df_arena *arena);

#endif
