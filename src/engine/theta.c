/** \file
 * A layer without positions adds (A A' + bias) o (B B'), a dense product and an
 * elementwise one. With positions it adds, for every pair of samples, the sum over
 * pairs of positions, in one of two orders: products of positions (few of them), or the
 * derivatives themselves, sample by sample and a slab of outputs at a time (many). */
#include "engine/theta.h"

#include "base/memory.h"
#include "linalg/vector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void zg_theta_create(zg_work *work, zg_precision precision, zg_theta *t) {
  *t = (zg_theta){.work = work, .precision = precision};
}

void zg_theta_destroy(zg_theta *t) {
  free(t->inner);
  free(t->outer);
  free(t->left);
  free(t->right);
  *t = (zg_theta){0};
}

static void *room(zg_theta *t, void **buffer, int64_t *size, int64_t numbers) {
  if (numbers > *size) {
    free(*buffer);
    *buffer = zg_alloc(numbers, zg_real_size(t->precision));
    *size = numbers;
  }
  return *buffer;
}

static void slab_room(zg_theta *t, int64_t numbers) {
  if (numbers <= t->slab) return;
  free(t->left);
  free(t->right);
  t->left = zg_alloc(numbers, zg_real_size(t->precision));
  t->right = zg_alloc(numbers, zg_real_size(t->precision));
  t->slab = numbers;
}

static void *at(const zg_theta *t, const void *base, int64_t count) {
  return zg_real_at(t->precision, base, count);
}

/* What two runs of a layer have in common. */
typedef struct layer_pair {
  const zg_factor *a, *b;
  int64_t samples_a, samples_b;
  int64_t S, E, W, in;   /* in with the bias */
  int64_t rows, columns; /* of the tile */
} layer_pair;

static layer_pair pair_of(const zg_factors *left, const zg_factors *right, int64_t l) {
  const zg_factor *a = &left->layers[l], *b = &right->layers[l];
  return (layer_pair){.a = a,
                      .b = b,
                      .samples_a = left->samples,
                      .samples_b = right->samples,
                      .S = a->layer.positions,
                      .E = a->rows,
                      .W = a->width,
                      .in = a->layer.in + a->layer.bias,
                      .rows = left->samples * a->rows,
                      .columns = right->samples * a->rows};
}

/* ---- no positions ---- */

/* tile += inner o outer, where inner has one entry per pair of samples and the others E
 * x E. */
#define DEFINE_HADAMARD(suffix, real)                                                  \
  ZG_VECTOR static void hadamard_##suffix(const layer_pair *p, const real *inner,      \
                                          const real *outer, real *tile) {             \
    for (int64_t b = 0; b < p->samples_b; b++)                                         \
      for (int64_t e = 0; e < p->E; e++) {                                             \
        int64_t column = (b * p->E + e) * p->rows;                                     \
        for (int64_t a = 0; a < p->samples_a; a++) {                                   \
          real factor = inner[b * p->samples_a + a];                                   \
          for (int64_t r = a * p->E; r < (a + 1) * p->E; r++)                          \
            tile[column + r] += factor * outer[column + r];                            \
        }                                                                              \
      }                                                                                \
  }                                                                                    \
  ZG_VECTOR static void hadamard_one_##suffix(int64_t count, const real *inner,        \
                                              const real *outer, real *tile) {         \
    for (int64_t k = 0; k < count; k++)                                                \
      tile[k] += inner[k] * outer[k];                                                  \
  }
DEFINE_HADAMARD(single, float)
DEFINE_HADAMARD(double, double)

