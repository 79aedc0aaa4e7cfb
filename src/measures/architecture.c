/** \file
 * Module graphs compared, directed and with operations as labels; edges that are there
 * twice count once:
 *
 *     wl        cosine of the counts of labels, refined 0 to `height` times
 *               (Weisfeiler-Lehman subtree kernel, Shervashidze et al. 2011)
 *     spectral  1 / (1 + |x - y|), x and y the ascending eigenvalues of the normalised
 *               Laplacians of the undirected graphs, the fewer with zeros in front
 *     edit      1 - d / (nodes + edges of both), d the edit distance, unit costs
 *
 * wl does not tell graphs apart whose nodes all look alike from where they are: a
 * 6-cycle and two triangles, without labels, have similarity 1. */
#include "base/memory.h"
#include "graph/edit.h"
#include "grid/spectrum.h"
#include "measures/profile.h"
#include "measures/spec.h"
#include "zoo/graph.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const zg_option options[] = {
    {.name = "form",
     .type = ZG_OPTION_CHOICE,
     .choices = {"wl", "spectral", "edit"},
     .help = "wl: counts of refined labels; spectral: eigenvalues of Laplacians; edit: "
             "edit distance, exact up to 16 nodes, an upper bound beyond"},
    {.name = "height",
     .type = ZG_OPTION_COUNT,
     .initial = 3,
     .least = 0,
     .most = 100,
     .unit = "rounds",
     .needs = "form",
     .needs_choice = "wl",
     .help = "how often labels are refined"},
    {.name = NULL}};

/* Rounds by which a mapping of nodes is found for `edit`. */
enum { EDIT_HEIGHT = 4 };

/* Rows of a Laplacian that are set at a time, and the largest that is left to one rank.
 */
enum { ROWS = 128, MOST_ALONE = 8192 };

/* ---- what all ranks know ---- */

typedef struct shared {
  zg_graphs graphs;
  zg_labels labels; /* for wl and edit */
} shared;

static bool is_spectral(const zg_call *call) {
  return zg_call_is(call, "form", "spectral");
}

static bool is_edit(const zg_call *call) {
  return zg_call_is(call, "form", "edit");
}

static int64_t rounds_of(const zg_call *call) {
  return is_edit(call) ? EDIT_HEIGHT : (int64_t)zg_call_value(call, "height");
}

static zg_status share(MPI_Comm comm, zg_reader *reader, const zg_zoo *zoo,
                       const zg_call *call, void **known) {
  shared *s = *known = ZG_NEW0(shared, 1);
  ZG_TRY(zg_graphs_read(comm, reader, zoo, &s->graphs));
  if (!is_spectral(call))
    zg_labels_create(s->graphs.count, s->graphs.graph, rounds_of(call), &s->labels);
  return ZG_OK;
}

static void release(void *known) {
  shared *s = known;
  if (s->labels.graphs) zg_labels_destroy(&s->labels);
  zg_graphs_destroy(&s->graphs);
  free(s);
}

/* A label of a round: itself, its word, its counts. */
static int64_t shared_memory(const zg_call *call, const zg_zoo *zoo) {
  int64_t bytes = zg_graphs_memory(zoo), rounds = rounds_of(call) + 1;
  for (int64_t k = zoo->first[ZG_GRAPH_OP]; k < zoo->first[ZG_GRAPH_OP + 1]; k++)
    bytes += is_spectral(call) ? 0 : zoo->arrays[k].n * rounds * 12;
  return bytes;
}

/* ---- spectra: the number of nodes, then eigenvalues ---- */

static int64_t largest_graph(const zg_zoo *zoo) {
  int64_t most = 1;
  for (int64_t k = zoo->first[ZG_GRAPH_OP]; k < zoo->first[ZG_GRAPH_OP + 1]; k++)
    most = zg_max(most, zoo->arrays[k].n);
  return most;
}

static int64_t width(const zg_call *call, const zg_zoo *zoo) {
  return 1 + (is_spectral(call) ? largest_graph(zoo) : 0);
}

static const zg_graph *graph_of(const zg_finding *finding, const zg_zoo *zoo,
                                int64_t array) {
  const shared *s = finding->shared;
  return &s->graphs.graph[zoo->arrays[array].model];
}

