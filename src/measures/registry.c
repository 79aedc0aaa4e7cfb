#include "measures/measure.h"
#include "measures/spec.h"

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

const char *zg_kind_name(zg_kind kind) {
  return kind == ZG_SIMILARITY ? "similarity" : "distance";
}

const char *zg_axis_name(zg_axis axis) {
  static const char *const names[ZG_AXES] = {[ZG_AXIS_ITEM] = "item",
                                             [ZG_AXIS_MODEL] = "model",
                                             [ZG_AXIS_GRADIENT] = "gradient",
                                             [ZG_AXIS_WEIGHT] = "weight",
                                             [ZG_AXIS_ATTENTION] = "attention",
                                             [ZG_AXIS_HEAD] = "head",
                                             [ZG_AXIS_CROSS_ATTENTION] =
                                                 "cross_attention"};
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

bool zg_code_has_value(zg_code code) {
  static const bool has[ZG_CODES] = {[ZG_CODE_OK] = true,
                                     [ZG_CODE_SUPPORT] = true,
                                     [ZG_CODE_RANK] = true,
                                     [ZG_CODE_REFINED] = true,
                                     [ZG_CODE_BOUND] = true};
  return has[code];
}

zg_code zg_code_worse(zg_code a, zg_code b) {
  bool value_a = zg_code_has_value(a), value_b = zg_code_has_value(b);
  if (value_a != value_b) return value_a ? b : a;
  if (a == ZG_CODE_OK || b == ZG_CODE_OK) return a > b ? a : b;
  return a < b ? a : b;
}

zg_code zg_pair_code(const zg_pair *pair) {
  return zg_code_worse(zg_code_worse(pair->code_a, pair->code_b), pair->code);
}

const char *zg_form_name(zg_form form) {
  static const char *const names[] = {[ZG_FORM_GRAM] = "gram",
                                      [ZG_FORM_TANGENT] = "tangent",
                                      [ZG_FORM_VECTOR] = "vector",
                                      [ZG_FORM_PROFILE] = "profile",
                                      [ZG_FORM_PAIR] = "pair"};
  return names[form];
}

bool zg_spec_shares_pass(const zg_spec *a, const zg_spec *b) {
  if (a->form != b->form) return false;
  switch (a->form) {
  case ZG_FORM_GRAM:
    return a->gram.kernel == b->gram.kernel && a->gram.bandwidth == b->gram.bandwidth &&
           a->gram.sampled == b->gram.sampled && a->gram.batch == b->gram.batch;
  case ZG_FORM_TANGENT:
    return a->tangent.full == b->tangent.full &&
           a->tangent.source == b->tangent.source &&
           a->tangent.sketch == b->tangent.sketch;
  case ZG_FORM_VECTOR:
    return a->vector == b->vector && a->floor == b->floor && a->grid[0] == b->grid[0] &&
           a->grid[1] == b->grid[1];
  case ZG_FORM_PROFILE: /* its particulars depend on the call's options */
    return false;
  case ZG_FORM_PAIR:
    return a->pair == b->pair &&
           !memcmp(a->pair_numbers, b->pair_numbers, sizeof a->pair_numbers);
  }
  return false;
}
