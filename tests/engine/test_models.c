/** \file
 * Whole runs of measures on parameters, gradients and tangent kernels: right values,
 * the same bits on any number of ranks, and the same bits again when a run was stopped
 * and went on with other ranks. */
#include "base/memory.h"
#include "engine/models.h"
#include "engine/run.h"
#include "files.h"
#include "measures/pairs.h"
#include "mpi_main.h"

#include <float.h>
#include <hdf5_hl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- calls ---- */

static const char *const requests[][2] = {
    {"weight_frobenius", ""},
    {"weight_frobenius", "per=matrix relative=1"},
    {"fisher", ""},
    {"fisher", "form=quadratic"},
    {"fisher", "form=task"},
    {"path_norm", ""},
    {"path_norm", "norm=path2"},
    {"gradient_cosine", ""},
    {"gradient_conflict", ""},
    {"sharpness", ""},
    {"sharpness", "form=quadratic radius=0.01 radius=0.5"},
    {"ntk_distance", ""},
    {"ntk_distance", "scale=trace"},
    {"ntk_distance", "scale=frobenius reduction=full"},
    {"ntk_alignment", "keep_kernel=1"},
    {"ntk_alignment", "reduction=full"},
    {"ntk_alignment", "reduction=full centred=0"},
    {"ntk_distance", "sketch=512"}};
enum { CALLS = sizeof requests / sizeof *requests };

static void make_calls(zg_call calls[CALLS]) {
  for (int k = 0; k < CALLS; k++) {
    calls[k] = zg_test_call_of(requests[k][0], requests[k][1]);
    calls[k].name = zg_call_default_name(&calls[k]);
  }
}

static void clear_calls(zg_call calls[CALLS]) {
  for (int k = 0; k < CALLS; k++)
    zg_test_call_clear(&calls[k]);
}

/* ---- runs ---- */

/* In single precision sums are long enough for it: see zg_plan_precision. */
static const zg_test_sizes small = {5000, 40, 2}, large = {66000, 130, 3};

typedef struct trial {
  char zoo[ZG_TEST_PATH_BYTES], output[ZG_TEST_PATH_BYTES];
  zg_call calls[CALLS];
  zg_test_job job;
} trial;

static void begin(trial *t, const zg_test_sizes *sizes, zg_precision precision) {
  zg_test_path("zoo.h5", t->zoo);
  if (zg_test_rank() == 0) zg_test_models_write(t->zoo, sizes);
  MPI_Barrier(MPI_COMM_WORLD);
  make_calls(t->calls);
  t->job = (zg_test_job){.zoo = t->zoo,
                         .output = t->output,
                         .calls = t->calls,
                         .call_count = CALLS,
                         .precision = precision,
                         .team_size = 1};
}

static void end(trial *t) {
  clear_calls(t->calls);
  MPI_Barrier(MPI_COMM_WORLD);
}

/* To the end, on some ranks. Models 4 and 0 see to it that some input is bad. */
static void run(trial *t, int ranks, const char *output) {
  t->job.ranks = ranks;
  zg_test_path(output, t->output);
  zg_status status = zg_test_engine_run(&t->job);
  if (status != ZG_PARTIAL && zg_test_rank() == 0) printf("\n%s\n", zg_message());
  CU_ASSERT_EQUAL_FATAL(status, ZG_PARTIAL);
}

/* ---- values ---- */

typedef struct view {
  zg_tensor *tensor;
  const zg_call *call;
  double allowed; /* relative */
} view;

/* An entry and its mirror image. */
static void check_entry(const view *v, int64_t i, int64_t k, long double expected,
                        double allowed) {
  int64_t n = v->tensor->columns;
  double found = v->tensor->values[i * n + k];
  zg_test_close(found, (double)expected, allowed, v->call->name);
  CU_ASSERT_EQUAL(v->tensor->values[k * n + i], found);
  int8_t code = v->tensor->codes[i * n + k];
  CU_ASSERT(code == ZG_CODE_OK || code == ZG_CODE_REFINED);
}

