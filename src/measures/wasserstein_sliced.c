/** \file
 * Sliced Wasserstein: every item is projected on the same random directions, and the
 * projections are sorted, once. In one dimension the best transport keeps the order, so
 * the squared distance along a direction is the mean squared difference of sorted
 * projections, or with unequal n the integral of the squared difference of two step
 * functions. Differences are summed rather than products, so that near-equal items lose
 * no digits.
 *
 * Direction l of a seed has the components of normal numbers l 2^32, l 2^32 + 1, ...
 * (linalg/random.h), divided by their norm. */
#include "base/memory.h"
#include "linalg/blas.h"
#include "linalg/numbers.h"
#include "linalg/random.h"
#include "linalg/select.h"
#include "measures/wasserstein.h"

#include <math.h>
#include <stdlib.h>

static int64_t directions_of(const zg_call *call) {
  return (int64_t)zg_call_value(call, "projections");
}

/* [directions, n] sorted projections. */
static int64_t bytes(const zg_call *call, const zg_shape *shape) {
  return 8 * directions_of(call) * shape->n;
}

static int64_t preparing(const zg_call *call, const zg_shape *shape) {
  return 8 * (directions_of(call) * shape->d + 2 * shape->n);
}

static int64_t room(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  (void)call, (void)a, (void)b;
  return 0;
}

static double cost(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  return 3 * (double)directions_of(call) * (double)zg_max(a->n, b->n);
}

static void draw_direction(uint64_t seed, int64_t l, int64_t d, double *w) {
  zg_random_normals(seed, (uint64_t)l << 32, d, w);
  double length = sqrt(zg_squared_difference(ZG_DOUBLE, d, 1, w, 0, w));
  for (int64_t k = 0; k < d; k++)
    w[k] /= length;
}

static void prepare(const zg_pair_context *context, const zg_rows *rows, void *data,
                    zg_code *code) {
  (void)code;
  int64_t L = directions_of(context->call), n = rows->n, d = rows->d;
  uint64_t seed = (uint64_t)zg_call_value(context->call, "seed");
  double *W = ZG_NEW(double, L *d), *sorted = data;
  uint64_t *scratch = ZG_NEW(uint64_t, 2 * n);
  for (int64_t l = 0; l < L; l++)
    draw_direction(seed, l, d, W + l * d);
  zg_product(ZG_DOUBLE, n, L, d, 1, rows->values, d, W, d, 0, sorted, n);
  for (int64_t l = 0; l < L; l++)
    zg_sort(sorted + l * n, n, scratch);
  free(scratch);
  free(W);
}

/* Of unequal n. */
static double mean_of_integrals(int64_t L, const zg_comparison *pair) {
  int64_t n = pair->a.shapes->n, m = pair->b.shapes->n;
  const double *x = pair->a.data, *y = pair->b.data;
  double sum = 0;
  for (int64_t l = 0; l < L; l++)
    sum += zg_step_integral(n, x + l * n, m, y + l * m);
  return sum / (double)L;
}

/* Pairs of equal n share what of them is in the cache: run after run of all. */
static void compare_all(const zg_pair_context *context, int64_t count,
                        zg_comparison *pairs, void *none) {
  enum { RUN = 2048 };
  (void)none;
  int64_t L = directions_of(context->call), longest = 0;
  for (int64_t k = 0; k < count; k++) {
    int64_t n = pairs[k].a.shapes->n;
    if (n == pairs[k].b.shapes->n)
      longest = zg_max(longest, L * n);
    else
      pairs[k].terms[0] = mean_of_integrals(L, &pairs[k]);
  }
  for (int64_t first = 0; first < longest; first += RUN)
    for (int64_t k = 0; k < count; k++) {
      int64_t n = pairs[k].a.shapes->n, numbers = zg_min(RUN, L * n - first);
      if (n != pairs[k].b.shapes->n || numbers <= 0) continue;
      const double *x = pairs[k].a.data, *y = pairs[k].b.data;
      pairs[k].terms[0] +=
          zg_squared_difference(ZG_DOUBLE, numbers, 1, x + first, 1, y + first) /
          ((double)L * (double)n);
    }
}

const zg_pair_form zg_wasserstein_sliced = {.arrays = 1,
                                            .data = {ZG_ACTIVATIONS},
                                            .equal_d = true,
                                            .terms = 1,
                                            .bytes = bytes,
                                            .preparing = preparing,
                                            .room = room,
                                            .cost = cost,
                                            .prepare = prepare,
                                            .compare_all = compare_all};
