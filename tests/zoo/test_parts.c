/** \file
 * Parts of arrays of any number of axes, integers and attributes, as the reader gives
 * them; every expected number is that of a formula of its position. */
#include "files.h"
#include "mpi_main.h"
#include "zoo/reader.h"

#include <hdf5_hl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whole numbers that half precision holds exactly, all different. */
static double number(int64_t k) {
  return (double)(k - 60);
}

static double at(const zg_slab *slab, int64_t k) {
  return slab->precision == ZG_SINGLE ? (double)((const float *)slab->data)[k]
                                      : ((const double *)slab->data)[k];
}

static const hsize_t shape[4] = {5, 2, 3, 4};
enum { NUMBERS = 5 * 2 * 3 * 4 };

static void add_compressed(hid_t file, const char *path, const double *values) {
  const hsize_t chunk[4] = {2, 2, 2, 3};
  hid_t space = H5Screate_simple(4, shape, NULL),
        creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(creation, 4, chunk);
  H5Pset_deflate(creation, 4);
  hid_t dataset =
      H5Dcreate2(file, path, H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
  H5Dclose(dataset), H5Pclose(creation), H5Sclose(space);
}

/* Weights of 0 to 4 axes in each type, and a compressed one. */
static zg_zoo *make_weights(void) {
  char path[ZG_TEST_PATH_BYTES], name[64];
  double values[NUMBERS];
  for (int64_t k = 0; k < NUMBERS; k++)
    values[k] = number(k);
  hid_t half = zg_test_half_type();
  const hid_t types[] = {half, H5T_IEEE_F32LE, H5T_IEEE_F64BE, H5T_STD_I16LE};
  hid_t file = zg_test_zoo_create(zg_test_path("parts.h5", path));
  for (int t = 0; t < 4; t++)
    for (int rank = 0; rank <= 4; rank++) {
      snprintf(name, sizeof name, "/models/m/weights/w%d%d", t, rank);
      zg_test_zoo_dataset(file, name, types[t], rank, shape, values);
    }
  add_compressed(file, "/models/m/weights/z", values);
  zg_test_zoo_close(file);
  H5Tclose(half);
  return zg_test_zoo_open(path);
}

static void any_run_of_numbers_is_read(void) {
  zg_zoo *zoo = make_weights();
  zg_reader *reader = zg_reader_create(zoo);
  for (int64_t k = 0; k < zoo->array_count; k++) {
    int64_t total = zoo->arrays[k].n * zoo->arrays[k].d, wrong = 0;
    for (int64_t first = 0; first < total; first++)
      for (int64_t count = 1; first + count <= total; count++) {
        zg_slab slab;
        int64_t before = zg_reader_bytes(reader);
        CU_ASSERT_EQUAL_FATAL(zg_reader_flat(reader, k, first, count, &slab), ZG_OK);
        CU_ASSERT_FATAL(slab.rows == 1 && slab.d == count);
        for (int64_t i = 0; i < count; i++)
          wrong += at(&slab, i) != number(first + i);
        wrong += zg_reader_bytes(reader) - before !=
                 count * zg_dtype_bytes(zoo->arrays[k].dtype);
      }
    CU_ASSERT_EQUAL(wrong, 0);
  }
  zg_reader_destroy(&reader);
  zg_zoo_destroy(&zoo);
}

/* Compare a slab with the numbers of its rows and columns; `last` is the last axis. */
static int64_t differences(const zg_slab *slab, const zg_array *array, int64_t row,
                           int64_t column, int64_t columns) {
  int64_t last = array->rank > 1 ? array->dims[array->rank - 1] : 1, wrong = 0;
  int64_t lines = array->d / last; /* rows of the last axis in one of the first */
  for (int64_t r = 0; r < slab->rows; r++)
    for (int64_t l = 0; l < lines; l++)
      for (int64_t c = 0; c < columns; c++)
        wrong += at(slab, (r * lines + l) * columns + c) !=
                 number(((row + r) * lines + l) * last + column + c);
  return wrong;
}

static void rows_and_columns_are_read(void) {
  zg_zoo *zoo = make_weights();
  zg_reader *reader = zg_reader_create(zoo);
  for (int64_t k = 0; k < zoo->array_count; k++) {
    const zg_array *array = &zoo->arrays[k];
    int64_t last = array->rank > 1 ? array->dims[array->rank - 1] : 1, wrong = 0;
    for (int64_t row = 0; row < array->n; row++)
      for (int64_t rows = 1; row + rows <= array->n; rows++)
        for (int64_t column = 0; column < last; column++)
          for (int64_t columns = 1; column + columns <= last; columns++) {
            zg_slab s;
            CU_ASSERT_EQUAL_FATAL(
                zg_reader_part(reader, k, row, rows, column, columns, &s), ZG_OK);
            CU_ASSERT_FATAL(s.rows == rows && s.d == array->d / last * columns);
            wrong += differences(&s, array, row, column, columns);
          }
    CU_ASSERT_EQUAL(wrong, 0);
  }
  zg_reader_destroy(&reader);
  zg_zoo_destroy(&zoo);
}

/* Every run of numbers at every position of the second axis, of an array of at least
 * two axes. */
static int64_t differences_at(zg_reader *reader, const zg_array *array, int64_t index,
                              int64_t position) {
  int64_t second = array->dims[1], inner = array->d / second, wrong = 0;
  int64_t total = array->n * inner;
  for (int64_t first = 0; first < total; first++)
    for (int64_t count = 1; first + count <= total; count++) {
      zg_slab slab;
      CU_ASSERT_EQUAL_FATAL(
          zg_reader_layer(reader, index, position, first, count, &slab), ZG_OK);
      for (int64_t i = first; i < first + count; i++)
        wrong += at(&slab, i - first) !=
                 number((i / inner * second + position) * inner + i % inner);
    }
  return wrong;
}

static void what_stands_at_a_position_of_the_second_axis_is_read(void) {
  zg_zoo *zoo = make_weights();
  zg_reader *reader = zg_reader_create(zoo);
  for (int64_t k = 0; k < zoo->array_count; k++) {
    const zg_array *array = &zoo->arrays[k];
    for (int64_t p = 0; array->rank > 1 && p < array->dims[1]; p++)
      CU_ASSERT_EQUAL(differences_at(reader, array, k, p), 0);
  }
  zg_reader_destroy(&reader);
  zg_zoo_destroy(&zoo);
}

static void a_scalar_is_one_row_of_one_number(void) {
  zg_zoo *zoo = make_weights();
  zg_reader *reader = zg_reader_create(zoo);
  zg_slab slab;
  CU_ASSERT_EQUAL_FATAL(zoo->arrays[0].rank, 0);
  CU_ASSERT_EQUAL(zg_reader_rows(reader, 0, 0, 1, &slab), ZG_OK);
  CU_ASSERT(slab.rows == 1 && slab.d == 1 && at(&slab, 0) == number(0));
  zg_reader_destroy(&reader);
  zg_zoo_destroy(&zoo);
}

static void integers_keep_all_their_digits(void) {
  char path[ZG_TEST_PATH_BYTES];
  const hsize_t dims[2] = {3, 2};
  long long values[6] = {0, 1, -7, (1LL << 53) + 1, INT64_MAX, INT64_MIN};
  hid_t file = zg_test_zoo_create(zg_test_path("index.h5", path));
  zg_test_zoo_dataset(file, "/models/m/ntk/e/index", H5T_STD_I64BE, 2, dims, NULL);
  hid_t dataset = H5Dopen2(file, "/models/m/ntk/e/index", H5P_DEFAULT);
  H5Dwrite(dataset, H5T_NATIVE_LLONG, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
  H5Dclose(dataset);
  zg_test_zoo_close(file);
  zg_zoo *zoo = zg_test_zoo_open(path);
  zg_reader *reader = zg_reader_create(zoo);
  int64_t found[4] = {0};
  CU_ASSERT_EQUAL(zg_reader_integers(reader, 0, 1, 2, found), ZG_OK);
  for (int k = 0; k < 4; k++)
    CU_ASSERT_EQUAL(found[k], values[2 + k]);
  zg_reader_destroy(&reader);
  zg_zoo_destroy(&zoo);
}

/* More arrays than stay open, in an order that comes back to some. */
static void many_arrays_may_be_read_in_turn(void) {
  enum { ARRAYS = 150 };
  char path[ZG_TEST_PATH_BYTES], name[64];
  const hsize_t two = 2;
  hid_t file = zg_test_zoo_create(zg_test_path("many.h5", path));
  for (int k = 0; k < ARRAYS; k++) {
    snprintf(name, sizeof name, "/models/m/weights/w%d", k);
    zg_test_zoo_dataset(file, name, H5T_IEEE_F32LE, 1, &two,
                        (const double[]){number(k), number(-k)});
  }
  zg_test_zoo_close(file);
  zg_zoo *zoo = zg_test_zoo_open(path);
  zg_reader *reader = zg_reader_create(zoo);
  CU_ASSERT_EQUAL_FATAL(zoo->array_count, ARRAYS);
  for (int64_t step = 0, k = 0; step < 2000; step++, k = (k * 7 + step) % ARRAYS) {
    zg_slab slab;
    CU_ASSERT_EQUAL_FATAL(zg_reader_rows(reader, k, 0, 2, &slab), ZG_OK);
    CU_ASSERT(at(&slab, 0) == number(k) && at(&slab, 1) == number(-k));
    CU_ASSERT_EQUAL_FATAL(zg_reader_flat(reader, k, 1, 1, &slab), ZG_OK);
    CU_ASSERT_EQUAL(at(&slab, 0), number(-k));
  }
  CU_ASSERT_EQUAL(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_DATASET), 64);
  zg_reader_destroy(&reader);
  CU_ASSERT_EQUAL(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
  zg_zoo_destroy(&zoo);
}

/* ---- attributes ---- */

static const char sharpness[] = "/models/m/sharpness";

static void make_attributes(hid_t file) {
  static const char *const names[] = {"first", "", "the third"};
  const hsize_t dims[2] = {3, 1}, three = 3;
  zg_test_zoo_dataset(file, sharpness, H5T_IEEE_F32LE, 2, dims, NULL);
  H5LTset_attribute_double(file, sharpness, "doubles", (const double[]){0.1, -2, 1e300},
                           3);
  H5LTset_attribute_int(file, sharpness, "integer", &(int){-3}, 1);
  H5LTset_attribute_string(file, sharpness, "word", "one");
  hid_t variable = H5Tcopy(H5T_C_S1), fixed = H5Tcopy(H5T_C_S1);
  H5Tset_size(variable, H5T_VARIABLE);
  H5Tset_size(fixed, 9);
  H5Tset_strpad(fixed, H5T_STR_NULLPAD);
  hid_t list = H5Screate_simple(1, &three, NULL),
        table = H5Screate_simple(2, dims, NULL), empty = H5Screate(H5S_NULL);
  const struct {
    const char *name;
    hid_t type, space;
    const void *data;
  } texts[] = {{"variable", variable, list, names},
               {"fixed", fixed, list, "first\0\0\0\0\0\0\0\0\0\0\0\0\0the third"},
               {"table", H5T_NATIVE_FLOAT, table, (const float[]){1, 2, 3}},
               {"empty", H5T_NATIVE_FLOAT, empty, NULL}};
  for (int k = 0; k < 4; k++) {
    hid_t attribute =
        H5Acreate_by_name(file, sharpness, texts[k].name, texts[k].type, texts[k].space,
                          H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (texts[k].data) H5Awrite(attribute, texts[k].type, texts[k].data);
    H5Aclose(attribute);
  }
  H5Sclose(list), H5Sclose(table), H5Sclose(empty);
  H5Tclose(variable), H5Tclose(fixed);
}

static void check_numbers(zg_reader *reader, const char *name, zg_status status,
                          int64_t count, const double *expected) {
  double *values;
  int64_t found;
  CU_ASSERT_EQUAL(zg_reader_numbers(reader, 0, name, &values, &found), status);
  CU_ASSERT_EQUAL_FATAL(found, count);
  CU_ASSERT((values != NULL) == (count > 0));
  for (int64_t k = 0; k < count; k++)
    CU_ASSERT_EQUAL(values[k], expected[k]);
  free(values);
}

static void check_words(zg_reader *reader, const char *name, zg_status status,
                        int64_t count, const char *const *expected) {
  zg_list words = {0};
  CU_ASSERT_EQUAL(zg_reader_words(reader, 0, name, &words), status);
  CU_ASSERT_EQUAL_FATAL(words.count, count);
  for (int64_t k = 0; k < count; k++)
    CU_ASSERT_STRING_EQUAL(words.items[k], expected[k]);
  zg_list_clear(&words);
}

static void attributes_are_read_as_numbers_or_words(void) {
  char path[ZG_TEST_PATH_BYTES];
  hid_t file = zg_test_zoo_create(zg_test_path("attributes.h5", path));
  make_attributes(file);
  zg_test_zoo_close(file);
  zg_zoo *zoo = zg_test_zoo_open(path);
  zg_reader *reader = zg_reader_create(zoo);
  check_numbers(reader, "doubles", ZG_OK, 3, (const double[]){0.1, -2, 1e300});
  check_numbers(reader, "integer", ZG_OK, 1, (const double[]){-3});
  check_numbers(reader, "absent", ZG_OK, 0, NULL);
  check_numbers(reader, "empty", ZG_OK, 0, NULL);
  const char *const names[] = {"first", "", "the third"};
  check_words(reader, "variable", ZG_OK, 3, names);
  check_words(reader, "fixed", ZG_OK, 3, names);
  check_words(reader, "word", ZG_OK, 1, (const char *const[]){"one"});
  check_words(reader, "absent", ZG_OK, 0, NULL);
  check_numbers(reader, "word", ZG_ERR_DATA, 0, NULL);
  CU_ASSERT_PTR_NOT_NULL(
      strstr(zg_message(), "model 'm', sharpness: attribute 'word'"));
  check_numbers(reader, "table", ZG_ERR_DATA, 0, NULL);
  check_words(reader, "integer", ZG_ERR_DATA, 0, NULL);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "'integer'"));
  zg_reader_destroy(&reader);
  zg_zoo_destroy(&zoo);
}

const zg_test zg_tests[] = {
    {"any_run_of_numbers_is_read", any_run_of_numbers_is_read},
    {"rows_and_columns_are_read", rows_and_columns_are_read},
    {"what_stands_at_a_position_of_the_second_axis_is_read",
     what_stands_at_a_position_of_the_second_axis_is_read},
    {"a_scalar_is_one_row_of_one_number", a_scalar_is_one_row_of_one_number},
    {"integers_keep_all_their_digits", integers_keep_all_their_digits},
    {"many_arrays_may_be_read_in_turn", many_arrays_may_be_read_in_turn},
    {"attributes_are_read_as_numbers_or_words",
     attributes_are_read_as_numbers_or_words},
    {NULL, NULL}};
