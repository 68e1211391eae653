/* A look at a running pipeline for a person: what waits where, and why nothing moves. */
#ifndef DF_PROCESSOR_VIEW_H
#define DF_PROCESSOR_VIEW_H

#include "processor/processor.h"

#define DF_VIEW_WAITS 4

/* A connector that the pipeline waits for. */
struct df_view_wait {
	const char *connector; /* "source", "sink", "route_0", "error_sink"; the processor's */
	const char *type;
	const char *doing; /* "connect", "write", ...: what fails */
	char reason[200];
	unsigned attempts;
	int64_t for_ns;
};

struct df_view {
	uint64_t routing, output;  /* messages that wait for the transformations, and for the sinks */
	uint64_t connector_errors; /* failed attempts of all connectors */
	int64_t lag;		   /* messages that the other side holds and that were not read; -1: not known */
	struct df_view_wait waits[DF_VIEW_WAITS];
	size_t wait_count;
};

/* Thread-safe, any time before df_processor_free. */
void df_processor_view(const struct df_processor *p, struct df_view *ret);

#endif
