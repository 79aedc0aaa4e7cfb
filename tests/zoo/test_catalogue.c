/** \file
 * What a zoo's catalogue says of files made here: order, types, shapes, selection, and
 * what is said of files that are no zoo. */
#include "base/memory.h"
#include "files.h"
#include "mpi_main.h"
#include "zoo/zoo.h"

#include <hdf5_hl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const hsize_t small[2] = {5, 2};

/* Open one file; fails the test when that fails. */
static zg_zoo *open_zoo(const char *path, const zg_select *select) {
  zg_list paths = {0};
  zg_zoo *zoo = NULL;
  zg_list_add(&paths, path);
  zg_status status = zg_zoo_open(&paths, select, &zoo);
  if (status != ZG_OK) printf("\n%s\n", zg_message());
  CU_ASSERT_EQUAL_FATAL(status, ZG_OK);
  zg_list_clear(&paths);
  return zoo;
}

/* "model/layer model/layer ..." of a file. */
static void check_items(const char *path, const zg_select *select,
                        const char *expected) {
  zg_text found = {0};
  zg_zoo *zoo = open_zoo(path, select);
  for (int64_t k = 0; k < zoo->layer_count; k++) {
    char *name = zg_zoo_item_name(zoo, k);
    zg_text_add(&found, "%s%s", k ? " " : "", name);
    free(name);
  }
  CU_ASSERT_STRING_EQUAL(zg_text_get(&found), expected);
  if (strcmp(zg_text_get(&found), expected)) printf("\nfound '%s'\n", found.data);
  zg_text_clear(&found);
  zg_zoo_destroy(&zoo);
  CU_ASSERT_PTR_NULL(zoo);
}

/* A model with these layers, made in this order. */
static void add_model(hid_t file, const char *model, const char *layers) {
  char path[ZG_TEST_PATH_BYTES];
  for (; *layers; layers++) {
    snprintf(path, sizeof path, "/models/%s/activations/%c", model, *layers);
    zg_test_zoo_dataset(file, path, H5T_IEEE_F32LE, 2, small, NULL);
  }
}

/* ---- order ---- */

static void without_any_order_names_decide_naturally(void) {
  char path[ZG_TEST_PATH_BYTES];
  hid_t file = zg_test_zoo_create(zg_test_path("natural.h5", path));
  add_model(file, "net10", "cab");
  add_model(file, "net9", "ab");
  add_model(file, "Net", "a");
  zg_test_zoo_dataset(file, "/models/net9/activations/l10", H5T_IEEE_F32LE, 2, small,
                      NULL);
  zg_test_zoo_dataset(file, "/models/net9/activations/l9", H5T_IEEE_F32LE, 2, small,
                      NULL);
  zg_test_zoo_close(file);
  check_items(path, NULL,
              "Net/a net9/a net9/b net9/l9 net9/l10 net10/a net10/b net10/c");
}

static void tracked_creation_order_decides_before_names(void) {
  char path[ZG_TEST_PATH_BYTES];
  hid_t file = zg_test_zoo_create(zg_test_path("tracked.h5", path));
  zg_test_zoo_group(file, "/models", 1);
  zg_test_zoo_group(file, "/models/z/activations", 1);
  add_model(file, "z", "bca");
  zg_test_zoo_group(file, "/models/m", 0);
  zg_test_zoo_group(file, "/models/m/activations", 0);
  add_model(file, "m", "bca"); /* these are not tracked */
  add_model(file, "a", "x");
  zg_test_zoo_close(file);
  check_items(path, NULL, "z/b z/c z/a m/a m/b m/c a/x");
}

