/** \file
 * Rows as the reader gives them, for every type of number and way of storing them. */
#include "base/memory.h"
#include "files.h"
#include "mpi_main.h"
#include "zoo/reader.h"

#include <hdf5_hl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 9, A = 3, B = 4, D = A * B };

/* Whole numbers that every type holds exactly, negative ones among them. */
static double number(int64_t k) {
  return (double)(k % 101) - 50;
}

static void fill(double *values) {
  for (int64_t k = 0; k < N * D; k++)
    values[k] = number(k);
}

static double at(const zg_slab *slab, int64_t k) {
  return slab->precision == ZG_SINGLE ? (double)((const float *)slab->data)[k]
                                      : ((const double *)slab->data)[k];
}

/* Every run of rows of a layer. */
static void check_rows(zg_reader *reader, int64_t layer) {
  for (int64_t row = 0; row < N; row++)
    for (int64_t rows = 1; row + rows <= N; rows++) {
      zg_slab slab;
      CU_ASSERT_EQUAL_FATAL(zg_reader_rows(reader, layer, row, rows, &slab), ZG_OK);
      CU_ASSERT(slab.rows == rows && slab.d == D);
      int64_t wrong = 0;
      for (int64_t k = 0; k < rows * D; k++)
        wrong += at(&slab, k) != number(row * D + k);
      CU_ASSERT_EQUAL(wrong, 0);
    }
}

/* The same rows as doubles, and nothing beyond them. */
static void check_doubles(zg_reader *reader, int64_t layer) {
  double values[N * D + 1];
  for (int64_t row = 0; row < N; row++) {
    int64_t count = (N - row) * D, wrong = 0;
    values[count] = 0.5;
    CU_ASSERT_EQUAL_FATAL(zg_reader_doubles(reader, layer, row, N - row, values),
                          ZG_OK);
    for (int64_t k = 0; k < count; k++)
      wrong += values[k] != number(row * D + k);
    CU_ASSERT(wrong == 0 && values[count] == 0.5);
  }
}

static void check_file(const char *path) {
  zg_zoo *zoo = zg_test_zoo_open(path);
  zg_reader *reader = zg_reader_create(zoo);
  for (int64_t k = 0; k < zoo->layer_count; k++)
    check_rows(reader, k), check_doubles(reader, k);
  zg_reader_destroy(&reader);
  CU_ASSERT_PTR_NULL(reader);
  zg_zoo_destroy(&zoo);
}

static hid_t bfloat_type(void) {
  hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(type, 15, 7, 8, 0, 7);
  H5Tset_size(type, 2);
  return type;
}

static void numbers_of_every_type_are_read(void) {
  char path[ZG_TEST_PATH_BYTES], name[64];
  double values[N * D];
  const hsize_t dims[3] = {N, A, B};
  hid_t half = zg_test_half_type(), half_big = zg_test_half_type(),
        bfloat = bfloat_type();
  H5Tset_order(half_big, H5T_ORDER_BE);
  const hid_t types[] = {half,           half_big,       H5T_IEEE_F32LE, H5T_IEEE_F32BE,
                         H5T_IEEE_F64LE, H5T_IEEE_F64BE, H5T_STD_I8LE,   H5T_STD_I16BE,
                         H5T_STD_I64LE,  bfloat};
  fill(values);
  hid_t file = zg_test_zoo_create(zg_test_path("types.h5", path));
  for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
    snprintf(name, sizeof name, "/models/m/activations/l%zu", k);
    zg_test_zoo_dataset(file, name, types[k], 3, dims, values);
  }
  zg_test_zoo_close(file);
  H5Tclose(half), H5Tclose(half_big), H5Tclose(bfloat);
  check_file(path);
}

static void single_precision_is_not_widened_and_double_not_narrowed(void) {
  char path[ZG_TEST_PATH_BYTES];
  double values[N * D];
  const hsize_t dims[2] = {N, D};
  fill(values);
  values[0] = 1 + 0x1p-50;
  hid_t file = zg_test_zoo_create(zg_test_path("precision.h5", path));
  zg_test_zoo_dataset(file, "/models/m/activations/a", H5T_IEEE_F32LE, 2, dims, values);
  zg_test_zoo_dataset(file, "/models/m/activations/b", H5T_IEEE_F64LE, 2, dims, values);
  zg_test_zoo_close(file);
  zg_zoo *zoo = zg_test_zoo_open(path);
  zg_reader *reader = zg_reader_create(zoo);
  zg_slab slab;
  CU_ASSERT_EQUAL(zg_reader_rows(reader, 0, 0, 1, &slab), ZG_OK);
  CU_ASSERT_EQUAL(slab.precision, ZG_SINGLE);
  CU_ASSERT_EQUAL(zg_reader_rows(reader, 1, 0, 1, &slab), ZG_OK);
  CU_ASSERT_EQUAL(slab.precision, ZG_DOUBLE);
  CU_ASSERT_EQUAL(at(&slab, 0), 1 + 0x1p-50);
  zg_reader_destroy(&reader);
  zg_zoo_destroy(&zoo);
}

