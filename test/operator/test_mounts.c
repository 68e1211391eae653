/* Why the secrets of a pod cannot be mounted, from what the kubelet writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "operator/mounts.h"
#include "test/operator/resources.h"

#define MOUNT(volume, why) "MountVolume.SetUp failed for volume \\\"" volume "\\\" : " why
#define NO_SECRET MOUNT("spec", "secret \\\"db\\\" not found")
#define NO_KEY MOUNT("spec", "references non-existent secret key: url")
/* As the API gives what a kubelet writes. */
#define EVENT(reason, second, note) \
	"{'reason':'" reason "','deprecatedLastTimestamp':'2026-01-01T00:00:" second "Z','note':'" note "'}"
#define FAILED(second, note) EVENT("FailedMount", second, note)

static void check(const char *what, const char *events, const char *failure)
{
	struct df_value *list = json(events);
	struct df_error err = DF_ERROR_INIT;

	/* In any order. */
	for (int backwards = 0; backwards < 2; backwards++) {
		struct df_mounts mounts = { .arena = &arena };
		const char *text;

		for (size_t i = 0; i < list->len; i++)
			assert_int_equal(
				df_mounts_hear(&mounts, df_array_get(list, backwards ? list->len - 1 - i : i), &err),
				0);
		text = df_mounts_failure(&mounts);
		if ((failure == NULL) != (text == NULL) || (failure && strcmp(text, failure) != 0))
			fail_msg("%s: %s", what, text ? text : "nothing");
	}
}

#define SAID_SECRET "MountVolume.SetUp failed for volume \"spec\" : secret \"db\" not found"
#define SAID_KEY "MountVolume.SetUp failed for volume \"spec\" : references non-existent secret key: url"

static void test_what_counts(void **state)
{
	static const struct {
		const char *note;
		bool counts;
	} rows[] = {
		{ NO_SECRET, true },
		{ NO_KEY, true },
		{ MOUNT("spec", "secrets \\\"db\\\" is forbidden: no relationship found"), true },
		{ MOUNT("spec", "[configmap \\\"df-f-spec\\\" not found, secret \\\"db\\\" not found]"), true },
		{ MOUNT("spec", "configmap \\\"df-f-spec\\\" not found"), false },
		{ MOUNT("spec", "references non-existent config key: spec.json"), false },
		{ MOUNT("spec", "failed to sync configmap cache: timed out waiting for the condition"), false },
		{ MOUNT("spec", "[failed to sync secret cache: timed out waiting for the condition, failed to sync "
				"configmap cache: timed out waiting for the condition]"),
		  false },
		{ MOUNT("kube-api-access-x7bq2", "configmap \\\"kube-root-ca.crt\\\" not found"), false },
		{ MOUNT("kube-api-access-x7bq2", "failed to fetch token: serviceaccounts \\\"df-f-processor\\\" not "
						 "found"),
		  false },
		{ MOUNT("mesh", "secret \\\"mesh-certificate\\\" not found"), false },
		{ "Unable to attach or mount volumes: unmounted volumes=[spec], unattached volumes=[spec tmp]: timed "
		  "out waiting for the condition",
		  false },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		struct df_str note;
		char text[1024];

		snprintf(text, sizeof(text), "[" FAILED("01", "%s") "]", rows[i].note);
		note = df_arena_dup(&arena, df_value_text(at(json(text), "0 note"), &arena));
		check(rows[i].note, text, rows[i].counts ? note.ptr : NULL);
	}
	check("another reason", "[" EVENT("FailedAttachVolume", "01", NO_SECRET) "]", NULL);
	check("none", "[]", NULL);
	check("no note", "[{'reason':'FailedMount'}]", NULL);
}

/* Of several the newest, which may be followed by words that say less. */
static void test_which_one(void **state)
{
	(void)state;
	check("the newest", "[" FAILED("01", NO_SECRET) "," FAILED("05", NO_KEY) "]", SAID_KEY);
	check("a series",
	      "[" FAILED("05", NO_KEY) ",{'reason':'FailedMount','note':'" NO_SECRET
				       "','eventTime':'2026-01-01T00:00:01.000000Z','series':{'lastObservedTime':"
				       "'2026-01-01T00:00:05.900000Z'}}]",
	      SAID_SECRET);
	check("a summary after it",
	      "[" FAILED("01", NO_SECRET) "," FAILED("09", "Unable to attach or mount volumes: timed out") "]",
	      SAID_SECRET);
}

/* The pod came further: the image is pulled, of which its status says nothing until that is done. */
static void test_further(void **state)
{
	static const char *const reasons[] = { "Pulling", "Pulled", "Created", "Started", "FailedCreatePodSandBox" };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(reasons); i++) {
		char text[1024];

		snprintf(text, sizeof(text), "[" FAILED("05", NO_SECRET) "," EVENT("%s", "06", "x") "]", reasons[i]);
		check(reasons[i], text, NULL);
	}
	check("in the same second", "[" FAILED("05", NO_SECRET) "," EVENT("Pulling", "05", "x") "]", NULL);
	check("and later not", "[" EVENT("Pulling", "05", "x") "," FAILED("06", NO_SECRET) "]", SAID_SECRET);
	check("nowhere", "[" FAILED("05", NO_SECRET) "," EVENT("Scheduled", "06", "x") "]", SAID_SECRET);
	check("twice", "[" EVENT("Pulled", "09", "x") "," FAILED("05", NO_SECRET) "," EVENT("Pulling", "01", "x") "]",
	      NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_what_counts, free_arena),
		cmocka_unit_test_teardown(test_which_one, free_arena),
		cmocka_unit_test_teardown(test_further, free_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
