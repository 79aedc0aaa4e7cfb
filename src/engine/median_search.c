/** \file
 * Exact medians by sweeps over the tiles. */
#include "engine/median_parts.h"

#include "base/memory.h"
#include "base/threads.h"
#include "base/watchdog.h"
#include "engine/step.h"
#include "linalg/bracket.h"
#include "linalg/numbers.h"
#include "linalg/select.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SLICES = ZG_MEDIAN_SLICES /* per sweep */ };

/* Numbers >= 0 have the order of their bits. */
static uint64_t key_of(double value) {
  uint64_t key;
  memcpy(&key, &value, sizeof key);
  return key;
}

static double value_of(uint64_t key) {
  double value;
  memcpy(&value, &key, sizeof value);
  return value;
}

/* The search for one item's upper middle value: it lies in [low, high), `below`
 * distances are smaller than low and `inside` are in the bracket (-1: not counted yet).
 */
typedef struct search {
  uint64_t low, high;
  int64_t below, inside;
  bool done;
} search;

typedef struct finder {
  zg_work *work;
  const double *quantiles; /* of the sample */
  zg_bracket *brackets;    /* [N] of the first sweep; NULL after it */
  double share;            /* of the pairs that come before the median */
  search *searches;        /* [N] of further ones */
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

/* Bits to drop so that the bracket has at most SLICES slices. */
static int slice_shift(const search *s) {
  int shift = 0;
  while ((s->high - s->low - 1) >> shift >= SLICES)
    shift++;
  return shift;
}

/* The ranks of 512 sampled rows stray by some per cent at most; a bracket that misses
 * only costs a sweep. */
static void start_search(const double *quantiles, search *s) {
  *s = (search){.low = key_of(quantiles[ZG_QUANTILES / 2 - ZG_QUANTILES / 16]),
                .high = key_of(quantiles[ZG_QUANTILES / 2 + ZG_QUANTILES / 16]) + 1,
                .inside = -1};
}

static void start_bracket(finder *f, int64_t i) {
  const search *s = &f->searches[i];
  zg_bracket_start(&f->brackets[i], value_of(s->low), value_of(s->high),
                   f->values + i * f->few, f->few);
}

/* Distances of a tile that lie in an item's bracket, at the front of f->distances and
 * in double. */
static int64_t bracketed(finder *f, int64_t i, int64_t entries, int64_t *below,
                         double *largest) {
  const search *s = &f->searches[i];
  double *distances = own_part(f, f->distances);
  if (f->work->items.items[i].precision == ZG_SINGLE) zg_widen(distances, entries);
  return zg_split(distances, entries, value_of(s->low), value_of(s->high), below,
                  largest);
}

static void count_distances(finder *f, int64_t i, int64_t entries) {
  const search *s = &f->searches[i];
  int64_t *counts = f->counts + i * (SLICES + 1), below;
  double largest;
  int64_t inside = bracketed(f, i, entries, &below, &largest);
  const double *distances = own_part(f, f->distances);
  int shift = slice_shift(s);
  for (int64_t k = 0; k < inside; k++)
    counts[1 + ((key_of(distances[k]) - s->low) >> shift)]++;
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
  const search *s = &f->searches[i];
  return s->inside >= 0 && (s->inside <= f->few || s->high - s->low == 1);
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
    if (!f->searches[i].done)
      zg_step_form(f->work, step, i, NULL, own_part(f, f->K), search_block, f);
  return ZG_OK;
}

/* Move the bracket to the slice of the wanted rank, or, when the rank is outside, to
 * what lies on that side. */
static void narrow(finder *f, int64_t i) {
  search *s = &f->searches[i];
  const int64_t *counts = f->counts + i * (SLICES + 1);
  int64_t below = counts[0], wanted = f->rank[1];
  if (wanted < below) {
    *s = (search){.low = 0, .high = s->low, .inside = -1};
    return;
  }
  int shift = slice_shift(s);
  for (int64_t k = 0; k < SLICES; k++) {
    if (wanted < below + counts[1 + k]) {
      uint64_t low = s->low + ((uint64_t)k << shift);
      uint64_t high = low + ((uint64_t)1 << shift);
      *s = (search){.low = low,
                    .high = high < s->high ? high : s->high,
                    .below = below,
                    .inside = counts[1 + k]};
      return;
    }
    below += counts[1 + k];
  }
  *s = (search){.low = s->high, .high = key_of(INFINITY), .inside = -1};
}

/* The two middle values from what was collected. The lower one is the neighbour of the
 * upper one, so it is either among them or the largest distance below. */
static double finish_search(finder *f, int64_t i) {
  search *s = &f->searches[i];
  double *values = f->values + i * f->few;
  int64_t upper_at = f->rank[1] - s->below, lower_at = f->rank[0] - s->below;
  bool tied = s->inside > f->few;
  double upper =
      tied ? value_of(s->low) : zg_order_statistic(values, s->inside, upper_at);
  double lower = upper;
  if (lower_at < 0)
    lower = f->rank[0] < 0 ? 0 : f->largest_below[i];
  else if (lower_at < upper_at && !tied)
    lower = zg_order_statistic(values, upper_at, lower_at);
  s->done = true;
  return 0.5 * (lower + upper);
}

/* Bring the values that the ranks have collected together, on every rank. */
static void gather_values(finder *f, int64_t i) {
  ZG_WAIT;
  int ranks, own = (int)f->collected[i];
  MPI_Comm_size(f->work->run->comm, &ranks);
  int *counts = ZG_NEW(int, 2 * ranks), *starts = counts + ranks;
  MPI_Allgather(&own, 1, MPI_INT, counts, 1, MPI_INT, f->work->run->comm);
  starts[0] = 0;
  for (int r = 1; r < ranks; r++)
    starts[r] = starts[r - 1] + counts[r - 1];
  double *mine = ZG_NEW(double, own);
  memcpy(mine, f->values + i * f->few, (size_t)own * sizeof *mine);
  MPI_Allgatherv(mine, own, MPI_DOUBLE, f->values + i * f->few, counts, starts,
                 MPI_DOUBLE, f->work->run->comm);
  free(mine);
  free(counts);
}

static void conclude(finder *f, zg_medians *medians) {
  MPI_Comm comm = f->work->run->comm;
  int64_t N = f->work->run->plan->items;
  zg_sum_counts(comm, f->counts, N * (SLICES + 1));
  zg_max_doubles(comm, f->largest_below, N);
  for (int64_t i = 0; i < N; i++) {
    if (f->searches[i].done) continue;
    if (is_narrow(f, i)) {
      gather_values(f, i);
      medians->median[i] = finish_search(f, i);
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
    search *s = &f->searches[i];
    s->low = key_of(low[i]);
    s->high = key_of(-minus_high[i]);
    if (s->low < s->high && !s->done)
      zg_bracket_restrict(&f->brackets[i], low[i], -minus_high[i]);
  }
  free(low);
  free(minus_high);
}

/* Where the wanted value is once all ranks' numbers are known: in the bracket, or on
 * which side of it; there the next sweep looks, as far as the sample went. */
static void place_search(finder *f, int64_t i, int64_t below, int64_t inside) {
  search *s = &f->searches[i], first;
  start_search(f->quantiles + i * ZG_QUANTILES, &first);
  int64_t wanted = f->rank[1];
  if (s->low >= s->high)
    *s = first;
  else if (wanted < below)
    *s = (search){
        .low = first.low < s->low ? first.low : 0, .high = s->low, .inside = -1};
  else if (wanted >= below + inside)
    *s = (search){.low = s->high,
                  .high = first.high > s->high ? first.high : key_of(INFINITY),
                  .inside = -1};
  else
    *s = (search){.low = s->low, .high = s->high, .below = below, .inside = inside};
}

static void place_searches(finder *f) {
  int64_t N = f->work->run->plan->items, *counts = ZG_NEW(int64_t, 2 * N);
  for (int64_t i = 0; i < N; i++) {
    counts[2 * i] = f->brackets[i].below;
    counts[2 * i + 1] = f->brackets[i].inside;
  }
  zg_sum_counts(f->work->run->comm, counts, 2 * N);
  for (int64_t i = 0; i < N; i++)
    if (!f->searches[i].done) place_search(f, i, counts[2 * i], counts[2 * i + 1]);
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
  const search *s = &f->searches[i];
  int64_t *counts = f->counts + i * (SLICES + 1);
  int shift = slice_shift(s);
  counts[0] = b->below;
  for (int64_t k = 0; k < b->inside; k++)
    counts[1 + ((key_of(b->values[k]) - s->low) >> shift)]++;
}

static bool is_placed(const finder *f, int64_t i) {
  return !f->searches[i].done && f->searches[i].inside >= 0;
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
        search *s = &f->searches[i];
        narrow(f, i);
        zg_bracket_restrict(&f->brackets[i], value_of(s->low), value_of(s->high));
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
      gather_values(f, i);
      medians->median[i] = finish_search(f, i);
    }
  memset(f->collected, 0, (size_t)N * sizeof *f->collected);
  memset(f->largest_below, 0, (size_t)N * sizeof *f->largest_below);
  free(f->brackets);
  f->brackets = NULL;
}

static bool all_done(const finder *f) {
  for (int64_t i = 0; i < f->work->run->plan->items; i++)
    if (!f->searches[i].done) return false;
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
                .searches = ZG_NEW0(search, N),
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
    f->searches[i].done = !zg_item_usable(&work->items.items[i]);
    start_bracket(f, i);
  }
}

static void destroy_finder(finder *f) {
  free(f->brackets);
  free(f->searches);
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
  zg_panels_create(work, ZG_CENTRE_ITEM, work->run->plan->items, work->run->plan->tile,
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
