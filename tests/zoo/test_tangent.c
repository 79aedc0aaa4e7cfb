/** \file
 * Which factors of tangent kernels fit together, and how the others are named. */
#include "files.h"
#include "mpi_main.h"
#include "zoo/zoo.h"

#include <stdio.h>
#include <string.h>

#define DIMS(...) ((const hsize_t[]){__VA_ARGS__})

static void add(hid_t file, const char *place, int rank, const hsize_t *dims) {
  char path[ZG_TEST_PATH_BYTES];
  snprintf(path, sizeof path, "/models/%s", place);
  bool index = strstr(place, "index") != NULL;
  zg_test_zoo_dataset(file, path, index ? H5T_STD_I16LE : H5T_IEEE_F32LE, rank, dims,
                      NULL);
}

/* A model whose factors fit, of m = 3 samples and C = 2 logits. */
static void add_sound(hid_t file, const char *model) {
  static const struct {
    const char *name;
    int rank;
    hsize_t dims[4];
  } arrays[] = {{"conv/input", 3, {3, 5, 9}},  {"conv/signal", 4, {3, 2, 5, 4}},
                {"emb/index", 2, {3, 7}},      {"emb/signal", 4, {3, 2, 7, 6}},
                {"fc/input", 2, {3, 4}},       {"fc/signal", 3, {3, 2, 8}},
                {"norm/direct", 3, {3, 2, 12}}};
  for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++) {
    char place[64];
    snprintf(place, sizeof place, "%s/ntk/%s", model, arrays[k].name);
    add(file, place, arrays[k].rank, arrays[k].dims);
  }
}

static zg_status verdict(const char *path, uint32_t data) {
  zg_list paths = {0};
  zg_select select = {.data = data};
  zg_zoo *zoo = NULL;
  zg_list_add(&paths, path);
  zg_status status = zg_zoo_open(&paths, &select, &zoo);
  if (status != ZG_OK) printf("\n%s\n", zg_message());
  CU_ASSERT_EQUAL_FATAL(status, ZG_OK);
  status = zg_zoo_check_tangent(zoo);
  zg_zoo_destroy(&zoo);
  zg_list_clear(&paths);
  return status;
}

static void factors_that_fit_are_accepted(void) {
  char path[ZG_TEST_PATH_BYTES];
  hid_t file = zg_test_zoo_create(zg_test_path("sound.h5", path));
  add_sound(file, "a");
  add_sound(file, "b");
  zg_test_zoo_close(file);
  CU_ASSERT_EQUAL(verdict(path, 0), ZG_OK);
}

static void models_may_differ_and_may_have_none(void) {
  char path[ZG_TEST_PATH_BYTES];
  hid_t file = zg_test_zoo_create(zg_test_path("differ.h5", path));
  add_sound(file, "a");
  add(file, "b/ntk/other/input", 2, DIMS(8, 1));
  add(file, "b/ntk/other/signal", 3, DIMS(8, 10, 1));
  zg_test_zoo_group(file, "/models/c", 0);
  zg_test_zoo_group(file, "/models/d/ntk", 0);
  zg_test_zoo_close(file);
  CU_ASSERT_EQUAL(verdict(path, 0), ZG_OK);
  CU_ASSERT_EQUAL(verdict(path, ZG_DATA_BIT(ZG_ACTIVATIONS)), ZG_OK);
}

