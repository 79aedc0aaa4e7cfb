/** \file
 * How matrices of large factorisations are dealt out: in square blocks, cyclically
 * along either side of a process grid. Private to this folder. Not collective. */
#ifndef ZG_GRID_CYCLIC_H
#define ZG_GRID_CYCLIC_H

#include "base/memory.h"
#include "grid/scalapack.h"

enum { ZG_CYCLIC_BLOCK = 64 /**< edge, which ScaLAPACK reduces at a time */ };

/** Global position of a local index of process `me` of so many. */
static inline int64_t zg_cyclic_global(int64_t local, int me, int processes) {
  const int64_t block = ZG_CYCLIC_BLOCK;
  return (local / block * processes + me) * block + local % block;
}

/** First local index at or behind a global position; of the whole side, how many there
 * are. */
static inline int zg_cyclic_first(int64_t global, int me, int processes) {
  int n = zg_int(global), block = ZG_CYCLIC_BLOCK, source = 0;
  return numroc_(&n, &block, &me, &source, &processes);
}

#endif
