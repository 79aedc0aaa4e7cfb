/** \file
 * CKA and HSIC of hand-made pairs: what is asked of the engine, values, and codes. */
#include "measures/measure.h"
#include "measures/spec.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>

static zg_call call_of(const char *measure, const char *kernel, const char *estimator) {
  zg_call call = {0};
  zg_call_defaults(&call, zg_measure_find(measure));
  CU_ASSERT_PTR_NULL(
      zg_option_parse(&call, zg_option_find(call.measure, "kernel"), kernel));
  CU_ASSERT_PTR_NULL(
      zg_option_parse(&call, zg_option_find(call.measure, "estimator"), estimator));
  return call;
}

/* ---- what the engine has to form ---- */

static void check_spec(const char *kernel, const char *estimator,
                       zg_gram_spec expected) {
  static const char *const measures[] = {"cka", "hsic"};
  for (int k = 0; k < 2; k++) {
    zg_call call = call_of(measures[k], kernel, estimator);
    CU_ASSERT_EQUAL(call.measure->spec(&call).form, ZG_FORM_GRAM);
    zg_gram_spec spec = call.measure->spec(&call).gram;
    CU_ASSERT_EQUAL(spec.kernel, expected.kernel);
    CU_ASSERT_EQUAL(spec.bandwidth, expected.bandwidth);
    CU_ASSERT_EQUAL(spec.sampled, expected.sampled);
    CU_ASSERT_EQUAL(spec.batch, expected.batch);
    CU_ASSERT_EQUAL(spec.centring, expected.centring);
  }
}

static void options_become_a_pass(void) {
  check_spec("linear", "debiased",
             (zg_gram_spec){ZG_KERNEL_LINEAR, 0, false, 0, ZG_UCENTRED});
  check_spec("linear", "biased",
             (zg_gram_spec){ZG_KERNEL_LINEAR, 0, false, 0, ZG_CENTRED});
  check_spec("linear", "minibatch",
             (zg_gram_spec){ZG_KERNEL_LINEAR, 0, false, 256, ZG_UCENTRED});
  check_spec("rbf", "debiased",
             (zg_gram_spec){ZG_KERNEL_RBF, 0.4, false, 0, ZG_UCENTRED});
  check_spec("rbf", "biased", (zg_gram_spec){ZG_KERNEL_RBF, 0.4, false, 0, ZG_CENTRED});
  check_spec("rbf", "minibatch",
             (zg_gram_spec){ZG_KERNEL_RBF, 0.4, false, 256, ZG_UCENTRED});
}

/* ---- values ---- */

static const zg_pair plain = {.cross = 3,
                              .self_a = 4,
                              .self_b = 9,
                              .floor_a = 1e-12,
                              .floor_b = 1e-12,
                              .scale_a = 10,
                              .scale_b = 0.5,
                              .weight = 30};

static double finish(const char *measure, zg_pair pair, zg_code *code) {
  zg_call call = call_of(measure, "linear", "debiased");
  *code = ZG_CODES;
  return call.measure->finish(&call, &pair, code);
}

static void check_value(const char *measure, zg_pair pair, double expected) {
  zg_code code;
  zg_test_close(finish(measure, pair, &code), expected,
                4 * DBL_EPSILON * fabs(expected), measure);
  CU_ASSERT_EQUAL(code, ZG_CODE_OK);
}

static void cka_is_the_ratio_of_products(void) {
  check_value("cka", plain, 0.5);
  zg_pair negative = plain; /* a debiased estimate may be */
  negative.cross = -1.5;
  check_value("cka", negative, -0.25);
  zg_pair huge = plain; /* whose product overflows */
  huge.cross = 1e300, huge.self_a = huge.self_b = 2e300;
  check_value("cka", huge, 0.5);
}

static void hsic_is_the_product_in_the_units_of_the_features(void) {
  check_value("hsic", plain, 3 * 10 * 0.5 / 30);
  zg_pair same = plain;
  same.same = true, same.cross = 4, same.scale_b = 10;
  check_value("hsic", same, 4.0 * 100 / 30);
}

static void cka_of_an_item_with_itself_is_exactly_1(void) {
  zg_pair same = plain;
  same.same = true;
  same.cross = 0.1 * 3; /* not quite what the other two give */
  same.self_a = same.self_b = 0.3;
  zg_code code;
  CU_ASSERT_EQUAL(finish("cka", same, &code), 1);
  CU_ASSERT_EQUAL(code, ZG_CODE_OK);
}

/* ---- codes ---- */

/* What both measures make of the codes of two items. */
static void check_codes(zg_code a, zg_code b, zg_code expected) {
  for (int swapped = 0; swapped < 2; swapped++)
    for (int same = 0; same <= (a == b); same++) {
      zg_pair pair = plain;
      pair.code_a = swapped ? b : a;
      pair.code_b = swapped ? a : b;
      pair.same = same;
      zg_code code;
      CU_ASSERT(isnan(finish("cka", pair, &code)));
      CU_ASSERT_EQUAL(code, expected);
      double hsic = finish("hsic", pair, &code);
      CU_ASSERT_EQUAL(code, expected);
      CU_ASSERT(expected == ZG_CODE_ZERO_VARIANCE ? hsic == 0 : isnan(hsic));
    }
}

static void bad_items_spoil_their_pairs(void) {
  check_codes(ZG_CODE_NONFINITE, ZG_CODE_OK, ZG_CODE_NONFINITE);
  check_codes(ZG_CODE_NONFINITE, ZG_CODE_NONFINITE, ZG_CODE_NONFINITE);
  check_codes(ZG_CODE_ZERO_VARIANCE, ZG_CODE_OK, ZG_CODE_ZERO_VARIANCE);
  check_codes(ZG_CODE_ZERO_VARIANCE, ZG_CODE_ZERO_VARIANCE, ZG_CODE_ZERO_VARIANCE);
  check_codes(ZG_CODE_FEW_SAMPLES, ZG_CODE_OK, ZG_CODE_FEW_SAMPLES);
  check_codes(ZG_CODE_NONFINITE, ZG_CODE_ZERO_VARIANCE, ZG_CODE_NONFINITE);
}

static void a_kernel_that_is_only_rounding_has_no_cka(void) {
  for (int side = 0; side < 2; side++)
    for (int same = 0; same < 2; same++) {
      zg_pair pair = plain;
      pair.same = same;
      *(side ? &pair.self_b : &pair.self_a) = 1e-12;
      zg_code code;
      CU_ASSERT(isnan(finish("cka", pair, &code)));
      CU_ASSERT_EQUAL(code, ZG_CODE_ZERO_VARIANCE);
      *(side ? &pair.self_b : &pair.self_a) = -1; /* a debiased one may be negative */
      CU_ASSERT(isnan(finish("cka", pair, &code)));
      CU_ASSERT_EQUAL(code, ZG_CODE_ZERO_VARIANCE);
    }
}

const zg_test zg_tests[] = {
    {"options_become_a_pass", options_become_a_pass},
    {"cka_is_the_ratio_of_products", cka_is_the_ratio_of_products},
    {"hsic_is_the_product_in_the_units_of_the_features",
     hsic_is_the_product_in_the_units_of_the_features},
    {"cka_of_an_item_with_itself_is_exactly_1",
     cka_of_an_item_with_itself_is_exactly_1},
    {"bad_items_spoil_their_pairs", bad_items_spoil_their_pairs},
    {"a_kernel_that_is_only_rounding_has_no_cka",
     a_kernel_that_is_only_rounding_has_no_cka},
    {NULL, NULL}};
