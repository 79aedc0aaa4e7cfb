/** \file
 * Directed graphs with labelled nodes: simple ones, in which an edge is there or not.
 * Not collective. */
#ifndef ZG_GRAPH_GRAPH_H
#define ZG_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

/** Neighbours of all nodes along one direction: those of u are
 * node[first[u] .. first[u + 1]), ascending. */
typedef struct zg_neighbours {
  int64_t *first; /**< [nodes + 1], owned */
  int32_t *node;  /**< [edges], owned */
} zg_neighbours;

typedef struct zg_graph {
  int64_t nodes, edges;
  int32_t *label; /**< [nodes], owned; equal numbers are equal labels, also those of
                       another graph */
  zg_neighbours out, in;
} zg_graph;

/** \param [in] label  [nodes], copied.
 * \param [in] ends  [edges, 2] from, to, between 0 and nodes - 1; edges that are there
 * twice count once. At most 2^31 - 1 of either. Destroy with zg_graph_destroy. */
void zg_graph_create(int64_t nodes, const int32_t *label, int64_t edges,
                     const int64_t *ends, zg_graph *graph);
void zg_graph_destroy(zg_graph *graph);

static inline int64_t zg_graph_degree(const zg_neighbours *side, int64_t node) {
  return side->first[node + 1] - side->first[node];
}
/** Whether there is an edge from u to v. */
bool zg_graph_has_edge(const zg_graph *graph, int64_t u, int64_t v);

/** Rows [row, row + rows) of the normalised Laplacian of the undirected graph,
 * 1 - A_uu / d_u on the diagonal and -A_uv / sqrt(d_u d_v) beside it, A_uv 1 where an
 * edge leads from u to v or back, d the row sums of A; zero where d is (Chung 1997,
 * section 1.2).
 * \param [out] values  [rows, nodes], row-major. */
void zg_graph_laplacian(const zg_graph *graph, int64_t row, int64_t rows,
                        double *values);

#endif
