#include "graph/graph.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct edge {
  int64_t from, to;
} edge;

static int compare_edges(const void *a, const void *b) {
  const edge *x = a, *y = b;
  if (x->from != y->from) return x->from < y->from ? -1 : 1;
  return (x->to > y->to) - (x->to < y->to);
}

/* Sort, and keep one of each. \return how many are left. */
static int64_t tidy(int64_t count, edge *edges) {
  int64_t kept = 0;
  if (count) qsort(edges, (size_t)count, sizeof *edges, compare_edges);
  for (int64_t k = 0; k < count; k++)
    if (!kept || compare_edges(&edges[kept - 1], &edges[k])) edges[kept++] = edges[k];
  return kept;
}

/* From edges sorted by where they begin. */
static zg_neighbours list_neighbours(int64_t nodes, int64_t count, const edge *edges) {
  zg_neighbours side = {.first = ZG_NEW0(int64_t, nodes + 1),
                        .node = ZG_NEW(int32_t, count)};
  for (int64_t k = 0; k < count; k++) {
    side.first[edges[k].from + 1]++;
    side.node[k] = (int32_t)edges[k].to;
  }
  for (int64_t u = 0; u < nodes; u++)
    side.first[u + 1] += side.first[u];
  return side;
}

void zg_graph_create(int64_t nodes, const int32_t *label, int64_t edges,
                     const int64_t *ends, zg_graph *graph) {
  edge *list = ZG_NEW(edge, edges);
  for (int64_t k = 0; k < edges; k++)
    list[k] = (edge){ends[2 * k], ends[2 * k + 1]};
  edges = tidy(edges, list);
  *graph = (zg_graph){.nodes = nodes, .edges = edges, .label = ZG_NEW(int32_t, nodes)};
  memcpy(graph->label, label, (size_t)nodes * sizeof *label);
  graph->out = list_neighbours(nodes, edges, list);
  for (int64_t k = 0; k < edges; k++)
    list[k] = (edge){list[k].to, list[k].from};
  tidy(edges, list);
  graph->in = list_neighbours(nodes, edges, list);
  free(list);
}

void zg_graph_destroy(zg_graph *graph) {
  free(graph->label);
  free(graph->out.first);
  free(graph->out.node);
  free(graph->in.first);
  free(graph->in.node);
  *graph = (zg_graph){0};
}

bool zg_graph_has_edge(const zg_graph *graph, int64_t u, int64_t v) {
  int64_t low = graph->out.first[u], high = graph->out.first[u + 1];
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (graph->out.node[middle] < v)
      low = middle + 1;
    else
      high = middle;
  }
  return low < graph->out.first[u + 1] && graph->out.node[low] == v;
}

/* A_uv for all v, into zeros. */
static void mark_row(const zg_graph *graph, int64_t u, double *row) {
  const zg_neighbours *const sides[] = {&graph->out, &graph->in};
  for (int k = 0; k < 2; k++)
    for (int64_t e = sides[k]->first[u]; e < sides[k]->first[u + 1]; e++)
      row[sides[k]->node[e]] = 1;
}

/* Row sum of A: neighbours in either direction, those in both once. */
static double undirected_degree(const zg_graph *graph, int64_t u) {
  int64_t degree = zg_graph_degree(&graph->out, u);
  for (int64_t e = graph->in.first[u]; e < graph->in.first[u + 1]; e++)
    degree += !zg_graph_has_edge(graph, u, graph->in.node[e]);
  return (double)degree;
}

void zg_graph_laplacian(const zg_graph *graph, int64_t row, int64_t rows,
                        double *values) {
  int64_t n = graph->nodes;
  double *root = ZG_NEW(double, n);
  for (int64_t u = 0; u < n; u++)
    root[u] = sqrt(undirected_degree(graph, u));
  memset(values, 0, (size_t)(rows * n) * sizeof *values);
  for (int64_t u = row; u < row + rows; u++) {
    double *L = values + (u - row) * n;
    mark_row(graph, u, L);
    for (int64_t v = 0; v < n; v++)
      if (L[v] != 0) L[v] = -1 / (root[u] * root[v]);
    if (root[u] > 0) L[u] += 1;
  }
  free(root);
}
