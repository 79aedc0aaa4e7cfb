#include "cli/environment.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/threads.h"
#include "cli/cli.h"
#include "cli/version.h"
#include "linalg/core.h"

#include <fftw3.h>
#include <hdf5.h>
#include <jansson.h>
#include <mpi.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

static const char *const corrected_variable = "ZOOGRAM_BLAS_CORRECTED";

extern char **environ;

int zg_environment_threads(void) {
  static const char *const names[] = {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"};
  for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
    const char *value = getenv(names[k]);
    if (value && atoi(value) > 0) return atoi(value);
  }
  return 1;
}

bool zg_environment_corrected(void) {
  return getenv(corrected_variable) != NULL;
}

/* What jansson has no memory for it leaves out. */
static void *alloc_for_json(size_t size) {
  return zg_alloc((int64_t)size, 1);
}

void zg_environment_prepare(char **argv) {
  const char *better = zg_blas_better_core();
  if (better && !getenv("OPENBLAS_CORETYPE")) {
    setenv("OPENBLAS_CORETYPE", better, 1);
    setenv(corrected_variable, better, 1);
    execve("/proc/self/exe", argv, environ);
    /* Where that is not possible the slow kernel still gives right numbers. */
  }
  signal(SIGCHLD, SIG_DFL); /* where it is ignored nobody can wait for a child */
  json_set_alloc_funcs(alloc_for_json, free);
  zg_memory_prepare();
  zg_blas_set_threads(zg_environment_threads());
  zg_threads_set(zg_environment_threads());
}

int zg_early_rank(void) {
  static const char *const rank_variables[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK",
                                               "PMI_RANK", "SLURM_PROCID"};
  for (size_t k = 0; k < sizeof rank_variables / sizeof *rank_variables; k++) {
    const char *rank = getenv(rank_variables[k]);
    if (rank) return atoi(rank);
  }
  return 0;
}

bool zg_is_first_process(void) {
  return zg_early_rank() == 0;
}

/* ---- being asked to stop ---- */

static volatile sig_atomic_t received;
static double deadline;
static char *_Atomic file; /* NULL: none */
static atomic_bool file_is_there, in_task;

static void on_signal(int number) {
  received = number;
  signal(number, SIG_DFL); /* the second time it means it */
}

bool zg_should_stop(void) {
  return received || file_is_there || (deadline > 0 && zg_clock() > deadline);
}

const char *zg_stop_reason(void) {
  static char text[64];
  if (!received) return file_is_there ? file : "--max-time";
  snprintf(text, sizeof text, "signal %d (%s)", (int)received, strsignal(received));
  return text;
}

void zg_watch_file(const char *path) {
  file = zg_strdup(path);
}

void zg_watch_task(bool begins) {
  in_task = begins;
}

/* ---- the watching thread ---- */

static pid_t launcher; /* 0 where nobody but a shell has started this process */

static void find_launcher(void) {
  if (getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMIX_RANK")) launcher = getppid();
}

/* The first rank speaks first, and is mostly the only one: its launcher ends the
 * others. */
static double patience(void) {
  return ZG_STOP_PATIENCE + (zg_early_rank() > 0);
}

_Noreturn static void leave_task(void) {
  fprintf(stderr,
          "zoogram: error: stopped by %s in the midst of a step that lasts longer than "
          "%d s; the same command goes on with the last checkpoint\n",
          zg_stop_reason(), ZG_STOP_PATIENCE);
  _exit(ZG_STOPPED);
}

static void *watch(void *unused) {
  (void)unused;
  for (double asked = 0;; sleep(1)) {
    if (launcher && getppid() != launcher) _exit(ZG_ERR_SYSTEM);
    if (file && access(file, F_OK) == 0) file_is_there = true;
    if (!asked && zg_should_stop()) asked = zg_clock();
    if (asked && in_task && zg_clock() - asked > patience()) leave_task();
  }
}

void zg_watch(double max_seconds) {
  static const int stopping[] = {SIGTERM, SIGINT, SIGUSR1};
  for (size_t k = 0; k < sizeof stopping / sizeof *stopping; k++)
    signal(stopping[k], on_signal);
  deadline = max_seconds > 0 ? zg_clock() + max_seconds : 0;
  find_launcher();
}

void zg_watch_start(void) {
  zg_thread_start(watch);
}

/* The first words of a version text, up to a separator. */
static void add_until(zg_text *text, const char *prefix, const char *version,
                      const char *separators) {
  zg_text_add(text, "%s%s%.*s", text->length ? ", " : "", prefix,
              (int)strcspn(version, separators), version);
}

char *zg_library_versions(void) {
  zg_text text = {0};
  char mpi[MPI_MAX_LIBRARY_VERSION_STRING], hdf5[32];
  int length;
  unsigned major, minor, release;
  MPI_Get_library_version(mpi, &length);
  H5get_libversion(&major, &minor, &release);
  snprintf(hdf5, sizeof hdf5, "%u.%u.%u", major, minor, release);
  const char *blas = zg_blas_library();
  const char *openblas = strncmp(blas, "OpenBLAS ", 9) ? blas : blas + 9;
  add_until(&text, "", mpi, ",");
  add_until(&text, "HDF5 ", hdf5, "");
  add_until(&text, openblas == blas ? "" : "OpenBLAS ", openblas, " ");
  add_until(&text, "FFTW ",
            strncmp(fftw_version, "fftw-", 5) ? fftw_version : fftw_version + 5, "-");
  add_until(&text, "libyaml ", yaml_get_version_string(), "");
  add_until(&text, "jansson ", JANSSON_VERSION, "");
  return text.data;
}

void zg_print_version(void) {
  char *libraries = zg_library_versions();
  printf("zoogram %s\n", ZG_VERSION);
  printf("build      %s, %s\n", ZG_BUILD_TYPE, ZG_COMPILER);
  printf("libraries  %s, ScaLAPACK\n", libraries);
  printf("BLAS core  %s%s\n", zg_blas_core(),
         zg_environment_corrected() ? " (corrected for this CPU)" : "");
  free(libraries);
}
