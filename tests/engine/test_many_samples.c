/** \file
 * Linear kernels of so many samples that they are compared by products of features:
 * values by the definition, with whole kernel matrices; the same bits on any number of
 * ranks and after an interruption; and tiles where one sample outweighs the others. */
#include "base/memory.h"
#include "engine/run.h"
#include "engine/twin.h"
#include "files.h"
#include "measures/pairs.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the zoo ---- */

enum { ITEMS = 6, SOUND = 4, NONFINITE = 4, CONSTANT = 5, FEW = 2100, MANY = 40000 };
static const int64_t widths[ITEMS] = {1, 3, 20, 5, 7, 2};

/* How much one sample of items 1 and 2 stands out; from which sample on item 0 is
 * elsewhere; where the item that is not finite has its NaN; whether an item is
 * constant, which shows in any sample of its rows. */
static double peak;
static struct {
  int64_t from, nan_at;
  bool constant;
} odd = {.from = INT64_MAX, .nan_at = 2, .constant = true};

/* Item 1 is a distorted copy of item 0, item 3 lies far from zero. */
static double feature(int64_t item, int64_t row, int64_t k) {
  double own = zg_test_random(60 + (unsigned long)item, (unsigned long)(row * 64 + k));
  double shared = zg_test_random(60, (unsigned long)(row * 64));
  double more = row == 77 && (item == 1 || item == 2) ? peak : 0;
  switch (item) {
  case 0:
    return own + more + (row >= odd.from ? 50 : 0);
  case 1:
    return shared * (double)(k + 1) + 0.3 * own + more;
  case 3:
    return 30 + own + 0.5 * shared;
  case NONFINITE:
    return row == odd.nan_at && k == 3 ? NAN : own;
  case CONSTANT:
    return odd.constant ? 0.1 * (double)(k + 1) : own;
  default:
    return own + more;
  }
}

static void make_items(zg_twin_item items[ITEMS], int64_t n) {
  for (int64_t i = 0; i < ITEMS; i++) {
    double *features = ZG_NEW(double, n *widths[i]);
    for (int64_t k = 0; k < n * widths[i]; k++)
      features[k] = feature(i, k / widths[i], k % widths[i]);
    items[i] = (zg_twin_item){features, n, widths[i]};
  }
}

static void free_items(zg_twin_item items[ITEMS]) {
  for (int64_t i = 0; i < ITEMS; i++)
    free((void *)items[i].features);
}

static void write_zoo(const char *path, const zg_twin_item items[ITEMS]) {
  hid_t file = zg_test_zoo_create(path);
  for (int64_t i = 0; i < ITEMS; i++) {
    char layer[32];
    snprintf(layer, sizeof layer, "l%d", (int)i);
    zg_test_zoo_layer(file, "net", layer, items[i].n, items[i].d, items[i].features);
  }
  zg_test_zoo_close(file);
}

/* ---- runs ---- */

enum { CALLS = 4 };

typedef struct trial {
  char zoo[ZG_TEST_PATH_BYTES], output[ZG_TEST_PATH_BYTES];
  zg_twin_item items[ITEMS];
  zg_call calls[CALLS];
  zg_test_job job;
} trial;

static void begin(trial *t, int64_t n, double standing_out, zg_precision precision) {
  static const char *const requests[CALLS][2] = {{"cka", ""},
                                                 {"hsic", ""},
                                                 {"cka", "estimator=biased"},
                                                 {"hsic", "estimator=biased"}};
  peak = standing_out;
  make_items(t->items, n);
  zg_test_path("many.h5", t->zoo);
  if (zg_test_rank() == 0) write_zoo(t->zoo, t->items);
  MPI_Barrier(MPI_COMM_WORLD);
  for (int k = 0; k < CALLS; k++) {
    t->calls[k] = zg_test_call_of(requests[k][0], requests[k][1]);
    t->calls[k].name = zg_call_default_name(&t->calls[k]);
  }
  t->job = (zg_test_job){.zoo = t->zoo,
                         .output = t->output,
                         .calls = t->calls,
                         .call_count = CALLS,
                         .precision = precision,
                         .team_size = 1};
}

static void run(trial *t, int ranks, const char *output) {
  t->job.ranks = ranks;
  zg_test_path(output, t->output);
  CU_ASSERT_EQUAL_FATAL(zg_test_engine_run(&t->job), ZG_PARTIAL);
}