static void check_code(const view *v, int64_t i, int64_t k, zg_code expected) {
  int64_t n = v->tensor->columns;
  for (int swapped = 0; swapped < 2; swapped++) {
    int64_t at = swapped ? k * n + i : i * n + k;
    CU_ASSERT_EQUAL(v->tensor->codes[at], expected);
    CU_ASSERT(isnan(v->tensor->values[at]));
  }
}

/* Models 0 to 2 are sound, 3 fits nobody, 4 is spoilt; 5 lacks data or fits. */
static void check_models(const view *v, long double (*twin)(int64_t i, int64_t k),
                         zg_code of_last) {
  for (int64_t i = 0; i < 3; i++) {
    CU_ASSERT_EQUAL(v->tensor->values[i * (ZG_TEST_MODELS + 1)], 0);
    for (int64_t k = 0; k < i; k++) {
      long double expected = twin(i, k);
      check_entry(v, i, k, expected, v->allowed * (double)expected);
    }
    check_code(v, 3, i, ZG_CODE_SHAPE);
    check_code(v, 4, i, ZG_CODE_NONFINITE);
    if (of_last) check_code(v, 5, i, of_last);
  }
  CU_ASSERT_EQUAL(v->tensor->values[3 * ZG_TEST_MODELS + 3], 0); /* with itself */
  check_code(v, 4, 3, ZG_CODE_NONFINITE);
  check_code(v, 4, 4, ZG_CODE_NONFINITE);
}

static view open_view(const trial *t, int call, double allowed) {
  view v = {.call = &t->calls[call], .allowed = allowed};
  CU_ASSERT_EQUAL_FATAL(zg_tensor_read(t->output, v.call->name, &v.tensor), ZG_OK);
  return v;
}

/* Models 1 and 2 agree to six digits: their distances keep ten of the sixteen digits
 * that their numbers have, and nine where they are differences of projections. */
static void check_parameters(const trial *t, double allowed) {
  static const struct {
    int call;
    long double (*twin)(int64_t i, int64_t k);
    zg_code of_last;
    double least; /* that is allowed */
  } tensors[] = {{0, zg_test_weight_distance, ZG_CODE_OK, 0},
                 {2, zg_test_output_distance, ZG_CODE_ABSENT, 0},
                 {3, zg_test_quadratic_distance, ZG_CODE_ABSENT, 1e-9},
                 {4, zg_test_task_distance, ZG_CODE_ABSENT, 0}};
  for (size_t k = 0; k < sizeof tensors / sizeof *tensors; k++) {
    view v = open_view(t, tensors[k].call, fmax(allowed, tensors[k].least));
    check_models(&v, tensors[k].twin, tensors[k].of_last);
    zg_tensor_destroy(&v.tensor);
  }
}

/* Model 3 has other radii, but a path norm like everyone; model 5 has only the latter.
 */
static void check_profiles(const trial *t) {
  view v = open_view(t, 9, 0);
  for (int64_t i = 0; i < 3; i++) {
    for (int64_t k = 0; k < i; k++) /* means of numbers of size 1 */
      check_entry(&v, i, k, zg_test_sharpness_distance(i, k), 16 * DBL_EPSILON);
    check_code(&v, 3, i, ZG_CODE_SHAPE);
    check_code(&v, 4, i, ZG_CODE_NONFINITE);
    check_code(&v, 5, i, ZG_CODE_ABSENT);
  }
  zg_tensor_destroy(&v.tensor);
  v = open_view(t, 6, 0);
  for (int64_t i = 0; i < ZG_TEST_MODELS; i++)
    for (int64_t k = 0; k < i; k++)
      if (i == 4 || k == 4)
        check_code(&v, i, k, ZG_CODE_NONFINITE);
      else /* logarithms of size 10 */
        check_entry(&v, i, k, zg_test_path_distance(i, k), 256 * DBL_EPSILON);
  zg_tensor_destroy(&v.tensor);
}

