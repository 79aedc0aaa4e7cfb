#include "engine/median_parts.h"

#include "base/memory.h"
#include "linalg/kernel.h"
#include "linalg/select.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE_ROWS = 512 /* where they are not all */ };

/* ---- the sample ---- */

static int64_t sample_size(int64_t n) {
  return n <= ZG_PLAN_MEDIAN_ALL ? n : SAMPLE_ROWS;
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Squared distances of a sample. \return how many. */
static int64_t sample_distances(int64_t d, int64_t rows, const double *X,
                                const double *norms, double *distances) {
  double *K = ZG_NEW(double, rows *rows);
  int64_t *position = ZG_NEW(int64_t, rows);
  for (int64_t a = 0; a < rows; a++)
    position[a] = a;
  zg_self_product(ZG_DOUBLE, rows, d, 1, X, d, 0, K, rows);
  zg_block block = {.precision = ZG_DOUBLE,
                    .values = K,
                    .rows = rows,
                    .columns = rows,
                    .leading = rows,
                    .row_of = position,
                    .column_of = position,
                    .diagonal = true};
  int64_t count = zg_block_entries(&block);
  zg_block_distances(&block, norms, norms, distances);
  free(position);
  free(K);
  return count;
}

/* Quantiles of so many of the distances: they are spread over all pairs, and which rows
 * the sample has matters more. */
static void find_quantiles(const double *distances, int64_t count, double *quantiles) {
  enum { MOST = 8192 };
  int64_t taken = zg_min(MOST, count);
  double *some = ZG_NEW(double, taken);
  for (int64_t k = 0; k < taken; k++)
    some[k] = distances[zg_part(count, taken, k)];
  qsort(some, (size_t)taken, sizeof *some, compare_doubles);
  for (int64_t q = 0; q < ZG_QUANTILES; q++)
    quantiles[q] = some[(taken - 1) * q / (ZG_QUANTILES - 1)];
  free(some);
}

static zg_status sample_item(zg_work *work, int64_t i, zg_medians *medians) {
  int64_t n = work->run->plan->samples, rows = sample_size(n);
  int64_t d = zg_work_width(work, i);
  double *X = ZG_NEW(double, rows *d);
  double *norms = ZG_NEW(double, rows);
  zg_status status = zg_sample_read(work, i, rows, ZG_DOUBLE, X, norms);
  if (status == ZG_OK) {
    double *distances = ZG_NEW(double, rows *(rows - 1) / 2);
    int64_t count = sample_distances(d, rows, X, norms, distances);
    find_quantiles(distances, count, medians->quantiles + i * ZG_QUANTILES);
    if (rows == n) medians->median[i] = zg_distance_median(distances, n);
    free(distances);
  }
  free(norms);
  free(X);
  return status;
}

/* Items are dealt out to all ranks, also to idle ones. */
static zg_status sample_all(zg_work *work, zg_medians *medians) {
  int rank, ranks;
  MPI_Comm_rank(work->run->comm, &rank);
  MPI_Comm_size(work->run->comm, &ranks);
  int64_t N = work->run->plan->items;
  zg_status status = ZG_OK;
  for (int64_t i = rank; status == ZG_OK && i < N; i += ranks)
    if ((status = zg_work_go_on(work)) == ZG_OK &&
        zg_item_usable(&work->items.items[i]))
      status = sample_item(work, i, medians);
  ZG_TRY(zg_agree(work->run->comm, status));
  zg_sum_doubles(work->run->comm, medians->quantiles, N * ZG_QUANTILES);
  zg_sum_doubles(work->run->comm, medians->median, N);
  return ZG_OK;
}

/* The rounding of a product is some epsilon a, with a = 1/n the mean squared norm. It
 * must be small beside 2 t^2 m, or it shifts the kernel's exponent, and beside the
 * spread of the distances, which is all that is left of the kernel once it is centred.
 */
static void choose_precision(zg_work *work, const zg_pass *pass,
                             const zg_medians *medians) {
  const double exponent_margin = 0.05, spread_margin = 0.2;
  double n = (double)work->run->plan->samples, t = pass->spec.gram.bandwidth;
  for (int64_t i = 0; i < work->run->plan->items; i++) {
    const double *quantile = medians->quantiles + i * ZG_QUANTILES;
    double spread = quantile[ZG_QUANTILES * 9 / 10] - quantile[ZG_QUANTILES / 10];
    double median = quantile[ZG_QUANTILES / 2];
    if (n * t * t * median < exponent_margin || n * spread < spread_margin)
      work->items.items[i].precision = ZG_DOUBLE;
  }
}

static double time_of_others(const zg_work *work) {
  const zg_timer *phases = work->report->phases;
  return phases[ZG_PHASE_READ].total + phases[ZG_PHASE_FORM].total +
         phases[ZG_PHASE_KERNEL].total;
}

zg_status zg_medians_find(zg_work *work, const zg_pass *pass, zg_forming *forming,
                          zg_medians *medians) {
  const zg_plan *plan = work->run->plan;
  *medians = (zg_medians){.median = ZG_NEW0(double, plan->items),
                          .quantiles = ZG_NEW0(double, plan->items *ZG_QUANTILES)};
  double others = time_of_others(work); /* phases on the way, which count themselves */
  zg_phase_start(work, ZG_PHASE_MEDIAN);
  zg_status status = sample_all(work, medians);
  if (status == ZG_OK) choose_precision(work, pass, medians);
  if (status == ZG_OK && sample_size(plan->samples) < plan->samples)
    status = pass->spec.gram.sampled ? zg_medians_sample(work, medians)
                                     : zg_medians_search(work, pass, forming, medians);
  zg_phase_stop(work, ZG_PHASE_MEDIAN);
  work->report->phases[ZG_PHASE_MEDIAN].total -= time_of_others(work) - others;
  return status;
}

void zg_medians_clear(zg_medians *medians) {
  free(medians->median);
  free(medians->quantiles);
  *medians = (zg_medians){0};
}
