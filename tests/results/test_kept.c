/** \file
 * What lies beside tensors: quantities of one to three axes, several axes in one file,
 * attributes that are lists; written by any number of ranks, read with plain HDF5. */
#include "base/memory.h"
#include "files.h"
#include "mpi_main.h"
#include "results/read.h"
#include "results/results.h"

#include <hdf5_hl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODELS = 3, TASKS = 5, SAMPLES = 4, KERNEL = MODELS * SAMPLES * SAMPLES };

static const MPI_Comm world = MPI_COMM_WORLD;

/* ---- the file ---- */

static char *const models[MODELS] = {"a", "b", "c"};
static char *const tasks[TASKS] = {"a/1", "a/2", "b/1", "c/1", "c/2"};
static const zg_axis_labels axes[] = {
    {.name = "model", .labels = models, .count = MODELS},
    {.name = "gradient", .labels = tasks, .count = TASKS}};
static const double radii[] = {0.05, 0.1, 2};
static const zg_attribute root[] = {{.name = "format", .text = "zoogram-results"},
                                    {.name = "complete", .number = 0, .integer = true},
                                    {.name = NULL}};
static const zg_attribute first[] = {{.name = "measure", .text = "sharp"},
                                     {.name = "radius", .list = radii, .count = 3},
                                     {.name = NULL}};
static const zg_attribute second[] = {{.name = "measure", .text = "conflict"},
                                      {.name = "single", .list = radii, .count = 1},
                                      {.name = NULL}};
static const zg_kept_layout of_kernels[] = {
    {.name = "kernel", .meaning = "every pair", .extra = 2, .length = SAMPLES},
    {.name = "eigenvalues", .meaning = "every sample", .extra = 1, .length = SAMPLES},
    {.name = "error", .meaning = "one number"}};
static const zg_kept_layout of_tasks[] = {
    {.name = "total", .meaning = "all tasks of a model", .axis = 0},
    {.name = "norm", .meaning = "each task", .axis = 1}};
static const zg_tensor_layout tensors[] = {{.name = "kernels",
                                            .axis = 0,
                                            .attributes = first,
                                            .kept = of_kernels,
                                            .kept_count = 3},
                                           {.name = "tasks",
                                            .axis = 1,
                                            .attributes = second,
                                            .kept = of_tasks,
                                            .kept_count = 2}};
static const char *const meanings[] = {"fine"};

static zg_results_layout layout_of(void) {
  return (zg_results_layout){.attributes = root,
                             .axes = axes,
                             .axis_count = 2,
                             .tensors = tensors,
                             .tensor_count = 2,
                             .code_meanings = meanings,
                             .code_count = 1};
}

static double kernel(int64_t model, int64_t row, int64_t column) {
  return (double)(100 * model + 10 * row + column) + 0.5;
}

/* ---- writing ---- */

static void write_tensor(zg_results *results, int64_t tensor, int64_t n) {
  double *values = ZG_NEW0(double, n *n);
  int8_t *codes = ZG_NEW0(int8_t, n * n);
  for (int64_t k = 0; k < n * n; k++)
    values[k] = (double)(k / n + k % n);
  CU_ASSERT_EQUAL(zg_results_write_symmetric(
                      results, tensor, 0, zg_test_rank() == 0 ? n : 0, values, codes),
                  ZG_OK);
  free(values);
  free(codes);
}

