/*
 * The operator: DataFlow and DataFlowCron resources become running processors (kubernetes reference).
 *
 * One process, of which one leads (a Lease). The leader has a cache per kind that it watches; what changes puts the
 * resource's key into one queue; a few workers take keys and reconcile. Nothing but the caches, the queue, the counts
 * and the recorder of Events is shared between workers, and a key is worked on by one at a time.
 */
#ifndef DF_OPERATOR_OPERATOR_H
#define DF_OPERATOR_OPERATOR_H

#include "base/context.h"
#include "net/http_server.h"
#include "operator/settings.h"

/* Runs until `stop` is cancelled (0: the Lease was given back), or it could not start: DF_ERR_CONFIG (the settings, no
 * cluster), DF_ERR_AUTH. What the settings leave to the cluster is filled in. When the Lease is lost the process exits
 * with 1 at once, so that nothing is written any more.
 */
int df_operator_run(struct df_operator_settings *settings, struct df_context *stop, struct df_error *err) df_must_check;

#endif
