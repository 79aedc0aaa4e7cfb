/** \file
 * `zoogram calibrate`: measure this machine, on all ranks together, and keep its rates
 * in a file. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/environment.h"
#include "cli/predict.h"
#include "cli/trials.h"
#include "zoo/h5.h"

#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const zg_flag flags[] = {{NULL, NULL, NULL}};

/* A calibration from its start to its end; paths are rank 0's, but for `directory`. */
typedef struct calibration {
  MPI_Comm comm;
  int rank, ranks;
  char *path, *part; /* of the machine file, and of what becomes it */
  FILE *file;
  char *directory; /* of the data */
  MPI_Comm node;
  zg_machine machine;
} calibration;

/* ---- the file ---- */

static zg_status fail_create(const char *path) {
  return zg_fail(ZG_ERR_CREATE, "%s: cannot be made: %s", path, strerror(errno));
}

/* A file that is there has to be the work of an earlier calibration. */
static zg_status look_at_existing(const char *path) {
  char line[256];
  bool ours = false;
  FILE *file = fopen(path, "r");
  if (!file && (errno == ENOENT || errno == ENOTDIR)) return ZG_OK;
  while (file && !ours && fgets(line, sizeof line, file))
    ours = !strncmp(line, "calibrated:", strlen("calibrated:"));
  if (file) fclose(file);
  if (ours) return ZG_OK;
  return zg_fail(ZG_ERR_CREATE,
                 "%s: exists and was not written by 'zoogram calibrate'; it is left "
                 "alone",
                 path);
}

static zg_status make_directories(const char *path) {
  char *directory = zg_directory(path);
  zg_status status = ZG_OK;
  if (access(directory, F_OK) != 0) {
    status = make_directories(directory);
    if (status == ZG_OK && mkdir(directory, 0777) != 0 && errno != EEXIST)
      status = fail_create(directory);
  }
  free(directory);
  return status;
}

/* Before anything is measured: whether the file can be written. */
static zg_status open_file(calibration *c, const char *path) {
  c->path = path ? zg_strdup(path) : zg_machine_default();
  if (!c->path)
    return zg_fail(ZG_ERR_CREATE, "there is no home directory to keep the calibration "
                                  "in: name a file");
  ZG_TRY(look_at_existing(c->path));
  if (!path) ZG_TRY(make_directories(c->path));
  zg_text part = {0};
  zg_text_add(&part, "%s.%d.part", c->path, (int)getpid());
  c->part = part.data;
  c->file = fopen(c->part, "w");
  return c->file ? ZG_OK : fail_create(c->path);
}

static zg_status write_file(calibration *c) {
  char *text = zg_machine_text(&c->machine);
  bool written =
      fputs(text, c->file) >= 0 && fflush(c->file) == 0 && fsync(fileno(c->file)) == 0;
  written = fclose(c->file) == 0 && written;
  c->file = NULL;
  if (written) written = rename(c->part, c->path) == 0;
  if (written) printf("%swritten to %s\n", text, c->path);
  free(text);
  return written ? ZG_OK
                 : zg_fail(ZG_ERR_WRITE, "%s: cannot be written: %s", c->path,
                           strerror(errno));
}

/* ---- the directory of the data ---- */

static zg_status make_directory(calibration *c) {
  const char *parent = getenv("TMPDIR");
  zg_text path = {0};
  zg_text_add(&path, "%s/zoogram-calibrate-XXXXXX",
              parent && *parent ? parent : "/tmp");
  c->directory = path.data;
  if (mkdtemp(c->directory)) return ZG_OK;
  zg_status status = fail_create(c->directory);
  free(c->directory);
  c->directory = NULL;
  return status;
}

static int remove_entry(const char *path, const struct stat *status, int type,
                        struct FTW *place) {
  (void)status, (void)type, (void)place;
  return remove(path);
}

/* ---- measuring ---- */

/* Seconds of a sum over all ranks, the quickest of several. */
static double time_sum(MPI_Comm comm, int64_t count) {
  enum { REPEATS = 20 };
  double *values = ZG_NEW0(double, count), best = INFINITY;
  for (int k = 0; k < REPEATS; k++) {
    MPI_Barrier(comm);
    double start = zg_clock();
    zg_sum_doubles(comm, values, count);
    best = fmin(best, zg_clock() - start);
  }
  free(values);
  zg_max_doubles(comm, &best, 1);
  return best;
}

