/** \file
 * How well a map keeps the neighbourhoods of a layer, and of all others: KL(P_i / Q_j),
 * the objective of t-SNE (van der Maaten & Hinton 2008),
 *
 *     P  of the activations: Gaussian neighbours of the given perplexity, p_k|a, made
 *        symmetric: p_ab = (p_b|a + p_a|b) / 2n; of all samples up to 5,000, of the
 *        3 x perplexity nearest beyond
 *     Q  of the map: q_ab = w_ab / Z, w_ab = 1 / (1 + |y_a - y_b|^2), Z their sum
 *
 *     KL(P / Q) = sum p log p - sum p log w + log Z
 *
 * The first and the last term belong to one item each; a pair costs the one between. */
#include "base/memory.h"
#include "linalg/logs.h"
#include "linalg/perplexity.h"
#include "linalg/select.h"
#include "linalg/student.h"
#include "linalg/vector.h"
#include "measures/clouds.h"
#include "measures/pair.h"
#include "measures/spec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const zg_option options[] = {
    {.name = "perplexity",
     .type = ZG_OPTION_NUMBER,
     .initial = 30,
     .least = 1,
     .open = true,
     .most = 1e6,
     .unit = "neighbours",
     .help = "effective number of neighbours of a sample"},
    {.name = NULL}};

enum {
  DENSE = 5000, /* samples up to which P is over all pairs */
  BLOCK = 64,   /* rows whose distances are formed at a time */
  LANES = 8
};

/* Two samples that are neighbours, i > j, and p_ij. */
typedef struct neighbours {
  int32_t i, j;
  double p;
} neighbours;

/* A prepared item: these numbers, the map [AXES, n], then p_ij of all i > j row by row
 * or, beyond DENSE samples, a list of neighbours. */
enum { SELF_TERM, LOG_Z, COUNT, MAP };

static bool is_dense(int64_t n) {
  return n <= DENSE;
}

static double perplexity_of(const zg_call *call) {
  return zg_call_value(call, "perplexity");
}

/* Neighbours of a sample that count, beyond DENSE samples. */
static int64_t near_of(const zg_call *call, int64_t n) {
  return (int64_t)fmin((double)(n - 1), 3 * perplexity_of(call));
}

static int64_t bytes(const zg_call *call, const zg_shape *shapes) {
  int64_t n = shapes[0].n, numbers = MAP + ZG_STUDENT_AXES * n;
  if (is_dense(n)) return 8 * (numbers + n * (n - 1) / 2);
  return 8 * numbers + n * near_of(call, n) * (int64_t)sizeof(neighbours);
}

static int64_t preparing(const zg_call *call, const zg_shape *shapes) {
  int64_t n = shapes[0].n;
  return zg_cloud_bytes(call, shapes) + 8 * n * (BLOCK + 6) + zg_student_memory(n);
}

/* ---- Q ---- */

static zg_map_points map_of(double *data, int64_t n, int64_t axes) {
  double *y = data + MAP;
  return (zg_map_points){.n = n, .axes = (int)axes, .y = {y, y + n, y + 2 * n}};
}

static void prepare_map(const zg_rows *map, double *data) {
  memset(data + MAP, 0, (size_t)(ZG_STUDENT_AXES * map->n) * sizeof *data);
  for (int64_t i = 0; i < map->n; i++)
    for (int64_t k = 0; k < map->d; k++)
      data[MAP + k * map->n + i] = map->values[i * map->d + k];
  zg_map_points points = map_of(data, map->n, map->d);
  data[LOG_Z] = log(zg_student_normaliser(&points));
}

/* ---- P ---- */

/* A sample and its distances from all others on their way to weights. */
typedef struct row {
  int64_t n, index, near;
  double perplexity;
  double *distances; /* [n - 1] the others' */
  double *sorted;    /* [n - 1] */
  double *p;         /* [n - 1] */
  int32_t *chosen;   /* [near] */
} row;

