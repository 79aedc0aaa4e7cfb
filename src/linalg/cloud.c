#include "linalg/cloud.h"

#include "linalg/features.h"
#include "linalg/numbers.h"
#include "linalg/vector.h"

#include <float.h>
#include <string.h>

int64_t zg_cloud_numbers(int64_t n, int64_t d) {
  return 1 + d + n * d + n;
}

zg_cloud zg_cloud_at(double *memory, int64_t n, int64_t d) {
  return (zg_cloud){.n = n,
                    .d = d,
                    .squares = memory[0],
                    .mean = memory + 1,
                    .points = memory + 1 + d,
                    .norms = memory + 1 + d + n * d};
}

/* The mean, corrected by the mean deviation from it. The norms are scratch. */
static void find_mean(const zg_cloud *c, const double *points) {
  double *correction = c->points;
  memset(c->mean, 0, (size_t)c->d * sizeof *c->mean);
  memset(correction, 0, (size_t)c->d * sizeof *correction);
  for (int64_t i = 0; i < c->n; i++)
    for (int64_t k = 0; k < c->d; k++)
      c->mean[k] += points[i * c->d + k];
  for (int64_t k = 0; k < c->d; k++)
    c->mean[k] /= (double)c->n;
  for (int64_t i = 0; i < c->n; i++)
    for (int64_t k = 0; k < c->d; k++)
      correction[k] += points[i * c->d + k] - c->mean[k];
  for (int64_t k = 0; k < c->d; k++)
    c->mean[k] += correction[k] / (double)c->n;
}

zg_cloud zg_cloud_make(double *memory, int64_t n, int64_t d, const double *points) {
  memory[0] = 0;
  zg_cloud c = zg_cloud_at(memory, n, d);
  find_mean(&c, points);
  zg_slab slab = {.precision = ZG_DOUBLE, .data = points, .rows = n, .d = d};
  zg_centre_rows(&slab, c.mean, 1, ZG_DOUBLE, c.points, c.norms);
  for (int64_t i = 0; i < n; i++)
    c.squares += c.norms[i];
  memory[0] = c.squares;
  return c;
}

double zg_cloud_apart(const zg_cloud *a, const zg_cloud *b) {
  return zg_squared_difference(ZG_DOUBLE, a->d, 1, a->mean, 1, b->mean);
}

/* |x|^2 + sign 2 D.x for every point. */
static void point_terms(const zg_cloud *c, const zg_cloud *a, const zg_cloud *b,
                        double sign, double *terms) {
  for (int64_t i = 0; i < c->n; i++) {
    const double *x = c->points + i * c->d;
    double sum = 0;
    for (int64_t k = 0; k < c->d; k++)
      sum += (a->mean[k] - b->mean[k]) * x[k];
    terms[i] = c->norms[i] + sign * 2 * sum;
  }
}

zg_cloud_pair zg_cloud_pair_of(const zg_cloud *a, const zg_cloud *b, double *room) {
  zg_cloud_pair pair = {.a = a, .b = b, .left = room, .right = room + a->n};
  double apart = zg_cloud_apart(a, b);
  point_terms(a, a, b, 1, pair.left);
  point_terms(b, a, b, -1, pair.right);
  for (int64_t i = 0; i < a->n; i++)
    pair.left[i] += apart;
  return pair;
}

ZG_VECTOR
static void finish_row(int64_t count, double left, const double *restrict right,
                       double *restrict row) {
  const double rounding = 8 * DBL_EPSILON;
  for (int64_t k = 0; k < count; k++) {
    double size = left + right[k], squared = size - 2 * row[k];
    row[k] = squared > rounding * size ? squared : 0;
  }
}

void zg_cloud_distances(const zg_cloud_pair *pair, int64_t first, int64_t count,
                        double *distances) {
  int64_t m = pair->b->n, d = pair->a->d;
  zg_product(ZG_DOUBLE, m, count, d, 1, pair->b->points, d, pair->a->points + first * d,
             d, 0, distances, m);
  for (int64_t r = 0; r < count; r++)
    finish_row(m, pair->left[first + r], pair->right, distances + r * m);
}
