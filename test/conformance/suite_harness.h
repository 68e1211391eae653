/* What the tests of the conformance suite share: running a rule on a connector that the test made. */
#ifndef DF_TEST_CONFORMANCE_SUITE_HARNESS_H
#define DF_TEST_CONFORMANCE_SUITE_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conformance/conformance.h"
#include "connectors/base.h"
#include "connectors/factory.h"

/* The path of the manifest. */
extern char suite_manifest[64];
/* source: YAML of the component. */
void suite_write_manifest(const char *source);

/* How long a rule has, or more when it asks for it, and what must return soon; 0: as users have it. */
struct suite_limits {
	int64_t rule_ns, soon_ns;
};
/* For what must pass, however busy the machine is. */
extern const struct suite_limits suite_patient;
/* For what must fail. */
extern const struct suite_limits suite_usual;

/* NULL: the rule, or every one of the group, passed or does not apply; else what was seen. The caller frees. server may
 * be NULL. */
char *suite_verdict(const char *source, const char *server, const char *rule, const struct suite_limits *limits);
/* How many rules of the last verdict passed. */
size_t suite_passed(void);

/* What a test's main begins with, before the connectors are looked at (-1: it failed, after a message), and ends with.
 */
int suite_add(const struct df_connector *connector);
int suite_end(int failed);

#endif