/* A sum over P ranks takes log2(P) messages, or 2 (1 - 1/P) of the data where these are
 * large. One rank has no network: then it is a guess. */
static void measure_network(calibration *c) {
  const double guess = 1e10;
  const int64_t large = (int64_t)1 << 20;
  double P = c->ranks, *rates = c->machine.rates;
  rates[ZG_RATE_NETWORK] = guess;
  if (c->ranks == 1) return;
  double message = time_sum(c->comm, 1), all = time_sum(c->comm, large);
  rates[ZG_RATE_LATENCY] = message / ceil(log2(P));
  rates[ZG_RATE_NETWORK] = 2 * (1 - 1 / P) * 8 * (double)large / fmax(all, 1e-9);
}

/* Ranks of the node of rank 0 make the trials: together they read from its disk. */
static zg_status run_trials(calibration *c) {
  int first = c->rank, size;
  MPI_Comm_split_type(c->comm, MPI_COMM_TYPE_SHARED, c->rank, MPI_INFO_NULL, &c->node);
  MPI_Bcast(&first, 1, MPI_INT, 0, c->node);
  MPI_Comm_size(c->node, &size);
  zg_status status =
      first == 0 ? zg_trials_run(c->node, c->directory, &c->machine) : ZG_OK;
  MPI_Comm_free(&c->node);
  c->machine.ranks_per_node = size;
  return zg_agree(c->comm, status);
}

static void describe(calibration *c) {
  char host[64] = "?", *name = c->machine.name;
  int threads = zg_environment_threads();
  gethostname(host, sizeof host - 1);
  snprintf(name, ZG_MACHINE_TEXT, "%s, %d rank%s x %d thread%s", host, c->ranks,
           c->ranks == 1 ? "" : "s", threads, threads == 1 ? "" : "s");
  zg_utc_time(c->machine.calibrated, sizeof c->machine.calibrated);
}

static zg_status calibrate(calibration *c, const char *path) {
  ZG_TRY(zg_agree(c->comm, c->rank == 0 ? open_file(c, path) : ZG_OK));
  ZG_TRY(zg_agree(c->comm, c->rank == 0 ? make_directory(c) : ZG_OK));
  zg_broadcast_text(c->comm, &c->directory);
  measure_network(c);
  ZG_TRY(run_trials(c));
  /* The ranks of other nodes have not tried anything, and need not know. */
  if (c->rank == 0) ZG_REQUIRE(zg_machine_complete(&c->machine) < 0);
  describe(c);
  return zg_agree(c->comm, c->rank == 0 ? write_file(c) : ZG_OK);
}

static void clean_up(calibration *c) {
  if (c->file) fclose(c->file);
  if (c->part) unlink(c->part); /* renamed when all went well */
  if (c->rank == 0 && c->directory)
    nftw(c->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
  free(c->path);
  free(c->part);
  free(c->directory);
}

static zg_status execute(const zg_args *args) {
  calibration c = {.comm = MPI_COMM_WORLD};
  zg_watch(0);
  zg_watch_start();
  zg_h5_start();
  double start = zg_clock();
  zg_mpi_start();
  c.machine.rates[ZG_RATE_START] = zg_clock() - start;
  MPI_Comm_rank(c.comm, &c.rank);
  MPI_Comm_size(c.comm, &c.ranks);
  zg_status status = calibrate(&c, args->operands[0]);
  if (status == ZG_STOPPED) zg_fail(status, "stopped by %s", zg_stop_reason());
  if (c.rank == 0 && status != ZG_OK) zg_print_error();
  clean_up(&c);
  zg_mpi_end();
  return status;
}

const zg_command zg_command_calibrate = {
    .name = "calibrate",
    .operands = "[FILE]",
    .summary =
        "measure for some seconds, under mpirun or srun as for run, how fast this "
        "machine is, and keep that in FILE (zoogram/machine.yaml below "
        "$XDG_CACHE_HOME or ~/.cache): plan and run then predict times",
    .least_operands = 0,
    .most_operands = 1,
    .flags = flags,
    .parallel = true,
    .execute = execute};
