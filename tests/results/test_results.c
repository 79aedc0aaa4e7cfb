/** \file
 * A results file from its making to its reading, written by any number of ranks. */
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
#include <sys/stat.h>
#include <unistd.h>

enum { N = 7, CODES = 3 };

static const MPI_Comm world = MPI_COMM_WORLD;

/* ---- the file that is written here ---- */

static char *const labels[N] = {"a/1",        "a/2",  "b/1", "b/2",
                                "b/\xc3\xa9", "c/10", "c/9"};
static char *const models[N] = {"a", "a", "b", "b", "b", "c", "c"};
static const int64_t widths[N] = {3, 1, 4, 1, 5, 9, 2};
static const char *const meanings[CODES] = {"fine", "bad", "worse"};
static const zg_attribute root[] = {{.name = "format", .text = "zoogram-results"},
                                    {.name = "version", .number = 1, .integer = true},
                                    {.name = "complete", .number = 0, .integer = true},
                                    {.name = "job", .text = "zoo: [a.h5]\n"},
                                    {.name = NULL}};
static const zg_attribute first_attributes[] = {
    {.name = "measure", .text = "cka"},
    {.name = "kind", .text = "similarity"},
    {.name = "symmetric", .number = 1, .integer = true},
    {.name = "bandwidth", .number = 0.4},
    {.name = NULL}};
static const zg_attribute second_attributes[] = {{.name = "measure", .text = "far"},
                                                 {.name = "kind", .text = "distance"},
                                                 {.name = NULL}};
static const zg_kept_layout median = {.name = "median", .meaning = "m"};
static const zg_tensor_layout tensors[] = {
    {.name = "zeta", .attributes = first_attributes, .kept = &median, .kept_count = 1},
    {.name = "alpha", .attributes = second_attributes}};
static const zg_axis_labels axis = {.name = "item", .labels = labels, .count = N};
static const zg_item_column columns[] = {{.name = "model", .texts = models},
                                         {.name = "d", .numbers = widths},
                                         {.name = NULL}};

static zg_results_layout layout_of(bool float32) {
  return (zg_results_layout){.attributes = root,
                             .axes = &axis,
                             .axis_count = 1,
                             .tensors = tensors,
                             .tensor_count = 2,
                             .columns = columns,
                             .float32 = float32,
                             .code_meanings = meanings,
                             .code_count = CODES};
}

/* Entry of a tensor, the first of them symmetric; undefined where the code is not 0. */
static int8_t code(int64_t tensor, int64_t i, int64_t k) {
  return (int8_t)((i + k + (i < k ? tensor : 0)) % 4 == 3 ? 1 + (i * k) % 2 : 0);
}
static double value(int64_t tensor, int64_t i, int64_t k) {
  int64_t low = tensor ? k : zg_min(i, k), high = tensor ? i : zg_max(i, k);
  if (code(tensor, i, k)) return NAN;
  return zg_test_random(50 + (unsigned long)tensor, (unsigned long)(N * high + low));
}

static void write_tensor(zg_results *results, int64_t tensor, int64_t first,
                         int64_t count) {
  bool symmetric = tensor == 0;
  int64_t width = symmetric ? first + count : N;
  double *values = ZG_NEW(double, count *width);
  int8_t *codes = ZG_NEW(int8_t, count * width);
  for (int64_t r = 0; r < count; r++)
    for (int64_t k = 0; k < width; k++) {
      bool beyond = symmetric && k > first + r; /* not read */
      values[r * width + k] = beyond ? 1e300 : value(tensor, first + r, k);
      codes[r * width + k] = beyond ? 99 : code(tensor, first + r, k);
    }
  CU_ASSERT_EQUAL(
      symmetric
          ? zg_results_write_symmetric(results, tensor, first, count, values, codes)
          : zg_results_write_rows(results, tensor, first, count, N, values, codes),
      ZG_OK);
  free(values);
  free(codes);
}