/* The exact maximum has its own tests; here it is a matter of who has one. */
static void check_who_has_gradients(const trial *t) {
  view v = open_view(t, 10, 0);
  for (int64_t i = 0; i < 4; i++) { /* the number of parameters does not matter */
    for (int64_t k = 0; k < i; k++)
      CU_ASSERT(v.tensor->values[i * ZG_TEST_MODELS + k] > 0);
    check_code(&v, 4, i, ZG_CODE_NONFINITE);
    check_code(&v, 5, i, ZG_CODE_ABSENT);
  }
  zg_tensor_destroy(&v.tensor);
}

/* A cosine is right to `allowed` itself, a conflict relative to its value. */
static void check_gradients(const trial *t, const zg_test_sizes *sizes,
                            double allowed) {
  view cosine = open_view(t, 7, allowed), conflict = open_view(t, 8, allowed);
  CU_ASSERT_EQUAL_FATAL(cosine.tensor->rows, 5 * ZG_TEST_TASKS);
  for (int64_t x = 0; x < 3 * ZG_TEST_TASKS; x++)
    for (int64_t y = 0; y < x; y++) {
      int64_t i = x / ZG_TEST_TASKS, s = x % ZG_TEST_TASKS;
      int64_t k = y / ZG_TEST_TASKS, u = y % ZG_TEST_TASKS;
      long double expected = zg_test_gradient_conflict(sizes, i, s, k, u);
      check_entry(&conflict, x, y, expected, 2 * allowed * fabs((double)expected));
      check_entry(&cosine, x, y, zg_test_gradient_cosine(sizes, i, s, k, u), allowed);
    }
  for (int64_t y = 0; y < 3 * ZG_TEST_TASKS; y++) {
    CU_ASSERT_EQUAL(cosine.tensor->values[y * cosine.tensor->columns + y], 1);
    CU_ASSERT_EQUAL(conflict.tensor->values[y * cosine.tensor->columns + y], 0);
    check_code(&cosine, 3 * ZG_TEST_TASKS, y, ZG_CODE_SHAPE);
    check_code(&conflict, 4 * ZG_TEST_TASKS, y, ZG_CODE_NONFINITE);
  }
  zg_tensor_destroy(&cosine.tensor);
  zg_tensor_destroy(&conflict.tensor);
}

static void read_kept(const char *path, const zg_call *call, const char *name,
                      double *values) {
  char dataset[256];
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  snprintf(dataset, sizeof dataset, "/kept/%s/%s", call->name, name);
  CU_ASSERT(H5LTread_dataset_double(file, dataset, values) >= 0);
  H5Fclose(file);
}

static void check_total(const trial *t, const zg_test_sizes *sizes, double allowed) {
  double found[ZG_TEST_MODELS];
  read_kept(t->output, &t->calls[8], "total", found);
  for (int64_t i = 0; i < 3; i++) {
    double expected = (double)zg_test_total_conflict(sizes, i);
    zg_test_close(found[i], expected, allowed * fabs(expected), "total");
  }
  CU_ASSERT(isfinite(found[3]) && isnan(found[4]) && isnan(found[5]));
}

/* ---- kernels ---- */

static long double product(int64_t rows, const long double *K, const long double *L) {
  long double sum = 0;
  for (int64_t k = 0; k < rows * rows; k++)
    sum += K[k] * L[k];
  return sum;
}

static long double trace(int64_t rows, const long double *K) {
  long double sum = 0;
  for (int64_t k = 0; k < rows; k++)
    sum += K[k * rows + k];
  return sum;
}

static long double distance(int64_t rows, const long double *K, long double of_K,
                            const long double *L, long double of_L) {
  long double sum = 0;
  for (int64_t k = 0; k < rows * rows; k++)
    sum += powl(K[k] / of_K - L[k] / of_L, 2);
  return sqrtl(sum);
}

static void centre(int64_t rows, long double *K) {
  long double *mean = ZG_NEW0(long double, rows), all = 0;
  for (int64_t a = 0; a < rows; a++) {
    for (int64_t b = 0; b < rows; b++)
      mean[a] += K[a * rows + b] / (long double)rows;
    all += mean[a] / (long double)rows;
  }
  for (int64_t k = 0; k < rows * rows; k++)
    K[k] += all - mean[k / rows] - mean[k % rows];
  free(mean);
}

