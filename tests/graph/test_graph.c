/** \file
 * Graphs made by hand: neighbours, Laplacians, refined labels, edits; exact distances
 * of random small graphs against all mappings there are. */
#include "base/memory.h"
#include "graph/edit.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static void edges_that_are_there_twice_count_once(void) {
  const int32_t label[4] = {7, 7, 8, 9};
  const int64_t ends[] = {2, 1, 0, 1, 2, 1, 1, 1, 0, 3, 0, 1};
  zg_graph g;
  zg_graph_create(4, label, 6, ends, &g);
  CU_ASSERT_EQUAL(g.edges, 4);
  CU_ASSERT_EQUAL(zg_graph_degree(&g.out, 0), 2);
  CU_ASSERT_EQUAL(zg_graph_degree(&g.in, 1), 3);
  CU_ASSERT_EQUAL(g.in.node[g.in.first[1]], 0);
  CU_ASSERT(zg_graph_has_edge(&g, 2, 1));
  CU_ASSERT_FALSE(zg_graph_has_edge(&g, 1, 2));
  CU_ASSERT(zg_graph_has_edge(&g, 1, 1));
  CU_ASSERT_FALSE(zg_graph_has_edge(&g, 3, 0));
  zg_graph_destroy(&g);
}

/* A path of three and a node apart. */
static void laplacians_are_normalised(void) {
  const int32_t label[4] = {0};
  const int64_t ends[] = {0, 1, 1, 0, 2, 1};
  const double beside = -1 / sqrt(2);
  const double expected[16] = {1, beside, 0, 0, beside, 1, beside, 0,
                               0, beside, 1, 0, 0,      0, 0,      0};
  double values[16];
  zg_graph g;
  zg_graph_create(4, label, 3, ends, &g);
  zg_graph_laplacian(&g, 0, 1, values);
  zg_graph_laplacian(&g, 1, 3, values + 4);
  for (int k = 0; k < 16; k++)
    zg_test_close(values[k], expected[k], 4 * DBL_EPSILON, "Laplacian");
  zg_graph_destroy(&g);
}

/* A directed cycle through nodes [first, first + length). */
static void add_cycle(int64_t first, int64_t length, int64_t *ends) {
  for (int64_t k = 0; k < length; k++) {
    ends[2 * (first + k)] = first + k;
    ends[2 * (first + k) + 1] = first + (k + 1) % length;
  }
}

static void refinement_is_blind_to_the_lengths_of_cycles(void) {
  const int32_t label[6] = {3, 3, 3, 3, 3, 3};
  int64_t ends[12];
  zg_graph g[3];
  zg_labels labels;
  add_cycle(0, 6, ends);
  zg_graph_create(6, label, 6, ends, &g[0]);
  add_cycle(0, 3, ends);
  add_cycle(3, 3, ends);
  zg_graph_create(6, label, 6, ends, &g[1]);
  zg_graph_create(6, label, 5, ends, &g[2]); /* one edge less */
  zg_labels_create(3, g, 3, &labels);
  CU_ASSERT_EQUAL(labels.squares[0], 4 * 36);
  CU_ASSERT_EQUAL(zg_labels_product(&labels, 0, 1), 4 * 36);
  CU_ASSERT(zg_labels_product(&labels, 0, 2) < 4 * 36);
  CU_ASSERT_EQUAL(zg_edit_bounds(g, &labels, 0, 1).upper, 4);
  CU_ASSERT_EQUAL(zg_edit_bounds(g, &labels, 2, 1).upper, 1);
  CU_ASSERT_EQUAL(zg_edit_bounds(g, &labels, 0, 0).upper, 0);
  zg_labels_destroy(&labels);
  for (int k = 0; k < 3; k++)
    zg_graph_destroy(&g[k]);
}

/* ---- all mappings ---- */

enum { GRAPHS = 20, MOST = 6 };

static int64_t draw(unsigned long seed, unsigned long k, int64_t below) {
  return (int64_t)((zg_test_random(seed, k) + 1) / 2 * (double)below) % below;
}

static void make_random(int number, zg_graph *g) {
  unsigned long seed = 900 + (unsigned long)number;
  int64_t nodes = 3 + number % (MOST - 2), edges = nodes + draw(seed, 0, nodes);
  int64_t ends[64];
  int32_t label[MOST];
  for (int64_t u = 0; u < nodes; u++)
    label[u] = (int32_t)draw(seed, 100 + (unsigned long)u, 1 + number % 3 / 2);
  for (int64_t k = 0; k < 2 * edges; k++)
    ends[k] = draw(seed, 200 + (unsigned long)k, nodes);
  zg_graph_create(nodes, label, edges, ends, g);
}

/* Edits of a mapping, images of -1 being deleted, counted one by one. */
static int64_t count_edits(const zg_graph *a, const zg_graph *b, const int *image) {
  int64_t edits = b->nodes, common = 0;
  for (int u = 0; u < a->nodes; u++) {
    if (image[u] < 0)
      edits++;
    else
      edits += (a->label[u] != b->label[image[u]]) - 1;
    for (int v = 0; v < a->nodes; v++)
      common += image[u] >= 0 && image[v] >= 0 && zg_graph_has_edge(a, u, v) &&
                zg_graph_has_edge(b, image[u], image[v]);
  }
  return edits + a->edges - common + b->edges - common;
}

static int64_t least_edits(const zg_graph *a, const zg_graph *b, int u, int *image,
                           unsigned used) {
  if (u >= a->nodes || u >= MOST) return count_edits(a, b, image);
  image[u] = -1;
  int64_t least = least_edits(a, b, u + 1, image, used);
  for (int v = 0; v < b->nodes; v++) {
    if (used >> v & 1) continue;
    image[u] = v;
    least = zg_min(least, least_edits(a, b, u + 1, image, used | 1u << v));
  }
  return least;
}

static void small_distances_are_the_least_of_all_mappings(void) {
  zg_graph g[GRAPHS];
  zg_labels labels;
  int image[MOST + 1];
  for (int k = 0; k < GRAPHS; k++)
    make_random(k, &g[k]);
  zg_labels_create(GRAPHS, g, 2, &labels);
  for (int a = 0; a < GRAPHS; a++)
    for (int b = 0; b < GRAPHS; b++) {
      zg_edit edit = zg_edit_bounds(g, &labels, a, b);
      CU_ASSERT_EQUAL(edit.lower, edit.upper);
      CU_ASSERT_EQUAL(edit.upper, least_edits(&g[a], &g[b], 0, image, 0));
    }
  zg_labels_destroy(&labels);
  for (int k = 0; k < GRAPHS; k++)
    zg_graph_destroy(&g[k]);
}

const zg_test zg_tests[] = {
    {"edges_that_are_there_twice_count_once", edges_that_are_there_twice_count_once},
    {"laplacians_are_normalised", laplacians_are_normalised},
    {"refinement_is_blind_to_the_lengths_of_cycles",
     refinement_is_blind_to_the_lengths_of_cycles},
    {"small_distances_are_the_least_of_all_mappings",
     small_distances_are_the_least_of_all_mappings},
    {NULL, NULL}};
