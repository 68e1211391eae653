/*
 * What source and sink share: librdkafka's properties from the settings, its errors into our log, waiting for a topic.
 * Private to the connector.
 */
#ifndef DF_CONNECTORS_KAFKA_CONNECTION_H
#define DF_CONNECTORS_KAFKA_CONNECTION_H

#include <pthread.h>

#include <librdkafka/rdkafka.h>

#include "connectors/interface.h"
#include "connectors/kafka/errors.h"
#include "connectors/kafka/settings.h"

struct df_kafka_oauth;

/* What a client of librdkafka was told by it, from any of its threads. The opaque of its rd_kafka_t. */
struct df_kafka_client {
	const struct df_logger *logger;
	pthread_mutex_t lock;
	struct df_error last; /* the newest trouble with a broker; code 0: none since it was taken */
	int64_t said_ns;      /* when one was logged; 0: never */
	unsigned unsaid;      /* not logged since then */
	int64_t down_ns;      /* when the first of a row came; 0: brokers answer. Read without the lock by working */
	struct df_kafka_oauth *oauth; /* NULL: another mechanism */
};

void df_kafka_client_init(struct df_kafka_client *client, const struct df_logger *logger);
void df_kafka_client_done(struct df_kafka_client *client);

/* The newest trouble, forgotten by this: 0 or its code. */
int df_kafka_client_trouble(struct df_kafka_client *client, struct df_error *err);
/* A broker answered: says so when it was said that none does. Cheap. */
void df_kafka_client_working(struct df_kafka_client *client);
/* Asks one, and waits at most so long. */
void df_kafka_client_ask(struct df_kafka_client *client, rd_kafka_t *rk, int ms);
/* Was it said that none does? */
static inline bool df_kafka_client_down(const struct df_kafka_client *client)
{
	return __atomic_load_n(&client->down_ns, __ATOMIC_RELAXED) != 0;
}
/* Is this the time to say it again? At most once a minute for one `*said_ns`. */
bool df_kafka_say(int64_t *said_ns);

/* Properties, one after the other: the first failure is remembered in r and err, and what follows is skipped. */
struct df_kafka_conf {
	rd_kafka_conf_t *conf;
	struct df_error *err;
	int r;
};

void df_kafka_set(struct df_kafka_conf *c, const char *property, const char *value);
void df_kafka_set_int(struct df_kafka_conf *c, const char *property, int64_t value);
/* Durations and sizes that the user left to librdkafka are not set. */
void df_kafka_set_opt(struct df_kafka_conf *c, const char *property, struct df_opt_int value);
void df_kafka_set_ms(struct df_kafka_conf *c, const char *property, struct df_duration value);

/* What both sides set, callbacks included; `extra` comes last (df_kafka_conf_finish). */
void df_kafka_conf_begin(struct df_kafka_conf *c, const struct df_kafka_connection *settings,
			 struct df_kafka_client *client, struct df_error *err);
/* Makes the client of what was set, or fails with what could not be set. The configuration is used up in any case. */
int df_kafka_conf_finish(struct df_kafka_conf *c, const struct df_kafka_connection *settings, rd_kafka_type_t type,
			 rd_kafka_t **ret) df_must_check;

/*
 * Waits until the brokers know the topic. *ret_partitions 0: they do not know it after unknown_ns. Else
 * DF_ERR_CONNECTION (nobody answered within 10 s), DF_ERR_AUTH, DF_ERR_CANCELED.
 */
int df_kafka_await_topic(struct df_kafka_client *client, rd_kafka_t *rk, struct df_context *ctx, const char *topic,
			 int64_t unknown_ns, int *ret_partitions, struct df_error *err) df_must_check;

/* `${POD_NAME}` in a text replaced by the pod's name, else the host's; NULL: out of memory. The caller frees. */
char *df_kafka_expand_pod(const char *text);

/* What an error says about a topic that is not there. */
int df_kafka_no_topic(const char *topic, bool may_create, struct df_error *err);

/* ---- oauth.c --------------------------------------------------------------------------------------------- */

/* Tokens by client credentials, fetched when librdkafka asks. Called by df_kafka_conf_begin. */
int df_kafka_oauth_new(const struct df_sasl_settings *sasl, struct df_kafka_client *client, rd_kafka_conf_t *conf,
		       struct df_error *err) df_must_check;
/* Ends a request that is under way, so that rd_kafka_destroy need not wait for it. Both accept NULL. */
void df_kafka_oauth_cancel(struct df_kafka_oauth *oauth);
void df_kafka_oauth_free(struct df_kafka_oauth *oauth);

static inline void df_kafka_topic_list_freep(rd_kafka_topic_partition_list_t **list)
{
	if (*list)
		rd_kafka_topic_partition_list_destroy(*list);
}

static inline void df_kafka_error_freep(rd_kafka_error_t **error)
{
	if (*error)
		rd_kafka_error_destroy(*error);
}

/* For what cannot be helped, or comes again as an event. */
static inline void df_kafka_ignore(rd_kafka_error_t *error)
{
	if (error)
		rd_kafka_error_destroy(error);
}

#endif