/* The kernel in blocks of uneven size: every rank writes those whose turn it is. */
static void write_kernel(zg_results *results) {
  static const int64_t cuts[] = {0, 1, SAMPLES};
  int64_t block = 0;
  for (int64_t model = 0; model < MODELS; model++)
    for (int i = 0; i < 2; i++)
      for (int j = 0; j < 2; j++, block++) {
        bool mine = block % zg_test_ranks() == zg_test_rank();
        int64_t rows = cuts[i + 1] - cuts[i], columns = cuts[j + 1] - cuts[j];
        const int64_t start[ZG_KEPT_RANK] = {model, cuts[i], cuts[j]};
        const int64_t count[ZG_KEPT_RANK] = {mine, rows, columns};
        double values[SAMPLES * SAMPLES];
        for (int64_t r = 0; r < rows; r++)
          for (int64_t c = 0; c < columns; c++)
            values[r * columns + c] =
                mine ? kernel(model, cuts[i] + r, cuts[j] + c) : NAN;
        CU_ASSERT_EQUAL(zg_results_write_kept(results, 0, 0, start, count, values),
                        ZG_OK);
      }
}

/* A quantity from rank 0, all at once. */
static void write_whole(zg_results *results, int64_t tensor, int64_t quantity,
                        int64_t rows, int64_t columns) {
  const int64_t start[ZG_KEPT_RANK] = {0};
  const int64_t count[ZG_KEPT_RANK] = {zg_test_rank() == 0 ? rows : 0, columns};
  double values[64];
  for (int64_t k = 0; k < rows * columns; k++)
    values[k] = zg_test_rank() == 0 ? (double)(10 * quantity + k) : NAN;
  CU_ASSERT_EQUAL(
      zg_results_write_kept(results, tensor, quantity, start, count, values), ZG_OK);
}

static hid_t write_file(const char *name, char path[ZG_TEST_PATH_BYTES]) {
  zg_results_layout layout = layout_of();
  zg_results *results = NULL;
  zg_test_path(name, path);
  CU_ASSERT_EQUAL_FATAL(zg_results_create(world, path, &layout, &results), ZG_OK);
  write_tensor(results, 0, MODELS);
  write_tensor(results, 1, TASKS);
  write_kernel(results);
  write_whole(results, 0, 1, MODELS, SAMPLES);
  write_whole(results, 0, 2, MODELS, 1);
  write_whole(results, 1, 0, MODELS, 1);
  write_whole(results, 1, 1, TASKS, 1);
  CU_ASSERT_EQUAL_FATAL(zg_results_finish(&results), ZG_OK);
  return H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
}

/* ---- values ---- */

static void blocks_of_several_ranks_make_one_array(void) {
  char path[ZG_TEST_PATH_BYTES];
  double found[KERNEL] = {0};
  hid_t file = write_file("blocks.h5", path);
  CU_ASSERT(H5LTread_dataset_double(file, "/kept/kernels/kernel", found) >= 0);
  for (int64_t k = 0; k < KERNEL; k++)
    CU_ASSERT_EQUAL(
        found[k], kernel(k / (SAMPLES * SAMPLES), k / SAMPLES % SAMPLES, k % SAMPLES));
  H5Fclose(file);
}

static void check_numbers(hid_t file, const char *name, int64_t count, double offset) {
  double found[64] = {0};
  CU_ASSERT(H5LTread_dataset_double(file, name, found) >= 0);
  for (int64_t k = 0; k < count; k++)
    CU_ASSERT_EQUAL(found[k], offset + (double)k);
}

static void every_quantity_holds_its_own(void) {
  char path[ZG_TEST_PATH_BYTES];
  hid_t file = write_file("quantities.h5", path);
  check_numbers(file, "/kept/kernels/eigenvalues", MODELS * SAMPLES, 10);
  check_numbers(file, "/kept/kernels/error", MODELS, 20);
  check_numbers(file, "/kept/tasks/total", MODELS, 0);
  check_numbers(file, "/kept/tasks/norm", TASKS, 10);
  H5Fclose(file);
}

/* ---- structure ---- */

static void check_shape(hid_t file, const char *name, int rank,
                        const hsize_t *expected) {
  hsize_t dims[ZG_KEPT_RANK] = {0};
  int found = 0;
  CU_ASSERT(H5LTget_dataset_ndims(file, name, &found) >= 0);
  CU_ASSERT_EQUAL_FATAL(found, rank);
  CU_ASSERT(H5LTget_dataset_info(file, name, dims, NULL, NULL) >= 0);
  for (int k = 0; k < rank; k++)
    CU_ASSERT_EQUAL(dims[k], expected[k]);
}

