/** \file
 * Tiles and panels on teams of every size: nothing is lost, nothing is there twice, and
 * products are those of plain loops. */
#include "grid/tile.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* Rows and columns of a tile, and features. Some have fewer rows than there are ranks,
 * some more blocks than one per rank. */
typedef struct shape {
  int64_t rows, columns, d;
} shape;

static const shape shapes[] = {{1, 1, 1},    {2, 7, 3},     {7, 2, 1},    {3, 3, 200},
                               {5, 5, 4},    {130, 70, 33}, {70, 130, 1}, {64, 64, 64},
                               {131, 97, 5}, {300, 530, 7}};

static void on_teams_of_every_size(void (*check)(const zg_team *team, shape s)) {
  for (int size = 1; size <= zg_test_ranks(); size++) {
    zg_team team;
    zg_team_create(MPI_COMM_WORLD, size, &team);
    for (size_t k = 0; zg_team_works(&team) && k < sizeof shapes / sizeof *shapes; k++)
      check(&team, shapes[k]);
    zg_team_destroy(&team);
  }
}

/* Times that the team's ranks hold each entry of a tile. */
static int64_t *holders(const zg_team *team, const zg_tile *tile) {
  int64_t *held = calloc((size_t)(tile->rows * tile->columns), sizeof *held);
  for (int64_t c = 0; c < tile->local_columns; c++)
    for (int64_t r = 0; r < tile->local_rows; r++)
      held[tile->column_of[c] * tile->rows + tile->row_of[r]]++;
  zg_sum_counts(team->comm, held, tile->rows * tile->columns);
  return held;
}

static bool ascends(const int64_t *positions, int64_t count, int64_t end) {
  for (int64_t k = 0; k < count; k++)
    if (positions[k] <= (k ? positions[k - 1] : -1) || positions[k] >= end)
      return false;
  return true;
}

static void check_cover(const zg_team *team, shape s) {
  zg_tile tile;
  zg_tile_create(team, s.rows, s.columns, &tile);
  CU_ASSERT(ascends(tile.row_of, tile.local_rows, s.rows));
  CU_ASSERT(ascends(tile.column_of, tile.local_columns, s.columns));
  int64_t *held = holders(team, &tile), wrong = 0;
  for (int64_t k = 0; k < s.rows * s.columns; k++)
    wrong += held[k] != 1;
  CU_ASSERT_EQUAL(wrong, 0);
  int32_t longest = (int32_t)(tile.local_rows * tile.local_columns);
  zg_max_ints(team->comm, &longest, 1);
  CU_ASSERT_EQUAL(tile.longest, longest);
  free(held);
  zg_tile_destroy(&tile);
}

static void every_entry_of_a_tile_is_on_exactly_one_rank(void) {
  on_teams_of_every_size(check_cover);
}

static void check_block(const zg_team *team, shape s) {
  zg_tile tile;
  double values;
  zg_tile_create(team, s.rows, s.columns, &tile);
  zg_block block = zg_tile_block(&tile, ZG_DOUBLE, &values, true);
  CU_ASSERT(block.rows == tile.local_rows && block.columns == tile.local_columns);
  CU_ASSERT(block.row_of == tile.row_of && block.column_of == tile.column_of);
  CU_ASSERT(block.values == &values && block.precision == ZG_DOUBLE && block.diagonal);
  zg_tile_destroy(&tile);
}

static void a_block_is_the_local_part_of_a_tile(void) {
  on_teams_of_every_size(check_block);
}

static void check_shares(const zg_team *team, shape s) {
  int64_t first, count;
  zg_panel_share(team, s.rows, &first, &count);
  int64_t *read = calloc((size_t)s.rows, sizeof *read), wrong = 0;
  for (int64_t k = first; k < first + count; k++)
    read[k]++;
  zg_sum_counts(team->comm, read, s.rows);
  for (int64_t k = 0; k < s.rows; k++)
    wrong += read[k] != 1;
  CU_ASSERT_EQUAL(wrong, 0);
  int64_t held = zg_panel_size(team, s.rows, s.d);
  double most = (double)held;
  zg_max_doubles(team->comm, &most, 1);
  CU_ASSERT_EQUAL((int64_t)most, zg_panel_largest(team->size, s.rows, s.d));
  zg_sum_counts(team->comm, &held, 1);
  CU_ASSERT_EQUAL(held, s.rows * s.d);
  free(read);
}

static void every_row_of_a_panel_is_read_and_kept_once(void) {
  on_teams_of_every_size(check_shares);
}

