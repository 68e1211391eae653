/* What rules about sources share: an instance that goes on somewhere, a read to its end, what was read. */
#ifndef DF_CONFORMANCE_READER_H
#define DF_CONFORMANCE_READER_H

#include "conformance/deliver.h"
#include "conformance/instance.h"

/* Connects within 30 s; fails the rule when connect does. */
void df_reader_connect(struct df_stage *st, struct df_source *s);

/* A connected instance that goes on behind this checkpoint; NULL: from the beginning. */
struct df_source *df_reader_at(struct df_stage *st, const char *checkpoint);

/* Rules about positions: not applicable when the source has none with these settings. */
void df_reader_need_position(struct df_stage *st);

/*
 * Reads until the source ends, or, when it has no end, until n messages were read and no more come. Fails the rule when
 * read fails, or too few come in time.
 */
void df_reader_read(struct df_stage *st, struct df_collector *c, struct df_source *s, size_t n);

/* A new instance that goes on there reads to the end, and is gone; the collector with what it read. */
struct df_collector *df_reader_rest(struct df_stage *st, const char *checkpoint, size_t n);

/* What was read, as rows. */
void df_reader_rows(struct df_stage *st, struct df_collector *c, struct df_rows_seen *ret);

/* The most messages, at most `most`, behind which reading can go on: the last one's position is its own. */
size_t df_reader_boundary(struct df_collector *c, size_t most);

#define DF_READER_ROWS 100

/* For rules about positions: feeds rows 1 .. DF_READER_ROWS, and reads them in batches of 10 with an instance that
 * stays.
 */
struct df_collector *df_reader_all(struct df_stage *st, struct df_source **ret_s);
/* df_collector_commit; fails the rule when rows were committed and the checkpoint says nothing. */
const char *df_reader_commit(struct df_stage *st, struct df_collector *c, struct df_source *s, size_t from, size_t n);
/* [id - 1]: the row with this id is among messages [from, from + n). Arena memory. */
bool *df_reader_ids(struct df_stage *st, struct df_collector *c, size_t from, size_t n);
/* The store of the present name is emptied with the cleanup command, and set up again. */
void df_reader_renew(struct df_stage *st);

#endif
