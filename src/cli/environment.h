/** \file
 * What the program runs on: BLAS kernel and threads, launcher, signals. */
#ifndef ZG_CLI_ENVIRONMENT_H
#define ZG_CLI_ENVIRONMENT_H

#include <stdbool.h>

/** Before anything else: when BLAS has chosen a kernel below what the CPU can do and
 * the user has not chosen one, start the program again with the right one (this call
 * then does not return), and set the number of BLAS threads. */
void zg_environment_prepare(char **argv);

/** Whether the program was started again for its BLAS kernel. */
bool zg_environment_corrected(void);
/** BLAS threads per rank: OPENBLAS_NUM_THREADS, OMP_NUM_THREADS or 1. */
int zg_environment_threads(void);

/** Whether this is the first of the processes that a launcher has started, or the only
 * one: of what concerns all of them it alone speaks. While MPI does not run the
 * environment has to tell. */
bool zg_is_first_process(void);

/** End this rank within seconds when its launcher (mpirun, slurmstepd) dies. */
void zg_watch_launcher(void);

/** From now on SIGTERM, SIGINT and SIGUSR1 ask to stop, and so does the end of
 * `max_seconds` since now (0: no limit). */
void zg_watch_stop(double max_seconds);
/** Whether the run has been asked to stop. */
bool zg_should_stop(void);
/** Why: "signal 15 (Terminated)", "--max-time". */
const char *zg_stop_reason(void);

#endif
