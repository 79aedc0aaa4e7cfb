/** \file
 * A catalogue handed from rank to rank, and digests that depend on the data alone. */
#include "files.h"
#include "mpi_main.h"
#include "zoo/exchange.h"

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

/* ---- broadcast ---- */

static void check_equal(const zg_zoo *a, const zg_zoo *b) {
  CU_ASSERT_FATAL(a->file_count == b->file_count && a->model_count == b->model_count &&
                  a->layer_count == b->layer_count);
  CU_ASSERT(a->models_found == b->models_found && a->layers_found == b->layers_found);
  for (int64_t k = 0; k < a->file_count; k++) {
    CU_ASSERT_STRING_EQUAL(a->files[k].path, b->files[k].path);
    CU_ASSERT(a->files[k].ids == b->files[k].ids);
  }
  for (int64_t k = 0; k < a->model_count; k++) {
    CU_ASSERT_STRING_EQUAL(a->models[k].name, b->models[k].name);
    CU_ASSERT_EQUAL(a->models[k].file, b->models[k].file);
  }
  for (int64_t k = 0; k < a->layer_count; k++) {
    const zg_layer *x = &a->layers[k], *y = &b->layers[k];
    CU_ASSERT_STRING_EQUAL(x->name, y->name);
    CU_ASSERT(x->model == y->model && x->n == y->n && x->d == y->d);
    CU_ASSERT(x->rank == y->rank && x->dtype == y->dtype);
    CU_ASSERT_EQUAL(memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims), 0);
  }
}

static void check_broadcast(const zg_list *paths) {
  zg_zoo *own = open_zoo(paths);
  zg_zoo *received = zg_test_rank() == 0 ? open_zoo(paths) : NULL;
  zg_zoo_broadcast(world, &received);
  check_equal(received, own);
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
  check_broadcast(&paths);
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
  check_broadcast(&paths);
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
    {"a_file_that_one_rank_cannot_read_fails_on_all",
     a_file_that_one_rank_cannot_read_fails_on_all},
    {NULL, NULL}};