/* Runs of nearly equal length give tiles whose edges differ by one at most. */
static void check_largest(const zg_team *team, shape s) {
  for (int64_t edge = s.rows; edge > 1 && edge > s.rows - 12; edge--) {
    int64_t largest = zg_tile_largest(team->size, edge), longest = 0;
    for (int k = 0; k < 4; k++) {
      zg_tile tile;
      zg_tile_create(team, edge - k / 2, edge - k % 2, &tile);
      longest = tile.longest > longest ? tile.longest : longest;
      zg_tile_destroy(&tile);
    }
    CU_ASSERT_EQUAL(largest, longest);
  }
}

static void the_largest_part_of_similar_tiles_is_known(void) {
  on_teams_of_every_size(check_largest);
}

/* ---- products ---- */

static double feature(unsigned long panel, int64_t d, int64_t row, int64_t k) {
  return (double)(float)zg_test_random(panel, (unsigned long)(row * d + k));
}

static void put(zg_precision precision, void *to, int64_t at, double value) {
  if (precision == ZG_SINGLE)
    ((float *)to)[at] = (float)value;
  else
    ((double *)to)[at] = value;
}

static double get(zg_precision precision, const void *from, int64_t at) {
  return precision == ZG_SINGLE ? (double)((const float *)from)[at]
                                : ((const double *)from)[at];
}

/* A panel as a team makes it: every rank brings the rows that it would read. */
static void *make_panel(const zg_team *team, zg_precision precision, unsigned long seed,
                        int64_t rows, int64_t d) {
  int64_t first, count;
  zg_panel_share(team, rows, &first, &count);
  void *read = calloc((size_t)(count * d) + 1, zg_real_size(precision));
  for (int64_t a = 0; a < count; a++)
    for (int64_t k = 0; k < d; k++)
      put(precision, read, a * d + k, feature(seed, d, first + a, k));
  void *panel =
      calloc((size_t)zg_panel_size(team, rows, d) + 1, zg_real_size(precision));
  zg_panel_distribute(team, precision, rows, d, read, panel);
  free(read);
  return panel;
}

/* A panel that is centred where it lies is that of rows centred before. */
static void check_widening(const zg_team *team, shape s) {
  const double scale = 0.5;
  int64_t first, count, size = zg_panel_size(team, s.rows, s.d), wrong = 0;
  zg_panel_share(team, s.rows, &first, &count);
  double *mean = calloc((size_t)s.d, sizeof *mean);
  double *read = calloc((size_t)(count * s.d) + 1, sizeof *read);
  double *expected = calloc((size_t)size + 1, sizeof *expected);
  double *wide = calloc((size_t)size + 1, sizeof *wide);
  float *panel = make_panel(team, ZG_SINGLE, 9, s.rows, s.d);
  for (int64_t k = 0; k < s.d; k++)
    mean[k] = (double)k;
  for (int64_t a = 0; a < count; a++)
    for (int64_t k = 0; k < s.d; k++)
      read[a * s.d + k] = (feature(9, s.d, first + a, k) - mean[k]) * scale;
  zg_panel_distribute(team, ZG_DOUBLE, s.rows, s.d, read, expected);
  zg_panel_widen(team, s.rows, s.d, panel, mean, scale, wide);
  for (int64_t k = 0; k < size; k++)
    wrong += wide[k] != expected[k];
  CU_ASSERT_EQUAL(wrong, 0);
  free(mean);
  free(read);
  free(expected);
  free(wide);
  free(panel);
}

static void panels_are_centred_where_they_lie(void) {
  on_teams_of_every_size(check_widening);
}

static double product_of(unsigned long left, int64_t a, unsigned long right, int64_t b,
                         int64_t d) {
  long double sum = 0;
  for (int64_t k = 0; k < d; k++)
    sum += (long double)feature(left, d, a, k) * feature(right, d, b, k);
  return (double)sum;
}

/* Entries of a block of K, whose diagonal tile counts below the diagonal only. */
static void check_entries(const zg_block *block, int64_t d, unsigned long left_seed,
                          unsigned long right_seed) {
  /* Sums of d products of numbers below 1; d roundings add up like sqrt(d). */
  double epsilon = block->precision == ZG_SINGLE ? FLT_EPSILON : DBL_EPSILON;
  double tolerance = epsilon * sqrt((double)d) * (double)d;
  for (int64_t c = 0; c < block->columns; c++)
    for (int64_t r = 0; r < block->rows; r++) {
      int64_t a = block->row_of[r], b = block->column_of[c];
      if (block->diagonal && a < b) continue;
      zg_test_close(get(block->precision, block->values, c * block->leading + r),
                    product_of(left_seed, a, right_seed, b, d), tolerance,
                    "entry of a tile");
    }
}