static void end(trial *t) {
  for (int k = 0; k < CALLS; k++)
    zg_test_call_clear(&t->calls[k]);
  free_items(t->items);
  MPI_Barrier(MPI_COMM_WORLD);
}

/* ---- values ---- */

static void check_spoilt(const zg_call *call, const zg_tensor *tensor, int64_t i,
                         int64_t k) {
  bool nonfinite = i == NONFINITE || k == NONFINITE;
  double found = tensor->values[i * ITEMS + k];
  CU_ASSERT_EQUAL(tensor->codes[i * ITEMS + k],
                  nonfinite ? ZG_CODE_NONFINITE : ZG_CODE_ZERO_VARIANCE);
  bool zero = !nonfinite && call->measure == zg_measure_find("hsic");
  CU_ASSERT(zero ? found == 0 : isnan(found));
}

/* HSIC is right relative to the root of the product of both items' own, CKA to 1. */
static void check_tensor(const trial *t, int call, const long double *hsic,
                         double allowed) {
  zg_tensor *tensor;
  CU_ASSERT_EQUAL_FATAL(zg_tensor_read(t->output, t->calls[call].name, &tensor), ZG_OK);
  for (int64_t i = 0; i < ITEMS; i++)
    for (int64_t k = 0; k < ITEMS; k++) {
      double found = tensor->values[i * ITEMS + k];
      double back = tensor->values[k * ITEMS + i];
      CU_ASSERT(found == back || (isnan(found) && isnan(back)));
      if (!odd.constant && (i == CONSTANT || k == CONSTANT)) continue;
      if (i >= SOUND || k >= SOUND) {
        check_spoilt(&t->calls[call], tensor, i, k);
        continue;
      }
      double unit = (double)sqrtl(hsic[i * SOUND + i] * hsic[k * SOUND + k]);
      double expected = (double)hsic[i * SOUND + k];
      if (call % 2 == 0)
        zg_test_close(found, expected / unit, allowed, t->calls[call].name);
      else
        zg_test_close(found, expected, allowed * unit, t->calls[call].name);
      CU_ASSERT_EQUAL(tensor->codes[i * ITEMS + k], ZG_CODE_OK);
      if (call % 2 == 0 && i == k) CU_ASSERT_EQUAL(found, 1);
    }
  zg_tensor_destroy(&tensor);
}

static void check_values(const trial *t, double allowed) {
  long double hsic[SOUND * SOUND];
  if (zg_test_rank() != 0) return;
  for (int call = 0; call < CALLS; call += 2) {
    zg_twin_hsic(t->items, SOUND, 0, call ? ZG_TWIN_BIASED : ZG_TWIN_DEBIASED, 0, hsic);
    check_tensor(t, call, hsic, allowed);
    check_tensor(t, call + 1, hsic, allowed);
  }
}

static void check_run(double standing_out, zg_precision precision, int64_t team_size,
                      double allowed) {
  trial t;
  begin(&t, FEW, standing_out, precision);
  t.job.team_size = team_size;
  run(&t, 0, "few.h5");
  check_values(&t, allowed);
  end(&t);
}

/* Debiasing subtracts norms of size 1/n from products of size 1/d: n eps is left. */
static void values_are_right_in_double(void) {
  check_run(0, ZG_DOUBLE, 1, 64 * FEW * DBL_EPSILON);
}

/* 2e-5, as the program promises. */
static void values_are_right_in_single(void) {
  check_run(0, ZG_SINGLE, 1, 2e-5);
}

static void teams_make_no_difference(void) {
  check_run(0, ZG_DOUBLE, -1, 64 * FEW * DBL_EPSILON);
}

/* One sample has a hundredth, a tenth or nearly all of the variance. */
static void a_sample_that_stands_out_does_no_harm(void) {
  static const double peaks[] = {5, 20, 3e6};
  for (int k = 0; k < 3; k++)
    check_run(peaks[k], ZG_SINGLE, 1, 2e-5);
}

/* ---- everything read once ---- */

/* Numbers read by all ranks, in units of all there are. \return the largest deviation
 * of debiased and biased CKA from what two readings give. */
