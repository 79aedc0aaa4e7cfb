#include "linalg/scatter.h"

#include "base/memory.h"
#include "base/status.h"
#include "base/threads.h"
#include "linalg/fixed.h"
#include "linalg/micro.h"
#include "linalg/vector.h"

#include <stdlib.h>
#include <string.h>

enum {
  DEPTH = 64, /* packed rows: of all features so many are in the cache at a time */
  SIDE = 16,  /* panels of features whose products are made at a time */
  COLUMNS = 2 * ZG_PANEL /* features that BLAS multiplies with the others at a time */
};

static int64_t panel_count(int64_t D) {
  return zg_ceil_div(D, ZG_PANEL);
}

/* Sums lie panel of features by panel of features: [p + 1 panels][strips][a block of
 * linalg/micro.h], whose rows are those of panel p. */
static int64_t sums_before(int64_t panel) {
  return panel * (panel + 1) / 2 * ZG_PANEL_STRIPS * ZG_MICRO_BLOCK;
}

/* Of features i >= j: others follow in the order of i, up to the end of its panel. */
static int64_t place_of(int64_t i, int64_t j) {
  return sums_before(i / ZG_PANEL) + j * ZG_PANEL + i % ZG_PANEL;
}

/* Numbers of Z. Packed rows are [capacity / DEPTH][panels][DEPTH][ZG_PANEL]. */
static int64_t row_numbers(bool packed, int64_t D, int64_t capacity) {
  if (!packed) return capacity * D;
  return zg_ceil_div(capacity, DEPTH) * DEPTH * panel_count(D) * ZG_PANEL;
}

static int64_t product_numbers(bool packed, int64_t D) {
  int64_t side = zg_min(panel_count(D), SIDE) * ZG_PANEL;
  return packed ? side * side : D * zg_min(D, COLUMNS);
}

int64_t zg_scatter_bytes(zg_precision precision, int64_t D, int64_t capacity) {
  bool packs = precision == ZG_SINGLE;
  int64_t product = zg_max(product_numbers(packs, D), product_numbers(false, D));
  return (int64_t)sizeof(double) * sums_before(panel_count(D)) +
         (int64_t)zg_real_size(precision) * (row_numbers(packs, D, capacity) + product);
}

void zg_scatter_create(zg_precision precision, int64_t D, int64_t capacity,
                       zg_scatter *s) {
  bool packed = precision == ZG_SINGLE && zg_micro_is_fast();
  int64_t numbers = row_numbers(packed, D, capacity);
  size_t real = zg_real_size(precision);
  *s = (zg_scatter){.precision = precision,
                    .D = D,
                    .capacity = capacity,
                    .count = sums_before(panel_count(D)),
                    .packed = packed,
                    .Z = zg_alloc_large(numbers, real),
                    .product = zg_alloc_large(product_numbers(packed, D), real)};
  s->sums = ZG_NEW0(double, s->count);
  memset(s->Z, 0, (size_t)numbers * real); /* features that fill up a panel stay zero */
}

void zg_scatter_clear(zg_scatter *s) {
  free(s->sums);
  free(s->Z);
  free(s->product);
  *s = (zg_scatter){0};
}

double zg_scatter_at(const zg_scatter *s, int64_t i, int64_t j) {
  return s->sums[place_of(zg_max(i, j), zg_min(i, j))];
}

/* ---- rows ---- */

/* Where a row of a panel of features is. */
static float *packed_row(const zg_scatter *s, int64_t row, int64_t panel) {
  int64_t piece = row / DEPTH * panel_count(s->D) + panel;
  return (float *)s->Z + (piece * DEPTH + row % DEPTH) * ZG_PANEL;
}

