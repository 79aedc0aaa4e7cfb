/** \file
 * Sketches of Kronecker products: linear in both vectors by either method, unbiased,
 * with an error that falls as theory has it. */
#include "linalg/sketch.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST = 7, SECOND = 5, TERMS = 3, LONGEST = 16384 };

static void fill(unsigned long seed, int64_t count, double *x) {
  for (int64_t k = 0; k < count; k++)
    x[k] = zg_test_random(seed, (unsigned long)k);
}

static double dot(int64_t count, const double *x, const double *y) {
  double sum = 0;
  for (int64_t k = 0; k < count; k++)
    sum += x[k] * y[k];
  return sum;
}

/* <sum_s a_s (x) b_s, sum_t c_t (x) d_t>. */
static double kronecker_dot(const double *a, const double *b, const double *c,
                            const double *d) {
  double sum = 0;
  for (int s = 0; s < TERMS; s++)
    for (int t = 0; t < TERMS; t++)
      sum += dot(FIRST, a + s * FIRST, c + t * FIRST) *
             dot(SECOND, b + s * SECOND, d + t * SECOND);
  return sum;
}

/* Linear in both factors: the sketches of unit vectors times the second vector, found
 * by the index form, add up to the sketch. */
static void check_sum_of_rows(int64_t length, int64_t first, int64_t second) {
  double *a = malloc(sizeof *a * (size_t)(TERMS * first));
  double *b = malloc(sizeof *b * (size_t)(TERMS * second));
  double *row = malloc(sizeof *row * (size_t)second), z[LONGEST], expected[LONGEST];
  fill(1, TERMS * first, a);
  fill(2, TERMS * second, b);
  zg_sketch *s = zg_sketch_create(length, first, second, 99);
  for (int64_t i = 0; i < length; i++)
    z[i] = expected[i] = (double)i; /* it is added to what is there */
  zg_sketch_add(s, TERMS, a, b, z);
  for (int t = 0; t < TERMS; t++)
    for (int64_t i = 0; i < first; i++) {
      for (int64_t j = 0; j < second; j++)
        row[j] = a[t * first + i] * b[t * second + j];
      zg_sketch_add_index(s, 1, &i, row, expected);
    }
  /* numbers up to LONGEST, and some hundred roundings of each */
  for (int64_t i = 0; i < length; i++)
    zg_test_close(z[i], expected[i], 100 * DBL_EPSILON * LONGEST, "entry of a sketch");
  zg_sketch_destroy(&s);
  CU_ASSERT_PTR_NULL(s);
  free(a);
  free(b);
  free(row);
}

/* Short vectors are multiplied, long ones transformed; the last product has more
 * numbers than fit a block. */
static void sketches_agree_with_products_of_unit_vectors(void) {
  const int64_t lengths[] = {1, 2, 3, 64, 97, 1000, LONGEST};
  for (int k = 0; k < 7; k++) {
    check_sum_of_rows(lengths[k], FIRST, SECOND);
    check_sum_of_rows(lengths[k], 1, 1);
    check_sum_of_rows(lengths[k], 700, 300);
  }
  check_sum_of_rows(LONGEST, 300, 250);
}

/* Every product of unit vectors is one number of absolute value 1, at the sum of what
 * its two factors say: all follow from those with the first unit vector. */
static void unit_vectors_go_to_one_bucket(void) {
  const int64_t length = 101;
  int64_t place[FIRST][SECOND];
  double sign[FIRST][SECOND];
  zg_sketch *s = zg_sketch_create(length, FIRST, SECOND, 5);
  for (int64_t i = 0; i < FIRST; i++)
    for (int64_t j = 0; j < SECOND; j++) {
      double z[101] = {0}, e[SECOND] = {0};
      int64_t found = 0;
      e[j] = 1;
      zg_sketch_add_index(s, 1, &i, e, z);
      for (int64_t k = 0; k < length; k++)
        if (z[k] != 0) {
          found++;
          place[i][j] = k;
          sign[i][j] = z[k];
        }
      CU_ASSERT(found == 1 && fabs(sign[i][j]) == 1);
    }
  for (int i = 1; i < FIRST; i++)
    for (int j = 1; j < SECOND; j++) {
      int64_t sum = place[i][0] + place[0][j] - place[0][0] + length;
      CU_ASSERT_EQUAL(place[i][j], sum % length);
      CU_ASSERT_EQUAL(sign[i][j], sign[i][0] * sign[0][j] * sign[0][0]);
    }
  zg_sketch_destroy(&s);
}

