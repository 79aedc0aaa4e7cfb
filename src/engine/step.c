#include "engine/step.h"

#include "base/memory.h"
#include "base/watchdog.h"
#include "linalg/micro.h"

#include <stdlib.h>
#include <string.h>

static zg_status get_panel(zg_panels *panels, int64_t index, const zg_panel **panel) {
  const zg_plan *plan = panels->work->run->plan;
  int64_t first, rows;
  zg_plan_panel(plan, index, &first, &rows);
  return zg_panels_get(panels, first, rows, panel);
}

/* A sweep over the tiles of a gram pass. */
typedef struct tiles {
  zg_work *work;
  zg_panels *panels;
  const zg_pass *pass;
  bool scattered;
  zg_visit_fn *visit;
  void *context;
} tiles;

/* Tile k of the triangle of so many panels, diagonal by diagonal of the square that
 * closes on itself: each has all panels twice. Their order is scattered, so that what
 * neighbours have in common shows from the beginning. */
static void scattered_place(int64_t k, int64_t panels, int64_t *row, int64_t *column) {
  int64_t wholes = (panels + 1) / 2, diagonal = k / panels;
  if (diagonal < wholes) /* else half a one */
    diagonal = diagonal * zg_scattering_stride(wholes) % wholes;
  int64_t a = k % panels, b = (a + diagonal) % panels;
  *row = zg_max(a, b);
  *column = zg_min(a, b);
}

static zg_status load_batch(const tiles *t, int64_t k, zg_step *step) {
  const zg_plan *plan = t->work->run->plan;
  int64_t first = k * t->pass->spec.gram.batch,
          rows = zg_min(t->pass->spec.gram.batch, plan->samples - first);
  step->diagonal = true;
  ZG_TRY(zg_panels_get(t->panels, first, rows, &step->left));
  step->right = step->left;
  return ZG_OK;
}

static zg_status load(const tiles *t, int64_t k, zg_step *step) {
  int64_t row, column;
  if (t->pass->spec.gram.batch) return load_batch(t, k, step);
  if (t->scattered)
    scattered_place(k, t->work->run->plan->panel_count, &row, &column);
  else
    zg_tile_place(k, &row, &column);
  step->diagonal = row == column;
  ZG_TRY(get_panel(t->panels, row, &step->left));
  return get_panel(t->panels, column, &step->right);
}

static zg_status visit_tile(void *context, int64_t k) {
  tiles *t = context;
  zg_step step = {0};
  ZG_TRY(load(t, k, &step));
  zg_tile_create(&t->work->team, step.left->rows, step.right->rows, &step.tile);
  zg_status status = t->visit(t->context, &step);
  zg_tile_destroy(&step.tile);
  return status;
}

/* Which team does which tile: made anew when another number of panels stays, or another
 * share is asked for. Only the first ranks of teams need it, all of them the same. */
static const zg_triangle *deal_triangle(zg_work *work, const zg_panels *panels,
                                        const zg_shard *shard) {
  ZG_WAIT;
  const zg_team *team = &work->team;
  zg_triangle *t = &work->triangle;
  int64_t count = work->run->plan->panel_count, capacity = panels->capacity;
  if (team->position != 0) return NULL;
  MPI_Allreduce(MPI_IN_PLACE, &capacity, 1, MPI_INT64_T, MPI_MIN, team->peers);
  bool same = t->shard.number == shard->number && t->shard.count == shard->count;
  if (t->first && same && t->panels == count && t->capacity == capacity) return t;
  zg_triangle_destroy(t);
  if (shard->count)
    zg_triangle_create_shard(count, shard, team->teams, capacity, t);
  else
    zg_triangle_create(count, team->teams, capacity, t);
  return t;
}

static zg_status sweep_tiles(tiles *t, const char *what, const zg_sums *sums) {
  zg_deal deal = {.team = &t->work->team,
                  .tasks = zg_plan_tiles(t->work->run->plan, t->pass)};
  zg_shard shard = zg_sweep_shard(t->work, sums);
  if (!t->pass->spec.gram.batch && !t->scattered)
    deal.triangle = deal_triangle(t->work, t->panels, &shard);
  return zg_sweep(t->work, &deal, what, sums, visit_tile, t);
}

zg_status zg_sweep_tiles(zg_work *work, zg_panels *panels, const zg_pass *pass,
                         const char *what, const zg_sums *sums, zg_visit_fn *visit,
                         void *context) {
  tiles t = {
      .work = work, .panels = panels, .pass = pass, .visit = visit, .context = context};
  return sweep_tiles(&t, what, sums);
}

