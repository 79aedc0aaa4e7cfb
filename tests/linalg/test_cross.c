/* Products of two sets of vectors: bits that do not depend on the instruction set, and
 * a plain loop in long double. */
#include "base/memory.h"
#include "linalg/cross.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PART = 100 }; /* numbers that are handed over at a time */

static double number(unsigned long set, int64_t vector, int64_t k) {
  return (double)(float)zg_test_random(set + 1, (unsigned long)(vector * 10007 + k));
}

/* Numbers [from, from + count) of up to ZG_CROSS_ROWS vectors. */
static void fill(zg_precision precision, unsigned long set, int64_t first,
                 int64_t vectors, int64_t from, int64_t count, void *to) {
  for (int64_t r = 0; r < zg_min(ZG_CROSS_ROWS, vectors - first); r++)
    for (int64_t k = 0; k < count; k++)
      if (precision == ZG_SINGLE)
        ((float *)to)[r * count + k] = (float)number(set, first + r, from + k);
      else
        ((double *)to)[r * count + k] = number(set, first + r, from + k);
}

static void put_run(zg_cross *cross, zg_precision precision, int64_t vectors,
                    int64_t start, int64_t run) {
  static double left[ZG_CROSS_ROWS * PART], right[ZG_CROSS_ROWS * PART];
  zg_cross_open(cross, run);
  for (int64_t at = 0; at < run; at += PART)
    for (int64_t first = 0; first < vectors; first += ZG_CROSS_ROWS) {
      int64_t count = zg_min(PART, run - at);
      fill(precision, 0, first, vectors, start + at, count, left);
      fill(precision, 1, first, vectors, start + at, count, right);
      zg_cross_put(cross, first, at, count, left, right);
    }
  zg_cross_multiply(cross);
}

/* S of so many vectors of length k, on top of 3 everywhere. */
static double *products(zg_cross *cross, int64_t vectors, int64_t k, double alpha) {
  int64_t entries = vectors * vectors;
  double *S = ZG_NEW0(double, 2 * entries);
  for (int64_t i = 0; i < entries; i++)
    S[i] = 3;
  zg_cross_begin(cross, vectors, alpha, S, S + entries);
  for (int64_t start = 0; start < k; start += ZG_CROSS_RUN)
    put_run(cross, cross->precision, vectors, start, zg_min(ZG_CROSS_RUN, k - start));
  zg_cross_end(cross);
  return S;
}

static void check_entry(int64_t i, int64_t j, int64_t k, double epsilon, double found) {
  long double exact = 0, sizes = 0;
  for (int64_t l = 0; l < k; l++) {
    long double term = (long double)number(0, i, l) * (long double)number(1, j, l);
    exact += term;
    sizes += fabsl(term);
  }
  /* the terms' rounding errors have no sign: far from k of them add up; S began at 3 */
  double bound = 4 * sqrt((double)k) * epsilon * (double)sizes + 32 * DBL_EPSILON;
  CU_ASSERT(fabs(found - (double)exact) <= bound);
}

static void check(zg_precision precision, int64_t room, int64_t vectors, int64_t k) {
  const double alpha = 1.0 / 3;
  zg_isa best = zg_micro_isa();
  zg_cross cross;
  zg_cross_create(precision, room, &cross); /* in panels as long as it lives */
  double *S = products(&cross, vectors, k, alpha);
  int64_t entries = vectors * vectors;
  for (int isa = ZG_ISA_C; isa < (int)best; isa++) {
    zg_micro_use((zg_isa)isa);
    double *other = products(&cross, vectors, k, alpha);
    CU_ASSERT(!memcmp(S, other, (size_t)(2 * entries) * sizeof *S));
    free(other);
  }
  zg_micro_use(best);
  for (int64_t i = 0; i < vectors; i++)
    for (int64_t j = 0; j < vectors; j++) {
      int64_t at = i * vectors + j;
      check_entry(i, j, k, precision == ZG_SINGLE ? FLT_EPSILON : DBL_EPSILON,
                  (S[at] - 3 + S[entries + at]) / alpha);
    }
  free(S);
  zg_cross_destroy(&cross);
}

static void single_precision(void) {
  check(ZG_SINGLE, 1, 1, 1);
  check(ZG_SINGLE, 60, 7, 700);
  check(ZG_SINGLE, 60, 60, 515);
  check(ZG_SINGLE, 10, 9, 9300); /* more than are summed in single precision */
  check(ZG_SINGLE, 1100, 1100, 5);
}

static void double_precision(void) {
  check(ZG_DOUBLE, 3, 2, 100);
  check(ZG_DOUBLE, 60, 50, 1100);
}

/* One object for sets of several sizes, one after the other. */
static void nothing_is_left_of_other_sets(void) {
  zg_cross cross;
  zg_cross_create(ZG_SINGLE, 100, &cross);
  double *first = products(&cross, 50, 600, 1);
  free(products(&cross, 100, 513, 1));
  free(products(&cross, 3, 5000, 1));
  double *again = products(&cross, 50, 600, 1);
  CU_ASSERT(!memcmp(first, again, 2 * 50 * 50 * sizeof *first));
  free(first);
  free(again);
  zg_cross_destroy(&cross);
}

const zg_test zg_tests[] = {
    {"single_precision", single_precision},
    {"double_precision", double_precision},
    {"nothing_is_left_of_other_sets", nothing_is_left_of_other_sets},
    {NULL, NULL}};
