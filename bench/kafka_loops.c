/*
 * What librdkafka does by itself, with the settings that the connector has: the measure for source and sink.
 *
 *   bench-kafka-loops consume BROKERS TOPIC N         batch consume until N messages came
 *   bench-kafka-loops produce BROKERS TOPIC N FILE    the lines of FILE again and again, N messages, each reported
 *   bench-kafka-loops fill    BROKERS TOPIC N FILE    the same, with a key
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

enum { BATCH = 1024, LINES = 1000 };

static size_t delivered, failed;

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char why[256];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK) {
		fprintf(stderr, "%s\n", why);
		exit(1);
	}
}

static rd_kafka_t *make(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *brokers)
{
	char why[256];
	rd_kafka_t *rk;

	set(conf, "bootstrap.servers", brokers);
	rk = rd_kafka_new(type, conf, why, sizeof(why));
	if (!rk) {
		fprintf(stderr, "%s\n", why);
		exit(1);
	}
	return rk;
}

static int consume(const char *brokers, const char *topic, size_t n)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_message_t *messages[BATCH];
	size_t got = 0, bytes = 0;
	rd_kafka_queue_t *queue;
	char group[64];
	rd_kafka_t *rk;

	snprintf(group, sizeof(group), "bench-%ld", random());
	set(conf, "group.id", group);
	set(conf, "auto.offset.reset", "earliest");
	set(conf, "enable.auto.commit", "false");
	rk = make(RD_KAFKA_CONSUMER, conf, brokers);
	rd_kafka_poll_set_consumer(rk);
	rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
	rd_kafka_subscribe(rk, topics);
	queue = rd_kafka_queue_get_consumer(rk);
	while (got < n) {
		ssize_t count = rd_kafka_consume_batch_queue(queue, 100, messages, BATCH);

		for (ssize_t i = 0; i < count; i++) {
			if (!messages[i]->err) {
				got++;
				bytes += messages[i]->len;
			}
			rd_kafka_message_destroy(messages[i]);
		}
	}
	rd_kafka_queue_destroy(queue);
	rd_kafka_topic_partition_list_destroy(topics);
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	return bytes == 0;
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	(void)rk;
	(void)opaque;
	delivered++;
	failed += m->err != 0;
}

static int produce(const char *brokers, const char *topic, size_t n, const char *path, int keyed)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char *lines[LINES], key[24];
	FILE *file = fopen(path, "r");
	size_t count = 0, cap;
	rd_kafka_topic_t *handle;
	rd_kafka_t *rk;

	while (file && count < LINES) {
		lines[count] = NULL;
		cap = 0;
		if (getline(&lines[count], &cap, file) <= 1)
			break;
		lines[count][strcspn(lines[count], "\n")] = '\0';
		count++;
	}
	if (count == 0)
		return 1;
	set(conf, "enable.idempotence", "true");
	set(conf, "compression.type", "snappy");
	set(conf, "partitioner", "fnv1a_random");
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	rk = make(RD_KAFKA_PRODUCER, conf, brokers);
	handle = rd_kafka_topic_new(rk, topic, NULL);
	for (size_t i = 0; i < n; i++) {
		char *line = lines[i % count];
		size_t len = keyed ? (size_t)snprintf(key, sizeof(key), "k%zu", i % 997) : 0;

		while (rd_kafka_produce(handle, RD_KAFKA_PARTITION_UA, 0, line, strlen(line), keyed ? key : NULL, len,
					NULL))
			rd_kafka_poll(rk, 10);
		rd_kafka_poll(rk, 0);
	}
	rd_kafka_flush(rk, 60000);
	rd_kafka_topic_destroy(handle);
	rd_kafka_destroy(rk);
	fclose(file);
	return delivered != n || failed > 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "consume") == 0)
		return consume(argv[2], argv[3], strtoul(argv[4], NULL, 10));
	if (argc == 6)
		return produce(argv[2], argv[3], strtoul(argv[4], NULL, 10), argv[5], strcmp(argv[1], "fill") == 0);
	fprintf(stderr, "usage: bench-kafka-loops consume|produce|fill BROKERS TOPIC N [FILE]\n");
	return 2;
}