static void the_attribute_order_decides_before_all(void) {
  char path[ZG_TEST_PATH_BYTES];
  hid_t file = zg_test_zoo_create(zg_test_path("order.h5", path));
  zg_test_zoo_group(file, "/models/m/activations", 1);
  add_model(file, "m", "edcba");
  zg_test_zoo_order(file, "/models/m/activations/a", 7);
  zg_test_zoo_order(file, "/models/m/activations/b", -3);
  zg_test_zoo_order(file, "/models/m/activations/d", 7); /* tie: made before a */
  add_model(file, "k", "ab");
  add_model(file, "z", "ab");
  zg_test_zoo_order(file, "/models/k/activations/b", 0);
  zg_test_zoo_order(file, "/models/z", 1);
  zg_test_zoo_close(file);
  check_items(path, NULL, "z/a z/b k/b k/a m/b m/d m/a m/e m/c");
}

/* ---- types and shapes ---- */

static void types_of_numbers_are_told_apart(void) {
  char path[ZG_TEST_PATH_BYTES];
  hid_t half = zg_test_half_type();
  const struct {
    hid_t type;
    zg_dtype dtype;
  } cases[] = {{half, ZG_FLOAT16},
               {H5T_IEEE_F32LE, ZG_FLOAT32},
               {H5T_IEEE_F32BE, ZG_FLOAT32},
               {H5T_IEEE_F64LE, ZG_FLOAT64},
               {H5T_IEEE_F64BE, ZG_FLOAT64},
               {H5T_STD_I8LE, ZG_OTHER_NUMBER},
               {H5T_STD_U16BE, ZG_OTHER_NUMBER},
               {H5T_STD_I64LE, ZG_OTHER_NUMBER}};
  enum { COUNT = sizeof cases / sizeof *cases };
  hid_t file = zg_test_zoo_create(zg_test_path("types.h5", path));
  for (int k = 0; k < COUNT; k++) {
    char name[64];
    snprintf(name, sizeof name, "/models/m/activations/l%d", k);
    zg_test_zoo_dataset(file, name, cases[k].type, 2, small, NULL);
  }
  zg_test_zoo_close(file);
  H5Tclose(half);
  zg_zoo *zoo = open_zoo(path, NULL);
  CU_ASSERT_EQUAL_FATAL(zoo->layer_count, COUNT);
  for (int k = 0; k < COUNT; k++)
    CU_ASSERT_EQUAL(zoo->arrays[k].dtype, cases[k].dtype);
  zg_zoo_destroy(&zoo);
}

static void the_spacing_of_each_type_is_that_of_its_mantissa(void) {
  CU_ASSERT_EQUAL(zg_dtype_epsilon(ZG_FLOAT16), 0x1p-10);
  CU_ASSERT_EQUAL(zg_dtype_epsilon(ZG_FLOAT32), 0x1p-23);
  CU_ASSERT_EQUAL(zg_dtype_epsilon(ZG_FLOAT64), 0x1p-52);
  CU_ASSERT_EQUAL(zg_dtype_bytes(ZG_FLOAT16), 2);
  CU_ASSERT_EQUAL(zg_dtype_bytes(ZG_FLOAT32), 4);
  CU_ASSERT_EQUAL(zg_dtype_bytes(ZG_FLOAT64), 8);
  CU_ASSERT_STRING_EQUAL(zg_dtype_name(ZG_FLOAT16), "float16");
}

static void trailing_axes_are_flattened(void) {
  char path[ZG_TEST_PATH_BYTES];
  const hsize_t dims[4] = {6, 3, 4, 5};
  hid_t file = zg_test_zoo_create(zg_test_path("axes.h5", path));
  for (int rank = 1; rank <= 4; rank++) {
    char name[64];
    snprintf(name, sizeof name, "/models/m/activations/l%d", rank);
    zg_test_zoo_dataset(file, name, H5T_IEEE_F32LE, rank, dims, NULL);
  }
  zg_test_zoo_close(file);
  zg_zoo *zoo = open_zoo(path, NULL);
  static const int64_t widths[] = {1, 3, 12, 60};
  for (int k = 0; k < 4; k++) {
    const zg_array *layer = &zoo->arrays[k];
    CU_ASSERT(layer->n == 6 && layer->d == widths[k] && layer->rank == k + 1);
    for (int axis = 0; axis <= k; axis++)
      CU_ASSERT_EQUAL(layer->dims[axis], (int64_t)dims[axis]);
  }
  zg_zoo_destroy(&zoo);
}

