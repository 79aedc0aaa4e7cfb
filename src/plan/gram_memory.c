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
  const int64_t numbers = (int64_t)1 << 23, least = 512, columns = 256, kept = 1 << 18;
  int64_t rows = zg_min(plan->samples, ZG_PLAN_MEDIAN_ROWS), numbers_read = 0;
  for (int64_t p = 0; p < plan->pass_count; p++)
    if (plan->passes[p].spec.gram.sampled)
      numbers_read = zg_min(rows * plan->widest, zg_max(numbers, least * plan->widest));
  return numbers_read ? 8 * (numbers_read + 2 * rows * columns + kept) : 0;
}

/* The small sample that all medians begin with: its rows, products and distances
 * (engine/median.c). */
static int64_t first_sample_bytes(const zg_plan *plan) {
  const int64_t some = 512;
  int64_t rows = plan->samples <= ZG_PLAN_MEDIAN_ALL ? plan->samples : some;
  return 8 * (rows * plan->widest + rows * rows * 3 / 2);
}

int64_t zg_gram_panel_bytes(const zg_plan *plan, int64_t rows, bool batch) {
  int64_t real = (int64_t)zg_real_size(batch ? ZG_DOUBLE : widest_precision(plan));
  int64_t features = rows * zg_ceil_div(plan->features, plan->team_size) * real;
  return features + plan->items * rows * 8; /* and the squared norms */
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

/* What finding medians takes before there are tiles: samples of an item, then tiles of
 * one, and of all items counts and distances to select from. */
static int64_t median_bytes(const zg_plan *plan, int64_t tile) {
  int64_t N = plan->items, values = zg_plan_median_values(N, plan->samples);
  int64_t search =
      8 * (2 * zg_plan_median_run(tile) + N * (ZG_MEDIAN_SLICES + values)) +
      wide_bytes(plan, tile, 0);
  if (!any_full_rbf(plan)) return 0;
  return 8 * N * ZG_PLAN_QUANTILES +
         zg_max(search, zg_max(first_sample_bytes(plan), sample_bytes(plan)));
}

/* What a product of a larger team takes: a copy of one item's panel, and either what
 * that is made of and sent in or PBLAS's buffers, two sides of the tile as wide as its
 * step. */
static int64_t product_bytes(const zg_plan *plan, int64_t edge, int64_t real) {
  int64_t Q = plan->team_size, copy = edge * zg_ceil_div(plan->widest, Q);
  int64_t width = zg_min(ZG_PRODUCT_STEP, plan->widest);
  return Q == 1
             ? 0
             : real * (copy + zg_max(2 * copy, (edge + zg_ceil_div(edge, Q)) * width));
}

zg_memory zg_gram_memory(const zg_plan *plan, int64_t tile) {
  int64_t N = plan->items, Q = plan->team_size;
  int64_t real = (int64_t)zg_real_size(widest_precision(plan));
  int64_t batch = zg_gram_largest_batch(plan), edge = zg_max(tile, batch);
  int64_t slab = zg_plan_slab(plan->widest * (batch ? batch : 1));
  int64_t shared = Q > 1 ? zg_ceil_div(edge, Q) * plan->widest * 8 : 0;
  int64_t share = zg_ceil_div(N, Q), part = zg_tile_largest(plan->team_size, edge);
  zg_memory m = {.program = zg_plan_program_bytes(plan)};
  m.reading =
      slab * plan->number_bytes + shared + (N >= 32 ? 2 : 5) * plan->features * 8;
  m.panels = zg_gram_panel_bytes(plan, batch, true);
  if (zg_gram_any_full(plan))
    m.panels = zg_max(m.panels, zg_min(2, zg_ceil_div(plan->samples, tile)) *
                                    zg_gram_panel_bytes(plan, tile, false));
  m.tiles = N * (part + ZG_TILE_PADDING) * real + wide_bytes(plan, tile, batch) +
            product_bytes(plan, edge, real);
  int64_t medians = median_bytes(plan, tile);
  bool together = Q > 1 && tile >= plan->samples; /* see zg_plan_keeps_tile */
  m.tiles = together ? m.tiles + medians : zg_max(m.tiles, medians);
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
static int64_t feature_bytes(const zg_plan *plan, int64_t rows) {
  int64_t centred = zg_max(plan->widest, 1 << 13); /* before they are laid out */
  return zg_scatter_bytes(plan->features, rows) +
         zg_scatter_bytes(plan->items + 1, rows) +
         8 * ((rows + plan->features + 3) * plan->items + centred);
}

zg_memory zg_gram_feature_memory(const zg_plan *plan, const zg_pass *pass) {
  int64_t N = plan->items, slab = zg_plan_slab(plan->widest);
  return (zg_memory){.reading = slab * plan->number_bytes +
                                (N >= 32 ? 2 : 5) * plan->features * 8,
                     .tiles = feature_bytes(plan, pass->piece),
                     .sums = N * N * (16 * 2 + 17)};
}
