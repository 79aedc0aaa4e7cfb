/** \file
 * What is checked before rows are paired, and every fault that a thorough check of a
 * zoo reports. */
#include "files.h"
#include "mpi_main.h"
#include "zoo/zoo.h"

#include <hdf5_hl.h>
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

/* Logits of n rows in two files whose ids start at 0 and at `start`. */
static zg_status check_logits(int64_t n, int64_t start) {
  zg_list paths = {0};
  for (int k = 0; k < 2; k++) {
    char path[ZG_TEST_PATH_BYTES];
    const hsize_t dims[2] = {(hsize_t)n, 2};
    hid_t file = zg_test_zoo_create(zg_test_path(k ? "two.h5" : "one.h5", path));
    zg_test_zoo_dataset(file, k ? "/models/b/logits" : "/models/a/logits",
                        H5T_IEEE_F32LE, 2, dims, NULL);
    zg_test_zoo_ids(file, N, k ? start : 0);
    zg_test_zoo_close(file);
    zg_list_add(&paths, path);
  }
  zg_zoo *zoo = NULL;
  CU_ASSERT_EQUAL_FATAL(zg_zoo_open(&paths, NULL, &zoo), ZG_OK);
  zg_status status = zg_zoo_check_paired(zoo);
  zg_zoo_destroy(&zoo);
  zg_list_clear(&paths);
  return status;
}

static void logits_of_other_samples_may_not(void) {
  CU_ASSERT_EQUAL(check_logits(N, 0), ZG_OK);
  CU_ASSERT_EQUAL(check_logits(N, 1), ZG_ERR_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "two.h5"));
  CU_ASSERT_EQUAL(check_logits(N - 1, 1), ZG_OK); /* the ids are of something else */
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

/* ---- faults of other data ---- */

static void add(hid_t file, const char *name, hid_t type, int rank, const hsize_t *dims,
                const double *values) {
  char path[ZG_TEST_PATH_BYTES];
  snprintf(path, sizeof path, "/models/%s", name);
  zg_test_zoo_dataset(file, path, type, rank, dims, values);
}

#define DIMS(...) ((const hsize_t[]){__VA_ARGS__})

/* A list of two names as the attribute `parameters`. */
static void set_parameters(hid_t file, const char *path, const char *first,
                           const char *second) {
  const char *names[] = {first, second};
  hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, DIMS(2), NULL);
  H5Tset_size(type, H5T_VARIABLE);
  hid_t attribute = H5Acreate_by_name(file, path, "parameters", type, space,
                                      H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite(attribute, type, names);
  H5Aclose(attribute), H5Sclose(space), H5Tclose(type);
}

/* A model with something of everything, 12 + 4 = 16 parameters. */
static void add_sound_model(hid_t file) {
  double values[200];
  fill(values, 200);
  add(file, "m/weights/conv", H5T_IEEE_F32LE, 4, DIMS(2, 1, 2, 3), values);
  H5LTset_attribute_int(file, "/models/m/weights/conv", "input_size", (int[]){5, 5}, 2);
  add(file, "m/weights/fc", H5T_IEEE_F64LE, 2, DIMS(2, 2), values);
  add(file, "m/gradients/a", H5T_IEEE_F64LE, 1, DIMS(16), values);
  add(file, "m/gradients/fc", H5T_IEEE_F64LE, 1, DIMS(4), values);
  H5LTset_attribute_string(file, "/models/m/gradients/fc", "parameters", "fc");
  add(file, "m/sample_gradients", H5T_IEEE_F64LE, 2, DIMS(3, 16), values);
  set_parameters(file, "/models/m/sample_gradients", "fc", "conv");
  add(file, "m/jacobian", H5T_IEEE_F64LE, 3, DIMS(2, 3, 16), values);
  add(file, "m/ntk/emb/index", H5T_STD_I32LE, 2, DIMS(3, 2), NULL);
  add(file, "m/ntk/emb/signal", H5T_IEEE_F32LE, 4, DIMS(3, 2, 2, 5), values);
  add(file, "m/logits", H5T_IEEE_F32LE, 2, DIMS(N, 2), values);
  add(file, "m/sharpness", H5T_IEEE_F32LE, 2, DIMS(2, 3), values);
  H5LTset_attribute_double(file, "/models/m/sharpness", "radius",
                           (const double[]){0.1, 0.2}, 2);
  zg_test_zoo_ids(file, N, 0);
}

static void a_sound_model_has_no_faults(void) {
  char path[ZG_TEST_PATH_BYTES];
  hid_t file = zg_test_zoo_create(zg_test_path("model.h5", path));
  add_sound_model(file);
  zg_test_zoo_close(file);
  faults f = check_file(path);
  CU_ASSERT_EQUAL(f.lines.count, 0);
  if (f.lines.count) printf("\n%s\n", f.lines.items[0]);
  zg_list_clear(&f.lines);
}

