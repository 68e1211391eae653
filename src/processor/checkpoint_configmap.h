/*
 * The checkpoint in the ConfigMap df-<name>-checkpoint, for a processor in a pod: key checkpoint.json, written with the
 * pod's own ServiceAccount (Kubernetes reference, section 8).
 *
 * Two pods of one flow must not write it by turns. The Lease df-<name>-processor lets one of them begin; and because a
 * process may sleep through the end of its Lease, every holder first raises the number in the annotation
 * dataflow.dataflow.io/fence, and writes only while the number is its own: an old pod never moves a position back.
 */
#ifndef DF_PROCESSOR_CHECKPOINT_CONFIGMAP_H
#define DF_PROCESSOR_CHECKPOINT_CONFIGMAP_H

#include "base/context.h"
#include "base/log.h"
#include "kube/config.h"
#include "processor/checkpoint.h"

struct df_checkpoint_configmap_options {
	const struct df_kube_config *config;
	const char *namespace, *name; /* the flow's */
	const char *holder;	      /* in the Lease; unique for each start: <pod>_<uid>_<start> */
	const char *ended_holders;    /* those that begin so are earlier starts of this container; NULL: none */
	const char *source_type;      /* its object in the checkpoint is ours; all others are left as they are */
	const struct df_logger *logger;
	/* The Lease was lost, or another pod has raised the fence: no more read, write or commit. Any thread, once. */
	void (*on_lost)(void *arg, const struct df_error *why);
	void *arg;
};

/*
 * Waits for the Lease (as long as another pod holds it), then for the ConfigMap (60 s), and raises the fence.
 * Everything in options is borrowed until free. 0; the context's code; DF_ERR_CONFIG: there is no ConfigMap;
 * DF_ERR_AUTH.
 *
 * load fails with DF_ERR_CONFIG when the checkpoint is damaged. save: DF_ERR_CLOSED when the Lease is lost,
 * DF_ERR_UNKNOWN when the checkpoint is over 900 KiB, else as requests do; it takes 10 s at most.
 */
int df_checkpoint_configmap_open(const struct df_checkpoint_configmap_options *options, struct df_context *ctx,
				 struct df_checkpoint_store **ret, struct df_error *err) df_must_check;

#endif
