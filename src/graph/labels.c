#include "graph/labels.h"

#include "base/hash.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Words of numbers and their positions: an open-addressing table of words that lie
 * behind one another in `store`. */
typedef struct dictionary {
  int64_t count, capacity; /* words; places, a power of two */
  int64_t *place;          /* [capacity] word, or -1 */
  int64_t *start;          /* [count + 1] in the store */
  int32_t *store;
  int64_t starts_room, store_room;
} dictionary;

static void dictionary_create(dictionary *d) {
  *d = (dictionary){.capacity = 1024};
  d->place = ZG_NEW(int64_t, d->capacity);
  memset(d->place, -1, (size_t)d->capacity * sizeof *d->place);
  d->starts_room = 1024;
  d->start = ZG_NEW0(int64_t, d->starts_room);
}

static void dictionary_destroy(dictionary *d) {
  free(d->place);
  free(d->start);
  free(d->store);
}

static bool is_word(const dictionary *d, int64_t word, const int32_t *numbers,
                    int64_t length) {
  return d->start[word + 1] - d->start[word] == length &&
         !memcmp(d->store + d->start[word], numbers, (size_t)length * sizeof *numbers);
}

/* The place of a word in the table, or the empty one where it belongs. */
static int64_t *find(const dictionary *d, const int32_t *numbers, int64_t length) {
  uint64_t mask = (uint64_t)d->capacity - 1;
  uint64_t at = zg_hash_of(numbers, (size_t)length * sizeof *numbers) & mask;
  while (d->place[at] >= 0 && !is_word(d, d->place[at], numbers, length))
    at = (at + 1) & mask;
  return &d->place[at];
}

static void enlarge(dictionary *d) {
  d->capacity *= 2;
  d->place = zg_realloc(d->place, d->capacity, sizeof *d->place);
  memset(d->place, -1, (size_t)d->capacity * sizeof *d->place);
  for (int64_t w = 0; w < d->count; w++)
    *find(d, d->store + d->start[w], d->start[w + 1] - d->start[w]) = w;
}

/* The position of a word, which is added when it is new. */
static int64_t position_of(dictionary *d, const int32_t *numbers, int64_t length) {
  int64_t *place = find(d, numbers, length), word = *place;
  if (word >= 0) return word;
  word = *place = d->count++;
  if (d->count + 1 > d->starts_room) {
    d->starts_room *= 2;
    d->start = zg_realloc(d->start, d->starts_room, sizeof *d->start);
  }
  int64_t end = d->start[word] + length;
  if (end > d->store_room) {
    d->store_room = zg_max(2 * d->store_room, end);
    d->store = zg_realloc(d->store, d->store_room, sizeof *d->store);
  }
  memcpy(d->store + d->start[word], numbers, (size_t)length * sizeof *numbers);
  d->start[d->count] = end;
  if (2 * d->count > d->capacity) enlarge(d);
  return word;
}

/* ---- rounds ---- */