static long double kernel_value(const zg_call *call, int64_t rows, const long double *K,
                                const long double *L) {
  bool alignment = !strcmp(call->measure->name, "ntk_alignment");
  long double kk = sqrtl(product(rows, K, K)), ll = sqrtl(product(rows, L, L));
  if (alignment) return product(rows, K, L) / (kk * ll);
  if (zg_call_is(call, "scale", "trace"))
    return distance(rows, K, trace(rows, K), L, trace(rows, L));
  if (zg_call_is(call, "scale", "frobenius")) return distance(rows, K, kk, L, ll);
  return distance(rows, K, 1, L, 1);
}

/* A distance of kernels is right relative to itself, an alignment to 1. */
static void check_kernels_of(const trial *t, const zg_test_sizes *sizes, int call,
                             double allowed) {
  static const int64_t models[] = {0, 1, 2, 5}; /* the last by its Jacobian */
  view v = open_view(t, call, allowed);
  bool full = zg_call_is(v.call, "reduction", "full");
  bool alignment = !strcmp(v.call->measure->name, "ntk_alignment");
  int64_t rows = sizes->samples * (full ? sizes->classes : 1);
  long double *kernels[4];
  for (int k = 0; k < 4; k++) {
    kernels[k] = zg_test_kernel(sizes, models[k], full);
    if (alignment && zg_call_value(v.call, "centred") == 1) centre(rows, kernels[k]);
  }
  for (int i = 0; i < 4; i++) {
    CU_ASSERT_EQUAL(v.tensor->values[models[i] * (ZG_TEST_MODELS + 1)], alignment);
    for (int k = 0; k < i; k++) {
      long double expected = kernel_value(v.call, rows, kernels[i], kernels[k]);
      check_entry(&v, models[i], models[k], expected,
                  alignment ? allowed : allowed * (double)expected);
    }
    check_code(&v, models[i], 3, ZG_CODE_SHAPE);
    check_code(&v, models[i], 4, ZG_CODE_NONFINITE);
  }
  for (int k = 0; k < 4; k++)
    free(kernels[k]);
  zg_tensor_destroy(&v.tensor);
}

static void check_kernels(const trial *t, const zg_test_sizes *sizes, double allowed) {
  for (int call = 11; call <= 16; call++)
    check_kernels_of(t, sizes, call, allowed);
}

/* A sketched distance lies within a few of its standard errors, which are a part of it.
 */
static void check_sketches(const trial *t, const zg_test_sizes *sizes) {
  double errors[ZG_TEST_MODELS];
  view v = open_view(t, 17, 0);
  read_kept(t->output, v.call, "standard_error", errors);
  int64_t m = sizes->samples;
  long double *kernels[2] = {zg_test_kernel(sizes, 0, false),
                             zg_test_kernel(sizes, 1, false)};
  double exact = (double)distance(m, kernels[0], 1, kernels[1], 1);
  for (int64_t k = 1; k < 3; k++) { /* model 2 is nearly model 1 */
    CU_ASSERT(errors[k] > 0 && errors[k] < exact / 2);
    check_entry(&v, k, 0, exact, 6 * fmax(errors[0], errors[k]));
  }
  CU_ASSERT(errors[0] > 0);
  check_code(&v, 3, 0, ZG_CODE_SHAPE);
  check_code(&v, 4, 0, ZG_CODE_NONFINITE);
  check_code(&v, 5, 0, ZG_CODE_ABSENT); /* a Jacobian is not sketched */
  CU_ASSERT(isnan(errors[4]) && isnan(errors[5]));
  free(kernels[0]);
  free(kernels[1]);
  zg_tensor_destroy(&v.tensor);
}