static double read_once(int64_t n, double standing_out, double *times) {
  trial t;
  char twice[ZG_TEST_PATH_BYTES];
  zg_report report = {0};
  double numbers = 0, worst = 0;
  begin(&t, n, standing_out, ZG_SINGLE);
  run(&t, 0, "twice.h5");
  zg_test_path("twice.h5", twice);
  t.job.once = true;
  t.job.report = &report;
  run(&t, 0, "once.h5");
  for (int64_t i = 0; i < ITEMS; i++)
    numbers += (double)(n * widths[i]);
  *times = (double)report.numbers_read;
  zg_sum_doubles(MPI_COMM_WORLD, times, 1);
  *times /= numbers;
  for (int call = 0; call < CALLS && zg_test_rank() == 0; call += 2) {
    zg_tensor *a, *b;
    CU_ASSERT_EQUAL_FATAL(zg_tensor_read(twice, t.calls[call].name, &a), ZG_OK);
    CU_ASSERT_EQUAL_FATAL(zg_tensor_read(t.output, t.calls[call].name, &b), ZG_OK);
    for (int64_t e = 0; e < ITEMS * ITEMS; e++) {
      CU_ASSERT_EQUAL(a->codes[e], b->codes[e]);
      if (a->codes[e] == ZG_CODE_OK)
        worst = fmax(worst, fabs(a->values[e] - b->values[e]));
    }
    zg_tensor_destroy(&a);
    zg_tensor_destroy(&b);
  }
  end(&t);
  return worst;
}

/* Values by the definition, of rows about centres that are off by what a sample is. */
static void values_are_right_when_everything_is_read_once(void) {
  trial t;
  odd.constant = false;
  begin(&t, FEW, 0, ZG_SINGLE);
  t.job.once = true;
  run(&t, 0, "few.h5");
  check_values(&t, 2e-5);
  odd.constant = true;
  end(&t);
}

/* Parts of all numbers: those of the sample, and those of what has no NaN in it. */
static double sample_share(void) {
  return (double)ZG_PLAN_SAMPLED / MANY;
}

static double share_of_items(int64_t count) {
  double all = 0, some = 0;
  for (int64_t i = 0; i < ITEMS; i++) {
    all += (double)widths[i];
    if (i < count) some += (double)widths[i];
  }
  return some / all;
}

static double sound_share(void) {
  return share_of_items(NONFINITE) + 1 - share_of_items(NONFINITE + 1);
}

/* A run in which so much is read. */
static void check_once(double standing_out, double expected) {
  double times;
  CU_ASSERT(read_once(MANY, standing_out, &times) <= 2e-6);
  zg_test_close(times, expected, 0.01, "readings");
}

static void nothing_is_read_twice_without_need(void) {
  odd.constant = false;
  check_once(0, sample_share() + sound_share());
  odd.constant = true;
}

/* What the sample does not show: a row that stands out, rows that are elsewhere, a NaN;
 * then there are statistics and a second sweep. And what it does show. */
static void a_sample_that_misleads_does_no_harm(void) {
  double again = 1 + sound_share();
  odd.constant = false;
  check_once(20, sample_share() + sound_share() + again);
  odd.from = MANY - 100;
  check_once(0, sample_share() + sound_share() + again);
  odd.from = INT64_MAX;
  odd.nan_at = MANY - 1;
  check_once(0, sample_share() + 1 + again);
  odd.nan_at = 2;
  odd.constant = true; /* known at once */
  check_once(0, sample_share() + 1 + share_of_items(SOUND));
}

/* ---- the plan ---- */

typedef enum route { REFUSED, TILES, FEATURES } route;

static void check_slices(const zg_plan *plan, const zg_pass *pass, int64_t n) {
  int64_t end = 0;
  double D = (double)plan->features;
  CU_ASSERT_EQUAL(plan->flop, (double)n * D * D);
  for (int64_t k = 0; k < pass->tasks; k++) { /* one behind the other */
    int64_t first, rows;
    zg_plan_rows(plan, pass, k, &first, &rows);
    CU_ASSERT(first == end && rows >= 1 && rows <= pass->piece);
    end = first + rows;
  }
  CU_ASSERT_EQUAL(end, n);
}

