/* Starts http_peer.py, the server that also misbehaves, for tests of those who ask. */
#ifndef TEST_NET_HTTP_PEER_H
#define TEST_NET_HTTP_PEER_H

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

static struct {
	pid_t pid;
	int stdin_fd;
	char plain[64], tls[64], mtls[64], mute[64], mute_tls[64], full[64]; /* URLs without a path */
	char ca[256], other_ca[256], cert[256], key[256];		     /* paths */
} peer;

static void remember(const char *line)
{
	static const struct {
		const char *name, *form;
		char *to;
		size_t size;
	} rows[] = {
		{ "PLAIN=", "http://127.0.0.1:%s", peer.plain, sizeof(peer.plain) },
		{ "TLS=", "https://localhost:%s", peer.tls, sizeof(peer.tls) },
		{ "MTLS=", "https://localhost:%s", peer.mtls, sizeof(peer.mtls) },
		{ "MUTE=", "http://127.0.0.1:%s", peer.mute, sizeof(peer.mute) },
		{ "MUTE=", "https://127.0.0.1:%s", peer.mute_tls, sizeof(peer.mute_tls) },
		{ "FULL=", "http://127.0.0.1:%s", peer.full, sizeof(peer.full) },
		{ "CA=", "%s", peer.ca, sizeof(peer.ca) },
		{ "OTHER_CA=", "%s", peer.other_ca, sizeof(peer.other_ca) },
		{ "CERT=", "%s", peer.cert, sizeof(peer.cert) },
		{ "KEY=", "%s", peer.key, sizeof(peer.key) },
	};

	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++)
		if (strncmp(line, rows[i].name, strlen(rows[i].name)) == 0) {
			const char *value = line + strlen(rows[i].name), *form = rows[i].form;
			snprintf(rows[i].to, rows[i].size, "%.*s%s", (int)(strstr(form, "%s") - form), form, value);
		}
}

static int start_peer(void **state)
{
	int to[2], from[2];
	char line[512] = "";
	FILE *out;

	(void)state;
	assert_int_equal(pipe(to) | pipe(from), 0);
	peer.pid = fork();
	if (peer.pid == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		close(to[1]);
		close(from[0]);
		execlp("python3", "python3", HTTP_PEER, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	peer.stdin_fd = to[1];
	out = fdopen(from[0], "r");
	while (strcmp(line, "READY") != 0 && fgets(line, sizeof(line), out)) {
		line[strcspn(line, "\n")] = 0;
		remember(line);
	}
	fclose(out);
	return strcmp(line, "READY");
}

static int stop_peer(void **state)
{
	(void)state;
	close(peer.stdin_fd);
	waitpid(peer.pid, NULL, 0);
	return 0;
}

#endif
