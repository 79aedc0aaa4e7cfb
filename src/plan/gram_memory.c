#include "plan/gram_memory.h"

#include "base/memory.h"
#include "grid/tile.h"
#include "linalg/inner.h"
#include "linalg/scatter.h"
#include "plan/parts.h"

#include <math.h>

bool zg_gram_is(const zg_pass *pass) {
  return pass->spec.form == ZG_FORM_GRAM;
}

bool zg_gram_any_full(const zg_plan *plan) {
  for (int64_t p = 0; p < plan->pass_count; p++)
    if (zg_gram_is(&plan->passes[p]) && !plan->passes[p].spec.gram.batch) return true;
  return false;
}

bool zg_gram_any_tiles(const zg_plan *plan) {
  for (int64_t p = 0; p < plan->pass_count; p++) {
    const zg_pass *pass = &plan->passes[p];
    if (zg_gram_is(pass) && !pass->by_features && !pass->spec.gram.batch) return true;
  }
  return false;
}

static zg_precision widest_precision(const zg_plan *plan) {
  zg_precision widest = plan->precision;
  for (int64_t p = 0; p < plan->pass_count; p++)
    if (zg_gram_is(&plan->passes[p]) && plan->passes[p].precision == ZG_DOUBLE)
      widest = ZG_DOUBLE;
  return widest;
}

int64_t zg_gram_largest_batch(const zg_plan *plan) {
  int64_t batch = 0;
  for (int64_t p = 0; p < plan->pass_count; p++)
    batch = zg_max(batch, zg_min(plan->passes[p].spec.gram.batch, plan->samples));
  return batch;
}

static bool any_full_rbf(const zg_plan *plan) {
  for (int64_t p = 0; p < plan->pass_count; p++)
    if (plan->passes[p].spec.gram.kernel == ZG_KERNEL_RBF &&
        !plan->passes[p].spec.gram.batch)
      return true;
  return false;
}

/* What the larger sample of one item takes (engine/median_sample.c). */
static int64_t sample_bytes(const zg_plan *plan) {
  const int64_t numbers = (int64_t)1 << 23, least = 512, kept = 1 << 18;
  int64_t rows = zg_min(plan->samples, ZG_PLAN_MEDIAN_ROWS), numbers_read = 0;
  for (int64_t p = 0; p < plan->pass_count; p++)
    if (plan->passes[p].spec.gram.sampled)
      numbers_read = zg_min(rows * plan->widest, zg_max(numbers, least * plan->widest));
  return numbers_read ? 8 * (numbers_read + 2 * rows * ZG_PLAN_MEDIAN_COLUMNS + kept)
                      : 0;
}

/* The small sample that all medians begin with: its rows, products and distances
 * (engine/median.c). */
static int64_t first_sample_bytes(const zg_plan *plan) {
  const int64_t some = 512;
  int64_t rows = plan->samples <= ZG_PLAN_MEDIAN_ALL ? plan->samples : some;
  return 8 * (rows * plan->widest + rows * rows * 3 / 2);
}

/* Numbers of one rank's part of a panel: exact where all items are as wide as the
 * widest. */
static int64_t panel_numbers(const zg_plan *plan, int64_t rows) {
  double part = (double)zg_panel_largest(plan->team_size, rows, plan->widest);
  double wholes = (double)plan->features / (double)plan->widest;
  return plan->team_size == 1 ? rows * plan->features : (int64_t)ceil(part * wholes);
}

int64_t zg_gram_panel_bytes(const zg_plan *plan, int64_t rows, bool batch) {
  int64_t real = (int64_t)zg_real_size(batch ? ZG_DOUBLE : widest_precision(plan));
  return panel_numbers(plan, rows) * real +
         plan->items * rows * 8; /* and the squared norms */
}

/* A rank's part of the tiles tells the median's place to about n^-1/2 of them. */
int64_t zg_plan_median_values(int64_t items, int64_t samples) {
  const int64_t least = 4096, most = (int64_t)1 << 24; /* numbers, of all items */
  int64_t enough = (int64_t)(pow((double)samples, 1.5) / 4);
  return zg_max(least, zg_min(enough, most / items));
}

int64_t zg_plan_median_run(int64_t edge) {
  const int64_t enough = 1 << 16, columns = 16;
  return zg_max(enough, columns * edge);
}