static int compare_labels(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

/* The sorted labels of a node's neighbours on one side; \return how many. */
static int64_t gather(const zg_neighbours *side, int64_t node, const int32_t *label,
                      int32_t *to) {
  int64_t count = zg_graph_degree(side, node);
  for (int64_t k = 0; k < count; k++)
    to[k] = label[side->node[side->first[node] + k]];
  if (count > 1) qsort(to, (size_t)count, sizeof *to, compare_labels);
  return count;
}

/* The word for a node in the next round: its label, how many come in, who, who goes
 * out. */
static int64_t spell(const zg_graph *graph, int64_t node, const int32_t *label,
                     int32_t *word) {
  word[0] = label[node];
  int64_t in = gather(&graph->in, node, label, word + 2);
  word[1] = (int32_t)in;
  return 2 + in + gather(&graph->out, node, label, word + 2 + in);
}

static int64_t longest_word(int64_t graphs, const zg_graph *graph) {
  int64_t most = 0;
  for (int64_t g = 0; g < graphs; g++)
    for (int64_t u = 0; u < graph[g].nodes; u++)
      most = zg_max(most, zg_graph_degree(&graph[g].in, u) +
                              zg_graph_degree(&graph[g].out, u));
  return 2 + most;
}

/* Number the words of a round from l->alphabet on. */
static void refine(const zg_graph *graph, int64_t round, int32_t *word, zg_labels *l) {
  dictionary d;
  dictionary_create(&d);
  for (int64_t g = 0; g < l->graphs; g++)
    for (int64_t u = 0; u < graph[g].nodes; u++) {
      int64_t at = l->first[g] + u, length = 1;
      word[0] = graph[g].label[u];
      if (round) length = spell(&graph[g], u, l->label[round - 1] + l->first[g], word);
      l->label[round][at] = (int32_t)(l->alphabet + position_of(&d, word, length));
    }
  l->alphabet += d.count;
  dictionary_destroy(&d);
}

static void count_labels(int64_t g, zg_labels *l, int32_t *all) {
  int64_t nodes = l->first[g + 1] - l->first[g], total = nodes * l->rounds;
  zg_label_counts *c = &l->counts[g];
  for (int64_t r = 0; r < l->rounds; r++)
    memcpy(all + r * nodes, l->label[r] + l->first[g], (size_t)nodes * sizeof *all);
  if (total) qsort(all, (size_t)total, sizeof *all, compare_labels);
  for (int64_t k = 0; k < total; k++)
    c->count += k == 0 || all[k] != all[k - 1];
  c->label = ZG_NEW(int32_t, c->count);
  c->times = ZG_NEW0(int32_t, c->count);
  int64_t at = -1;
  for (int64_t k = 0; k < total; k++) {
    if (k == 0 || all[k] != all[k - 1]) c->label[++at] = all[k];
    c->times[at]++;
  }
}

void zg_labels_create(int64_t graphs, const zg_graph *graph, int64_t height,
                      zg_labels *l) {
  int64_t largest = 0;
  *l = (zg_labels){.graphs = graphs,
                   .rounds = height + 1,
                   .first = ZG_NEW0(int64_t, graphs + 1),
                   .label = ZG_NEW(int32_t *, height + 1),
                   .counts = ZG_NEW0(zg_label_counts, graphs),
                   .squares = ZG_NEW(int64_t, graphs)};
  for (int64_t g = 0; g < graphs; g++) {
    l->first[g + 1] = l->first[g] + graph[g].nodes;
    largest = zg_max(largest, graph[g].nodes);
  }
  int32_t *word = ZG_NEW(int32_t, longest_word(graphs, graph));
  for (int64_t r = 0; r < l->rounds; r++) {
    l->label[r] = ZG_NEW(int32_t, l->first[graphs]);
    refine(graph, r, word, l);
  }
  free(word);
  int32_t *all = ZG_NEW(int32_t, largest * l->rounds);
  for (int64_t g = 0; g < graphs; g++) {
    count_labels(g, l, all);
    l->squares[g] = zg_labels_product(l, g, g);
  }
  free(all);
}

void zg_labels_destroy(zg_labels *l) {
  for (int64_t r = 0; r < l->rounds; r++)
    free(l->label[r]);
  for (int64_t g = 0; g < l->graphs; g++) {
    free(l->counts[g].label);
    free(l->counts[g].times);
  }
  free((void *)l->label);
  free(l->first);
  free(l->counts);
  free(l->squares);
  *l = (zg_labels){0};
}

int64_t zg_labels_product(const zg_labels *labels, int64_t a, int64_t b) {
  const zg_label_counts *x = &labels->counts[a], *y = &labels->counts[b];
  int64_t sum = 0;
  for (int64_t i = 0, k = 0; i < x->count && k < y->count;) {
    if (x->label[i] == y->label[k])
      sum += (int64_t)x->times[i++] * y->times[k++];
    else if (x->label[i] < y->label[k])
      i++;
    else
      k++;
  }
  return sum;
}