static void check_kept_kernels(const trial *t, const zg_test_sizes *sizes) {
  int64_t m = sizes->samples, size = m * m;
  double *kernels = ZG_NEW(double, ZG_TEST_MODELS *size);
  double *eigenvalues = ZG_NEW(double, ZG_TEST_MODELS *m);
  read_kept(t->output, &t->calls[14], "kernel", kernels);
  read_kept(t->output, &t->calls[14], "eigenvalues", eigenvalues);
  for (int64_t model = 0; model < ZG_TEST_MODELS; model++) {
    const double *found = kernels + model * size, *values = eigenvalues + model * m;
    if (model == 3 || model == 4) { /* one sample fewer; spoilt */
      CU_ASSERT(isnan(found[size - 1]) && isnan(values[m - 1]));
      CU_ASSERT_EQUAL(isnan(found[0]), model == 4);
      CU_ASSERT_EQUAL(isnan(values[0]), model == 4);
      continue;
    }
    long double *expected = zg_test_kernel(sizes, model, false);
    long double whole = trace(m, expected), sum = 0;
    /* entries are at most the trace; sums of m eigenvalues are the trace */
    for (int64_t k = 0; k < size; k++)
      zg_test_close(found[k], (double)expected[k], 64 * DBL_EPSILON * (double)whole,
                    "kernel");
    for (int64_t k = 0; k < m; k++) {
      sum += values[k];
      CU_ASSERT(!k || values[k] >= values[k - 1]);
    }
    zg_test_close((double)sum, (double)whole,
                  64 * (double)m * DBL_EPSILON * (double)whole, "sum of eigenvalues");
    free(expected);
  }
  free(kernels);
  free(eigenvalues);
}

/* ---- tests of values ---- */

static void values_are_right_in_double(void) {
  trial t;
  begin(&t, &small, ZG_DOUBLE);
  run(&t, 0, "double.h5");
  if (zg_test_rank() == 0) {
    /* 1e-6 apart and doubles: ten digits are left */
    check_parameters(&t, 2e-10);
    check_profiles(&t);
    check_who_has_gradients(&t);
    check_gradients(&t, &small, 2e-10);
    check_total(&t, &small, 1e-12);
    check_kernels(&t, &small, 2e-10);
    check_sketches(&t, &small);
    check_kept_kernels(&t, &small);
  }
  end(&t);
}

/* The program promises 2e-5, and more where vectors nearly agree. */
static void values_are_right_in_single(void) {
  trial t;
  begin(&t, &large, ZG_SINGLE);
  run(&t, 0, "single.h5");
  if (zg_test_rank() == 0) {
    check_parameters(&t, 2e-5);
    check_gradients(&t, &large, 2e-5);
    check_total(&t, &large, 2e-5);
    check_kernels(&t, &large, 2e-5);
    check_sketches(&t, &large);
    check_kept_kernels(&t, &large);
  }
  end(&t);
}

/* ---- bits ---- */

/* Largest kept quantity. */
static int64_t kept_numbers(const zg_test_sizes *sizes) {
  return ZG_TEST_MODELS * sizes->samples * sizes->samples;
}

static bool same(double a, double b) {
  return a == b || (isnan(a) && isnan(b));
}

static void compare_tensors(const zg_call *call, const char *path, const char *other) {
  zg_tensor *a, *b;
  CU_ASSERT_EQUAL_FATAL(zg_tensor_read(path, call->name, &a), ZG_OK);
  CU_ASSERT_EQUAL_FATAL(zg_tensor_read(other, call->name, &b), ZG_OK);
  int64_t size = a->rows * a->columns, different = 0;
  CU_ASSERT_EQUAL_FATAL(size, b->rows * b->columns);
  for (int64_t k = 0; k < size; k++)
    different += !same(a->values[k], b->values[k]) || a->codes[k] != b->codes[k];
  CU_ASSERT_EQUAL(different, 0);
  if (different) printf("\n%s: %d entries differ\n", call->name, (int)different);
  zg_tensor_destroy(&a);
  zg_tensor_destroy(&b);
}

