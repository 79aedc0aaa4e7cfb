/** \file
 * Scatter matrices: against plain loops in long double, the same bits on all
 * instruction sets, and rows that are put in pieces. */
#include "base/memory.h"
#include "base/threads.h"
#include "linalg/micro.h"
#include "linalg/scatter.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A number that single precision has, of a size that keeps products of columns below
 * 1. */
static double number(int64_t rows, int64_t row, int64_t column) {
  double x = zg_test_random(7, (unsigned long)(row * 4096 + column)) + 0.1;
  return (double)(float)(x / sqrt((double)rows));
}

/* Features [column, column + d) of some rows, as the scatter wants them. */
static void put(zg_scatter *s, int64_t all, int64_t first, int64_t rows, int64_t column,
                int64_t d) {
  void *values = zg_alloc(rows * d, zg_real_size(s->precision));
  for (int64_t r = 0; r < rows; r++)
    for (int64_t k = 0; k < d; k++) {
      double x = number(all, first + r, column + k);
      if (s->precision == ZG_SINGLE)
        ((float *)values)[r * d + k] = (float)x;
      else
        ((double *)values)[r * d + k] = x;
    }
  zg_scatter_put(s, first % s->capacity, rows, column, d, values);
  free(values);
}

/* The scatter of `rows` rows, put in pieces of an odd size. */
static zg_scatter make(zg_precision precision, int64_t D, int64_t rows,
                       int64_t capacity) {
  enum { PIECE = 53, WIDTH = 31 };
  zg_scatter s;
  zg_scatter_create(precision, D, capacity, &s);
  for (int64_t first = 0; first < rows; first += capacity) {
    int64_t count = zg_min(capacity, rows - first);
    for (int64_t r = 0; r < count; r += PIECE)
      for (int64_t k = 0; k < D; k += WIDTH)
        put(&s, rows, first + r, zg_min(PIECE, count - r), k, zg_min(WIDTH, D - k));
    zg_scatter_add(&s, count);
  }
  return s;
}

static void check_values(zg_precision precision, int64_t D, int64_t rows,
                         int64_t capacity) {
  zg_scatter s = make(precision, D, rows, capacity);
  double epsilon = precision == ZG_SINGLE ? FLT_EPSILON : DBL_EPSILON, worst = 0;
  for (int64_t i = 0; i < D; i++)
    for (int64_t j = 0; j <= i; j++) {
      long double exact = 0, sizes = 0;
      for (int64_t r = 0; r < rows; r++) {
        long double term =
            (long double)number(rows, r, i) * (long double)number(rows, r, j);
        exact += term;
        sizes += fabsl(term);
      }
      double error = fabs(zg_scatter_at(&s, i, j) - (double)exact);
      worst = fmax(worst, error / (double)sizes);
      CU_ASSERT(zg_scatter_at(&s, i, j) == zg_scatter_at(&s, j, i));
    }
  double grids = 0x1p-50 * (double)zg_ceil_div(rows, zg_min(capacity, ZG_SCATTER_RUN));
  double terms = precision == ZG_SINGLE ? ZG_SCATTER_RUN : (double)rows;
  CU_ASSERT(worst <= terms * epsilon + 100 * grids);
  zg_scatter_clear(&s);
}

static void sums_are_those_of_a_plain_loop(void) {
  static const int64_t sizes[][3] = {
      {1, 5, 5}, {47, 100, 64}, {48, 64, 100}, {50, 700, 1024}, {130, 1300, 600}};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
    for (int precision = ZG_SINGLE; precision <= ZG_DOUBLE; precision++)
      check_values((zg_precision)precision, sizes[k][0], sizes[k][1], sizes[k][2]);
}

/* More features than are multiplied at a time. */
static void there_may_be_many_features(void) {
  check_values(ZG_SINGLE, 1600, 70, 70);
}

