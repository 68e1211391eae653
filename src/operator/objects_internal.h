/* Shared by the files that build objects. */
#ifndef DF_OPERATOR_OBJECTS_INTERNAL_H
#define DF_OPERATOR_OBJECTS_INTERNAL_H

#include "operator/names.h"
#include "operator/objects.h"

#define DF_OBJECT_APP "dataflow-processor"
#define DF_OBJECT_GENERATED_BY "dataflowcron-controller"
#define DF_OBJECT_PROCESSOR "processor" /* component, container, and the trigger index of a processor's Job */

/* The name of one of the resource's objects; NULL: out of memory. */
const char *df_objects_name(const struct df_objects_of *of, enum df_object_name which);

/* The labels of its objects and of its processors' pods. */
int df_objects_labels(const struct df_objects_of *of, struct df_value **ret, struct df_error *err) df_must_check;

/* {name, namespace, labels} of one of its objects. */
int df_objects_metadata(const struct df_objects_of *of, enum df_object_name which, struct df_value **ret,
			struct df_error *err) df_must_check;

/* A RAW field's document, in the arena; *ret NULL: it is absent. */
int df_objects_raw(const struct df_objects_of *of, const struct df_raw *raw, struct df_value **ret,
		   struct df_error *err) df_must_check;

/* The template of a processor's pod: of the Deployment, or of a run's Job. */
int df_objects_pod_template(const struct df_objects_of *of, struct df_value **ret, struct df_error *err) df_must_check;

/* What the settings say of pods laid over a default: members of `key` in them win, null ones remove. group: "triggers",
 * or NULL: the processor's. */
int df_objects_security(const struct df_objects_of *of, const char *group, const char *key, const char *defaults,
			struct df_value **ret, struct df_error *err) df_must_check;

#define DF_OBJECT_POD_SECURITY                                                       \
	"{'runAsNonRoot':true,'runAsUser':65532,'runAsGroup':65532,'fsGroup':65532," \
	"'seccompProfile':{'type':'RuntimeDefault'}}"

#endif
