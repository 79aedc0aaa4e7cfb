/** \file
 * Medians of the distances of some samples: `median: sampled`. */
#include "engine/median_parts.h"

#include "base/memory.h"
#include "linalg/bracket.h"
#include "linalg/kernel.h"
#include "linalg/select.h"

#include <math.h>
#include <stdlib.h>

/* ---- rows ---- */

static zg_status read_run(zg_work *work, int64_t i, int64_t row, int64_t rows,
                          zg_precision precision, void *to, double *norms) {
  const zg_item *item = &work->items.items[i];
  int64_t d = zg_work_width(work, i), step = zg_reader_slab_rows(d);
  for (int64_t done = 0; done < rows; done += step) {
    zg_slab slab;
    ZG_TRY(
        zg_reader_rows(work->reader, i, row + done, zg_min(step, rows - done), &slab));
    zg_centre_rows(&slab, item->mean, item->scale, precision,
                   zg_real_at(precision, to, done * d), norms + done);
  }
  return ZG_OK;
}

zg_status zg_sample_read(zg_work *work, int64_t i, int64_t rows, zg_precision precision,
                         void *X, double *norms) {
  int64_t n = work->run->plan->samples, d = zg_work_width(work, i);
  if (rows == n) return read_run(work, i, 0, n, precision, X, norms);
  int64_t runs = rows / ZG_SAMPLE_RUN, stride = zg_scattering_stride(runs);
  for (int64_t k = 0; k < runs; k++) {
    int64_t place = k * stride % runs;
    int64_t row = (n - ZG_SAMPLE_RUN) * place / zg_max(1, runs - 1);
    ZG_TRY(read_run(work, i, row, ZG_SAMPLE_RUN, precision,
                    zg_real_at(precision, X, k * ZG_SAMPLE_RUN * d),
                    norms + k * ZG_SAMPLE_RUN));
  }
  return ZG_OK;
}

/* ---- medians ---- */

/* How many samples: fewer of very wide layers, so that they fit into memory. */
static int64_t rows_for(int64_t n, int64_t d) {
  const int64_t numbers = (int64_t)1 << 23, least = 512;
  int64_t most = zg_max(least, zg_min(ZG_MEDIAN_ROWS, numbers / d));
  return n <= most ? n : most / ZG_SAMPLE_RUN * ZG_SAMPLE_RUN;
}

/* The rows of a sample and room for the products of some with the others. */
typedef struct sample {
  zg_precision precision;
  int64_t rows, d;
  void *X, *K, *distances;
  double *norms;
  int64_t *positions;
} sample;

static void create_sample(const zg_work *work, int64_t i, sample *s) {
  int64_t d = zg_work_width(work, i), rows = rows_for(work->run->plan->samples, d);
  zg_precision precision = work->items.items[i].precision;
  size_t real = zg_real_size(precision);
  *s = (sample){.precision = precision,
                .rows = rows,
                .d = d,
                .X = zg_alloc_large(rows * d, real),
                .K = zg_alloc_large(rows * ZG_PLAN_MEDIAN_COLUMNS, real),
                .distances = zg_alloc_large(rows * ZG_PLAN_MEDIAN_COLUMNS, real),
                .norms = ZG_NEW(double, rows),
                .positions = ZG_NEW(int64_t, rows)};
  for (int64_t a = 0; a < rows; a++)
    s->positions[a] = a;
}

static void destroy_sample(sample *s) {
  free(s->X);
  free(s->K);
  free(s->distances);
  free(s->norms);
  free(s->positions);
}

/* Squared distances of all pairs into the bracket, a run of columns at a time. */
static void add_distances(sample *s, double share, zg_bracket *bracket) {
  for (int64_t first = 0; first < s->rows; first += ZG_PLAN_MEDIAN_COLUMNS) {
    int64_t columns = zg_min(ZG_PLAN_MEDIAN_COLUMNS, s->rows - first),
            rows = s->rows - first;
    const void *X = zg_real_at(s->precision, s->X, first * s->d);
    zg_product(s->precision, rows, columns, s->d, 1, X, s->d, X, s->d, 0, s->K, rows);
    zg_block block = {.precision = s->precision,
                      .values = s->K,
                      .rows = rows,
                      .columns = columns,
                      .leading = rows,
                      .row_of = s->positions + first,
                      .column_of = s->positions + first,
                      .diagonal = true};
    zg_block_distances(&block, s->norms, s->norms, s->distances);
    zg_bracket_add(bracket, share, s->precision, zg_block_entries(&block),
                   s->distances);
  }
}

/* The mean of the values of both ranks if they are in the bracket, or next to it. */
static bool select_median(const zg_bracket *b, const int64_t rank[2], double *median) {
  int64_t upper_at = rank[1] - b->below, lower_at = rank[0] - b->below;
  if (upper_at < 0 || upper_at >= b->inside) return false;
  double upper = b->tied ? b->low : zg_order_statistic(b->values, b->inside, upper_at);
  double lower = upper;
  if (lower_at < 0)
    lower = rank[0] < 0 ? 0 : b->largest_below;
  else if (lower_at < upper_at && !b->tied)
    lower = zg_order_statistic(b->values, upper_at, lower_at);
  *median = 0.5 * (lower + upper);
  return true;
}

/* With room for a part of the distances, or, where that loses the median, for all. */
static double median_of(sample *s, const double *quantiles) {
  const int64_t some = (int64_t)1 << 18;
  int64_t rank[2], pairs = s->rows * (s->rows - 1) / 2;
  zg_median_ranks(s->rows, pairs, rank);
  double share = (double)(rank[0] + rank[1] + 1) / 2 / (double)pairs, median;
  double low = quantiles[ZG_QUANTILES * 7 / 16],
         high = quantiles[ZG_QUANTILES * 9 / 16];
  for (int64_t room = zg_min(some, pairs);; room = pairs, low = 0, high = INFINITY) {
    int64_t length = room + 2 * ZG_BRACKET_RUN;
    double *values = ZG_NEW(double, length);
    zg_bracket bracket;
    zg_bracket_start(&bracket, low, nextafter(high, INFINITY), values, length);
    add_distances(s, share, &bracket);
    bool found = select_median(&bracket, rank, &median);
    free(values);
    if (found) return median;
  }
}

static zg_status find_median(zg_work *work, int64_t i, zg_medians *medians) {
  sample s;
  create_sample(work, i, &s);
  zg_status status = zg_sample_read(work, i, s.rows, s.precision, s.X, s.norms);
  if (status == ZG_OK)
    medians->median[i] = median_of(&s, medians->quantiles + i * ZG_QUANTILES);
  destroy_sample(&s);
  return status;
}

zg_status zg_medians_sample(zg_work *work, zg_medians *medians) {
  int rank, ranks;
  MPI_Comm_rank(work->run->comm, &rank);
  MPI_Comm_size(work->run->comm, &ranks);
  int64_t N = work->run->plan->items;
  zg_status status = ZG_OK;
  for (int64_t i = 0; i < N; i++)
    medians->median[i] = 0;
  for (int64_t i = rank; status == ZG_OK && i < N; i += ranks)
    if ((status = zg_work_go_on(work)) == ZG_OK &&
        zg_item_usable(&work->items.items[i]))
      status = find_median(work, i, medians);
  ZG_TRY(zg_agree(work->run->comm, status));
  zg_sum_doubles(work->run->comm, medians->median, N);
  return ZG_OK;
}
