/** \file
 * What ends the program when FFTW has no memory or no plan: here its functions are
 * replaced by some that have none, memory only when they are told so. */
#include "base/status.h"
#include "linalg/sketch.h"
#include "linalg/student.h"
#include "mpi_main.h"

#include <fftw3.h>
#include <stdbool.h>
#include <stdlib.h>

static bool have_memory;

double *fftw_alloc_real(size_t count) {
  return have_memory ? malloc(count * sizeof(double)) : NULL;
}

fftw_complex *fftw_alloc_complex(size_t count) {
  return have_memory ? malloc(count * sizeof(fftw_complex)) : NULL;
}

fftw_plan fftw_plan_dft_r2c(int rank, const int *sizes, double *in, fftw_complex *out,
                            unsigned flags) {
  (void)rank, (void)sizes, (void)in, (void)out, (void)flags;
  return NULL;
}

static void make_sketch(void) {
  zg_sketch_create(64, 3, 5, 1);
}

static void sum_on_a_grid(void) {
  enum { POINTS = 200 };
  double x[POINTS], y[POINTS], sum;
  for (unsigned long k = 0; k < POINTS; k++) {
    x[k] = 8 * zg_test_random(1, k);
    y[k] = 8 * zg_test_random(2, k);
  }
  zg_map_points map = {.n = POINTS, .axes = 2, .y = {x, y, x}};
  zg_student_grid(&map, &sum);
}

static void without_memory_the_program_ends(void) {
  have_memory = false;
  CU_ASSERT_EQUAL(zg_test_exit_code(make_sketch), ZG_ERR_SYSTEM);
  CU_ASSERT_EQUAL(zg_test_exit_code(sum_on_a_grid), ZG_ERR_SYSTEM);
}

static void without_a_plan_the_program_ends(void) {
  have_memory = true;
  CU_ASSERT_EQUAL(zg_test_exit_code(sum_on_a_grid), ZG_ERR_SYSTEM);
}

const zg_test zg_tests[] = {
    {"without_memory_the_program_ends", without_memory_the_program_ends},
    {"without_a_plan_the_program_ends", without_a_plan_the_program_ends},
    {NULL, NULL}};
