#include "transformers/chain.h"

#include <stdlib.h>

#include "transformers/factory.h"

#define SPARE_MAX ((size_t)1 << 20) /* bytes of an idle message array that the chain keeps */

struct link {
	struct df_transformer *transformer;
	struct df_transformer_stats stats;
};

struct df_chain {
	const struct df_clock *clock;
	struct link *links;
	size_t length;
	struct df_route *routes;
	size_t route_count;
	/* Outputs of a transformer that splits are made here; then its array and the batch's are exchanged. It has no
	 * arena and no pool. Empty between two transformers. */
	struct df_batch spare;
};

/* ---- making ---------------------------------------------------------------------------------------------- */

/* Adds the routes of a router behind those that are there. */
static int add_routes(struct df_chain *chain, struct df_transformer *t, const struct df_component *component,
		      struct df_diags *diags)
{
	struct df_place place = { .line = component->line, .path = component->settings_path };
	struct df_route route = { 0 };

	t->first_route = (unsigned)chain->route_count + 1;
	for (size_t i = 0; t->type->route && t->type->route(component->settings, i, &route.condition, &route.sink);
	     i++) {
		if (chain->route_count == UINT16_MAX) {
			df_diag_error(diags, &place, "routes", "more than %u routes in all", UINT16_MAX);
			return DF_ERR_CONFIG;
		}
		struct df_route *routes = reallocarray(chain->routes, chain->route_count + 1, sizeof(*chain->routes));
		if (!routes)
			return DF_ERR_NO_MEMORY;
		chain->routes = routes;
		chain->routes[chain->route_count++] = route;
	}
	return 0;
}

static int add_link(struct df_chain *chain, const struct df_component *component, struct df_diags *diags)
{
	struct link *link = &chain->links[chain->length];
	int r = df_transformer_create(component, &link->transformer, diags);

	if (r < 0)
		return r;
	chain->length++;
	return add_routes(chain, link->transformer, component, diags);
}

int df_chain_new(const struct df_components *list, const struct df_clock *clock, struct df_chain **ret,
		 struct df_diags *diags)
{
	df_cleanup(df_chain_freep) struct df_chain *chain = calloc(1, sizeof(*chain));
	int result = 0;

	*ret = NULL;
	if (!chain)
		return DF_ERR_NO_MEMORY;
	chain->clock = clock;
	chain->links = calloc(list->count + 1, sizeof(*chain->links));
	if (!chain->links)
		return DF_ERR_NO_MEMORY;
	/* All problems are told, not only the first. */
	for (size_t i = 0; i < list->count; i++) {
		int r = add_link(chain, &list->items[i], diags);
		if (r == DF_ERR_NO_MEMORY)
			return r;
		if (r < 0)
			result = r;
	}
	if (result == 0)
		*ret = DF_TAKE(chain);
	return result;
}

void df_chain_check(const struct df_components *list, struct df_diags *diags)
{
	df_cleanup(df_chain_freep) struct df_chain *chain = NULL;

	if (diags->errors == 0 && df_chain_new(list, NULL, &chain, diags) == DF_ERR_NO_MEMORY)
		diags->failed = true;
}

void df_chain_free(struct df_chain *chain)
{
	if (!chain)
		return;
	for (size_t i = 0; i < chain->length; i++)
		df_transformer_free(chain->links[i].transformer);
	free(chain->links);
	free(chain->routes);
	free(chain->spare.messages);
	free(chain);
}

/* ---- running --------------------------------------------------------------------------------------------- */

struct df_message *df_transform_output(const struct df_transform *call, const struct df_message *m)
{
	struct df_message *out = df_batch_add(call->out);

	if (!out)
		return NULL;
	*out = *m;
	out->payload = df_str(NULL, 0);
	out->document = NULL;
	out->state = DF_PAYLOAD_UNKNOWN;
	out->changed = false;
	return out;
}

/* One transformer's way through the batch. The messages that go on are batch->messages[0..kept), or the spare's once a
 * message was split. */
