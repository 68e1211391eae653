/* router: the first route whose condition holds decides which sink a message is written to. */
#include <stdio.h>
#include <stdlib.h>

#include "transformers/condition.h"
#include "transformers/interface.h"
#include "transformers/settings.h"

struct route_settings {
	char *condition;
	struct df_component sink;
};

static const struct df_field route_fields[] = {
	DF_FIELD(struct route_settings, condition, "condition", DF_REQUIRED, .check = df_check_condition,
		 .doc = "As in `filter`. The first route whose condition holds gets the message.",
		 .example = "\"level == 'error'\""),
	DF_FIELD(struct route_settings, sink, "sink", DF_REQUIRED, .component = DF_SINK,
		 .doc = "Where the messages of this route are written: any sink, as in `spec.sink`."),
};

static const struct df_table route_table = DF_TABLE(struct route_settings, route_fields);

struct router_settings {
	struct df_objects routes;
};

static const struct df_field router_fields[] = {
	DF_FIELD(struct router_settings, routes, "routes", DF_REQUIRED, .table = &route_table,
		 .doc = "The routes, in the order in which they are tried."),
};

static const struct df_table router_table = DF_TABLE(struct router_settings, router_fields);

struct route {
	struct df_condition *condition;
	struct df_str text; /* the settings' */
};

struct router {
	struct df_transformer base;
	struct route *routes;
	size_t count;
};

static void router_free(struct df_transformer *t)
{
	struct router *router = (struct router *)t;

	if (!router)
		return;
	for (size_t i = 0; router->routes && i < router->count; i++)
		df_condition_free(router->routes[i].condition);
	free(router->routes);
	free(router);
}

DF_DEFINE_TRANSFORMER_CLEANUP(struct router *, router_free)

static int router_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
			 struct df_diags *diags)
{
	const struct df_objects *list = &((const struct router_settings *)settings)->routes;
	const struct route_settings *routes = list->items;
	df_cleanup(router_freep) struct router *router = calloc(1, sizeof(*router));
	int result = 0;

	if (!router)
		return DF_ERR_NO_MEMORY;
	router->count = list->count;
	router->routes = calloc(list->count + 1, sizeof(*router->routes));
	if (!router->routes)
		return DF_ERR_NO_MEMORY;
	for (size_t i = 0; i < list->count; i++) {
		char where[64];

		snprintf(where, sizeof(where), "routes[%zu].condition", i);
		router->routes[i].text = df_str_c(routes[i].condition);
		int r = df_compile_condition(routes[i].condition, place, where, &router->routes[i].condition, diags);
		if (r == DF_ERR_NO_MEMORY)
			return r;
		if (r < 0)
			result = r;
	}
	if (result == 0)
		*ret = &DF_TAKE(router)->base;
	return result;
}

static int router_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
			struct df_error *err)
{
	const struct router *router = (const struct router *)t;
	struct df_value *root = NULL;
	int r = df_message_document(m, call->arena, &root, err);

	if (r < 0 || !root)
		return r;
	for (size_t i = 0; i < router->count; i++) {
		bool holds = false;

		r = df_condition_eval(router->routes[i].condition, root, call->arena, &holds, err);
		if (r < 0)
			return r;
		if (!holds)
			continue;
		struct df_value *text = df_value_string(call->arena, router->routes[i].text);
		if (!text || df_message_set_meta(m, call->arena, DF_STR("routed_condition"), text) < 0)
			return df_error_no_memory(err);
		m->route = (uint16_t)(router->base.first_route + i);
		return 0;
	}
	return 0;
}

static bool router_route(const void *settings, size_t i, struct df_str *ret_condition,
			 const struct df_component **ret_sink)
{
	const struct df_objects *list = &((const struct router_settings *)settings)->routes;
	const struct route_settings *routes = list->items;

	if (i >= list->count)
		return false;
	*ret_condition = df_str_c(routes[i].condition);
	*ret_sink = &routes[i].sink;
	return true;
}