static void add_dense(zg_theta *t, const layer_pair *p, void *tile) {
  int64_t inner_count = p->samples_a * p->samples_b, count = p->rows * p->columns;
  void *inner = room(t, &t->inner, &t->inner_size, inner_count);
  void *outer = room(t, &t->outer, &t->outer_size, count);
  zg_product(t->precision, p->samples_a, p->samples_b, p->in, 1, p->a->input, p->in,
             p->b->input, p->in, 0, inner, p->samples_a);
  zg_product(t->precision, p->rows, p->columns, p->W, 1, p->a->signal, p->W,
             p->b->signal, p->W, 0, outer, p->rows);
  t->flop += 2 * ((double)inner_count * (double)p->in + (double)count * (double)p->W);
  if (p->E == 1 && t->precision == ZG_SINGLE)
    hadamard_one_single(count, inner, outer, tile);
  else if (p->E == 1)
    hadamard_one_double(count, inner, outer, tile);
  else if (t->precision == ZG_SINGLE)
    hadamard_single(p, inner, outer, tile);
  else
    hadamard_double(p, inner, outer, tile);
}

/* ---- positions, pair by pair ---- */

/* tile[(a,e),(b,f)] += sum over p, q of inner[p,q] outer[(e,p),(f,q)], for one a and
 * some b; both column-major with positions p as rows. */
#define DEFINE_CONTRACT(suffix, real)                                                  \
  ZG_VECTOR static void contract_##suffix(const layer_pair *p, int64_t a, int64_t b0,  \
                                          int64_t b1, const real *inner,               \
                                          const real *outer, real *tile) {             \
    int64_t S = p->S, E = p->E;                                                        \
    for (int64_t b = b0; b < b1; b++)                                                  \
      for (int64_t f = 0; f < E; f++)                                                  \
        for (int64_t e = 0; e < E; e++) {                                              \
          real sum = 0;                                                                \
          for (int64_t q = 0; q < S; q++) {                                            \
            const real *x = inner + ((b - b0) * S + q) * S;                            \
            const real *y = outer + (((b - b0) * E + f) * S + q) * E * S + e * S;      \
            for (int64_t k = 0; k < S; k++)                                            \
              sum += x[k] * y[k];                                                      \
          }                                                                            \
          tile[(b * E + f) * p->rows + a * E + e] += sum;                              \
        }                                                                              \
  }
DEFINE_CONTRACT(single, float)
DEFINE_CONTRACT(double, double)

static void add_positions(zg_theta *t, const layer_pair *p, void *tile) {
  int64_t S = p->S, E = p->E, W = p->W, in = p->in;
  int64_t per_sample = S * E * S * E;
  int64_t step = zg_max(1, zg_min(p->samples_b, ZG_EXPANDED / per_sample));
  void *inner = room(t, &t->inner, &t->inner_size, S * step * S);
  void *outer = room(t, &t->outer, &t->outer_size, step * per_sample);
  for (int64_t a = 0; a < p->samples_a; a++)
    for (int64_t b = 0; b < p->samples_b; b += step) {
      int64_t count = zg_min(step, p->samples_b - b);
      zg_product(t->precision, S, count * S, in, 1, at(t, p->a->input, a * S * in), in,
                 at(t, p->b->input, b * S * in), in, 0, inner, S);
      zg_product(t->precision, E * S, count * E * S, W, 1,
                 at(t, p->a->signal, a * E * S * W), W,
                 at(t, p->b->signal, b * E * S * W), W, 0, outer, E * S);
      if (t->precision == ZG_SINGLE)
        contract_single(p, a, b, b + count, inner, outer, tile);
      else
        contract_double(p, a, b, b + count, inner, outer, tile);
    }
  double pairs = (double)p->samples_a * (double)p->samples_b * (double)(S * S);
  t->flop += 2 * pairs * ((double)in + (double)(E * E) * (double)(W + 1));
}

/* ---- positions, multiplied out ---- */

