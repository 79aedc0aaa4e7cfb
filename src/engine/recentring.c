#include "engine/recentring.h"

#include "base/memory.h"
#include "linalg/fixed.h"

#include <math.h>
#include <stdlib.h>

enum { LAID_OUT = 64 }; /* rows at a time */

/* Of the squares of all rows. */
static const double heaviest_row = 0.01;

void zg_recentring_create(const zg_work *work, int64_t capacity, zg_recentring *r) {
  int64_t N = work->run->plan->items, D = work->run->plan->features;
  *r = (zg_recentring){.work = work, .N = N, .D = D, .count = (N + 1) * D + 2 * N};
  r->numbers = ZG_NEW0(double, r->count);
  r->weighted = r->numbers;
  r->sums = r->weighted + N * D;
  r->traces = r->sums + D;
  r->heavy = r->traces + N;
  r->squares = ZG_NEW0(double, N);
  r->column = ZG_NEW0(int64_t, N);
  for (int64_t i = 1; i < N; i++)
    r->column[i] = r->column[i - 1] + zg_work_width(work, i - 1);
  r->rows = ZG_NEW(float, LAID_OUT *(N + 1));
  zg_scatter_create(ZG_SINGLE, N + 1, capacity, &r->weights);
}

void zg_recentring_clear(zg_recentring *r) {
  free(r->numbers);
  free(r->squares);
  free(r->column);
  free(r->rows);
  zg_scatter_clear(&r->weights);
  *r = (zg_recentring){0};
}

bool zg_recentring_suits(const zg_work *work) {
  for (int64_t i = 0; i < work->run->plan->items; i++) {
    const zg_item *item = &work->items.items[i];
    if (item->code == ZG_CODE_ZERO_VARIANCE || item->heaviest > heaviest_row)
      return false;
  }
  return true;
}

/* ---- rows ---- */

/* Rows [first, first + count) of the weights. */
static void lay_out(zg_recentring *r, const double *norms, int64_t first, int64_t count,
                    int64_t stride) {
  float constant = (float)(1 / sqrt((double)r->work->run->plan->samples));
  for (int64_t row = 0; row < count; row++) {
    float *to = r->rows + row * (r->N + 1);
    for (int64_t i = 0; i < r->N; i++)
      to[i] = (float)norms[i * stride + first + row];
    to[r->N] = constant;
  }
  zg_scatter_put(&r->weights, first, count, 0, r->N + 1, r->rows);
}

void zg_recentring_add(zg_recentring *r, zg_scatter *rows_of, const double *norms,
                       int64_t rows, int64_t stride) {
  for (int64_t first = 0; first < rows; first += LAID_OUT)
    lay_out(r, norms, first, zg_min(LAID_OUT, rows - first), stride);
  zg_scatter_cross(rows_of, &r->weights, rows, r->weighted);
  for (int64_t i = 0; i < r->N; i++) {
    double trace = 0, heavy = 0;
    for (int64_t row = 0; row < rows; row++) {
      double norm = norms[i * stride + row];
      trace += norm;
      heavy += !(norm <= heaviest_row / 2); /* or NaN */
    }
    r->traces[i] += zg_fixed_round(trace, 4);
    r->heavy[i] += heavy;
  }
}

/* ---- the end ---- */

/* The largest number that there can be: none lies far from the estimated mean. */
static double largest_number(const zg_item *item, int64_t d) {
  double largest = 0;
  for (int64_t k = 0; k < d; k++)
    largest = fmax(largest, fabs(item->mean[k]));
  return largest + sqrt(heaviest_row) / item->scale;
}

/* Whether the sample stood for an item: its variance is about that of the sample, its
 * means are near, and no row stands out. */
static bool is_good(const zg_recentring *r, const zg_item *item, int64_t i,
                    double trace, double shift) {
  const zg_array *layer = &r->work->run->zoo->arrays[i];
  int64_t n = r->work->run->plan->samples;
  double squares = trace / (item->scale * item->scale);
  return r->heavy[i] == 0 && trace >= 0.5 && trace <= 2 && shift <= trace / 16 &&
         !zg_is_constant(squares, n, layer->d, zg_dtype_epsilon(layer->dtype),
                         largest_number(item, layer->d));
}

/* Means of y instead of its sums; their squares; corrected traces. */
static bool judge(zg_recentring *r, const zg_items *items, double *traces) {
  double n = (double)r->work->run->plan->samples, *m = r->sums;
  bool good = true;
  for (int64_t k = 0; k < r->D; k++)
    r->sums[k] /= sqrt(n);
  for (int64_t i = 0; i < r->N; i++) {
    const zg_item *item = &items->items[i];
    int64_t d = zg_work_width(r->work, i);
    for (int64_t k = 0; k < d; k++)
      r->squares[i] += m[k] * m[k];
    traces[i] = 1;
    if (zg_item_usable(item)) {
      traces[i] = r->traces[i] - n * r->squares[i];
      good = good && is_good(r, item, i, traces[i], n * r->squares[i]);
    }
    m += d;
  }
  return good;
}

/* sum over rows of (Z - m)(Z - m)' = Z'Z - (sqrt(n) m) (sqrt(n) m)'. */
bool zg_recentring_finish(zg_recentring *r, zg_items *items, zg_scatter *scatter,
                          double *traces) {
  double n = (double)r->work->run->plan->samples;
  zg_sum_doubles(r->work->run->comm, r->numbers, r->count);
  if (!judge(r, items, traces)) return false;
  zg_scatter_subtract(scatter, n, r->sums);
  for (int64_t i = 0; i < r->N; i++) {
    zg_item *item = &items->items[i];
    if (zg_item_usable(item)) item->squares = traces[i] / (item->scale * item->scale);
  }
  return true;
}

static double dot(int64_t count, const double *x, const double *y) {
  double sum = 0;
  for (int64_t k = 0; k < count; k++)
    sum += x[k] * y[k];
  return sum;
}

/* m_i' Z_i'Z_k m_k of the corrected products. */
static double form_of(const zg_recentring *r, const zg_scatter *scatter, int64_t i,
                      int64_t k) {
  int64_t row = r->column[i], column = r->column[k];
  double sum = 0;
  for (int64_t a = 0; a < zg_work_width(r->work, i); a++)
    for (int64_t b = 0; b < zg_work_width(r->work, k); b++)
      sum += r->sums[row + a] * r->sums[column + b] *
             zg_scatter_at(scatter, row + a, column + b);
  return sum;
}

double zg_recentring_of_norms(const zg_recentring *r, const zg_scatter *scatter,
                              int64_t i, int64_t k) {
  double n = (double)r->work->run->plan->samples;
  int64_t at_i = r->column[i], at_k = r->column[k];
  double first =
      dot(zg_work_width(r->work, k), r->sums + at_k, r->weighted + i * r->D + at_k) +
      dot(zg_work_width(r->work, i), r->sums + at_i, r->weighted + k * r->D + at_i);
  double second = r->squares[k] * r->traces[i] + r->squares[i] * r->traces[k];
  return second - 2 * first + 4 * form_of(r, scatter, i, k) +
         n * r->squares[i] * r->squares[k];
}
