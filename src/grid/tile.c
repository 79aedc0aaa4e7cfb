#include "grid/tile.h"

#include "base/memory.h"
#include "base/watchdog.h"
#include "grid/scalapack.h"

#include <stdlib.h>
#include <string.h>

static const int zero = 0, one = 1;
enum { LARGEST_BLOCK = 256 };

/* PBLAS's own step: how many features are multiplied at a time, and a quarter of the
 * columns; the library's answer of 32 costs half of its speed. Found instead of the
 * library's because the executable exports it. */
int pilaenv_(const int *context, const char *precision, size_t length);
int pilaenv_(const int *context, const char *precision, size_t length) {
  (void)context, (void)precision, (void)length;
  return ZG_PRODUCT_STEP;
}

/* Blocks are as large as is good for BLAS, but no process gets two before all have one.
 */
static int block_for(int64_t count, int processes) {
  return (int)zg_min(LARGEST_BLOCK, zg_max(1, zg_ceil_div(count, processes)));
}

static int local_count(int64_t count, int block, int me, int processes) {
  int n = zg_int(count);
  return numroc_(&n, &block, &me, &zero, &processes);
}

/* Numbers of the first process, which has most, of a grid of height x width. */
static int64_t longest_part(int64_t rows, int64_t columns, int height, int width) {
  int block = block_for(zg_max(rows, columns), width);
  return (int64_t)local_count(rows, block, 0, height) *
         local_count(columns, block, 0, width);
}

static void describe(int descriptor[9], const zg_grid *grid, int64_t rows,
                     int64_t columns, int row_block, int column_block,
                     int64_t leading) {
  int m = zg_int(rows), n = zg_int(columns), ld = zg_int(zg_max(1, leading)), info;
  descinit_(descriptor, &m, &n, &row_block, &column_block, &zero, &zero, &grid->context,
            &ld, &info);
  ZG_REQUIRE(info == 0);
}

/* Global position of each local index of a cyclic axis. */
static int64_t *positions(int64_t local, int block, int me, int processes) {
  int64_t *of = ZG_NEW(int64_t, local);
  for (int64_t k = 0; k < local; k++)
    of[k] = (k / block * processes + me) * block + k % block;
  return of;
}

void zg_tile_create(const zg_team *team, int64_t rows, int64_t columns, zg_tile *tile) {
  const zg_grid *grid = &team->square;
  *tile = (zg_tile){.rows = rows, .columns = columns};
  if (team->size == 1) {
    tile->block = zg_int(zg_max(rows, columns));
    tile->local_rows = rows;
    tile->local_columns = columns;
  } else {
    tile->block = block_for(zg_max(rows, columns), grid->columns);
    tile->local_rows = local_count(rows, tile->block, grid->my_row, grid->rows);
    tile->local_columns =
        local_count(columns, tile->block, grid->my_column, grid->columns);
    describe(tile->descriptor, grid, rows, columns, tile->block, tile->block,
             tile->local_rows);
  }
  tile->longest = longest_part(rows, columns, grid->rows, grid->columns);
  tile->row_of = positions(tile->local_rows, tile->block, grid->my_row, grid->rows);
  tile->column_of =
      positions(tile->local_columns, tile->block, grid->my_column, grid->columns);
}

int64_t zg_tile_largest(int team_size, int64_t edge) {
  int height = zg_team_rows(team_size), width = team_size / height;
  int64_t largest = 1;
  for (int64_t rows = zg_max(1, edge - 1); rows <= edge; rows++)
    for (int64_t columns = zg_max(1, edge - 1); columns <= edge; columns++)
      largest = zg_max(largest, longest_part(rows, columns, height, width));
  return largest;
}

void zg_tile_destroy(zg_tile *tile) {
  free(tile->row_of);
  free(tile->column_of);
  *tile = (zg_tile){0};
}

zg_block zg_tile_block(const zg_tile *tile, zg_precision precision, void *values,
                       bool diagonal) {
  return (zg_block){.precision = precision,
                    .values = values,
                    .rows = tile->local_rows,
                    .columns = tile->local_columns,
                    .leading = tile->local_rows,
                    .row_of = tile->row_of,
                    .column_of = tile->column_of,
                    .diagonal = diagonal};
}

void zg_panel_share(const zg_team *team, int64_t rows, int64_t *first, int64_t *count) {
  int64_t share = zg_ceil_div(rows, team->size);
  *first = zg_min(rows, share * team->position);
  *count = zg_min(rows, *first + share) - *first;
}

/* A panel is stored as its transpose, d x rows: features along the process rows,
 * samples along the process columns of the square grid. */
typedef struct panel_layout {
  int feature_block, sample_block;
  int64_t features, samples; /* local */
} panel_layout;