static void compression_is_noticed(void) {
  const hsize_t chunk[2] = {2, small[1]};
  char path[ZG_TEST_PATH_BYTES];
  hid_t file = zg_test_zoo_create(zg_test_path("filters.h5", path));
  add_model(file, "m", "a");
  hid_t space = H5Screate_simple(2, small, NULL),
        creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(creation, 2, chunk);
  H5Pset_deflate(creation, 4);
  hid_t dataset = H5Dcreate2(file, "/models/m/activations/b", H5T_IEEE_F32LE, space,
                             H5P_DEFAULT, creation, H5P_DEFAULT);
  H5Dclose(dataset), H5Pclose(creation), H5Sclose(space);
  zg_test_zoo_close(file);
  zg_zoo *zoo = open_zoo(path, NULL);
  CU_ASSERT_FALSE(zoo->arrays[0].compressed);
  CU_ASSERT(zoo->arrays[1].compressed);
  CU_ASSERT(zoo->arrays[0].chunk == 0 && zoo->arrays[0].chunks == 0);
  CU_ASSERT_EQUAL(zoo->arrays[1].chunk, (int64_t)(chunk[0] * chunk[1] * 4));
  CU_ASSERT_EQUAL(zoo->arrays[1].chunks,
                  zg_ceil_div((int64_t)small[0], (int64_t)chunk[0]) *
                      zg_ceil_div((int64_t)small[1], (int64_t)chunk[1]));
  zg_zoo_destroy(&zoo);
}

static void lengths_of_sample_lists_are_known(void) {
  char path[ZG_TEST_PATH_BYTES];
  const hsize_t length = 4;
  hid_t file = zg_test_zoo_create(zg_test_path("samples.h5", path));
  add_model(file, "m", "a");
  zg_test_zoo_ids(file, 5, 100);
  zg_test_zoo_dataset(file, "/samples/label", H5T_STD_I32LE, 1, &length, NULL);
  zg_test_zoo_close(file);
  zg_zoo *zoo = open_zoo(path, NULL);
  CU_ASSERT(zoo->files[0].ids == 5 && zoo->files[0].labels == 4);
  zg_zoo_destroy(&zoo);
}

/* ---- selection ---- */

static void make_selectable(char *path) {
  hid_t file = zg_test_zoo_create(zg_test_path("select.h5", path));
  add_model(file, "alex", "abc");
  add_model(file, "vgg11", "abc");
  add_model(file, "vgg19", "bd");
  zg_test_zoo_close(file);
}

static void patterns_select_models_and_layers(void) {
  char path[ZG_TEST_PATH_BYTES];
  make_selectable(path);
  zg_select select = {0};
  zg_list_add(&select.models, "vgg*");
  zg_list_add(&select.layers, "[ad]");
  zg_list_add(&select.layers, "c");
  check_items(path, &select, "vgg11/a vgg11/c vgg19/d");
  zg_zoo *zoo = open_zoo(path, &select);
  CU_ASSERT_EQUAL(zoo->models_found, 3);
  CU_ASSERT_EQUAL(zoo->model_count, 2);
  CU_ASSERT_EQUAL(zoo->layer_count, 3);
  zg_zoo_destroy(&zoo);
  zg_list_clear(&select.models);
  zg_list_clear(&select.layers);
}

static void a_limit_takes_the_first_samples(void) {
  char path[ZG_TEST_PATH_BYTES];
  make_selectable(path);
  static const struct {
    int64_t limit, rows;
  } cases[] = {{0, 5}, {4, 4}, {5, 5}, {100, 5}};
  for (int k = 0; k < 4; k++) {
    zg_select select = {.samples = cases[k].limit};
    zg_zoo *zoo = open_zoo(path, &select);
    CU_ASSERT_EQUAL(zg_zoo_rows(zoo, &zoo->arrays[0]), cases[k].rows);
    CU_ASSERT_EQUAL(zoo->arrays[0].n, 5);
    zg_zoo_destroy(&zoo);
  }
}

