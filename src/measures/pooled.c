#include "measures/pooled.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/watchdog.h"
#include "grid/comm.h"
#include "linalg/cloud.h"
#include "linalg/numbers.h"
#include "linalg/search.h"
#include "linalg/select.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  SLICES = 1 << 16,    /* that a sweep tells apart */
  FEW = 1 << 20,       /* so many distances are collected and selected from */
  LEAST_ROWS = 4,      /* fewer have no part */
  BLOCK = 64,          /* rows whose distances are formed at a time */
  RUN_BYTES = 16 << 20 /* of the clouds of a run of items */
};

typedef struct finder {
  const zg_sharing *sharing;
  int64_t first, items, rows; /* arrays of the zoo */
  int64_t run;                /* items of a run */
  int rank, ranks;
  zg_cloud *clouds[2]; /* two runs; n = 0 where an item has no part */
  double *storage[2];
  int64_t held[2]; /* which run; -1: none */
  double *room, *distances;
  zg_search search; /* for the upper middle value */
  int64_t *counts;  /* [SLICES] */
  bool collecting;
  double *values; /* [FEW] in the bracket */
  int64_t collected;
  double largest_below;
} finder;

/* ---- rows ---- */

static int64_t rows_of(const finder *f, int64_t item) {
  const zg_zoo *zoo = f->sharing->zoo;
  int64_t n = zg_zoo_rows(zoo, &zoo->arrays[f->first + item]);
  return n < LEAST_ROWS ? 0 : zg_min(n, f->rows);
}

static int64_t width_of(const finder *f, int64_t item) {
  return f->sharing->zoo->arrays[f->first + item].d;
}

static int64_t numbers_of(const finder *f, int64_t item) {
  return zg_cloud_numbers(rows_of(f, item), width_of(f, item));
}

/* The first rows of an item; an empty cloud when they have no finite distances. */
static zg_status load_item(finder *f, int64_t item, double *memory, zg_cloud *cloud) {
  int64_t n = rows_of(f, item), d = width_of(f, item);
  double *points = ZG_NEW(double, n *d);
  zg_status status =
      zg_reader_doubles(f->sharing->reader, f->first + item, 0, n, points);
  *cloud = (zg_cloud){.d = d};
  if (status == ZG_OK && n && zg_can_be_squared(n * d, points))
    *cloud = zg_cloud_make(memory, n, d, points);
  free(points);
  return status;
}

static int64_t run_end(const finder *f, int64_t run) {
  return zg_min(f->items, (run + 1) * f->run);
}

static zg_status load_run(finder *f, int side, int64_t run) {
  if (f->held[side] == run) return ZG_OK;
  double *memory = f->storage[side];
  f->held[side] = run;
  for (int64_t i = run * f->run; i < run_end(f, run); i++) {
    ZG_TRY(load_item(f, i, memory, &f->clouds[side][i - run * f->run]));
    memory += numbers_of(f, i);
  }
  return ZG_OK;
}

/* ---- distances ---- */

/* Take distances into account; those in the bracket move to the front. */
static void take(finder *f, double *distances, int64_t count) {
  int64_t below;
  double largest;
  const zg_search *s = &f->search;
  int64_t inside = zg_split(distances, count, zg_value_of(s->low), zg_value_of(s->high),
                            &below, &largest);
  f->largest_below = fmax(f->largest_below, largest);
  if (f->collecting) {
    memcpy(f->values + f->collected, distances, (size_t)inside * sizeof *distances);
    f->collected += inside;
    return;
  }
  zg_search_count(s, inside, distances, SLICES, f->counts);
}

/* All pairs of rows of two clouds; of one cloud with itself, each pair once. */
static void take_pair(finder *f, const zg_cloud *a, const zg_cloud *b, bool same) {
  zg_cloud_pair pair = zg_cloud_pair_of(a, b, f->room);
  for (int64_t row = 0; row < a->n; row += BLOCK) {
    int64_t rows = zg_min(BLOCK, a->n - row), count = 0;
    zg_cloud_distances(&pair, row, rows, f->distances);
    for (int64_t r = 0; r < rows; r++) {
      int64_t length = same ? row + r : b->n;
      memmove(f->distances + count, f->distances + r * b->n,
              (size_t)length * sizeof(double));
      count += length;
    }
    take(f, f->distances, count);
  }
}

static zg_status take_block(finder *f, int64_t row, int64_t column) {
  if (f->sharing->should_stop()) return zg_fail(ZG_STOPPED, "stopped before the end");
  ZG_TRY(load_run(f, 0, row));
  ZG_TRY(load_run(f, 1, column));
  for (int64_t i = row * f->run; i < run_end(f, row); i++)
    for (int64_t k = column * f->run; k < run_end(f, column) && k <= i; k++) {
      const zg_cloud *a = &f->clouds[0][i - row * f->run];
      const zg_cloud *b = &f->clouds[1][k - column * f->run];
      if (a->n && b->n && a->d == b->d) take_pair(f, a, b, i == k);
    }
  return ZG_OK;
}

/* Blocks of pairs of runs go around the ranks. */
static zg_status sweep(finder *f) {
  int64_t runs = zg_ceil_div(f->items, f->run), block = 0;
  zg_status status = ZG_OK;
  f->collected = 0;
  f->largest_below = 0;
  memset(f->counts, 0, SLICES * sizeof *f->counts);
  for (int64_t row = 0; row < runs; row++)
    for (int64_t column = 0; column <= row; column++, block++) {
      if (block % f->ranks != f->rank || status != ZG_OK) continue;
      status = take_block(f, row, column);
      zg_progress("medians",
                  (double)(block + 1) / ((double)runs * (double)(runs + 1) / 2));
    }
  return zg_agree(f->sharing->comm, status);
}