static panel_layout panel_layout_of(const zg_team *team, int64_t rows, int64_t d) {
  const zg_grid *grid = &team->square;
  panel_layout layout = {.feature_block = block_for(d, grid->rows),
                         .sample_block = block_for(rows, grid->columns)};
  layout.features = local_count(d, layout.feature_block, grid->my_row, grid->rows);
  layout.samples =
      local_count(rows, layout.sample_block, grid->my_column, grid->columns);
  return layout;
}

int64_t zg_panel_size(const zg_team *team, int64_t rows, int64_t d) {
  if (team->size == 1) return rows * d;
  panel_layout layout = panel_layout_of(team, rows, d);
  return layout.features * layout.samples;
}

int64_t zg_panel_largest(int team_size, int64_t rows, int64_t d) {
  int height = zg_team_rows(team_size), width = team_size / height;
  return (int64_t)local_count(d, block_for(d, height), 0, height) *
         local_count(rows, block_for(rows, width), 0, width);
}

static void describe_panel(const zg_team *team, int64_t rows, int64_t d,
                           int descriptor[9]) {
  panel_layout layout = panel_layout_of(team, rows, d);
  describe(descriptor, &team->square, d, rows, layout.feature_block,
           layout.sample_block, layout.features);
}

/* The rows as read are a d x rows matrix whose columns are cut in Q runs on a 1 x Q
 * grid. */
void zg_panel_distribute(const zg_team *team, zg_precision precision, int64_t rows,
                         int64_t d, const void *read, void *panel) {
  ZG_WAIT;
  if (team->size == 1) {
    if (panel != read)
      memcpy(panel, read, (size_t)(rows * d) * zg_real_size(precision));
    return;
  }
  int from[9], to[9], m = zg_int(d), n = zg_int(rows);
  int64_t first, count;
  zg_panel_share(team, rows, &first, &count);
  zg_count_sent(count * d - zg_ceil_div(count * d, team->size));
  describe(from, &team->row, d, rows, m, zg_int(zg_ceil_div(rows, team->size)), d);
  describe_panel(team, rows, d, to);
  if (precision == ZG_SINGLE)
    psgemr2d_(&m, &n, read, &one, &one, from, panel, &one, &one, to,
              &team->square.context);
  else
    pdgemr2d_(&m, &n, read, &one, &one, from, panel, &one, &one, to,
              &team->square.context);
}

void zg_panel_widen(const zg_team *team, int64_t rows, int64_t d, const float *panel,
                    const double *mean, double scale, double *wide) {
  const zg_grid *grid = &team->square;
  panel_layout layout = panel_layout_of(team, rows, d);
  int64_t *feature =
      positions(layout.features, layout.feature_block, grid->my_row, grid->rows);
  for (int64_t a = 0; a < layout.samples; a++)
    for (int64_t k = 0; k < layout.features; k++) {
      int64_t at = a * layout.features + k;
      wide[at] = ((double)panel[at] - mean[feature[k]]) * scale;
    }
  free(feature);
}

/* B := A', A being rows x columns; in squares that fit the cache. */
#define DEFINE_TRANSPOSE(suffix, real)                                                 \
  static void transpose_##suffix(int64_t rows, int64_t columns,                        \
                                 const real *restrict a, real *restrict b) {           \
    enum { EDGE = 16 };                                                                \
    for (int64_t c0 = 0; c0 < columns; c0 += EDGE)                                     \
      for (int64_t r0 = 0; r0 < rows; r0 += EDGE)                                      \
        for (int64_t r = r0; r < zg_min(rows, r0 + EDGE); r++)                         \
          for (int64_t c = c0; c < zg_min(columns, c0 + EDGE); c++)                    \
            b[r * columns + c] = a[c * rows + r];                                      \
  }
DEFINE_TRANSPOSE(single, float)
DEFINE_TRANSPOSE(double, double)

/* The panel as its rows: samples along the process rows of the square grid, features
 * along its process columns. The other way round this is how the flipped grid has it,
 * rank by rank. The caller frees. */
static void *panel_by_rows(const zg_team *team, zg_precision precision,
                           const zg_tile *tile, int64_t d, const void *panel,
                           int descriptor[9]) {
  const zg_grid *grid = &team->square;
  int n = zg_int(tile->rows), k = zg_int(d), from[9], to[9];
  int feature_block = block_for(d, grid->columns);
  int64_t rows = tile->local_rows;
  int64_t columns = local_count(d, feature_block, grid->my_column, grid->columns);
  void *flipped = zg_alloc_large(rows * columns, zg_real_size(precision));
  describe_panel(team, tile->rows, d, from);
  describe(to, &team->flipped, d, tile->rows, feature_block, tile->block, columns);
  describe(descriptor, grid, tile->rows, d, tile->block, feature_block, rows);
  if (precision == ZG_SINGLE)
    psgemr2d_(&k, &n, panel, &one, &one, from, flipped, &one, &one, to, &grid->context);
  else
    pdgemr2d_(&k, &n, panel, &one, &one, from, flipped, &one, &one, to, &grid->context);
  void *X = zg_alloc_large(rows * columns, zg_real_size(precision));
  if (precision == ZG_SINGLE)
    transpose_single(columns, rows, flipped, X);
  else
    transpose_double(columns, rows, flipped, X);
  free(flipped);
  return X;
}