/* ---- errors ---- */

/* Opening these files fails with this status and names all of these words. */
static void check_error(const zg_list *paths, const zg_select *select, zg_status status,
                        const char *const *words) {
  zg_zoo *zoo = NULL;
  CU_ASSERT_EQUAL(zg_zoo_open(paths, select, &zoo), status);
  CU_ASSERT_PTR_NULL(zoo);
  for (; *words; words++) {
    CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), *words));
    if (!strstr(zg_message(), *words))
      printf("\n'%s' does not say '%s'\n", zg_message(), *words);
  }
}

static void leave_empty(hid_t file) {
  zg_test_zoo_group(file, "/models", 0);
}
static void leave_out_models(hid_t file) {
  zg_test_zoo_group(file, "/samples", 0);
}
static void make_models_a_dataset(hid_t file) {
  zg_test_zoo_dataset(file, "/models", H5T_IEEE_F32LE, 2, small, NULL);
}
static void make_a_model_a_dataset(hid_t file) {
  zg_test_zoo_dataset(file, "/models/odd", H5T_IEEE_F32LE, 2, small, NULL);
}
static void make_activations_a_dataset(hid_t file) {
  zg_test_zoo_dataset(file, "/models/odd/activations", H5T_IEEE_F32LE, 2, small, NULL);
}
static void make_a_layer_a_group(hid_t file) {
  zg_test_zoo_group(file, "/models/net/activations/odd", 0);
}
static void make_a_layer_of_strings(hid_t file) {
  zg_test_zoo_dataset(file, "/models/net/activations/odd", H5T_C_S1, 2, small, NULL);
}
static void make_a_scalar_layer(hid_t file) {
  zg_test_zoo_dataset(file, "/models/net/activations/odd", H5T_IEEE_F32LE, 0, NULL,
                      NULL);
}
static void make_a_layer_without_features(hid_t file) {
  const hsize_t dims[2] = {5, 0};
  zg_test_zoo_dataset(file, "/models/net/activations/odd", H5T_IEEE_F32LE, 2, dims,
                      NULL);
}
static void link_a_layer_to_nowhere(hid_t file) {
  zg_test_zoo_group(file, "/models/net/activations", 0);
  H5Lcreate_external("gone.h5", "/x", file, "/models/net/activations/odd", H5P_DEFAULT,
                     H5P_DEFAULT);
}
static void leave_out_the_format(hid_t file) {
  add_model(file, "net", "a");
  H5Adelete(file, "format");
}
static void give_another_format(hid_t file) {
  add_model(file, "net", "a");
  H5LTset_attribute_string(file, "/", "format", "zoogram-results");
}
static void give_another_version(hid_t file) {
  const int version = 7;
  H5LTset_attribute_int(file, "/", "version", &version, 1);
}

static void what_is_no_zoo_is_refused_by_name(void) {
  static const struct {
    void (*make)(hid_t file);
    const char *words[4];
  } cases[] = {{leave_empty, {"bad.h5", "models"}},
               {leave_out_models, {"bad.h5", "/models"}},
               {make_models_a_dataset, {"bad.h5", "/models"}},
               {make_a_model_a_dataset, {"bad.h5", "odd"}},
               {make_activations_a_dataset, {"bad.h5", "odd", "activations"}},
               {make_a_layer_a_group, {"bad.h5", "net", "odd"}},
               {make_a_layer_of_strings, {"bad.h5", "net", "odd"}},
               {make_a_scalar_layer, {"bad.h5", "net", "odd"}},
               {make_a_layer_without_features, {"bad.h5", "net", "odd"}},
               {link_a_layer_to_nowhere, {"bad.h5", "net", "odd"}},
               {leave_out_the_format, {"bad.h5", "format"}},
               {give_another_format, {"bad.h5", "format", "zoogram-results"}},
               {give_another_version, {"bad.h5", "version", "7"}}};
  char path[ZG_TEST_PATH_BYTES];
  zg_list paths = {0};
  zg_list_add(&paths, zg_test_path("bad.h5", path));
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    hid_t file = zg_test_zoo_create(path);
    cases[k].make(file);
    zg_test_zoo_close(file);
    check_error(&paths, NULL, ZG_ERR_DATA, cases[k].words);
  }
  zg_list_clear(&paths);
}

