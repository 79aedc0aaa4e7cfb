/** \file
 * The module graphs of all models. */
#ifndef ZG_ZOO_GRAPH_H
#define ZG_ZOO_GRAPH_H

#include "graph/graph.h"
#include "zoo/reader.h"

#include <mpi.h>

/** What there is of a model's graph. */
typedef enum zg_graph_state {
  ZG_GRAPH_READ,
  ZG_GRAPH_ABSENT, /**< nodes or edges are missing */
  ZG_GRAPH_ASTRAY  /**< an edge leads to a node that there is not */
} zg_graph_state;

typedef struct zg_graphs {
  int64_t count;         /**< models */
  zg_graph *graph;       /**< [count] labels number the words of `op` of the whole zoo;
                              without nodes where not read; owned */
  zg_graph_state *state; /**< [count] owned */
} zg_graphs;

/** Read the graphs of all models; files are read by rank 0 alone. Destroy with
 * zg_graphs_destroy in any case.
 * \return an error of reading. Collective; the same status, and the same graphs, on all
 * ranks. */
zg_status zg_graphs_read(MPI_Comm comm, zg_reader *reader, const zg_zoo *zoo,
                         zg_graphs *graphs);
void zg_graphs_destroy(zg_graphs *graphs);
/** Bytes that they take at most, from headers. Not collective. */
int64_t zg_graphs_memory(const zg_zoo *zoo);

#endif
