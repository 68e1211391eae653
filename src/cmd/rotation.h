/* Secrets that change while a flow runs: a thread looks, and offers what is new. */
#ifndef DF_CMD_ROTATION_H
#define DF_CMD_ROTATION_H

#include "base/context.h"
#include "base/log.h"
#include "cmd/mounted.h"

struct df_rotation;

struct df_rotation_options {
	const struct df_mounted *mounted;
	int64_t interval_ns;
	struct df_context *ctx; /* the thread ends with it */
	const struct df_logger *logger;
	/*
	 * A value has changed. 0: the reading is taken over, and the thread has done its work; else it is not wanted,
	 * for the reason that diags or err say, and stays the thread's. On the thread.
	 */
	int (*offer)(void *arg, struct df_reading *reading, struct df_diags *diags, struct df_error *err);
	void *arg;
};

/* One look, at once, on the caller's thread (ctx is not used). True: a reading was taken over. */
bool df_rotation_look(const struct df_rotation_options *options);

/* What options points to is borrowed. */
int df_rotation_start(const struct df_rotation_options *options, struct df_rotation **ret,
		      struct df_error *err) df_must_check;
/* ctx is cancelled. Joins the thread. Accepts NULL. */
void df_rotation_join(struct df_rotation *rotation);

#endif