static void put_packed(zg_scatter *s, int64_t row, int64_t rows, int64_t column,
                       int64_t d, const float *values) {
  for (int64_t k = 0; k < d;) {
    int64_t inside = (column + k) % ZG_PANEL, count = zg_min(d - k, ZG_PANEL - inside);
    for (int64_t r = 0; r < rows; r++)
      memcpy(packed_row(s, row + r, (column + k) / ZG_PANEL) + inside,
             values + r * d + k, (size_t)count * sizeof *values);
    k += count;
  }
}

void zg_scatter_put(zg_scatter *s, int64_t row, int64_t rows, int64_t column, int64_t d,
                    const void *values) {
  if (s->packed) {
    put_packed(s, row, rows, column, d, values);
    return;
  }
  for (int64_t r = 0; r < rows; r++)
    memcpy(zg_real_at(s->precision, s->Z, (row + r) * s->D + column),
           zg_real_at(s->precision, values, r * d),
           (size_t)d * zg_real_size(s->precision));
}

/* Rows that fill up the last piece of packed ones. */
static void clear_rest(zg_scatter *s, int64_t rows) {
  for (int64_t r = rows; r % DEPTH; r++)
    for (int64_t p = 0; p < panel_count(s->D); p++)
      memset(packed_row(s, r, p), 0, ZG_PANEL * sizeof(float));
}

/* ---- products ---- */

#define DEFINE_ADD(suffix, real)                                                       \
  ZG_VECTOR static void add_##suffix(int64_t count, const real *restrict x,            \
                                     double *restrict sums) {                          \
    for (int64_t k = 0; k < count; k++)                                                \
      sums[k] += zg_fixed_round((double)x[k], 4);                                      \
  }
DEFINE_ADD(single, float)
DEFINE_ADD(double, double)

/* The products of panels [row, row + rows) with panels [column, column + columns) up to
 * the diagonal. */
typedef struct square {
  int64_t row, rows, column, columns;
} square;

/* Add the products of so many strips with one panel, of a piece of packed rows. */
static void add_piece(const float *left, int64_t count, const float *panel,
                      float *blocks) {
  const zg_strips strips = {.d = DEPTH,
                            .count = count,
                            .left = left,
                            .panel = panel,
                            .rows = ZG_PANEL,
                            .ahead = zg_ahead_from(panel)};
  zg_micro_product(&strips, blocks);
}

static void clear_blocks(int64_t strips, float *blocks) {
  memset(blocks, 0, (size_t)(strips * ZG_MICRO_BLOCK) * sizeof *blocks);
}

/* Strips that panel p of the rows is multiplied with. */
static int64_t strips_of(const square *q, int64_t p) {
  return ZG_PANEL_STRIPS * zg_min(q->columns, p + 1 - q->column);
}

static float *blocks_of(const zg_scatter *s, const square *q, int64_t p) {
  return (float *)s->product +
         (p - q->row) * q->columns * ZG_PANEL_STRIPS * ZG_MICRO_BLOCK;
}

/* Rows [first, end), whole pieces, of a square of products: every entry is one chain.
 */
static void add_square(zg_scatter *s, int64_t first, int64_t end, const square *q) {
  int64_t last = q->row + q->rows;
#pragma omp parallel num_threads(zg_threads())
  {
#pragma omp for schedule(static, 1)
    for (int64_t p = q->row; p < last; p++)
      clear_blocks(strips_of(q, p), blocks_of(s, q, p));
    for (int64_t at = first; at < end; at += DEPTH) {
#pragma omp for schedule(dynamic)
      for (int64_t p = last - 1; p >= q->row; p--)
        add_piece(packed_row(s, at, q->column), strips_of(q, p), packed_row(s, at, p),
                  blocks_of(s, q, p));
    }
#pragma omp for schedule(static, 1)
    for (int64_t p = q->row; p < last; p++)
      add_single(strips_of(q, p) * ZG_MICRO_BLOCK, blocks_of(s, q, p),
                 s->sums + sums_before(p) +
                     q->column * ZG_PANEL_STRIPS * ZG_MICRO_BLOCK);
  }
}

