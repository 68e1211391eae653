/*
 * The proxy's process: one thread, one poll loop. Each direction of a connection holds at most one chunk, and reads the
 * next when that one has gone, so that a slow side slows the other down as it would without a proxy.
 */
#include "conformance/proxy_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define PAIRS_MAX 64
#define CHUNK (32 * 1024)
#define SOCKET_BUFFER (64 * 1024)
#define DRAIN_NS (2 * DF_NS_PER_S)    /* how long a FIN waits for the other side's */
#define ANSWER_NS (50 * DF_NS_PER_MS) /* how long a connection that is cut towards the server still has answers */
#define RATE_STEP_NS (10 * DF_NS_PER_MS)
#define CORRUPTED_BIT 0x40

enum end { END_NOT, END_FIN, END_RESET };
enum { CLIENT, SERVER };

/* One direction. Index 0 of a pair: towards the server. */
struct way {
	size_t len, sent; /* of the chunk */
	int64_t due_ns;	  /* monotonic: not before */
	bool eof;	  /* nothing more comes from there */
	bool passed;	  /* and the other side was told */
	enum end then;	  /* when the chunk has gone */
	int64_t end_ns;	  /* monotonic: and not before; what was answered by then still arrives */
	char chunk[CHUNK];
};

struct pair {
	bool used;
	bool connecting;  /* to the server */
	int64_t drain_ns; /* monotonic: both sides were sent FIN, and what they still send is thrown away; 0: not yet */
	int fd[2];	  /* CLIENT, SERVER; -1: closed */
	struct way way[2];
};

/* What happens when so many more bytes went through. */
struct trap {
	bool armed, reset;
	uint64_t left;
};

static struct {
	struct pair pairs[PAIRS_MAX];
	struct sockaddr_storage upstream;
	socklen_t upstream_len;
	int listener, control;
	bool stalled, refuse;
	int64_t delay_ns;
	uint64_t rate;			/* bytes a second towards the server; 0: unlimited */
	double tokens;			/* bytes that may go now */
	int64_t rate_ns;		/* when they were counted */
	struct trap cut[2], corrupt[2]; /* by way */
	uint64_t connections, bytes[2];
} px;

