/* The store of Secret values: documents, directories, which wins, and what is said when there is none. */
#include "support.h"

#include <sys/stat.h>
#include <unistd.h>

#include "spec/secrets.h"

#define DOCUMENTS                                    \
	"kind: Secret\n"                             \
	"metadata: {name: db}\n"                     \
	"data:\n"                                    \
	"  password: c2VjcmV0Cg==\n"                 \
	"  wrapped: |\n"                             \
	"    c2Vj\n"                                 \
	"    cmV0\n"                                 \
	"  binary: AAEC\n"                           \
	"  latin: /w==\n"                            \
	"  empty: ''\n"                              \
	"  both: YQ==\n"                             \
	"  gone: null\n"                             \
	"stringData:\n"                              \
	"  both: b\n"                                \
	"  text: \"t\\u00e9\"\n"                     \
	"---\n"                                      \
	"kind: Secret\n"                             \
	"metadata: {name: db, namespace: other}\n"   \
	"stringData: {password: foreign, text: x}\n" \
	"---\n"                                      \
	"kind: Secret\n"                             \
	"metadata: {name: mine, namespace: own}\n"   \
	"stringData: {a: mine}\n"

static struct df_secret_store *store_of(const char *directory, const char *namespace, const char *text,
					const char *problems)
{
	struct df_secret_store *store = df_secret_store_new(directory, namespace);
	struct df_arena arena;
	struct df_yaml_documents documents;
	struct df_diags diags = { 0 };

	assert_non_null(store);
	df_arena_init(&arena, NULL);
	read_text(text, strlen(text), &arena, &documents, &diags);
	for (size_t i = 0; i < documents.count; i++)
		df_secret_store_add(store, documents.items[i], "flow.yaml", &diags);
	assert_printed(&diags, problems);
	df_diags_done(&diags);
	df_arena_done(&arena);
	return store;
}

/* The value, or the error's text. */
static void assert_get(struct df_secret_store *store, const char *name, const char *key, const char *namespace,
		       const char *want)
{
	const struct df_secrets *secrets = df_secret_store_get(store);
	struct df_secret_ref ref = { (char *)name, (char *)key, (char *)namespace };
	struct df_error err = DF_ERROR_INIT;
	df_cleanup(df_freep) char *value = NULL;
	int r = secrets->get(secrets, &ref, &value, &err);

	if (r < 0)
		assert_int_equal(r, DF_ERR_CONFIG);
	assert_string_equal(r < 0 ? err.text : value, want);
}

static void test_documents(void **state)
{
	struct df_secret_store *store = store_of(NULL, "own", DOCUMENTS, "");

	(void)state;
	assert_get(store, "db", "password", NULL, "secret\n");
	assert_get(store, "db", "password", "own", "secret\n");
	assert_get(store, "db", "password", "other", "foreign");
	assert_get(store, "db", "wrapped", NULL, "secret");
	assert_get(store, "db", "both", NULL, "b");
	assert_get(store, "db", "text", NULL, "té");
	assert_get(store, "mine", "a", NULL, "mine");
	assert_get(store, "db", "empty", NULL, "Secret \"db\", key \"empty\": the value is empty");
	assert_get(store, "db", "binary", NULL,
		   "Secret \"db\", key \"binary\": the value contains a NUL byte, which no text can");
	assert_get(store, "db", "latin", NULL, "Secret \"db\", key \"latin\": the value is not UTF-8 text");
	assert_get(store, "db", "pasword", NULL,
		   "Secret \"db\", key \"pasword\": the Secret has no such key; did you mean \"password\"?");
	assert_get(store, "db", "gone", NULL, "Secret \"db\", key \"gone\": the Secret has no such key");
	assert_get(
		store, "bd", "password", NULL,
		"Secret \"bd\", key \"password\": not found; add a document `kind: Secret`, or give a directory with "
		"--secrets");
	assert_get(store, "db", "password", "third",
		   "Secret \"third/db\", key \"password\": not found; add a document `kind: Secret`, or give a "
		   "directory with "
		   "--secrets");
	df_secret_store_free(store);
	df_secret_store_free(NULL);
}

