/** \file
 * Which network MPI is told to look for, on made-up folders of device classes. */
#include "grid/fabric.h"

#include "files.h"
#include "mpi_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char *const variables[] = {"OMPI_MCA_pml", "OMPI_MCA_mtl"};

/* A folder in that of this test, which only the first rank makes. */
static const char *make_folder(const char *name) {
  static char path[ZG_TEST_PATH_BYTES];
  zg_test_path(name, path);
  if (zg_test_rank() == 0) mkdir(path, 0700);
  MPI_Barrier(MPI_COMM_WORLD);
  return path;
}

/* What is chosen where the user has chosen `mtl` (NULL: nothing) as well as nothing
 * else. */
static const char *chosen(const char *mtl, const char *classes) {
  for (size_t k = 0; k < 2; k++)
    unsetenv(variables[k]);
  if (mtl) setenv("OMPI_MCA_mtl", mtl, 1);
  zg_fabric_choose(classes);
  const char *pml = getenv("OMPI_MCA_pml");
  return pml ? pml : "";
}

static void a_node_with_ethernet_only_needs_shared_memory_and_tcp(void) {
  make_folder("ethernet");
  make_folder("ethernet/net");
  make_folder("ethernet/infiniband"); /* its driver is there, no device */
  const char *classes = make_folder("ethernet");
  CU_ASSERT_FALSE(zg_has_fabric(classes));
  CU_ASSERT_STRING_EQUAL(chosen(NULL, classes), "ob1");
}

static void a_device_leaves_the_choice_to_open_mpi(void) {
  static const char *const devices[][3] = {
      {"verbs", "verbs/infiniband", "verbs/infiniband/hfi1_0"},
      {"slingshot", "slingshot/cxi", "slingshot/cxi/cxi0"}};
  for (size_t k = 0; k < 2; k++) {
    for (size_t depth = 0; depth < 3; depth++)
      make_folder(devices[k][depth]);
    const char *classes = make_folder(devices[k][0]);
    CU_ASSERT_TRUE(zg_has_fabric(classes));
    CU_ASSERT_STRING_EQUAL(chosen(NULL, classes), "");
  }
}

static void what_cannot_be_seen_may_be_there(void) {
  CU_ASSERT_TRUE(zg_has_fabric("/nowhere/class"));
  CU_ASSERT_TRUE(zg_has_fabric(make_folder("empty")));
}

static void a_users_choice_stays(void) {
  make_folder("plain");
  make_folder("plain/net");
  const char *classes = make_folder("plain");
  CU_ASSERT_STRING_EQUAL(chosen("psm2", classes), "");
  setenv("OMPI_MCA_pml", "ucx", 1);
  zg_fabric_choose(classes);
  CU_ASSERT_STRING_EQUAL(getenv("OMPI_MCA_pml"), "ucx");
}

const zg_test zg_tests[] = {
    {"a_node_with_ethernet_only_needs_shared_memory_and_tcp",
     a_node_with_ethernet_only_needs_shared_memory_and_tcp},
    {"a_device_leaves_the_choice_to_open_mpi", a_device_leaves_the_choice_to_open_mpi},
    {"what_cannot_be_seen_may_be_there", what_cannot_be_seen_may_be_there},
    {"a_users_choice_stays", a_users_choice_stays},
    {NULL, NULL}};
