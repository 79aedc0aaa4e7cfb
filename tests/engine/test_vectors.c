/** \file
 * Vectors that are hard to compare: far from 1 in size, zero where sizes are guessed
 * from, nearly parallel, peaked; against plain loops in long double. */
#include "base/memory.h"
#include "engine/run.h"
#include "files.h"
#include "measures/pairs.h"
#include "mpi_main.h"

#include <float.h>
#include <hdf5_hl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- vectors ---- */

/* Number k of a vector. */
typedef double number_fn(int vector, int64_t k);

/* How numbers lie in the file: all as doubles or floats, or in turn. */
typedef enum number_type { DOUBLES, FLOATS, BOTH } number_type;

typedef struct vectors {
  number_fn *number;
  int count;
  int64_t length;
  number_type type;
} vectors;

static bool is_float(const vectors *v, int vector) {
  return v->type == FLOATS || (v->type == BOTH && vector % 2);
}

static double value(const vectors *v, int vector, int64_t k) {
  double x = v->number(vector, k);
  return is_float(v, vector) ? (double)(float)x : x;
}

static double noise(int vector, int64_t k) {
  return zg_test_random(400 + (unsigned long)vector, (unsigned long)k);
}

/* ---- the twin ---- */

typedef struct products {
  long double norm[2], gh, apart, unit_apart; /* |g - h|, |g/|g| - h/|h|| */
} products;

static products products_of(const vectors *v, int a, int b) {
  products p = {{0, 0}, 0, 0, 0};
  long double largest = 1e-4000L;
  for (int64_t k = 0; k < v->length; k++) {
    largest = fmaxl(largest, fabsl((long double)value(v, a, k)));
    largest = fmaxl(largest, fabsl((long double)value(v, b, k)));
  }
  for (int64_t k = 0; k < v->length; k++) {
    long double g = value(v, a, k) / largest, h = value(v, b, k) / largest;
    p.norm[0] += g * g;
    p.norm[1] += h * h;
    p.gh += g * h;
    p.apart += (g - h) * (g - h);
  }
  p.norm[0] = sqrtl(p.norm[0]);
  p.norm[1] = sqrtl(p.norm[1]);
  for (int64_t k = 0; k < v->length; k++) {
    long double g = value(v, a, k) / largest / p.norm[0];
    long double h = value(v, b, k) / largest / p.norm[1];
    p.unit_apart += (g - h) * (g - h);
  }
  p.norm[0] *= largest;
  p.norm[1] *= largest;
  p.gh *= largest * largest;
  p.apart = sqrtl(p.apart) * largest;
  p.unit_apart = sqrtl(p.unit_apart);
  return p;
}

static long double conflict(const products *p) {
  long double g = p->norm[0], h = p->norm[1];
  long double sum = sqrtl(g * g + h * h + 2 * p->gh);
  return -g * h * p->unit_apart * p->unit_apart / (sum + g + h);
}

/* ---- runs ---- */

enum { COSINE, CONFLICT, MATRIX, CALLS };

typedef struct outcome {
  zg_tensor *tensors[CALLS];
  double total; /* conflict of all tasks */
} outcome;

static void write_zoo(const char *path, const vectors *v) {
  const hsize_t length = (hsize_t)v->length;
  hid_t file = zg_test_zoo_create(path);
  double *values = ZG_NEW(double, v->length);
  for (int i = 0; i < v->count; i++) {
    char name[64];
    hid_t type = is_float(v, i) ? H5T_IEEE_F32LE : H5T_IEEE_F64LE;
    for (int64_t k = 0; k < v->length; k++)
      values[k] = value(v, i, k);
    snprintf(name, sizeof name, "/models/m/gradients/t%d", i);
    zg_test_zoo_dataset(file, name, type, 1, &length, values);
    snprintf(name, sizeof name, "/models/m/weights/w%d", i);
    zg_test_zoo_dataset(file, name, type, 1, &length, values);
  }
  free(values);
  zg_test_zoo_close(file);
}

static void read_outcome(const char *path, const zg_call *calls, outcome *o) {
  for (int c = 0; c < CALLS; c++)
    CU_ASSERT_EQUAL_FATAL(zg_tensor_read(path, calls[c].name, &o->tensors[c]), ZG_OK);
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  CU_ASSERT(H5LTread_dataset_double(file, "/kept/gradient_conflict/total", &o->total) >=
            0);
  H5Fclose(file);
}

