/* Rows of one write that make earlier ones superfluous. */
#ifndef DF_CONNECTORS_TRINO_REPLACED_H
#define DF_CONNECTORS_TRINO_REPLACED_H

#include "table/rows.h"

/*
 * A MERGE takes a key once. Of rows with one key, a later one replaces the one before it when it removes the key's row,
 * or when both write the same columns: the one before is taken out of rows[0..*count) and becomes
 * earlier[<message of the later one>]. removes: by message, the row goes. Rows whose `key` is 0 are left alone; equal
 * hashes alone do not make keys equal. DF_ERR_NO_MEMORY.
 */
int df_trino_drop_replaced(struct df_group_row *rows, size_t *count, const size_t *key_columns, size_t key_count,
			   const bool *removes, const struct df_group_row **earlier,
			   struct df_arena *arena) df_must_check;

#endif
