/** \file
 * What the program runs on: BLAS kernel and threads, launcher, signals. */
#ifndef ZG_CLI_ENVIRONMENT_H
#define ZG_CLI_ENVIRONMENT_H

#include <stdbool.h>

/** Before anything else: when BLAS has chosen a kernel below what the CPU can do and
 * the user has not chosen one, start the program again with the right one (this call
 * then does not return). Set the number of BLAS threads, whom jansson asks for memory,
 * what becomes of freed memory, and that children can be waited for. */
void zg_environment_prepare(char **argv);

/** Whether the program was started again for its BLAS kernel. */
bool zg_environment_corrected(void);
/** BLAS threads per rank: OPENBLAS_NUM_THREADS, OMP_NUM_THREADS or 1. */
int zg_environment_threads(void);

/** Which of the processes that a launcher has started this is going to be, as far as
 * the environment tells while MPI does not run; 0 where it does not. */
int zg_early_rank(void);
/** Whether this is the first of them, or the only one: of what concerns all of them it
 * alone speaks. */
bool zg_is_first_process(void);

/** From now on SIGTERM, SIGINT and SIGUSR1 ask to stop, and so does the end of
 * `max_seconds` since now (0: no limit). */
void zg_watch(double max_seconds);
/** Start a thread that watches over this, looking once a second; it also ends this rank
 * when its launcher (mpirun, slurmstepd) dies. After the last child process has been
 * made. */
void zg_watch_start(void);
/** From now on a file of this name asks to stop, too. For one rank. */
void zg_watch_file(const char *path);
/** Whether the run has been asked to stop. */
bool zg_should_stop(void);
/** By what: "signal 15 (Terminated)", "--max-time", the file. */
const char *zg_stop_reason(void);

enum { ZG_STOP_PATIENCE = 15 };
/** Say that a piece of work begins that asks nobody whether to stop, or ends. When one
 * goes on for ZG_STOP_PATIENCE seconds after the request, the process leaves with
 * ZG_STOPPED in the midst of it: without what it was at, but in time. */
void zg_watch_task(bool begins);

#endif
