/*
 * What the processor's hand-over is measured against: three stages joined by two bounded queues of one message each
 * time, as channels of Go are used (a mutex, two conditions, room for 100). The messages are pointers to 300 bytes that
 * are made once, so that only the hand-over is measured.
 *
 *   bench-handover N     N messages through both queues
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define ROOM 100
#define MESSAGE_BYTES 300

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t has_room, has_some;
	void *items[ROOM];
	size_t first, count;
	bool closed;
};

#define QUEUE_INIT                                                                       \
	{                                                                                \
		.lock = PTHREAD_MUTEX_INITIALIZER, .has_room = PTHREAD_COND_INITIALIZER, \
		.has_some = PTHREAD_COND_INITIALIZER                                     \
	}

static struct queue routing = QUEUE_INIT, output = QUEUE_INIT;
static char messages[2 * ROOM + 3][MESSAGE_BYTES];

static void send(struct queue *q, void *item)
{
	pthread_mutex_lock(&q->lock);
	while (q->count == ROOM)
		pthread_cond_wait(&q->has_room, &q->lock);
	q->items[(q->first + q->count++) % ROOM] = item;
	pthread_cond_signal(&q->has_some);
	pthread_mutex_unlock(&q->lock);
}

/* NULL: closed and empty. */
static void *receive(struct queue *q)
{
	void *item = NULL;

	pthread_mutex_lock(&q->lock);
	while (q->count == 0 && !q->closed)
		pthread_cond_wait(&q->has_some, &q->lock);
	if (q->count > 0) {
		item = q->items[q->first];
		q->first = (q->first + 1) % ROOM;
		q->count--;
		pthread_cond_signal(&q->has_room);
	}
	pthread_mutex_unlock(&q->lock);
	return item;
}

static void close_queue(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_broadcast(&q->has_some);
	pthread_mutex_unlock(&q->lock);
}

static void *forward(void *arg)
{
	(void)arg;
	for (void *item; (item = receive(&routing));)
		send(&output, item);
	close_queue(&output);
	return NULL;
}

static void *discard(void *arg)
{
	size_t *n = arg;

	while (receive(&output))
		++*n;
	return NULL;
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000, arrived = 0;
	pthread_t forwarder, discarder;

	if (pthread_create(&forwarder, NULL, forward, NULL) || pthread_create(&discarder, NULL, discard, &arrived))
		return 1;
	for (size_t i = 0; i < n; i++)
		send(&routing, messages[i % (sizeof(messages) / MESSAGE_BYTES)]);
	close_queue(&routing);
	pthread_join(forwarder, NULL);
	pthread_join(discarder, NULL);
	return arrived == n ? 0 : 1;
}