static void write_bytes(const char *path, const char *bytes, size_t count) {
  FILE *file = fopen(path, "wb");
  CU_ASSERT_PTR_NOT_NULL_FATAL(file);
  CU_ASSERT_EQUAL(fwrite(bytes, 1, count, file), count);
  fclose(file);
}

static void missing_and_damaged_files_are_refused_by_name(void) {
  char path[ZG_TEST_PATH_BYTES], zoo[ZG_TEST_PATH_BYTES];
  zg_list paths = {0};
  zg_list_add(&paths, zg_test_path("damaged.h5", path));
  remove(path);
  check_error(&paths, NULL, ZG_ERR_INPUT, (const char *[]){"damaged.h5", NULL});
  write_bytes(path, "no HDF5 at all", 14);
  check_error(&paths, NULL, ZG_ERR_DATA, (const char *[]){"damaged.h5", NULL});
  make_selectable(zoo);
  char head[1024];
  FILE *file = fopen(zoo, "rb");
  CU_ASSERT_EQUAL_FATAL(fread(head, 1, sizeof head, file), sizeof head);
  fclose(file);
  write_bytes(path, head, sizeof head);
  check_error(&paths, NULL, ZG_ERR_DATA,
              (const char *[]){"damaged.h5", "truncated", NULL});
  zg_list_clear(&paths);
}

static void a_model_in_two_files_is_refused(void) {
  char first[ZG_TEST_PATH_BYTES], second[ZG_TEST_PATH_BYTES];
  zg_list paths = {0};
  zg_test_path("first.h5", first);
  zg_test_path("second.h5", second);
  for (int k = 0; k < 2; k++) {
    hid_t file = zg_test_zoo_create(k ? second : first);
    add_model(file, "twin", "a");
    zg_test_zoo_close(file);
    zg_list_add(&paths, k ? second : first);
  }
  check_error(&paths, NULL, ZG_ERR_DATA,
              (const char *[]){"second.h5", "twin", "first.h5", NULL});
  zg_list_clear(&paths);
}

static void a_pattern_without_a_match_is_refused(void) {
  char path[ZG_TEST_PATH_BYTES];
  zg_list paths = {0};
  make_selectable(path);
  zg_list_add(&paths, path);
  zg_select select = {0};
  zg_list_add(&select.layers, "a");
  zg_list_add(&select.layers, "conv*");
  check_error(&paths, &select, ZG_ERR_DATA, (const char *[]){"conv*", "layers", NULL});
  zg_list_clear(&select.layers);
  zg_list_add(&select.models, "resnet?");
  check_error(&paths, &select, ZG_ERR_DATA,
              (const char *[]){"resnet?", "models", NULL});
  zg_list_clear(&select.models);
  zg_list_clear(&paths);
}

/* ---- globs ---- */

