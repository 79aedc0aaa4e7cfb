#include "graph/mapping.h"

#include "base/memory.h"
#include "linalg/assignment.h"

#include <stdlib.h>
#include <string.h>

/* Nodes that are assigned at most; more are taken in their order. */
enum { MOST_ASSIGNED = 4096 };

int64_t zg_mapping_cost(const zg_two_graphs *g, const int64_t *image) {
  const zg_graph *a = g->a, *b = g->b;
  int64_t cost = b->nodes - a->nodes, common = 0;
  for (int64_t u = 0; u < a->nodes; u++) {
    cost += a->label[u] != b->label[image[u]];
    for (int64_t e = a->out.first[u]; e < a->out.first[u + 1]; e++)
      common += zg_graph_has_edge(b, image[u], image[a->out.node[e]]);
  }
  return cost + a->edges + b->edges - 2 * common;
}

/* ---- nodes apart from all others ---- */

/* What the cost of a node depends on. */
typedef struct node_kind {
  int64_t label, loop, in, out; /* degrees without loops */
  int64_t node;
} node_kind;

static node_kind kind_of(const zg_graph *graph, int64_t u) {
  int64_t loop = zg_graph_has_edge(graph, u, u);
  return (node_kind){.label = graph->label[u],
                     .loop = loop,
                     .in = zg_graph_degree(&graph->in, u) - loop,
                     .out = zg_graph_degree(&graph->out, u) - loop,
                     .node = u};
}

/* Half edits of mapping a node of kind x to one of kind y; NULL: of inserting y. */
static double pair_cost(const node_kind *x, const node_kind *y) {
  if (!x) return (double)(2 + 2 * y->loop + y->in + y->out);
  return (double)(2 * (x->label != y->label) + 2 * llabs(x->loop - y->loop) +
                  llabs(x->in - y->in) + llabs(x->out - y->out));
}

/* The cheapest images of kinds x among kinds y, at least as many.
 * \param [out] column  [y_count] of x first.
 * \return their cost, with that of what is left of y inserted. */
static double assign(int64_t x_count, const node_kind *x, int64_t y_count,
                     const node_kind *y, int64_t *column) {
  double *cost = ZG_NEW(double, y_count *y_count), sum = 0;
  void *room = zg_alloc(zg_assign_room(y_count), 1);
  for (int64_t r = 0; r < y_count; r++)
    for (int64_t c = 0; c < y_count; c++)
      cost[r * y_count + c] = pair_cost(r < x_count ? &x[r] : NULL, &y[c]);
  if (y_count) zg_assign(y_count, cost, room, column);
  for (int64_t r = 0; r < y_count; r++)
    sum += cost[r * y_count + column[r]];
  free(room);
  free(cost);
  return sum;
}

/* ---- the bound ---- */

static int compare_kinds(const void *a, const void *b) {
  const node_kind *x = a, *y = b;
  const int64_t differences[] = {x->label - y->label, x->loop - y->loop, x->in - y->in,
                                 x->out - y->out};
  for (int k = 0; k < 4; k++)
    if (differences[k]) return differences[k] < 0 ? -1 : 1;
  return 0;
}

static node_kind *sorted_kinds(const zg_graph *graph) {
  node_kind *kinds = ZG_NEW(node_kind, graph->nodes);
  for (int64_t u = 0; u < graph->nodes; u++)
    kinds[u] = kind_of(graph, u);
  if (graph->nodes) qsort(kinds, (size_t)graph->nodes, sizeof *kinds, compare_kinds);
  return kinds;
}

/* Take out of both what they have in common, which costs nothing: as costs obey the
 * triangle inequality, some best assignment does so. */
static void cancel(int64_t *x_count, node_kind *x, int64_t *y_count, node_kind *y) {
  int64_t i = 0, k = 0, x_left = 0, y_left = 0;
  while (i < *x_count || k < *y_count) {
    int order = i == *x_count ? 1 : k == *y_count ? -1 : compare_kinds(&x[i], &y[k]);
    if (order == 0)
      i++, k++;
    else if (order < 0)
      x[x_left++] = x[i++];
    else
      y[y_left++] = y[k++];
  }
  *x_count = x_left;
  *y_count = y_left;
}