/* Collective, with the same graph on all ranks. */
static zg_status find_spectrum(MPI_Comm comm, const zg_graph *graph, double *values) {
  zg_symmetric *matrix;
  ZG_TRY(zg_symmetric_create(comm, graph->nodes, &matrix));
  double *rows = ZG_NEW(double, ROWS * graph->nodes);
  for (int64_t row = 0; row < graph->nodes; row += ROWS) {
    int64_t count = zg_min(ROWS, graph->nodes - row);
    zg_graph_laplacian(graph, row, count, rows);
    zg_symmetric_set(matrix, row, count, 0, graph->nodes, rows, graph->nodes);
  }
  zg_status status = zg_symmetric_eigenvalues(matrix, values);
  free(rows);
  zg_symmetric_destroy(&matrix);
  return status;
}

static zg_status measure(const zg_call *call, zg_reader *reader, const zg_zoo *zoo,
                         int64_t index, int64_t count, zg_finding *finding) {
  (void)reader, (void)count;
  const shared *s = finding->shared;
  const zg_graph *graph = graph_of(finding, zoo, index);
  switch (s->graphs.state[zoo->arrays[index].model]) {
  case ZG_GRAPH_READ:
    break;
  case ZG_GRAPH_ABSENT:
    finding->code = ZG_CODE_ABSENT;
    return ZG_OK;
  case ZG_GRAPH_ASTRAY:
    finding->code = ZG_CODE_SHAPE;
    snprintf(finding->note, sizeof finding->note,
             "an edge leads to a node beyond the %lld that there are",
             (long long)zoo->arrays[index].n);
    return ZG_OK;
  }
  finding->values[0] = (double)graph->nodes;
  if (!is_spectral(call)) return ZG_OK;
  if (graph->nodes <= MOST_ALONE)
    return find_spectrum(MPI_COMM_SELF, graph, finding->values + 1);
  finding->code = ZG_CODE_CONVERGENCE;
  snprintf(finding->note, sizeof finding->note, "is too large for one rank");
  return ZG_OK;
}

static zg_status measure_together(MPI_Comm comm, zg_reader *reader, const zg_zoo *zoo,
                                  int64_t index, zg_finding *finding) {
  (void)reader;
  const zg_graph *graph = graph_of(finding, zoo, index);
  finding->code = ZG_CODE_OK;
  finding->values[0] = (double)graph->nodes;
  return find_spectrum(comm, graph, finding->values + 1);
}

static double cost(const zg_array *array) {
  return pow((double)array->n, 3);
}

static int64_t few_bytes(const zg_array *array) {
  return 1024 + 8 * array->n;
}

static int64_t spectrum_memory(const zg_array *array) {
  int64_t n = array->n, rows = 8 * ROWS * n;
  return rows + (n <= MOST_ALONE ? 8 * n * n + 32 * n : 0);
}

static int64_t spectrum_memory_together(const zg_array *array, int ranks) {
  int64_t n = array->n;
  return n <= MOST_ALONE ? 0 : 8 * ROWS * n + 8 * n * n / ranks + 64 * n;
}

/* ---- edits of pairs: lower and upper bound ---- */

enum { LOWER, UPPER, BOUNDS };

static void compare(const zg_call *call, const void *known, int64_t a, int64_t b,
                    double *numbers) {
  (void)call;
  const shared *s = known;
  if (s->graphs.state[a] != ZG_GRAPH_READ || s->graphs.state[b] != ZG_GRAPH_READ)
    return;
  zg_edit edit = zg_edit_bounds(s->graphs.graph, &s->labels, a, b);
  numbers[LOWER] = (double)edit.lower;
  numbers[UPPER] = (double)edit.upper;
}

static int64_t edit_memory(const zg_array *array) {
  return zg_edit_memory(array->n);
}

/* ---- the measure ---- */

#define ZG_GRAPH_FORM                                                                  \
  .data = ZG_GRAPH_OP, .share = share, .release = release,                             \
  .shared_memory = shared_memory, .width = width, .cost = cost, .measure = measure