/* K := X X', its lower triangle. */
static void symmetric_product(const zg_team *team, zg_precision precision,
                              const zg_tile *tile, int64_t d, const void *panel,
                              void *K) {
  int n = zg_int(tile->rows), k = zg_int(d), x[9];
  void *X = panel_by_rows(team, precision, tile, d, panel, x);
  if (precision == ZG_SINGLE) {
    const float unit = 1, none = 0;
    pssyrk_("L", "N", &n, &k, &unit, X, &one, &one, x, &none, K, &one, &one,
            tile->descriptor);
  } else {
    const double unit = 1, none = 0;
    pdsyrk_("L", "N", &n, &k, &unit, X, &one, &one, x, &none, K, &one, &one,
            tile->descriptor);
  }
  free(X);
}

/* K := X_I X_J' for the samples of I from corner[0] on and so many of J from corner[1]
 * on; their product begins in row corner[0] of K's first column. */
static void general_product(const zg_team *team, zg_precision precision,
                            const zg_tile *tile, const int64_t corner[2], int64_t width,
                            int64_t d, const void *left, const void *right,
                            const int descriptor[9], void *K) {
  int m = zg_int(tile->rows - corner[0]), n = zg_int(width), k = zg_int(d), a[9], b[9];
  int row = zg_int(corner[0] + 1), column = zg_int(corner[1] + 1);
  describe_panel(team, tile->rows, d, a);
  describe_panel(team, tile->columns, d, b);
  if (precision == ZG_SINGLE) {
    const float unit = 1, none = 0;
    psgemm_("T", "N", &m, &n, &k, &unit, left, &one, &row, a, right, &one, &column, b,
            &none, K, &row, &one, descriptor);
  } else {
    const double unit = 1, none = 0;
    pdgemm_("T", "N", &m, &n, &k, &unit, left, &one, &row, a, right, &one, &column, b,
            &none, K, &row, &one, descriptor);
  }
}

static void distributed_product(const zg_team *team, zg_precision precision,
                                const zg_tile *tile, int64_t d, const void *left,
                                const void *right, void *K) {
  const int64_t whole[2] = {0, 0};
  ZG_WAIT;
  if (left == right)
    symmetric_product(team, precision, tile, d, left, K);
  else
    general_product(team, precision, tile, whole, tile->columns, d, left, right,
                    tile->descriptor, K);
}

void zg_tile_product(const zg_team *team, zg_precision precision, const zg_tile *tile,
                     int64_t d, const void *left, const void *right, void *K) {
  if (team->size > 1)
    distributed_product(team, precision, tile, d, left, right, K);
  else if (left == right)
    zg_self_product(precision, tile->rows, d, 1, left, d, 0, K, tile->rows);
  else
    zg_product(precision, tile->rows, tile->columns, d, 1, left, d, right, d, 0, K,
               tile->rows);
}

/* ---- strips ---- */

/* One block of columns of every process. */
static int64_t strip_width(const zg_team *team, const zg_tile *tile) {
  return (int64_t)tile->block * team->square.columns;
}

int64_t zg_tile_strips(const zg_team *team, const zg_tile *tile) {
  return zg_ceil_div(tile->columns, strip_width(team, tile));
}

int64_t zg_tile_strip_largest(const zg_team *team, int64_t edge) {
  const zg_grid *grid = &team->square;
  if (team->size == 1) return edge * edge;
  int block = block_for(edge, grid->columns);
  return local_count(edge, block, 0, grid->rows) * block;
}

zg_block zg_tile_strip(const zg_tile *tile, int64_t k, zg_precision precision,
                       void *values, bool diagonal) {
  zg_block block = zg_tile_block(tile, precision, values, diagonal);
  int64_t skipped = zg_min(tile->local_columns, k * tile->block);
  block.columns = zg_min(tile->local_columns - skipped, tile->block);
  block.column_of += skipped;
  return block;
}

void zg_tile_strip_product(const zg_team *team, zg_precision precision,
                           const zg_tile *tile, int64_t k, int64_t d, const void *left,
                           const void *right, void *K) {
  ZG_WAIT;
  int descriptor[9];
  int64_t first = k * strip_width(team, tile);
  int64_t width = zg_min(strip_width(team, tile), tile->columns - first);
  const int64_t corner[2] = {left == right ? first : 0, first};
  describe(descriptor, &team->square, tile->rows, width, tile->block, tile->block,
           tile->local_rows);
  general_product(team, precision, tile, corner, width, d, left, right, descriptor, K);
}
