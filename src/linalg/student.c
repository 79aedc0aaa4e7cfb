#include "linalg/student.h"

#include "base/memory.h"
#include "base/status.h"
#include "linalg/vector.h"

#include <fftw3.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  AXES = ZG_STUDENT_AXES,
  TAPS = 6,               /* nodes that a point is interpolated from, along an axis */
  MOST_NUMBERS = 1 << 24, /* of a grid */
  LANES = 8
};

/* ---- directly ---- */

/* Terms of a point with `count` others. */
ZG_VECTOR
static double point_sum(int64_t count, const double *x, const double *y,
                        const double *z, double a, double b, double c) {
  double lanes[LANES] = {0}, sum = 0;
  int64_t k = 0;
  for (; k + LANES <= count; k += LANES)
    for (int j = 0; j < LANES; j++) {
      double u = x[k + j] - a, v = y[k + j] - b, w = z[k + j] - c;
      lanes[j] += 1 / (1 + u * u + v * v + w * w);
    }
  for (; k < count; k++) {
    double u = x[k] - a, v = y[k] - b, w = z[k] - c;
    sum += 1 / (1 + u * u + v * v + w * w);
  }
  for (int j = 0; j < LANES; j++)
    sum += lanes[j];
  return sum;
}

double zg_student_direct(const zg_map_points *map) {
  const double *x = map->y[0], *y = map->y[1], *z = map->y[2];
  double sum = 0;
  for (int64_t i = 0; i < map->n; i++)
    sum += point_sum(i, x, y, z, x[i], y[i], z[i]);
  return 2 * sum;
}

/* ---- on a grid ---- */

/* A regular grid; of an axis that the map lacks it has one layer. */
typedef struct grid {
  int axes;
  double spacing, origin[AXES];
  int64_t nodes[AXES];  /* that points are spread to */
  int64_t padded[AXES]; /* twice as many at least: the convolution is not circular */
  int64_t row;          /* numbers of the last axis, with room for its transform */
  int64_t numbers;
} grid;

/* The next product of 2, 3 and 5: what FFTW likes. */
static int64_t smooth(int64_t n) {
  for (;; n++) {
    int64_t rest = n;
    for (int64_t prime = 2; prime <= 5; prime += prime == 2 ? 1 : 2)
      while (rest % prime == 0)
        rest /= prime;
    if (rest == 1) return n;
  }
}

/* \return false when it is too large. */
static bool lay_grid(const zg_map_points *map, double spacing, grid *g) {
  double numbers = 1;
  *g = (grid){.axes = map->axes, .spacing = spacing};
  for (int k = 0; k < map->axes; k++) {
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < map->n; i++) {
      low = fmin(low, map->y[k][i]);
      high = fmax(high, map->y[k][i]);
    }
    if (!((high - low) / spacing < MOST_NUMBERS)) return false;
    g->origin[k] = low - (TAPS / 2 - 1) * spacing;
    g->nodes[k] = (int64_t)((high - low) / spacing) + TAPS + 1;
    g->padded[k] = smooth(2 * g->nodes[k]);
    numbers *= (double)g->padded[k];
  }
  if (numbers > MOST_NUMBERS) return false;
  int last = map->axes - 1;
  g->row = 2 * (g->padded[last] / 2 + 1);
  g->numbers = (int64_t)(numbers / (double)g->padded[last]) * g->row;
  return true;
}

/* Where a point lies: its first node along each axis, and the weights of TAPS of them
 * (Lagrange's polynomials on equally spaced nodes). */
typedef struct spot {
  int64_t first[AXES];
  double weight[AXES][TAPS];
} spot;

static void locate(const grid *g, const zg_map_points *map, int64_t i, spot *s) {
  for (int k = 0; k < AXES; k++)
    s->first[k] = 0;
  for (int k = 0; k < g->axes; k++) {
    double u = (map->y[k][i] - g->origin[k]) / g->spacing;
    int64_t first = (int64_t)u - (TAPS / 2 - 1); /* one off the grid by rounding */
    s->first[k] = zg_max(0, zg_min(g->nodes[k] - TAPS, first));
    for (int a = 0; a < TAPS; a++) {
      s->weight[k][a] = 1;
      for (int b = 0; b < TAPS; b++)
        if (b != a)
          s->weight[k][a] *= (u - (double)(s->first[k] + b)) / (double)(a - b);
    }
  }
}

/* Number `tap` of a spot's TAPS^axes nodes: its offsets; \return its weight. */
static double node_of(const grid *g, const spot *s, int64_t tap, int64_t offset[AXES]) {
  double weight = 1;
  for (int k = 0; k < g->axes; k++, tap /= TAPS) {
    offset[k] = tap % TAPS;
    weight *= s->weight[k][offset[k]];
  }
  return weight;
}

