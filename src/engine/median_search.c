/** \file
 * Exact medians by sweeps over the tiles. */
#include "engine/median_parts.h"

#include "base/memory.h"
#include "base/threads.h"
#include "base/watchdog.h"
#include "engine/step.h"
#include "linalg/bracket.h"
#include "linalg/core.h"
#include "linalg/numbers.h"
#include "linalg/search.h"
#include "linalg/select.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SLICES = ZG_MEDIAN_SLICES /* per sweep */ };

typedef struct finder {
  zg_work *work;
  zg_forming *forming;
  const double *quantiles; /* of the sample */
  zg_bracket *brackets;    /* [N] of the first sweep; NULL after it */
  double share;            /* of the pairs that come before the median */
  zg_search *searches;     /* [N] for the upper middle values, of further ones */
  bool *done;              /* [N] whose medians are known */
  bool *lost;      /* [N] whose bracket this rank's team has found not to hold it */
  int64_t rank[2]; /* of the two middle values among the pairs */
  int64_t *counts; /* [N, SLICES + 1]: below, then the slices; one sweep's */
  double *largest_below; /* [N]: the largest distance below the bracket */
  int64_t few;        /* so many distances per item are collected and selected from */
  double *values;     /* [N, few]: collected */
  int64_t *collected; /* [N] */
  int threads;
  int64_t size;               /* numbers of one tile, or of a strip of a team's */
  int64_t run;                /* distances that are looked at together */
  double *K;                  /* [threads, size] of either precision */
  double *distances, *inside; /* [threads, run], the first of either precision */
} finder;

/* The running thread's part of an array of so many numbers for each. */
static double *own_part(double *parts, int64_t numbers) {
  return parts + zg_thread() * numbers;
}

/* ---- a look at a block ---- */

/* What is done with a run of an item's distances. */
typedef void look(finder *f, int64_t i, zg_precision precision, int64_t count,
                  const void *distances);

/* Columns of a block whose distances are looked at together. */
static int64_t run_columns(const finder *f, const zg_block *block) {
  return zg_max(1, f->run / zg_max(1, block->rows));
}

static void look_at(finder *f, int64_t i, const zg_block *block, const zg_panel *rows,
                    const zg_panel *columns, look *see) {
  void *distances = own_part(f->distances, f->run);
  int64_t width = run_columns(f, block);
  for (int64_t c = 0; c < block->columns; c += width) {
    zg_block run = *block;
    run.values = zg_real_at(block->precision, block->values, c * block->leading);
    run.columns = zg_min(width, block->columns - c);
    run.column_of += c;
    zg_block_distances(&run, zg_panel_norms(rows, i), zg_panel_norms(columns, i),
                       distances);
    see(f, i, run.precision, zg_block_entries(&run), distances);
  }
}

/* ---- narrowing ---- */

/* The ranks of 512 sampled rows stray by some per cent at most; a bracket that misses
 * only costs a sweep. */
static void start_search(const double *quantiles, zg_search *s) {
  *s = (zg_search){.low = zg_key_of(quantiles[ZG_QUANTILES / 2 - ZG_QUANTILES / 16]),
                   .high =
                       zg_key_of(quantiles[ZG_QUANTILES / 2 + ZG_QUANTILES / 16]) + 1,
                   .inside = -1};
}

static void start_bracket(finder *f, int64_t i) {
  const zg_search *s = &f->searches[i];
  zg_bracket_start(&f->brackets[i], zg_value_of(s->low), zg_value_of(s->high),
                   f->values + i * f->few, f->few);
}

/* Numbers of an item's bracket into its slices. */
static void count_slices(finder *f, int64_t i, int64_t count, const double *numbers) {
  zg_search_count(&f->searches[i], count, numbers, SLICES,
                  f->counts + i * (SLICES + 1) + 1);
}

static void count_distances(finder *f, int64_t i, zg_precision precision, int64_t count,
                            const void *distances) {
  const zg_search *s = &f->searches[i];
  double *inside = own_part(f->inside, f->run), largest = 0;
  int64_t found = zg_bracket_split(precision, count, distances, zg_value_of(s->low),
                                   zg_value_of(s->high), f->counts + i * (SLICES + 1),
                                   &largest, inside);
  count_slices(f, i, found, inside);
}