static void shapes_are_those_of_the_axes(void) {
  char path[ZG_TEST_PATH_BYTES];
  const hsize_t models_only[] = {MODELS, SAMPLES, SAMPLES},
                all_tasks[] = {TASKS, TASKS};
  const hsize_t square[] = {MODELS, MODELS};
  hid_t file = write_file("shapes.h5", path);
  check_shape(file, "/kernels", 2, square);
  check_shape(file, "/tasks", 2, all_tasks);
  check_shape(file, "/status/tasks", 2, all_tasks);
  check_shape(file, "/kept/kernels/kernel", 3, models_only);
  check_shape(file, "/kept/kernels/eigenvalues", 2, models_only);
  check_shape(file, "/kept/kernels/error", 1, models_only);
  check_shape(file, "/kept/tasks/total", 1, models_only);
  check_shape(file, "/kept/tasks/norm", 1, all_tasks);
  CU_ASSERT(H5Lexists(file, "/items", H5P_DEFAULT) <= 0); /* no columns */
  H5Fclose(file);
}

static bool has_scale(hid_t file, const char *name, const char *scale, unsigned axis) {
  hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
  hid_t labels = H5Dopen2(file, scale, H5P_DEFAULT);
  bool attached = dataset >= 0 && labels >= 0 &&
                  H5DSis_attached(dataset, labels, axis) > 0 &&
                  H5DSis_scale(labels) > 0;
  H5Dclose(labels);
  H5Dclose(dataset);
  return attached;
}

static void every_axis_has_its_scale(void) {
  static const struct {
    const char *dataset, *scale;
    unsigned axis;
  } attached[] = {{"/kernels", "/model_a", 0},
                  {"/kernels", "/model_b", 1},
                  {"/tasks", "/gradient_a", 0},
                  {"/tasks", "/gradient_b", 1},
                  {"/status/tasks", "/gradient_b", 1},
                  {"/kept/kernels/kernel", "/model_a", 0},
                  {"/kept/kernels/kernel", "/kept/kernels/kernel_a", 1},
                  {"/kept/kernels/kernel", "/kept/kernels/kernel_b", 2},
                  {"/kept/kernels/eigenvalues", "/model_a", 0},
                  {"/kept/kernels/eigenvalues", "/kept/kernels/eigenvalues_a", 1},
                  {"/kept/kernels/error", "/model_a", 0},
                  {"/kept/tasks/total", "/model_a", 0},
                  {"/kept/tasks/norm", "/gradient_a", 0}};
  char path[ZG_TEST_PATH_BYTES];
  hid_t file = write_file("scales.h5", path);
  for (size_t k = 0; k < sizeof attached / sizeof *attached; k++)
    CU_ASSERT(
        has_scale(file, attached[k].dataset, attached[k].scale, attached[k].axis));
  H5Fclose(file);
}

static void samples_are_counted(void) {
  static const char *const scales[] = {"/kept/kernels/kernel_a",
                                       "/kept/kernels/kernel_b",
                                       "/kept/kernels/eigenvalues_a"};
  char path[ZG_TEST_PATH_BYTES];
  hid_t file = write_file("counters.h5", path);
  for (int s = 0; s < 3; s++) {
    long long numbers[SAMPLES] = {-1, -1, -1, -1};
    CU_ASSERT(H5LTread_dataset(file, scales[s], H5T_NATIVE_LLONG, numbers) >= 0);
    for (int k = 0; k < SAMPLES; k++)
      CU_ASSERT_EQUAL(numbers[k], k);
  }
  char meaning[32];
  CU_ASSERT(H5LTfind_attribute(file, "format") >= 0);
  hid_t dataset = H5Dopen2(file, "/kept/kernels/kernel", H5P_DEFAULT);
  hid_t attribute = H5Aopen(dataset, "long_name", H5P_DEFAULT);
  hid_t type = H5Aget_type(attribute);
  char *text = NULL;
  CU_ASSERT(H5Aread(attribute, type, &text) >= 0);
  snprintf(meaning, sizeof meaning, "%s", text ? text : "");
  CU_ASSERT_STRING_EQUAL(meaning, "every pair");
  H5free_memory(text);
  H5Tclose(type);
  H5Aclose(attribute);
  H5Dclose(dataset);
  H5Fclose(file);
}

