/** \file
 * Whole runs of the engine on small zoos, against its plain-loop twin, for every kernel
 * and estimator, in both precisions, on teams of every kind. */
#include "base/memory.h"
#include "engine/run.h"
#include "engine/state.h"
#include "engine/twin.h"
#include "files.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the zoo ---- */

enum { ITEMS = 6, SOUND = 4, NONFINITE = 4, CONSTANT = 5 };
static const int64_t widths[ITEMS] = {1, 3, 40, 5, 7, 2};

/* Item 1 is a distorted copy of item 0's column, item 3 lies far from zero, the last
 * two are spoilt. */
static double feature(int64_t item, int64_t row, int64_t k) {
  unsigned long at = (unsigned long)(row * 64 + k);
  double own = zg_test_random(60 + (unsigned long)item, at);
  double shared = zg_test_random(60, (unsigned long)(row * 64));
  switch (item) {
  case 1:
    return shared * (double)(k + 1) + 0.3 * own;
  case 3:
    return 30 + own + 0.5 * shared;
  case NONFINITE:
    return row == 2 && k == 3 ? NAN : own;
  case CONSTANT:
    return 0.1 * (double)(k + 1);
  default:
    return own;
  }
}

/* All items; the caller frees each one's features. */
static void make_items(zg_twin_item items[ITEMS], int64_t n) {
  for (int64_t i = 0; i < ITEMS; i++) {
    double *features = ZG_NEW(double, n *widths[i]);
    for (int64_t row = 0; row < n; row++)
      for (int64_t k = 0; k < widths[i]; k++)
        features[row * widths[i] + k] = feature(i, row, k);
    items[i] = (zg_twin_item){features, n, widths[i]};
  }
}

static void free_items(zg_twin_item items[ITEMS]) {
  for (int64_t i = 0; i < ITEMS; i++)
    free((void *)items[i].features);
}