static void collect_distances(finder *f, int64_t i, zg_precision precision,
                              int64_t count, const void *distances) {
  const zg_search *s = &f->searches[i];
  double *inside = own_part(f->inside, f->run);
  int64_t below = 0;
  int64_t found =
      zg_bracket_split(precision, count, distances, zg_value_of(s->low),
                       zg_value_of(s->high), &below, &f->largest_below[i], inside);
  if (s->inside > f->few) return; /* all are equal */
  memcpy(f->values + i * f->few + f->collected[i], inside,
         (size_t)found * sizeof *inside);
  f->collected[i] += found;
}

static void add_distances(finder *f, int64_t i, zg_precision precision, int64_t count,
                          const void *distances) {
  zg_bracket_add(&f->brackets[i], f->share, precision, count, distances);
}

static bool is_narrow(const finder *f, int64_t i) {
  return zg_search_is_narrow(&f->searches[i], f->few);
}

/* ---- one bracket for a team ---- */

/* What the ranks of a team have kept of an item and what they would keep of a block:
 * slices of all ranks are left in f->counts. */
typedef struct survey {
  int64_t seen; /* numbers of all ranks */
  int64_t most; /* in the bracket on one rank */
} survey;

static survey survey_block(finder *f, int64_t i, const zg_block *block,
                           const zg_panel *rows, const zg_panel *columns) {
  MPI_Comm team = f->work->team.comm;
  const zg_bracket *b = &f->brackets[i];
  int64_t *counts = f->counts + i * (SLICES + 1);
  survey found = {.seen = b->seen + zg_block_entries(block)};
  memset(counts, 0, (SLICES + 1) * sizeof *counts);
  counts[0] = b->below;
  count_slices(f, i, b->inside, b->values);
  look_at(f, i, block, rows, columns, count_distances);
  for (int64_t k = 1; k <= SLICES; k++)
    found.most += counts[k];
  ZG_WAIT;
  MPI_Allreduce(MPI_IN_PLACE, &found.most, 1, MPI_INT64_T, MPI_MAX, team);
  zg_sum_counts(team, &found.seen, 1);
  zg_sum_counts(team, counts, SLICES + 1);
  return found;
}

/* Make room on all ranks of a team for what a block of each adds: so that no rank has
 * to narrow its bracket by what it alone has seen. */
static void make_room(finder *f, int64_t i, const zg_block *block, const zg_panel *rows,
                      const zg_panel *columns) {
  zg_bracket *b = &f->brackets[i];
  zg_search *s = &f->searches[i];
  int64_t room = f->few - ZG_BRACKET_RUN, *counts = f->counts + i * (SLICES + 1);
  while (!f->lost[i] && !b->tied) {
    survey found = survey_block(f, i, block, rows, columns);
    if (found.most <= room) break;
    double wanted = f->share * (double)found.seen - (double)counts[0];
    double part = 0.75 * (double)room / (double)found.most;
    f->lost[i] = !zg_search_focus(s, wanted, part, SLICES, counts + 1);
    zg_bracket_restrict(b, zg_value_of(s->low), zg_value_of(s->high));
  }
  memset(counts, 0, (SLICES + 1) * sizeof *counts);
}

/* ---- sweeps ---- */

/* Take the distances of a block of an item's tile into account. */
static void search_block(void *context, int64_t i, zg_block *block,
                         const zg_panel *rows, const zg_panel *columns) {
  finder *f = context;
  bool first = f->brackets, narrow = is_narrow(f, i);
  if (first && f->work->team.size > 1) make_room(f, i, block, rows, columns);
  look_at(f, i, block, rows, columns,
          first    ? add_distances
          : narrow ? collect_distances
                   : count_distances);
}

static void search_item(finder *f, const zg_step *step, int64_t i) {
  zg_forming *forming = f->forming;
  zg_precision precision = f->work->items.items[i].precision;
  if (!forming->V || precision != forming->precision) {
    zg_step_form_strips(f->work, step, i, NULL, own_part(f->K, f->size), search_block,
                        f);
    return;
  }
  void *K = zg_real_at(precision, forming->V, i * forming->stride);
  if (!forming->formed) zg_step_form(f->work, step, i, NULL, K, NULL, NULL);
  zg_step_visit(f->work, step, i, K, search_block, f);
}

static zg_status visit(void *context, const zg_step *step) {
  finder *f = context;
  int64_t N = f->work->run->plan->items;
  zg_blas_share_threads(f->threads);
#pragma omp parallel for schedule(dynamic, 4) num_threads(f->threads)
  for (int64_t i = 0; i < N; i++)
    if (!f->done[i]) search_item(f, step, i);
  zg_blas_set_threads(zg_threads());
  f->forming->formed = f->forming->V && f->work->run->plan->panel_count == 1;
  return ZG_OK;
}

