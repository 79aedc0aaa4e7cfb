#include "grid/comm.h"

#include "base/crash.h"
#include "base/memory.h"
#include "base/watchdog.h"
#include "grid/fabric.h"

#include <stdlib.h>
#include <string.h>

/* Counts are int in MPI 3; larger transfers go in pieces of this many elements. */
static const int64_t piece = (int64_t)1 << 26;
/* In reductions of fewer, since MPI needs as much memory again. */
static const int64_t reduced = (int64_t)1 << 20;

static int64_t numbers_sent;

int64_t zg_numbers_sent(void) {
  return numbers_sent;
}

void zg_count_sent(int64_t numbers) {
  numbers_sent += numbers;
}

/* What one of P ranks sends when each number travels once, but for its own share. */
static void count_shared(MPI_Comm comm, int64_t numbers) {
  int ranks;
  MPI_Comm_size(comm, &ranks);
  zg_count_sent(numbers - zg_ceil_div(numbers, ranks));
}

static void end_all_ranks(int exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
}

void zg_mpi_start(void) {
  ZG_PLACE("starting MPI");
  ZG_WAIT; /* for the slowest */
  zg_fabric_choose("/sys/class");
  int provided;
  if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
    zg_abort(ZG_ERR_SYSTEM, "MPI cannot be started");
  zg_crash_keep_watching();
  zg_on_abort(end_all_ranks);
}

void zg_mpi_end(void) {
  zg_on_abort(NULL);
  MPI_Finalize();
}

zg_status zg_agree(MPI_Comm comm, zg_status status) {
  ZG_WAIT;
  int rank;
  MPI_Comm_rank(comm, &rank);
  struct {
    int status, rank;
  } mine = {status, rank}, worst; /* MPI_MAXLOC prefers the lower rank */
  MPI_Allreduce(&mine, &worst, 1, MPI_2INT, MPI_MAXLOC, comm);
  if (worst.status == ZG_OK) return ZG_OK;
  char message[ZG_MESSAGE_BYTES] = {0};
  if (rank == worst.rank) strncpy(message, zg_message(), sizeof message - 1);
  MPI_Bcast(message, sizeof message, MPI_CHAR, worst.rank, comm);
  zg_set_reason(NULL); /* the message has its own */
  return zg_fail((zg_status)worst.status, "%s", message);
}

void zg_broadcast(MPI_Comm comm, void *data, int64_t bytes) {
  ZG_WAIT;
  for (int64_t at = 0; at < bytes; at += piece)
    MPI_Bcast((char *)data + at, (int)zg_min(piece, bytes - at), MPI_BYTE, 0, comm);
  count_shared(comm, bytes / (int64_t)sizeof(double));
}

void zg_broadcast_text(MPI_Comm comm, char **text) {
  int rank;
  MPI_Comm_rank(comm, &rank);
  int64_t bytes = rank == 0 ? (int64_t)strlen(*text) + 1 : 0;
  zg_broadcast(comm, &bytes, sizeof bytes);
  if (rank != 0) *text = ZG_NEW(char, bytes);
  zg_broadcast(comm, *text, bytes);
}

static void reduce_in_place(MPI_Comm comm, void *values, int64_t count, size_t size,
                            MPI_Datatype type, MPI_Op op) {
  ZG_WAIT;
  for (int64_t at = 0; at < count; at += reduced)
    MPI_Allreduce(MPI_IN_PLACE, (char *)values + at * (int64_t)size,
                  (int)zg_min(reduced, count - at), type, op, comm);
  count_shared(comm, 2 * count);
}

void zg_sum_doubles(MPI_Comm comm, double *values, int64_t count) {
  reduce_in_place(comm, values, count, sizeof *values, MPI_DOUBLE, MPI_SUM);
}

void zg_sum_counts(MPI_Comm comm, int64_t *values, int64_t count) {
  reduce_in_place(comm, values, count, sizeof *values, MPI_INT64_T, MPI_SUM);
}

void zg_max_doubles(MPI_Comm comm, double *values, int64_t count) {
  reduce_in_place(comm, values, count, sizeof *values, MPI_DOUBLE, MPI_MAX);
}

void zg_max_ints(MPI_Comm comm, int32_t *values, int64_t count) {
  reduce_in_place(comm, values, count, sizeof *values, MPI_INT32_T, MPI_MAX);
}

int64_t zg_gather_doubles(MPI_Comm comm, double *values, int64_t count) {
  ZG_WAIT;
  int ranks, own = (int)count;
  MPI_Comm_size(comm, &ranks);
  int *counts = ZG_NEW(int, 2 * ranks), *starts = counts + ranks;
  double *mine = ZG_NEW(double, own);
  memcpy(mine, values, (size_t)own * sizeof *mine);
  MPI_Allgather(&own, 1, MPI_INT, counts, 1, MPI_INT, comm);
  starts[0] = 0;
  for (int r = 1; r < ranks; r++)
    starts[r] = starts[r - 1] + counts[r - 1];
  MPI_Allgatherv(mine, own, MPI_DOUBLE, values, counts, starts, MPI_DOUBLE, comm);
  int64_t all = starts[ranks - 1] + counts[ranks - 1];
  count_shared(comm, all);
  free(mine);
  free(counts);
  return all;
}

bool zg_any(MPI_Comm comm, bool condition) {
  ZG_WAIT;
  int any = condition;
  MPI_Allreduce(MPI_IN_PLACE, &any, 1, MPI_INT, MPI_LOR, comm);
  return any;
}

zg_rank_stat zg_rank_stat_of(MPI_Comm comm, double value) {
  ZG_WAIT;
  int rank, size;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &size);
  struct {
    double value;
    int rank;
  } mine = {value, rank}, most;
  MPI_Allreduce(&mine, &most, 1, MPI_DOUBLE_INT, MPI_MAXLOC, comm);
  double sum = value;
  MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_DOUBLE, MPI_SUM, comm);
  return (zg_rank_stat){
      .mean = sum / size, .most = most.value, .sum = sum, .most_rank = most.rank};
}

int zg_local_ranks(MPI_Comm comm) {
  ZG_WAIT;
  MPI_Comm node;
  int size;
  MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
  MPI_Comm_size(node, &size);
  MPI_Comm_free(&node);
  return size;
}