/* Derivatives by the weights of outputs [o, o + count): [samples E, count, in]. */
static void expand(zg_theta *t, const layer_pair *p, const zg_factor *f,
                   int64_t samples, int64_t o, int64_t count, void *to) {
  int64_t S = p->S, E = p->E, W = p->W, in = p->in;
  for (int64_t a = 0; a < samples; a++)
    for (int64_t e = 0; e < E; e++)
      zg_outer_product(t->precision, in, count, S, at(t, f->input, a * S * in), in,
                       at(t, f->signal, (a * E + e) * S * W + o), W,
                       at(t, to, (a * E + e) * count * in), in);
}

static void add_expanded(zg_theta *t, const layer_pair *p, void *tile) {
  int64_t per_output = zg_max(p->rows, p->columns) * p->in;
  int64_t step = zg_max(1, zg_min(p->W, ZG_EXPANDED / per_output));
  slab_room(t, step * per_output);
  for (int64_t o = 0; o < p->W; o += step) {
    int64_t count = zg_min(step, p->W - o), k = count * p->in;
    expand(t, p, p->a, p->samples_a, o, count, t->left);
    void *right = t->left;
    if (p->a != p->b) expand(t, p, p->b, p->samples_b, o, count, right = t->right);
    zg_product(t->precision, p->rows, p->columns, k, 1, t->left, k, right, k, 1, tile,
               p->rows);
  }
  double made = (double)(p->rows + p->columns) * (double)(p->S * p->in * p->W);
  t->flop += 2 * (made + (double)(p->rows * p->columns) * (double)(p->in * p->W));
}

/* ---- indices ---- */

#define DEFINE_MATCH(suffix, real)                                                     \
  ZG_VECTOR static real dot_##suffix(int64_t count, const real *x, const real *y) {    \
    real sum = 0;                                                                      \
    for (int64_t k = 0; k < count; k++)                                                \
      sum += x[k] * y[k];                                                              \
    return sum;                                                                        \
  }                                                                                    \
  static void match_##suffix(const layer_pair *p, int64_t a, int64_t b, int64_t i,     \
                             int64_t j, real *tile) {                                  \
    int64_t slots = p->S + 1, W = p->W, E = p->E;                                      \
    const real *x = (const real *)p->a->signal + a * E * slots * W;                    \
    const real *y = (const real *)p->b->signal + b * E * slots * W;                    \
    for (int64_t f = 0; f < E; f++)                                                    \
      for (int64_t e = 0; e < E; e++)                                                  \
        tile[(b * E + f) * p->rows + a * E + e] +=                                     \
            dot_##suffix(W, x + (e * slots + i) * W, y + (f * slots + j) * W);         \
  }
DEFINE_MATCH(single, float)
DEFINE_MATCH(double, double)

/* Only rows of the table that two samples share have a product. */
static void add_indexed(zg_theta *t, const layer_pair *p, void *tile) {
  int64_t slots = p->S + 1;
  for (int64_t b = 0; b < p->samples_b; b++)
    for (int64_t a = 0; a < p->samples_a; a++) {
      const int64_t *x = p->a->ids + a * slots, *y = p->b->ids + b * slots;
      for (int64_t i = 0, j = 0; i < p->a->used[a] && j < p->b->used[b];) {
        if (x[i] == y[j]) {
          if (t->precision == ZG_SINGLE)
            match_single(p, a, b, i, j, tile);
          else
            match_double(p, a, b, i, j, tile);
          t->flop += 2 * (double)(p->E * p->E * p->W);
        }
        bool first = x[i] <= y[j], second = y[j] <= x[i];
        i += first;
        j += second;
      }
    }
}

/* ---- explicit derivatives ---- */

static void add_direct(zg_theta *t, const layer_pair *p, void *tile) {
  zg_product(t->precision, p->rows, p->columns, p->W, 1, p->a->signal, p->W,
             p->b->signal, p->W, 1, tile, p->rows);
  t->flop += 2 * (double)(p->rows * p->columns) * (double)p->W;
}

