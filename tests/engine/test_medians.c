/** \file
 * Exact medians of squared distances, where there are too many samples for the engine
 * to look at all distances at once, against sorting them all. */
#include "base/memory.h"
#include "engine/run.h"
#include "engine/twin.h"
#include "files.h"
#include "grid/comm.h"
#include "mpi_main.h"

#include <float.h>
#include <hdf5_hl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { WIDTH = 2, MOST = 1101 };

/* Rows that the engine samples for its first guess: 32 runs of 16, evenly spread. The
 * medians must be right whatever these rows are like. */
static bool is_sampled(int64_t row, int64_t n) {
  for (int64_t k = 0; k < 32; k++) {
    int64_t first = (n - 16) * k / 31;
    if (row >= first && row < first + 16) return true;
  }
  return false;
}

static double uniform(int64_t row, int64_t n, int64_t k) {
  (void)n;
  return zg_test_random(31, (unsigned long)(WIDTH * row + k));
}

/* A few distances only, each of them many times. */
static double grid(int64_t row, int64_t n, int64_t k) {
  return floor(3 * uniform(row, n, k));
}

/* Two distances, 0 and 4 d, about half of each. */
static double two_values(int64_t row, int64_t n, int64_t k) {
  (void)n, (void)k;
  return row % 2 ? 1 : -1;
}

/* As many distances within the clusters as between them: the middle lies in the gap. */
static double two_clusters(int64_t row, int64_t n, int64_t k) {
  return (row < n / 2 ? 0 : 50) + uniform(row, n, k);
}

/* The sample's distances are far below, or far above, those of the rest. */
static double narrow_sample(int64_t row, int64_t n, int64_t k) {
  return (is_sampled(row, n) ? 1e-3 : 1) * uniform(row, n, k);
}
static double wide_sample(int64_t row, int64_t n, int64_t k) {
  return (is_sampled(row, n) ? 1000 * (double)(row % 7) : 0) + uniform(row, n, k);
}

/* More than a third of all distances are 0, and all but one of the sample's. */
static double copies(int64_t row, int64_t n, int64_t k) {
  return is_sampled(row, n) && row > 0 ? 0.5 : uniform(row, n, k);
}

/* So many that the median is 0, which is no bandwidth. */
static double too_many_copies(int64_t row, int64_t n, int64_t k) {
  return row % 4 ? 0.5 : uniform(row, n, k);
}

static double (*const kinds[])(int64_t row, int64_t n, int64_t k) = {
    uniform,       grid,        two_values, two_clusters,
    narrow_sample, wide_sample, copies,     too_many_copies};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- files ---- */

static void make_features(double features[KINDS][MOST * WIDTH], int64_t n) {
  for (int item = 0; item < KINDS; item++)
    for (int64_t row = 0; row < n; row++)
      for (int64_t k = 0; k < WIDTH; k++)
        features[item][row * WIDTH + k] = kinds[item](row, n, k);
}