static void add_packed(zg_scatter *s, int64_t first, int64_t end) {
  int64_t panels = panel_count(s->D);
  for (int64_t row = 0; row < panels; row += SIDE)
    for (int64_t column = 0; column <= row; column += SIDE) {
      square q = {row, zg_min(SIDE, panels - row), column,
                  zg_min(SIDE, panels - column)};
      add_square(s, first, end, &q);
    }
}

/* The products of panel p of z with all columns of w, of rows [first, end).
 * \param [out] blocks  of so many strips. */
static void cross_panel(const zg_scatter *z, const zg_scatter *w, int64_t first,
                        int64_t end, int64_t p, float *blocks, double *sums) {
  int64_t strips = zg_ceil_div(w->D, ZG_STRIP);
  int64_t column = p * ZG_PANEL, count = zg_min(ZG_PANEL, z->D - column);
  clear_blocks(strips, blocks);
  for (int64_t at = first; at < end; at += DEPTH)
    add_piece(packed_row(w, at, 0), strips, packed_row(z, at, p), blocks);
  for (int64_t j = 0; j < w->D; j++)
    add_single(count, blocks + j * ZG_PANEL, sums + j * z->D + column);
}

void zg_scatter_cross(zg_scatter *z, zg_scatter *w, int64_t rows, double *sums) {
  int64_t strips = zg_ceil_div(w->D, ZG_STRIP);
  ZG_REQUIRE(z->packed && w->packed);
  clear_rest(z, rows);
  clear_rest(w, rows);
#pragma omp parallel num_threads(zg_threads())
  {
    float *blocks = zg_alloc_large(strips * ZG_MICRO_BLOCK, sizeof *blocks);
#pragma omp for schedule(static)
    for (int64_t p = 0; p < panel_count(z->D); p++)
      for (int64_t first = 0; first < rows; first += ZG_SCATTER_RUN)
        cross_panel(z, w, first, zg_min(rows, first + ZG_SCATTER_RUN), p, blocks, sums);
    free(blocks);
  }
}

void zg_scatter_subtract(zg_scatter *s, double alpha, const double *x) {
  for (int64_t j = 0; j < s->D; j++)
    for (int64_t i = j; i < s->D; i++)
      s->sums[place_of(i, j)] -= alpha * x[i] * x[j];
}

/* Column k of the product of the features from `first` on with some of them. */
static void add_column(zg_scatter *s, int64_t first, int64_t k) {
  int64_t rows = s->D - first, j = first + k;
  for (int64_t i = j; i < s->D;) {
    int64_t next = zg_min(s->D, (i / ZG_PANEL + 1) * ZG_PANEL);
    const void *from = zg_real_at(s->precision, s->product, k * rows + i - first);
    if (s->precision == ZG_SINGLE)
      add_single(next - i, from, s->sums + place_of(i, j));
    else
      add_double(next - i, from, s->sums + place_of(i, j));
    i = next;
  }
}

static void add_by_blas(zg_scatter *s, int64_t first, int64_t end) {
  int64_t D = s->D;
  for (int64_t j = 0; j < D; j += COLUMNS) {
    const void *Z = zg_real_at(s->precision, s->Z, first * D + j);
    int64_t columns = zg_min(COLUMNS, D - j);
    zg_outer_product(s->precision, D - j, columns, end - first, Z, D, Z, D, s->product,
                     D - j);
    for (int64_t k = 0; k < columns; k++)
      add_column(s, j, k);
  }
}

void zg_scatter_add(zg_scatter *s, int64_t rows) {
  int64_t run = s->precision == ZG_SINGLE ? ZG_SCATTER_RUN : rows;
  if (s->packed) clear_rest(s, rows);
  for (int64_t first = 0; first < rows; first += run) {
    int64_t end = zg_min(rows, first + run);
    if (s->packed)
      add_packed(s, first, end);
    else
      add_by_blas(s, first, end);
  }
}