zg_status zg_scattered_sweep(zg_work *work, zg_panels *panels, const zg_pass *pass,
                             const char *what, zg_visit_fn *visit, void *context) {
  tiles t = {.work = work,
             .panels = panels,
             .pass = pass,
             .scattered = panels->capacity >= work->run->plan->panel_count,
             .visit = visit,
             .context = context};
  return sweep_tiles(&t, what, NULL);
}

/* ---- tiles of one item ---- */

static bool is_packed(const zg_work *work, const zg_step *step, int64_t item) {
  return step->left->packed && work->items.items[item].precision == ZG_SINGLE;
}

/* Strips of the left panel that a panel of the right one is multiplied with: on the
 * diagonal those that have a row in front of one of its own. */
static int64_t strip_count(const zg_step *step, int64_t panel) {
  int64_t strips = zg_ceil_div(step->left->rows, ZG_STRIP);
  return step->diagonal ? zg_min(strips, ZG_PANEL_STRIPS * (panel + 1)) : strips;
}

/* Rows of a panel of the right one. */
static int64_t row_count(const zg_step *step, int64_t panel) {
  return zg_min(ZG_PANEL, step->right->rows - panel * ZG_PANEL);
}

/* Numbers of its blocks. */
static int64_t panel_numbers(const zg_step *step, int64_t panel) {
  return strip_count(step, panel) * ZG_STRIP * zg_micro_leading(row_count(step, panel));
}

static int64_t packed_panels(const zg_step *step) {
  return zg_packed_rows(step->right->rows) / ZG_PANEL;
}

int64_t zg_step_numbers(const zg_step *step) {
  if (!step->left->packed) return step->tile.local_rows * step->tile.local_columns;
  int64_t numbers = 0;
  for (int64_t p = 0; p < packed_panels(step); p++)
    numbers += panel_numbers(step, p);
  return numbers;
}

/* The blocks of a packed panel as one: its rows are the right panel's, its columns the
 * left one's. */
static zg_block packed_block(const zg_step *step, int64_t panel, float *values) {
  int64_t first = panel * ZG_PANEL, rows = row_count(step, panel);
  return (zg_block){.precision = ZG_SINGLE,
                    .values = values,
                    .rows = rows,
                    .columns =
                        zg_min(strip_count(step, panel) * ZG_STRIP, step->left->rows),
                    .leading = zg_micro_leading(rows),
                    .row_of = step->tile.column_of + first,
                    .column_of = step->tile.row_of,
                    .diagonal = step->diagonal};
}

/* What the next item's tile is made of is brought into the cache meanwhile, first its
 * right panels, then its left ones: where to go on after so many strips. */
static zg_ahead next_features(const zg_work *work, const zg_step *step, int64_t item,
                              int64_t strips) {
  int64_t N = work->run->plan->items, next = item + 1 < N ? item + 1 : 0;
  if (!is_packed(work, step, next) || !step->right->features[next]) next = item;
  int64_t a_strip = zg_work_width(work, item) / 4 * 16;
  int64_t right = zg_packed_rows(step->right->rows) * zg_work_width(work, next);
  int64_t done = strips * a_strip;
  return zg_ahead_from(done < right
                           ? (const float *)step->right->features[next] + done
                           : (const float *)step->left->features[next] + done - right);
}

/* A shift in single precision, negated, with zeros for the rows that fill up a panel;
 * all zeros where there is none. */
static float *chain_starts(const zg_panel *panel, const double *shift) {
  float *starts = ZG_NEW0(float, zg_packed_rows(panel->rows));
  for (int64_t a = 0; shift && a < panel->rows; a++)
    starts[a] = (float)-shift[a];
  return starts;
}

/* What a shift or the last tile has left where there is no pair of samples that counts.
 */
static void clear_packed(const zg_block *block, int64_t strips) {
  float *values = block->values;
  for (int64_t c = 0; c < strips * ZG_STRIP; c++) {
    float *column = values + c * block->leading;
    int64_t kept = c < block->columns ? block->rows : 0;
    memset(column + kept, 0, (size_t)(block->leading - kept) * sizeof *column);
  }
  zg_block_clear(block);
}

/* Bytes of the blocks of all items that a cache may hold until they are multiplied. */
enum { CACHED = 16 << 20 };

/* Whether a tile is written past the cache: the blocks of all items would not stay
 * there until their products are made, and nobody looks at them before. */
