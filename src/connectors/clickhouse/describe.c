#include "base/cleanup.h"
#include "connectors/clickhouse/plan.h"

void df_ch_description_done(struct df_ch_description *d)
{
	df_arena_done(&d->arena);
	*d = (struct df_ch_description){ 0 };
}

const struct df_ch_described *df_ch_described_find(const struct df_ch_description *d, struct df_str name)
{
	for (size_t i = 0; i < d->count; i++)
		if (df_str_equal(d->columns[i].name, name))
			return &d->columns[i];
	return NULL;
}

/* The rows of a block: name, type, default_type. */
static int add_rows(struct df_ch_description *d, const struct df_ch_block *b, struct df_error *err)
{
	const size_t at[] = { df_ch_block_find(b, DF_STR("name")), df_ch_block_find(b, DF_STR("type")),
			      df_ch_block_find(b, DF_STR("default_type")) };

	for (size_t i = 0; i < DF_ARRAY_SIZE(at); i++)
		if (b->rows && (at[i] == SIZE_MAX || b->fields[at[i]].type->kind != DF_CH_STRING))
			return df_error_set(err, DF_ERR_UNKNOWN, "DESCRIBE TABLE answers in a form that is not known");
	d->columns = df_arena_extend(&d->arena, d->columns, d->count * sizeof(*d->columns),
				     (d->count + b->rows) * sizeof(*d->columns));
	if (!d->columns)
		return df_error_no_memory(err);
	for (size_t row = 0; row < b->rows; row++) {
		struct df_ch_described *c = &d->columns[d->count];
		c->name = df_arena_dup(&d->arena, df_ch_string(&b->fields[at[0]].column, row));
		c->default_kind = df_arena_dup(&d->arena, df_ch_string(&b->fields[at[2]].column, row));
		if (!c->name.ptr || !c->default_kind.ptr)
			return df_error_no_memory(err);
		int code = df_ch_type_parse(df_ch_string(&b->fields[at[1]].column, row), &d->arena, &c->type, err);
		if (code != 0)
			return df_error_prefix(err, "column \"" DF_STR_FMT "\"", DF_STR_ARG(c->name));
		d->count++;
	}
	return 0;
}

int df_ch_describe(struct df_ch_client *client, struct df_context *ctx, struct df_str from,
		   struct df_ch_description *ret, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	bool more = true;

	df_ch_description_done(ret);
	df_buf_add_c(&sql, "DESCRIBE TABLE ");
	df_buf_add_str(&sql, from);
	if (sql.failed)
		return df_error_no_memory(err);
	int code = df_ch_query(client, ctx, &(struct df_ch_statement){ .sql = df_buf_str(&sql) }, err);
	while (code == 0) {
		code = df_ch_next(client, &more, err);
		if (code != 0 || !more)
			break;
		code = add_rows(ret, &client->block, err);
		if (code != 0)
			df_ch_cancel(client);
	}
	return code;
}