/* Ranks own runs of items; the last rank of several owns nothing. */
static void write_tensors(zg_results *results) {
  int rank = zg_test_rank(), owners = zg_test_ranks() > 1 ? zg_test_ranks() - 1 : 1;
  int64_t first = zg_part(N, owners, zg_min(rank, owners));
  int64_t end = zg_part(N, owners, zg_min(rank + 1, owners));
  for (int64_t tensor = 0; tensor < 2; tensor++)
    write_tensor(results, tensor, first, end - first);
  double kept[N];
  for (int64_t i = 0; i < N; i++)
    kept[i] = rank == 0 ? 0.5 * (double)i : NAN;
  const int64_t start[ZG_KEPT_RANK] = {0};
  const int64_t length[ZG_KEPT_RANK] = {rank == 0 ? N : 0}; /* only rank 0's count */
  CU_ASSERT_EQUAL(zg_results_write_kept(results, 0, 0, start, length, kept), ZG_OK);
}

static bool exists(const char *path) {
  return access(path, F_OK) == 0;
}

static char *part_of(const char *path, char part[ZG_TEST_PATH_BYTES]) {
  snprintf(part, ZG_TEST_PATH_BYTES, "%.200s.part", path);
  return part;
}

static void write_file(const char *path, bool float32) {
  zg_results_layout layout = layout_of(float32);
  zg_results *results = NULL;
  CU_ASSERT_EQUAL_FATAL(zg_results_create(world, path, &layout, &results), ZG_OK);
  write_tensors(results);
  CU_ASSERT_EQUAL(zg_results_finish(&results), ZG_OK);
  CU_ASSERT_PTR_NULL(results);
}

/* ---- values ---- */

static void check_tensor(const char *path, int64_t index, bool float32) {
  zg_tensor *tensor;
  CU_ASSERT_EQUAL_FATAL(zg_tensor_read(path, tensors[index].name, &tensor), ZG_OK);
  CU_ASSERT_FATAL(tensor->rows == N && tensor->columns == N);
  for (int64_t i = 0; i < N; i++) {
    CU_ASSERT_STRING_EQUAL(tensor->row_names.items[i], labels[i]);
    CU_ASSERT_STRING_EQUAL(tensor->column_names.items[i], labels[i]);
    for (int64_t k = 0; k < N; k++) {
      double expected = value(index, i, k), found = tensor->values[i * N + k];
      if (float32) expected = (double)(float)expected;
      CU_ASSERT(isnan(expected) ? isnan(found) : found == expected);
      CU_ASSERT_EQUAL(tensor->codes[i * N + k], code(index, i, k));
    }
  }
  zg_tensor_destroy(&tensor);
}

static void what_is_written_is_read_back(void) {
  char path[ZG_TEST_PATH_BYTES];
  zg_test_path("values.h5", path);
  for (int float32 = 0; float32 < 2; float32++) {
    write_file(path, float32);
    for (int64_t k = 0; k < 2; k++)
      check_tensor(path, k, float32);
    MPI_Barrier(world);
  }
}

static void codes_are_counted(void) {
  char path[ZG_TEST_PATH_BYTES];
  int64_t counts[ZG_CODE_VALUES], expected[CODES] = {0};
  write_file(zg_test_path("codes.h5", path), false);
  for (int64_t i = 0; i < N; i++)
    for (int64_t k = 0; k < N; k++)
      expected[code(1, i, k)]++;
  CU_ASSERT_EQUAL(zg_tensor_count_codes(path, "alpha", counts), ZG_OK);
  for (int k = 0; k < ZG_CODE_VALUES; k++)
    CU_ASSERT_EQUAL(counts[k], k < CODES ? expected[k] : 0);
}

static void what_is_kept_is_rank_0s(void) {
  char path[ZG_TEST_PATH_BYTES];
  double kept[N] = {0};
  write_file(zg_test_path("kept.h5", path), false);
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  CU_ASSERT(H5LTread_dataset_double(file, "/kept/zeta/median", kept) >= 0);
  for (int k = 0; k < N; k++)
    CU_ASSERT_EQUAL(kept[k], 0.5 * k);
  CU_ASSERT(H5Lexists(file, "/kept/alpha", H5P_DEFAULT) <= 0);
  H5Fclose(file);
}

/* ---- structure ---- */