static route route_of(int64_t n, int64_t width, const char *options, int64_t memory) {
  zg_array arrays[2] = {{.n = n, .d = width, .dtype = ZG_FLOAT32},
                        {.n = n, .d = 40, .dtype = ZG_FLOAT32}};
  zg_zoo zoo = {.arrays = arrays, .layer_count = 2};
  zg_call call = zg_test_call_of("cka", options);
  zg_request request = {.zoo = &zoo,
                        .calls = &call,
                        .call_count = 1,
                        .precision = ZG_SINGLE,
                        .ranks = 3,
                        .team_size = 1,
                        .memory = memory};
  zg_plan *plan;
  if (zg_plan_create(&request, &plan) != ZG_OK) return REFUSED;
  const zg_pass *pass = &plan->passes[0];
  if (pass->by_features) check_slices(plan, pass, n);
  CU_ASSERT(plan->memory.total <= memory);
  route found = pass->by_features ? FEATURES : TILES;
  zg_plan_destroy(&plan);
  return found;
}

static void many_samples_are_compared_by_features(void) {
  const int64_t GiB = (int64_t)1 << 30;
  CU_ASSERT_EQUAL(route_of(2048, 600, "", GiB), TILES);
  CU_ASSERT_EQUAL(route_of(2049, 600, "", GiB), FEATURES);
  CU_ASSERT_EQUAL(route_of(1000000, 600, "estimator=biased", GiB), FEATURES);
  CU_ASSERT_EQUAL(route_of(100000, 600, "kernel=rbf", GiB), TILES);
  CU_ASSERT_EQUAL(route_of(100000, 600, "estimator=minibatch", GiB), TILES);
  /* n D^2 operations against n^2 (D + 2): as many features as samples */
  CU_ASSERT_EQUAL(route_of(90000, 100000, "", 1024 * GiB), TILES);
  CU_ASSERT_EQUAL(route_of(110000, 100000, "", 1024 * GiB), FEATURES);
}

/* The plan of linear CKA, debiased, with another call, of n samples. */
static bool is_read_once(int64_t n, zg_precision precision, bool packed,
                         const char *other) {
  zg_array arrays[2] = {{.n = n, .d = 40, .dtype = ZG_FLOAT32},
                        {.n = n, .d = 40, .dtype = ZG_FLOAT32}};
  zg_zoo zoo = {.arrays = arrays, .layer_count = 2};
  zg_call calls[2] = {zg_test_call_of("cka", ""), zg_test_call_of("cka", other)};
  zg_request request = {.zoo = &zoo,
                        .calls = calls,
                        .call_count = 2,
                        .precision = precision,
                        .ranks = 2,
                        .team_size = 1,
                        .memory = (int64_t)1 << 30,
                        .packed = packed};
  zg_plan *plan;
  CU_ASSERT_EQUAL_FATAL(zg_plan_create(&request, &plan), ZG_OK);
  bool once = zg_plan_reads_once(plan);
  double numbers = 80.0 * (double)n, least = once ? 80.0 * ZG_PLAN_SAMPLED : numbers;
  if (plan->passes[0].by_features && plan->pass_count == 1)
    zg_test_close(plan->words, (numbers + least) / 2 + 4, 1e-6 * numbers, "words");
  zg_plan_destroy(&plan);
  return once;
}

static void what_is_read_once(void) {
  CU_ASSERT(is_read_once(40000, ZG_SINGLE, true, "estimator=biased"));
  CU_ASSERT(!is_read_once(20000, ZG_SINGLE, true, "estimator=biased")); /* too few */
  CU_ASSERT(!is_read_once(40000, ZG_DOUBLE, true, "estimator=biased"));
  CU_ASSERT(!is_read_once(40000, ZG_SINGLE, false, "estimator=biased"));
  CU_ASSERT(!is_read_once(40000, ZG_SINGLE, true, "kernel=rbf")); /* tiles as well */
}

/* With little memory tiles, and with more memory never nothing. */
static void where_features_do_not_fit_there_are_tiles(void) {
  const int64_t MiB = 1 << 20;
  route last = REFUSED;
  int seen[3] = {0};
  for (int64_t memory = 40 * MiB; memory < 200 * MiB; memory += 2 * MiB) {
    route next = route_of(100000, 600, "", memory);
    CU_ASSERT(next >= last);
    last = next;
    seen[next]++;
  }
  CU_ASSERT(seen[REFUSED] > 0 && seen[TILES] > 0 && seen[FEATURES] > 0);
}

