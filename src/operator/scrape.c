#include "operator/scrape.h"

#include <stdlib.h>

#include "net/http_fetch.h"

#define TEXT_MAX ((size_t)4 << 20)
/* Of all that are under way: 64 hostile pods must not cost 64 times as much. */
#define TEXTS_MAX ((size_t)32 << 20)
#define ACCEPT "text/plain;version=0.0.4"

struct scrape {
	const struct df_target *targets;
	const struct df_scrape_options *options;
};

static void on_end(void *arg, size_t i, int status, struct df_str body, const struct df_error *err)
{
	const struct scrape *s = arg;
	struct df_error other = DF_ERROR_INIT;

	if (!err && status != 200) {
		df_error_set(&other, DF_ERR_UNKNOWN, "GET %s: the answer's status is %d", s->targets[i].url, status);
		err = &other;
	}
	s->options->on_text(s->options->arg, &s->targets[i], err ? df_str(NULL, 0) : body, err);
}

void df_scrape(const struct df_target *targets, size_t n, const struct df_scrape_options *options,
	       struct df_context *ctx)
{
	struct scrape s = { targets, options };
	const struct df_http_fetch_options fetch = {
		.at_once = options->at_once,
		.timeout_ns = options->timeout_ns,
		.max_body = TEXT_MAX,
		.max_bodies = TEXTS_MAX,
		.accept = ACCEPT,
		.on_end = on_end,
		.arg = &s,
	};
	const char **urls = reallocarray(NULL, n + 1, sizeof(*urls));
	struct df_error err = DF_ERROR_INIT;

	for (size_t i = 0; urls && i < n; i++)
		urls[i] = targets[i].url;
	if (urls)
		df_http_fetch_many(urls, n, &fetch, ctx);
	else
		df_error_no_memory(&err);
	for (size_t i = 0; !urls && i < n; i++)
		options->on_text(options->arg, &targets[i], df_str(NULL, 0), &err);
	free(urls);
}