static void a_file_says_what_it_holds(void) {
  char path[ZG_TEST_PATH_BYTES];
  zg_results_info *info;
  write_file(zg_test_path("info.h5", path), false);
  CU_ASSERT_EQUAL_FATAL(zg_results_inspect(path, &info), ZG_OK);
  CU_ASSERT(info->complete);
  CU_ASSERT_STRING_EQUAL(info->job, "zoo: [a.h5]\n");
  CU_ASSERT_STRING_EQUAL(info->history, "");
  CU_ASSERT_EQUAL_FATAL(info->tensor_count, 2);
  const zg_tensor_info *zeta = &info->tensors[0], *alpha = &info->tensors[1];
  CU_ASSERT_STRING_EQUAL(zeta->name, "zeta"); /* the order of the layout */
  CU_ASSERT_STRING_EQUAL(zeta->axis, "item");
  CU_ASSERT_STRING_EQUAL(zeta->measure, "cka");
  CU_ASSERT_STRING_EQUAL(zeta->kind, "similarity");
  CU_ASSERT(zeta->symmetric && !alpha->symmetric);
  CU_ASSERT(zeta->rows == N && zeta->columns == N);
  CU_ASSERT(zg_list_find(&zeta->attributes, "bandwidth=0.4") >= 0);
  CU_ASSERT_STRING_EQUAL(alpha->kind, "distance");
  zg_results_info_destroy(&info);
  CU_ASSERT_PTR_NULL(info);
}

/* Whether a dataset has this scale on this dimension. */
static bool has_scale(hid_t file, const char *name, const char *scale,
                      unsigned axis_of) {
  hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
  hid_t names = H5Dopen2(file, scale, H5P_DEFAULT);
  bool attached = dataset >= 0 && H5DSis_attached(dataset, names, axis_of) > 0;
  H5Dclose(names);
  H5Dclose(dataset);
  return attached;
}

static void every_axis_has_its_scale(void) {
  char path[ZG_TEST_PATH_BYTES];
  write_file(zg_test_path("scales.h5", path), false);
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  static const char *const squares[] = {"/zeta", "/alpha", "/status/zeta",
                                        "/status/alpha"};
  for (int k = 0; k < 4; k++) {
    CU_ASSERT(has_scale(file, squares[k], "/item_a", 0));
    CU_ASSERT(has_scale(file, squares[k], "/item_b", 1));
  }
  static const char *const lists[] = {"/items/model", "/items/d", "/kept/zeta/median"};
  for (int k = 0; k < 3; k++)
    CU_ASSERT(has_scale(file, lists[k], "/item_a", 0));
  long long d[N];
  CU_ASSERT(H5LTread_dataset(file, "/items/d", H5T_NATIVE_LLONG, d) >= 0);
  for (int k = 0; k < N; k++)
    CU_ASSERT_EQUAL(d[k], widths[k]);
  char text[64];
  CU_ASSERT(H5LTget_attribute(file, "/status/zeta", "flag_values", H5T_NATIVE_SCHAR,
                              text) >= 0);
  CU_ASSERT(text[0] == 0 && text[1] == 1 && text[2] == 2);
  H5Fclose(file);
}

/* ---- names ---- */

static void nothing_has_the_final_name_before_the_end(void) {
  char path[ZG_TEST_PATH_BYTES], part[ZG_TEST_PATH_BYTES];
  part_of(zg_test_path("late.h5", path), part);
  zg_results_layout layout = layout_of(false);
  zg_results *results = NULL;
  CU_ASSERT_EQUAL_FATAL(zg_results_create(world, path, &layout, &results), ZG_OK);
  CU_ASSERT(exists(part) && !exists(path));
  write_tensors(results);
  CU_ASSERT(exists(part) && !exists(path));
  MPI_Barrier(world);
  CU_ASSERT_EQUAL(zg_results_finish(&results), ZG_OK);
  CU_ASSERT(exists(path) && !exists(part));
}

static void an_abandoned_file_leaves_nothing(void) {
  char path[ZG_TEST_PATH_BYTES], part[ZG_TEST_PATH_BYTES];
  part_of(zg_test_path("abandoned.h5", path), part);
  for (int written = 0; written < 2; written++) {
    zg_results_layout layout = layout_of(false);
    zg_results *results = NULL;
    CU_ASSERT_EQUAL_FATAL(zg_results_create(world, path, &layout, &results), ZG_OK);
    if (written) write_tensors(results);
    zg_results_abandon(&results);
    CU_ASSERT_PTR_NULL(results);
    MPI_Barrier(world);
    CU_ASSERT(!exists(path) && !exists(part));
    MPI_Barrier(world);
  }
  zg_results *none = NULL;
  zg_results_abandon(&none);
}

