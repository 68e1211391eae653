#include "connectors/postgresql/target_plan.h"

#include <stdio.h>
#include <stdlib.h>

/* The staging table's column of the row's place in the flush. The others are c1, c2 ... */
#define PLACE "place"

static void quote(struct df_buf *sql, const char *name)
{
	df_name_quote(sql, DF_QUOTE_DOUBLE, df_str_c(name));
}

static bool is_key(const struct df_pg_target *target, const char *name)
{
	for (size_t i = 0; i < target->key.count; i++)
		if (strcmp(target->key.items[i], name) == 0)
			return true;
	return false;
}

/* ---- pieces ---------------------------------------------------------------------------------------------- */

/* `"a", "b"` */
static void add_names(const struct df_pg_plan *plan, struct df_buf *sql)
{
	for (size_t i = 0; i < plan->count; i++) {
		df_buf_add_c(sql, i ? ", " : "");
		quote(sql, plan->slots[i].column->name);
	}
}

/* `c1` or `$1`, cast to what the column takes. */
static void add_value(const struct df_pg_plan *plan, size_t i, const char *prefix, struct df_buf *sql)
{
	const char *cast = plan->slots[i].detail->cast;

	df_buf_printf(sql, "%s%zu", prefix, i + 1);
	if (cast)
		df_buf_printf(sql, "::%s", cast);
}

static void add_values(const struct df_pg_plan *plan, const char *prefix, struct df_buf *sql)
{
	for (size_t i = 0; i < plan->count; i++) {
		df_buf_add_c(sql, i ? ", " : "");
		add_value(plan, i, prefix, sql);
	}
}

static void add_stage(const struct df_pg_plan *plan, struct df_buf *sql)
{
	df_buf_printf(sql, "pg_temp.dataflow_stage_%u", plan->number);
}

/* ---- INSERT ---------------------------------------------------------------------------------------------- */

/* ` ON CONFLICT ...`; the target's alias is "stored". */
static void add_conflict(const struct df_pg_target *target, const struct df_pg_plan *plan, struct df_buf *sql)
{
	const char *version = target->settings->upsert_version_column;
	const char *between = " DO UPDATE SET ";

	if (!df_pg_upserts(target->settings)) {
		/* Raw rows have no key of their own. */
		df_buf_add_c(sql, target->raw || !target->resolves ? "" : " ON CONFLICT DO NOTHING");
		return;
	}
	df_buf_add_c(sql, " ON CONFLICT (");
	df_names_quote(sql, DF_QUOTE_DOUBLE, &target->key);
	df_buf_add_c(sql, ")");
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->slots[i].key || plan->slots[i].detail->always)
			continue;
		df_buf_add_c(sql, between);
		quote(sql, plan->slots[i].column->name);
		df_buf_add_c(sql, " = EXCLUDED.");
		quote(sql, plan->slots[i].column->name);
		between = ", ";
	}
	if (between[0] == ' ') {
		df_buf_add_c(sql, " DO NOTHING");
	} else if (df_pg_if_newer(target->settings)) {
		df_buf_add_c(sql, " WHERE stored.");
		quote(sql, version);
		df_buf_add_c(sql, " IS NULL OR EXCLUDED.");
		quote(sql, version);
		df_buf_add_c(sql, " > stored.");
		quote(sql, version);
	}
}

/* `INSERT INTO t AS stored (...)` up to where its values begin. */
static void add_insert(const struct df_pg_target *target, const struct df_pg_plan *plan, struct df_buf *sql)
{
	bool overriding = false;

	df_buf_printf(sql, "INSERT INTO %s AS stored", target->quoted);
	if (plan->count == 0) {
		df_buf_add_c(sql, " DEFAULT VALUES");
		return;
	}
	df_buf_add_c(sql, " (");
	add_names(plan, sql);
	df_buf_add_char(sql, ')');
	for (size_t i = 0; i < plan->count; i++)
		overriding |= plan->slots[i].detail->always;
	if (overriding)
		df_buf_add_c(sql, " OVERRIDING SYSTEM VALUE");
}

static void add_keys(const struct df_pg_plan *plan, struct df_buf *sql)
{
	const char *between = "";

	for (size_t i = 0; i < plan->count; i++) {
		if (!plan->slots[i].key)
			continue;
		df_buf_add_c(sql, between);
		add_value(plan, i, "c", sql);
		between = ", ";
	}
}

static void add_version(const struct df_pg_target *target, const struct df_pg_plan *plan, struct df_buf *sql)
{
	for (size_t i = 0; i < plan->count; i++)
		if (strcmp(plan->slots[i].column->name, target->settings->upsert_version_column) == 0)
			add_value(plan, i, "c", sql);
}

