/* Metrics and health over HTTP: the errors and metrics reference, section 5. */
#ifndef DF_CMD_HEALTH_H
#define DF_CMD_HEALTH_H

#include "net/http_server.h"
#include "processor/processor.h"

/* Who is asked. Called on the server's thread, one call at a time. */
struct df_health_source {
	void (*metrics)(void *arg, struct df_buf *buf);
	/* False: the reason is in why. */
	bool (*ready)(void *arg, struct df_buf *why);
	bool (*alive)(void *arg, int64_t timeout_ns, struct df_buf *why);
	void (*status)(void *arg, struct df_buf *json); /* of /status; NULL: there is none */
	void *arg;
};

/* Zeroed is stopped. */
struct df_health {
	struct df_http_server *server;
	struct df_health_source source;
	int64_t progress_timeout_ns; /* 0: progress is never stale */
};

/* One processor, which outlives the server. */
struct df_health_source df_health_of(const struct df_processor *processor);

/* $PROCESSOR_PROGRESS_TIMEOUT_SECONDS in ns; a value that is none is told. */
int64_t df_health_progress_timeout(void);

/* Serves until df_health_stop, which comes before what is asked is freed. address: see df_http_options. Logs where.
 * DF_ERR_CONFIG when it cannot listen there. */
int df_health_start(struct df_health *h, struct df_health_source source, const char *address, const char *host,
		    struct df_error *err) df_must_check;
void df_health_stop(struct df_health *h);

#endif