static void an_older_file_stays_until_the_new_one_is_complete(void) {
  char path[ZG_TEST_PATH_BYTES];
  write_file(zg_test_path("older.h5", path), true);
  zg_results_layout layout = layout_of(false);
  zg_results *results = NULL;
  CU_ASSERT_EQUAL_FATAL(zg_results_create(world, path, &layout, &results), ZG_OK);
  check_tensor(path, 0, true);
  write_tensors(results);
  MPI_Barrier(world);
  CU_ASSERT_EQUAL(zg_results_finish(&results), ZG_OK);
  check_tensor(path, 0, false);
}

/* Locks of MPI-IO from a run that was killed go; what others have beside it stays. */
static void leftovers_go_and_what_is_not_ours_stays(void) {
  static const struct {
    const char *end;
    bool stays;
  } files[] = {
      {".locktest.0", false}, {".locktest.12", false}, {"-731-4711.lock", false},
      {".lock", true},        {".lockstep.h5", true},  {"-lock", true},
      {".locktest.x", true},  {"-1.lock", true},       {".locktest.", true}};
  char path[ZG_TEST_PATH_BYTES], part[ZG_TEST_PATH_BYTES];
  part_of(zg_test_path("beside.h5", path), part);
  zg_results_layout layout = layout_of(false);
  zg_results *results = NULL;
  for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
    char beside[2 * ZG_TEST_PATH_BYTES];
    snprintf(beside, sizeof beside, "%s%s", part, files[k].end);
    FILE *file = zg_test_rank() == 0 ? fopen(beside, "w") : NULL;
    if (file) fclose(file);
  }
  MPI_Barrier(world);
  CU_ASSERT_EQUAL_FATAL(zg_results_create(world, path, &layout, &results), ZG_OK);
  zg_results_abandon(&results);
  MPI_Barrier(world);
  for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
    char beside[2 * ZG_TEST_PATH_BYTES];
    snprintf(beside, sizeof beside, "%s%s", part, files[k].end);
    CU_ASSERT_EQUAL(exists(beside), files[k].stays);
    MPI_Barrier(world);
    if (zg_test_rank() == 0) unlink(beside);
  }
}

static void where_no_file_can_be_made_all_ranks_say_so(void) {
  char path[ZG_TEST_PATH_BYTES];
  zg_test_path("no-such-directory/r.h5", path);
  zg_results_layout layout = layout_of(false);
  zg_results *results = NULL;
  CU_ASSERT_EQUAL(zg_results_create(world, path, &layout, &results), ZG_ERR_CREATE);
  CU_ASSERT_PTR_NULL(results);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "no-such-directory/r.h5"));
}

static void where_the_name_is_taken_by_a_directory_all_ranks_say_so(void) {
  char path[ZG_TEST_PATH_BYTES];
  zg_test_path("directory.h5", path);
  if (zg_test_rank() == 0) mkdir(path, 0755);
  MPI_Barrier(world);
  zg_results_layout layout = layout_of(false);
  zg_results *results = NULL;
  CU_ASSERT_EQUAL_FATAL(zg_results_create(world, path, &layout, &results), ZG_OK);
  write_tensors(results);
  CU_ASSERT_EQUAL(zg_results_finish(&results), ZG_ERR_CREATE);
  CU_ASSERT_PTR_NULL(results);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "directory.h5"));
}

/* Spoil the last attribute of the root, as a rank does that wrote back what it could
 * not read: an object header of version 1, whose attribute messages begin with their
 * version and the length of their name. */
static void spoil_attribute(const char *path) {
  static const char job[] = "\1\0\4\0";
  char bytes[1 << 16];
  FILE *file = fopen(path, "r+");
  size_t count = fread(bytes, 1, sizeof bytes, file), at = 0;
  while (at + 12 < count &&
         (memcmp(bytes + at, job, 4) != 0 || memcmp(bytes + at + 8, "job", 4) != 0))
    at++;
  CU_ASSERT_FATAL(at + 12 < count);
  fseek(file, (long)at, SEEK_SET);
  fputc(0, file);
  fclose(file);
}

