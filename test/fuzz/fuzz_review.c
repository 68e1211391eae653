/* Admission reviews: whatever is asked is answered with its uid, or is no review. */
#include <stdlib.h>
#include <string.h>

#include "operator/webhook.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char head[] = "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{\"uid\":"
			   "\"u\",\"namespace\":\"n\",\"operation\":\"CREATE\",\"object\":{\"kind\":\"DataFlow\","
			   "\"metadata\":{\"name\":\"f\",\"namespace\":\"n\"},\"spec\":";

static void review(enum df_manifest_kind kind, struct df_str text, const char *uid)
{
	static struct df_allowed_reference allowed[] = { { (char *)"n", (char *)"m", (char *)"s" } };
	static const struct df_operator_settings settings = { .allowed = allowed, .allowed_count = 1 };
	struct df_arena arena = { 0 };
	struct df_buf buf = { 0 };
	struct df_value *answer, *response;
	int code = df_review(&settings, kind, text, &buf, NULL);

	if (code == DF_ERR_INVALID_DATA && buf.len == 0)
		return;
	/* The text may hold lone surrogates of the input, which are written as escapes. */
	if (code < 0 || df_value_parse(df_buf_str(&buf), &arena, &answer, NULL) != DF_PARSE_OK)
		abort();
	response = df_object_get_c(answer, "response");
	if (!df_object_get_c(response, "uid") || !df_object_get_c(response, "allowed"))
		abort();
	if (uid && !df_value_string_equal(df_object_get_c(response, "uid"), df_str_c(uid)))
		abort();
	df_arena_done(&arena);
	df_buf_done(&buf);
}

/* A whole review, or a spec in one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct df_str text = df_str((const char *)data, size);
	struct df_buf whole = { 0 };

	review(DF_KIND_DATAFLOW, text, NULL);
	review(DF_KIND_DATAFLOWCRON, text, NULL);
	df_buf_add_c(&whole, head);
	df_buf_add_str(&whole, text);
	df_buf_add_c(&whole, "}}}");
	review(DF_KIND_DATAFLOW, df_buf_str(&whole), df_value_check(text) == DF_PARSE_OK ? "u" : NULL);
	df_buf_done(&whole);
	return 0;
}