/* Collective; only rank 0 gets the tensors. */
static bool compute(const vectors *v, zg_status expected, outcome *o) {
  char zoo[ZG_TEST_PATH_BYTES], output[ZG_TEST_PATH_BYTES];
  zg_call calls[CALLS] = {zg_test_call_of("gradient_cosine", ""),
                          zg_test_call_of("gradient_conflict", ""),
                          zg_test_call_of("weight_frobenius", "per=matrix")};
  for (int c = 0; c < CALLS; c++)
    calls[c].name = zg_call_default_name(&calls[c]);
  zg_test_path("vectors.h5", zoo);
  if (zg_test_rank() == 0) write_zoo(zoo, v);
  MPI_Barrier(MPI_COMM_WORLD);
  zg_test_job job = {.zoo = zoo,
                     .output = zg_test_path("vectors-results.h5", output),
                     .calls = calls,
                     .call_count = CALLS,
                     .precision = ZG_SINGLE, /* short vectors are in double anyhow */
                     .team_size = 1};
  CU_ASSERT_EQUAL_FATAL(zg_test_engine_run(&job), expected);
  *o = (outcome){0};
  if (zg_test_rank() == 0) read_outcome(output, calls, o);
  for (int c = 0; c < CALLS; c++)
    zg_test_call_clear(&calls[c]);
  MPI_Barrier(MPI_COMM_WORLD);
  return zg_test_rank() == 0;
}

static void clear_outcome(outcome *o) {
  for (int c = 0; c < CALLS; c++)
    zg_tensor_destroy(&o->tensors[c]);
}

static double entry(const outcome *o, int tensor, int a, int b) {
  return o->tensors[tensor]->values[a * o->tensors[tensor]->columns + b];
}

/* All pairs. Directions themselves are known to a few eps. */
static void check_pairs(const outcome *o, const vectors *v, double allowed) {
  const double direction = 64 * DBL_EPSILON * DBL_EPSILON;
  for (int a = 0; a < v->count; a++)
    for (int b = 0; b < a; b++) {
      products p = products_of(v, a, b);
      double cosine = (double)(1 - p.unit_apart * p.unit_apart / 2);
      double lack = (double)conflict(&p), apart = (double)p.apart;
      zg_test_close(entry(o, COSINE, a, b), cosine, allowed, "cosine");
      zg_test_close(entry(o, CONFLICT, a, b), lack,
                    2 * allowed * fabs(lack) + direction * (double)p.norm[0],
                    "conflict");
      zg_test_close(entry(o, MATRIX, a, b), apart, allowed * apart, "distance");
    }
}

static void check_stored(number_fn *number, int count, int64_t length, number_type type,
                         double allowed) {
  outcome o;
  const vectors v = {number, count, length, type};
  if (compute(&v, ZG_OK, &o)) check_pairs(&o, &v, allowed);
  clear_outcome(&o);
}

enum { LENGTH = 40000, LONG = 150001 };

/* Short sums are in double: differences of vectors that agree to six digits keep ten.
 */
static void check_vectors(number_fn *number, int count) {
  check_stored(number, count, LENGTH, DOUBLES, 2e-10);
}

/* ---- sizes ---- */

static const double powers[] = {1e-6, 1e-3, 1, 1e3, 1e6};

/* Noise of very different sizes. */
static double of_any_size(int vector, int64_t k) {
  return powers[vector] * noise(vector, k);
}

static void sizes_do_not_matter(void) {
  check_vectors(of_any_size, 5);
}

/* All of them far from 1, so that squares would over- or underflow. */
static double tiny(int vector, int64_t k) {
  return 1e-148 * of_any_size(vector, k);
}
static double huge(int vector, int64_t k) {
  return 1e148 * of_any_size(vector, k);
}

static void squares_do_not_overflow(void) {
  check_vectors(tiny, 5);
  check_vectors(huge, 5);
}

/* A model that has diverged beside ordinary ones, and one that has vanished. */
static double diverged(int vector, int64_t k) {
  static const double sizes[] = {1e130, 1, 1, 1e20, 1e-20};
  return sizes[vector] * noise(vector, k);
}

static void a_diverged_model_does_not_hide_the_others(void) {
  check_vectors(diverged, 5);
}

/* Zero at the beginning, in the middle and at the end, where sizes are guessed, as the
 * gradient of an embedding is for words that do not occur. */
static double small_in_between(int vector, int64_t k) {
  static const double sizes[] = {1e-6, 1e-30, 1e6, 1};
  bool between = (k >= 5000 && k < 10000) || (k >= 25000 && k < 30000);
  return between ? sizes[vector] * noise(vector, k) : 0;
}

static void sparse_vectors_keep_their_digits(void) {
  check_vectors(small_in_between, 4);
}

/* A small vector with one number that outweighs all others, in another place each. */
static double peaked(int vector, int64_t k) {
  return k == 7001 + 3000 * vector ? 1e6 : noise(vector, k);
}

static void peaks_do_not_hide_the_rest(void) {
  check_vectors(peaked, 3);
}

/* ---- vectors that nearly agree ---- */

