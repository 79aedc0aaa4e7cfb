#include "engine/store.h"

#include "base/log.h"
#include "base/memory.h"
#include "linalg/micro.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What the ranks measure, in arrays so that it can be shared at once. */
typedef struct partial {
  double *squares;  /* [N, groups] about the groups' own means */
  double *means;    /* per item: [groups, d] */
  double *largest;  /* [N] */
  double *heaviest; /* [N] squares of the heaviest row */
  int32_t *bad;     /* [N] non-finite numbers seen */
  int64_t sampled;  /* rows of an item that are measured; 0: all */
  int64_t done, tasks;
  zg_status status; /* of reading */
} partial;

/* The samples of an item are measured in groups of rows, each by one rank. How many
 * groups there are does not depend on the number of ranks, nor therefore do the bits.
 * With many items one group each keeps all ranks busy. */
static int64_t group_count(const zg_plan *plan) {
  return plan->items >= 32 ? 1 : 4;
}

/* What a thread measures with. Each has a reader of its own, as a slab is its reader's.
 */
typedef struct bench {
  zg_work *work;
  partial *found;
  zg_reader *reader;
  double *scratch; /* [2 widest] */
} bench;

/* One thread at a time: HDF5, the text of errors and the log know of no threads. After
 * an error nothing more is read. */
static zg_status read_rows(const bench *b, int64_t item, int64_t row, int64_t rows,
                           zg_slab *slab) {
  zg_status status;
#pragma omp critical(measuring)
  {
    status = b->found->status;
    if (status == ZG_OK) status = zg_work_go_on(b->work);
    if (status == ZG_OK) status = zg_reader_rows(b->reader, item, row, rows, slab);
    b->found->status = status;
  }
  return status;
}

/* Numbers that are looked at at a time: several times, so that they should stay in a
 * core's cache, and whole panels of rows, enough for a mean. */
enum { PIECE = 1 << 16, PIECE_ROWS = 2 * ZG_PANEL };

/* What becomes of rows that have been read. */
static void take_slab(const bench *b, int64_t item, int64_t row, const zg_slab *slab,
                      zg_moments *moments) {
  int64_t step = zg_max(PIECE_ROWS, zg_packed_rows(PIECE / slab->d));
  for (int64_t at = 0; at < slab->rows; at += step) {
    zg_slab piece = *slab;
    piece.data = zg_real_at(slab->precision, slab->data, at * slab->d);
    piece.rows = zg_min(step, slab->rows - at);
    zg_moments_add(moments, &piece, b->scratch);
    zg_store_put(b->work->store, item, row + at, &piece);
  }
}

/* All rows [first, end), or of these the group's share of a sample, spread evenly in
 * runs that are worth reading. */
static zg_status measure_rows(const bench *b, int64_t item, int64_t first, int64_t end,
                              zg_moments *moments) {
  const int64_t run = 64;
  int64_t rows = zg_reader_slab_rows(zg_work_width(b->work, item)), step = rows;
  if (b->found->sampled) {
    rows = zg_min(run, rows);
    step = zg_ceil_div(end - first,
                       b->found->sampled / group_count(b->work->run->plan) / rows);
    rows = zg_min(rows, step);
  }
  for (int64_t row = first; row < end; row += step) {
    zg_slab slab;
    ZG_TRY(read_rows(b, item, row, zg_min(rows, end - row), &slab));
    take_slab(b, item, row, &slab, moments);
  }
  return ZG_OK;
}

/* Where the means of each item's groups begin; the caller frees. */
static int64_t *mean_places(const zg_work *work) {
  const zg_plan *plan = work->run->plan;
  int64_t *places = ZG_NEW(int64_t, plan->items), at = 0;
  for (int64_t i = 0; i < plan->items; i++) {
    places[i] = at;
    at += group_count(plan) * zg_work_width(work, i);
  }
  return places;
}

static zg_code code_of(const zg_work *work, int64_t i, const partial *p,
                       double squares) {
  const zg_array *layer = &work->run->zoo->arrays[i];
  if (p->bad[i] || !isfinite(squares)) return ZG_CODE_NONFINITE;
  if (zg_is_constant(squares, work->run->plan->samples, layer->d,
                     zg_dtype_epsilon(layer->dtype), p->largest[i]))
    return ZG_CODE_ZERO_VARIANCE;
  return ZG_CODE_OK;
}

static zg_item describe(const zg_work *work, int64_t i, const partial *p, double *mean,
                        double squares) {
  zg_item item = {
      .mean = mean, .squares = squares, .code = code_of(work, i, p, squares)};
  if (zg_item_usable(&item)) {
    item.scale = 1 / sqrt(squares);
    item.heaviest = p->heaviest[i] / squares;
  }
  return item;
}

/* Measure one (item, group), whose mean there is room for. */
static void measure_task(const bench *b, int64_t task, double *mean) {
  const zg_plan *plan = b->work->run->plan;
  partial *p = b->found;
  int64_t groups = group_count(plan), i = task / groups, g = task % groups;
  zg_moments moments = {.mean = mean, .finite = true};
  int64_t first = zg_part(plan->samples, groups, g);
  int64_t end = zg_part(plan->samples, groups, g + 1);
  if (measure_rows(b, i, first, end, &moments) != ZG_OK) return;
#pragma omp critical(measuring)
  {
    p->squares[task] = moments.squares * ((double)(end - first) / (double)moments.rows);
    p->largest[i] = fmax(p->largest[i], moments.largest);
    p->heaviest[i] = fmax(p->heaviest[i], moments.heaviest);
    p->bad[i] |= !moments.finite;
    zg_progress("statistics", (double)++p->done / (double)p->tasks);
  }
  if (groups > 1) return; /* others have the rest of the item */
  zg_item item = describe(b->work, i, p, mean, p->squares[task]);
  zg_store_centre(b->work->store, i, &item);
}

