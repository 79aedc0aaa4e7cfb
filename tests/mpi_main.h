/** \file
 * The frame of every CUnit test program: one shared main, one table of tests per
 * program.
 *
 * All ranks run the same tests. Assertions count on every rank and the failures of all
 * ranks are added up; only rank 0 prints the summary. A program without tests fails. */
#ifndef ZG_TESTS_MPI_MAIN_H
#define ZG_TESTS_MPI_MAIN_H

#include <CUnit/CUnit.h>
#include <mpi.h>
#include <stdint.h>

typedef struct zg_test {
  const char *name; /**< a sentence, with underscores */
  void (*run)(void);
} zg_test;

/** The program's tests; ends with an entry whose name is NULL. */
extern const zg_test zg_tests[];

/** Rank and number of ranks of MPI_COMM_WORLD. */
int zg_test_rank(void);
int zg_test_ranks(void);
/** The first so many of its ranks; MPI_COMM_NULL on the others. The caller frees.
 * Collective. */
MPI_Comm zg_test_some_ranks(int64_t count);

/** What a child process that does this leaves with, 0 when it comes to its end; -1 when
 * it is killed. What it says on standard error is lost. */
int zg_test_exit_code(void (*act)(void));

/** A number of [-1, 1) that depends on its arguments only, so that every rank can make
 * the same data. */
double zg_test_random(unsigned long seed, unsigned long index);

/** Assert |value - expected| <= tolerance, printing the three when it does not hold. */
void zg_test_close(double value, double expected, double tolerance, const char *what);

#endif
