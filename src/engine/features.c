#include "engine/features.h"

#include "base/log.h"
#include "base/memory.h"
#include "engine/recentring.h"
#include "engine/sweep.h"
#include "linalg/scatter.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CENTRED = 1 << 13 }; /* numbers that are centred at a time, or a row */

/* A pass in progress; everything is owned. */
typedef struct features {
  zg_work *work;
  const zg_pass *pass;
  zg_precision precision;
  int64_t most;       /* rows of a slice that are multiplied at a time */
  zg_scatter scatter; /* of their centred features, all items side by side */
  zg_pairs norms;     /* sums of a_i.a_j times n, both triangles */
  double *traces;     /* [N] of kernels */
  bool once;          /* centres are estimates */
  zg_recentring recentring;
  zg_sums sums;

  double *row_norms; /* [N, rows] */
  int64_t room;      /* numbers of one item that are centred at a time */
  void *rows;        /* [threads, room] these, before they are laid out */
} features;

static double heaviest_share(const zg_work *work) {
  double heaviest = 0;
  for (int64_t i = 0; i < work->run->plan->items; i++)
    heaviest = fmax(heaviest, work->items.items[i].heaviest);
  return heaviest;
}

bool zg_features_suit(const zg_work *work, const zg_pass *pass) {
  const double most = 0.5;
  return !pass->needs[ZG_UCENTRED] || heaviest_share(work) < most;
}

/* The pass's precision, or double where one sample outweighs the others of an item:
 * what U-centring leaves is then small beside what it subtracts. */
static zg_precision choose_precision(const zg_work *work, const zg_pass *pass) {
  const double heavy = 0.02;
  return heaviest_share(work) > heavy ? ZG_DOUBLE : pass->precision;
}

static void create(zg_work *work, const zg_pass *pass, bool once, features *f) {
  const zg_plan *plan = work->run->plan;
  zg_precision precision = choose_precision(work, pass);
  size_t real = zg_real_size(precision);
  /* What is in double though the plan has it in single takes no more memory. */
  int64_t rows = pass->piece, room = zg_max(CENTRED, plan->widest);
  int64_t most =
      zg_max(1, rows * (int64_t)zg_real_size(pass->precision) / (int64_t)real);
  *f = (features){.work = work,
                  .pass = pass,
                  .precision = precision,
                  .most = most,
                  .once = once,
                  .traces = ZG_NEW(double, plan->items),
                  .row_norms = ZG_NEW(double, plan->items *rows),
                  .room = room,
                  .rows = zg_alloc(zg_threads() * room, real)};
  zg_pairs_create(&work->solo, plan->items, &f->norms);
  zg_scatter_create(precision, plan->features, most, &f->scatter);
  f->sums = (zg_sums){.pairs = {&f->norms},
                      .vectors = {f->scatter.sums},
                      .lengths = {f->scatter.count}};
  for (int64_t i = 0; i < plan->items; i++)
    f->traces[i] = 1;
  if (!once) return;
  zg_recentring_create(work, rows, &f->recentring);
  f->sums.vectors[1] = f->recentring.numbers;
  f->sums.lengths[1] = f->recentring.count;
}

static void destroy(features *f) {
  zg_pairs_destroy(&f->norms);
  zg_scatter_clear(&f->scatter);
  zg_recentring_clear(&f->recentring);
  free(f->traces);
  free(f->row_norms);
  free(f->rows);
}

/* Rows of a width that are centred at a time. */
static int64_t centred_rows(int64_t d) {
  return zg_max(1, zg_min(64, CENTRED / d));
}

/* Centre rows of one item, a few at a time, so that they do not leave the cache on
 * their way to the scatter's. */
static void centre(features *f, const zg_item *item, const zg_slab *slab, int64_t row,
                   int64_t column, double *norms) {
  int64_t step = centred_rows(slab->d);
#pragma omp parallel for schedule(static) num_threads(zg_threads())
  for (int64_t done = 0; done < slab->rows; done += step) {
    void *rows = zg_real_at(f->precision, f->rows, zg_thread() * f->room);
    zg_slab few = *slab;
    few.rows = zg_min(step, slab->rows - done);
    few.data = zg_real_at(slab->precision, slab->data, done * slab->d);
    zg_centre_rows(&few, item->mean, item->scale, f->precision, rows, norms + done);
    zg_scatter_put(&f->scatter, row + done, few.rows, column, slab->d, rows);
  }
}

/* Rows of one item, from this column on; zeros where it cannot be used.
 * \param [out] norms  of these rows. */