/* Item by item matrices of the pass that has most: each is a coarse and a fine sum,
 * those with terms beside the products need one for these and room for a product. */
static int64_t pair_bytes(const zg_plan *plan) {
  int64_t most = 0;
  for (int64_t p = 0; p < plan->pass_count; p++) {
    const zg_pass *pass = &plan->passes[p];
    bool rbf = pass->spec.gram.kernel == ZG_KERNEL_RBF;
    int64_t rest = (pass->needs[ZG_UCENTRED] && rbf) + pass->needs[ZG_CENTRED];
    most = zg_max(most, 16 * (1 + rest) + (rest ? 8 : 0));
  }
  return most + (plan->team_size > 1 ? 8 : 0); /* to make a distributed one symmetric */
}

/* A tile in double of an item that single precision is not enough for; of a larger team
 * a strip of one block (grid/tile.c), or a whole batch. */
static int64_t wide_bytes(const zg_plan *plan, int64_t tile, int64_t batch) {
  const int64_t block = 256;
  int64_t edge = zg_max(tile, batch);
  if (plan->team_size == 1) return 8 * edge * edge;
  return 8 * zg_max(tile * block, zg_ceil_div(batch * batch, plan->team_size));
}

/* Both panels of such an item in double: some of the features (engine/step.c), or a
 * larger team's. */
static int64_t sides_bytes(const zg_plan *plan, int64_t tile) {
  int64_t sides = tile < plan->samples ? 2 : 1;
  if (widest_precision(plan) == ZG_DOUBLE || !zg_gram_any_full(plan)) return 0;
  if (plan->team_size == 1) return 8 * 2 * tile * zg_min(plan->widest, ZG_PLAN_WIDENED);
  return 8 * sides * zg_panel_largest(plan->team_size, tile, plan->widest);
}

/* PBLAS's buffers for a product of a larger team: two sides of the tile as wide as its
 * step. */
static int64_t buffer_bytes(const zg_plan *plan, int64_t edge, int64_t real) {
  int64_t width = zg_min(ZG_PRODUCT_STEP, plan->widest);
  return real * (edge + zg_ceil_div(edge, plan->team_size)) * width;
}

/* What p?gemr2d takes to deal a panel of one item out anew: what it sends and receives,
 * and a part of either. */
static int64_t dealing_bytes(const zg_plan *plan, int64_t edge, int64_t real) {
  return 3 * real * zg_panel_largest(plan->team_size, edge, plan->widest);
}

/* What making a tile takes beside it. On a larger team that is a copy of one item's
 * panel, and either dealing it out or the buffers; of an item in double, its panel and
 * a strip. */
static int64_t product_bytes(const zg_plan *plan, int64_t tile, int64_t batch) {
  int64_t real = (int64_t)zg_real_size(widest_precision(plan));
  int64_t wide = wide_bytes(plan, tile, batch) + sides_bytes(plan, tile);
  if (plan->team_size == 1) return wide;
  int64_t edge = zg_max(tile, batch);
  int64_t copy = real * zg_panel_largest(plan->team_size, edge, plan->widest);
  return zg_max(
      copy + zg_max(dealing_bytes(plan, edge, real), buffer_bytes(plan, edge, real)),
      wide + buffer_bytes(plan, edge, 8));
}

/* What a rank of a larger team takes to read a panel of one item, with room for
 * doubles, and to deal it out. */
static int64_t loading_bytes(const zg_plan *plan, int64_t edge, bool batch) {
  int64_t real = (int64_t)zg_real_size(batch ? ZG_DOUBLE : widest_precision(plan));
  int64_t read = zg_ceil_div(edge, plan->team_size) * plan->widest;
  return plan->team_size == 1 ? 0 : 8 * read + dealing_bytes(plan, edge, real);
}

/* What the search for medians takes beside panels: counts and distances to select from
 * of all items. */
static int64_t search_bytes(const zg_plan *plan, int64_t tile) {
  int64_t N = plan->items, values = zg_plan_median_values(N, plan->samples);
  return 8 * (2 * zg_plan_median_run(tile) +
              N * (ZG_PLAN_QUANTILES + ZG_MEDIAN_SLICES + values));
}

static int64_t own_tiles(const zg_plan *plan, int64_t edge) {
  int64_t real = (int64_t)zg_real_size(widest_precision(plan));
  return plan->items * (zg_tile_largest(plan->team_size, edge) + ZG_TILE_PADDING) *
         real;
}