typedef struct estimate {
  double mean, deviation; /* over the seeds, of the estimated inner product */
} estimate;

enum { SEEDS = 2000 };

static estimate estimate_products(int64_t length, const double *a, const double *b,
                                  const double *c, const double *d) {
  double sum = 0, squares = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    double x[256] = {0}, y[256] = {0};
    zg_sketch *s = zg_sketch_create(length, FIRST, SECOND, seed);
    zg_sketch_add(s, TERMS, a, b, x);
    zg_sketch_add(s, TERMS, c, d, y);
    double value = dot(length, x, y);
    sum += value;
    squares += value * value;
    zg_sketch_destroy(&s);
  }
  double mean = sum / SEEDS;
  return (estimate){mean, sqrt(squares / SEEDS - mean * mean)};
}

static void products_are_unbiased_and_errors_fall(void) {
  double a[TERMS * FIRST], b[TERMS * SECOND], c[TERMS * FIRST], d[TERMS * SECOND];
  fill(11, TERMS * FIRST, a);
  fill(12, TERMS * SECOND, b);
  fill(13, TERMS * FIRST, c);
  fill(14, TERMS * SECOND, d);
  for (int k = 0; k < TERMS * FIRST; k++)
    c[k] += a[k]; /* something to find */
  for (int k = 0; k < TERMS * SECOND; k++)
    d[k] += b[k];
  double exact = kronecker_dot(a, b, c, d), previous = 0;
  double sizes = sqrt(kronecker_dot(a, b, a, b) * kronecker_dot(c, d, c, d));
  for (int64_t length = 16; length <= 256; length *= 4) {
    estimate e = estimate_products(length, a, b, c, d);
    /* four standard errors of the mean */
    zg_test_close(e.mean, exact, 4 * e.deviation / sqrt(SEEDS), "mean over seeds");
    /* Avron, Nguyen & Woodruff 2014: variance at most (2 + 3^2) / length */
    CU_ASSERT(e.deviation <= sqrt(11 / (double)length) * sizes);
    CU_ASSERT(e.deviation > 0.1 * sizes / sqrt((double)length));
    if (previous > 0) /* four times as long: half the error, to 15 % */
      zg_test_close(e.deviation / previous, 0.5, 0.075, "fall of the error");
    previous = e.deviation;
  }
}

static void plain_sketches_are_unbiased(void) {
  double x[SECOND], y[SECOND], sum = 0, squares = 0;
  fill(15, SECOND, x);
  fill(16, SECOND, y);
  y[0] += x[0];
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    double u[32] = {0}, v[32] = {0};
    zg_sketch *s = zg_sketch_create(32, 0, SECOND, seed);
    zg_count_sketch_add(s, x, u);
    zg_count_sketch_add(s, y, v);
    double value = dot(32, u, v);
    sum += value;
    squares += value * value;
    zg_sketch_destroy(&s);
  }
  double mean = sum / SEEDS, deviation = sqrt(squares / SEEDS - mean * mean);
  zg_test_close(mean, dot(SECOND, x, y), 4 * deviation / sqrt(SEEDS), "mean");
  CU_ASSERT(deviation > 0);
}

/* Buckets are filled evenly and signs are fair: chi-square of 64 buckets and of pairs.
 */
