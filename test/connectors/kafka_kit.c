#include "kafka_kit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static rd_kafka_t *owner; /* of the cluster; also fills topics */
rd_kafka_mock_cluster_t *mock_cluster;

int mock_set_up(void **state)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256];

	(void)state;
	rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", why, sizeof(why));
	rd_kafka_conf_set(conf, "linger.ms", "0", why, sizeof(why));
	owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	mock_cluster = owner ? rd_kafka_handle_mock_cluster(owner) : NULL;
	if (!mock_cluster)
		return -1;
	rd_kafka_mock_group_initial_rebalance_delay_ms(mock_cluster, 0);
	return 0;
}

int mock_tear_down(void **state)
{
	(void)state;
	rd_kafka_destroy(owner);
	return 0;
}

const char *mock_topic(int partitions)
{
	static char name[32];
	static int number;

	snprintf(name, sizeof(name), "topic-%d", ++number);
	assert_int_equal(rd_kafka_mock_topic_create(mock_cluster, name, partitions, 1), 0);
	return name;
}

void mock_fill(const char *topic, const char *text)
{
	assert_int_equal(rd_kafka_producev(owner, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
					   RD_KAFKA_V_VALUE((void *)text, strlen(text)),
					   RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
			 0);
	assert_int_equal(rd_kafka_flush(owner, 10000), 0);
}

struct df_source *mock_source(struct harness *h, const char *topic, const char *group)
{
	return harness_source(
		h,
		"{'type': 'kafka', 'config': {'brokers': ['%s'], 'topic': '%s', 'consumerGroup': '%s', "
		"'heartbeatIntervalSeconds': 1, 'sessionTimeoutSeconds': 6, 'consumerMaxWait': '50ms', 'extra': "
		"{'retry.backoff.ms': '5', 'fetch.error.backoff.ms': '5', 'coordinator.query.interval.ms': '50', "
		"'topic.metadata.refresh.fast.interval.ms': '10'}}}",
		rd_kafka_mock_cluster_bootstraps(mock_cluster), topic, group);
}

rd_kafka_t *mock_consumer(const char *group)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *asking;
	char why[256];

	rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(mock_cluster), why, sizeof(why));
	rd_kafka_conf_set(conf, "group.id", group, why, sizeof(why));
	asking = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	assert_non_null(asking);
	return asking;
}

int64_t mock_committed(rd_kafka_t *asking, const char *topic)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	int64_t offset;

	rd_kafka_topic_partition_list_add(list, topic, 0);
	assert_int_equal(rd_kafka_committed(asking, list, 15000), 0);
	offset = list->elems[0].offset;
	rd_kafka_topic_partition_list_destroy(list);
	return offset;
}

void mock_await_committed(rd_kafka_t *asking, const char *topic, int64_t offset)
{
	for (int i = 0; i < 400 && mock_committed(asking, topic) != offset; i++)
		usleep(100000);
	assert_int_equal(mock_committed(asking, topic), offset);
}
