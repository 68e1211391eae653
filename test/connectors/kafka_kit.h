/* What the tests on librdkafka's mock cluster share: the cluster, its topics and groups, a source of it. */
#ifndef DF_TEST_CONNECTORS_KAFKA_KIT_H
#define DF_TEST_CONNECTORS_KAFKA_KIT_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "harness.h"

extern rd_kafka_mock_cluster_t *mock_cluster; /* of one broker, between the fixtures */

/* cmocka fixtures. */
int mock_set_up(void **state);
int mock_tear_down(void **state);

/* A new topic; its name, good until the next. */
const char *mock_topic(int partitions);
/* Appends a message to partition 0. */
void mock_fill(const char *topic, const char *text);

/* A source that learns of trouble fast. Free it before harness_done. */
struct df_source *mock_source(struct harness *h, const char *topic, const char *group);

/* A client that asks where a group stands; rd_kafka_destroy. */
rd_kafka_t *mock_consumer(const char *group);
/* Where its group stands in partition 0. */
int64_t mock_committed(rd_kafka_t *asking, const char *topic);
/* Waits, 40 s at most, until it stands there. */
void mock_await_committed(rd_kafka_t *asking, const char *topic, int64_t offset);

#endif