/* A vector, the same but for a millionth, and multiples of both. */
static double nearly_parallel(int vector, int64_t k) {
  double x = noise(0, k) + 0.5, nudged = x + 1e-6 * noise(1, k);
  switch (vector) {
  case 0:
    return x;
  case 1:
    return nudged;
  case 2:
    return 1e3 * nudged;
  default:
    return -0.25 * x;
  }
}

static void nearly_parallel_vectors_keep_their_digits(void) {
  check_vectors(nearly_parallel, 4);
}

/* Equal vectors: exactly no distance, exactly no conflict. */
static double equal(int vector, int64_t k) {
  (void)vector;
  return noise(0, k);
}

static void equal_vectors_are_exactly_equal(void) {
  outcome o;
  const vectors v = {equal, 3, LENGTH, DOUBLES};
  if (compute(&v, ZG_OK, &o))
    for (int a = 0; a < 3; a++)
      for (int b = 0; b < 3; b++) {
        CU_ASSERT_EQUAL(entry(&o, COSINE, a, b), 1);
        CU_ASSERT_EQUAL(entry(&o, CONFLICT, a, b), 0);
        CU_ASSERT_EQUAL(entry(&o, MATRIX, a, b), 0);
      }
  clear_outcome(&o);
}

/* ---- how numbers are stored ---- */

static void floats_and_doubles_are_read_alike(void) {
  check_stored(of_any_size, 5, LENGTH, FLOATS, 2e-10);
  check_stored(of_any_size, 5, LENGTH, BOTH, 2e-10);
  check_stored(nearly_parallel, 4, LENGTH, FLOATS, 2e-10);
  check_stored(nearly_parallel, 4, LENGTH, BOTH, 2e-10);
}

/* Long sums are in single precision, to 2e-5 as the program promises; where that is not
 * good enough they are made of differences. */
static void long_vectors_keep_the_promise(void) {
  for (number_type type = DOUBLES; type <= BOTH; type++) {
    check_stored(of_any_size, 5, LONG, type, 2e-5);
    check_stored(nearly_parallel, 4, LONG, type, 2e-5);
    check_stored(peaked, 3, LONG, type, 2e-5);
  }
}

/* ---- nothing at all ---- */

/* The third one is zero. */
static double one_is_zero(int vector, int64_t k) {
  return vector == 2 ? 0 : noise(vector, k) + 0.2;
}

static void a_zero_gradient_has_no_direction_and_no_conflict(void) {
  outcome o;
  const vectors v = {one_is_zero, 4, LENGTH, DOUBLES};
  if (compute(&v, ZG_PARTIAL, &o)) {
    for (int a = 0; a < 4; a++) {
      CU_ASSERT(isnan(entry(&o, COSINE, 2, a)) && isnan(entry(&o, COSINE, a, 2)));
      CU_ASSERT_EQUAL(o.tensors[COSINE]->codes[2 * 4 + a], ZG_CODE_ZERO_VARIANCE);
      CU_ASSERT_EQUAL(entry(&o, CONFLICT, 2, a), 0);
      CU_ASSERT_EQUAL(o.tensors[CONFLICT]->codes[2 * 4 + a], ZG_CODE_OK);
    }
    products p = products_of(&v, 0, 1);
    zg_test_close(entry(&o, MATRIX, 2, 0), (double)p.norm[0], 1e-13 * (double)p.norm[0],
                  "distance from zero");
    /* the sum of the other three: it does not matter that there is a fourth */
    long double whole = 0, norms = 0;
    for (int64_t k = 0; k < LENGTH; k++) {
      long double sum = 0;
      for (int i = 0; i < 4; i++)
        sum += one_is_zero(i, k);
      whole += sum * sum;
    }
    for (int i = 0; i < 4; i++)
      if (i != 2) norms += products_of(&v, i, i).norm[0];
    double expected = (double)(sqrtl(whole) - norms);
    zg_test_close(o.total, expected, 1e-11 * fabs(expected), "total");
  }
  clear_outcome(&o);
}

const zg_test zg_tests[] = {
    {"sizes_do_not_matter", sizes_do_not_matter},
    {"squares_do_not_overflow", squares_do_not_overflow},
    {"a_diverged_model_does_not_hide_the_others",
     a_diverged_model_does_not_hide_the_others},
    {"sparse_vectors_keep_their_digits", sparse_vectors_keep_their_digits},
    {"peaks_do_not_hide_the_rest", peaks_do_not_hide_the_rest},
    {"nearly_parallel_vectors_keep_their_digits",
     nearly_parallel_vectors_keep_their_digits},
    {"equal_vectors_are_exactly_equal", equal_vectors_are_exactly_equal},
    {"floats_and_doubles_are_read_alike", floats_and_doubles_are_read_alike},
    {"long_vectors_keep_the_promise", long_vectors_keep_the_promise},
    {"a_zero_gradient_has_no_direction_and_no_conflict",
     a_zero_gradient_has_no_direction_and_no_conflict},
    {NULL, NULL}};