/* The first `count` items as a zoo. */
static void make_zoo(const char *path, const zg_twin_item *items, int64_t count) {
  if (zg_test_rank() == 0) {
    hid_t file = zg_test_zoo_create(path);
    for (int64_t i = 0; i < count; i++) {
      char layer[32];
      snprintf(layer, sizeof layer, "l%lld", (long long)i);
      zg_test_zoo_layer(file, "net", layer, items[i].n, items[i].d, items[i].features);
    }
    zg_test_zoo_close(file);
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

/* ---- what is computed ---- */

enum { KERNELS = 2, ESTIMATORS = 3, CALLS = 2 * KERNELS * ESTIMATORS };
static const char *const measures[] = {"cka", "hsic"};
static const char *const kernels[KERNELS] = {"linear", "rbf"};
static const char *const estimators[ESTIMATORS] = {[ZG_TWIN_DEBIASED] = "debiased",
                                                   [ZG_TWIN_BIASED] = "biased",
                                                   [ZG_TWIN_MINIBATCH] = "minibatch"};

static void make_calls(zg_call calls[CALLS], int batch) {
  for (int k = 0; k < CALLS; k++)
    calls[k] = zg_test_call(measures[k % 2], kernels[k / 2 % KERNELS],
                            estimators[k / 2 / KERNELS], batch);
}

static void clear_calls(zg_call calls[CALLS]) {
  for (int k = 0; k < CALLS; k++)
    zg_test_call_clear(&calls[k]);
}

/* ---- comparing ---- */

/* CKA, and HSIC in units of the two items' own: double is right to n eps, with a margin
 * for what cancels in the debiased forms; single to 2e-5, which the program promises.
 */
static double tolerance(zg_precision precision, int64_t n) {
  return precision == ZG_DOUBLE ? 512 * (double)n * DBL_EPSILON : 2e-5;
}

static void check_entry(const zg_call *call, const zg_tensor *tensor, int64_t i,
                        int64_t k, const long double *hsic, double allowed) {
  double found = tensor->values[i * tensor->columns + k];
  double unit = (double)sqrtl(hsic[i * SOUND + i] * hsic[k * SOUND + k]);
  bool cka = !strcmp(call->measure->name, "cka");
  double expected = (double)hsic[i * SOUND + k];
  CU_ASSERT_EQUAL(tensor->codes[i * tensor->columns + k], ZG_CODE_OK);
  if (cka)
    zg_test_close(found, expected / unit, allowed, call->name);
  else
    zg_test_close(found, expected, allowed * unit, call->name);
  if (cka && i == k) CU_ASSERT_EQUAL(found, 1);
}

/* Pairs with a spoilt item. */
static void check_spoilt(const zg_call *call, const zg_tensor *tensor, int64_t i,
                         int64_t k) {
  bool nonfinite = i == NONFINITE || k == NONFINITE;
  double found = tensor->values[i * tensor->columns + k];
  int8_t code = tensor->codes[i * tensor->columns + k];
  CU_ASSERT_EQUAL(code, nonfinite ? ZG_CODE_NONFINITE : ZG_CODE_ZERO_VARIANCE);
  bool zero = !nonfinite && !strcmp(call->measure->name, "hsic");
  CU_ASSERT(zero ? found == 0 : isnan(found));
}

static void check_tensor(const char *path, const zg_call *call, const long double *hsic,
                         double allowed) {
  zg_tensor *tensor;
  CU_ASSERT_EQUAL(zg_tensor_read(path, call->name, &tensor), ZG_OK);
  if (!tensor) return; /* the other ranks go on */
  int64_t count = tensor->rows;
  for (int64_t i = 0; i < count; i++)
    for (int64_t k = 0; k < count; k++) {
      if (i < SOUND && k < SOUND)
        check_entry(call, tensor, i, k, hsic, allowed);
      else
        check_spoilt(call, tensor, i, k);
      double here = tensor->values[i * count + k],
             there = tensor->values[k * count + i];
      CU_ASSERT(here == there || (isnan(here) && isnan(there)));
    }
  zg_tensor_destroy(&tensor);
}

/* Everything a run has written, looked at by rank 0. */
static void check_results(const char *path, const zg_twin_item *items,
                          const zg_call *calls, int64_t batch, double allowed) {
  if (zg_test_rank() != 0) return;
  long double hsic[SOUND * SOUND];
  for (int k = 0; k < CALLS; k += 2) { /* cka and hsic of one kernel and estimator */
    double bandwidth = k / 2 % KERNELS ? 0.4 : 0;
    zg_twin_hsic(items, SOUND, bandwidth, (zg_twin_estimator)(k / 2 / KERNELS), batch,
                 hsic);
    check_tensor(path, &calls[k], hsic, allowed);
    check_tensor(path, &calls[k + 1], hsic, allowed);
  }
}

/* ---- runs ---- */

typedef struct trial {
  int64_t n;
  int batch;
  zg_precision precision;
  int64_t team_size;
  bool small_tiles;
  int64_t bands;
} trial;

/* A zoo and a job on it. */
typedef struct setting {
  char zoo[ZG_TEST_PATH_BYTES], output[ZG_TEST_PATH_BYTES];
  zg_twin_item items[ITEMS];
  zg_call calls[CALLS];
  zg_test_job job;
} setting;

static void set_up(setting *s, const char *name, int64_t n, int batch, int64_t count) {
  char output[ZG_TEST_PATH_BYTES], zoo[ZG_TEST_PATH_BYTES];
  snprintf(zoo, sizeof zoo, "%s.h5", name);
  snprintf(output, sizeof output, "%s-results.h5", name);
  make_items(s->items, n);
  make_calls(s->calls, batch);
  make_zoo(zg_test_path(zoo, s->zoo), s->items, count);
  s->job = (zg_test_job){.zoo = s->zoo,
                         .output = zg_test_path(output, s->output),
                         .calls = s->calls,
                         .call_count = CALLS,
                         .precision = ZG_DOUBLE,
                         .team_size = 1};
}

static void tear_down(setting *s) {
  MPI_Barrier(MPI_COMM_WORLD);
  clear_calls(s->calls);
  free_items(s->items);
}

static void run_trial(trial t, int64_t count) {
  setting s;
  set_up(&s, "trial", t.n, t.batch, count);
  s.job.precision = t.precision;
  s.job.team_size = t.team_size;
  s.job.small_tiles = t.small_tiles;
  s.job.bands = t.bands;
  zg_status status = zg_test_engine_run(&s.job);
  CU_ASSERT_EQUAL(status, count > SOUND ? ZG_PARTIAL : ZG_OK);
  if (status != ZG_OK && status != ZG_PARTIAL) printf("\n%s\n", zg_message());
  check_results(s.output, s.items, s.calls, t.batch, tolerance(t.precision, t.n));
  tear_down(&s);
}

static void run_trials(const trial *trials, size_t count) {
  for (size_t k = 0; k < count; k++)
    if (trials[k].team_size <= zg_test_ranks()) run_trial(trials[k], ITEMS);
}

static void few_samples_on_teams_of_every_kind(void) {
  static const trial trials[] = {
      {37, 10, ZG_DOUBLE, 1, false, 0}, {37, 10, ZG_DOUBLE, 2, false, 0},
      {37, 10, ZG_DOUBLE, 3, false, 0}, {37, 10, ZG_DOUBLE, -1, false, 0},
      {42, 10, ZG_DOUBLE, 1, false, 0}, /* last batch dropped */
      {37, 10, ZG_SINGLE, -1, false, 0}};
  run_trials(trials, sizeof trials / sizeof *trials);
}

static void as_few_samples_as_there_may_be(void) {
  static const trial trials[] = {{4, 4, ZG_DOUBLE, 1, false, 0},
                                 {5, 4, ZG_DOUBLE, -1, false, 0},
                                 {7, 100, ZG_DOUBLE, -1, false, 0}};
  run_trials(trials, sizeof trials / sizeof *trials);
}

static void several_tiles_on_teams_of_every_kind(void) {
  static const trial trials[] = {{130, 60, ZG_DOUBLE, 1, true, 0},
                                 {130, 60, ZG_DOUBLE, 2, true, 0},
                                 {130, 60, ZG_DOUBLE, -1, true, 0}};
  run_trials(trials, sizeof trials / sizeof *trials);
}

static void bands_hold_what_the_whole_matrix_does(void) {
  static const trial trials[] = {{130, 60, ZG_DOUBLE, 1, true, 2},
                                 {37, 10, ZG_DOUBLE, 1, false, 3},
                                 {37, 10, ZG_DOUBLE, 1, false, 36}, /* item by item */
                                 {530, 100, ZG_SINGLE, 1, false, 3}};
  run_trials(trials, sizeof trials / sizeof *trials);
}

static void single_precision_holds_its_promise(void) {
  static const trial trials[] = {{530, 100, ZG_SINGLE, 1, false, 0},
                                 {530, 100, ZG_SINGLE, -1, false, 0}};
  run_trials(trials, sizeof trials / sizeof *trials);
}

static void without_spoilt_items_all_is_well(void) {
  run_trial((trial){33, 8, ZG_DOUBLE, 1, false, 0}, SOUND);
}

/* ---- stopping ---- */

static int questions_allowed;

static bool stop_after_some(void) {
  return questions_allowed-- <= 0;
}

/* A run asks before each tile, and before that once for each group of an item's rows (4
 * of them) and for each item of the sample for medians. */
static int questions_for(int tiles) {
  int ranks = zg_test_ranks();
  return (4 * ITEMS + ranks - 1) / ranks + (ITEMS + ranks - 1) / ranks + tiles;
}

static void check_stopping(int64_t bands) {
  enum { N = 130, BATCH = 60 };
  setting s;
  set_up(&s, "stopped", N, BATCH, ITEMS);
  s.job.small_tiles = true;
  s.job.bands = bands;
  s.job.checkpoint = 1e-6; /* finished passes are worth keeping, too */
  s.job.should_stop = stop_after_some;
  zg_status status = ZG_STOPPED;
  int runs = 0;
  if (zg_test_rank() == 0) unlink(s.output);
  MPI_Barrier(MPI_COMM_WORLD);
  for (; status == ZG_STOPPED && runs < 10 * bands; runs++) {
    CU_ASSERT_NOT_EQUAL(access(s.output, F_OK), 0);
    MPI_Barrier(MPI_COMM_WORLD);
    /* Of 18 a band for all ranks together: each run has to build on the last. What is
     * done already takes a question as well, per pass and band. */
    questions_allowed =
        questions_for((zg_test_ranks() > 1 ? 5 : 8) + 4 * ((int)bands - 1));
    status = zg_test_engine_run(&s.job);
  }
  CU_ASSERT_EQUAL(status, ZG_PARTIAL);
  CU_ASSERT(runs > 1);
  check_results(s.output, s.items, s.calls, BATCH, tolerance(ZG_DOUBLE, N));
  tear_down(&s);
}

static void a_stopped_run_leaves_no_file_and_the_next_one_goes_on(void) {
  check_stopping(1);
}

static void a_run_in_bands_goes_on_as_well(void) {
  check_stopping(2);
}

/* ---- shards ---- */

enum { SHARDS = 3 };

/* Stopped again and again: every run has to get further. */
static void run_shard(zg_test_job job, int64_t number, zg_shard_part **left) {
  static char text[] = "";
  char *path = zg_part_path(job.output, &(zg_shard){number, SHARDS});
  zg_shard_part part = {.path = path,
                        .shard = {number, SHARDS},
                        .version = text,
                        .job_path = text,
                        .job_text = text,
                        .plan = text};
  zg_status status = ZG_STOPPED;
  job.output = path;
  job.part = &part;
  job.should_stop = stop_after_some;
  for (int runs = 0; status == ZG_STOPPED && runs < 40; runs++) {
    questions_allowed = questions_for(6) + 2 * runs;
    status = zg_test_engine_run(&job);
  }
  CU_ASSERT_EQUAL_FATAL(status, ZG_OK);
  CU_ASSERT_EQUAL_FATAL(zg_part_read(path, left), ZG_OK);
  free(path);
}

static void check_shards(int64_t bands) {
  enum { N = 130, BATCH = 60 };
  setting s;
  zg_shard_part *parts[SHARDS];
  set_up(&s, "shards", N, BATCH, ITEMS);
  s.job.small_tiles = true;
  s.job.bands = bands;
  s.job.checkpoint = 1e-6;
  for (int64_t k = 0; k < SHARDS; k++)
    run_shard(s.job, k + 1, &parts[k]);
  s.job.parts = parts;
  s.job.part_count = SHARDS;
  CU_ASSERT_EQUAL(zg_test_engine_run(&s.job), ZG_PARTIAL);
  check_results(s.output, s.items, s.calls, BATCH, tolerance(ZG_DOUBLE, N));
  MPI_Barrier(MPI_COMM_WORLD);
  for (int64_t k = 0; k < SHARDS; k++) {
    if (zg_test_rank() == 0) unlink(parts[k]->path);
    zg_part_destroy(&parts[k]);
  }
  tear_down(&s);
}

/* Three panels of 192, 192 and 16 samples, packed, are not three of 134, 133 and 133,
 * although there are as many tiles. */
static void tiles_of_another_cut_are_refused(void) {
  enum { N = 400, BATCH = 60, TILE = 192 };
  setting s;
  set_up(&s, "cut", N, BATCH, ITEMS);
  s.job.precision = ZG_SINGLE;
  s.job.tile = TILE;
  s.job.panels = 3;
  s.job.should_stop = stop_after_some;
  for (int tiles = 2; !zg_state_exists(s.output) && tiles < 20; tiles++) {
    MPI_Barrier(MPI_COMM_WORLD);
    questions_allowed = questions_for(tiles);
    CU_ASSERT_EQUAL_FATAL(zg_test_engine_run(&s.job), ZG_STOPPED);
    MPI_Barrier(MPI_COMM_WORLD);
  }
  s.job.precision = ZG_DOUBLE;
  s.job.should_stop = NULL;
  CU_ASSERT_EQUAL(zg_test_engine_run(&s.job), ZG_ERR_CREATE);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "with another plan"));
  s.job.precision = ZG_SINGLE;
  CU_ASSERT_EQUAL(zg_test_engine_run(&s.job), ZG_PARTIAL);
  tear_down(&s);
}

static void shards_are_merged_to_the_whole(void) {
  check_shards(1);
}

static void shards_have_all_bands(void) {
  check_shards(2);
}

const zg_test zg_tests[] = {
    {"few_samples_on_teams_of_every_kind", few_samples_on_teams_of_every_kind},
    {"as_few_samples_as_there_may_be", as_few_samples_as_there_may_be},
    {"several_tiles_on_teams_of_every_kind", several_tiles_on_teams_of_every_kind},
    {"bands_hold_what_the_whole_matrix_does", bands_hold_what_the_whole_matrix_does},
    {"single_precision_holds_its_promise", single_precision_holds_its_promise},
    {"without_spoilt_items_all_is_well", without_spoilt_items_all_is_well},
    {"a_stopped_run_leaves_no_file_and_the_next_one_goes_on",
     a_stopped_run_leaves_no_file_and_the_next_one_goes_on},
    {"a_run_in_bands_goes_on_as_well", a_run_in_bands_goes_on_as_well},
    {"shards_are_merged_to_the_whole", shards_are_merged_to_the_whole},
    {"shards_have_all_bands", shards_have_all_bands},
    {"tiles_of_another_cut_are_refused", tiles_of_another_cut_are_refused},
    {NULL, NULL}};