static void a_file_that_was_damaged_meanwhile_does_not_get_the_name(void) {
  char path[ZG_TEST_PATH_BYTES], part[ZG_TEST_PATH_BYTES];
  part_of(zg_test_path("spoilt.h5", path), part);
  zg_results_layout layout = layout_of(false);
  zg_results *results = NULL;
  CU_ASSERT_EQUAL_FATAL(zg_results_create(world, path, &layout, &results), ZG_OK);
  write_tensors(results);
  MPI_Barrier(world);
  if (zg_test_rank() == 0) spoil_attribute(part);
  CU_ASSERT_EQUAL(zg_results_finish(&results), ZG_ERR_WRITE);
  CU_ASSERT(!exists(path));
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "spoilt.h5"));
  MPI_Barrier(world);
  if (zg_test_rank() == 0) unlink(part);
}

/* ---- reading what is not there ---- */

static void an_unknown_tensor_is_refused_with_those_that_are_there(void) {
  char path[ZG_TEST_PATH_BYTES];
  static const char *const unknown[] = {"beta", "item_a", "status", "status/alpha", ""};
  write_file(zg_test_path("unknown.h5", path), false);
  for (int k = 0; k < 5; k++) {
    zg_tensor *tensor;
    CU_ASSERT_EQUAL(zg_tensor_read(path, unknown[k], &tensor), ZG_ERR_DATA);
    CU_ASSERT_PTR_NULL(tensor);
    CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "zeta, alpha"));
  }
}

static void kinds_of_files_are_told_apart(void) {
  char results[ZG_TEST_PATH_BYTES], zoo[ZG_TEST_PATH_BYTES], none[ZG_TEST_PATH_BYTES];
  zg_filetype type;
  zg_results_info *info;
  write_file(zg_test_path("kind.h5", results), false);
  zg_test_path("kind-zoo.h5", zoo);
  if (zg_test_rank() == 0) zg_test_zoo_close(zg_test_zoo_create(zoo));
  MPI_Barrier(world);
  CU_ASSERT(zg_filetype_of(results, &type) == ZG_OK && type == ZG_FILE_RESULTS);
  CU_ASSERT(zg_filetype_of(zoo, &type) == ZG_OK && type == ZG_FILE_ZOO);
  CU_ASSERT_EQUAL(zg_filetype_of(zg_test_path("none.h5", none), &type), ZG_ERR_INPUT);
  CU_ASSERT_EQUAL(zg_results_inspect(zoo, &info), ZG_ERR_DATA);
  CU_ASSERT_PTR_NULL(info);
  CU_ASSERT_EQUAL(zg_results_inspect(none, &info), ZG_ERR_INPUT);
}

const zg_test zg_tests[] = {
    {"what_is_written_is_read_back", what_is_written_is_read_back},
    {"codes_are_counted", codes_are_counted},
    {"what_is_kept_is_rank_0s", what_is_kept_is_rank_0s},
    {"a_file_says_what_it_holds", a_file_says_what_it_holds},
    {"every_axis_has_its_scale", every_axis_has_its_scale},
    {"nothing_has_the_final_name_before_the_end",
     nothing_has_the_final_name_before_the_end},
    {"an_abandoned_file_leaves_nothing", an_abandoned_file_leaves_nothing},
    {"an_older_file_stays_until_the_new_one_is_complete",
     an_older_file_stays_until_the_new_one_is_complete},
    {"leftovers_go_and_what_is_not_ours_stays",
     leftovers_go_and_what_is_not_ours_stays},
    {"where_no_file_can_be_made_all_ranks_say_so",
     where_no_file_can_be_made_all_ranks_say_so},
    {"where_the_name_is_taken_by_a_directory_all_ranks_say_so",
     where_the_name_is_taken_by_a_directory_all_ranks_say_so},
    {"a_file_that_was_damaged_meanwhile_does_not_get_the_name",
     a_file_that_was_damaged_meanwhile_does_not_get_the_name},
    {"an_unknown_tensor_is_refused_with_those_that_are_there",
     an_unknown_tensor_is_refused_with_those_that_are_there},
    {"kinds_of_files_are_told_apart", kinds_of_files_are_told_apart},
    {NULL, NULL}};