/* Of 90 features with 13 others, whose numbers begin where those end. */
static void products_with_other_rows(void) {
  enum { D = 90, OTHERS = 13, ROWS = 700 };
  zg_scatter z, w;
  double *sums = ZG_NEW0(double, OTHERS *D);
  if (!zg_micro_is_fast()) return;
  zg_scatter_create(ZG_SINGLE, D, ROWS, &z);
  zg_scatter_create(ZG_SINGLE, OTHERS, ROWS, &w);
  put(&z, ROWS, 0, ROWS, 0, D);
  float *values = ZG_NEW(float, ROWS *OTHERS);
  for (int64_t r = 0; r < ROWS; r++)
    for (int64_t j = 0; j < OTHERS; j++)
      values[r * OTHERS + j] = (float)number(ROWS, r, D + j);
  zg_scatter_put(&w, 0, ROWS, 0, OTHERS, values);
  zg_scatter_cross(&z, &w, ROWS, sums);
  for (int64_t j = 0; j < OTHERS; j++)
    for (int64_t i = 0; i < D; i++) {
      long double exact = 0;
      for (int64_t r = 0; r < ROWS; r++)
        exact += (long double)number(ROWS, r, i) * (long double)number(ROWS, r, D + j);
      zg_test_close(sums[j * D + i], (double)exact, 2e-6, "product");
    }
  free(values);
  free(sums);
  zg_scatter_clear(&z);
  zg_scatter_clear(&w);
}

static void an_outer_product_is_subtracted(void) {
  enum { D = 60 };
  double x[D];
  zg_scatter s = make(ZG_SINGLE, D, 100, 100), before = make(ZG_SINGLE, D, 100, 100);
  for (int64_t k = 0; k < D; k++)
    x[k] = zg_test_random(8, (unsigned long)k);
  zg_scatter_subtract(&s, 3, x);
  for (int64_t i = 0; i < D; i++)
    for (int64_t j = 0; j < D; j++)
      zg_test_close(zg_scatter_at(&s, i, j),
                    zg_scatter_at(&before, i, j) - 3 * x[i] * x[j], 1e-14, "entry");
  zg_scatter_clear(&s);
  zg_scatter_clear(&before);
}

static void threads_do_not_change_a_bit(void) {
  zg_scatter alone = make(ZG_SINGLE, 200, 1000, 600);
  zg_threads_set(3);
  zg_scatter shared = make(ZG_SINGLE, 200, 1000, 600);
  zg_threads_set(1);
  CU_ASSERT(alone.count == shared.count);
  CU_ASSERT(!memcmp(alone.sums, shared.sums, (size_t)alone.count * sizeof(double)));
  zg_scatter_clear(&alone);
  zg_scatter_clear(&shared);
}

static void instruction_sets_do_not_change_a_bit(void) {
  zg_isa best = zg_micro_isa();
  zg_scatter first = {0};
  for (int isa = ZG_ISA_AVX2; isa <= (int)best; isa++) {
    zg_micro_use((zg_isa)isa);
    zg_scatter s = make(ZG_SINGLE, 130, 700, 700);
    if (first.sums)
      CU_ASSERT(!memcmp(first.sums, s.sums, (size_t)s.count * sizeof(double)));
    if (first.sums)
      zg_scatter_clear(&s);
    else
      first = s;
  }
  zg_micro_use(best);
  zg_scatter_clear(&first);
}

/* Without vector instructions BLAS does it: other roundings, the same layout. */
static void plain_c_has_the_same_layout(void) {
  zg_isa best = zg_micro_isa();
  zg_micro_use(ZG_ISA_C);
  check_values(ZG_SINGLE, 130, 700, 300);
  zg_micro_use(best);
}

static void order_does_not_matter(void) {
  zg_scatter forth, back;
  zg_scatter_create(ZG_SINGLE, 60, 100, &forth);
  zg_scatter_create(ZG_SINGLE, 60, 100, &back);
  for (int64_t k = 0; k < 10; k++) {
    put(&forth, 1000, 100 * k, 100, 0, 60);
    zg_scatter_add(&forth, 100);
    put(&back, 1000, 100 * (9 - k), 100, 0, 60);
    zg_scatter_add(&back, 100);
  }
  CU_ASSERT(!memcmp(forth.sums, back.sums, (size_t)forth.count * sizeof(double)));
  zg_scatter_clear(&forth);
  zg_scatter_clear(&back);
}

const zg_test zg_tests[] = {
    {"sums_are_those_of_a_plain_loop", sums_are_those_of_a_plain_loop},
    {"there_may_be_many_features", there_may_be_many_features},
    {"products_with_other_rows", products_with_other_rows},
    {"an_outer_product_is_subtracted", an_outer_product_is_subtracted},
    {"threads_do_not_change_a_bit", threads_do_not_change_a_bit},
    {"instruction_sets_do_not_change_a_bit", instruction_sets_do_not_change_a_bit},
    {"plain_c_has_the_same_layout", plain_c_has_the_same_layout},
    {"order_does_not_matter", order_does_not_matter},
    {NULL, NULL}};
