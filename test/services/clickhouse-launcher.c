/*
 * Runs ClickHouse's engine, which the package of chdb has as a shared library, as a server: its function
 * query_stable_v2 is the main function of clickhouse-local, and that can open the server's own listeners (SYSTEM START
 * LISTEN). Without a terminal it would end with the first failing connection, so it gets one that nobody types on.
 *
 *   clickhouse-launcher LIBRARY ARGUMENT...
 *
 * SIGTERM and SIGINT hang the terminal up, which ends it in order.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct result {
	char *data;
	size_t len;
	void *owner;
	double elapsed;
	uint64_t rows, bytes;
	char *error;
};

static int terminal;

static void *hang_up(void *signals)
{
	int signal;

	sigwait(signals, &signal);
	close(terminal);
	return NULL;
}

static bool open_terminal(void)
{
	terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0)
		return false;
	int other_end = open(ptsname(terminal), O_RDWR | O_NOCTTY);
	if (other_end < 0 || dup2(other_end, STDIN_FILENO) < 0)
		return false;
	close(other_end);
	return true;
}

int main(int argc, char **argv)
{
	static sigset_t signals;
	pthread_t thread;

	if (argc < 2) {
		fprintf(stderr, "usage: clickhouse-launcher LIBRARY ARGUMENT...\n");
		return 2;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	if (!open_terminal()) {
		perror("terminal");
		return 2;
	}
	void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return 2;
	}
	struct result *(*run)(int, char **) = (struct result * (*)(int, char **)) dlsym(library, "query_stable_v2");
	void (*set_signal_handlers)(bool) = (void (*)(bool))dlsym(library, "chdb_set_signal_handlers_enabled");
	if (!run || !set_signal_handlers || pthread_create(&thread, NULL, hang_up, &signals) != 0) {
		fprintf(stderr, "%s: not the library that is expected\n", argv[1]);
		return 2;
	}
	set_signal_handlers(false);
	argv[1] = "clickhouse";
	struct result *result = run(argc - 1, argv + 1);
	if (result && result->error)
		fprintf(stderr, "%s\n", result->error);
	return !result || result->error;
}
