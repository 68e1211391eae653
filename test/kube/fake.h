/*
 * An API server for unit tests, in this process: it remembers what it was asked, answers what the test says, and
 * otherwise as a cluster that has nothing and takes everything: GET 404, a write its own body. ' stands for " in
 * bodies.
 *
 *     fake_start();                                                   // `client` asks it
 *     fake_on("PATCH /apis/apps/v1", 429, "Retry-After: 7\r\n", NULL);
 *     ...
 *     assert_int_equal(fake_asked("DELETE /api/v1/namespaces/team/secrets/"), 1);
 */
#ifndef TEST_KUBE_FAKE_H
#define TEST_KUBE_FAKE_H

#include "kube/client.h"

extern struct df_kube_client *fake_client;
extern struct df_kube_client_options fake_options;

void fake_start(void);
void fake_stop(void);

/* Requests whose "METHOD PATH?QUERY" begins so get that answer from now on; of several rules the latest counts. body
 * NULL: a Status of that HTTP status. headers: each with \r\n; "" for none. Borrowed. */
void fake_on(const char *request, int status, const char *headers, const char *body);

/* How many such requests there were since fake_start or fake_forget. */
int fake_asked(const char *request);
/* The body of the last of them, as it came; NULL: there was none. Valid until fake_stop. */
const char *fake_body(const char *request);
/* All of them, a line each, for what a failed test says. */
const char *fake_requests(void);
/* Forgets requests and rules. */
void fake_forget(void);

#endif
