#include "engine/work.h"

#include "base/log.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One number per item from each rank, in arrays so that they can be combined at once.
 */
typedef struct partial {
  double *squares;  /* [N] about this rank's own means */
  double *largest;  /* [N] */
  double *heaviest; /* [N] squares of the heaviest row */
  int32_t *bad;     /* [N] non-finite numbers seen */
  double *means;    /* [D] of this rank's rows */
} partial;

static int64_t rows_of_rank(const zg_work *work, int64_t *first) {
  int rank, ranks;
  MPI_Comm_rank(work->run->comm, &rank);
  MPI_Comm_size(work->run->comm, &ranks);
  int64_t n = work->run->plan->samples;
  *first = zg_part(n, ranks, rank);
  return zg_part(n, ranks, rank + 1) - *first;
}

static zg_status measure_rows(zg_work *work, int64_t item, zg_moments *moments,
                              double *scratch) {
  int64_t first, rows = rows_of_rank(work, &first);
  int64_t step = zg_reader_slab_rows(zg_work_width(work, item));
  for (int64_t row = first; row < first + rows; row += step) {
    zg_slab slab;
    ZG_TRY(zg_reader_rows(work->reader, item, row, zg_min(step, first + rows - row),
                          &slab));
    zg_moments_add(moments, &slab, scratch);
  }
  return ZG_OK;
}

static zg_status measure_all(zg_work *work, partial *p) {
  const zg_plan *plan = work->run->plan;
  double *scratch = ZG_NEW(double, plan->widest), *mean = p->means;
  zg_status status = ZG_OK;
  for (int64_t i = 0; status == ZG_OK && i < plan->items; i++) {
    zg_moments moments = {.mean = mean, .finite = true};
    status = measure_rows(work, i, &moments, scratch);
    p->squares[i] = moments.squares;
    p->largest[i] = moments.largest;
    p->heaviest[i] = moments.heaviest;
    p->bad[i] = !moments.finite;
    mean += zg_work_width(work, i);
    zg_progress("statistics", (double)(i + 1) / (double)plan->items);
  }
  free(scratch);
  return status;
}

/* Means of all rows from those of each rank's, in work->items.means. */
static void combine_means(zg_work *work, const partial *p) {
  const zg_plan *plan = work->run->plan;
  int64_t first, rows = rows_of_rank(work, &first);
  double share = (double)rows / (double)plan->samples;
  for (int64_t k = 0; k < plan->features; k++)
    work->items.means[k] = rows ? share * p->means[k] : 0;
  zg_sum_doubles(work->run->comm, work->items.means, plan->features);
}

/* Squares about the common mean: those about the rank's own, and the step between the
 * two. */
static void combine_squares(zg_work *work, partial *p) {
  const zg_plan *plan = work->run->plan;
  int64_t first, rows = rows_of_rank(work, &first), at = 0;
  for (int64_t i = 0; i < plan->items; i++) {
    double between = 0;
    for (int64_t k = 0; k < zg_work_width(work, i); k++, at++) {
      double step = rows ? p->means[at] - work->items.means[at] : 0;
      between += step * step;
    }
    p->squares[i] += (double)rows * between;
  }
  zg_sum_doubles(work->run->comm, p->squares, plan->items);
  for (int64_t i = 0; i < plan->items; i++)
    p->bad[i] = p->bad[i] || !isfinite(p->squares[i]);
  zg_max_ints(work->run->comm, p->bad, plan->items);
  zg_max_doubles(work->run->comm, p->largest, plan->items);
  zg_max_doubles(work->run->comm, p->heaviest, plan->items);
}

static zg_code code_of(const zg_work *work, int64_t i, const partial *p) {
  const zg_layer *layer = &work->run->zoo->layers[i];
  if (p->bad[i]) return ZG_CODE_NONFINITE;
  if (zg_is_constant(p->squares[i], work->run->plan->samples, layer->d,
                     zg_dtype_epsilon(layer->dtype), p->largest[i]))
    return ZG_CODE_ZERO_VARIANCE;
  return ZG_CODE_OK;
}

static void keep(zg_work *work, const partial *p) {
  double *mean = work->items.means;
  for (int64_t i = 0; i < work->run->plan->items; i++) {
    zg_item *item = &work->items.items[i];
    *item =
        (zg_item){.mean = mean, .squares = p->squares[i], .code = code_of(work, i, p)};
    if (zg_item_usable(item)) {
      item->scale = 1 / sqrt(item->squares);
      item->heaviest = p->heaviest[i] / item->squares;
    }
    mean += zg_work_width(work, i);
  }
}

zg_status zg_items_measure(zg_work *work) {
  int64_t N = work->run->plan->items, D = work->run->plan->features;
  partial p = {.squares = ZG_NEW0(double, N),
               .largest = ZG_NEW0(double, N),
               .heaviest = ZG_NEW0(double, N),
               .bad = ZG_NEW0(int32_t, N),
               .means = ZG_NEW0(double, D)};
  work->items = (zg_items){.items = ZG_NEW0(zg_item, N), .means = ZG_NEW0(double, D)};
  zg_phase_start(work, ZG_PHASE_READ);
  zg_status status = zg_agree(work->run->comm, measure_all(work, &p));
  zg_phase_stop(work, ZG_PHASE_READ);
  if (status == ZG_OK) {
    combine_means(work, &p);
    combine_squares(work, &p);
    keep(work, &p);
  }
  free(p.squares);
  free(p.largest);
  free(p.heaviest);
  free(p.bad);
  free(p.means);
  return status;
}

void zg_items_clear(zg_items *items) {
  free(items->items);
  free(items->means);
  *items = (zg_items){0};
}

void zg_items_choose_precision(zg_work *work, const zg_pass *pass) {
  const double heavy = 0.1;
  for (int64_t i = 0; i < work->run->plan->items; i++) {
    zg_item *item = &work->items.items[i];
    bool delicate = pass->batch || item->heaviest > heavy;
    item->precision = delicate ? ZG_DOUBLE : pass->precision;
  }
}