static zg_status load_item(features *f, int64_t i, int64_t column, int64_t first,
                           int64_t rows, double *norms) {
  zg_work *work = f->work;
  const zg_item *item = &work->items.items[i];
  int64_t d = zg_work_width(work, i), step = zg_reader_slab_rows(d);
  if (!zg_item_usable(item)) memset(norms, 0, (size_t)rows * sizeof *norms);
  for (int64_t done = 0; zg_item_usable(item) && done < rows; done += step) {
    zg_slab slab;
    ZG_TRY(zg_reader_rows(work->reader, i, first + done, zg_min(step, rows - done),
                          &slab));
    centre(f, item, &slab, done, column, norms + done);
  }
  return ZG_OK;
}

/* Rows [first + done, first + done + rows) of a slice that begins with the first. */
static zg_status load(features *f, int64_t first, int64_t done, int64_t rows) {
  int64_t column = 0;
  for (int64_t i = 0; i < f->work->run->plan->items; i++) {
    double *norms = f->row_norms + i * f->pass->piece + done;
    ZG_TRY(load_item(f, i, column, first + done, rows, norms));
    column += zg_work_width(f->work, i);
  }
  return ZG_OK;
}

/* What is likely to come next is fetched while this is worked on. */
static void expect(features *f, int64_t task) {
  int64_t first, rows;
  if (task >= f->pass->tasks) return;
  zg_plan_rows(f->work->run->plan, f->pass, task, &first, &rows);
  for (int64_t i = 0; i < f->work->run->plan->items; i++)
    zg_reader_expect(f->work->reader, i, first, rows);
}

static zg_status add_rows(features *f, int64_t first, int64_t done, int64_t rows) {
  zg_phase_start(f->work, ZG_PHASE_READ);
  zg_status status = load(f, first, done, rows);
  zg_phase_stop(f->work, ZG_PHASE_READ);
  if (status != ZG_OK) return status;
  zg_phase_start(f->work, ZG_PHASE_REDUCE);
  zg_scatter_add(&f->scatter, rows);
  zg_phase_stop(f->work, ZG_PHASE_REDUCE);
  return ZG_OK;
}

static zg_status visit(void *context, int64_t task) {
  features *f = context;
  zg_work *work = f->work;
  const zg_plan *plan = work->run->plan;
  int64_t first, rows;
  zg_plan_rows(plan, f->pass, task, &first, &rows);
  for (int64_t done = 0; done < rows; done += f->most)
    ZG_TRY(add_rows(f, first, done, zg_min(f->most, rows - done)));
  expect(f, task + 1);
  zg_phase_start(work, ZG_PHASE_REDUCE);
  zg_pairs_add_vectors((double)plan->samples, f->row_norms, rows, f->pass->piece,
                       &f->norms);
  if (f->once)
    zg_recentring_add(&f->recentring, &f->scatter, f->row_norms, rows, f->pass->piece);
  zg_phase_stop(work, ZG_PHASE_REDUCE);
  double D = (double)plan->features;
  work->report->flop += D * D * (double)rows;
  return ZG_OK;
}

/* ---- from products of features to those of items ---- */

/* F(X_i' X_k)^2 for k <= i: the block below the diagonal. */
static double block_norm(const features *f, int64_t row, int64_t height, int64_t column,
                         int64_t width) {
  double sum = 0;
  for (int64_t c = column; c < column + width; c++)
    for (int64_t r = zg_max(row, c); r < row + height; r++) {
      double x = zg_scatter_at(&f->scatter, r, c);
      sum += row == column && r > c ? 2 * x * x : x * x;
    }
  return sum;
}

/* Of kernels whose traces are 1. */
static double ucentred(const features *f, double product, int64_t i, int64_t k) {
  double n = (double)f->work->run->plan->samples;
  int64_t at = i * f->norms.n + k;
  double norms = (f->norms.coarse[at] + f->norms.fine[at]) / n;
  if (f->once) norms += zg_recentring_of_norms(&f->recentring, &f->scatter, i, k);
  norms /= f->traces[i] * f->traces[k];
  double both = zg_item_usable(&f->work->items.items[i]) &&
                zg_item_usable(&f->work->items.items[k]);
  return product - n / (n - 2) * norms + both / ((n - 1) * (n - 2));
}