static void close_fd(int *fd, bool reset)
{
	const struct linger hard = { .l_onoff = 1, .l_linger = 0 };

	if (*fd < 0)
		return;
	if (reset)
		(void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(*fd);
	*fd = -1;
}

/* FIN: close alone would send RST when something is left to read. */
static void pair_end(struct pair *p, enum end how)
{
	if (how == END_RESET || p->connecting) {
		close_fd(&p->fd[CLIENT], true);
		close_fd(&p->fd[SERVER], true);
		p->used = false;
		return;
	}
	for (int side = CLIENT; side <= SERVER; side++) {
		if (p->fd[side] >= 0)
			(void)shutdown(p->fd[side], SHUT_WR);
	}
	p->drain_ns = df_clock_monotonic() + DRAIN_NS;
}

static void pair_drain(struct pair *p, int side)
{
	ssize_t n = recv(p->fd[side], p->way[0].chunk, CHUNK, 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		close_fd(&p->fd[side], false);
	if (p->fd[CLIENT] < 0 && p->fd[SERVER] < 0)
		p->used = false;
}

void df_proxy_prepare_socket(int fd)
{
	const int size = SOCKET_BUFFER, on = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void accept_one(void)
{
	int client = accept4(px.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct pair *p = NULL;

	if (client < 0)
		return;
	px.connections++;
	for (size_t i = 0; i < PAIRS_MAX && !p; i++)
		p = px.pairs[i].used ? NULL : &px.pairs[i];
	int server =
		px.refuse || !p ? -1 : socket(px.upstream.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (server >= 0)
		df_proxy_prepare_socket(server);
	if (server < 0 ||
	    (connect(server, (struct sockaddr *)&px.upstream, px.upstream_len) != 0 && errno != EINPROGRESS)) {
		close_fd(&server, true);
		close_fd(&client, true);
		return;
	}
	df_proxy_prepare_socket(client);
	p->used = p->connecting = true;
	p->drain_ns = 0;
	p->fd[CLIENT] = client;
	p->fd[SERVER] = server;
	for (size_t i = 0; i < 2; i++)
		p->way[i] = (struct way){ 0 };
}

/* ---- bytes ------------------------------------------------------------------------------------------------- */

/* A chunk came in: whatever was to happen at one of its bytes happens. */
static void spring_traps(struct way *w, int i)
{
	struct trap *corrupt = &px.corrupt[i], *cut = &px.cut[i];

	if (corrupt->armed && corrupt->left < w->len) {
		w->chunk[corrupt->left] ^= CORRUPTED_BIT;
		corrupt->armed = false;
	}
	if (cut->armed && cut->left <= w->len) {
		w->len = cut->left;
		w->then = cut->reset ? END_RESET : END_FIN;
		w->end_ns = i == 0 ? df_clock_monotonic() + ANSWER_NS : 0;
		cut->armed = false;
	}
	corrupt->left -= corrupt->left < w->len ? corrupt->left : w->len;
	cut->left -= cut->left < w->len ? cut->left : w->len;
}

static void way_fill(struct pair *p, int i)
{
	struct way *w = &p->way[i];
	ssize_t n = recv(p->fd[i == 0 ? CLIENT : SERVER], w->chunk, CHUNK, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		pair_end(p, END_RESET);
		return;
	}
	w->eof = n == 0;
	w->len = (size_t)n;
	w->sent = 0;
	w->due_ns = px.delay_ns ? df_clock_monotonic() + px.delay_ns : 0;
	if (n > 0)
		spring_traps(w, i);
}

/* How much of the chunk may go now. */
static size_t way_allowed(const struct way *w, int i, int64_t now)
{
	size_t left = w->len - w->sent;

	if (now < w->due_ns)
		return 0;
	return i == 0 && px.rate && (double)left > px.tokens ? (size_t)px.tokens : left;
}

static void way_flush(struct pair *p, int i, int64_t now)
{
	struct way *w = &p->way[i];
	size_t allowed = way_allowed(w, i, now);
	int to = p->fd[i == 0 ? SERVER : CLIENT];

	if (allowed > 0) {
		ssize_t n = send(to, w->chunk + w->sent, allowed, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			pair_end(p, END_RESET);
			return;
		}
		if (n > 0) {
			w->sent += (size_t)n;
			px.bytes[i] += (uint64_t)n;
			px.tokens -= i == 0 && px.rate ? (double)n : 0;
		}
	}
	if (w->sent < w->len)
		return;
	if (w->then != END_NOT) {
		if (now >= w->end_ns)
			pair_end(p, w->then);
		return;
	}
	if (w->eof && !w->passed) {
		w->passed = true;
		(void)shutdown(to, SHUT_WR);
	}
	if (p->way[0].passed && p->way[1].passed)
		pair_end(p, END_FIN);
}

/* ---- commands ---------------------------------------------------------------------------------------------- */

static void cut_all(bool reset)
{
	for (size_t i = 0; i < PAIRS_MAX; i++) {
		if (px.pairs[i].used && !px.pairs[i].drain_ns)
			pair_end(&px.pairs[i], reset ? END_RESET : END_FIN);
	}
}

static uint64_t obey(const struct df_proxy_command *c)
{
	int i = c->to_server ? 0 : 1;

	switch (c->op) {
	case DF_PROXY_DELAY:
		px.delay_ns = (int64_t)c->number;
		return 0;
	case DF_PROXY_STALL:
		px.stalled = c->flag;
		return 0;
	case DF_PROXY_REFUSE:
		px.refuse = c->flag;
		return 0;
	case DF_PROXY_CUT:
		cut_all(c->flag);
		return 0;
	case DF_PROXY_CUT_AFTER:
		px.cut[i] = (struct trap){ .armed = true, .reset = c->flag, .left = c->number };
		return 0;
	case DF_PROXY_CORRUPT_AFTER:
		px.corrupt[i] = (struct trap){ .armed = true, .left = c->number };
		return 0;
	case DF_PROXY_RATE:
		px.rate = c->number;
		px.tokens = 0;
		px.rate_ns = df_clock_monotonic();
		return 0;
	case DF_PROXY_CONNECTIONS:
		return px.connections;
	case DF_PROXY_BYTES:
		return px.bytes[i];
	}
	return 0;
}

static void listen_to_rule(void)
{
	struct df_proxy_command c;
	ssize_t n = recv(px.control, &c, sizeof(c), 0);

	if (n != (ssize_t)sizeof(c))
		_exit(0); /* the rule has ended */
	uint64_t answer = obey(&c);
	(void)!send(px.control, &answer, sizeof(answer), MSG_NOSIGNAL);
}

/* ---- the loop ---------------------------------------------------------------------------------------------- */

static void refill(int64_t now)
{
	double most = (double)px.rate / 20 + 1; /* what a twentieth of a second lets through at once */

	px.tokens += (double)(now - px.rate_ns) * (double)px.rate / (double)DF_NS_PER_S;
	px.tokens = px.tokens > most ? most : px.tokens;
	px.rate_ns = now;
}

/* What to poll the two sides of a pair for; shortens *wait_ns when only time is missing. */
static void pair_events(struct pair *p, short events[2], int64_t now, int64_t *wait_ns)
{
	events[CLIENT] = events[SERVER] = 0;
	if (p->drain_ns) {
		events[CLIENT] = events[SERVER] = POLLIN;
		*wait_ns = p->drain_ns - now < *wait_ns ? p->drain_ns - now : *wait_ns;
		return;
	}
	if (p->connecting) {
		events[SERVER] = POLLOUT;
		return;
	}
	if (px.stalled)
		return;
	for (int i = 0; i < 2; i++) {
		const struct way *w = &p->way[i];
		int from = i == 0 ? CLIENT : SERVER, to = i == 0 ? SERVER : CLIENT;

		if (w->sent == w->len && !w->eof && w->then == END_NOT)
			events[from] |= POLLIN;
		if (w->sent == w->len && w->then != END_NOT && w->end_ns - now < *wait_ns)
			*wait_ns = w->end_ns > now ? w->end_ns - now : 0;
		if (w->sent == w->len)
			continue;
		int64_t due = way_allowed(w, i, now) ? 0 : w->due_ns > now ? w->due_ns - now : RATE_STEP_NS;

		if (due == 0)
			events[to] |= POLLOUT;
		else
			*wait_ns = due < *wait_ns ? due : *wait_ns;
	}
}

static void pair_connected(struct pair *p)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(p->fd[SERVER], SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0)
		pair_end(p, END_RESET);
	p->connecting = false;
}

static void pair_work(struct pair *p, const short events[2], const short revents[2], int64_t now)
{
	if (p->drain_ns) {
		for (int side = CLIENT; side <= SERVER; side++) {
			if (p->used && p->fd[side] >= 0 && revents[side])
				pair_drain(p, side);
		}
		if (p->used && now >= p->drain_ns)
			pair_end(p, END_RESET);
		return;
	}
	if (p->connecting) {
		if (revents[SERVER])
			pair_connected(p);
		return;
	}
	for (int i = 0; i < 2 && p->used && !p->drain_ns && !px.stalled; i++) {
		int from = i == 0 ? CLIENT : SERVER;

		if (events[from] & POLLIN && revents[from])
			way_fill(p, i);
		if (p->used && !p->drain_ns)
			way_flush(p, i, now);
	}
}

_Noreturn static void serve(void)
{
	struct pollfd fds[2 + 2 * PAIRS_MAX];

	for (;;) {
		int64_t now = df_clock_monotonic(), wait_ns = DF_NS_PER_S;

		refill(now);
		fds[0] = (struct pollfd){ .fd = px.control, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = px.listener, .events = POLLIN };
		for (size_t i = 0; i < PAIRS_MAX; i++) {
			struct pair *p = &px.pairs[i];
			short events[2] = { 0 };

			if (p->used)
				pair_events(p, events, now, &wait_ns);
			/* A side that is not to be looked at would still report its hang-up, again and again. */
			for (int side = CLIENT; side <= SERVER; side++)
				fds[2 + 2 * i + (size_t)side] =
					(struct pollfd){ .fd = p->used && events[side] ? p->fd[side] : -1,
							 .events = events[side] };
		}
		if (poll(fds, DF_ARRAY_SIZE(fds), (int)(wait_ns / DF_NS_PER_MS) + 1) < 0)
			continue;
		now = df_clock_monotonic();
		refill(now);
		for (size_t i = 0; i < PAIRS_MAX; i++) {
			const struct pollfd *f = &fds[2 + 2 * i];

			if (px.pairs[i].used)
				pair_work(&px.pairs[i], (short[2]){ f[0].events, f[1].events },
					  (short[2]){ f[0].revents, f[1].revents }, now);
		}
		if (fds[0].revents)
			listen_to_rule();
		if (fds[1].revents)
			accept_one();
	}
}

/* Holds nothing of the rule's: no connection, no lock on a file, no output. */
_Noreturn void df_proxy_process(const struct df_proxy_ends *ends, pid_t parent)
{
	int nothing = open("/dev/null", O_RDWR);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || nothing < 0)
		_exit(0);
	px.upstream = ends->upstream;
	px.upstream_len = ends->upstream_len;
	int control = fcntl(ends->control, F_DUPFD, 64);
	int listener = fcntl(ends->listener, F_DUPFD, 64);
	for (int fd = 0; fd < 3; fd++)
		(void)!dup2(nothing, fd);
	px.listener = dup2(listener, 3);
	px.control = dup2(control, 4);
	(void)close_range(5, ~0U, 0);
	serve();
}
