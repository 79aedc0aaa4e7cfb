/** \file
 * A catalogue handed from process to process, and digests that depend on the data
 * alone.
 */
#include "files.h"
#include "mpi_main.h"
#include "zoo/digest.h"
#include "zoo/exchange.h"

#include <hdf5_hl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 9, D = 4, LAYERS = 7 };

static const MPI_Comm world = MPI_COMM_WORLD;

static zg_zoo *open_zoo(const zg_list *paths) {
  zg_zoo *zoo = NULL;
  CU_ASSERT_EQUAL_FATAL(zg_zoo_open(paths, NULL, &zoo), ZG_OK);
  return zoo;
}

/* What can differ between two zoos for the digest to differ. */
typedef struct content {
  const char *model, *layer; /* of the last layer */
  int64_t changed_row;       /* of the last layer; -1: none */
  bool single;               /* type of the last layer */
} content;

static const content usual = {"net", "last", -1, false};

/* Written by rank 0; all ranks may read it afterwards. */
static void make_zoo(const char *path, content c) {
  if (zg_test_rank() == 0) {
    double values[N * D];
    char name[ZG_TEST_PATH_BYTES];
    const hsize_t dims[2] = {N, D};
    for (int64_t k = 0; k < N * D; k++) /* exact in single precision */
      values[k] = (double)(float)zg_test_random(4, (unsigned long)k);
    hid_t file = zg_test_zoo_create(path);
    for (int k = 0; k < LAYERS; k++) {
      snprintf(name, sizeof name, "l%d", k);
      zg_test_zoo_layer(file, "big", name, N, D, values);
    }
    zg_test_zoo_group(file, "/models/no-layers", 0);
    if (c.changed_row >= 0) values[c.changed_row * D + 1] += 1;
    snprintf(name, sizeof name, "/models/%s/activations/%s", c.model, c.layer);
    zg_test_zoo_dataset(file, name, c.single ? H5T_IEEE_F32LE : H5T_IEEE_F64LE, 2, dims,
                        values);
    zg_test_zoo_close(file);
  }
  MPI_Barrier(world);
}

/* ---- handing on ---- */

static void check_equal(const zg_zoo *a, const zg_zoo *b) {
  CU_ASSERT_FATAL(a->file_count == b->file_count && a->model_count == b->model_count &&
                  a->array_count == b->array_count);
  CU_ASSERT_EQUAL(a->layer_count, b->layer_count);
  CU_ASSERT_EQUAL(memcmp(a->first, b->first, sizeof a->first), 0);
  CU_ASSERT(a->models_found == b->models_found && a->layers_found == b->layers_found);
  for (int64_t k = 0; k < a->file_count; k++) {
    CU_ASSERT_STRING_EQUAL(a->files[k].path, b->files[k].path);
    CU_ASSERT(a->files[k].ids == b->files[k].ids);
  }
  for (int64_t k = 0; k < a->model_count; k++) {
    CU_ASSERT_STRING_EQUAL(a->models[k].name, b->models[k].name);
    CU_ASSERT_EQUAL(a->models[k].file, b->models[k].file);
    CU_ASSERT_EQUAL(a->models[k].weights_ordered, b->models[k].weights_ordered);
  }
  for (int64_t k = 0; k < a->array_count; k++) {
    const zg_array *x = &a->arrays[k], *y = &b->arrays[k];
    CU_ASSERT_STRING_EQUAL(x->name, y->name);
    CU_ASSERT(x->model == y->model && x->n == y->n && x->d == y->d);
    CU_ASSERT(x->rank == y->rank && x->dtype == y->dtype && x->data == y->data);
    CU_ASSERT(x->kind == y->kind && x->bias == y->bias && x->place == y->place);
    CU_ASSERT_EQUAL(memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims), 0);
    CU_ASSERT_EQUAL(memcmp(&x->conv, &y->conv, sizeof x->conv), 0);
  }
}

static void check_text(const zg_zoo *zoo) {
  char *text = zg_zoo_to_text(zoo);
  zg_zoo *read = zg_zoo_from_text(text);
  check_equal(read, zoo);
  zg_zoo_destroy(&read);
  free(text);
}

static void check_handing_on(const zg_list *paths) {
  zg_zoo *own = open_zoo(paths);
  zg_zoo *received = zg_test_rank() == 0 ? open_zoo(paths) : NULL;
  zg_zoo_broadcast(world, &received);
  check_equal(received, own);
  check_text(own);
  zg_zoo_destroy(&received);
  zg_zoo_destroy(&own);
}

