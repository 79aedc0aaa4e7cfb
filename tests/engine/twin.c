#include "engine/twin.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

static long double distance(const zg_twin_item *item, int64_t a, int64_t b) {
  long double sum = 0;
  for (int64_t k = 0; k < item->d; k++) {
    long double step = (long double)item->features[a * item->d + k] -
                       (long double)item->features[b * item->d + k];
    sum += step * step;
  }
  return sum;
}

static int compare(const void *a, const void *b) {
  long double x = *(const long double *)a, y = *(const long double *)b;
  return (x > y) - (x < y);
}

long double zg_twin_median(const zg_twin_item *item) {
  /* Every pair stands twice in the matrix, so its middle values are found among the
   * n(n-1)/2 pairs, after the n zeros of the diagonal. */
  int64_t n = item->n, count = 0;
  long double *pairs = ZG_NEW(long double, n *(n - 1) / 2);
  for (int64_t a = 0; a < n; a++)
    for (int64_t b = 0; b < a; b++)
      pairs[count++] = distance(item, a, b);
  qsort(pairs, (size_t)count, sizeof *pairs, compare);
  int64_t middle[2] = {(n * n - 1) / 2, n * n / 2};
  long double sum = 0;
  for (int k = 0; k < 2; k++)
    sum += middle[k] < n ? 0 : pairs[(middle[k] - n) / 2];
  free(pairs);
  return sum / 2;
}

static long double *linear_kernel(const zg_twin_item *item) {
  int64_t n = item->n, d = item->d;
  long double *K = ZG_NEW0(long double, n *n);
  for (int64_t a = 0; a < n; a++)
    for (int64_t b = 0; b < n; b++)
      for (int64_t k = 0; k < d; k++)
        K[a * n + b] +=
            (long double)item->features[a * d + k] * item->features[b * d + k];
  return K;
}

static long double *rbf_kernel(const zg_twin_item *item, double bandwidth) {
  int64_t n = item->n;
  long double *K = ZG_NEW(long double, n *n);
  long double width = 2 * (long double)bandwidth * bandwidth * zg_twin_median(item);
  for (int64_t a = 0; a < n; a++)
    for (int64_t b = 0; b < n; b++)
      K[a * n + b] = expl(-distance(item, a, b) / width);
  return K;
}

/* H K H in place. */
static void centre(long double *K, int64_t n) {
  long double *mean = ZG_NEW0(long double, n), all = 0;
  for (int64_t a = 0; a < n; a++) {
    for (int64_t b = 0; b < n; b++)
      mean[a] += K[a * n + b] / (long double)n;
    all += mean[a] / (long double)n;
  }
  for (int64_t a = 0; a < n; a++)
    for (int64_t b = 0; b < n; b++)
      K[a * n + b] += all - mean[a] - mean[b];
  free(mean);
}

/* tr(K H L H) / (n-1)^2; K and L are centred. Gretton 2005, eq. 9. */
static long double biased(const long double *K, const long double *L, int64_t n) {
  long double sum = 0;
  for (int64_t k = 0; k < n * n; k++)
    sum += K[k] * L[k];
  return sum / (long double)((n - 1) * (n - 1));
}

/* Song 2012, eq. 5, literally; K and L need not be centred. */
static long double debiased(const long double *K, const long double *L, int64_t n) {
  long double product = 0, all_k = 0, all_l = 0, rows = 0, m = (long double)n;
  for (int64_t a = 0; a < n; a++) {
    long double row_k = 0, row_l = 0;
    for (int64_t b = 0; b < n; b++) {
      if (a == b) continue;
      product += K[a * n + b] * L[a * n + b];
      row_k += K[a * n + b];
      row_l += L[a * n + b];
    }
    all_k += row_k;
    all_l += row_l;
    rows += row_k * row_l;
  }
  return (product + all_k * all_l / ((m - 1) * (m - 2)) - 2 / (m - 2) * rows) /
         (m * (m - 3));
}

/* HSIC of all pairs on all samples as one. The debiased form is shift-invariant, but
 * loses digits where the means are large: kernels are centred for it, too. */
static void add_hsic(const zg_twin_item *items, int64_t count, double bandwidth,
                     long double (*hsic_of)(const long double *, const long double *,
                                            int64_t),
                     long double weight, long double *hsic) {
  int64_t n = items[0].n;
  long double **K = ZG_NEW(long double *, count);
  for (int64_t i = 0; i < count; i++) {
    K[i] = bandwidth > 0 ? rbf_kernel(&items[i], bandwidth) : linear_kernel(&items[i]);
    centre(K[i], n);
  }
  for (int64_t i = 0; i < count; i++)
    for (int64_t k = 0; k < count; k++)
      hsic[i * count + k] += weight * hsic_of(K[i], K[k], n);
  for (int64_t i = 0; i < count; i++)
    free(K[i]);
  free(K);
}

static void add_batches(const zg_twin_item *items, int64_t count, double bandwidth,
                        int64_t batch, long double *hsic) {
  int64_t n = items[0].n;
  long double weights = 0;
  zg_twin_item *part = ZG_NEW(zg_twin_item, count);
  for (int64_t first = 0; n - first >= 4; first += batch) {
    int64_t rows = zg_min(batch, n - first);
    long double weight = (long double)rows * (long double)(rows - 3);
    for (int64_t i = 0; i < count; i++)
      part[i] =
          (zg_twin_item){items[i].features + first * items[i].d, rows, items[i].d};
    add_hsic(part, count, bandwidth, debiased, weight, hsic);
    weights += weight;
  }
  for (int64_t k = 0; k < count * count; k++)
    hsic[k] /= weights;
  free(part);
}

void zg_twin_hsic(const zg_twin_item *items, int64_t count, double bandwidth,
                  zg_twin_estimator estimator, int64_t batch, long double *hsic) {
  for (int64_t k = 0; k < count * count; k++)
    hsic[k] = 0;
  if (estimator == ZG_TWIN_MINIBATCH)
    add_batches(items, count, bandwidth, batch, hsic);
  else
    add_hsic(items, count, bandwidth, estimator == ZG_TWIN_BIASED ? biased : debiased,
             1, hsic);
}