struct pass {
	struct df_chain *chain;
	struct link *link;
	size_t index;
	struct df_batch *batch;
	const struct df_chain_events *events;
	struct df_transform call;
	struct df_transformer_stats stats; /* of this pass */
	size_t kept;			   /* messages that go on */
	bool split;
	struct df_error *err;
};

/* The outputs of m are the last n of the spare. The first split of a pass puts the kept messages before them. */
static int start_split(struct pass *pass, size_t n)
{
	struct df_batch *spare = &pass->chain->spare;
	size_t kept = pass->kept;

	pass->split = true;
	if (kept == 0)
		return 0;
	if (df_batch_reserve(spare, kept + n) != 0)
		return df_error_no_memory(pass->err);
	memmove(spare->messages + kept, spare->messages, n * sizeof(*spare->messages));
	memcpy(spare->messages, pass->batch->messages, kept * sizeof(*spare->messages));
	spare->count = kept + n;
	return 0;
}

static int keep_outputs(struct pass *pass, const struct df_message *m, size_t n)
{
	if (pass->events->split)
		pass->events->split(pass->events->arg, m, n);
	int r = pass->split ? 0 : start_split(pass, n);
	pass->kept += n;
	return r;
}

/* The rare half of keeping: other messages before m are gone, or were split. */
static __attribute__((noinline)) int move(struct pass *pass, const struct df_message *m)
{
	if (!pass->split) {
		pass->batch->messages[pass->kept++] = *m;
		return 0;
	}
	struct df_message *out = df_batch_add(&pass->chain->spare);
	if (!out)
		return df_error_no_memory(pass->err);
	*out = *m;
	pass->kept++;
	return 0;
}

/* Gives a poisoned message away. What `failed` returns, with the reason in pass->err when that ends the run. */
static int fail(struct pass *pass, struct df_message *m, const struct df_error *why)
{
	int r = pass->events->failed(pass->events->arg, m, pass->index, why);

	if (r < 0 && pass->err)
		*pass->err = *why;
	return r;
}

/* Every outcome but DF_KEEP; `before` messages were in the spare. */
static __attribute__((noinline)) int end_message(struct pass *pass, struct df_message *m, int r, size_t before,
						 const struct df_error *why)
{
	struct df_batch *spare = &pass->chain->spare;

	if (r == DF_SPLIT && spare->count > before)
		return keep_outputs(pass, m, spare->count - before);
	if (r >= 0) {
		pass->stats.dropped++;
		pass->events->dropped(pass->events->arg, m, pass->index);
		return 0;
	}
	if (r == DF_ERR_NO_MEMORY)
		return df_error_no_memory(pass->err);
	spare->count = before;
	pass->stats.errors++;
	return fail(pass, m, why);
}

/* Returns how many messages were looked at, all of them when *ret is 0. */
static size_t run_messages(struct pass *pass, int *ret)
{
	struct df_transformer *t = pass->link->transformer;
	int (*apply)(struct df_transformer *, const struct df_transform *, struct df_message *, struct df_error *) =
		t->type->apply;
	struct df_batch *batch = pass->batch;
	size_t count = batch->count;
	struct df_error why;

	*ret = 0;
	for (size_t i = 0; i < count; i++) {
		struct df_message *m = &batch->messages[i];
		size_t before = pass->chain->spare.count;
		struct df_value *root;
		int r = 0;

		/* Nobody may take what is too deep to be looked at for something that is not JSON. */
		if (pass->index == 0 && !m->document)
			r = df_message_parse(m, pass->call.arena, &root, &why);
		if (r == 0)
			r = apply(t, &pass->call, m, &why);
		if (r == DF_KEEP && pass->kept == i && !pass->split) {
			pass->kept++;
			continue;
		}
		*ret = r == DF_KEEP ? move(pass, m) : end_message(pass, m, r, before, &why);
		if (*ret < 0)
			return i + 1;
	}
	return count;
}