/* With equal seeds the tile is a diagonal one: only its lower triangle counts. */
static void check_product(const zg_team *team, shape s, zg_precision precision,
                          unsigned long left_seed, unsigned long right_seed) {
  bool self = left_seed == right_seed;
  void *left = make_panel(team, precision, left_seed, s.rows, s.d);
  void *right = self ? left : make_panel(team, precision, right_seed, s.columns, s.d);
  zg_tile tile;
  zg_tile_create(team, s.rows, s.columns, &tile);
  void *K = calloc((size_t)tile.longest + 1, sizeof(double));
  zg_tile_product(team, precision, &tile, s.d, left, right, K);
  zg_block block = zg_tile_block(&tile, precision, K, self);
  check_entries(&block, s.d, left_seed, right_seed);
  free(K);
  zg_tile_destroy(&tile);
  if (!self) free(right);
  free(left);
}

static void check_products(const zg_team *team, shape s) {
  for (zg_precision precision = ZG_SINGLE; precision <= ZG_DOUBLE; precision++) {
    check_product(team, s, precision, 1, 2);
    s.columns = s.rows;
    check_product(team, s, precision, 3, 3);
  }
}

static void products_of_panels_are_those_of_plain_loops(void) {
  on_teams_of_every_size(check_products);
}

/* ---- strips ---- */

static void check_strip_products(const zg_team *team, shape s, zg_precision precision,
                                 unsigned long left_seed, unsigned long right_seed) {
  bool self = left_seed == right_seed;
  void *left = make_panel(team, precision, left_seed, s.rows, s.d);
  void *right = self ? left : make_panel(team, precision, right_seed, s.columns, s.d);
  int64_t edge = s.rows > s.columns ? s.rows : s.columns, covered = 0;
  int64_t largest = zg_tile_strip_largest(team, edge);
  zg_tile tile;
  zg_tile_create(team, s.rows, s.columns, &tile);
  void *K = calloc((size_t)largest, sizeof(double));
  for (int64_t k = 0; k < zg_tile_strips(team, &tile); k++) {
    zg_block block = zg_tile_strip(&tile, k, precision, K, self);
    CU_ASSERT(block.column_of == tile.column_of + covered);
    CU_ASSERT(block.rows * block.columns <= largest);
    zg_tile_strip_product(team, precision, &tile, k, s.d, left, right, K);
    check_entries(&block, s.d, left_seed, right_seed);
    covered += block.columns;
  }
  CU_ASSERT_EQUAL(covered, tile.local_columns);
  free(K);
  zg_tile_destroy(&tile);
  if (!self) free(right);
  free(left);
}

static void check_strips(const zg_team *team, shape s) {
  if (team->size == 1) return;
  check_strip_products(team, s, ZG_SINGLE, 1, 2);
  s.columns = s.rows;
  check_strip_products(team, s, ZG_DOUBLE, 3, 3);
}

static void strips_are_parts_of_the_tile(void) {
  on_teams_of_every_size(check_strips);
}

static void one_rank_alone_needs_no_second_panel(void) {
  zg_team team;
  double rows[6] = {1, 2, 3, 4, 5, 6};
  zg_team_create(MPI_COMM_WORLD, 1, &team);
  zg_panel_distribute(&team, ZG_DOUBLE, 3, 2, rows, rows);
  for (int k = 0; k < 6; k++)
    CU_ASSERT_EQUAL(rows[k], k + 1);
  zg_team_destroy(&team);
}

const zg_test zg_tests[] = {
    {"every_entry_of_a_tile_is_on_exactly_one_rank",
     every_entry_of_a_tile_is_on_exactly_one_rank},
    {"the_largest_part_of_similar_tiles_is_known",
     the_largest_part_of_similar_tiles_is_known},
    {"a_block_is_the_local_part_of_a_tile", a_block_is_the_local_part_of_a_tile},
    {"every_row_of_a_panel_is_read_and_kept_once",
     every_row_of_a_panel_is_read_and_kept_once},
    {"panels_are_centred_where_they_lie", panels_are_centred_where_they_lie},
    {"products_of_panels_are_those_of_plain_loops",
     products_of_panels_are_those_of_plain_loops},
    {"strips_are_parts_of_the_tile", strips_are_parts_of_the_tile},
    {"one_rank_alone_needs_no_second_panel", one_rank_alone_needs_no_second_panel},
    {NULL, NULL}};