/* Columns [column, column + columns) of the derivatives of a run, in its precision. */
static zg_status stream(zg_theta *t, const zg_factor *f, const zg_factors *run,
                        int64_t column, int64_t columns, void *to) {
  zg_slab slab;
  zg_phase_start(t->work, ZG_PHASE_READ);
  zg_status status = zg_reader_part(t->work->reader, f->layer.direct, run->first,
                                    run->samples, column, columns, &slab);
  zg_phase_stop(t->work, ZG_PHASE_READ);
  if (status != ZG_OK) return status;
  int64_t count = slab.rows * slab.d;
  bool finite = true;
  for (int64_t k = 0; k < count; k++) {
    double x = slab.precision == ZG_DOUBLE ? ((const double *)slab.data)[k]
                                           : ((const float *)slab.data)[k];
    finite &= isfinite(x) != 0;
    if (t->precision == ZG_DOUBLE)
      ((double *)to)[k] = x;
    else
      ((float *)to)[k] = (float)x;
  }
  t->finite = t->finite && finite;
  return ZG_OK;
}

static zg_status add_streamed(zg_theta *t, const layer_pair *p, const zg_factors *left,
                              const zg_factors *right, void *tile) {
  int64_t q = p->a->layer.out, C = p->a->layer.classes;
  int64_t each = zg_max(left->samples, right->samples) * C;
  int64_t step = zg_max(1, zg_min(q, ZG_EXPANDED / each));
  slab_room(t, step * each);
  for (int64_t column = 0; column < q; column += step) {
    int64_t columns = zg_min(step, q - column), k = columns * C / p->E;
    void *other = t->left;
    ZG_TRY(stream(t, p->a, left, column, columns, t->left));
    if (p->a != p->b) ZG_TRY(stream(t, p->b, right, column, columns, other = t->right));
    zg_product(t->precision, p->rows, p->columns, k, 1, t->left, k, other, k, 1, tile,
               p->rows);
  }
  t->flop += 2 * (double)(p->rows * p->columns) * (double)p->W;
  return ZG_OK;
}

/* ---- tiles ---- */

static zg_status add_layer(zg_theta *t, const zg_factors *left, const zg_factors *right,
                           int64_t l, void *tile) {
  layer_pair p = pair_of(left, right, l);
  if (p.a->streamed) return add_streamed(t, &p, left, right, tile);
  if (p.a->layer.direct >= 0)
    add_direct(t, &p, tile);
  else if (p.a->layer.index >= 0)
    add_indexed(t, &p, tile);
  else if (p.S == 1)
    add_dense(t, &p, tile);
  else if (p.a->expands)
    add_expanded(t, &p, tile);
  else
    add_positions(t, &p, tile);
  return ZG_OK;
}

static void multiply_sketches(zg_theta *t, const zg_factors *left,
                              const zg_factors *right, int64_t stride, void *tile) {
  int64_t rows = left->sketch_rows, columns = right->sketch_rows;
  int64_t length = left->sketch_length;
  for (int64_t g = 0; g < ZG_SKETCHES; g++)
    zg_product(t->precision, rows, columns, length, 1,
               at(t, left->sketch, g * rows * length), length,
               at(t, right->sketch, g * columns * length), length, 0,
               at(t, tile, g * stride), rows);
  t->flop += 2.0 * ZG_SKETCHES * (double)(rows * columns) * (double)length;
}

zg_status zg_theta_tile(zg_theta *t, const zg_factors *left, const zg_factors *right,
                        int64_t stride, void *tile) {
  t->finite = left->finite && right->finite;
  if (left->sketch) {
    multiply_sketches(t, left, right, stride, tile);
    return ZG_OK;
  }
  if (!left->layer_count) return ZG_OK;
  layer_pair p = pair_of(left, right, 0);
  memset(tile, 0, (size_t)(p.rows * p.columns) * zg_real_size(t->precision));
  for (int64_t l = 0; t->finite && l < left->layer_count; l++)
    ZG_TRY(add_layer(t, left, right, l, tile));
  return ZG_OK;
}