static void globs_give_files_in_natural_order(void) {
  static const char *const names[] = {"glob10.h5", "glob9.h5", "glob1.h5"};
  char path[ZG_TEST_PATH_BYTES], directory[ZG_TEST_PATH_BYTES];
  for (int k = 0; k < 3; k++)
    write_bytes(zg_test_path(names[k], path), "", 0);
  zg_test_path("", directory);
  directory[strlen(directory) - 1] = 0;
  zg_list entries = {0}, paths = {0};
  zg_list_add(&entries, "glob9.h5");
  zg_list_add(&entries, "glob*.h5");
  zg_list_add(&entries, "/data/zoo.h5");
  CU_ASSERT_EQUAL_FATAL(zg_zoo_expand(&entries, directory, &paths), ZG_OK);
  static const char *const expected[] = {"glob9.h5", "glob1.h5", "glob9.h5",
                                         "glob10.h5"};
  CU_ASSERT_EQUAL_FATAL(paths.count, 5);
  for (int k = 0; k < 4; k++)
    CU_ASSERT_STRING_EQUAL(paths.items[k], zg_test_path(expected[k], path));
  CU_ASSERT_STRING_EQUAL(paths.items[4], "/data/zoo.h5");
  zg_list_clear(&paths);
  zg_list_add(&entries, "none-*.h5");
  CU_ASSERT_EQUAL(zg_zoo_expand(&entries, directory, &paths), ZG_ERR_INPUT);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "none-*.h5"));
  zg_list_clear(&paths);
  zg_list_clear(&entries);
}

static void brackets_in_names_that_exist_are_no_pattern(void) {
  char path[ZG_TEST_PATH_BYTES], directory[ZG_TEST_PATH_BYTES];
  static const char *const names[] = {"run[1]/zoo*.h5", "run[1]/zoo2.h5",
                                      "run[1]/zoo1.h5"};
  mkdir(zg_test_path("run[1]", directory), 0755);
  for (int k = 0; k < 3; k++)
    write_bytes(zg_test_path(names[k], path), "", 0);
  static const struct {
    const char *entry, *found[4];
  } cases[] = {{"zoo1.h5", {"run[1]/zoo1.h5"}},
               {"zoo*.h5", {"run[1]/zoo*.h5"}}, /* it exists */
               {"zoo?.h5", {"run[1]/zoo*.h5", "run[1]/zoo1.h5", "run[1]/zoo2.h5"}}};
  for (int c = 0; c < 3; c++) {
    zg_list entries = {0}, paths = {0};
    zg_list_add(&entries, cases[c].entry);
    CU_ASSERT_EQUAL(zg_zoo_expand(&entries, directory, &paths), ZG_OK);
    int64_t count = 0;
    for (; cases[c].found[count] && count < paths.count; count++)
      CU_ASSERT_STRING_EQUAL(paths.items[count],
                             zg_test_path(cases[c].found[count], path));
    CU_ASSERT(!cases[c].found[count] && count == paths.count);
    zg_list_clear(&entries);
    zg_list_clear(&paths);
  }
}

const zg_test zg_tests[] = {
    {"without_any_order_names_decide_naturally",
     without_any_order_names_decide_naturally},
    {"tracked_creation_order_decides_before_names",
     tracked_creation_order_decides_before_names},
    {"the_attribute_order_decides_before_all", the_attribute_order_decides_before_all},
    {"types_of_numbers_are_told_apart", types_of_numbers_are_told_apart},
    {"the_spacing_of_each_type_is_that_of_its_mantissa",
     the_spacing_of_each_type_is_that_of_its_mantissa},
    {"trailing_axes_are_flattened", trailing_axes_are_flattened},
    {"compression_is_noticed", compression_is_noticed},
    {"lengths_of_sample_lists_are_known", lengths_of_sample_lists_are_known},
    {"patterns_select_models_and_layers", patterns_select_models_and_layers},
    {"a_limit_takes_the_first_samples", a_limit_takes_the_first_samples},
    {"what_is_no_zoo_is_refused_by_name", what_is_no_zoo_is_refused_by_name},
    {"missing_and_damaged_files_are_refused_by_name",
     missing_and_damaged_files_are_refused_by_name},
    {"a_model_in_two_files_is_refused", a_model_in_two_files_is_refused},
    {"a_pattern_without_a_match_is_refused", a_pattern_without_a_match_is_refused},
    {"globs_give_files_in_natural_order", globs_give_files_in_natural_order},
    {"brackets_in_names_that_exist_are_no_pattern",
     brackets_in_names_that_exist_are_no_pattern},
    {NULL, NULL}};
