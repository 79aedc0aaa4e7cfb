/** \file
 * Exact medians by sweeps over the tiles. */
#include "engine/median_parts.h"

#include "base/memory.h"
#include "base/threads.h"
#include "base/watchdog.h"
#include "engine/step.h"
#include "linalg/bracket.h"
#include "linalg/numbers.h"
#include "linalg/search.h"
#include "linalg/select.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SLICES = ZG_MEDIAN_SLICES /* per sweep */ };

typedef struct finder {
  zg_work *work;
  const double *quantiles; /* of the sample */
  zg_bracket *brackets;    /* [N] of the first sweep; NULL after it */
  double share;            /* of the pairs that come before the median */
  zg_search *searches;     /* [N] for the upper middle values, of further ones */
  bool *done;              /* [N] whose medians are known */
  int64_t rank[2];         /* of the two middle values among the pairs */
  int64_t *counts;         /* [N, SLICES + 1]: below, then the slices; one sweep's */
  double *largest_below;   /* [N]: the largest distance below the bracket */
  int64_t few;        /* so many distances per item are collected and selected from */
  double *values;     /* [N, few]: collected */
  int64_t *collected; /* [N] */
  int threads;
  int64_t size;          /* numbers of one tile */
  double *K, *distances; /* [threads, size] of either precision */
} finder;

/* The running thread's part of K or distances. */
static void *own_part(const finder *f, double *parts) {
  return parts + zg_thread() * f->size;
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

/* Distances of a tile that lie in an item's bracket, at the front of f->distances and
 * in double. */
static int64_t bracketed(finder *f, int64_t i, int64_t entries, int64_t *below,
                         double *largest) {
  const zg_search *s = &f->searches[i];
  double *distances = own_part(f, f->distances);
  if (f->work->items.items[i].precision == ZG_SINGLE) zg_widen(distances, entries);
  return zg_split(distances, entries, zg_value_of(s->low), zg_value_of(s->high), below,
                  largest);
}

static void count_distances(finder *f, int64_t i, int64_t entries) {
  const zg_search *s = &f->searches[i];
  int64_t *counts = f->counts + i * (SLICES + 1), below;
  double largest;
  int64_t inside = bracketed(f, i, entries, &below, &largest);
  const double *distances = own_part(f, f->distances);
  zg_search_count(s, inside, distances, SLICES, counts + 1);
  counts[0] += below;
}

static void collect_distances(finder *f, int64_t i, int64_t entries) {
  int64_t below;
  double largest;
  int64_t inside = bracketed(f, i, entries, &below, &largest);
  f->largest_below[i] = fmax(f->largest_below[i], largest);
  if (f->searches[i].inside > f->few) return; /* all are equal */
  memcpy(f->values + i * f->few + f->collected[i], own_part(f, f->distances),
         (size_t)inside * sizeof *f->values);
  f->collected[i] += inside;
}

static bool is_narrow(const finder *f, int64_t i) {
  return zg_search_is_narrow(&f->searches[i], f->few);
}

/* Take the distances of a block of an item's tile into account. */
static void search_block(void *context, int64_t i, zg_block *block,
                         const zg_panel *rows, const zg_panel *columns) {
  finder *f = context;
  void *distances = own_part(f, f->distances);
  zg_block_distances(block, zg_panel_norms(rows, i), zg_panel_norms(columns, i),
                     distances);
  int64_t entries = zg_block_entries(block);
  if (f->brackets)
    zg_bracket_add(&f->brackets[i], f->share, block->precision, entries, distances);
  else if (is_narrow(f, i))
    collect_distances(f, i, entries);
  else
    count_distances(f, i, entries);
}

static zg_status visit(void *context, const zg_step *step) {
  finder *f = context;
  int64_t N = f->work->run->plan->items;
#pragma omp parallel for schedule(dynamic, 4) num_threads(f->threads)
  for (int64_t i = 0; i < N; i++)
    if (!f->done[i])
      zg_step_form(f->work, step, i, NULL, own_part(f, f->K), search_block, f);
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
  const zg_search *s = &f->searches[i];
  int64_t *counts = f->counts + i * (SLICES + 1);
  counts[0] = b->below;
  zg_search_count(s, b->inside, b->values, SLICES, counts + 1);
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

static void create_finder(zg_work *work, const zg_medians *medians, finder *f) {
  const zg_plan *plan = work->run->plan;
  int64_t N = plan->items;
  int64_t size =
      zg_team_works(&work->team) ? zg_tile_largest(&work->team, plan->tile) : 1;
  int threads = work->team.size == 1 ? zg_threads() : 1;
  int64_t few = zg_plan_median_values(N, plan->samples);
  int64_t pairs = plan->samples * (plan->samples - 1) / 2;
  *f = (finder){.work = work,
                .quantiles = medians->quantiles,
                .brackets = ZG_NEW(zg_bracket, N),
                .searches = ZG_NEW0(zg_search, N),
                .done = ZG_NEW0(bool, N),
                .counts = ZG_NEW0(int64_t, N * (SLICES + 1)),
                .largest_below = ZG_NEW0(double, N),
                .few = few,
                .values = ZG_NEW(double, N *few),
                .collected = ZG_NEW0(int64_t, N),
                .threads = threads,
                .size = size,
                .K = ZG_NEW(double, threads *size),
                .distances = ZG_NEW(double, threads *size)};
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
  free(f->counts);
  free(f->largest_below);
  free(f->values);
  free(f->collected);
  free(f->K);
  free(f->distances);
}

zg_status zg_medians_search(zg_work *work, const zg_pass *pass, zg_medians *medians) {
  finder f;
  zg_panels panels;
  zg_status status = ZG_OK;
  create_finder(work, medians, &f);
  zg_panels_create(work, ZG_CENTRE_ITEM, work->run->plan->tile,
                   zg_plan_packs(work->run->plan, pass), &panels);
  while (status == ZG_OK && !all_done(&f)) {
    status = zg_scattered_sweep(work, &panels, pass, "medians", visit, &f);
    if (status == ZG_OK && f.brackets)
      conclude_first(&f, medians);
    else if (status == ZG_OK)
      conclude(&f, medians);
  }
  zg_panels_destroy(&panels);
  destroy_finder(&f);
  return status;
}
