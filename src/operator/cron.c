/* DataFlowCron resources. */
#include "operator/reconcile.h"

int df_reconcile_cron(struct df_reconcile *r, struct df_error *err)
{
	(void)r;
	(void)err;
	return 0;
}