/* The tiles of all items, and what is needed to make them. A larger team has room for
 * tiles when it looks for medians (engine/median.h), one rank only after that. */
static int64_t tile_bytes(const zg_plan *plan, int64_t tile, int64_t batch) {
  int64_t edge = zg_max(tile, batch), tiles = own_tiles(plan, edge);
  int64_t forming =
      zg_max(product_bytes(plan, tile, batch), loading_bytes(plan, edge, batch));
  int64_t search = any_full_rbf(plan) ? search_bytes(plan, tile) : 0;
  return zg_max(tiles, search + (plan->team_size > 1 ? tiles : 0)) + forming;
}

int64_t zg_gram_sampling_bytes(const zg_plan *plan, int64_t tile) {
  int64_t edge = zg_max(tile, zg_gram_largest_batch(plan));
  if (!any_full_rbf(plan)) return 0;
  return 8 * plan->items * ZG_PLAN_QUANTILES +
         (plan->team_size > 1 ? own_tiles(plan, edge) : 0) +
         zg_max(first_sample_bytes(plan), sample_bytes(plan));
}

/* The two panels of a tile, of items in double with whatever their numbers are in the
 * file (engine/panels.h). */
static int64_t least_panels(const zg_plan *plan, int64_t tile) {
  int64_t panels = zg_min(2, zg_ceil_div(plan->samples, tile)), wider = 0;
  if (widest_precision(plan) == ZG_SINGLE)
    wider = 4 * tile * zg_ceil_div(plan->wide_features, plan->team_size);
  return panels * (zg_gram_panel_bytes(plan, tile, false) + wider);
}

zg_memory zg_gram_memory(const zg_plan *plan, int64_t tile) {
  int64_t N = plan->items, Q = plan->team_size;
  int64_t real = (int64_t)zg_real_size(widest_precision(plan));
  int64_t batch = zg_gram_largest_batch(plan), edge = zg_max(tile, batch);
  int64_t slab = zg_plan_slab(plan->widest * (batch ? batch : 1));
  int64_t share = zg_ceil_div(N, Q);
  zg_memory m = {.program = zg_plan_program_bytes(plan)};
  m.reading = slab * plan->number_bytes + (N >= 32 ? 2 : 5) * plan->features * 8;
  m.panels = zg_gram_panel_bytes(plan, batch, true);
  if (zg_gram_any_full(plan)) m.panels = zg_max(m.panels, least_panels(plan, tile));
  m.tiles = tile_bytes(plan, tile, batch);
  m.tiles = zg_max(m.tiles, zg_gram_sampling_bytes(plan, tile) - m.panels);
  int64_t owners = Q > 1 ? Q : 1; /* the ranks must not matter */
  int64_t numbers = Q > 1 ? N * share : plan->band_numbers;
  m.sums =
      numbers * pair_bytes(plan) + zg_max(N * zg_min(N, 256) * real, zg_inner_bytes(N));
  m.sums += zg_plan_written_bytes(N, owners);
  m.sides = 8 * (N * edge + batch * batch / 2); /* diagonals or row sums, distances */
  if (any_full_rbf(plan)) m.sides += 8 * N * plan->samples;
  m.total = m.program + m.reading + m.panels + m.tiles + m.sums + m.sides;
  return m;
}

/* What the products of all features take, the row norms of a slice, and their products
 * with features. */
static int64_t feature_bytes(const zg_plan *plan, const zg_pass *pass) {
  int64_t rows = pass->piece;
  int64_t centred = zg_max(plan->widest, 1 << 13); /* before they are laid out */
  return zg_scatter_bytes(pass->precision, plan->features, rows) +
         zg_scatter_bytes(ZG_SINGLE, plan->items + 1, rows) +
         8 * ((rows + plan->features + 3) * plan->items + centred);
}

zg_memory zg_gram_feature_memory(const zg_plan *plan, const zg_pass *pass) {
  int64_t N = plan->items, slab = zg_plan_slab(plan->widest);
  return (zg_memory){.reading = slab * plan->number_bytes +
                                (N >= 32 ? 2 : 5) * plan->features * 8,
                     .tiles = feature_bytes(plan, pass),
                     .sums = N * N * (16 * 2 + 17)};
}
