/* What a processor in a pod leaves for the operator when it ends: Kubernetes takes it from a file into the container's
 * status (terminationMessagePath), as kubernetes reference, section 2. */
#ifndef DF_CMD_LAST_WORDS_H
#define DF_CMD_LAST_WORDS_H

#include "processor/processor.h"

#define DF_LAST_WORDS_FILE "/dev/termination-log"
#define DF_LAST_WORDS_MAX 4096 /* the kubelet reads no more */

/* How a flow ended. */
struct df_flow_end {
	int exit_code;
	struct df_error err; /* code 0: in peace */
	struct df_processor_stats stats;
};

/* {"exit":1,"error_type":"auth_error","message":"...","processed":N,"errors":N,"lastProcessedTime":"..."}, at most
 * DF_LAST_WORDS_MAX bytes: a longer message is cut. */
void df_last_words(const struct df_flow_end *end, struct df_buf *buf);
/* Writes them to the file, when there is one; it is never made. path NULL: DF_LAST_WORDS_FILE. */
void df_last_words_leave(const struct df_flow_end *end, const char *path);

#endif
