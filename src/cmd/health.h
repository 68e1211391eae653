/* Metrics and health of a running pipeline over HTTP: the errors and metrics reference, section 5. */
#ifndef DF_CMD_HEALTH_H
#define DF_CMD_HEALTH_H

#include "net/http_server.h"
#include "processor/processor.h"

/* Zeroed is stopped. */
struct df_health {
	struct df_http_server *server;
	const struct df_processor *processor;
	int64_t progress_timeout_ns; /* 0: progress is never stale */
};

/* Serves until df_health_stop, which comes before the processor is freed. address: see df_http_options. Logs where.
 * DF_ERR_CONFIG when it cannot listen there. */
int df_health_start(struct df_health *h, const struct df_processor *processor, const char *address, const char *host,
		    struct df_error *err) df_must_check;
void df_health_stop(struct df_health *h);

#endif
