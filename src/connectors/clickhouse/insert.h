/*
 * Rows of one write on their way to the table: one INSERT per set of columns. Private to the sink.
 *
 * Rows are encoded as they come. Where the table cannot tell a repeated block anyway, blocks are sent as they fill, and
 * the server gathers those of one INSERT; else the whole INSERT is kept until its token is known, which is a hash of
 * its rows and of where they came from.
 */
#ifndef DF_CONNECTORS_CLICKHOUSE_INSERT_H
#define DF_CONNECTORS_CLICKHOUSE_INSERT_H

#include "connectors/clickhouse/target.h"
#include "connectors/interface.h"

#define DF_CH_BLOCK_BYTES ((size_t)2 << 20)	/* a block that is sent while others fill */
#define DF_CH_PENDING_BYTES ((size_t)256 << 20) /* of all INSERTs that wait: then they are sent */

/* Of one column set: hangs at its `user`. */
struct df_ch_insert {
	struct df_ch_target_column *columns;
	struct df_ch_encoder *encoder;
	struct df_arena arena; /* types that rows are sent as, where that is not the column's own */
	struct df_buf sql;
	uint32_t *null_slots; /* slots whose null means the column's DEFAULT */
	size_t null_slot_count;

	bool pending;		  /* has rows of the write under way */
	struct df_ch_hash origin; /* of the positions of its rows */
	struct df_buf indices;	  /* uint32_t: the messages of its rows */
};

struct df_ch_inserts {
	struct df_ch_target *target;
	struct df_ch_client *client;
	struct df_context *ctx;
	struct df_write *w;
	struct df_ch_insert **pending;
	size_t pending_count, pending_cap;
	struct df_ch_insert *open; /* its INSERT has begun; it is pending[0] */
	/* Of keyed tables: which INSERT a key's last row is in, by its hash. */
	struct df_ch_key_slot *keys;
	size_t key_mask;
	/* Rows before that have the position of the one before: so that equal rows of one message differ. */
	uint64_t last_position, repeats;
	struct {
		uint64_t last_position, repeats;
	} before; /* this write, for when it is repeated */
	/* Counted since the connection was made. */
	uint64_t rows, statements, parts;
	bool parts_known;
};

/* Made once per column set. DF_ERR_INVALID_DATA, CONFIG: it cannot be written; DF_ERR_NO_MEMORY. */
int df_ch_insert_new(struct df_ch_target *target, const struct df_column_set *set, struct df_ch_insert **ret,
		     struct df_error *err) df_must_check;
void df_ch_insert_free(struct df_ch_insert *insert);

/* A write begins. */
int df_ch_inserts_begin(struct df_ch_inserts *inserts, struct df_context *ctx, struct df_write *w,
			struct df_error *err) df_must_check;
/* One more row: message i of the write. DF_ERR_INVALID_DATA: this row; other codes: the write. */
int df_ch_inserts_add(struct df_ch_inserts *inserts, struct df_ch_insert *insert, const struct df_row *row, size_t i,
		      struct df_arena *arena, struct df_error *err) df_must_check;
/* Sends everything that waits, and waits until it is confirmed. Messages get their results, but not those of the last
 * INSERT when it is the write's last. */
int df_ch_inserts_flush(struct df_ch_inserts *inserts, bool last, struct df_error *err) df_must_check;
/* Drops what waits. Also after errors. */
void df_ch_inserts_drop(struct df_ch_inserts *inserts);
void df_ch_inserts_done(struct df_ch_inserts *inserts);

#endif