static void every_rank_receives_the_catalogue_of_rank_0(void) {
  char first[ZG_TEST_PATH_BYTES], second[ZG_TEST_PATH_BYTES];
  make_zoo(zg_test_path("first.h5", first), usual);
  zg_test_path("second.h5", second);
  if (zg_test_rank() == 0) {
    hid_t file = zg_test_zoo_create(second);
    zg_test_zoo_layer(file, "third", "layer", N, 1, NULL);
    zg_test_zoo_ids(file, N, 3);
    zg_test_zoo_close(file);
  }
  MPI_Barrier(world);
  zg_list paths = {0};
  zg_list_add(&paths, first);
  zg_list_add(&paths, second);
  check_handing_on(&paths);
  zg_list_clear(&paths);
}

static void a_catalogue_without_layers_can_be_handed_on(void) {
  char path[ZG_TEST_PATH_BYTES];
  zg_test_path("weights-only.h5", path);
  if (zg_test_rank() == 0) {
    hid_t file = zg_test_zoo_create(path);
    zg_test_zoo_group(file, "/models/m/weights", 0);
    zg_test_zoo_close(file);
  }
  MPI_Barrier(world);
  zg_list paths = {0};
  zg_list_add(&paths, path);
  check_handing_on(&paths);
  zg_list_clear(&paths);
}

/* ---- digests ---- */

static void digest_of(MPI_Comm comm, content c, bool all_data, char *digest) {
  char path[ZG_TEST_PATH_BYTES];
  zg_list paths = {0};
  make_zoo(zg_test_path("digest.h5", path), c);
  zg_list_add(&paths, path);
  zg_zoo *zoo = open_zoo(&paths);
  CU_ASSERT_EQUAL(zg_zoo_digest(comm, zoo, all_data), ZG_OK);
  memcpy(digest, zoo->files[0].digest, ZG_DIGEST_BYTES);
  zg_zoo_destroy(&zoo);
  zg_list_clear(&paths);
  MPI_Barrier(world);
}

static void the_digest_does_not_depend_on_the_ranks(void) {
  for (int all = 0; all < 2; all++) {
    char together[ZG_DIGEST_BYTES], alone[ZG_DIGEST_BYTES];
    digest_of(world, usual, all, together);
    digest_of(MPI_COMM_SELF, usual, all, alone);
    CU_ASSERT_EQUAL(strlen(alone), 32);
    CU_ASSERT_STRING_EQUAL(together, alone);
  }
}

/* Not of the path either: the same data under another name. */
static void the_digest_does_not_depend_on_the_path(void) {
  char path[ZG_TEST_PATH_BYTES], here[ZG_DIGEST_BYTES];
  digest_of(world, usual, true, here);
  make_zoo(zg_test_path("copy.h5", path), usual);
  zg_list paths = {0};
  zg_list_add(&paths, path);
  zg_zoo *zoo = open_zoo(&paths);
  CU_ASSERT_EQUAL(zg_zoo_digest(world, zoo, true), ZG_OK);
  CU_ASSERT_STRING_EQUAL(zoo->files[0].digest, here);
  zg_zoo_destroy(&zoo);
  zg_list_clear(&paths);
}

static void check_differs(content c, bool all_data) {
  char before[ZG_DIGEST_BYTES], after[ZG_DIGEST_BYTES];
  digest_of(world, usual, all_data, before);
  digest_of(world, c, all_data, after);
  CU_ASSERT_STRING_NOT_EQUAL(before, after);
}

static void names_and_types_change_the_digest(void) {
  for (int all = 0; all < 2; all++) {
    check_differs((content){"net2", "last", -1, false}, all);
    check_differs((content){"net", "lost", -1, false}, all);
    check_differs((content){"net", "last", -1, true}, all);
  }
}

static void any_row_changes_the_full_digest(void) {
  for (int64_t row = 0; row < N; row++)
    check_differs((content){"net", "last", row, false}, true);
}

static void the_outer_and_the_middle_row_change_the_sampled_digest(void) {
  check_differs((content){"net", "last", 0, false}, false);
  check_differs((content){"net", "last", N / 2, false}, false);
  check_differs((content){"net", "last", N - 1, false}, false);
}

static void a_file_that_one_rank_cannot_read_fails_on_all(void) {
  char path[ZG_TEST_PATH_BYTES];
  zg_list paths = {0};
  make_zoo(zg_test_path("gone.h5", path), usual);
  zg_list_add(&paths, path);
  zg_zoo *zoo = open_zoo(&paths);
  if (zg_test_rank() == zg_test_ranks() - 1) zoo->files[0].path[0] = '?';
  CU_ASSERT_EQUAL(zg_zoo_digest(world, zoo, false), ZG_ERR_INPUT);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "gone.h5"));
  zg_zoo_destroy(&zoo);
  zg_list_clear(&paths);
}

