/** \file
 * The median of the distances of all layers' rows, against the sorted list of them. */
#include "base/memory.h"
#include "files.h"
#include "measures/pooled.h"
#include "mpi_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 5, ROWS = 6, MOST = 8 };

static const int64_t shapes[LAYERS][2] = {{8, 3}, {5, 3}, {8, 4}, {3, 3}, {8, 3}};

static double number(int layer, int64_t row, int64_t column) {
  return zg_test_random((unsigned long)layer, (unsigned long)(10 * row + column));
}

/* The first rows of a layer; of fewer than 4 none. */
static int64_t rows_of(int layer) {
  int64_t n = shapes[layer][0];
  return n < 4 ? 0 : zg_min(n, ROWS);
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double expected_median(void) {
  double distances[LAYERS * LAYERS * ROWS * ROWS];
  size_t count = 0;
  for (int i = 0; i < LAYERS; i++)
    for (int k = 0; k < LAYERS; k++)
      for (int64_t a = 0; a < rows_of(i) && shapes[i][1] == shapes[k][1]; a++)
        for (int64_t b = 0; b < rows_of(k); b++) {
          long double sum = 0;
          for (int64_t c = 0; c < shapes[i][1]; c++) {
            long double step = (long double)number(i, a, c) - number(k, b, c);
            sum += step * step;
          }
          distances[count++] = (double)sum;
        }
  qsort(distances, count, sizeof *distances, compare);
  return (distances[(count - 1) / 2] + distances[count / 2]) / 2;
}

static void write_zoo(const char *path) {
  hid_t file = zg_test_zoo_create(path);
  for (int k = 0; k < LAYERS; k++) {
    char name[32];
    double values[MOST * MOST];
    int64_t n = shapes[k][0], d = shapes[k][1];
    for (int64_t j = 0; j < n * d; j++)
      values[j] = number(k, j / d, j % d);
    snprintf(name, sizeof name, "l%d", k);
    zg_test_zoo_layer(file, "m", name, n, d, values);
  }
  zg_test_zoo_close(file);
}

static bool never(void) {
  return false;
}

static bool at_once(void) {
  return true;
}

static zg_status find(bool (*should_stop)(void), double *median) {
  char path[ZG_TEST_PATH_BYTES];
  zg_test_path("pooled.h5", path);
  if (zg_test_rank() == 0) write_zoo(path);
  MPI_Barrier(MPI_COMM_WORLD);
  zg_zoo *zoo = zg_test_zoo_open(path);
  zg_reader *reader = zg_reader_create(zoo);
  zg_sharing sharing = {
      .comm = MPI_COMM_WORLD, .reader = reader, .zoo = zoo, .should_stop = should_stop};
  zg_status status = zg_pooled_median(&sharing, ZG_ACTIVATIONS, ROWS, median);
  zg_reader_destroy(&reader);
  zg_zoo_destroy(&zoo);
  MPI_Barrier(MPI_COMM_WORLD);
  return status;
}

static void it_is_that_of_the_sorted_distances(void) {
  double median, expected = expected_median();
  CU_ASSERT_EQUAL_FATAL(find(never, &median), ZG_OK);
  zg_test_close(median / expected, 1, 1e-14, "median");
}

static void a_stop_ends_it_on_all_ranks(void) {
  double median;
  CU_ASSERT_EQUAL(find(at_once, &median), ZG_STOPPED);
  if (zg_test_rank() == 0)
    CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "stopped before the end"));
}

const zg_test zg_tests[] = {
    {"it_is_that_of_the_sorted_distances", it_is_that_of_the_sorted_distances},
    {"a_stop_ends_it_on_all_ranks", a_stop_ends_it_on_all_ranks},
    {NULL, NULL}};