/* A weaker bound: labels that are not in common, and the numbers of edges. */
static int64_t counting_bound(const zg_two_graphs *g) {
  int64_t common = 0, i = 0, k = 0;
  node_kind *x = sorted_kinds(g->a), *y = sorted_kinds(g->b);
  while (i < g->a->nodes && k < g->b->nodes) {
    int64_t order = x[i].label - y[k].label;
    common += order == 0;
    i += order <= 0;
    k += order >= 0;
  }
  free(x);
  free(y);
  return g->b->nodes - common + llabs(g->a->edges - g->b->edges);
}

int64_t zg_mapping_bound(const zg_two_graphs *g) {
  node_kind *x = sorted_kinds(g->a), *y = sorted_kinds(g->b);
  int64_t x_count = g->a->nodes, y_count = g->b->nodes, bound;
  cancel(&x_count, x, &y_count, y);
  if (y_count > MOST_ASSIGNED) {
    bound = counting_bound(g);
  } else {
    int64_t *column = ZG_NEW(int64_t, y_count);
    bound = ((int64_t)assign(x_count, x, y_count, y, column) + 1) / 2;
    free(column);
  }
  free(x);
  free(y);
  return bound;
}

/* ---- a mapping ---- */

typedef struct labelled {
  int32_t label;
  int64_t node;
} labelled;

static int compare_labelled(const void *a, const void *b) {
  const labelled *x = a, *y = b;
  if (x->label != y->label) return x->label < y->label ? -1 : 1;
  return (x->node > y->node) - (x->node < y->node);
}

/* Nodes without a counterpart, by the labels of a round. The caller frees. */
static labelled *list_left(const int32_t *label, int64_t nodes, const int64_t *other,
                           int64_t *count) {
  labelled *list = ZG_NEW(labelled, nodes);
  *count = 0;
  for (int64_t u = 0; u < nodes; u++)
    if (other[u] < 0) list[(*count)++] = (labelled){label[u], u};
  if (*count) qsort(list, (size_t)*count, sizeof *list, compare_labelled);
  return list;
}

static void match_round(const zg_two_graphs *g, int64_t round, int64_t *image,
                        int64_t *origin) {
  const zg_labels *l = g->labels;
  int64_t x_count, y_count, i = 0, k = 0;
  labelled *x =
      list_left(l->label[round] + l->first[g->index_a], g->a->nodes, image, &x_count);
  labelled *y =
      list_left(l->label[round] + l->first[g->index_b], g->b->nodes, origin, &y_count);
  while (i < x_count && k < y_count) {
    if (x[i].label == y[k].label) {
      image[x[i].node] = y[k].node;
      origin[y[k++].node] = x[i++].node;
    } else if (x[i].label < y[k].label) {
      i++;
    } else {
      k++;
    }
  }
  free(x);
  free(y);
}

static node_kind *kinds_left(const zg_graph *graph, const int64_t *other,
                             int64_t *count) {
  node_kind *kinds = ZG_NEW(node_kind, graph->nodes);
  *count = 0;
  for (int64_t u = 0; u < graph->nodes; u++)
    if (other[u] < 0) kinds[(*count)++] = kind_of(graph, u);
  return kinds;
}

static void match_rest(const zg_two_graphs *g, int64_t *image, const int64_t *origin) {
  int64_t x_count, y_count;
  node_kind *x = kinds_left(g->a, image, &x_count);
  node_kind *y = kinds_left(g->b, origin, &y_count);
  int64_t *column = ZG_NEW(int64_t, y_count);
  for (int64_t k = 0; k < y_count; k++)
    column[k] = k;
  if (y_count <= MOST_ASSIGNED) assign(x_count, x, y_count, y, column);
  for (int64_t k = 0; k < x_count; k++)
    image[x[k].node] = y[column[k]].node;
  free(column);
  free(x);
  free(y);
}

void zg_mapping_find(const zg_two_graphs *g, int64_t *image) {
  int64_t *origin = ZG_NEW(int64_t, g->b->nodes);
  memset(image, -1, (size_t)g->a->nodes * sizeof *image);
  memset(origin, -1, (size_t)g->b->nodes * sizeof *origin);
  for (int64_t r = g->labels->rounds - 1; r >= 0; r--)
    match_round(g, r, image, origin);
  match_rest(g, image, origin);
  free(origin);
}

int64_t zg_mapping_memory(int64_t nodes) {
  int64_t assigned = zg_min(nodes, MOST_ASSIGNED);
  return 8 * assigned * assigned + zg_assign_room(assigned) + 256 * nodes;
}
