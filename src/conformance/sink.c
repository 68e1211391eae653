#include "conformance/stage.h"

const struct df_conformance_rule df_rules_sink[] = { { 0 } };