/* The median from what all ranks have collected. */
static void finish_search(finder *f, int64_t i, zg_medians *medians) {
  double *values = f->values + i * f->few;
  f->collected[i] = zg_gather_doubles(f->work->run->comm, values, f->collected[i]);
  medians->median[i] =
      zg_search_middle(&f->searches[i], f->rank, f->few, values, f->largest_below[i]);
  f->done[i] = true;
}

/* Go on with the slice that has the upper middle value. */
static void narrow(finder *f, int64_t i) {
  const int64_t *counts = f->counts + i * (SLICES + 1);
  zg_search_narrow(&f->searches[i], f->rank[1], counts[0], SLICES, counts + 1);
}

static void conclude(finder *f, zg_medians *medians) {
  MPI_Comm comm = f->work->run->comm;
  int64_t N = f->work->run->plan->items;
  zg_sum_counts(comm, f->counts, N * (SLICES + 1));
  zg_max_doubles(comm, f->largest_below, N);
  for (int64_t i = 0; i < N; i++) {
    if (f->done[i]) continue;
    if (is_narrow(f, i)) {
      finish_search(f, i, medians);
    } else {
      narrow(f, i);
    }
  }
  memset(f->counts, 0, (size_t)(N * (SLICES + 1)) * sizeof *f->counts);
}

/* ---- the end of the first sweep ---- */

/* The part of their brackets that all ranks have. */
static void intersect_brackets(finder *f) {
  int64_t N = f->work->run->plan->items;
  double *low = ZG_NEW(double, N), *minus_high = ZG_NEW(double, N);
  for (int64_t i = 0; i < N; i++) {
    low[i] = f->brackets[i].low;
    minus_high[i] = -f->brackets[i].high;
  }
  zg_max_doubles(f->work->run->comm, low, N);
  zg_max_doubles(f->work->run->comm, minus_high, N);
  for (int64_t i = 0; i < N; i++) {
    zg_search *s = &f->searches[i];
    s->low = zg_key_of(low[i]);
    s->high = zg_key_of(-minus_high[i]);
    if (s->low < s->high && !f->done[i])
      zg_bracket_restrict(&f->brackets[i], low[i], -minus_high[i]);
  }
  free(low);
  free(minus_high);
}

/* Where the wanted value is once all ranks' numbers are known: in the bracket, or on
 * which side of it; there the next sweep looks, as far as the sample went. */
static void place_search(finder *f, int64_t i, int64_t below, int64_t inside) {
  zg_search *s = &f->searches[i], first;
  start_search(f->quantiles + i * ZG_QUANTILES, &first);
  int64_t wanted = f->rank[1];
  if (s->low >= s->high)
    *s = first;
  else if (wanted < below)
    *s = (zg_search){
        .low = first.low < s->low ? first.low : 0, .high = s->low, .inside = -1};
  else if (wanted >= below + inside)
    *s = (zg_search){.low = s->high,
                     .high = first.high > s->high ? first.high : zg_key_of(INFINITY),
                     .inside = -1};
  else
    *s = (zg_search){.low = s->low, .high = s->high, .below = below, .inside = inside};
}

static void place_searches(finder *f) {
  int64_t N = f->work->run->plan->items, *counts = ZG_NEW(int64_t, 2 * N);
  for (int64_t i = 0; i < N; i++) {
    counts[2 * i] = f->brackets[i].below;
    counts[2 * i + 1] = f->brackets[i].inside;
  }
  zg_sum_counts(f->work->run->comm, counts, 2 * N);
  for (int64_t i = 0; i < N; i++)
    if (!f->done[i]) place_search(f, i, counts[2 * i], counts[2 * i + 1]);
  free(counts);
}

/* What a narrow bracket holds becomes what was collected. */
static void collect_bracket(finder *f, int64_t i) {
  zg_bracket *b = &f->brackets[i];
  f->largest_below[i] = b->largest_below;
  if (f->searches[i].inside > f->few) return; /* all are equal */
  for (int64_t k = 0; b->tied && k < b->inside; k++)
    b->values[k] = b->low;
  f->collected[i] = b->inside;
}

static void count_bracket(finder *f, int64_t i) {
  const zg_bracket *b = &f->brackets[i];
  f->counts[i * (SLICES + 1)] = b->below;
  count_slices(f, i, b->inside, b->values);
}

static bool is_placed(const finder *f, int64_t i) {
  return !f->done[i] && f->searches[i].inside >= 0;
}

