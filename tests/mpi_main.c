#include "mpi_main.h"

#include "base/status.h"
#include "grid/comm.h"

#include <CUnit/Automated.h>
#include <CUnit/Basic.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int rank, ranks;

int zg_test_rank(void) {
  return rank;
}

int zg_test_ranks(void) {
  return ranks;
}

MPI_Comm zg_test_some_ranks(int64_t count) {
  MPI_Comm comm;
  bool among = zg_test_rank() < count;
  MPI_Comm_split(MPI_COMM_WORLD, among ? 0 : MPI_UNDEFINED, zg_test_rank(), &comm);
  return comm;
}

int zg_test_exit_code(void (*act)(void)) {
  pid_t child = fork();
  if (child == 0) {
    if (!freopen("/dev/null", "w", stderr)) _exit(1);
    zg_on_abort(NULL); /* MPI is its parent's */
    act();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

double zg_test_random(unsigned long seed, unsigned long index) {
  /* Steele, Lea & Flood 2014: the finaliser of SplitMix64, a function of a counter. */
  uint64_t z =
      (uint64_t)seed * 0x9e3779b97f4a7c15u + (uint64_t)index * 0xd1342543de82ef95u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return (double)(int64_t)z * 0x1p-63;
}

void zg_test_close(double value, double expected, double tolerance, const char *what) {
  int close = fabs(value - expected) <= tolerance;
  if (!close)
    fprintf(stderr, "rank %d: %s is %.17g, expected %.17g within %g\n", rank, what,
            value, expected, tolerance);
  CU_ASSERT(close);
}

static int register_tests(void) {
  CU_pSuite suite = CU_add_suite("tests", NULL, NULL);
  int count = 0;
  for (const zg_test *test = zg_tests; test->name; test++, count++)
    if (!suite || !CU_add_test(suite, test->name, test->run)) return 0;
  return count;
}

int main(void) {
  zg_mpi_start();
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  if (CU_initialize_registry() != CUE_SUCCESS || register_tests() == 0)
    zg_abort(ZG_ERR_INTERNAL, "no tests");
  CU_basic_set_mode(rank == 0 ? CU_BRM_VERBOSE : CU_BRM_SILENT);
  CU_basic_run_tests();
  int failures = (int)(CU_get_number_of_failures() + CU_get_number_of_tests_failed());
  MPI_Allreduce(MPI_IN_PLACE, &failures, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  CU_cleanup_registry();
  if (rank == 0 && failures) printf("failures on all ranks together: %d\n", failures);
  zg_mpi_end();
  return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
