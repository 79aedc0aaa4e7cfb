#include "measures/measure.h"

#include <string.h>

#define ZG_MEASURE(name) extern const zg_measure zg_measure_##name;
#include "measures/measures.def"
#undef ZG_MEASURE

static const zg_measure *const catalogue[] = {
#define ZG_MEASURE(name) &zg_measure_##name,
#include "measures/measures.def"
#undef ZG_MEASURE
};

const zg_measure *const *zg_measures(int64_t *count) {
  *count = (int64_t)(sizeof catalogue / sizeof *catalogue);
  return catalogue;
}

const zg_measure *zg_measure_find(const char *name) {
  for (size_t k = 0; k < sizeof catalogue / sizeof *catalogue; k++)
    if (!strcmp(catalogue[k]->name, name)) return catalogue[k];
  return NULL;
}

const char *zg_axis_name(zg_axis axis) {
  static const char *const names[ZG_AXES] = {[ZG_AXIS_ITEM] = "item"};
  return names[axis];
}

const char *zg_code_meaning(zg_code code) {
  static const char *const meanings[ZG_CODES] = {
      [ZG_CODE_OK] = "ok",
      [ZG_CODE_NONFINITE] = "non_finite_input",
      [ZG_CODE_ZERO_VARIANCE] = "zero_variance_or_norm",
      [ZG_CODE_SHAPE] = "shapes_do_not_fit",
      [ZG_CODE_FEW_SAMPLES] = "too_few_samples",
      [ZG_CODE_SUPPORT] = "zero_support",
      [ZG_CODE_RANK] = "rank_deficient",
      [ZG_CODE_CONVERGENCE] = "not_converged",
      [ZG_CODE_REFINED] = "refined",
      [ZG_CODE_BOUND] = "bound_only",
      [ZG_CODE_ABSENT] = "data_absent"};
  return meanings[code];
}