/* ---- the search ---- */

/* Rows that have a part, and pairs of them: on every rank. */
static zg_status count_rows(finder *f, int64_t *rows, int64_t *pairs) {
  int64_t *counts = ZG_NEW0(int64_t, f->items);
  zg_status status = ZG_OK;
  for (int64_t i = f->rank; status == ZG_OK && i < f->items; i += f->ranks) {
    zg_cloud cloud;
    status = load_item(f, i, f->storage[0], &cloud);
    counts[i] = cloud.n;
  }
  status = zg_agree(f->sharing->comm, status);
  if (status == ZG_OK) zg_sum_counts(f->sharing->comm, counts, f->items);
  *rows = *pairs = 0;
  for (int64_t i = 0; i < f->items; i++) {
    *rows += counts[i];
    *pairs += counts[i] * (counts[i] - 1) / 2;
    for (int64_t k = 0; k < i; k++)
      if (width_of(f, i) == width_of(f, k)) *pairs += counts[i] * counts[k];
  }
  free(counts);
  return status;
}

/* What the ranks have collected, on every rank. */
static void gather(finder *f) {
  f->collected = zg_gather_doubles(f->sharing->comm, f->values, f->collected);
  zg_max_doubles(f->sharing->comm, &f->largest_below, 1);
}

/* The mean of the pairs of these ranks, which are neighbours or equal; a rank of -1 is
 * a zero of the diagonal. */
static zg_status find(finder *f, const int64_t rank[2], double *median) {
  zg_search *s = &f->search;
  while (!zg_search_is_narrow(s, FEW)) {
    ZG_TRY(sweep(f));
    zg_sum_counts(f->sharing->comm, f->counts, SLICES);
    zg_search_narrow(s, rank[1], s->below, SLICES, f->counts);
  }
  bool tied = s->inside > FEW;
  if (!tied || rank[0] < s->below) {
    f->collecting = !tied;
    ZG_TRY(sweep(f));
    gather(f);
  }
  *median = zg_search_middle(s, rank, FEW, f->values, f->largest_below);
  return ZG_OK;
}

/* ---- its life ---- */

static void create(const zg_sharing *sharing, zg_data data, int64_t rows, finder *f) {
  const zg_zoo *zoo = sharing->zoo;
  int64_t largest = 1, most = 1;
  *f = (finder){.sharing = sharing,
                .first = zoo->first[data],
                .items = zoo->first[data + 1] - zoo->first[data],
                .rows = rows,
                .search = {.high = zg_key_of(INFINITY)},
                .held = {-1, -1},
                .counts = ZG_NEW(int64_t, SLICES),
                .values = ZG_NEW(double, FEW)};
  MPI_Comm_rank(sharing->comm, &f->rank);
  MPI_Comm_size(sharing->comm, &f->ranks);
  for (int64_t i = 0; i < f->items; i++) {
    largest = zg_max(largest, numbers_of(f, i));
    most = zg_max(most, rows_of(f, i));
  }
  int64_t runs = (int64_t)ceil(sqrt(8 * f->ranks)); /* some blocks for every rank */
  f->run = zg_min(zg_ceil_div(f->items, runs), RUN_BYTES / (8 * largest));
  f->run = zg_max(1, f->run);
  for (int side = 0; side < 2; side++) {
    f->clouds[side] = ZG_NEW0(zg_cloud, f->run);
    f->storage[side] = ZG_NEW(double, f->run *largest);
  }
  f->room = ZG_NEW(double, 2 * most);
  f->distances = ZG_NEW(double, BLOCK *most);
}

static void destroy(finder *f) {
  for (int side = 0; side < 2; side++) {
    free(f->clouds[side]);
    free(f->storage[side]);
  }
  free(f->room);
  free(f->distances);
  free(f->counts);
  free(f->values);
}

zg_status zg_pooled_median(const zg_sharing *sharing, zg_data data, int64_t rows,
                           double *median) {
  finder f;
  int64_t count, pairs, ranks[2];
  *median = 0;
  create(sharing, data, rows, &f);
  zg_status status = count_rows(&f, &count, &pairs);
  zg_median_ranks(count, pairs, ranks); /* rows have zeros on the diagonal */
  f.search.inside = pairs;
  if (status == ZG_OK && count && ranks[1] >= 0) status = find(&f, ranks, median);
  destroy(&f);
  return status;
}

int64_t zg_pooled_bytes(const zg_zoo *zoo, zg_data data, int64_t rows) {
  int64_t largest = 0, most = 0;
  for (int64_t k = zoo->first[data]; k < zoo->first[data + 1]; k++) {
    int64_t n = zg_min(rows, zg_zoo_rows(zoo, &zoo->arrays[k]));
    largest = zg_max(largest, 8 * zg_cloud_numbers(n, zoo->arrays[k].d));
    most = zg_max(most, n);
  }
  int64_t items = zoo->first[data + 1] - zoo->first[data];
  int64_t run = zg_max(largest, zg_min(RUN_BYTES, items * largest));
  return 2 * run + largest + 8 * (BLOCK + 2) * most + 8 * SLICES + 16 * (int64_t)FEW;
}