static void add_compressed(hid_t file, const char *name, const double *values) {
  const hsize_t dims[2] = {N, D}, chunk[2] = {4, 5};
  hid_t space = H5Screate_simple(2, dims, NULL),
        creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(creation, 2, chunk);
  H5Pset_shuffle(creation);
  H5Pset_deflate(creation, 4);
  hid_t dataset =
      H5Dcreate2(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
  H5Dclose(dataset), H5Pclose(creation), H5Sclose(space);
}

/* The rows of two datasets of another file behind one another. */
static void add_virtual(hid_t file, const char *name, const char *source,
                        const char *const parts[2]) {
  const hsize_t whole[2] = {N, D}, half[2][2] = {{4, D}, {N - 4, D}};
  const hsize_t start[2][2] = {{0, 0}, {4, 0}};
  hid_t space = H5Screate_simple(2, whole, NULL),
        creation = H5Pcreate(H5P_DATASET_CREATE);
  for (int k = 0; k < 2; k++) {
    hid_t from = H5Screate_simple(2, half[k], NULL);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start[k], NULL, half[k], NULL);
    H5Pset_virtual(creation, space, source, parts[k], from);
    H5Sclose(from);
  }
  hid_t dataset =
      H5Dcreate2(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  CU_ASSERT(dataset >= 0);
  H5Dclose(dataset), H5Pclose(creation), H5Sclose(space);
}

static void rows_come_through_filters_links_and_virtual_datasets(void) {
  static const char *const parts[2] = {"/upper", "/lower"};
  char path[ZG_TEST_PATH_BYTES], other[ZG_TEST_PATH_BYTES];
  double values[N * D];
  const hsize_t upper[2] = {4, D}, lower[2] = {N - 4, D}, whole[2] = {N, D};
  fill(values);
  hid_t file = zg_test_zoo_create(zg_test_path("elsewhere.h5", other));
  zg_test_zoo_dataset(file, parts[0], H5T_IEEE_F32LE, 2, upper, values);
  zg_test_zoo_dataset(file, parts[1], H5T_IEEE_F32LE, 2, lower, values + 4 * D);
  zg_test_zoo_dataset(file, "/whole", H5T_IEEE_F32LE, 2, whole, values);
  zg_test_zoo_close(file);
  file = zg_test_zoo_create(zg_test_path("storage.h5", path));
  zg_test_zoo_group(file, "/models/m/activations", 0);
  add_compressed(file, "/models/m/activations/compressed", values);
  H5Lcreate_external("elsewhere.h5", "/whole", file, "/models/m/activations/linked",
                     H5P_DEFAULT, H5P_DEFAULT);
  add_virtual(file, "/models/m/activations/virtual", other, parts);
  zg_test_zoo_close(file);
  check_file(path);
}

static void bytes_are_counted_as_stored(void) {
  char path[ZG_TEST_PATH_BYTES];
  const hsize_t dims[2] = {N, D};
  double values[N * D];
  fill(values);
  hid_t file = zg_test_zoo_create(zg_test_path("bytes.h5", path)),
        half = zg_test_half_type();
  zg_test_zoo_dataset(file, "/models/m/activations/a", half, 2, dims, values);
  zg_test_zoo_dataset(file, "/models/m/activations/b", H5T_IEEE_F64LE, 2, dims, values);
  H5Tclose(half);
  zg_test_zoo_close(file);
  zg_zoo *zoo = zg_test_zoo_open(path);
  zg_reader *reader = zg_reader_create(zoo);
  zg_slab slab;
  CU_ASSERT_EQUAL(zg_reader_bytes(reader), 0);
  zg_reader_rows(reader, 0, 0, N, &slab);
  CU_ASSERT_EQUAL(zg_reader_bytes(reader), N * D * 2);
  zg_reader_rows(reader, 1, 3, 2, &slab);
  CU_ASSERT_EQUAL(zg_reader_bytes(reader), N * D * 2 + 2 * D * 8);
  zg_reader_destroy(&reader);
  zg_zoo_destroy(&zoo);
}

static void slabs_have_a_size_that_suits_reading(void) {
  CU_ASSERT_EQUAL(zg_reader_slab_rows((int64_t)1 << 30), 1);
  CU_ASSERT(zg_reader_slab_rows(1) > 1000);
  for (int64_t d = 1; d < (int64_t)1 << 24; d *= 3)
    CU_ASSERT(zg_reader_slab_rows(d) * d <= (int64_t)1 << 24);
}

/* Rows of which a slab holds one or two. */
static void doubles_come_slab_by_slab(void) {
  char path[ZG_TEST_PATH_BYTES];
  enum { ROWS = 5, WIDTH = 500000 };
  const hsize_t dims[2] = {ROWS, WIDTH};
  double *values = ZG_NEW(double, ROWS *WIDTH), *found = ZG_NEW0(double, ROWS *WIDTH);
  for (int64_t k = 0; k < ROWS * WIDTH; k++)
    values[k] = number(k);
  hid_t file = zg_test_zoo_create(zg_test_path("wide.h5", path));
  zg_test_zoo_dataset(file, "/models/m/activations/a", H5T_STD_I8LE, 2, dims, values);
  zg_test_zoo_close(file);
  zg_zoo *zoo = zg_test_zoo_open(path);
  zg_reader *reader = zg_reader_create(zoo);
  CU_ASSERT(zg_reader_slab_rows(WIDTH) < ROWS - 1);
  CU_ASSERT_EQUAL(zg_reader_doubles(reader, 0, 1, ROWS - 1, found), ZG_OK);
  CU_ASSERT(!memcmp(found, values + WIDTH, (ROWS - 1) * WIDTH * sizeof *found));
  zg_reader_destroy(&reader);
  zg_zoo_destroy(&zoo);
  free(values);
  free(found);
}

/* Reading after the catalogue was made, when the file has changed. */
static void check_changed(zg_status status, void (*change)(const char *path)) {
  char path[ZG_TEST_PATH_BYTES];
  double values[N * D];
  fill(values);
  hid_t file = zg_test_zoo_create(zg_test_path("changed.h5", path));
  zg_test_zoo_layer(file, "net", "odd", N, D, values);
  zg_test_zoo_close(file);
  zg_zoo *zoo = zg_test_zoo_open(path);
  change(path);
  zg_reader *reader = zg_reader_create(zoo);
  zg_slab slab;
  CU_ASSERT_EQUAL(zg_reader_rows(reader, 0, 0, N, &slab), status);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "changed.h5"));
  if (status == ZG_ERR_DATA) CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "odd"));
  zg_reader_destroy(&reader);
  zg_zoo_destroy(&zoo);
}

