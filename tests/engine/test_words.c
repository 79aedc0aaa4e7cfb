/** \file
 * Numbers that ranks read and send, against the model of a triangle dealt out in the
 * best way: n D / sqrt(P) features and N^2/2 sums each. The program is started with as
 * many ranks as are wanted at most. */
#include "base/memory.h"
#include "engine/run.h"
#include "files.h"
#include "grid/comm.h"
#include "mpi_main.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Tiles of 48 samples are as small as packed ones get: 24 panels. */
enum { TILE = 48, PANELS = 24, SAMPLES = TILE * PANELS, ITEMS = 32, WIDTH = 8 };

static const double features = (double)SAMPLES * ITEMS * WIDTH;

static void make_zoo(const char *path) {
  if (zg_test_rank() == 0) {
    hid_t file = zg_test_zoo_create(path);
    double *values = ZG_NEW(double, SAMPLES *WIDTH);
    for (int i = 0; i < ITEMS; i++) {
      char layer[32];
      for (int k = 0; k < SAMPLES * WIDTH; k++)
        values[k] = zg_test_random((unsigned long)i, (unsigned long)k);
      snprintf(layer, sizeof layer, "layer%02d", i);
      zg_test_zoo_layer(file, "model", layer, SAMPLES, WIDTH, values);
    }
    free(values);
    zg_test_zoo_close(file);
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

/* Panels that a rank needs when tiles are dealt out well, and two more. */
static int64_t panels_for(int ranks) {
  return (int64_t)ceil(1.4 * PANELS / sqrt(ranks)) + 2;
}

/* Sums over the first ranks. */
typedef struct tally {
  double read, measured, sent;
} tally;

static tally run(const char *zoo, const char *kernel, int ranks, bool keep_shares) {
  char output[ZG_TEST_PATH_BYTES];
  zg_report report = {0};
  zg_call call = zg_test_call("cka", kernel, "debiased", 256);
  zg_test_job job = {.zoo = zoo,
                     .output = zg_test_path("words.h5", output),
                     .calls = &call,
                     .call_count = 1,
                     .precision = ZG_SINGLE,
                     .team_size = 1,
                     .ranks = ranks,
                     .tile = TILE,
                     .panels = panels_for(ranks),
                     .keep_shares = keep_shares,
                     .report = &report};
  CU_ASSERT_EQUAL_FATAL(zg_test_engine_run(&job), ZG_OK);
  double sums[] = {(double)report.numbers_read, (double)report.numbers_measured,
                   (double)report.numbers_sent};
  zg_sum_doubles(MPI_COMM_WORLD, sums, 3);
  if (zg_test_rank() == 0) remove(output);
  MPI_Barrier(MPI_COMM_WORLD);
  zg_test_call_clear(&call);
  return (tally){.read = sums[0], .measured = sums[1], .sent = sums[2]};
}

/* For tiles and statistics apart: of statistics every rank reads its part once. */
static void ranks_read_and_send_little(void) {
  char zoo[ZG_TEST_PATH_BYTES];
  make_zoo(zg_test_path("words-zoo.h5", zoo));
  for (int ranks = 1; ranks <= zg_test_ranks(); ranks++) {
    tally t = run(zoo, "linear", ranks, true);
    double words = (t.read - t.measured + t.sent) / ranks;
    double model = features / sqrt(ranks) + (double)ITEMS * ITEMS / 2;
    if (zg_test_rank() == 0)
      printf("\n    P %2d: %.0f read, %.0f sent, %.3f of the model ", ranks,
             (t.read - t.measured) / ranks, t.sent / ranks, words / model);
    CU_ASSERT_EQUAL(t.measured, features);
    CU_ASSERT(words <= 1.3 * features / sqrt(ranks) + (double)ITEMS * ITEMS / 2);
    CU_ASSERT(t.sent > 0 || ranks == 1);
  }
}

/* Every tile is done, and the words are counted, also when teams help one another; a
 * helper reads what it lacks. */
static void helpers_read_more_but_not_everything(void) {
  char zoo[ZG_TEST_PATH_BYTES];
  make_zoo(zg_test_path("words-zoo2.h5", zoo));
  for (int ranks = 1; ranks <= zg_test_ranks(); ranks *= 2) {
    tally t = run(zoo, "linear", ranks, false);
    CU_ASSERT_EQUAL(t.measured, features);
    CU_ASSERT(t.read - t.measured >= features);
    CU_ASSERT(t.read - t.measured <= ranks * features);
    if (zg_test_rank() == 0)
      printf("\n    P %2d, helping: %.3f of n D / sqrt(P) read ", ranks,
             (t.read - t.measured) / features / sqrt(ranks));
  }
}

const zg_test zg_tests[] = {
    {"ranks_read_and_send_little", ranks_read_and_send_little},
    {"helpers_read_more_but_not_everything", helpers_read_more_but_not_everything},
    {NULL, NULL}};