static void nan_in_the_jacobian(hid_t file) {
  const double values[6] = {1, 2, 3, NAN, 5, 6};
  add(file, "k/jacobian", H5T_IEEE_F32LE, 3, DIMS(1, 2, 3), values);
}
static void overflow_in_a_weight(hid_t file) {
  hid_t half = zg_test_half_type();
  add(file, "k/weights/w", half, 0, NULL, (const double[]){1e6});
  H5Tclose(half);
}
static void a_gradient_of_zeros(hid_t file) {
  add(file, "k/gradients/t", H5T_IEEE_F64LE, 1, DIMS(3), (const double[]){0, 0, 0});
}
static void sample_gradients_of_zeros(hid_t file) {
  add(file, "k/sample_gradients", H5T_IEEE_F64LE, 2, DIMS(1, 2),
      (const double[]){0, 0});
}
static void negative_index(hid_t file) {
  add(file, "k/ntk/e/index", H5T_STD_I32LE, 2, DIMS(1, 2), (const double[]){0, -1});
  add(file, "k/ntk/e/signal", H5T_IEEE_F32LE, 4, DIMS(1, 1, 2, 1), NULL);
}
static void input_without_signal(hid_t file) {
  add(file, "k/ntk/e/input", H5T_IEEE_F32LE, 2, DIMS(1, 2), NULL);
}
static void conv_without_input_size(hid_t file) {
  add(file, "k/weights/w", H5T_IEEE_F32LE, 4, DIMS(1, 1, 1, 1), NULL);
}
static void linear_with_three_axes(hid_t file) {
  add(file, "k/weights/w", H5T_IEEE_F32LE, 3, DIMS(1, 1, 1), NULL);
  H5LTset_attribute_string(file, "/models/k/weights/w", "kind", "linear");
}
static void sharpness_without_radius(hid_t file) {
  add(file, "k/sharpness", H5T_IEEE_F32LE, 2, DIMS(2, 1), NULL);
}
static void sharpness_of_another_radius(hid_t file) {
  add(file, "k/sharpness", H5T_IEEE_F32LE, 2, DIMS(2, 1), NULL);
  H5LTset_attribute_double(file, "/models/k/sharpness", "radius", (const double[]){1},
                           1);
}
static void sharpness_of_no_radius(hid_t file) {
  add(file, "k/sharpness", H5T_IEEE_F32LE, 2, DIMS(1, 1), NULL);
  H5LTset_attribute_double(file, "/models/k/sharpness", "radius", (const double[]){-1},
                           1);
}
static void gradient_of_another_length(hid_t file) {
  add(file, "k/weights/w", H5T_IEEE_F32LE, 1, DIMS(3), NULL);
  add(file, "k/gradients/t", H5T_IEEE_F64LE, 1, DIMS(2), (const double[]){1, 2});
}
static void gradient_of_unknown_parameters(hid_t file) {
  add(file, "k/weights/w", H5T_IEEE_F32LE, 1, DIMS(2), NULL);
  add(file, "k/gradients/t", H5T_IEEE_F64LE, 1, DIMS(2), (const double[]){1, 2});
  set_parameters(file, "/models/k/gradients/t", "w", "lost");
}
static void gradient_of_numbered_parameters(hid_t file) {
  add(file, "k/gradients/t", H5T_IEEE_F64LE, 1, DIMS(2), (const double[]){1, 2});
  H5LTset_attribute_int(file, "/models/k/gradients/t", "parameters", (int[]){1, 2}, 2);
}
static void labels_of_another_length(hid_t file) {
  zg_test_zoo_dataset(file, "/samples/label", H5T_STD_I32LE, 1, DIMS(N + 1), NULL);
}

static void each_planted_fault_of_a_model_is_reported(void) {
  static const struct {
    void (*make)(hid_t file);
    const char *where, *what;
  } cases[] = {{nan_in_the_jacobian, "k/jacobian", "NaN"},
               {overflow_in_a_weight, "k/weights/w", "infinite"},
               {a_gradient_of_zeros, "k/gradients/t", "zero"},
               {sample_gradients_of_zeros, "k/sample_gradients", "zero"},
               {negative_index, "k/ntk/e/index", "negative"},
               {input_without_signal, "k/ntk/e/input", "no ntk/signal"},
               {conv_without_input_size, "k/weights/w", "input_size"},
               {linear_with_three_axes, "k/weights/w", "3 axes"},
               {sharpness_without_radius, "k/sharpness", "no attribute 'radius'"},
               {sharpness_of_another_radius, "k/sharpness", "1 entries for 2"},
               {sharpness_of_no_radius, "k/sharpness", "positive"},
               {gradient_of_another_length, "k/gradients/t", "2 parameters"},
               {gradient_of_unknown_parameters, "k/gradients/t", "'lost'"},
               {gradient_of_numbered_parameters, "k/gradients/t", "no list of names"},
               {labels_of_another_length, "/samples/label", "7 entries for 6"}};
  char path[ZG_TEST_PATH_BYTES];
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    hid_t file = zg_test_zoo_create(zg_test_path("faulty.h5", path));
    add_sound_model(file);
    cases[k].make(file);
    zg_test_zoo_close(file);
    faults f = check_file(path);
    check_reported(&f, cases[k].where, cases[k].what);
    CU_ASSERT_EQUAL(f.lines.count, 1);
    zg_list_clear(&f.lines);
  }
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
    {"logits_of_other_samples_may_not", logits_of_other_samples_may_not},
    {"a_sound_zoo_has_no_faults", a_sound_zoo_has_no_faults},
    {"every_planted_fault_is_reported", every_planted_fault_is_reported},
    {"faults_of_structure_do_not_hide_the_others",
     faults_of_structure_do_not_hide_the_others},
    {"a_sound_model_has_no_faults", a_sound_model_has_no_faults},
    {"each_planted_fault_of_a_model_is_reported",
     each_planted_fault_of_a_model_is_reported},
    {"numbers_that_cannot_be_read_are_a_fault",
     numbers_that_cannot_be_read_are_a_fault},
    {"a_file_that_is_no_zoo_is_an_error_not_a_fault",
     a_file_that_is_no_zoo_is_an_error_not_a_fault},
    {NULL, NULL}};