/* ---- bits ---- */

static void compare(const trial *t, const char *with) {
  char other[ZG_TEST_PATH_BYTES];
  zg_test_path(with, other);
  for (int k = 0; k < CALLS && zg_test_rank() == 0; k++) {
    zg_tensor *a, *b;
    CU_ASSERT_EQUAL_FATAL(zg_tensor_read(t->output, t->calls[k].name, &a), ZG_OK);
    CU_ASSERT_EQUAL_FATAL(zg_tensor_read(other, t->calls[k].name, &b), ZG_OK);
    for (int64_t e = 0; e < ITEMS * ITEMS; e++) {
      CU_ASSERT(a->values[e] == b->values[e] ||
                (isnan(a->values[e]) && isnan(b->values[e])));
      CU_ASSERT_EQUAL(a->codes[e], b->codes[e]);
    }
    zg_tensor_destroy(&a);
    zg_tensor_destroy(&b);
  }
}

/* In double: a few sums of floats are exact in any order. */
static void check_bits(zg_precision precision, bool once) {
  trial t;
  odd.constant = !once;
  begin(&t, MANY, 0, precision);
  t.job.once = once;
  run(&t, 1, "one.h5");
  for (int ranks = 2; ranks <= zg_test_ranks(); ranks++) {
    run(&t, ranks, "several.h5");
    compare(&t, "one.h5");
  }
  odd.constant = true;
  end(&t);
}

static void any_number_of_ranks_gives_the_same_bits(void) {
  check_bits(ZG_DOUBLE, false);
  check_bits(ZG_SINGLE, true);
}

static int questions;

static bool stop_after_some(void) {
  return questions-- <= 0;
}

static void check_stopped(bool once) {
  trial t;
  char part[ZG_TEST_PATH_BYTES];
  odd.constant = !once;
  begin(&t, MANY, 0, ZG_SINGLE);
  t.job.once = once;
  run(&t, 0, "whole.h5");
  zg_test_path("part.h5", part);
  if (zg_test_rank() == 0) remove(part);
  MPI_Barrier(MPI_COMM_WORLD);
  zg_status status = ZG_STOPPED;
  int runs = 0;
  t.job.output = part;
  t.job.should_stop = stop_after_some;
  for (; status == ZG_STOPPED && runs < 100; runs++) {
    t.job.ranks = 1 + runs % zg_test_ranks();
    /* a question for every run of the sample, too */
    questions = runs + 1 + (once ? ITEMS * ZG_PLAN_SAMPLED / 64 / t.job.ranks : 0);
    CU_ASSERT_NOT_EQUAL(access(part, F_OK), 0);
    MPI_Barrier(MPI_COMM_WORLD);
    status = zg_test_engine_run(&t.job);
  }
  CU_ASSERT_EQUAL_FATAL(status, ZG_PARTIAL);
  CU_ASSERT(runs > 1);
  compare(&t, "part.h5");
  odd.constant = true;
  end(&t);
}

static void a_stopped_run_goes_on_to_the_same_bits(void) {
  check_stopped(false);
  check_stopped(true);
}

const zg_test zg_tests[] = {
    {"values_are_right_in_double", values_are_right_in_double},
    {"values_are_right_in_single", values_are_right_in_single},
    {"teams_make_no_difference", teams_make_no_difference},
    {"a_sample_that_stands_out_does_no_harm", a_sample_that_stands_out_does_no_harm},
    {"values_are_right_when_everything_is_read_once",
     values_are_right_when_everything_is_read_once},
    {"nothing_is_read_twice_without_need", nothing_is_read_twice_without_need},
    {"a_sample_that_misleads_does_no_harm", a_sample_that_misleads_does_no_harm},
    {"many_samples_are_compared_by_features", many_samples_are_compared_by_features},
    {"what_is_read_once", what_is_read_once},
    {"any_number_of_ranks_gives_the_same_bits",
     any_number_of_ranks_gives_the_same_bits},
    {"where_features_do_not_fit_there_are_tiles",
     where_features_do_not_fit_there_are_tiles},
    {"a_stopped_run_goes_on_to_the_same_bits", a_stopped_run_goes_on_to_the_same_bits},
    {NULL, NULL}};
