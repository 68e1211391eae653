/*
 * Which Events are sent, and as what: the same again raises the count of a series instead of making another one, and an
 * object that has much to tell is slowed down. Arithmetic on a table of fixed size: what was seen long ago makes room.
 * Not thread-safe; the recorder's thread has it.
 */
#ifndef DF_OPERATOR_EVENT_SERIES_H
#define DF_OPERATOR_EVENT_SERIES_H

#include "base/clock.h"
#include "base/str.h"

#define DF_EVENT_WINDOW_NS (600 * DF_NS_PER_S) /* so long after the last one it is the same series */
#define DF_EVENT_BURST 25
#define DF_EVENT_REFILL_NS (300 * DF_NS_PER_S)

struct df_event_series;
struct df_event_series *df_event_series_new(void); /* NULL: out of memory */
void df_event_series_free(struct df_event_series *s);

enum df_event_verdict {
	DF_EVENT_DROP,	 /* the object has told enough for now */
	DF_EVENT_CREATE, /* a new Event, called by `stamp` */
	DF_EVENT_RAISE,	 /* the Event called by `stamp` happened `count` times by now */
};

/* object: its uid; what: type, reason and text. now_ns: since 1970, never earlier than before. A series goes on
 * counting while it is not sent. */
enum df_event_verdict df_event_series_add(struct df_event_series *s, struct df_str object, struct df_str what,
					  int64_t now_ns, int64_t *ret_stamp, int64_t *ret_count);
/* It could not be sent, or is gone there: the next one is new. */
void df_event_series_forget(struct df_event_series *s, struct df_str object, struct df_str what);

#endif