static int64_t place_of(const grid *g, const int64_t position[AXES]) {
  int64_t place = 0;
  for (int k = 0; k < g->axes; k++)
    place = place * (k == g->axes - 1 ? g->row : g->padded[k]) + position[k];
  return place;
}

static int64_t taps_of(const grid *g) {
  return g->axes == 1 ? TAPS : g->axes == 2 ? TAPS * TAPS : TAPS * TAPS * TAPS;
}

static double kernel(const grid *g, const int64_t offset[AXES]) {
  double squares = 0;
  for (int k = 0; k < g->axes; k++)
    squares += (double)(offset[k] * offset[k]);
  return 1 / (1 + squares * g->spacing * g->spacing);
}

/* What the interpolated kernel gives for a point with itself. */
static double self_term(const grid *g, const spot *s) {
  double weight[TAPS * TAPS * TAPS], sum = 0;
  int64_t offset[TAPS * TAPS * TAPS][AXES], taps = taps_of(g);
  for (int64_t a = 0; a < taps; a++)
    weight[a] = node_of(g, s, a, offset[a]);
  for (int64_t a = 0; a < taps; a++)
    for (int64_t b = 0; b < taps; b++) {
      int64_t apart[AXES];
      for (int k = 0; k < g->axes; k++)
        apart[k] = offset[a][k] - offset[b][k];
      sum += weight[a] * weight[b] * kernel(g, apart);
    }
  return sum;
}

/* Spread all points. \return the sum of their self terms. */
static double spread(const grid *g, const zg_map_points *map, double *values) {
  double self = 0;
  memset(values, 0, (size_t)g->numbers * sizeof *values);
  for (int64_t i = 0; i < map->n; i++) {
    spot s;
    locate(g, map, i, &s);
    for (int64_t tap = 0; tap < taps_of(g); tap++) {
      int64_t position[AXES];
      double weight = node_of(g, &s, tap, position);
      for (int k = 0; k < g->axes; k++)
        position[k] += s.first[k];
      values[place_of(g, position)] += weight;
    }
    self += self_term(g, &s);
  }
  return self;
}

/* The kernel from node 0 to all others, the shorter way around. */
static void fill_kernel(const grid *g, double *values) {
  int64_t total = 1;
  for (int k = 0; k < g->axes; k++)
    total *= g->padded[k];
  for (int64_t j = 0; j < total; j++) {
    int64_t position[AXES], offset[AXES], rest = j;
    for (int k = g->axes - 1; k >= 0; k--) {
      position[k] = rest % g->padded[k];
      rest /= g->padded[k];
      offset[k] = zg_min(position[k], g->padded[k] - position[k]);
    }
    values[place_of(g, position)] = kernel(g, offset);
  }
}

static void transform(const grid *g, double *values) {
  int sizes[AXES];
  for (int k = 0; k < g->axes; k++)
    sizes[k] = (int)g->padded[k];
  fftw_plan plan =
      fftw_plan_dft_r2c(g->axes, sizes, values, (fftw_complex *)values, FFTW_ESTIMATE);
  if (!plan) zg_abort(ZG_ERR_SYSTEM, "FFTW has no plan for a grid");
  fftw_execute(plan);
  fftw_destroy_plan(plan);
}

/* sum over frequencies of |W|^2 K, by Parseval w'K*w: of frequencies that are stored
 * once for two, both. */
static double spectral_product(const grid *g, const double *W, const double *K) {
  int64_t last = g->padded[g->axes - 1], modes = g->row / 2, rows = g->numbers / g->row;
  double sum = 0;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t f = 0; f < modes; f++) {
      int64_t at = 2 * (r * modes + f);
      bool alone = f == 0 || 2 * f == last;
      double power = W[at] * W[at] + W[at + 1] * W[at + 1];
      sum += (alone ? 1 : 2) * power * K[at];
    }
  return sum / ((double)rows * (double)last);
}

bool zg_student_grid(const zg_map_points *map, double *sum) {
  grid g;
  if (!lay_grid(map, 0.125, &g) && !lay_grid(map, 0.25, &g)) return false;
  double *W = fftw_alloc_real((size_t)g.numbers);
  double *K = fftw_alloc_real((size_t)g.numbers);
  if (!W || !K) zg_abort(ZG_ERR_SYSTEM, "out of memory");
  double self = spread(&g, map, W);
  fill_kernel(&g, K);
  transform(&g, W);
  transform(&g, K);
  *sum = spectral_product(&g, W, K) - self;
  fftw_free(W);
  fftw_free(K);
  return true;
}

double zg_student_normaliser(const zg_map_points *map) {
  double sum;
  if (map->n >= ZG_STUDENT_DIRECT && zg_student_grid(map, &sum)) return sum;
  return zg_student_direct(map);
}

int64_t zg_student_memory(int64_t n) {
  return n < ZG_STUDENT_DIRECT ? 0 : (int64_t)3 * MOST_NUMBERS * 8;
}