/* From the staging table. With `last`, of rows with one key only the one that would stand there in the end: the last,
 * or the first of the newest. */
static void add_merge(const struct df_pg_target *target, const struct df_pg_plan *plan, bool last, struct df_buf *sql)
{
	add_insert(target, plan, sql);
	df_buf_add_c(sql, " SELECT ");
	if (last) {
		df_buf_add_c(sql, "DISTINCT ON (");
		add_keys(plan, sql);
		df_buf_add_c(sql, ") ");
	}
	add_values(plan, "c", sql);
	df_buf_add_c(sql, " FROM ");
	add_stage(plan, sql);
	if (last) {
		df_buf_add_c(sql, " ORDER BY ");
		add_keys(plan, sql);
		if (df_pg_if_newer(target->settings)) {
			df_buf_add_c(sql, ", ");
			add_version(target, plan, sql);
			df_buf_add_c(sql, " DESC, " PLACE);
		} else {
			df_buf_add_c(sql, ", " PLACE " DESC");
		}
	} else if (!df_pg_upserts(target->settings)) {
		df_buf_add_c(sql, " ORDER BY " PLACE); /* of rows that conflict with each other the first counts */
	}
	add_conflict(target, plan, sql);
}

static void add_row_insert(const struct df_pg_target *target, const struct df_pg_plan *plan, struct df_buf *sql)
{
	add_insert(target, plan, sql);
	if (plan->count) {
		df_buf_add_c(sql, " VALUES (");
		add_values(plan, "$", sql);
		df_buf_add_char(sql, ')');
	}
	add_conflict(target, plan, sql);
}

/* ---- DELETE ---------------------------------------------------------------------------------------------- */

/* The DELETE, or the UPDATE of the soft delete column: prefix is that of the key values, from the table they are in. */
static void add_remove(const struct df_pg_target *target, const struct df_pg_plan *plan, const char *prefix,
		       struct df_buf *sql)
{
	const char *mark = target->settings->soft_delete_column;
	bool staged = *prefix == 'c';

	df_buf_printf(sql, mark ? "UPDATE %s AS stored SET " : "DELETE FROM %s AS stored", target->quoted);
	if (mark) {
		quote(sql, mark);
		df_buf_add_c(sql, " = CURRENT_TIMESTAMP");
	}
	if (staged) {
		df_buf_add_c(sql, mark ? " FROM " : " USING ");
		add_stage(plan, sql);
	}
	for (size_t i = 0; i < plan->count; i++) {
		df_buf_add_c(sql, i ? " AND stored." : " WHERE stored.");
		quote(sql, plan->slots[i].column->name);
		df_buf_add_c(sql, " = ");
		add_value(plan, i, prefix, sql);
	}
	if (mark) {
		/* The first deletion counts; a repeated message changes nothing. */
		df_buf_add_c(sql, " AND stored.");
		quote(sql, mark);
		df_buf_add_c(sql, " IS NULL");
	}
}

/* ---- the plan -------------------------------------------------------------------------------------------- */

/* Takes the text, with a NUL behind it; the buffer is empty again. */
static char *take(struct df_buf *sql, bool *failed)
{
	char *text = df_buf_take(sql);

	*failed |= !text;
	return text;
}

static bool write_stage(struct df_pg_plan *plan)
{
	struct df_buf sql = { 0 };
	bool failed = false;

	df_buf_add_c(&sql, "CREATE TEMPORARY TABLE ");
	df_buf_printf(&sql, "dataflow_stage_%u (" PLACE " pg_catalog.int4", plan->number);
	for (size_t i = 0; i < plan->count; i++)
		df_buf_printf(&sql, ", c%zu %s", i + 1, plan->slots[i].detail->carrier);
	df_buf_add_c(&sql, ") ON COMMIT DELETE ROWS");
	plan->stage_sql = take(&sql, &failed);
	df_buf_add_c(&sql, "DROP TABLE IF EXISTS ");
	add_stage(plan, &sql);
	plan->unstage_sql = take(&sql, &failed);
	df_buf_add_c(&sql, "COPY ");
	add_stage(plan, &sql);
	df_buf_add_c(&sql, " FROM STDIN (FORMAT binary)");
	plan->fill_sql = take(&sql, &failed);
	df_buf_add_c(&sql, "TRUNCATE ");
	add_stage(plan, &sql);
	plan->empty_sql = take(&sql, &failed);
	return !failed;
}