/* Without a namespace of its own, the store takes a Secret of any for a reference without one. */
static void test_no_namespace(void **state)
{
	struct df_secret_store *store = store_of(NULL, NULL, DOCUMENTS, "");

	(void)state;
	assert_get(store, "mine", "a", NULL, "mine");
	assert_get(store, "mine", "a", "own", "mine");
	df_secret_store_free(store);
}

static void test_bad_documents(void **state)
{
	struct df_secret_store *store =
		store_of(NULL, NULL,
			 "kind: Secret\n"
			 "---\n"
			 "kind: Secret\n"
			 "metadata: {name: a}\n"
			 "data:\n"
			 "  x: not base64\n"
			 "  y: 5\n"
			 "stringData: [1]\n"
			 "---\n"
			 "kind: Secret\n"
			 "metadata: {name: a}\n"
			 "stringData:\n"
			 "  z: 5\n",
			 "flow.yaml:1: metadata.name: required; references find the Secret by it\n"
			 "flow.yaml:6: data.x: not base64; write the value as it is under `stringData`\n"
			 "flow.yaml:7: data.y: expected a text; put the value in quotes\n"
			 "flow.yaml:8: stringData: expected a map of keys and values\n"
			 "flow.yaml:13: stringData.z: expected a text; put the value in quotes\n");

	(void)state;
	df_secret_store_free(store);
}

/* ---- a directory ----------------------------------------------------------------------------------------- */

static void write_file(const char *directory, const char *name, const char *data, size_t len)
{
	df_cleanup(df_freep) char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", directory, name) > 0);
	df_cleanup(df_fclosep) FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
}

static void make(const char *directory, const char *name)
{
	df_cleanup(df_freep) char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", directory, name) > 0);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void test_directory(void **state)
{
	char directory[] = "/tmp/df-test-secrets-XXXXXX";
	df_cleanup(df_freep) char *fifo = NULL;
	df_cleanup(df_freep) char *text = NULL;
	df_cleanup(df_freep) char *remove_all = NULL;
	df_cleanup(df_freep) char *large = calloc(1, ((size_t)1 << 20) + 1);

	(void)state;
	assert_non_null(mkdtemp(directory));
	assert_non_null(large);
	memset(large, 'x', (size_t)1 << 20);
	make(directory, "db");
	make(directory, "db@other");
	write_file(directory, "db/password", "from file\n", 10);
	write_file(directory, "db/only", "file", 4);
	write_file(directory, "db/empty", "", 0);
	write_file(directory, "db/nul", "a\0b", 3);
	write_file(directory, "db/max", large, (size_t)1 << 20);
	write_file(directory, "db/large", large, ((size_t)1 << 20) + 1);
	write_file(directory, "db@other/only", "other", 5);
	write_file(directory, "outside", "x", 1);
	assert_true(asprintf(&fifo, "%s/db/fifo", directory) > 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);

	struct df_secret_store *store = store_of(directory, "own", DOCUMENTS, "");
	assert_get(store, "db", "password", NULL, "secret\n"); /* a document wins */
	assert_get(store, "db", "only", NULL, "file");
	assert_get(store, "db", "only", "own", "file");
	assert_get(store, "db", "only", "other", "other");
	assert_get(store, "db", "max", NULL, large);
	df_secret_store_free(store);

	store = df_secret_store_new(directory, "own");
	assert_non_null(store);
	assert_get(store, "db", "password", NULL, "from file\n");
	assert_get(store, "db", "empty", NULL, "Secret \"db\", key \"empty\": the value is empty");
	assert_get(store, "db", "nul", NULL,
		   "Secret \"db\", key \"nul\": the value contains a NUL byte, which no text can");
	assert_get(store, "db", "large", NULL, "Secret \"db\", key \"large\": the value is larger than 1 MiB");
	assert_get(store, "db", "fifo", NULL, "Secret \"db\", key \"fifo\": not a regular file");
	assert_true(
		asprintf(&text,
			 "Secret \"db\", key \"../outside\": not found in %s; add a file NAME/KEY there or a document "
			 "`kind: Secret`",
			 directory) > 0);
	assert_get(store, "db", "../outside", NULL, text);
	df_secret_store_free(store);

	assert_true(asprintf(&remove_all, "rm -r %s", directory) > 0);
	assert_int_equal(system(remove_all), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_no_namespace),
		cmocka_unit_test(test_bad_documents),
		cmocka_unit_test(test_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