static bool is_streamed(const zg_work *work, const zg_step *step, const float *values,
                        zg_block_fn *visit) {
  const int64_t line = 64; /* bytes */
  int64_t bytes =
      work->run->plan->items * zg_step_numbers(step) * (int64_t)sizeof *values;
  return !visit && bytes > CACHED && (intptr_t)values % line == 0;
}

static void form_packed(zg_work *work, const zg_step *step, int64_t item,
                        const zg_shift *shift, float *values, zg_block_fn *visit,
                        void *context) {
  const float *left = step->left->features[item], *right = step->right->features[item];
  float *left_starts = chain_starts(step->left, shift ? shift->left : NULL);
  float *right_starts = chain_starts(step->right, shift ? shift->right : NULL);
  bool streamed = is_streamed(work, step, values, visit);
  int64_t d = zg_work_width(work, item), done = 0;
  for (int64_t p = 0; p < packed_panels(step); p++) {
    int64_t strips = strip_count(step, p);
    zg_block block = packed_block(step, p, values);
    zg_phase_start(work, ZG_PHASE_FORM);
    bool partial = block.rows < block.leading || block.columns < strips * ZG_STRIP;
    bool cleared = step->diagonal || (shift && partial);
    const zg_strips all = {.d = d,
                           .count = strips,
                           .left = left,
                           .panel = right + p * ZG_PANEL * d,
                           .rows = block.rows,
                           .own = step->diagonal ? strips - p * ZG_PANEL_STRIPS : 0,
                           .ahead = next_features(work, step, item, done)};
    zg_micro_form(&all, left_starts, right_starts + p * ZG_PANEL, streamed && !cleared,
                  values);
    if (cleared) clear_packed(&block, strips);
    zg_phase_stop(work, ZG_PHASE_FORM);
    zg_phase_start(work, ZG_PHASE_KERNEL);
    if (visit) visit(context, item, &block, step->right, step->left);
    zg_phase_stop(work, ZG_PHASE_KERNEL);
    values += panel_numbers(step, p);
    done += strips;
  }
  free(left_starts);
  free(right_starts);
}

/* What is done with a block of K once it is there. */
static void finish_block(zg_work *work, const zg_step *step, int64_t item,
                         const zg_shift *shift, zg_block *block, zg_block_fn *visit,
                         void *context) {
  zg_phase_start(work, ZG_PHASE_KERNEL);
  if (shift) zg_block_shift(block, shift->left, shift->right);
  if (visit) visit(context, item, block, step->left, step->right);
  zg_phase_stop(work, ZG_PHASE_KERNEL);
}

/* The panels of an item as products need them. */
typedef struct sides {
  const void *left, *right;
  double *owned[2];
} sides;

/* This rank's part of a panel of a larger team that is kept as it is in the file. */
static double *widened(const zg_work *work, const zg_panel *panel, int64_t item) {
  const zg_item *about = &work->items.items[item];
  int64_t d = zg_work_width(work, item);
  double *wide =
      zg_alloc_large(zg_panel_size(&work->team, panel->rows, d), sizeof *wide);
  zg_panel_widen(&work->team, panel->rows, d, panel->features[item], about->mean,
                 about->scale, wide);
  return wide;
}

/* On a larger team; the caller frees what is owned. */
static sides sides_of(const zg_work *work, const zg_step *step, int64_t item) {
  sides s = {.left = step->left->features[item], .right = step->right->features[item]};
  if (!zg_panel_is_raw(work, step->left, item)) return s;
  s.left = s.right = s.owned[0] = widened(work, step->left, item);
  if (!step->diagonal) s.right = s.owned[1] = widened(work, step->right, item);
  return s;
}

/* Some features of a panel that is kept as it is in the file. */
static void widen(const zg_work *work, const zg_panel *panel, int64_t item,
                  int64_t first, int64_t count, double *to) {
  const zg_item *about = &work->items.items[item];
  zg_centre_kept((const float *)panel->features[item] + first,
                 zg_work_width(work, item), panel->rows, count, about->mean + first,
                 about->scale, to);
}

/* K on a team of one rank from panels that are kept as they are in the file. */
static void raw_product(const zg_work *work, const zg_step *step, int64_t item,
                        double *K) {
  int64_t d = zg_work_width(work, item), most = zg_min(d, ZG_PLAN_WIDENED);
  int64_t rows = step->left->rows, columns = step->right->rows;
  double *left = ZG_NEW(double, rows *most), *right = NULL;
  if (!step->diagonal) right = ZG_NEW(double, columns *most);
  for (int64_t first = 0; first < d; first += most) {
    int64_t count = zg_min(most, d - first);
    widen(work, step->left, item, first, count, left);
    if (!step->diagonal) widen(work, step->right, item, first, count, right);
    if (step->diagonal)
      zg_self_product(ZG_DOUBLE, rows, count, 1, left, count, first > 0, K, rows);
    else
      zg_product(ZG_DOUBLE, rows, columns, count, 1, left, count, right, count,
                 first > 0, K, rows);
  }
  free(left);
  free(right);
}