/* ---- data besides activations ---- */

/* Something of everything; `change` is applied to the file that rank 0 has made. */
static void make_model(const char *path, void (*change)(hid_t file)) {
  static const struct {
    const char *name;
    int rank;
    hsize_t dims[4];
  } arrays[] = {{"weights/conv", 4, {2, 1, 3, 3}}, {"weights/fc", 2, {2, 3}},
                {"weights/scalar", 0, {0}},        {"gradients/t", 1, {5000}},
                {"sample_gradients", 2, {3, 4}},   {"jacobian", 3, {2, 3, 4}},
                {"ntk/l/direct", 3, {2, 3, 4}},    {"logits", 2, {4, 3}},
                {"sharpness", 2, {2, 3}},          {"attention/l", 4, {2, 2, 3, 3}}};
  if (zg_test_rank() == 0) {
    double values[5000];
    for (unsigned long k = 0; k < 5000; k++)
      values[k] = zg_test_random(8, k);
    hid_t file = zg_test_zoo_create(path);
    for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++) {
      char name[64];
      snprintf(name, sizeof name, "/models/m/%s", arrays[k].name);
      zg_test_zoo_dataset(file, name, H5T_IEEE_F64LE, arrays[k].rank, arrays[k].dims,
                          values);
    }
    H5LTset_attribute_int(file, "/models/m/weights/conv", "input_size", (int[]){9, 9},
                          2);
    H5LTset_attribute_double(file, "/models/m/sharpness", "radius",
                             (const double[]){0.1, 0.2}, 2);
    zg_test_zoo_texts(file, "/models/m/graph/op", 1, 2,
                      (const char *const[]){"conv", "relu"});
    zg_test_zoo_dataset(file, "/models/m/graph/edge", H5T_STD_I32LE, 2,
                        (const hsize_t[]){1, 2}, (const double[]){0, 1});
    if (change) change(file);
    zg_test_zoo_close(file);
  }
  MPI_Barrier(world);
}

static void model_digest(MPI_Comm comm, void (*change)(hid_t file), bool all_data,
                         char *digest) {
  char path[ZG_TEST_PATH_BYTES];
  zg_list paths = {0};
  make_model(zg_test_path("model.h5", path), change);
  zg_list_add(&paths, path);
  zg_zoo *zoo = open_zoo(&paths);
  CU_ASSERT_EQUAL(zg_zoo_digest(comm, zoo, all_data), ZG_OK);
  memcpy(digest, zoo->files[0].digest, ZG_DIGEST_BYTES);
  zg_zoo_destroy(&zoo);
  zg_list_clear(&paths);
  MPI_Barrier(world);
}

static void every_rank_receives_all_arrays(void) {
  char path[ZG_TEST_PATH_BYTES];
  zg_list paths = {0};
  make_model(zg_test_path("arrays.h5", path), NULL);
  zg_list_add(&paths, path);
  check_handing_on(&paths);
  zg_list_clear(&paths);
}

static void digests_of_models_do_not_depend_on_the_ranks(void) {
  for (int all = 0; all < 2; all++) {
    char together[ZG_DIGEST_BYTES], alone[ZG_DIGEST_BYTES];
    model_digest(world, NULL, all, together);
    model_digest(MPI_COMM_SELF, NULL, all, alone);
    CU_ASSERT_STRING_EQUAL(together, alone);
  }
}

/* The number at [position, 0, ...]. */
static void overwrite(hid_t file, const char *name, hsize_t position) {
  const double value = 77;
  const hsize_t place[4] = {position};
  hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(dataset),
        one = H5Screate(H5S_SCALAR);
  H5Sselect_elements(space, H5S_SELECT_SET, 1, place);
  CU_ASSERT(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, one, space, H5P_DEFAULT, &value) >= 0);
  H5Sclose(one), H5Sclose(space), H5Dclose(dataset);
}