static void make_zoo(const char *path, double features[KINDS][MOST * WIDTH],
                     int64_t n) {
  if (zg_test_rank() == 0) {
    hid_t file = zg_test_zoo_create(path);
    for (int item = 0; item < KINDS; item++) {
      char layer[16];
      snprintf(layer, sizeof layer, "l%d", item);
      zg_test_zoo_layer(file, "net", layer, n, WIDTH, features[item]);
    }
    zg_test_zoo_close(file);
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

static void read_medians(const char *path, double medians[KINDS]) {
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  CU_ASSERT(H5LTread_dataset_double(file, "/kept/cka-rbf-biased/median", medians) >= 0);
  H5Fclose(file);
}

/* ---- comparing ---- */

/* Largest squared norm of a row about the mean of all. */
static double largest_norm(const zg_twin_item *item) {
  double mean[WIDTH] = {0}, largest = 0;
  for (int64_t k = 0; k < item->n * WIDTH; k++)
    mean[k % WIDTH] += item->features[k] / (double)item->n;
  for (int64_t row = 0; row < item->n; row++) {
    double norm = 0;
    for (int64_t k = 0; k < WIDTH; k++)
      norm += pow(item->features[row * WIDTH + k] - mean[k], 2);
    largest = fmax(largest, norm);
  }
  return largest;
}

/* Sorting takes most of the time, and some tests are about the same samples. */
static double expected_median(int item, const zg_twin_item *twin) {
  static struct {
    int64_t n;
    double median;
  } known[KINDS];
  if (known[item].n != twin->n) {
    known[item].n = twin->n;
    known[item].median = (double)zg_twin_median(twin);
  }
  return known[item].median;
}

/* A distance is the difference of norms and an inner product, each right to a few eps
 * of the norms. */
static void check_median(int item, const zg_twin_item *twin, zg_precision precision,
                         double found) {
  double epsilon = precision == ZG_SINGLE ? FLT_EPSILON : DBL_EPSILON;
  double expected = expected_median(item, twin);
  if (expected > 0)
    zg_test_close(found, expected, 16 * epsilon * largest_norm(twin), "median");
  else
    CU_ASSERT(isnan(found)); /* no median to keep: the item has no kernel */
}

/* \return what all ranks have computed, in flop. */
static double check_run(int64_t n, zg_precision precision, int64_t team_size,
                        bool small_tiles) {
  static double features[KINDS][MOST * WIDTH];
  char zoo[ZG_TEST_PATH_BYTES], output[ZG_TEST_PATH_BYTES];
  double medians[KINDS];
  zg_report report = {0};
  zg_call call = zg_test_call("cka", "rbf", "biased", 256);
  make_features(features, n);
  make_zoo(zg_test_path("medians.h5", zoo), features, n);
  zg_test_job job = {.zoo = zoo,
                     .output = zg_test_path("medians-results.h5", output),
                     .calls = &call,
                     .call_count = 1,
                     .precision = precision,
                     .team_size = team_size,
                     .small_tiles = small_tiles,
                     .report = &report};
  zg_status status = zg_test_engine_run(&job);
  CU_ASSERT_EQUAL_FATAL(status, ZG_PARTIAL); /* for the item without a bandwidth */
  read_medians(output, medians);
  int rank = zg_test_rank(), ranks = zg_test_ranks();
  for (int item = rank; item < KINDS;
       item += ranks) { /* sorting is shared by the ranks */
    zg_twin_item twin = {features[item], n, WIDTH};
    check_median(item, &twin, precision, medians[item]);
  }
  zg_sum_doubles(MPI_COMM_WORLD, &report.flop, 1);
  zg_test_call_clear(&call);
  return report.flop;
}

static void medians_of_an_even_number_of_samples_are_exact(void) {
  check_run(1100, ZG_DOUBLE, 1, false);
}

static void medians_in_single_precision_are_right_to_its_rounding(void) {
  check_run(1100, ZG_SINGLE, 1, false);
}

static void medians_are_exact_on_one_team_of_all(void) {
  check_run(1100, ZG_DOUBLE, -1, false);
}

/* In this precision some items are formed in double, by strips. */
static void medians_in_single_precision_are_right_on_teams(void) {
  check_run(1100, ZG_SINGLE, -1, false);
  check_run(1101, ZG_SINGLE, -1, true);
}

/* Also where the first bracket misses a median. */
static void the_only_tile_of_a_team_is_formed_once(void) {
  int64_t n = 1100, pairs = n * (n - 1) / 2;
  double products = 2.0 * WIDTH * KINDS * (double)pairs;
  double reduction = (double)(KINDS * KINDS * pairs);
  double flop = check_run(n, ZG_DOUBLE, -1, false);
  if (zg_test_ranks() > 1)
    zg_test_close(flop, products + reduction, 1e-12 * flop, "flop");
}

/* Several tiles of samples that lie close together and far apart in turn, as blocks are
 * dealt out to ranks: what one of them has of a tile misleads it, but not the team. */
static void a_team_finds_medians_in_one_sweep(void) {
  enum { ITEMS = 3, ROWS = 3000, TILE = 1000, BLOCK = 256 };
  char zoo[ZG_TEST_PATH_BYTES], output[ZG_TEST_PATH_BYTES];
  double *features = ZG_NEW(double, ROWS *WIDTH);
  zg_report report = {0};
  zg_call call = zg_test_call("cka", "rbf", "debiased", 256);
  zg_test_path("blocks.h5", zoo);
  if (zg_test_rank() == 0) {
    hid_t file = zg_test_zoo_create(zoo);
    for (int item = 0; item < ITEMS; item++) {
      char layer[16];
      for (int64_t k = 0; k < ROWS * WIDTH; k++)
        features[k] = zg_test_random(37, (unsigned long)k) *
                      (k / WIDTH % TILE / BLOCK % 2 ? 1 : 2 + item);
      snprintf(layer, sizeof layer, "l%d", item);
      zg_test_zoo_layer(file, "net", layer, ROWS, WIDTH, features);
    }
    zg_test_zoo_close(file);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  zg_test_job job = {.zoo = zoo,
                     .output = zg_test_path("blocks-results.h5", output),
                     .calls = &call,
                     .call_count = 1,
                     .precision = ZG_DOUBLE,
                     .team_size = -1,
                     .tile = TILE,
                     .panels = ROWS / TILE,
                     .report = &report};
  CU_ASSERT_EQUAL(zg_test_engine_run(&job), ZG_OK);
  zg_sum_doubles(MPI_COMM_WORLD, &report.flop, 1);
  double pairs = ROWS * (ROWS - 1) / 2.0;
  double formation = 2 * pairs * WIDTH * ITEMS, reduction = pairs * ITEMS * ITEMS;
  if (zg_test_ranks() > 1)
    zg_test_close(report.flop, 2 * formation + reduction, 1e-12 * report.flop, "flop");
  zg_test_call_clear(&call);
  free(features);
}

static void medians_of_an_odd_number_of_samples_are_exact(void) {
  check_run(1101, ZG_DOUBLE, 1, false);
}

static void medians_are_exact_on_teams_with_several_tiles(void) {
  if (zg_test_ranks() > 1) check_run(1101, ZG_DOUBLE, 2, true);
  check_run(1101, ZG_DOUBLE, -1, true);
}

static void few_samples_need_no_search(void) {
  check_run(100, ZG_DOUBLE, 1, false);
  check_run(1024, ZG_DOUBLE, 1, false);
}

const zg_test zg_tests[] = {
    {"medians_of_an_even_number_of_samples_are_exact",
     medians_of_an_even_number_of_samples_are_exact},
    {"medians_in_single_precision_are_right_to_its_rounding",
     medians_in_single_precision_are_right_to_its_rounding},
    {"medians_are_exact_on_one_team_of_all", medians_are_exact_on_one_team_of_all},
    {"medians_in_single_precision_are_right_on_teams",
     medians_in_single_precision_are_right_on_teams},
    {"the_only_tile_of_a_team_is_formed_once", the_only_tile_of_a_team_is_formed_once},
    {"a_team_finds_medians_in_one_sweep", a_team_finds_medians_in_one_sweep},
    {"medians_of_an_odd_number_of_samples_are_exact",
     medians_of_an_odd_number_of_samples_are_exact},
    {"medians_are_exact_on_teams_with_several_tiles",
     medians_are_exact_on_teams_with_several_tiles},
    {"few_samples_need_no_search", few_samples_need_no_search},
    {NULL, NULL}};