static void create_gram(const features *f, zg_gram *gram) {
  const zg_plan *plan = f->work->run->plan;
  int64_t N = plan->items;
  double n = (double)plan->samples;
  double noise = 8 * (f->precision == ZG_SINGLE ? FLT_EPSILON : DBL_EPSILON);
  *gram = (zg_gram){
      .scale = ZG_NEW(double, N),
      .code = ZG_NEW(zg_code, N),
      .floor = ZG_NEW(double, N),
      .weight = {[ZG_CENTRED] = (n - 1) * (n - 1), [ZG_UCENTRED] = n * (n - 3)}};
  for (int64_t i = 0; i < N; i++) {
    gram->scale[i] = f->work->items.items[i].squares;
    gram->code[i] = f->work->items.items[i].code;
    gram->floor[i] = noise * noise;
  }
}

/* The products of the items that this rank owns with all others, in the order of rows.
 */
static void set_products(const features *f, zg_centring centring, zg_gram *gram) {
  const zg_team *team = &f->work->solo;
  int64_t N = f->work->run->plan->items, row = 0;
  zg_pairs *product = &gram->product[centring];
  zg_pairs_create(team, N, product);
  product->by_rows = true;
  product->own = zg_part(N, team->teams, team->team);
  product->owned = zg_part(N, team->teams, team->team + 1) - product->own;
  gram->self[centring] = ZG_NEW0(double, N);
  for (int64_t i = 0; i < product->own + product->owned; i++) {
    int64_t height = zg_work_width(f->work, i), column = 0;
    for (int64_t k = 0; i >= product->own && k <= i; k++) {
      int64_t width = zg_work_width(f->work, k);
      double value = block_norm(f, row, height, column, width);
      value /= f->traces[i] * f->traces[k];
      if (centring == ZG_UCENTRED) value = ucentred(f, value, i, k);
      product->coarse[i * N + k] = value;
      if (k >= product->own) product->coarse[k * N + i] = value;
      column += width;
    }
    if (i >= product->own) gram->self[centring][i] = product->coarse[i * N + i];
    row += height;
  }
  zg_sum_doubles(f->work->run->comm, gram->self[centring], N);
}

/* \return whether the centres were good enough. */
static bool finish(features *f, zg_gram *gram) {
  zg_work *work = f->work;
  zg_phase_start(work, ZG_PHASE_COMBINE);
  zg_sum_doubles(work->run->comm, f->scatter.sums, f->scatter.count);
  zg_pairs_sum(&work->solo, &f->norms);
  bool good = !f->once || zg_recentring_finish(&f->recentring, &work->items,
                                               &f->scatter, f->traces);
  if (good) create_gram(f, gram);
  for (int c = 0; good && c < ZG_CENTRINGS; c++)
    if (f->pass->needs[c]) set_products(f, (zg_centring)c, gram);
  zg_phase_stop(work, ZG_PHASE_COMBINE);
  return good;
}

/* \param [in] index  for checkpoints. */
static zg_status compute(zg_work *work, int64_t index, const zg_pass *pass, bool once,
                         zg_gram *gram, bool *good) {
  features f;
  bool resumed;
  create(work, pass, once, &f);
  zg_status status = zg_state_begin(work->state, index, pass->tasks, &f.sums, &resumed);
  zg_deal deal = {.team = &work->solo, .tasks = pass->tasks};
  if (status == ZG_OK) status = zg_sweep(work, &deal, "slices", &f.sums, visit, &f);
  if (status == ZG_OK) status = zg_state_finish(work->state, &work->solo, &f.sums);
  if (status == ZG_OK) *good = finish(&f, gram);
  destroy(&f);
  return status;
}

zg_status zg_features_compute(zg_work *work, int64_t index, const zg_pass *pass,
                              zg_gram *gram, zg_gram_fn *visit_band, void *context) {
  bool good;
  *gram = (zg_gram){0};
  ZG_TRY(compute(work, index, pass, false, gram, &good));
  return visit_band(context, gram);
}

/* Shards would have to agree on whether the sample was good. */
zg_status zg_features_once(zg_work *work, int64_t index, const zg_pass *pass,
                           zg_gram *gram, zg_gram_fn *visit_band, void *context,
                           bool *done) {
  const zg_run *run = work->run;
  const zg_plan *plan = run->plan;
  int64_t other_index = index + zg_plan_bands(plan) * plan->pass_count;
  *gram = (zg_gram){0};
  *done = false;
  if (!pass->once || work->items.items || run->part || run->part_count) return ZG_OK;
  ZG_TRY(zg_items_estimate(work));
  if (zg_recentring_suits(work)) {
    ZG_TRY(compute(work, other_index, pass, true, gram, done));
    if (*done) return visit_band(context, gram);
    zg_note("pass %lld: a sample does not stand for all rows: they are read again",
            (long long)index + 1);
  }
  zg_items_clear(&work->items);
  return ZG_OK;
}