/* Measure this rank's run of (item, group), on all of its threads. */
static zg_status measure_all(zg_work *work, partial *p) {
  const zg_plan *plan = work->run->plan;
  int rank, ranks;
  MPI_Comm_rank(work->run->comm, &rank);
  MPI_Comm_size(work->run->comm, &ranks);
  int64_t groups = group_count(plan), all = plan->items * groups;
  int64_t first = zg_part(all, ranks, rank), end = zg_part(all, ranks, rank + 1);
  int64_t *places = mean_places(work);
  p->tasks = end - first;
#pragma omp parallel num_threads(zg_threads())
  {
    bool leads = zg_thread() == 0;
    bench b = {.work = work,
               .found = p,
               .reader = leads ? work->reader : zg_reader_create(work->run->zoo),
               .scratch = ZG_NEW(double, 2 * plan->widest)};
#pragma omp for schedule(dynamic)
    for (int64_t t = first; t < end; t++)
      measure_task(&b, t,
                   p->means + places[t / groups] +
                       t % groups * zg_work_width(work, t / groups));
#pragma omp critical(measuring)
    if (!leads) zg_reader_absorb(work->reader, &b.reader);
    free(b.scratch);
  }
  free(places);
  return p->status;
}

/* Give every rank what each has measured; the sums add zeros. */
static void share(zg_work *work, partial *p) {
  const zg_plan *plan = work->run->plan;
  int64_t groups = group_count(plan);
  zg_sum_doubles(work->run->comm, p->means, groups * plan->features);
  zg_sum_doubles(work->run->comm, p->squares, groups * plan->items);
  zg_max_ints(work->run->comm, p->bad, plan->items);
  zg_max_doubles(work->run->comm, p->largest, plan->items);
  zg_max_doubles(work->run->comm, p->heaviest, plan->items);
}

/* Mean and squares of one item from those of its groups, in the groups' order (Chan et
 * al.). */
static double combine_groups(const zg_work *work, int64_t i, const double *means,
                             const double *squares, double *mean) {
  const zg_plan *plan = work->run->plan;
  int64_t groups = group_count(plan), d = zg_work_width(work, i);
  double total = squares[0];
  memcpy(mean, means, (size_t)d * sizeof *mean);
  for (int64_t g = 1; g < groups; g++) {
    double before = (double)zg_part(plan->samples, groups, g);
    double after = (double)zg_part(plan->samples, groups, g + 1), between = 0;
    for (int64_t k = 0; k < d; k++) {
      double step = means[g * d + k] - mean[k];
      between += step * step;
      mean[k] += step * ((after - before) / after);
    }
    total += squares[g] + between * before * (after - before) / after;
  }
  return total;
}

static void keep(zg_work *work, const partial *p) {
  int64_t groups = group_count(work->run->plan);
  double *mean = work->items.means;
  const double *means = p->means;
  for (int64_t i = 0; i < work->run->plan->items; i++) {
    double squares = combine_groups(work, i, means, p->squares + i * groups, mean);
    work->items.items[i] = describe(work, i, p, mean, squares);
    mean += zg_work_width(work, i);
    means += groups * zg_work_width(work, i);
  }
}

static zg_status measure(zg_work *work, int64_t sampled) {
  const zg_plan *plan = work->run->plan;
  int64_t N = plan->items, D = plan->features, groups = group_count(plan);
  partial p = {.sampled = sampled,
               .squares = ZG_NEW0(double, N *groups),
               .largest = ZG_NEW0(double, N),
               .heaviest = ZG_NEW0(double, N),
               .bad = ZG_NEW0(int32_t, N),
               .means = ZG_NEW0(double, D *groups)};
  work->items = (zg_items){.items = ZG_NEW0(zg_item, N), .means = ZG_NEW0(double, D)};
  int64_t before = zg_reader_read(work->reader);
  zg_phase_start(work, ZG_PHASE_READ);
  work->store = zg_store_create(work);
  zg_status status = zg_agree(work->run->comm, measure_all(work, &p));
  work->report->numbers_measured += zg_reader_read(work->reader) - before;
  if (status == ZG_OK) {
    share(work, &p);
    keep(work, &p);
    status = zg_store_finish(work->store, groups);
  }
  zg_phase_stop(work, ZG_PHASE_READ);
  free(p.squares);
  free(p.largest);
  free(p.heaviest);
  free(p.bad);
  free(p.means);
  return status;
}

zg_status zg_items_measure(zg_work *work) {
  return measure(work, 0);
}

zg_status zg_items_estimate(zg_work *work) {
  ZG_REQUIRE(!work->run->plan->resident);
  return measure(work, ZG_PLAN_SAMPLED);
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
    bool delicate = pass->spec.gram.batch || item->heaviest > heavy;
    item->precision = delicate ? ZG_DOUBLE : pass->precision;
  }
}