static const struct df_example router_examples[] = {
	{
		.title = "Errors to one file, large orders to another",
		.doc = "The first route that matches gets the message; message 2 would match both. Message 3 goes to "
		       "`spec.sink`. The metadata shows the route.",
		.config = "type: router\n"
			  "config:\n"
			  "  routes:\n"
			  "    - condition: \"level == 'error'\"\n"
			  "      sink:\n"
			  "        type: file\n"
			  "        config: {path: errors.jsonl}\n"
			  "    - condition: \"total >= 1000\"\n"
			  "      sink:\n"
			  "        type: file\n"
			  "        config: {path: large.jsonl}\n",
		.in = "{\"data\": {\"id\": 1, \"total\": 1000.00}}\n"
		      "{\"data\": {\"id\": 2, \"total\": 5000, \"level\": \"error\"}}\n"
		      "{\"data\": {\"id\": 3, \"total\": 10}}\n",
		.out = "{\"data\":{\"id\":1,\"total\":1000.00},\"metadata\":{\"routed_condition\":\"total >= 1000\"}}\n"
		       "{\"data\":{\"id\":2,\"total\":5000,\"level\":\"error\"},\"metadata\":{\"routed_condition\":"
		       "\"level == 'error'\"}}\n"
		       "{\"data\":{\"id\":3,\"total\":10},\"metadata\":{}}\n",
		.envelope = true,
	},
	{
		.title = "All the rest",
		.doc = "Routes are tried in order. A last one that always matches leaves nothing for `spec.sink`: a "
		       "field that is there or is not. Payloads that are not JSON match no route at all.",
		.config = "type: router\n"
			  "config:\n"
			  "  routes:\n"
			  "    - condition: \"kind == 'order'\"\n"
			  "      sink:\n"
			  "        type: sqlite\n"
			  "        config: {path: shop.db, table: orders}\n"
			  "    - condition: \"kind || !kind\"\n"
			  "      sink:\n"
			  "        type: sqlite\n"
			  "        config: {path: shop.db, table: others}\n",
		.in = "{\"data\": {\"kind\": \"order\", \"id\": 1}}\n"
		      "{\"data\": {\"id\": 2}}\n"
		      "{\"raw\": \"not JSON\"}\n",
		.out = "{\"data\":{\"kind\":\"order\",\"id\":1},\"metadata\":{\"routed_condition\":\"kind == "
		       "'order'\"}}\n"
		       "{\"data\":{\"id\":2},\"metadata\":{\"routed_condition\":\"kind || !kind\"}}\n"
		       "{\"raw\":\"not JSON\",\"metadata\":{}}\n",
		.envelope = true,
	},
	{
		.title = "Steps behind a router",
		.doc = "They see all messages, and the route in the metadata.",
		.config = "- type: router\n"
			  "  config:\n"
			  "    routes:\n"
			  "      - condition: \"level == 'error'\"\n"
			  "        sink: {type: discard}\n"
			  "- type: insertField\n"
			  "  config:\n"
			  "    fields: {route: \"${metadata.routed_condition}\"}\n",
		.in = "{\"id\": 1, \"level\": \"error\"}\n"
		      "{\"id\": 2, \"level\": \"info\"}\n",
		.out = "{\"id\":1,\"level\":\"error\",\"route\":\"level == 'error'\"}\n"
		       "{\"id\":2,\"level\":\"info\",\"route\":\"\"}\n",
	},
};

const struct df_transformer_type df_transformer_router = {
	.type = {
		.name = "router",
		.title = "Write some messages to other sinks",
		.doc = "The first route whose condition holds gets the message: it goes on through the remaining "
		       "transformations and is then written to the route's sink. Without a match it is bound for `spec.sink`. "
		       "A later router that matches overrides an earlier one.\n\n"
		       "The metadata `routed_condition` tells later transformations which condition it was; sinks do not write "
		       "it out. A route's sink is connected at start and retried like the main sink, and its failures go to the "
		       "error sink: nothing is bypassed or only logged.",
		.settings = &router_table,
		.examples = router_examples,
		.example_count = DF_ARRAY_SIZE(router_examples),
	},
	.create = router_create,
	.apply = router_apply,
	.free = router_free,
	.route = router_route,
};
