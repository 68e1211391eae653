/* The source's files: source.c the loop, source_open.c the consumer, source_group.c what the group decides,
 * source_message.c records into messages, source_position.c committed positions. Private to the connector. */
#ifndef DF_CONNECTORS_KAFKA_SOURCE_H
#define DF_CONNECTORS_KAFKA_SOURCE_H

#include "base/retry.h"
#include "base/time.h"
#include "connectors/base.h"
#include "connectors/kafka/avro.h"
#include "connectors/kafka/connection.h"

/* One partition of the topic. */
struct df_kafka_partition {
	struct df_partition *ledger; /* NULL: not ours now. Under the source's lock */
	int64_t done;	  /* offset behind the last message that is done; -1: none since it is ours. Likewise */
	int64_t told;	  /* what the group was told of it, or is just being told; -1: nothing. Likewise */
	int64_t begin;	  /* where reading began; -1: not known yet. Likewise */
	int64_t restored; /* what a transactional sink held; -1: nothing */
	int64_t next;	  /* behind the last message read; -1: none. The reader's, as what follows */
	int64_t end;	  /* once: where the topic ended when the partition became ours */
	bool ended;	  /* once: nothing more to read */
	bool moved;	  /* reading goes on elsewhere: df_kafka_source_move */
	char key[24];	  /* the ledger's name of it: the number */
};

/* Nodes of a message's metadata in one piece; see source_message.c. */
struct df_kafka_metadata {
	struct df_value object, topic, partition, offset, key, timestamp, headers;
	char text[DF_RFC3339_MAX];
};

struct df_kafka_source {
	struct df_base_connector base;
	const struct df_kafka_source_settings *settings;
	struct df_kafka_client client;
	rd_kafka_t *rk;
	rd_kafka_queue_t *queue;   /* the consumer's: messages, rebalances, errors */
	rd_kafka_queue_t *commits; /* answers to commits */
	unsigned committing;	   /* so many are on their way. Under the lock, as what follows */
	bool overlapped;	   /* at some time more than one: nobody knows which came last */
	int64_t commit_ns;	   /* when the newest was sent */
	bool cooperative, raw;
	struct df_kafka_avro_reader *avro; /* NULL: another format */
	bool described;			   /* a transactional sink keeps the position. Under the lock */

	/* of the read under way, the reader's */
	struct df_emitter *out; /* NULL: nobody reads */
	struct df_context *ctx;
	struct df_batch *batch;	       /* being filled, with messages of one partition */
	struct df_kafka_partition *of; /* whose */
	struct df_batch *first, *last; /* filled, but downstream is full */
	rd_kafka_message_t **polled;   /* taken from librdkafka and not yet in a batch; NULL: dropped */
	size_t polled_at, polled_count, polled_cap;
	int64_t stalled_until;	 /* the next of them could not be decoded: tried again then; 0: it was not tried */
	struct df_retry retries; /* of that */
	bool paused;
	bool moved;		 /* some partition is */
	bool gone;		 /* the topic was deleted. Under the lock */
	bool assigned;		 /* the group has spoken */
	int64_t moved_ns;	 /* when messages or an idle report came */
	int64_t lag_ns;		 /* when the lag was told */
	bool away;		 /* it was told that no broker answers */
	int64_t said_ns;	 /* when trouble with the topic was logged */
	int64_t commit_said_ns;	 /* and with a commit */
	bool commit_again;	 /* a commit failed: another is due */
	struct df_error failure; /* of a callback; code 0: none */
	struct df_kafka_metadata template;
	int64_t second; /* of template.text */

	pthread_mutex_t lock;
	struct df_kafka_partition *partitions; /* by number; moves when it grows, under the lock */
	size_t partition_count;
};

static inline const char *df_kafka_source_topic(const struct df_kafka_source *s)
{
	return s->settings->connection.topic.value;
}

/* ---- source.c -------------------------------------------------------------------------------------------- */

/* Hands over what waits, for at most until; 0 also when that was not all. DF_ERR_CANCELED and the emitter's errors. */
int df_kafka_source_flush(struct df_kafka_source *s, struct df_context *ctx, int64_t until_ns,
			  struct df_error *err) df_must_check;

/* ---- source_open.c --------------------------------------------------------------------------------------- */

/* Makes the consumer and waits for the topic; nothing is subscribed yet. Errors as of connect. */
int df_kafka_source_open(struct df_kafka_source *s, struct df_context *ctx, struct df_error *err) df_must_check;

/* ---- source_group.c -------------------------------------------------------------------------------------- */

void df_kafka_source_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
			       void *opaque);
/* What comes in place of a message: an end, a position out of range, trouble with the topic. */
int df_kafka_source_event(struct df_kafka_source *s, const rd_kafka_message_t *m, struct df_error *err) df_must_check;
/* The partition of this number, NULL when it is not ours. */
struct df_kafka_partition *df_kafka_source_partition(struct df_kafka_source *s, int32_t number);
/* once: has everything that is ours been read to its end? */
bool df_kafka_source_ended(const struct df_kafka_source *s);
/* Partitions that are to be read elsewhere from now on. */
void df_kafka_source_move(struct df_kafka_source *s);
void df_kafka_source_tell_lag(struct df_kafka_source *s);
/* All of ours that are being read; the caller frees. */
rd_kafka_topic_partition_list_t *df_kafka_source_ours(struct df_kafka_source *s);

/* ---- source_position.c ----------------------------------------------------------------------------------- */

int df_kafka_source_restore(struct df_source *source, const struct df_value *checkpoint, struct df_error *err);
int df_kafka_source_commit(struct df_source *source, const struct df_commit *commits, size_t count,
			   struct df_value *checkpoint, struct df_arena *arena, struct df_error *err);
int df_kafka_source_describe(struct df_source *source, const struct df_commit *commits, size_t count,
			     struct df_value *checkpoint, struct df_arena *arena, struct df_error *err);
/* Commits what is done of these partitions (NULL: all of ours) and waits for the answer, 5 s at most. Trouble is
 * logged. */
void df_kafka_source_commit_now(struct df_kafka_source *s, const rd_kafka_topic_partition_list_t *list);
/* The reader's: takes the answer of a commit, if it is there. What was done meanwhile is committed next; at `due` also
 * what failed. */
void df_kafka_source_look_at_commits(struct df_kafka_source *s, bool due);
/* Makes room for partitions up to this number; DF_ERR_NO_MEMORY. Under the lock. */
int df_kafka_source_room(struct df_kafka_source *s, int32_t number, struct df_error *err) df_must_check;

/* ---- source_message.c ------------------------------------------------------------------------------------ */

void df_kafka_source_template(struct df_kafka_source *s);
/* Adds a record to the batch. */
int df_kafka_source_add(struct df_kafka_source *s, struct df_batch *batch, const struct df_kafka_partition *p,
			const rd_kafka_message_t *m, struct df_error *err) df_must_check;

#endif