static void take_away(const char *path) {
  remove(path);
}
static void empty_of_layers(const char *path) {
  hid_t file = zg_test_zoo_create(path);
  zg_test_zoo_close(file);
}
static void make_shorter(const char *path) {
  hid_t file = zg_test_zoo_create(path);
  zg_test_zoo_layer(file, "net", "odd", N - 1, D, NULL);
  zg_test_zoo_close(file);
}

static void files_that_change_under_the_reader_are_reported(void) {
  check_changed(ZG_ERR_INPUT, take_away);
  check_changed(ZG_ERR_DATA, empty_of_layers);
  check_changed(ZG_ERR_DATA, make_shorter);
}

/* Where deflate has begun to write. */
static void spoil_chunks(const char *path) {
  FILE *file = fopen(path, "r+b");
  CU_ASSERT_PTR_NOT_NULL_FATAL(file);
  for (int before = 0, byte; (byte = fgetc(file)) != EOF; before = byte)
    if (before == 0x78 && byte == 0x5e) {
      fseek(file, -2, SEEK_CUR);
      fputc(0, file);
      fseek(file, 1, SEEK_CUR);
    }
  fclose(file);
}

static void damaged_numbers_are_reported(void) {
  char path[ZG_TEST_PATH_BYTES];
  double values[N * D];
  int64_t integers[N * D];
  fill(values);
  hid_t file = zg_test_zoo_create(zg_test_path("damaged.h5", path));
  zg_test_zoo_layer(file, "m", "even", N, D, values);
  add_compressed(file, "/models/m/activations/odd", values);
  zg_test_zoo_close(file);
  zg_zoo *zoo = zg_test_zoo_open(path);
  zg_reader *reader = zg_reader_create(zoo);
  CU_ASSERT_EQUAL(zg_reader_integers(reader, 1, 0, N, integers), ZG_OK);
  CU_ASSERT_EQUAL(integers[D], (int64_t)number(D));
  zg_reader_destroy(&reader);
  spoil_chunks(path);
  reader = zg_reader_create(zoo);
  CU_ASSERT_EQUAL(zg_reader_integers(reader, 1, 0, N, integers), ZG_ERR_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "'odd': its numbers cannot be read"));
  zg_reader_destroy(&reader);
  zg_zoo_destroy(&zoo);
}