static int64_t other(const row *r, int64_t k) {
  return k < r->index ? k : k + 1;
}

/* The nearest; of equally near ones the first. */
static void choose_nearest(row *r) {
  int64_t count = 0, ties = 0;
  memcpy(r->sorted, r->distances, (size_t)(r->n - 1) * sizeof *r->sorted);
  double last = zg_order_statistic(r->sorted, r->n - 1, r->near - 1);
  for (int64_t k = 0; k < r->n - 1; k++)
    ties += r->distances[k] < last;
  ties = r->near - ties; /* that are still to be taken */
  for (int64_t k = 0; k < r->n - 1; k++) {
    double d = r->distances[k];
    if (d > last || (d == last && ties-- <= 0)) continue;
    r->sorted[count] = d;
    r->chosen[count++] = (int32_t)other(r, k);
  }
}

static int64_t triangle(int64_t i, int64_t j) {
  return i > j ? i * (i - 1) / 2 + j : j * (j - 1) / 2 + i;
}

/* Add the weights of a row to P. \return false where there are none. */
static bool add_dense(row *r, double *P) {
  if (!zg_perplexity_weights(r->n - 1, r->distances, r->perplexity, r->p)) return false;
  for (int64_t k = 0; k < r->n - 1; k++)
    P[triangle(r->index, other(r, k))] += r->p[k] / (2 * (double)r->n);
  return true;
}

static bool add_near(row *r, neighbours *list) {
  choose_nearest(r);
  if (!zg_perplexity_weights(r->near, r->sorted, r->perplexity, r->p)) return false;
  for (int64_t k = 0; k < r->near; k++) {
    int32_t a = (int32_t)r->index, b = r->chosen[k];
    list[k] = (neighbours){
        .i = a > b ? a : b, .j = a > b ? b : a, .p = r->p[k] / (2 * (double)r->n)};
  }
  return true;
}

static int compare_neighbours(const void *a, const void *b) {
  const neighbours *x = a, *y = b;
  if (x->i != y->i) return x->i < y->i ? -1 : 1;
  return (x->j > y->j) - (x->j < y->j);
}

/* Add up what two samples say of one another. \return how many pairs are left. */
static int64_t merge(int64_t count, neighbours *list) {
  int64_t kept = 0;
  qsort(list, (size_t)count, sizeof *list, compare_neighbours);
  for (int64_t k = 0; k < count; k++) {
    if (kept && !compare_neighbours(&list[kept - 1], &list[k]))
      list[kept - 1].p += list[k].p;
    else
      list[kept++] = list[k];
  }
  return kept;
}

/* Weights of all rows. \return what stands in their way. */
static zg_code add_rows(row *r, const zg_cloud *cloud, void *P) {
  double *room = ZG_NEW(double, 2 * r->n), *block = ZG_NEW(double, BLOCK * r->n);
  zg_cloud_pair pair = zg_cloud_pair_of(cloud, cloud, room);
  bool sound = true, apart = false;
  for (int64_t first = 0; sound && first < r->n; first += BLOCK) {
    int64_t count = zg_min(BLOCK, r->n - first);
    zg_cloud_distances(&pair, first, count, block);
    for (r->index = first; sound && r->index < first + count; r->index++) {
      const double *from = block + (r->index - first) * r->n;
      for (int64_t k = 0; k < r->n - 1; k++) {
        r->distances[k] = from[other(r, k)];
        apart = apart || r->distances[k] > 0;
      }
      sound = is_dense(r->n) ? add_dense(r, P)
                             : add_near(r, (neighbours *)P + r->index * r->near);
    }
  }
  free(room);
  free(block);
  if (sound && !apart) return ZG_CODE_ZERO_VARIANCE;
  return sound ? ZG_CODE_OK : ZG_CODE_CONVERGENCE;
}

static double *dense_of(const double *data, int64_t n) {
  return (double *)data + MAP + ZG_STUDENT_AXES * n;
}