/* Eigenvalues come from ScaLAPACK, whose grid depends on the ranks. */
static void compare_kept(const zg_call *call, const char *path, const char *other,
                         int64_t most) {
  zg_kept kept[ZG_MAX_KEPT];
  double *a = ZG_NEW(double, most), *b = ZG_NEW(double, most);
  for (int64_t q = 0; q < zg_call_kept(call, kept); q++) {
    if (!strcmp(kept[q].name, "eigenvalues")) continue;
    int64_t different = 0;
    memset(a, 0, (size_t)most * sizeof *a);
    memset(b, 0, (size_t)most * sizeof *b);
    read_kept(path, call, kept[q].name, a);
    read_kept(other, call, kept[q].name, b);
    for (int64_t k = 0; k < most; k++)
      different += !same(a[k], b[k]);
    CU_ASSERT_EQUAL(different, 0);
    if (different)
      printf("\n%s of %s: %d differ\n", kept[q].name, call->name, (int)different);
  }
  free(a);
  free(b);
}

static void compare(const trial *t, const zg_test_sizes *sizes, const char *with) {
  char other[ZG_TEST_PATH_BYTES];
  zg_test_path(with, other);
  if (zg_test_rank() != 0) return;
  for (int k = 0; k < CALLS; k++) {
    compare_tensors(&t->calls[k], t->output, other);
    compare_kept(&t->calls[k], t->output, other, kept_numbers(sizes));
  }
}

static void check_bits(const zg_test_sizes *sizes, zg_precision precision) {
  trial t;
  begin(&t, sizes, precision);
  run(&t, 1, "one.h5");
  for (int ranks = 2; ranks <= zg_test_ranks(); ranks++) {
    run(&t, ranks, "several.h5");
    compare(&t, sizes, "one.h5");
  }
  run(&t, 0, "again.h5"); /* and the same ranks give the same, of course */
  compare(&t, sizes, "one.h5");
  end(&t);
}

static void any_number_of_ranks_gives_the_same_bits(void) {
  check_bits(&small, ZG_DOUBLE);
}

static void also_in_single_precision(void) {
  check_bits(&large, ZG_SINGLE);
}

/* ---- interruption ---- */

static int questions;

static bool stop_after_some(void) {
  return questions-- <= 0;
}

/* Runs on changing numbers of ranks, each stopped a little later than the one before
 * (close pairs are not part of the state, so each run has to get through them), until
 * one comes to the end. */
static void check_resumption(int step, bool upwards, const char *name) {
  trial t;
  char part[ZG_TEST_PATH_BYTES];
  begin(&t, &small, ZG_SINGLE);
  run(&t, 0, "whole.h5");
  zg_test_path(name, part);
  zg_status status = ZG_STOPPED;
  int runs = 0;
  t.job.output = part;
  t.job.should_stop = stop_after_some;
  t.job.checkpoint = 1e-9; /* finished passes are worth keeping, too */
  for (; status == ZG_STOPPED && runs < 400; runs++) {
    int turn = runs % zg_test_ranks();
    t.job.ranks = upwards ? turn + 1 : zg_test_ranks() - turn;
    questions = step * (runs + 1);
    CU_ASSERT_NOT_EQUAL(access(part, F_OK), 0);
    MPI_Barrier(MPI_COMM_WORLD);
    status = zg_test_engine_run(&t.job);
  }
  CU_ASSERT_EQUAL_FATAL(status, ZG_PARTIAL);
  CU_ASSERT(runs > 3);
  compare(&t, &small, name);
  end(&t);
}

static void a_stopped_run_goes_on_to_the_same_bits(void) {
  check_resumption(3, true, "upwards.h5");
}

static void also_when_it_is_stopped_elsewhere(void) {
  check_resumption(5, false, "downwards.h5");
}

const zg_test zg_tests[] = {
    {"values_are_right_in_double", values_are_right_in_double},
    {"values_are_right_in_single", values_are_right_in_single},
    {"any_number_of_ranks_gives_the_same_bits",
     any_number_of_ranks_gives_the_same_bits},
    {"also_in_single_precision", also_in_single_precision},
    {"a_stopped_run_goes_on_to_the_same_bits", a_stopped_run_goes_on_to_the_same_bits},
    {"also_when_it_is_stopped_elsewhere", also_when_it_is_stopped_elsewhere},
    {NULL, NULL}};
