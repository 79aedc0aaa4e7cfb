/** \file
 * Labels of nodes refined by those around them (Weisfeiler & Leman 1968; Shervashidze
 * et al. 2011), one alphabet for many graphs: a label of round t stands for the triple
 * (label of round t - 1, sorted labels behind the edges that come in, the same of those
 * that go out). Triples are compared as they are, never by their hashes. Not
 * collective. */
#ifndef ZG_GRAPH_LABELS_H
#define ZG_GRAPH_LABELS_H

#include "graph/graph.h"

/** How often a graph has each label, over all rounds. */
typedef struct zg_label_counts {
  int64_t count;
  int32_t *label; /**< [count] ascending, owned */
  int32_t *times; /**< [count] at least 1, owned */
} zg_label_counts;

typedef struct zg_labels {
  int64_t graphs, rounds;  /**< of which round 0 is the graphs' own labels */
  int64_t alphabet;        /**< labels are 0 .. alphabet - 1; rounds share none */
  int64_t *first;          /**< [graphs + 1] where the nodes of a graph begin; owned */
  int32_t **label;         /**< [rounds][all nodes], owned */
  zg_label_counts *counts; /**< [graphs], owned */
  int64_t *squares;        /**< [graphs] of a graph's counts with themselves; owned */
} zg_labels;

/** Refine the labels of some graphs `height` times. Labels are numbered by where they
 * first occur. Destroy with zg_labels_destroy.
 * Cost: about (height + 1) (nodes + edges) log(degree) of all graphs together. */
void zg_labels_create(int64_t graphs, const zg_graph *graph, int64_t height,
                      zg_labels *labels);
void zg_labels_destroy(zg_labels *labels);
/** The inner product of two graphs' counts. */
int64_t zg_labels_product(const zg_labels *labels, int64_t a, int64_t b);

#endif