static void strings_come_fixed_and_variable(void) {
  static const char *const texts[] = {"conv", "relu", "", "add"};
  char path[ZG_TEST_PATH_BYTES];
  hid_t file = zg_test_zoo_create(zg_test_path("texts.h5", path));
  for (int variable = 0; variable < 2; variable++) {
    const char *const model = variable ? "variable" : "fixed";
    char name[64];
    snprintf(name, sizeof name, "/models/%s/graph/op", model);
    zg_test_zoo_texts(file, name, variable, 4, texts);
    snprintf(name, sizeof name, "/models/%s/graph/edge", model);
    zg_test_zoo_dataset(file, name, H5T_STD_I32LE, 2, (const hsize_t[]){0, 2}, NULL);
  }
  zg_test_zoo_close(file);
  zg_zoo *zoo = zg_test_zoo_open(path);
  zg_reader *reader = zg_reader_create(zoo);
  for (int64_t k = zoo->first[ZG_GRAPH_OP]; k < zoo->first[ZG_GRAPH_OP + 1]; k++) {
    zg_list found = {0};
    CU_ASSERT(zoo->arrays[k].dtype == ZG_STRING && zoo->arrays[k].n == 4);
    CU_ASSERT_EQUAL(zg_reader_texts(reader, k, &found), ZG_OK);
    CU_ASSERT_EQUAL_FATAL(found.count, 4);
    for (int t = 0; t < 4; t++)
      CU_ASSERT_STRING_EQUAL(found.items[t], texts[t]);
    zg_list_clear(&found);
  }
  zg_reader_destroy(&reader);
  zg_zoo_destroy(&zoo);
}

/* As many chunks of an array as fit into 1 MiB stay while it is open, none that is
 * larger; of 64 arrays at a time. */
static void chunks_take_memory(void) {
  const int64_t KiB = 1024, MiB = 1024 * KiB;
  zg_array arrays[70] = {{.chunk = 0},
                         {.chunk = 300 * KiB, .chunks = 2},
                         {.chunk = 300 * KiB, .chunks = 10},
                         {.chunk = 5 * MiB, .chunks = 10}};
  zg_zoo zoo = {.arrays = arrays, .array_count = 4};
  CU_ASSERT_EQUAL(zg_reader_chunk_bytes(&zoo), (2 + 3) * 300 * KiB);
  arrays[3].compressed = true; /* packed and unpacked */
  CU_ASSERT_EQUAL(zg_reader_chunk_bytes(&zoo), (2 + 3) * 300 * KiB + 10 * MiB);
  for (int k = 4; k < 70; k++)
    arrays[k] = (zg_array){.chunk = MiB / 2, .chunks = 7};
  zoo.array_count = 70;
  CU_ASSERT_EQUAL(zg_reader_chunk_bytes(&zoo), 64 * MiB + 10 * MiB);
  zoo.array_count = 0;
  CU_ASSERT_EQUAL(zg_reader_chunk_bytes(&zoo), 0);
}

const zg_test zg_tests[] = {
    {"damaged_numbers_are_reported", damaged_numbers_are_reported},
    {"chunks_take_memory", chunks_take_memory},
    {"strings_come_fixed_and_variable", strings_come_fixed_and_variable},
    {"numbers_of_every_type_are_read", numbers_of_every_type_are_read},
    {"single_precision_is_not_widened_and_double_not_narrowed",
     single_precision_is_not_widened_and_double_not_narrowed},
    {"rows_come_through_filters_links_and_virtual_datasets",
     rows_come_through_filters_links_and_virtual_datasets},
    {"bytes_are_counted_as_stored", bytes_are_counted_as_stored},
    {"slabs_have_a_size_that_suits_reading", slabs_have_a_size_that_suits_reading},
    {"doubles_come_slab_by_slab", doubles_come_slab_by_slab},
    {"files_that_change_under_the_reader_are_reported",
     files_that_change_under_the_reader_are_reported},
    {NULL, NULL}};
