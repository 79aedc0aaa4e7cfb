/** \file
 * What is checked before rows are paired, and every fault that a thorough check of a
 * zoo reports. */
#include "files.h"
#include "mpi_main.h"
#include "zoo/zoo.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N = 6, D = 3 };

static void fill(double *values, int64_t count) {
  for (int64_t k = 0; k < count; k++)
    values[k] = zg_test_random(1, (unsigned long)k);
}

/* ---- before pairing ---- */

/* A file with one model and one layer, and ids from `start` when there are some. */
static void make_file(const char *path, const char *model, int64_t n, int64_t ids,
                      int64_t start) {
  hid_t file = zg_test_zoo_create(path);
  zg_test_zoo_layer(file, model, "layer", n, D, NULL);
  if (ids) zg_test_zoo_ids(file, ids, start);
  zg_test_zoo_close(file);
}

/* The verdict on two files, given the samples of each and where their ids start. */
static zg_status check_two(int64_t n1, int64_t ids1, int64_t start1, int64_t n2,
                           int64_t ids2, int64_t start2, int64_t limit) {
  char first[ZG_TEST_PATH_BYTES], second[ZG_TEST_PATH_BYTES];
  make_file(zg_test_path("first.h5", first), "one", n1, ids1, start1);
  make_file(zg_test_path("second.h5", second), "two", n2, ids2, start2);
  zg_list paths = {0};
  zg_list_add(&paths, first);
  zg_list_add(&paths, second);
  zg_select select = {.samples = limit};
  zg_zoo *zoo = NULL;
  CU_ASSERT_EQUAL_FATAL(zg_zoo_open(&paths, &select, &zoo), ZG_OK);
  zg_status status = zg_zoo_check_paired(zoo);
  zg_zoo_destroy(&zoo);
  zg_list_clear(&paths);
  return status;
}

static void equal_samples_may_be_paired(void) {
  CU_ASSERT_EQUAL(check_two(N, 0, 0, N, 0, 0, 0), ZG_OK);
  CU_ASSERT_EQUAL(check_two(N, N, 0, N, N, 0, 0), ZG_OK);
  CU_ASSERT_EQUAL(check_two(N, N, 0, N, 0, 0, 0), ZG_OK);
  CU_ASSERT_EQUAL(check_two(4, 0, 0, 4, 0, 0, 0), ZG_OK);
}

static void unequal_numbers_of_samples_may_not(void) {
  CU_ASSERT_EQUAL(check_two(N, 0, 0, N + 1, 0, 0, 0), ZG_ERR_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "second.h5"));
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "two"));
  CU_ASSERT_EQUAL(check_two(N, 0, 0, N + 1, 0, 0, N), ZG_OK);
}

static void fewer_than_4_samples_may_not(void) {
  CU_ASSERT_EQUAL(check_two(3, 0, 0, 3, 0, 0, 0), ZG_ERR_DATA);
  CU_ASSERT_EQUAL(check_two(N, 0, 0, N, 0, 0, 3), ZG_ERR_DATA);
  CU_ASSERT_EQUAL(check_two(N, 0, 0, N, 0, 0, 4), ZG_OK);
}

static void other_samples_may_not(void) {
  CU_ASSERT_EQUAL(check_two(N, N, 0, N, N, 1, 0), ZG_ERR_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "second.h5"));
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "sample 0"));
  /* ids of another number than the rows are about something else */
  CU_ASSERT_EQUAL(check_two(N, N, 0, N, N - 1, 1, 0), ZG_OK);
}

/* ---- every fault ---- */

typedef struct faults {
  zg_list lines; /* "where: what" */
} faults;

static void note(void *context, const char *where, const char *what) {
  char line[ZG_MESSAGE_BYTES];
  snprintf(line, sizeof line, "%s: %s", where, what);
  zg_list_add(&((faults *)context)->lines, line);
}

static faults check_file(const char *path) {
  faults f = {0};
  int64_t count = -1;
  CU_ASSERT_EQUAL(zg_zoo_check(path, note, &f, &count), ZG_OK);
  CU_ASSERT_EQUAL(count, f.lines.count);
  return f;
}

/* One line names the place and all of the words. */
static void check_reported(const faults *f, const char *where, const char *what) {
  bool found = false;
  for (int64_t k = 0; k < f->lines.count; k++) {
    const char *line = f->lines.items[k];
    found = found || (!strncmp(line, where, strlen(where)) && strstr(line, what));
  }
  CU_ASSERT(found);
  if (!found) printf("\nno fault '%s ... %s'\n", where, what);
}

static void a_sound_zoo_has_no_faults(void) {
  char path[ZG_TEST_PATH_BYTES];
  double values[N * D];
  fill(values, N * D);
  hid_t file = zg_test_zoo_create(zg_test_path("sound.h5", path));
  zg_test_zoo_layer(file, "net", "a", N, D, values);
  zg_test_zoo_layer(file, "net", "b", N, 1, values);
  zg_test_zoo_ids(file, N, 0);
  zg_test_zoo_close(file);
  faults f = check_file(path);
  CU_ASSERT_EQUAL(f.lines.count, 0);
  zg_list_clear(&f.lines);
}

