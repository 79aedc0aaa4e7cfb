/** \file
 * Memory that the ranks of a node share. */
#ifndef ZG_GRID_SHARED_H
#define ZG_GRID_SHARED_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct zg_shared {
  MPI_Comm node;   /**< the ranks of this node, owned */
  int rank, ranks; /**< in it */
  void *base;      /**< the same bytes on all of them, not initialised */
  int64_t bytes;
} zg_shared;

/** Share `bytes` on each node among the ranks of `comm` that run there; a single rank
 * has them for itself. What any rank writes the others see after zg_shared_meet.
 * \return false, on all ranks of `comm`, where a node has no such memory; then there is
 * nothing to destroy. Collective. */
bool zg_shared_create(MPI_Comm comm, int64_t bytes, zg_shared *shared);
/** Collective over the node. */
void zg_shared_destroy(zg_shared *shared);
/** Wait for the ranks of the node; what they have written is then visible. */
void zg_shared_meet(const zg_shared *shared);

#endif