static bool write_insert(const struct df_pg_target *target, struct df_pg_plan *plan)
{
	struct df_buf sql = { 0 };
	bool failed = false;
	bool casts = false;

	for (size_t i = 0; i < plan->count; i++)
		casts |= plan->slots[i].detail->cast != NULL;
	if (target->copies && plan->count && !casts && !df_pg_upserts(target->settings)) {
		df_buf_printf(&sql, "COPY %s (", target->quoted);
		add_names(plan, &sql);
		df_buf_add_c(&sql, ") FROM STDIN (FORMAT binary)");
		plan->copy_sql = take(&sql, &failed);
	}
	if (plan->count) {
		add_merge(target, plan, false, &sql);
		plan->merge_sql = take(&sql, &failed);
	}
	if (plan->count && df_pg_upserts(target->settings)) {
		add_merge(target, plan, true, &sql);
		plan->merge_last_sql = take(&sql, &failed);
	}
	add_row_insert(target, plan, &sql);
	plan->row_sql = take(&sql, &failed);
	plan->counts_old = !df_pg_upserts(target->settings) || df_pg_if_newer(target->settings);
	return !failed;
}

static bool write_remove(const struct df_pg_target *target, struct df_pg_plan *plan)
{
	struct df_buf sql = { 0 };
	bool failed = false;

	plan->removes = true;
	add_remove(target, plan, "c", &sql);
	plan->merge_sql = take(&sql, &failed);
	add_remove(target, plan, "$", &sql);
	plan->row_sql = take(&sql, &failed);
	return !failed;
}

/* Notes why no row of the set can be written, if that is so. */
static void find_lack(const struct df_pg_target *target, struct df_pg_plan *plan, const struct df_column_set *set)
{
	const struct df_postgresql_sink_settings *settings = target->settings;
	struct df_buf text = { 0 };

	for (size_t i = 0; i < target->columns.count && text.len == 0; i++) {
		const struct df_column *column = &target->columns.items[i];
		bool needed = df_pg_upserts(settings) && is_key(target, column->name);

		if (df_column_set_find(set, i) != DF_NO_COLUMN)
			continue;
		needed |= df_pg_if_newer(settings) && strcmp(column->name, settings->upsert_version_column) == 0;
		if (needed)
			df_buf_printf(&text, "the row has no \"%s\", which the upsert needs", column->name);
		else if (column->not_null && !column->has_default && !column->read_only && !target->fills)
			df_buf_printf(&text, "the row has no \"%s\", which is NOT NULL and has no default",
				      column->name);
	}
	if (text.len)
		plan->lacks = df_buf_take(&text);
	df_buf_done(&text);
}

static void fill_slot(const struct df_pg_target *target, struct df_pg_slot *slot, size_t column)
{
	const struct df_postgresql_sink_settings *settings = target->settings;
	const struct df_column *c = &target->columns.items[column];

	*slot = (struct df_pg_slot){ .column = c,
				     .detail = &target->details[column],
				     .key = df_pg_removes(settings) && is_key(target, c->name) };
	slot->required = c->not_null && !target->fills;
	if (df_pg_upserts(settings))
		slot->required |= slot->key;
	if (df_pg_if_newer(settings))
		slot->required |= strcmp(c->name, settings->upsert_version_column) == 0;
}

int df_pg_plan_new(const struct df_pg_target *target, const struct df_column_set *set, unsigned number,
		   struct df_pg_plan **ret, struct df_error *err)
{
	size_t count = set ? set->count : target->key.count;
	struct df_pg_plan *plan = calloc(1, sizeof(*plan) + count * sizeof(plan->slots[0]));

	if (!plan)
		return df_error_no_memory(err);
	plan->number = number;
	plan->count = count;
	snprintf(plan->name, sizeof(plan->name), "dataflow_row_%u", number);
	for (size_t i = 0; i < count; i++) {
		fill_slot(target, &plan->slots[i],
			  set ? set->columns[i] : df_columns_find(&target->columns, df_str_c(target->key.items[i])));
		if (!set)
			plan->slots[i].required = true;
	}
	plan->types = calloc(count + 1, sizeof(*plan->types));
	for (size_t i = 0; i < count && plan->types; i++)
		plan->types[i] = plan->slots[i].detail->oid;
	if (!plan->types || !write_stage(plan) || !(set ? write_insert(target, plan) : write_remove(target, plan))) {
		df_pg_plan_free(plan);
		return df_error_no_memory(err);
	}
	if (set)
		find_lack(target, plan, set);
	*ret = plan;
	return 0;
}

void df_pg_plan_free(struct df_pg_plan *plan)
{
	if (!plan)
		return;
	free(plan->copy_sql);
	free(plan->stage_sql);
	free(plan->unstage_sql);
	free(plan->fill_sql);
	free(plan->empty_sql);
	free(plan->merge_sql);
	free(plan->merge_last_sql);
	free(plan->row_sql);
	free(plan->types);
	free(plan->lacks);
	free(plan);
}