/* What is added to a sound model, and what is then said. */
static const struct {
  struct {
    const char *name;
    int rank;
    hsize_t dims[4];
  } arrays[3];
  const char *words[3];
} faulty[] = {
    {{{"odd/input", 2, {3, 4}}}, {"layer 'odd'", "ntk/input", "no ntk/signal"}},
    {{{"odd/index", 2, {3, 4}}}, {"layer 'odd'", "ntk/index", "no ntk/signal"}},
    {{{"odd/signal", 3, {3, 2, 4}}}, {"layer 'odd'", "ntk/signal", "neither"}},
    {{{"odd/input", 3, {3, 4, 1}},
      {"odd/index", 2, {3, 4}},
      {"odd/signal", 4, {3, 2, 4, 1}}},
     {"layer 'odd'", "ntk/index", "beside ntk/input"}},
    {{{"odd/input", 2, {3, 4}},
      {"odd/signal", 3, {3, 2, 4}},
      {"odd/direct", 3, {3, 2, 4}}},
     {"layer 'odd'", "ntk/direct", "beside ntk/input"}},
    {{{"odd/signal", 3, {3, 2, 4}}, {"odd/direct", 3, {3, 2, 4}}},
     {"layer 'odd'", "ntk/direct", "beside ntk/signal"}},
    {{{"odd/input", 2, {4, 4}}, {"odd/signal", 3, {3, 2, 4}}},
     {"layer 'odd'", "ntk/input", "4 samples"}},
    {{{"odd/input", 2, {3, 4}}, {"odd/signal", 3, {4, 2, 4}}},
     {"layer 'odd'", "ntk/signal", "4 samples"}},
    {{{"odd/input", 2, {3, 4}}, {"odd/signal", 3, {3, 5, 4}}},
     {"layer 'odd'", "ntk/signal", "5 logits"}},
    {{{"odd/direct", 3, {2, 2, 4}}}, {"layer 'odd'", "ntk/direct", "2 samples"}},
    {{{"odd/direct", 3, {3, 1, 4}}}, {"layer 'odd'", "ntk/direct", "1 logits"}},
    {{{"odd/input", 3, {3, 4, 6}}, {"odd/signal", 4, {3, 2, 5, 6}}},
     {"layer 'odd'", "5 positions", "has 4"}},
    {{{"odd/index", 2, {3, 4}}, {"odd/signal", 4, {3, 2, 5, 6}}},
     {"layer 'odd'", "5 positions", "ntk/index has 4"}},
    {{{"odd/input", 3, {3, 4, 6}}, {"odd/signal", 3, {3, 2, 6}}},
     {"layer 'odd'", "3 axes", "needs 4"}},
    {{{"odd/input", 2, {3, 4}}, {"odd/signal", 4, {3, 2, 1, 6}}},
     {"layer 'odd'", "4 axes", "needs 3"}},
    {{{"odd/index", 2, {3, 1}}, {"odd/signal", 3, {3, 2, 6}}},
     {"layer 'odd'", "3 axes", "needs 4"}}};

static void factors_that_do_not_fit_are_refused_by_name(void) {
  char path[ZG_TEST_PATH_BYTES];
  for (size_t k = 0; k < sizeof faulty / sizeof *faulty; k++) {
    hid_t file = zg_test_zoo_create(zg_test_path("faulty.h5", path));
    add_sound(file, "good");
    add_sound(file, "net");
    for (int a = 0; a < 3 && faulty[k].arrays[a].name; a++) {
      char place[64];
      snprintf(place, sizeof place, "net/ntk/%s", faulty[k].arrays[a].name);
      add(file, place, faulty[k].arrays[a].rank, faulty[k].arrays[a].dims);
    }
    zg_test_zoo_close(file);
    CU_ASSERT_EQUAL(verdict(path, 0), ZG_ERR_DATA);
    CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "faulty.h5: model 'net'"));
    for (int w = 0; w < 3; w++) {
      CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), faulty[k].words[w]));
      if (!strstr(zg_message(), faulty[k].words[w]))
        printf("\n'%s' does not say '%s'\n", zg_message(), faulty[k].words[w]);
    }
  }
}

const zg_test zg_tests[] = {
    {"factors_that_fit_are_accepted", factors_that_fit_are_accepted},
    {"models_may_differ_and_may_have_none", models_may_differ_and_may_have_none},
    {"factors_that_do_not_fit_are_refused_by_name",
     factors_that_do_not_fit_are_refused_by_name},
    {NULL, NULL}};
