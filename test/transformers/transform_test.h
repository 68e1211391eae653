/*
 * One helper for the tests of all transformers: settings as a person writes them, messages in, messages out. The clock
 * stands at TRANSFORM_TEST_NOW. Include it after cmocka.h.
 */
#ifndef DF_TEST_TRANSFORM_TEST_H
#define DF_TEST_TRANSFORM_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transformers/chain.h"

#define TRANSFORM_TEST_NOW INT64_C(1705312200123456789) /* 2024-01-15T09:50:00.123456789Z */
#define TRANSFORM_TEST_OUTPUTS 8

/*
 * A message through a chain. Every case runs three times in one batch and once more in a batch of its own, so that what
 * a transformer remembers from an earlier message is tested too.
 */
struct transform_case {
	const char *config; /* YAML: `{type: ..., config: {...}}`, or a list of them */
	const char *in;	    /* payload; NULL: empty */
	const char *meta;   /* metadata, a JSON object; NULL: none */
	/* Payloads that come out, in order, NULL behind the last; "" is the empty payload. */
	const char *want[TRANSFORM_TEST_OUTPUTS];
	const char *want_meta; /* metadata of every output, compact; NULL: as it came in */
	const char *error;     /* the message fails and the error contains this; it must be as it was */
	bool drop;	       /* the message is dropped */
	uint16_t route;	       /* of every output */
};
void transform_check(const struct transform_case *cases, size_t n);

/* Settings that are refused: the problems, one a line, contain `error`. Paths begin with spec.transformations[0]. With
 * `error` NULL they are accepted without an error. */
struct transform_config_case {
	const char *config;
	const char *error;
};
void transform_check_config(const struct transform_config_case *cases, size_t n);

/* The descriptor's own texts are there, and its example can be compiled. */
void transform_check_example(const char *type);

/* A chain for tests of their own. Fails the test when it cannot be made. */
struct transform_test {
	struct df_arena arena; /* of the YAML */
	struct df_components list;
	struct df_chain *chain;
	struct df_diags diags;
	struct df_batch_pool *pool;
};
void transform_test_open(struct transform_test *t, const char *config);
void transform_test_close(struct transform_test *t);
/* Payload and metadata are copied into the batch. meta may be NULL. */
struct df_message *transform_test_add(struct df_batch *batch, const char *payload, const char *meta);

/* Runs the batch; `failed` of its messages, and no more, must fail with DF_ERR_INVALID_DATA. */
void transform_test_run(struct transform_test *t, struct df_batch *batch, size_t failed);

/* The fixed clock. */
extern struct df_clock transform_test_clock;

/* The registry of the helper: all transformers, and a sink `test` with the required text `target`. */
const struct df_registry *transform_test_registry(void);

#endif