static void hashes_are_even(void) {
  enum { COUNT = 64000, BUCKETS = 64 };
  double *e = calloc(COUNT, sizeof *e), z[BUCKETS], filled[BUCKETS] = {0}, signs = 0;
  zg_sketch *s = zg_sketch_create(BUCKETS, 0, COUNT, 3);
  for (int k = 0; k < COUNT; k++) {
    /* one unit vector at a time would be quadratic: sixteen, told apart by size */
    memset(z, 0, sizeof z);
    if (k % 16) continue;
    for (int j = 0; j < 16; j++)
      e[k + j] = 1;
    zg_count_sketch_add(s, e, z);
    for (int j = 0; j < 16; j++)
      e[k + j] = 0;
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
      filled[bucket] += z[bucket] * z[bucket];
      signs += z[bucket];
    }
  }
  double chi = 0;
  for (int bucket = 0; bucket < BUCKETS; bucket++)
    chi += pow(filled[bucket] - COUNT / BUCKETS, 2) / (COUNT / BUCKETS);
  /* 63 degrees of freedom: 63 +- 11, and collisions within sixteen widen it a little */
  CU_ASSERT(chi < 63 + 7 * 11);
  CU_ASSERT(fabs(signs) < 5 * sqrt(COUNT));
  free(e);
  zg_sketch_destroy(&s);
}

static void seeds_and_prefixes_are_kept(void) {
  double b[SECOND], x[64] = {0}, y[64] = {0}, z[64] = {0};
  fill(17, SECOND, b);
  zg_sketch *s = zg_sketch_create(64, FIRST, SECOND, 8);
  zg_sketch *longer = zg_sketch_create(64, FIRST + 2, SECOND, 8);
  zg_sketch *other = zg_sketch_create(64, FIRST, SECOND, 9);
  int64_t index = FIRST - 1;
  zg_sketch_add_index(s, 1, &index, b, x);
  zg_sketch_add_index(longer, 1, &index, b, y);
  zg_sketch_add_index(other, 1, &index, b, z);
  CU_ASSERT(memcmp(x, y, sizeof x) == 0);
  CU_ASSERT(memcmp(x, z, sizeof x) != 0);
  zg_sketch_destroy(&s);
  zg_sketch_destroy(&longer);
  zg_sketch_destroy(&other);
}

/* Where the product of the unit vectors i and j lies. */
static int64_t place_of(uint64_t seed, int64_t i, int64_t j) {
  double z[64] = {0}, e[SECOND] = {0};
  int64_t place = 0;
  zg_sketch *s = zg_sketch_create(64, FIRST, SECOND, seed);
  e[j] = 1;
  zg_sketch_add_index(s, 1, &i, e, z);
  while (z[place] == 0)
    place++;
  zg_sketch_destroy(&s);
  return place;
}

/* Distances of places do not depend on the other vector's hash: those of either vector
 * are new with every seed, and not those of the other. */
static void both_hashes_depend_on_the_seed(void) {
  int same_first = 0, same_second = 0, alike = 0;
  for (uint64_t seed = 0; seed < 64; seed++) {
    int64_t first = (place_of(seed, 1, 0) - place_of(seed, 0, 0) + 64) % 64;
    int64_t second = (place_of(seed, 0, 1) - place_of(seed, 0, 0) + 64) % 64;
    same_first += first == (place_of(77, 1, 0) - place_of(77, 0, 0) + 64) % 64;
    same_second += second == (place_of(77, 0, 1) - place_of(77, 0, 0) + 64) % 64;
    alike += first == second;
  }
  /* one each is expected */
  CU_ASSERT(same_first < 8 && same_second < 8 && alike < 8);
}

const zg_test zg_tests[] = {
    {"sketches_agree_with_products_of_unit_vectors",
     sketches_agree_with_products_of_unit_vectors},
    {"unit_vectors_go_to_one_bucket", unit_vectors_go_to_one_bucket},
    {"products_are_unbiased_and_errors_fall", products_are_unbiased_and_errors_fall},
    {"plain_sketches_are_unbiased", plain_sketches_are_unbiased},
    {"hashes_are_even", hashes_are_even},
    {"seeds_and_prefixes_are_kept", seeds_and_prefixes_are_kept},
    {"both_hashes_depend_on_the_seed", both_hashes_depend_on_the_seed},
    {NULL, NULL}};