static void whole_product(zg_work *work, const zg_step *step, int64_t item,
                          zg_precision precision, void *K) {
  if (work->team.size == 1 && zg_panel_is_raw(work, step->left, item)) {
    raw_product(work, step, item, K);
    return;
  }
  sides s = sides_of(work, step, item);
  zg_tile_product(&work->team, precision, &step->tile, zg_work_width(work, item),
                  s.left, s.right, K);
  free(s.owned[0]);
  free(s.owned[1]);
}

static void form_whole(zg_work *work, const zg_step *step, int64_t item,
                       const zg_shift *shift, void *values, zg_block_fn *visit,
                       void *context) {
  zg_precision precision = work->items.items[item].precision;
  zg_block block = zg_tile_block(&step->tile, precision, values, step->diagonal);
  zg_phase_start(work, ZG_PHASE_FORM);
  whole_product(work, step, item, precision, values);
  zg_phase_stop(work, ZG_PHASE_FORM);
  finish_block(work, step, item, shift, &block, visit, context);
}

static void count_flop(zg_work *work, const zg_step *step, int64_t item) {
  double flop =
      2 * zg_step_pairs(step) * (double)zg_work_width(work, item) / work->team.size;
#pragma omp atomic
  work->report->flop += flop;
}

void zg_step_form(zg_work *work, const zg_step *step, int64_t item,
                  const zg_shift *shift, void *values, zg_block_fn *visit,
                  void *context) {
  if (is_packed(work, step, item))
    form_packed(work, step, item, shift, values, visit, context);
  else
    form_whole(work, step, item, shift, values, visit, context);
  count_flop(work, step, item);
}

void zg_step_form_strips(zg_work *work, const zg_step *step, int64_t item,
                         const zg_shift *shift, void *values, zg_block_fn *visit,
                         void *context) {
  const zg_team *team = &work->team;
  zg_precision precision = work->items.items[item].precision;
  if (team->size == 1) {
    zg_step_form(work, step, item, shift, values, visit, context);
    return;
  }
  zg_phase_start(work, ZG_PHASE_FORM);
  sides s = sides_of(work, step, item);
  zg_phase_stop(work, ZG_PHASE_FORM);
  for (int64_t k = 0; k < zg_tile_strips(team, &step->tile); k++) {
    zg_block block = zg_tile_strip(&step->tile, k, precision, values, step->diagonal);
    zg_phase_start(work, ZG_PHASE_FORM);
    zg_tile_strip_product(team, precision, &step->tile, k, zg_work_width(work, item),
                          s.left, s.right, values);
    zg_phase_stop(work, ZG_PHASE_FORM);
    finish_block(work, step, item, shift, &block, visit, context);
  }
  free(s.owned[0]);
  free(s.owned[1]);
  count_flop(work, step, item);
}

void zg_step_visit(zg_work *work, const zg_step *step, int64_t item, void *values,
                   zg_block_fn *visit, void *context) {
  zg_block block = zg_tile_block(&step->tile, work->items.items[item].precision, values,
                                 step->diagonal);
  finish_block(work, step, item, NULL, &block, visit, context);
}

/* On the diagonal a whole tile has its entries below, packed ones above. */
void zg_step_pack(const zg_step *step, const double *whole, float *packed) {
  int64_t rows = step->left->rows, columns = step->right->rows;
  memset(packed, 0, (size_t)zg_step_numbers(step) * sizeof *packed);
  for (int64_t p = 0; p < packed_panels(step); p++) {
    zg_block block = packed_block(step, p, packed);
    for (int64_t c = 0; c < block.columns; c++)
      for (int64_t r = 0; r < block.rows; r++) {
        int64_t right = block.row_of[r], left = block.column_of[c];
        bool kept = !step->diagonal || right > left;
        int64_t at = step->diagonal ? left * columns + right : right * rows + left;
        if (kept) packed[c * block.leading + r] = (float)whole[at];
      }
    packed += panel_numbers(step, p);
  }
}

double zg_step_pairs(const zg_step *step) {
  double rows = (double)step->left->rows, columns = (double)step->right->rows;
  return step->diagonal ? rows * (rows - 1) / 2 : rows * columns;
}