static void add(uint64_t *total, uint64_t n)
{
	/* Metrics are read by another thread, one counter at a time. */
	__atomic_store_n(total, *total + n, __ATOMIC_RELAXED);
}

static void add_stats(struct df_transformer_stats *total, const struct df_transformer_stats *pass)
{
	add(&total->executions, pass->executions);
	add(&total->in, pass->in);
	add(&total->out, pass->out);
	add(&total->dropped, pass->dropped);
	add(&total->errors, pass->errors);
	__atomic_store_n(&total->duration_ns, total->duration_ns + pass->duration_ns, __ATOMIC_RELAXED);
}

/* The spare's messages become the batch's. */
static void exchange(struct df_batch *batch, struct df_batch *spare)
{
	struct df_message *messages = batch->messages;
	size_t cap = batch->cap;

	batch->messages = spare->messages;
	batch->cap = spare->cap;
	batch->count = spare->count;
	spare->messages = messages;
	spare->cap = cap;
}

static int run_link(struct df_chain *chain, size_t index, struct df_batch *batch, const struct df_chain_events *events,
		    struct df_error *err)
{
	struct pass pass = {
		.chain = chain,
		.link = &chain->links[index],
		.index = index,
		.batch = batch,
		.events = events,
		.call = { .arena = &batch->arena, .clock = chain->clock, .out = &chain->spare },
		.err = err,
	};
	int64_t start = df_clock_monotonic(), end;
	int r;

	pass.stats.in = run_messages(&pass, &r);
	pass.stats.executions = pass.stats.in;
	pass.stats.out = pass.kept;
	end = df_clock_monotonic();
	pass.stats.duration_ns = end - start;
	add_stats(&pass.link->stats, &pass.stats);
	if (pass.split)
		exchange(batch, &chain->spare);
	else
		batch->count = pass.kept;
	chain->spare.count = 0;
	if (events->passed)
		events->passed(events->arg, batch, index,
			       &(struct df_chain_pass){ pass.stats.in, pass.kept, start, end });
	for (size_t k = 0; events->step && r == 0 && k < batch->count; k++)
		events->step(events->arg, &batch->messages[k], index);
	return r;
}

/* What the source could not decode does not enter the first transformer. */
static int give_away_undecoded(struct df_batch *batch, const struct df_chain_events *events, struct df_error *err)
{
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < batch->count && r == 0; i++) {
		struct df_message *m = &batch->messages[i];
		if (m->failure) {
			r = events->failed(events->arg, m, SIZE_MAX, m->failure);
			if (r < 0 && err)
				*err = *m->failure;
		} else if (kept++ != i) {
			batch->messages[kept - 1] = *m;
		}
	}
	batch->count = kept;
	return r;
}

int df_chain_run(struct df_chain *chain, struct df_batch *batch, const struct df_chain_events *events,
		 struct df_error *err)
{
	int r = give_away_undecoded(batch, events, err);

	for (size_t i = 0; i < chain->length && r == 0 && batch->count > 0; i++)
		r = run_link(chain, i, batch, events, err);
	if (chain->spare.cap * sizeof(*chain->spare.messages) > SPARE_MAX) {
		free(chain->spare.messages);
		chain->spare.messages = NULL;
		chain->spare.cap = 0;
	}
	return r;
}

/* ---- looking at it --------------------------------------------------------------------------------------- */

size_t df_chain_length(const struct df_chain *chain)
{
	return chain->length;
}

const char *df_chain_type_name(const struct df_chain *chain, size_t transformer)
{
	return chain->links[transformer].transformer->type->type.name;
}

const struct df_transformer_stats *df_chain_stats(const struct df_chain *chain, size_t transformer)
{
	return &chain->links[transformer].stats;
}

void df_chain_add_stats(struct df_chain *chain, size_t transformer, const struct df_transformer_stats *stats)
{
	add_stats(&chain->links[transformer].stats, stats);
}

size_t df_chain_routes(const struct df_chain *chain, const struct df_route **ret)
{
	*ret = chain->routes;
	return chain->route_count;
}
