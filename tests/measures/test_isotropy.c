/** \file
 * Spectra of layers on all ranks together, against those that one rank finds alone. */
#include "base/memory.h"
#include "files.h"
#include "measures/pairs.h"
#include "measures/profile.h"
#include "mpi_main.h"

#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Layers [n, d...], tall, wide, of several axes, with a constant direction. */
static const hsize_t shapes[][3] = {{400, 150, 1}, {150, 400, 1}, {140, 30, 11},
                                    {9, 4, 1},     {5, 70, 1},    {300, 13, 11}};
enum { LAYERS = sizeof shapes / sizeof *shapes };

static void write_zoo(const char *path) {
  hid_t file = zg_test_zoo_create(path);
  for (int k = 0; k < LAYERS; k++) {
    char name[64];
    hsize_t count = shapes[k][0] * shapes[k][1] * shapes[k][2],
            d = count / shapes[k][0];
    double *values = ZG_NEW(double, (int64_t)count);
    for (hsize_t j = 0; j < count; j++)
      values[j] = j % d == 1 ? 7 : 3e5 + 100 * zg_test_random((unsigned long)k, j);
    snprintf(name, sizeof name, "/models/m/activations/l%d", k);
    zg_test_zoo_dataset(file, name, H5T_IEEE_F64LE, shapes[k][2] > 1 ? 3 : 2, shapes[k],
                        values);
    free(values);
  }
  zg_test_zoo_close(file);
}

static void all_ranks_together_find_what_one_does(void) {
  char path[ZG_TEST_PATH_BYTES];
  int rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  zg_test_path("isotropy.h5", path);
  if (rank == 0) write_zoo(path);
  MPI_Barrier(MPI_COMM_WORLD);
  zg_zoo *zoo = zg_test_zoo_open(path);
  zg_reader *reader = zg_reader_create(zoo);
  zg_call call = zg_test_call_of("isotropy", "");
  const zg_profile_form *form = call.measure->spec(&call).profile;
  for (int k = 0; k < LAYERS; k++) {
    double alone[3], together[3];
    zg_finding one = {.values = alone}, all = {.values = together};
    CU_ASSERT_EQUAL(form->measure(&call, reader, zoo, k, 1, &one), ZG_OK);
    CU_ASSERT_EQUAL(form->measure_together(MPI_COMM_WORLD, reader, zoo, k, &all),
                    ZG_OK);
    CU_ASSERT_EQUAL(all.code, one.code);
    CU_ASSERT_EQUAL(one.code, ZG_CODE_RANK);
    zg_test_close(together[0] / alone[0], 1, 1e-9, "I");
    CU_ASSERT_EQUAL(together[1], alone[1]);
    zg_test_close(together[2] / alone[2], 1, 1e-12, "effective rank");
  }
  zg_reader_destroy(&reader);
  zg_zoo_destroy(&zoo);
}

const zg_test zg_tests[] = {
    {"all_ranks_together_find_what_one_does", all_ranks_together_find_what_one_does},
    {NULL, NULL}};
