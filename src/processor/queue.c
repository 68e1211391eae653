/* What waits for a sink: batches in a list, and two places in it: what has ended, and what is the next to be written.
 */
#include "processor/internal.h"

void df_queue_add(struct df_queue *q, struct df_batch *batch)
{
	batch->next = NULL;
	if (q->last)
		q->last->next = batch;
	else
		q->first = batch;
	q->last = batch;
	if (!q->next) {
		q->next = batch;
		q->at = 0;
	}
	q->count += batch->count;
	q->bytes += batch->bytes;
}

void df_queue_take(struct df_queue *q, struct df_message **messages, size_t n)
{
	q->count -= n;
	while (n > 0) {
		size_t run = q->next->count - q->at < n ? q->next->count - q->at : n;

		for (size_t i = 0; i < run; i++)
			messages[i] = &q->next->messages[q->at + i];
		messages += run;
		n -= run;
		q->at += run;
		if (q->at < q->next->count)
			break;
		q->bytes -= q->next->bytes;
		q->away_bytes += q->next->bytes;
		q->next = q->next->next;
		q->at = 0;
	}
}

void df_queue_end(struct df_queue *q, size_t n)
{
	q->ended += n;
	while (q->first && q->ended >= q->first->count) {
		struct df_batch *batch = q->first;

		q->ended -= batch->count;
		q->away_bytes -= batch->bytes;
		q->first = batch->next;
		if (!q->first)
			q->last = NULL;
		df_batch_release(batch);
	}
}

void df_queue_done(struct df_queue *q)
{
	while (q->first) {
		struct df_batch *batch = q->first;

		q->first = batch->next;
		df_batch_release(batch);
	}
	*q = (struct df_queue){ 0 };
}
