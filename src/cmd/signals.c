#include "cmd/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/log.h"

struct df_signals {
	struct df_signals_options options;
	pthread_t thread;
};

static sigset_t signals_of(const struct df_signals_options *o)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR2); /* ends the thread */
	if (o->hangup)
		sigaddset(&set, SIGHUP);
	return set;
}

static void *signals_main(void *arg)
{
	struct df_signals *s = arg;
	sigset_t set = signals_of(&s->options);
	int number, seen = 0;

	while (sigwait(&set, &number) == 0 && number != SIGUSR2) {
		if (number == SIGHUP) {
			s->options.hangup(s->options.arg);
		} else if (seen++ == 0) {
			if (!s->options.quiet)
				df_info(NULL, "stopping: what is under way ends first; a second signal stops at once");
			df_context_cancel(s->options.stop);
		} else if (s->options.kill) {
			df_context_cancel(s->options.kill);
		}
	}
	return NULL;
}

int df_signals_start(const struct df_signals_options *options, struct df_signals **ret, struct df_error *err)
{
	struct df_signals *s = calloc(1, sizeof(*s));
	sigset_t set = signals_of(options);

	if (!s)
		return df_error_no_memory(err);
	s->options = *options;
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