static void every_planted_fault_is_reported(void) {
  char path[ZG_TEST_PATH_BYTES];
  double values[(N + 1) * D];
  fill(values, (N + 1) * D);
  hid_t file = zg_test_zoo_create(zg_test_path("faults.h5", path));
  zg_test_zoo_layer(file, "net", "good", N, D, values);
  zg_test_zoo_layer(file, "net", "long", N + 1, D, values);
  zg_test_zoo_layer(file, "net", "short", 3, D, values);
  values[N * D - 1] = NAN;
  zg_test_zoo_layer(file, "net", "undefined", N, D, values);
  values[N * D - 1] = -INFINITY;
  zg_test_zoo_layer(file, "other", "infinite", N, D, values);
  for (int64_t k = 0; k < N * D; k++)
    values[k] = 0.1 * (double)(k % D);
  zg_test_zoo_layer(file, "other", "same", N, D, values);
  zg_test_zoo_ids(file, N + 2, 0);
  zg_test_zoo_close(file);
  faults f = check_file(path);
  check_reported(&f, "net/long", "samples");
  check_reported(&f, "net/short", "samples");
  check_reported(&f, "net/short", "fewer than 4");
  check_reported(&f, "net/undefined", "NaN");
  check_reported(&f, "other/infinite", "infinite");
  check_reported(&f, "other/same", "constant");
  check_reported(&f, "/samples/id", "8 entries");
  CU_ASSERT_EQUAL(f.lines.count, 7);
  zg_list_clear(&f.lines);
}

static void faults_of_structure_do_not_hide_the_others(void) {
  char path[ZG_TEST_PATH_BYTES];
  double values[N * D];
  const hsize_t dims[2] = {N, D};
  fill(values, N * D);
  hid_t file = zg_test_zoo_create(zg_test_path("structure.h5", path));
  zg_test_zoo_dataset(file, "/models/no-group", H5T_IEEE_F32LE, 2, dims, NULL);
  zg_test_zoo_dataset(file, "/models/net/activations/words", H5T_C_S1, 2, dims, NULL);
  zg_test_zoo_dataset(file, "/models/net/activations/scalar", H5T_IEEE_F32LE, 0, NULL,
                      NULL);
  zg_test_zoo_layer(file, "net", "good", N, D, values);
  values[4] = NAN;
  zg_test_zoo_layer(file, "net", "undefined", N, D, values);
  zg_test_zoo_close(file);
  faults f = check_file(path);
  check_reported(&f, path, "no-group");
  check_reported(&f, path, "words");
  check_reported(&f, path, "scalar");
  check_reported(&f, "net/undefined", "NaN");
  CU_ASSERT_EQUAL(f.lines.count, 4);
  zg_list_clear(&f.lines);
}

static void numbers_that_cannot_be_read_are_a_fault(void) {
  /* A chunk that its filter cannot decode. */
  char path[ZG_TEST_PATH_BYTES];
  const hsize_t dims[2] = {N, D}, origin[2] = {0, 0};
  hid_t file = zg_test_zoo_create(zg_test_path("chunk.h5", path));
  zg_test_zoo_group(file, "/models/net/activations", 0);
  hid_t space = H5Screate_simple(2, dims, NULL),
        creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(creation, 2, dims);
  H5Pset_deflate(creation, 1);
  hid_t dataset = H5Dcreate2(file, "/models/net/activations/bad", H5T_IEEE_F64LE, space,
                             H5P_DEFAULT, creation, H5P_DEFAULT);
  H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, origin, 8, "no zlib!");
  H5Dclose(dataset), H5Pclose(creation), H5Sclose(space);
  zg_test_zoo_close(file);
  faults f = check_file(path);
  check_reported(&f, "net/bad", "cannot be read");
  CU_ASSERT_EQUAL(f.lines.count, 1);
  zg_list_clear(&f.lines);
}

static void a_file_that_is_no_zoo_is_an_error_not_a_fault(void) {
  char path[ZG_TEST_PATH_BYTES];
  faults f = {0};
  int64_t count = -1;
  zg_test_path("none.h5", path);
  CU_ASSERT_EQUAL(zg_zoo_check(path, note, &f, &count), ZG_ERR_INPUT);
  CU_ASSERT(count == 0 && f.lines.count == 0);
}

const zg_test zg_tests[] = {
    {"equal_samples_may_be_paired", equal_samples_may_be_paired},
    {"unequal_numbers_of_samples_may_not", unequal_numbers_of_samples_may_not},
    {"fewer_than_4_samples_may_not", fewer_than_4_samples_may_not},
    {"other_samples_may_not", other_samples_may_not},
    {"a_sound_zoo_has_no_faults", a_sound_zoo_has_no_faults},
    {"every_planted_fault_is_reported", every_planted_fault_is_reported},
    {"faults_of_structure_do_not_hide_the_others",
     faults_of_structure_do_not_hide_the_others},
    {"numbers_that_cannot_be_read_are_a_fault",
     numbers_that_cannot_be_read_are_a_fault},
    {"a_file_that_is_no_zoo_is_an_error_not_a_fault",
     a_file_that_is_no_zoo_is_an_error_not_a_fault},
    {NULL, NULL}};
