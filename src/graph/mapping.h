/** \file
 * Mappings of the nodes of a smaller graph into a larger one; private to this folder.
 * Costs of single nodes are in half edits. Not collective. */
#ifndef ZG_GRAPH_MAPPING_H
#define ZG_GRAPH_MAPPING_H

#include "graph/labels.h"

/** Two graphs, a with at most as many nodes as b; positions in `labels`. */
typedef struct zg_two_graphs {
  const zg_graph *a, *b;
  const zg_labels *labels;
  int64_t index_a, index_b;
} zg_two_graphs;

/** Edits of a mapping.
 * \param [in] image  [a's nodes] nodes of b, all different. */
int64_t zg_mapping_cost(const zg_two_graphs *g, const int64_t *image);

/** A good mapping: nodes of equal refined labels in their order, those refined most
 * often first, and the rest by assignment.
 * \param [out] image  [a's nodes]. */
void zg_mapping_find(const zg_two_graphs *g, int64_t *image);

/** What no mapping costs less than: the least sum over nodes of what each costs apart
 * from all others. */
int64_t zg_mapping_bound(const zg_two_graphs *g);

/** Bytes that these take for graphs of at most so many nodes. */
int64_t zg_mapping_memory(int64_t nodes);

#endif