static double self_term(double p) {
  return p > 0 ? 2 * p * log(p) : 0;
}

/* Sum of p log p over both triangles. */
static void finish_weights(int64_t n, int64_t near, double *data) {
  void *P = dense_of(data, n);
  double sum = 0;
  if (is_dense(n)) {
    for (int64_t k = 0; k < n * (n - 1) / 2; k++)
      sum += self_term(((double *)P)[k]);
  } else {
    int64_t count = merge(n * near, P);
    for (int64_t k = 0; k < count; k++)
      sum += self_term(((neighbours *)P)[k].p);
    data[COUNT] = (double)count;
  }
  data[SELF_TERM] = sum;
}

static void prepare_weights(const zg_call *call, const zg_rows *layer, double *data,
                            zg_code *code) {
  int64_t n = layer->n;
  double *memory = ZG_NEW(double, zg_cloud_numbers(n, layer->d));
  zg_cloud cloud = zg_cloud_make(memory, n, layer->d, layer->values);
  row r = {.n = n,
           .near = near_of(call, n),
           .perplexity = perplexity_of(call),
           .distances = ZG_NEW(double, 3 * n),
           .chosen = ZG_NEW(int32_t, n)};
  r.sorted = r.distances + n;
  r.p = r.sorted + n;
  void *P = dense_of(data, n);
  if (is_dense(n)) memset(P, 0, (size_t)(n * (n - 1) / 2) * sizeof(double));
  *code = add_rows(&r, &cloud, P);
  if (*code == ZG_CODE_OK) finish_weights(n, r.near, data);
  free(r.distances);
  free(r.chosen);
  free(memory);
}

static void prepare(const zg_pair_context *context, const zg_rows *rows, void *data,
                    zg_code *code) {
  double *numbers = data;
  if (rows[0].n != rows[1].n) {
    *code = ZG_CODE_SHAPE;
  } else if (perplexity_of(context->call) >= (double)(rows[0].n - 1)) {
    *code = ZG_CODE_FEW_SAMPLES;
  } else {
    prepare_map(&rows[1], numbers);
    prepare_weights(context->call, &rows[0], numbers, code);
  }
}

/* ---- pairs ---- */

/* 1 + |y_i - y_j|^2 for all j < i. */
ZG_VECTOR
static void inverse_weights(const zg_map_points *map, int64_t i, double *w) {
  const double *x = map->y[0], *y = map->y[1], *z = map->y[2];
  for (int64_t j = 0; j < i; j++) {
    double u = x[j] - x[i], v = y[j] - y[i], t = z[j] - z[i];
    w[j] = 1 + (u * u + v * v + t * t);
  }
}

ZG_VECTOR
static double inner_product(int64_t count, const double *x, const double *y) {
  double lanes[LANES] = {0}, sum = 0;
  int64_t k = 0;
  for (; k + LANES <= count; k += LANES)
    for (int lane = 0; lane < LANES; lane++)
      lanes[lane] += x[k + lane] * y[k + lane];
  for (; k < count; k++)
    sum += x[k] * y[k];
  for (int lane = 0; lane < LANES; lane++)
    sum += lanes[lane];
  return sum;
}

/* Sums of p log w over the pairs of samples, for all layers that are compared with the
 * map of the first: the logarithms are theirs together. */
static void add_dense_terms(int64_t count, zg_comparison *pairs,
                            const zg_map_points *map, double *logs) {
  const void *common = pairs[0].b.data;
  for (int64_t i = 1; i < map->n; i++) {
    inverse_weights(map, i, logs);
    zg_logs(i, logs, logs);
    for (int64_t k = 0; k < count; k++) {
      if (pairs[k].b.data != common) continue;
      const double *P = dense_of(pairs[k].a.data, map->n);
      pairs[k].terms[0] += inner_product(i, P + triangle(i, 0), logs);
    }
  }
}

