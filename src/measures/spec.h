/** \file
 * What the engine has to form for a call: one of five forms, and its particulars. */
#ifndef ZG_MEASURES_SPEC_H
#define ZG_MEASURES_SPEC_H

#include "measures/gram.h"
#include "measures/tangent.h"
#include "measures/vector.h"

typedef enum zg_form {
  ZG_FORM_GRAM,    /**< inner products of the items' sample-pair matrices */
  ZG_FORM_TANGENT, /**< the same of models' tangent kernels */
  ZG_FORM_VECTOR,  /**< inner products or distances of long vectors */
  ZG_FORM_PROFILE, /**< a few numbers per item, compared */
  ZG_FORM_PAIR     /**< pairs of items that need work of their own */
} zg_form;
/** "gram", ... */
const char *zg_form_name(zg_form form);

struct zg_profile_form;
struct zg_pair_form;

enum { ZG_PAIR_NUMBERS = 4 };

typedef struct zg_spec {
  zg_form form;
  zg_gram_spec gram;
  zg_tangent_spec tangent;
  const zg_vector_form *vector;
  double floor; /**< divergence: distributions a become (1 - floor) a + floor / keys */
  int64_t grid[2]; /**< vector, gridded: of all pairs; 0: the smaller of each pair */
  const struct zg_profile_form *profile;
  const struct zg_pair_form *pair;
  double pair_numbers[ZG_PAIR_NUMBERS]; /**< options that the terms of pairs depend on:
                                           calls that agree in them share a pass */
} zg_spec;

/** Whether two calls can share a pass of the engine. */
bool zg_spec_shares_pass(const zg_spec *a, const zg_spec *b);

#endif
