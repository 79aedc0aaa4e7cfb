#include "graph/edit.h"

#include "base/memory.h"
#include "base/status.h"
#include "graph/mapping.h"
#include "linalg/assignment.h"

#include <stdlib.h>

enum { MOST = ZG_EDIT_EXACT, ROOM_NUMBERS = 8 * MOST };

/* Nodes of a small graph; sets of nodes are bits. */
typedef struct small {
  int nodes;
  int32_t label[MOST];
  unsigned out[MOST], in[MOST]; /* without loops */
  unsigned loops;
} small;

/* A depth-first search over mappings of a into b. At any depth some nodes of a, `done`,
 * have images, `used`. */
typedef struct search {
  const zg_two_graphs *graphs;
  small a, b;
  int order[MOST]; /* in which the nodes of a are mapped */
  int64_t best;
} search;

typedef struct branch {
  unsigned done, used;
  unsigned out[MOST], in[MOST]; /* images of the neighbours of each node of a */
  int64_t image[MOST];
  int64_t cost; /* edits among what is mapped */
} branch;

static int bits(unsigned set) {
  return __builtin_popcount(set);
}

static small small_of(const zg_graph *graph) {
  small s = {.nodes = (int)graph->nodes};
  for (int u = 0; u < s.nodes; u++) {
    s.label[u] = graph->label[u];
    for (int64_t e = graph->out.first[u]; e < graph->out.first[u + 1]; e++) {
      int v = graph->out.node[e];
      if (v == u) {
        s.loops |= 1u << u;
      } else {
        s.out[u] |= 1u << v;
        s.in[v] |= 1u << u;
      }
    }
  }
  return s;
}

/* Nodes with most edges to those before them first, so that costs show early. */
static void choose_order(search *s) {
  unsigned taken = 0;
  for (int k = 0; k < s->a.nodes; k++) {
    int best = -1, most = -1;
    for (int u = 0; u < s->a.nodes; u++) {
      int known = bits(s->a.out[u] & taken) + bits(s->a.in[u] & taken);
      int weight = 64 * known + bits(s->a.out[u]) + bits(s->a.in[u]);
      if (!(taken >> u & 1) && weight > most) {
        best = u;
        most = weight;
      }
    }
    s->order[k] = best;
    taken |= 1u << best;
  }
}

static bool loop_differs(const search *s, int u, int v) {
  return (s->a.loops >> u & 1) != (s->b.loops >> v & 1);
}

/* Edits that mapping u to v adds to those among what is mapped. */
static int64_t added_cost(const search *s, const branch *b, int u, int v) {
  return (s->a.label[u] != s->b.label[v]) + loop_differs(s, u, v) +
         bits(b->out[u] ^ (s->b.out[v] & b->used)) +
         bits(b->in[u] ^ (s->b.in[v] & b->used));
}

/* Half edits of u and v at most that concern what is not mapped yet: u < 0, v is
 * inserted. */
static double pair_cost(const search *s, const branch *b, int u, int v) {
  int out = bits(s->b.out[v] & ~b->used), in = bits(s->b.in[v] & ~b->used);
  int loop = (int)(s->b.loops >> v & 1);
  int known = bits(s->b.out[v] & b->used) + bits(s->b.in[v] & b->used);
  if (u < 0) return 2 + 2 * (loop + known) + out + in;
  return 2 * (double)added_cost(s, b, u, v) + abs(bits(s->a.out[u] & ~b->done) - out) +
         abs(bits(s->a.in[u] & ~b->done) - in);
}

/* Least cost of everything that is not mapped, were its nodes independent; a mapping
 * that comes with it may be the best so far. */
static int64_t bound(search *s, const branch *b, int depth) {
  double cost[MOST * MOST], room[ROOM_NUMBERS], sum = 0;
  int rows[MOST], columns[MOST], left = 0, size = 0;
  int64_t column_of[MOST], image[MOST];
  for (int v = 0; v < s->b.nodes; v++)
    if (!(b->used >> v & 1)) columns[size++] = v;
  for (int k = depth; k < s->a.nodes; k++)
    rows[left++] = s->order[k];
  for (int r = 0; r < size; r++)
    for (int c = 0; c < size; c++)
      cost[r * size + c] = pair_cost(s, b, r < left ? rows[r] : -1, columns[c]);
  if (size) zg_assign(size, cost, room, column_of);
  for (int r = 0; r < size; r++)
    sum += cost[r * size + (int)column_of[r]];
  for (int u = 0; u < s->a.nodes; u++)
    image[u] = b->image[u];
  for (int r = 0; r < left; r++)
    image[rows[r]] = columns[column_of[r]];
  s->best = zg_min(s->best, zg_mapping_cost(s->graphs, image));
  return b->cost + ((int64_t)sum + 1) / 2;
}

static branch extend(const search *s, const branch *b, int u, int v) {
  branch next = *b;
  next.cost += added_cost(s, b, u, v);
  next.done |= 1u << u;
  next.used |= 1u << v;
  next.image[u] = v;
  for (int w = 0; w < s->a.nodes; w++) {
    if (s->a.out[w] >> u & 1) next.out[w] |= 1u << v;
    if (s->a.in[w] >> u & 1) next.in[w] |= 1u << v;
  }
  return next;
}

static void descend(search *s, const branch *b, int depth) {
  if (bound(s, b, depth) >= s->best || depth == s->a.nodes) return;
  int u = s->order[depth];
  unsigned tried = b->used;
  for (int k = depth; k < s->b.nodes; k++) { /* the cheapest images first */
    int next = -1;
    for (int v = 0; v < s->b.nodes; v++)
      if (!(tried >> v & 1) &&
          (next < 0 || pair_cost(s, b, u, v) < pair_cost(s, b, u, next)))
        next = v;
    tried |= 1u << next;
    branch child = extend(s, b, u, next);
    descend(s, &child, depth + 1);
  }
}

static int64_t exact(const zg_two_graphs *g, int64_t upper) {
  search s = {.graphs = g, .a = small_of(g->a), .b = small_of(g->b), .best = upper};
  branch root = {0};
  ZG_REQUIRE(zg_assign_room(MOST) <= (int64_t)(ROOM_NUMBERS * sizeof(double)));
  choose_order(&s);
  descend(&s, &root, 0);
  return s.best;
}

zg_edit zg_edit_bounds(const zg_graph *graphs, const zg_labels *labels, int64_t a,
                       int64_t b) {
  bool swap = graphs[a].nodes > graphs[b].nodes;
  zg_two_graphs g = {.labels = labels,
                     .index_a = swap ? b : a,
                     .index_b = swap ? a : b,
                     .a = &graphs[swap ? b : a],
                     .b = &graphs[swap ? a : b]};
  int64_t *image = ZG_NEW(int64_t, g.a->nodes);
  zg_mapping_find(&g, image);
  zg_edit edit = {.upper = zg_mapping_cost(&g, image)};
  free(image);
  if (g.b->nodes <= ZG_EDIT_EXACT)
    edit.lower = edit.upper = exact(&g, edit.upper);
  else
    edit.lower = zg_mapping_bound(&g);
  return edit;
}

int64_t zg_edit_memory(int64_t nodes) {
  return zg_mapping_memory(nodes);
}
