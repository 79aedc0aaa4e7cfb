/** \file
 * Runs of numbers: which of them can be squared. */
#include "linalg/numbers.h"
#include "mpi_main.h"

#include <math.h>

enum { COUNT = 37 };

/* The sum of squares, times 2^40, against the largest double: about 1.8e308. */
static void squares_need_room_for_sums(void) {
  static const struct {
    double value;
    bool fits;
  } cases[] = {{0, true},        {1, true},          {-1e147, true},
               {1.2e148, true},  {1.4e148, false},   {-1e154, false},
               {1.7e308, false}, {-INFINITY, false}, {NAN, false}};
  double x[COUNT];
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
    for (int at = 0; at < COUNT; at++) {
      for (int j = 0; j < COUNT; j++)
        x[j] = j == at ? cases[k].value : 3;
      CU_ASSERT_EQUAL(zg_can_be_squared(COUNT, x), cases[k].fits);
    }
  for (int j = 0; j < COUNT; j++)
    x[j] = 1e148;
  CU_ASSERT_FALSE(zg_can_be_squared(COUNT, x)); /* one by one they could */
  CU_ASSERT(zg_can_be_squared(1, x) && zg_can_be_squared(0, x));
}

const zg_test zg_tests[] = {{"squares_need_room_for_sums", squares_need_room_for_sums},
                            {NULL, NULL}};
