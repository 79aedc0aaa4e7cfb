/** \file
 * Sums whose bits do not depend on the order of their terms. */
#include "linalg/blas.h"
#include "linalg/fixed.h"
#include "mpi_main.h"

#include <math.h>

enum { TERMS = 5000 };

/* Terms of very different sizes. */
static double term(int64_t k) {
  double x = zg_test_random(9, (unsigned long)k);
  return ldexp(x, (int)(k % 60) - 59);
}

typedef struct sum {
  double coarse, fine;
} sum;

/* The terms start, start + step, ... (modulo TERMS), `count` of them. */
static sum sum_of(int64_t start, int64_t step, int64_t count) {
  sum s = {0, 0};
  for (int64_t k = 0; k < count; k++)
    zg_fixed_add(&s.coarse, &s.fine, term((start + k * step) % TERMS));
  return s;
}

static void sums_do_not_depend_on_the_order_of_terms(void) {
  sum forward = sum_of(0, 1, TERMS);
  static const int64_t steps[] = {7, 1003, TERMS - 1}; /* coprime to TERMS */
  for (int k = 0; k < 3; k++) {
    sum other = sum_of(17, steps[k], TERMS);
    CU_ASSERT(other.coarse == forward.coarse && other.fine == forward.fine);
  }
}

static void sums_of_parts_add_up_to_the_sum_of_all(void) {
  sum all = sum_of(0, 1, TERMS), parts = {0, 0};
  for (int64_t first = 0; first < TERMS; first += 250) {
    sum part = sum_of(first, 1, 250);
    parts.coarse += part.coarse;
    parts.fine += part.fine;
  }
  CU_ASSERT(parts.coarse == all.coarse && parts.fine == all.fine);
}

static void sums_keep_more_digits_than_a_double_sum(void) {
  sum s = sum_of(0, 1, TERMS);
  long double expected = 0;
  for (int64_t k = 0; k < TERMS; k++)
    expected += term(k);
  /* every term is kept to 2^-74, the result has the rounding of one addition */
  zg_test_close(s.coarse + s.fine, (double)expected,
                TERMS * 0x1p-74 + 0x1p-53 * (double)fabsl(expected), "sum");
}

static void small_terms_are_not_lost_beside_large_ones(void) {
  sum s = {0, 0};
  zg_fixed_add(&s.coarse, &s.fine, 4096);
  for (int k = 0; k < 1024; k++)
    zg_fixed_add(&s.coarse, &s.fine, 0x1p-60);
  zg_fixed_add(&s.coarse, &s.fine, -4096);
  CU_ASSERT_EQUAL(s.coarse + s.fine, 0x1p-50);
}

static void every_term_is_kept_to_the_last_bit_that_is_promised(void) {
  sum s = {0, 0};
  zg_fixed_add(&s.coarse, &s.fine, 1 + 0x1p-40);
  zg_fixed_add(&s.coarse, &s.fine, 0x1p-73);
  zg_fixed_add(&s.coarse, &s.fine, -1);
  CU_ASSERT_EQUAL(s.coarse + s.fine, 0x1p-40 + 0x1p-73);
}

static void arrays_are_added_like_single_numbers(void) {
  enum { COUNT = 37 };
  for (zg_precision p = ZG_SINGLE; p <= ZG_DOUBLE; p++) {
    double x[COUNT], coarse[COUNT] = {0}, fine[COUNT] = {0};
    float narrow[COUNT];
    for (int k = 0; k < COUNT; k++) {
      narrow[k] = (float)term(k);
      x[k] = p == ZG_SINGLE ? (double)narrow[k] : term(k);
    }
    for (int times = 0; times < 3; times++)
      zg_fixed_add_all(p, p == ZG_SINGLE ? (void *)narrow : (void *)x, COUNT, coarse,
                       fine);
    for (int k = 0; k < COUNT; k++) {
      sum s = {0, 0};
      for (int times = 0; times < 3; times++)
        zg_fixed_add(&s.coarse, &s.fine, x[k]);
      CU_ASSERT(coarse[k] == s.coarse && fine[k] == s.fine);
    }
  }
}

static void rounded_numbers_add_up_exactly(void) {
  const double bound = 64;
  double forward = 0, backward = 0;
  for (int64_t k = 0; k < TERMS; k++)
    forward += zg_fixed_round(term(k), bound);
  for (int64_t k = TERMS; k-- > 0;)
    backward += zg_fixed_round(term(k), bound);
  CU_ASSERT_EQUAL(forward, backward);
  for (int64_t k = 0; k < TERMS; k++) /* to the nearest multiple of 2^-52 bound */
    zg_test_close(zg_fixed_round(term(k), bound), term(k), 0x1p-53 * bound, "rounded");
}

const zg_test zg_tests[] = {
    {"sums_do_not_depend_on_the_order_of_terms",
     sums_do_not_depend_on_the_order_of_terms},
    {"sums_of_parts_add_up_to_the_sum_of_all", sums_of_parts_add_up_to_the_sum_of_all},
    {"sums_keep_more_digits_than_a_double_sum",
     sums_keep_more_digits_than_a_double_sum},
    {"small_terms_are_not_lost_beside_large_ones",
     small_terms_are_not_lost_beside_large_ones},
    {"every_term_is_kept_to_the_last_bit_that_is_promised",
     every_term_is_kept_to_the_last_bit_that_is_promised},
    {"arrays_are_added_like_single_numbers", arrays_are_added_like_single_numbers},
    {"rounded_numbers_add_up_exactly", rounded_numbers_add_up_exactly},
    {NULL, NULL}};