/* Narrow what lies in the ranks' memory until it can be brought together. */
static void narrow_brackets(finder *f) {
  int64_t N = f->work->run->plan->items, wide = 1;
  while (wide) {
    wide = 0;
    for (int64_t i = 0; i < N; i++)
      if (is_placed(f, i) && !is_narrow(f, i)) {
        count_bracket(f, i);
        wide++;
      }
    if (wide) zg_sum_counts(f->work->run->comm, f->counts, N * (SLICES + 1));
    for (int64_t i = 0; i < N; i++)
      if (is_placed(f, i) && !is_narrow(f, i)) {
        zg_search *s = &f->searches[i];
        narrow(f, i);
        zg_bracket_restrict(&f->brackets[i], zg_value_of(s->low), zg_value_of(s->high));
      }
    memset(f->counts, 0, (size_t)(N * (SLICES + 1)) * sizeof *f->counts);
  }
}

/* Most medians are found here; what the ranks have lost is left to further sweeps. */
static void conclude_first(finder *f, zg_medians *medians) {
  int64_t N = f->work->run->plan->items;
  intersect_brackets(f);
  place_searches(f);
  narrow_brackets(f);
  for (int64_t i = 0; i < N; i++)
    if (is_placed(f, i)) collect_bracket(f, i);
  zg_max_doubles(f->work->run->comm, f->largest_below, N);
  for (int64_t i = 0; i < N; i++)
    if (is_placed(f, i)) {
      finish_search(f, i, medians);
    }
  memset(f->collected, 0, (size_t)N * sizeof *f->collected);
  memset(f->largest_below, 0, (size_t)N * sizeof *f->largest_below);
  free(f->brackets);
  f->brackets = NULL;
}

static bool all_done(const finder *f) {
  for (int64_t i = 0; i < f->work->run->plan->items; i++)
    if (!f->done[i]) return false;
  return true;
}

static void create_finder(zg_work *work, zg_forming *forming, const zg_medians *medians,
                          finder *f) {
  const zg_plan *plan = work->run->plan;
  int64_t N = plan->items, edge = zg_team_works(&work->team) ? plan->tile : 1;
  int64_t size = zg_tile_strip_largest(&work->team, edge);
  int64_t run = zg_plan_median_run(edge);
  int threads = work->team.size == 1 ? zg_threads() : 1;
  int64_t few = zg_plan_median_values(N, plan->samples);
  int64_t pairs = plan->samples * (plan->samples - 1) / 2;
  *f = (finder){.work = work,
                .forming = forming,
                .quantiles = medians->quantiles,
                .brackets = ZG_NEW(zg_bracket, N),
                .searches = ZG_NEW0(zg_search, N),
                .done = ZG_NEW0(bool, N),
                .lost = ZG_NEW0(bool, N),
                .counts = ZG_NEW0(int64_t, N * (SLICES + 1)),
                .largest_below = ZG_NEW0(double, N),
                .few = few,
                .values = ZG_NEW(double, N *few),
                .collected = ZG_NEW0(int64_t, N),
                .threads = threads,
                .size = size,
                .run = run,
                .K = ZG_NEW(double, threads *size),
                .distances = ZG_NEW(double, threads *run),
                .inside = ZG_NEW(double, threads *run)};
  zg_median_ranks(plan->samples, pairs, f->rank);
  f->share = (double)(f->rank[0] + f->rank[1] + 1) / 2 / (double)pairs;
  for (int64_t i = 0; i < N; i++) {
    start_search(medians->quantiles + i * ZG_QUANTILES, &f->searches[i]);
    f->done[i] = !zg_item_usable(&work->items.items[i]);
    start_bracket(f, i);
  }
}

static void destroy_finder(finder *f) {
  free(f->brackets);
  free(f->searches);
  free(f->done);
  free(f->lost);
  free(f->counts);
  free(f->largest_below);
  free(f->values);
  free(f->collected);
  free(f->K);
  free(f->distances);
  free(f->inside);
}

zg_status zg_medians_search(zg_work *work, const zg_pass *pass, zg_forming *forming,
                            zg_medians *medians) {
  finder f;
  create_finder(work, forming, medians, &f);
  zg_status status =
      zg_panels_open(work, pass, work->run->plan->items, &forming->panels);
  while (status == ZG_OK && !all_done(&f)) {
    status = zg_scattered_sweep(work, &forming->panels, pass, "medians", visit, &f);
    if (status == ZG_OK && f.brackets)
      conclude_first(&f, medians);
    else if (status == ZG_OK)
      conclude(&f, medians);
  }
  destroy_finder(&f);
  return status;
}
