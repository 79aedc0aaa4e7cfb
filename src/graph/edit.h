/** \file
 * How many edits turn one graph into another: insertion, deletion and relabelling of
 * nodes, insertion and deletion of edges, each costs 1.
 *
 * As relabelling never costs more than deletion and insertion, some best edit path maps
 * all nodes of the smaller graph. The cost of a mapping is then
 *
 *     nodes with another label + nodes without counterpart
 *         + |E1| + |E2| - 2 common edges.
 *
 * A lower bound assigns nodes to nodes (Riesen & Bunke 2009), each with half of the
 * difference of its degrees, as every edge has two ends (Blumenthal & Gamper 2018). Not
 * collective. */
#ifndef ZG_GRAPH_EDIT_H
#define ZG_GRAPH_EDIT_H

#include "graph/labels.h"

/** Up to how many nodes the distance is exact. */
enum { ZG_EDIT_EXACT = 16 };

typedef struct zg_edit {
  int64_t lower, upper; /**< equal when both graphs have at most ZG_EDIT_EXACT nodes */
} zg_edit;

/** Bounds of the edit distance of graphs a and b. Exact ones by depth-first branch and
 * bound: fast for graphs that have labels or differ in degrees, but exponential for
 * regular ones without labels. Beyond, the upper bound is the cost of a mapping of
 * nodes that have equal refined labels, the rest by assignment.
 * \param [in] labels  of all graphs, refined at least once; a and b are positions. */
zg_edit zg_edit_bounds(const zg_graph *graphs, const zg_labels *labels, int64_t a,
                       int64_t b);
/** Bytes that this takes for graphs of at most so many nodes. */
int64_t zg_edit_memory(int64_t nodes);

#endif
