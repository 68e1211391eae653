#include "cmd/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/log.h"

struct df_signals {
	struct df_context *stop, *kill;
	pthread_t thread;
};

static sigset_t stop_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR2); /* ends the thread */
	return set;
}

static void *signals_main(void *arg)
{
	struct df_signals *s = arg;
	sigset_t set = stop_signals();
	int number, seen = 0;

	while (sigwait(&set, &number) == 0 && number != SIGUSR2) {
		if (seen++ == 0) {
			df_info(NULL, "stopping: what is in flight is flushed; a second signal stops at once");
			df_context_cancel(s->stop);
		} else {
			df_context_cancel(s->kill);
		}
	}
	return NULL;
}

int df_signals_start(struct df_context *stop, struct df_context *kill, struct df_signals **ret, struct df_error *err)
{
	struct df_signals *s = calloc(1, sizeof(*s));
	sigset_t set = stop_signals();

	if (!s)
		return df_error_no_memory(err);
	*s = (struct df_signals){ .stop = stop, .kill = kill };
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (pthread_create(&s->thread, NULL, signals_main, s)) {
		free(s);
		return df_error_set(err, DF_ERR_NO_MEMORY, "cannot start the signal thread");
	}
	*ret = s;
	return 0;
}

void df_signals_stop(struct df_signals *s)
{
	if (!s)
		return;
	pthread_kill(s->thread, SIGUSR2);
	pthread_join(s->thread, NULL);
	free(s);
}
