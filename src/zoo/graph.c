#include "zoo/graph.h"

#include "base/memory.h"
#include "grid/comm.h"

#include <stdlib.h>
#include <string.h>

/* All graphs as arrays, to be handed from rank to rank. */
typedef struct packed {
  int64_t *sizes; /* [models, 3]: nodes, edges, state */
  int32_t *label; /* [all nodes] */
  int64_t *ends;  /* [all edges, 2] */
} packed;

/* The arrays of a model, -1 where there is none. */
static void find_arrays(const zg_zoo *zoo, int64_t model, int64_t *op, int64_t *edge) {
  int64_t count;
  *op = zg_zoo_find(zoo, ZG_GRAPH_OP, model, &count);
  if (!count) *op = -1;
  *edge = zg_zoo_find(zoo, ZG_GRAPH_EDGE, model, &count);
  if (!count) *edge = -1;
}

static void create(const zg_zoo *zoo, packed *p) {
  int64_t nodes = 0, edges = 0;
  p->sizes = ZG_NEW0(int64_t, 3 * zoo->model_count);
  for (int64_t m = 0; m < zoo->model_count; m++) {
    int64_t op, edge, *size = p->sizes + 3 * m;
    find_arrays(zoo, m, &op, &edge);
    size[2] = op < 0 || edge < 0 ? ZG_GRAPH_ABSENT : ZG_GRAPH_READ;
    if (size[2] != ZG_GRAPH_READ) continue;
    nodes += size[0] = zoo->arrays[op].n;
    edges += size[1] = zoo->arrays[edge].n;
  }
  p->label = ZG_NEW0(int32_t, nodes);
  p->ends = ZG_NEW0(int64_t, 2 * edges);
}

static void destroy(packed *p) {
  free(p->sizes);
  free(p->label);
  free(p->ends);
}

/* ---- words to numbers ---- */

typedef struct word {
  const char *text;
  int64_t node; /* among all */
} word;

static int compare_words(const void *a, const void *b) {
  return strcmp(((const word *)a)->text, ((const word *)b)->text);
}

/* Number the words in alphabetical order.
 * \param [in] words  of all nodes. */
static void number_words(const zg_list *words, int32_t *label) {
  word *sorted = ZG_NEW(word, words->count);
  int32_t number = 0;
  for (int64_t k = 0; k < words->count; k++)
    sorted[k] = (word){words->items[k], k};
  if (words->count) qsort(sorted, (size_t)words->count, sizeof *sorted, compare_words);
  for (int64_t k = 0; k < words->count; k++) {
    number += k > 0 && compare_words(&sorted[k - 1], &sorted[k]) != 0;
    label[sorted[k].node] = number;
  }
  free(sorted);
}

/* ---- reading ---- */

static zg_status read_model(zg_reader *reader, const zg_zoo *zoo, int64_t model,
                            int64_t *size, int64_t *ends, zg_list *words) {
  int64_t op, edge;
  find_arrays(zoo, model, &op, &edge);
  ZG_TRY(zg_reader_texts(reader, op, words));
  if (size[1]) ZG_TRY(zg_reader_integers(reader, edge, 0, size[1], ends));
  for (int64_t k = 0; k < 2 * size[1]; k++)
    if (ends[k] < 0 || ends[k] >= size[0]) size[2] = ZG_GRAPH_ASTRAY;
  return ZG_OK;
}

static zg_status read_all(zg_reader *reader, const zg_zoo *zoo, packed *p) {
  zg_list words = {0};
  int64_t edges = 0;
  zg_status status = ZG_OK;
  for (int64_t m = 0; status == ZG_OK && m < zoo->model_count; m++) {
    int64_t *size = p->sizes + 3 * m;
    if (size[2] != ZG_GRAPH_READ) continue;
    status = read_model(reader, zoo, m, size, p->ends + 2 * edges, &words);
    edges += size[1];
  }
  if (status == ZG_OK) number_words(&words, p->label);
  zg_list_clear(&words);
  return status;
}

static void unpack(const packed *p, zg_graphs *graphs) {
  int64_t nodes = 0, edges = 0;
  for (int64_t m = 0; m < graphs->count; m++) {
    const int64_t *size = p->sizes + 3 * m;
    graphs->state[m] = (zg_graph_state)size[2];
    bool whole = graphs->state[m] == ZG_GRAPH_READ;
    zg_graph_create(whole ? size[0] : 0, p->label + nodes, whole ? size[1] : 0,
                    p->ends + 2 * edges, &graphs->graph[m]);
    nodes += size[0];
    edges += size[1];
  }
}

zg_status zg_graphs_read(MPI_Comm comm, zg_reader *reader, const zg_zoo *zoo,
                         zg_graphs *graphs) {
  int rank;
  packed p;
  MPI_Comm_rank(comm, &rank);
  *graphs = (zg_graphs){.count = zoo->model_count,
                        .graph = ZG_NEW0(zg_graph, zoo->model_count),
                        .state = ZG_NEW0(zg_graph_state, zoo->model_count)};
  create(zoo, &p);
  zg_status status = rank == 0 ? read_all(reader, zoo, &p) : ZG_OK;
  status = zg_agree(comm, status);
  if (status == ZG_OK) {
    int64_t nodes = 0, edges = 0;
    for (int64_t m = 0; m < zoo->model_count; m++) {
      nodes += p.sizes[3 * m];
      edges += p.sizes[3 * m + 1];
    }
    zg_broadcast(comm, p.sizes, 3 * zoo->model_count * (int64_t)sizeof *p.sizes);
    zg_broadcast(comm, p.label, nodes * (int64_t)sizeof *p.label);
    zg_broadcast(comm, p.ends, 2 * edges * (int64_t)sizeof *p.ends);
    unpack(&p, graphs);
  }
  destroy(&p);
  return status;
}

void zg_graphs_destroy(zg_graphs *graphs) {
  for (int64_t m = 0; m < graphs->count; m++)
    zg_graph_destroy(&graphs->graph[m]);
  free(graphs->graph);
  free(graphs->state);
  *graphs = (zg_graphs){0};
}

int64_t zg_graphs_memory(const zg_zoo *zoo) {
  int64_t bytes = 0;
  for (int64_t k = zoo->first[ZG_GRAPH_OP]; k < zoo->first[ZG_GRAPH_OP + 1]; k++)
    bytes += zoo->arrays[k].n * (64 + 32);
  for (int64_t k = zoo->first[ZG_GRAPH_EDGE]; k < zoo->first[ZG_GRAPH_EDGE + 1]; k++)
    bytes += zoo->arrays[k].n * (16 + 16 + 8);
  return bytes;
}