/* ---- lists ---- */

static void check_numbers_of(hid_t file, const char *dataset, const char *attribute,
                             hsize_t count) {
  double found[8] = {0};
  hsize_t dims[1] = {0};
  int rank = 0;
  CU_ASSERT(H5LTget_attribute_ndims(file, dataset, attribute, &rank) >= 0);
  CU_ASSERT_EQUAL_FATAL(rank, 1);
  H5T_class_t class;
  size_t bytes;
  CU_ASSERT(H5LTget_attribute_info(file, dataset, attribute, dims, &class, &bytes) >=
            0);
  CU_ASSERT_EQUAL_FATAL(dims[0], count);
  CU_ASSERT(H5LTget_attribute_double(file, dataset, attribute, found) >= 0);
  for (hsize_t k = 0; k < count; k++)
    CU_ASSERT_EQUAL(found[k], radii[k]);
}

static void lists_are_attributes_of_as_many_numbers(void) {
  char path[ZG_TEST_PATH_BYTES];
  hid_t file = write_file("lists.h5", path);
  check_numbers_of(file, "/kernels", "radius", 3);
  check_numbers_of(file, "/tasks", "single", 1);
  H5Fclose(file);
}

/* ---- reading ---- */

static void tensors_on_other_axes_are_read_back(void) {
  char path[ZG_TEST_PATH_BYTES];
  zg_results_info *info;
  zg_tensor *tensor;
  H5Fclose(write_file("read.h5", path));
  CU_ASSERT_EQUAL_FATAL(zg_results_inspect(path, &info), ZG_OK);
  CU_ASSERT(info->complete && info->tensor_count == 2);
  CU_ASSERT_STRING_EQUAL(info->tensors[0].axis, "model");
  CU_ASSERT_STRING_EQUAL(info->tensors[1].axis, "gradient");
  CU_ASSERT(info->tensors[0].rows == MODELS && info->tensors[1].columns == TASKS);
  bool listed = false;
  for (int64_t k = 0; k < info->tensors[0].attributes.count; k++)
    listed =
        listed || !strncmp(info->tensors[0].attributes.items[k], "radius=0.05", 11);
  CU_ASSERT(listed);
  zg_results_info_destroy(&info);
  CU_ASSERT_EQUAL_FATAL(zg_tensor_read(path, "tasks", &tensor), ZG_OK);
  CU_ASSERT(tensor->rows == TASKS && tensor->values[TASKS + 3] == 4);
  CU_ASSERT_STRING_EQUAL(tensor->row_names.items[3], "c/1");
  zg_tensor_destroy(&tensor);
}

const zg_test zg_tests[] = {
    {"blocks_of_several_ranks_make_one_array", blocks_of_several_ranks_make_one_array},
    {"every_quantity_holds_its_own", every_quantity_holds_its_own},
    {"shapes_are_those_of_the_axes", shapes_are_those_of_the_axes},
    {"every_axis_has_its_scale", every_axis_has_its_scale},
    {"samples_are_counted", samples_are_counted},
    {"lists_are_attributes_of_as_many_numbers",
     lists_are_attributes_of_as_many_numbers},
    {"tensors_on_other_axes_are_read_back", tensors_on_other_axes_are_read_back},
    {NULL, NULL}};
