#include "cmd/rotation.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/digest.h"

struct df_rotation {
	struct df_rotation_options options;
	pthread_t thread;
	uint64_t told; /* of the last refusal, so that it is told once and not at every look */
};

/* The flow goes on with what it has; why, unless that was said already. */
static void refuse(struct df_rotation *r, const struct df_diags *diags, const struct df_error *err)
{
	struct df_error why = *err;
	uint64_t hash;

	if (why.code == 0 && diags->failed)
		df_error_no_memory(&why);
	if (diags->errors && df_diags_error(diags, &why) == 0)
		return;
	hash = df_fnv1a(DF_FNV1A, df_str_c(why.text));
	if (hash != r->told)
		df_log_error(r->options.logger, DF_LOG_WARN, &why,
			     "a Secret has changed and cannot be used so; the flow goes on with the old value");
	r->told = hash;
}

/* True: there is nothing more to do. */
static bool look(struct df_rotation *r)
{
	char what[DF_MOUNTED_WHAT];
	struct df_diags diags = { 0 };
	struct df_error err = DF_ERROR_INIT;
	struct df_reading *reading = df_mounted_look(r->options.mounted, what, &diags);
	bool taken = false;

	if (reading) {
		df_info(r->options.logger,
			"%s has changed: what is in flight is flushed, then the flow goes on with the new value", what);
		taken = r->options.offer(r->options.arg, reading, &diags, &err) == 0;
		if (!taken)
			df_reading_free(reading);
	}
	if (!taken && (diags.errors || diags.failed || err.code))
		refuse(r, &diags, &err);
	else
		r->told = 0;
	df_diags_done(&diags);
	return taken;
}

bool df_rotation_look(const struct df_rotation_options *options)
{
	return look(&(struct df_rotation){ .options = *options });
}

static void *rotation_main(void *arg)
{
	struct df_rotation *r = arg;

	while (df_context_sleep(r->options.ctx, r->options.interval_ns) == 0 && !look(r))
		;
	return NULL;
}

int df_rotation_start(const struct df_rotation_options *options, struct df_rotation **ret, struct df_error *err)
{
	struct df_rotation *r = calloc(1, sizeof(*r));

	if (!r)
		return df_error_no_memory(err);
	r->options = *options;
	if (pthread_create(&r->thread, NULL, rotation_main, r)) {
		free(r);
		return df_error_set(err, DF_ERR_NO_MEMORY, "cannot start the thread that looks at Secrets");
	}
	*ret = r;
	return 0;
}

void df_rotation_join(struct df_rotation *rotation)
{
	if (!rotation)
		return;
	pthread_join(rotation->thread, NULL);
	free(rotation);
}
