#include "files.h"

#include "grid/comm.h"
#include "mpi_main.h"

#include <ftw.h>
#include <hdf5_hl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char directory[ZG_TEST_PATH_BYTES];

static int remove_entry(const char *path, const struct stat *status, int type,
                        struct FTW *place) {
  (void)status, (void)type, (void)place;
  return remove(path);
}

static void remove_directory(void) {
  nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void make_directory(void) {
  const char *parent = getenv("TMPDIR");
  snprintf(directory, sizeof directory, "%s/zoogram-test-XXXXXX",
           parent ? parent : "/tmp");
  if (zg_test_rank() == 0) {
    if (!mkdtemp(directory)) zg_abort(ZG_ERR_CREATE, "no directory for tests");
    atexit(remove_directory);
  }
  zg_broadcast(MPI_COMM_WORLD, directory, sizeof directory);
}

char *zg_test_path(const char *name, char path[ZG_TEST_PATH_BYTES]) {
  if (!*directory) make_directory();
  int length = snprintf(path, ZG_TEST_PATH_BYTES, "%s/%s", directory, name);
  ZG_REQUIRE(length < ZG_TEST_PATH_BYTES);
  return path;
}

hid_t zg_test_zoo_create(const char *path) {
  hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const int version = 1;
  ZG_REQUIRE(file >= 0);
  H5LTset_attribute_string(file, "/", "format", "zoogram-zoo");
  H5LTset_attribute_int(file, "/", "version", &version, 1);
  return file;
}

void zg_test_zoo_close(hid_t file) {
  ZG_REQUIRE(H5Fclose(file) >= 0);
}

zg_zoo *zg_test_zoo_open(const char *path) {
  zg_list paths = {0};
  zg_zoo *zoo = NULL;
  zg_list_add(&paths, path);
  CU_ASSERT_EQUAL_FATAL(zg_zoo_open(&paths, NULL, &zoo), ZG_OK);
  zg_list_clear(&paths);
  return zoo;
}

static hid_t with_groups_above(void) {
  hid_t list = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_create_intermediate_group(list, 1);
  return list;
}

void zg_test_zoo_group(hid_t file, const char *path, int tracked) {
  hid_t links = with_groups_above(), creation = H5Pcreate(H5P_GROUP_CREATE);
  if (tracked)
    H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
  hid_t group = H5Gcreate2(file, path, links, creation, H5P_DEFAULT);
  ZG_REQUIRE(group >= 0);
  H5Gclose(group);
  H5Pclose(creation);
  H5Pclose(links);
}

void zg_test_zoo_order(hid_t file, const char *path, int64_t order) {
  long long value = order;
  ZG_REQUIRE(H5LTset_attribute_long_long(file, path, "order", &value, 1) >= 0);
}

void zg_test_zoo_dataset(hid_t file, const char *path, hid_t type, int rank,
                         const hsize_t *dims, const double *values) {
  hid_t links = with_groups_above();
  hid_t space = rank ? H5Screate_simple(rank, dims, NULL) : H5Screate(H5S_SCALAR);
  hid_t dataset = H5Dcreate2(file, path, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
  ZG_REQUIRE(dataset >= 0);
  if (values)
    ZG_REQUIRE(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                        values) >= 0);
  H5Dclose(dataset);
  H5Sclose(space);
  H5Pclose(links);
}

void zg_test_zoo_layer(hid_t file, const char *model, const char *layer, int64_t n,
                       int64_t d, const double *values) {
  char path[ZG_TEST_PATH_BYTES];
  const hsize_t dims[2] = {(hsize_t)n, (hsize_t)d};
  snprintf(path, sizeof path, "/models/%s/activations/%s", model, layer);
  zg_test_zoo_dataset(file, path, H5T_IEEE_F64LE, 2, dims, values);
}

void zg_test_zoo_texts(hid_t file, const char *path, int variable, int64_t count,
                       const char *const *texts) {
  enum { SIZE = 16 };
  const hsize_t length = (hsize_t)count;
  char *fixed = calloc((size_t)count, SIZE);
  for (int64_t k = 0; k < count; k++)
    snprintf(fixed + k * SIZE, SIZE, "%s", texts[k]);
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, variable ? H5T_VARIABLE : SIZE);
  zg_test_zoo_dataset(file, path, type, 1, &length, NULL);
  hid_t dataset = H5Dopen2(file, path, H5P_DEFAULT);
  const void *from = variable ? (const void *)texts : fixed;
  ZG_REQUIRE(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, from) >= 0);
  H5Dclose(dataset);
  H5Tclose(type);
  free(fixed);
}

void zg_test_zoo_ids(hid_t file, int64_t n, int64_t start) {
  double *ids = malloc((size_t)n * sizeof *ids);
  const hsize_t length = (hsize_t)n;
  for (int64_t k = 0; k < n; k++)
    ids[k] = (double)(start + k);
  zg_test_zoo_dataset(file, "/samples/id", H5T_STD_I64LE, 1, &length, ids);
  free(ids);
}

hid_t zg_test_half_type(void) {
  hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(type, 15, 10, 5, 0, 10);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, 15);
  return type;
}
