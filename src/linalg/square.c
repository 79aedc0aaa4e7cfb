#include "linalg/square.h"

#include "base/memory.h"
#include "base/threads.h"
#include "linalg/fixed.h"
#include "linalg/micro.h"
#include "linalg/vector.h"

#include <string.h>

enum {
  /* Strips that bring one panel into the cache while they are multiplied. */
  AHEAD_STRIPS = 2 * ZG_PANEL_STRIPS,
  /* Strips of columns that stay in the cache, 384 KiB of it, while panels of rows go
   * by. */
  STRIPS = 2 * AHEAD_STRIPS
};

int64_t zg_square_size(int64_t rows, int64_t columns) {
  return zg_packed_rows(rows) * zg_packed_rows(columns);
}

void zg_square_clear(const zg_square *s) {
  size_t size = (size_t)zg_square_size(s->rows, s->columns);
  memset(s->blocks, 0, size * sizeof *s->blocks);
}

/* Strips of columns that a panel of rows is multiplied with. */
static int64_t strips_of(const zg_square *s, int64_t panel) {
  int64_t strips = zg_ceil_div(s->columns, ZG_STRIP);
  return s->diagonal ? zg_min(strips, (panel + 1) * ZG_PANEL_STRIPS) : strips;
}

/* The blocks of a panel of rows: each has room for all columns. */
static float *blocks_of(const zg_square *s, int64_t panel) {
  return s->blocks + panel * ZG_PANEL * zg_packed_rows(s->columns);
}

/* The vectors that the next numbers are packed from, a panel of them with each panel of
 * rows: first those of rows, with the next strips those of columns. */
static zg_ahead next_vectors(const zg_square *s, int64_t terms, int64_t panel,
                             int64_t first) {
  const zg_ahead *next = first == 0 ? &s->next_rows : &s->next_columns;
  int64_t vector = panel * ZG_PANEL, count = first == 0 ? s->rows : s->columns;
  bool some = terms == ZG_SQUARE_DEPTH && first <= STRIPS && vector < count;
  if (!next->from || !some) return zg_ahead_from(s->row_panels);
  return (zg_ahead){next->from + vector * next->stride, next->stride};
}

/* The product of a panel of rows and the strips from `first` on that are in the cache.
 * Half of them bring the next panel there, the others vectors. */
static void multiply_panel(const zg_square *s, int64_t terms, int64_t panel,
                           int64_t first) {
  const float *rows = s->row_panels + panel * ZG_PANEL * terms;
  int64_t all = strips_of(s, panel), end = zg_min(all, first + STRIPS);
  for (int64_t at = first; at < end; at += AHEAD_STRIPS) {
    zg_strips strips = {.d = terms,
                        .count = zg_min(AHEAD_STRIPS, end - at),
                        .left = s->column_panels + at * ZG_STRIP * terms,
                        .panel = rows,
                        .rows = ZG_PANEL,
                        .ahead = at == first ? zg_ahead_from(rows + ZG_PANEL * terms)
                                             : next_vectors(s, terms, panel, first)};
    if (s->diagonal)
      strips.own = zg_max(0, at + strips.count - panel * ZG_PANEL_STRIPS);
    zg_micro_product(&strips, blocks_of(s, panel) + at * ZG_MICRO_BLOCK);
  }
}

void zg_square_multiply(const zg_square *s, int64_t terms) {
  int64_t panels = zg_packed_rows(s->rows) / ZG_PANEL;
  for (int64_t first = 0; first * ZG_STRIP < s->columns; first += STRIPS) {
#pragma omp parallel for schedule(dynamic) num_threads(zg_threads())
    for (int64_t p = 0; p < panels; p++)
      multiply_panel(s, terms, p, first);
  }
}

ZG_VECTOR
static void add_column(int64_t count, double alpha, const float *restrict x,
                       double *restrict coarse, double *restrict fine) {
  for (int64_t i = 0; i < count; i++)
    zg_fixed_add(coarse + i, fine + i, alpha * (double)x[i]);
}

void zg_square_add(const zg_square *s, double alpha, int64_t leading, double *coarse,
                   double *fine) {
#pragma omp parallel for schedule(dynamic) num_threads(zg_threads())
  for (int64_t p = 0; p < zg_packed_rows(s->rows) / ZG_PANEL; p++) {
    int64_t first = p * ZG_PANEL, end = zg_min(s->rows, first + ZG_PANEL);
    int64_t columns = zg_min(s->columns, strips_of(s, p) * ZG_STRIP);
    for (int64_t j = 0; j < columns; j++) {
      int64_t i = s->diagonal ? zg_max(first, j) : first;
      add_column(end - i, alpha, blocks_of(s, p) + j * ZG_PANEL + i - first,
                 coarse + j * leading + i, fine + j * leading + i);
    }
  }
}
