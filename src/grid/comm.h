/** \file
 * Communicators: starting MPI, agreement on errors, sums, statistics over ranks. */
#ifndef ZG_GRID_COMM_H
#define ZG_GRID_COMM_H

#include "base/status.h"

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

/** Start MPI and make zg_abort end all ranks. Collective over all processes. */
void zg_mpi_start(void);
/** Collective over all processes. */
void zg_mpi_end(void);

/** Make one status of those of all ranks: the worst (largest) one, with the message of
 * the lowest rank that has it, on every rank. The one way to leave a collective
 * computation: local work collects a status, all ranks agree, all return together.
 * Collective. */
zg_status zg_agree(MPI_Comm comm, zg_status status);

/** Broadcast from rank 0, of any size. Collective. */
void zg_broadcast(MPI_Comm comm, void *data, int64_t bytes);
/** Broadcast a string from rank 0; other ranks receive a copy that the caller frees.
 * Collective. */
void zg_broadcast_text(MPI_Comm comm, char **text);
/** Sum in place over all ranks, of any length. Collective. */
void zg_sum_doubles(MPI_Comm comm, double *values, int64_t count);
void zg_sum_counts(MPI_Comm comm, int64_t *values, int64_t count);
/** Maximum in place over all ranks. Collective. */
void zg_max_doubles(MPI_Comm comm, double *values, int64_t count);
void zg_max_ints(MPI_Comm comm, int32_t *values, int64_t count);
/** Lay the numbers of all ranks, in the order of ranks, end to end on every rank.
 * Collective.
 * \param [in,out] values  the first `count` are this rank's; has room for those of all
 * ranks, which are fewer than 2^31. \return how many these are. */
int64_t zg_gather_doubles(MPI_Comm comm, double *values, int64_t count);
/** Whether any rank says so. Collective. */
bool zg_any(MPI_Comm comm, bool condition);

/** Numbers that this rank has sent so far: every call above adds what the best
 * algorithm for it would make one of its ranks send (a sum over P ranks 2 (P - 1) / P
 * of the numbers, a broadcast half of that), other callers of MPI report theirs.
 * Agreements, counters and what ScaLAPACK's products exchange are not in it. */
int64_t zg_numbers_sent(void);
void zg_count_sent(int64_t numbers);

/** A number per rank, seen from rank 0. */
typedef struct zg_rank_stat {
  double mean, most, sum;
  int most_rank; /**< the rank that has the largest */
} zg_rank_stat;
/** Collective; the same result on all ranks. */
zg_rank_stat zg_rank_stat_of(MPI_Comm comm, double value);

/** Ranks of `comm` that share this rank's node. Collective. */
int zg_local_ranks(MPI_Comm comm);

#endif