static void add_near_terms(zg_comparison *pair, const zg_map_points *map) {
  const double *data = pair->a.data;
  const neighbours *P = (const neighbours *)(const void *)dense_of(data, map->n);
  for (int64_t k = 0; k < (int64_t)data[COUNT]; k++) {
    double square = 0;
    for (int axis = 0; axis < ZG_STUDENT_AXES; axis++)
      square += pow(map->y[axis][P[k].i] - map->y[axis][P[k].j], 2);
    pair->terms[0] += P[k].p * log1p(square);
  }
}

static bool is_first_of_its_map(const zg_comparison *pairs, int64_t k) {
  for (int64_t j = 0; j < k; j++)
    if (pairs[j].b.data == pairs[k].b.data) return false;
  return true;
}

/* No divergence is below 0; its terms may round to that. */
static void compare_all(const zg_pair_context *context, int64_t count,
                        zg_comparison *pairs, void *room) {
  (void)context;
  for (int64_t k = 0; k < count; k++) {
    int64_t n = pairs[k].b.shapes->n;
    zg_map_points map = map_of((double *)pairs[k].b.data, n, ZG_STUDENT_AXES);
    if (!is_dense(n))
      add_near_terms(&pairs[k], &map);
    else if (is_first_of_its_map(pairs, k))
      add_dense_terms(count - k, pairs + k, &map, room);
  }
  for (int64_t k = 0; k < count; k++) {
    const double *P = pairs[k].a.data, *Q = pairs[k].b.data;
    pairs[k].terms[0] = fmax(0, P[SELF_TERM] + 2 * pairs[k].terms[0] + Q[LOG_Z]);
  }
}

static void compare(const zg_pair_context *context, zg_comparison *pair, void *room) {
  compare_all(context, 1, pair, room);
}

static int64_t room(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  (void)call, (void)b;
  return 8 * a->n;
}

static double pair_cost(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  (void)b;
  double n = (double)a->n;
  return 8 * n * (is_dense(a->n) ? n / 2 : (double)near_of(call, a->n));
}

static const zg_pair_form form = {.arrays = 2,
                                  .data = {ZG_ACTIVATIONS, ZG_MAPS},
                                  .equal_n = true,
                                  .self = true,
                                  .terms = 1,
                                  .bytes = bytes,
                                  .preparing = preparing,
                                  .room = room,
                                  .cost = pair_cost,
                                  .prepare = prepare,
                                  .compare = compare,
                                  .compare_all = compare_all};

/* ---- the measure ---- */

static zg_spec spec(const zg_call *call) {
  return (zg_spec){
      .form = ZG_FORM_PAIR, .pair = &form, .pair_numbers = {perplexity_of(call)}};
}

static uint32_t reads(const zg_call *call) {
  (void)call;
  return 1u << ZG_ACTIVATIONS | 1u << ZG_MAPS;
}

static double finish(const zg_call *call, const zg_pair *pair, zg_code *code) {
  (void)call;
  *code = zg_code_worse(zg_pair_code(pair), pair->found);
  return *code == ZG_CODE_OK ? pair->terms[0] : (double)NAN;
}

const zg_measure zg_measure_tsne_error = {
    .name = "tsne_error",
    .title = "Preservation error of maps",
    .space = "embedding",
    .formula = "KL(P_i / Q_j) = sum p log(p / q), P Gaussian neighbours in layer i, Q "
               "Student-t neighbours in the map of layer j",
    .reference = "van der Maaten & Hinton 2008, eq. 1 to 4; neighbours: van der Maaten "
                 "2014, eq. 6; grid: Linderman et al. 2019",
    .remark = "Not symmetric: row = the layer, column = the map; the diagonal is each "
              "map's own preservation error.",
    .axis = ZG_AXIS_ITEM,
    .kind = ZG_DISTANCE,
    .symmetric = false,
    .pairs_rows = true,
    .options = options,
    .spec = spec,
    .finish = finish,
    .reads = reads};