static void change_a_kind(hid_t file) {
  H5LTset_attribute_string(file, "/models/m/weights/fc", "kind", "embedding");
}
static void change_a_stride(hid_t file) {
  H5LTset_attribute_int(file, "/models/m/weights/conv", "stride", &(int){2}, 1);
}
static void change_an_input_size(hid_t file) {
  H5LTset_attribute_int(file, "/models/m/weights/conv", "input_size", (int[]){9, 8}, 2);
}
static void change_the_parameters(hid_t file) {
  H5LTset_attribute_string(file, "/models/m/gradients/t", "parameters", "fc");
}
static void change_a_radius(hid_t file) {
  H5LTset_attribute_double(file, "/models/m/sharpness", "radius",
                           (const double[]){0.1, 0.3}, 2);
}
static void change_a_bias(hid_t file) {
  H5LTset_attribute_int(file, "/models/m/ntk/l", "bias", &(int){0}, 1);
}
static void change_the_order(hid_t file) {
  zg_test_zoo_order(file, "/models/m/weights/scalar", -1);
}
static void change_a_name(hid_t file) {
  H5Lmove(file, "/models/m/gradients/t", file, "/models/m/gradients/u", H5P_DEFAULT,
          H5P_DEFAULT);
}
static void change_the_data(hid_t file) {
  H5Lmove(file, "/models/m/weights/scalar", file, "/models/m/scalar", H5P_DEFAULT,
          H5P_DEFAULT);
}
static void change_the_first_number(hid_t file) {
  overwrite(file, "/models/m/gradients/t", 0);
}
static void change_the_middle_number(hid_t file) {
  overwrite(file, "/models/m/gradients/t", 2500);
}
static void change_the_last_number(hid_t file) {
  overwrite(file, "/models/m/gradients/t", 4999);
}
static void change_attention(hid_t file) {
  overwrite(file, "/models/m/attention/l", 0);
}
static void change_an_op(hid_t file) {
  H5Ldelete(file, "/models/m/graph/op", H5P_DEFAULT);
  zg_test_zoo_texts(file, "/models/m/graph/op", 1, 2,
                    (const char *const[]){"conv", "gelu"});
}
static void change_an_edge(hid_t file) {
  overwrite(file, "/models/m/graph/edge", 0);
}
static void change_any_number(hid_t file) {
  overwrite(file, "/models/m/gradients/t", 1500);
}

static void everything_that_matters_changes_the_digest_of_a_model(void) {
  static void (*const changes[])(hid_t file) = {change_a_kind,
                                                change_a_stride,
                                                change_an_input_size,
                                                change_the_parameters,
                                                change_a_radius,
                                                change_a_bias,
                                                change_the_order,
                                                change_a_name,
                                                change_the_data,
                                                change_the_first_number,
                                                change_the_middle_number,
                                                change_the_last_number,
                                                change_attention,
                                                change_an_op,
                                                change_an_edge};
  enum { CHANGES = sizeof changes / sizeof *changes };
  for (int all = 0; all < 2; all++) {
    char digests[CHANGES + 1][ZG_DIGEST_BYTES];
    model_digest(world, NULL, all, digests[CHANGES]);
    for (int k = 0; k < CHANGES; k++)
      model_digest(world, changes[k], all, digests[k]);
    for (int a = 0; a <= CHANGES; a++)
      for (int b = 0; b < a; b++) {
        CU_ASSERT_STRING_NOT_EQUAL(digests[a], digests[b]);
        if (!strcmp(digests[a], digests[b])) printf("\n%d = %d\n", a, b);
      }
  }
}

static void any_number_changes_the_full_digest_of_a_model(void) {
  char before[ZG_DIGEST_BYTES], after[ZG_DIGEST_BYTES];
  model_digest(world, NULL, true, before);
  model_digest(world, change_any_number, true, after);
  CU_ASSERT_STRING_NOT_EQUAL(before, after);
}

const zg_test zg_tests[] = {
    {"every_rank_receives_the_catalogue_of_rank_0",
     every_rank_receives_the_catalogue_of_rank_0},
    {"a_catalogue_without_layers_can_be_handed_on",
     a_catalogue_without_layers_can_be_handed_on},
    {"the_digest_does_not_depend_on_the_ranks",
     the_digest_does_not_depend_on_the_ranks},
    {"the_digest_does_not_depend_on_the_path", the_digest_does_not_depend_on_the_path},
    {"names_and_types_change_the_digest", names_and_types_change_the_digest},
    {"any_row_changes_the_full_digest", any_row_changes_the_full_digest},
    {"the_outer_and_the_middle_row_change_the_sampled_digest",
     the_outer_and_the_middle_row_change_the_sampled_digest},
    {"every_rank_receives_all_arrays", every_rank_receives_all_arrays},
    {"digests_of_models_do_not_depend_on_the_ranks",
     digests_of_models_do_not_depend_on_the_ranks},
    {"everything_that_matters_changes_the_digest_of_a_model",
     everything_that_matters_changes_the_digest_of_a_model},
    {"any_number_changes_the_full_digest_of_a_model",
     any_number_changes_the_full_digest_of_a_model},
    {"a_file_that_one_rank_cannot_read_fails_on_all",
     a_file_that_one_rank_cannot_read_fails_on_all},
    {NULL, NULL}};
