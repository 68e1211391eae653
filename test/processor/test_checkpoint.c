#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "processor/checkpoint.h"

static char dir[] = "/tmp/df-checkpoint-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof(command), "rm -r '%s'", dir);
	return system(command);
}

static struct df_checkpoint_store *open_store(const char *name)
{
	struct df_checkpoint_store *store = NULL;
	struct df_error err = DF_ERROR_INIT;

	if (df_checkpoint_directory_open(dir, "ns", name, &store, &err) < 0)
		fail_msg("%s", err.text);
	return store;
}

static void write_checkpoint(const char *name, const char *text)
{
	char *path = df_checkpoint_directory_path(dir, "ns", name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	free(path);
}

static void a_new_store_is_empty_and_keeps_what_was_saved(void **state)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	df_cleanup(df_checkpoint_store_freep) struct df_checkpoint_store *store = open_store("a");
	struct df_error err = DF_ERROR_INIT;
	struct df_value *v, *saved;
	struct df_str text;

	(void)state;
	assert_int_equal(store->load(store, &arena, &v, &err), 0);
	assert_int_equal(v->kind, DF_OBJECT);
	assert_int_equal(v->len, 0);
	assert_int_equal(df_value_parse_text(DF_STR("{\"sqlite\":{\"n\":9007199254740993},\"other\":[1]}"), &arena,
					     &saved, &err),
			 0);
	assert_int_equal(store->save(store, saved, &err), 0);
	df_checkpoint_store_free(DF_TAKE(store));
	store = open_store("a");
	assert_int_equal(store->load(store, &arena, &v, &err), 0);
	text = df_value_to_arena(v, &arena);
	assert_true(df_str_equal_c(text, "{\"sqlite\":{\"n\":9007199254740993},\"other\":[1]}"));
}

static void a_damaged_one_is_refused_with_the_way_out(void **state)
{
	static const char *const bad[] = { "", "{\"file\":", "[]", "\xff", "{} {}" };
	df_cleanup(df_checkpoint_store_freep) struct df_checkpoint_store *store = open_store("b");

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(bad); i++) {
		df_cleanup(df_arena_done) struct df_arena arena = { 0 };
		struct df_error err = DF_ERROR_INIT;
		struct df_value *v;

		write_checkpoint("b", bad[i]);
		assert_int_equal(store->load(store, &arena, &v, &err), DF_ERR_CONFIG);
		assert_non_null(strstr(err.text, "is damaged"));
		assert_non_null(strstr(err.text, "remove the file"));
		assert_non_null(strstr(err.text, dir));
	}
}

static void one_process_a_flow(void **state)
{
	df_cleanup(df_checkpoint_store_freep) struct df_checkpoint_store *store = open_store("c");
	struct df_checkpoint_store *second = NULL;
	struct df_error err = DF_ERROR_INIT;

	(void)state;
	assert_int_equal(df_checkpoint_directory_open(dir, "ns", "c", &second, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "already running"));
	df_checkpoint_store_free(open_store("d")); /* another flow is fine */
	df_checkpoint_store_free(DF_TAKE(store));
	df_checkpoint_store_free(open_store("c"));
}

static void a_full_disk_keeps_the_old_one(void **state)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	df_cleanup(df_checkpoint_store_freep) struct df_checkpoint_store *store = open_store("e");
	struct df_error err = DF_ERROR_INIT;
	struct rlimit none = { 4, RLIM_INFINITY }, old;
	struct df_value *v;

	(void)state;
	write_checkpoint("e", "{\"k\":1}");
	assert_int_equal(df_value_parse_text(DF_STR("{\"k\":2,\"text\":\"longer than the limit\"}"), &arena, &v, &err),
			 0);
	getrlimit(RLIMIT_FSIZE, &old);
	none.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_FSIZE, &none);
	assert_true(store->save(store, v, &err) < 0);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_non_null(strstr(err.text, "the previous one is kept"));
	assert_int_equal(store->load(store, &arena, &v, &err), 0);
	assert_true(df_value_equal(df_object_get_c(v, "k"), df_value_int64(&arena, 1)));
}

static void a_directory_that_cannot_be_made_is_named(void **state)
{
	struct df_checkpoint_store *store = NULL;
	struct df_error err = DF_ERROR_INIT;

	(void)state;
	assert_int_equal(df_checkpoint_directory_open("/proc/nothing", "ns", "x", &store, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "/proc/nothing"));
	assert_non_null(strstr(err.text, "--state-dir"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_store_is_empty_and_keeps_what_was_saved),
		cmocka_unit_test(a_damaged_one_is_refused_with_the_way_out),
		cmocka_unit_test(one_process_a_flow),
		cmocka_unit_test(a_full_disk_keeps_the_old_one),
		cmocka_unit_test(a_directory_that_cannot_be_made_is_named),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
