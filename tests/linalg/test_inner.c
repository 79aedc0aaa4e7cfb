/* Inner products of all pairs: bits that do not depend on the instruction set, and a
 * plain loop in long double. */
#include "base/memory.h"
#include "linalg/inner.h"
#include "linalg/micro.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static float *random_vectors(int64_t count) {
  float *x = ZG_NEW(float, count);
  uint32_t state = 12345;
  for (int64_t k = 0; k < count; k++) {
    state = state * 1664525u + 1013904223u;
    x[k] = (float)((double)state / 4294967296.0 - 0.4);
  }
  return x;
}

/* Sums that already hold 1 + i + j/64 everywhere. */
static double *begin(int64_t n) {
  double *sums = ZG_NEW0(double, 2 * n * n);
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < n; i++)
      sums[j * n + i] = 1 + (double)i + (double)j / 64;
  return sums;
}

static void check_entry(const float *x, const float *y, int64_t k, double alpha,
                        double found) {
  long double exact = 0, sizes = 0;
  for (int64_t l = 0; l < k; l++) {
    exact += (long double)x[l] * (long double)y[l];
    sizes += fabsl((long double)x[l] * (long double)y[l]);
  }
  /* Sums of at most 512 numbers in single precision, then of eight of these. */
  double bound = 520 * FLT_EPSILON / 2 * (double)sizes * alpha + 1e-11;
  CU_ASSERT(fabs(found - alpha * (double)exact) <= bound);
}

static void check(int64_t n, int64_t k, int64_t ldv) {
  const double alpha = 0x1p-8;
  float *V = random_vectors(n * ldv);
  zg_isa best = zg_micro_isa();
  zg_micro_use(ZG_ISA_C);
  double *plain = begin(n);
  zg_inner_accumulate(n, k, alpha, V, ldv, plain, plain + n * n);
  for (int isa = ZG_ISA_AVX2; isa <= (int)best; isa++) {
    zg_micro_use((zg_isa)isa);
    double *sums = begin(n);
    zg_inner_accumulate(n, k, alpha, V, ldv, sums, sums + n * n);
    CU_ASSERT(!memcmp(sums, plain, (size_t)(2 * n * n) * sizeof *sums));
    free(sums);
  }
  zg_micro_use(best);
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < n; i++) {
      double start = 1 + (double)i + (double)j / 64;
      double found = plain[j * n + i] + plain[n * n + j * n + i] - start;
      if (i >= j)
        check_entry(V + i * ldv, V + j * ldv, k, alpha, found);
      else
        CU_ASSERT(found == 0);
    }
  free(plain);
  free(V);
}

static void few_vectors(void) {
  static const int64_t shapes[][3] = {
      {1, 1, 1},        {1, 700, 700},   {2, 16, 16},      {5, 511, 515},
      {6, 512, 512},    {7, 8195, 8200}, {13, 9000, 9000}, {25, 8192, 8208},
      {23, 8064, 8065}, {31, 8065, 8080}};
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
    check(shapes[k][0], shapes[k][1], shapes[k][2]);
}

static void many_vectors(void) {
  static const int64_t shapes[][3] = {
      {257, 3, 3}, {300, 515, 520}, {1010, 20, 20}, {1050, 600, 600}};
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
    check(shapes[k][0], shapes[k][1], shapes[k][2]);
  check(256, 5000, 5008); /* more than are added in single precision */
}

/* In one piece or in two: bands of a matrix have the bits of the whole. */
static void bands_have_the_bits_of_the_whole(void) {
  const int64_t n = 600, cut = 300, rest = n - cut, k = 5000, ldv = k + 8;
  const double alpha = 0x1p-16;
  float *V = random_vectors(n * ldv);
  double *whole = calloc((size_t)(2 * n * n), sizeof *whole);
  double *band = calloc((size_t)(2 * n * rest), sizeof *band);
  zg_inner_accumulate(n, k, alpha, V, ldv, whole, whole + n * n);
  zg_inner_cross(rest, cut, k, alpha, V + cut * ldv, ldv, V, ldv, band,
                 band + n * rest);
  zg_inner_accumulate(rest, k, alpha, V + cut * ldv, ldv, band + cut * rest,
                      band + (n + cut) * rest);
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = j > cut ? j : cut; i < n; i++)
      for (int part = 0; part < 2; part++)
        CU_ASSERT_EQUAL(band[part * n * rest + j * rest + i - cut],
                        whole[part * n * n + j * n + i]);
  free(band);
  free(whole);
  free(V);
}

static void nothing_is_nothing(void) {
  double sum = 3;
  zg_inner_accumulate(0, 5, 1, NULL, 5, NULL, NULL);
  zg_inner_accumulate(1, 0, 1, NULL, 5, &sum, &sum);
  CU_ASSERT(sum == 3);
}

const zg_test zg_tests[] = {
    {"few_vectors", few_vectors},
    {"many_vectors", many_vectors},
    {"bands_have_the_bits_of_the_whole", bands_have_the_bits_of_the_whole},
    {"nothing_is_nothing", nothing_is_nothing},
    {NULL, NULL}};