static const zg_profile_form wl = {ZG_GRAPH_FORM, .memory = few_bytes};
static const zg_profile_form spectral = {ZG_GRAPH_FORM, .memory = spectrum_memory,
                                         .memory_together = spectrum_memory_together,
                                         .measure_together = measure_together};
static const zg_profile_form edit = {ZG_GRAPH_FORM, .memory = edit_memory,
                                     .pair_numbers = BOUNDS, .compare = compare};

static zg_spec spec(const zg_call *call) {
  static const zg_profile_form *const forms[] = {&wl, &spectral, &edit};
  return (zg_spec){.form = ZG_FORM_PROFILE,
                   .profile = forms[(int)zg_call_value(call, "form")]};
}

static uint32_t reads(const zg_call *call) {
  (void)call;
  return 1u << ZG_GRAPH_OP | 1u << ZG_GRAPH_EDGE;
}

static int64_t kept(const zg_call *call, zg_kept kept[ZG_MAX_KEPT]) {
  if (!is_edit(call)) return 0;
  kept[LOWER] = (zg_kept){.name = "lower_bound",
                          .meaning = "lower bound of the edit distance, in edits",
                          .axis = ZG_AXIS_MODEL,
                          .shape = ZG_KEPT_PAIRS};
  return 1;
}

/* Counts are whole numbers and the root of a square is right: equal ones give 1. */
static double wl_similarity(const zg_pair *pair) {
  const zg_labels *labels = &((const shared *)pair->known)->labels;
  double ab = (double)zg_labels_product(labels, pair->item_a, pair->item_b);
  double aa = (double)labels->squares[pair->item_a];
  double bb = (double)labels->squares[pair->item_b];
  return fmin(1, ab / sqrt(aa * bb));
}

static double spectral_similarity(const zg_pair *pair) {
  const double *x = pair->profile_a, *y = pair->profile_b;
  int64_t n = (int64_t)x[0], m = (int64_t)y[0], most = zg_max(n, m);
  double squares = 0;
  for (int64_t k = 1; k <= most; k++) { /* from the largest down */
    double a = k <= n ? x[1 + n - k] : 0, b = k <= m ? y[1 + m - k] : 0;
    squares += (a - b) * (a - b);
  }
  return 1 / (1 + sqrt(squares));
}

static double edit_similarity(const zg_pair *pair, zg_code *code) {
  const zg_graphs *graphs = &((const shared *)pair->known)->graphs;
  const zg_graph *a = &graphs->graph[pair->item_a], *b = &graphs->graph[pair->item_b];
  if (zg_max(a->nodes, b->nodes) > ZG_EDIT_EXACT) *code = ZG_CODE_BOUND;
  double all = (double)(a->nodes + a->edges + b->nodes + b->edges);
  return 1 - pair->numbers[UPPER] / all;
}

static double finish(const zg_call *call, const zg_pair *pair, zg_code *code) {
  *code = zg_pair_code(pair);
  if (*code != ZG_CODE_OK) return NAN;
  if (pair->same) return 1;
  if (is_edit(call)) return edit_similarity(pair, code);
  return is_spectral(call) ? spectral_similarity(pair) : wl_similarity(pair);
}

const zg_measure zg_measure_architecture = {
    .name = "architecture",
    .title = "Similarity of architectures",
    .space = "architecture",
    .formula = "wl: cosine of label counts, rounds 0 to height; spectral: 1 / (1 + "
               "|lambda_i - lambda_j|); edit: 1 - GED / (nodes + edges of both)",
    .reference = "Shervashidze et al. 2011 (wl); Chung 1997, section 1.2 (spectral); "
                 "Sanfeliu & Fu 1983 (edit); Blumenthal & Gamper 2018 (its bounds)",
    .remark =
        "edit beyond 16 nodes (status 9) is a lower bound of the similarity; wl is "
        "blind to what colour refinement cannot tell apart.",
    .axis = ZG_AXIS_MODEL,
    .kind = ZG_SIMILARITY,
    .symmetric = true,
    .options = options,
    .spec = spec,
    .finish = finish,
    .reads = reads,
    .kept = kept};
