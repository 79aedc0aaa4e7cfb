#include "engine/step.h"

#include "base/memory.h"

#include <string.h>

static zg_status get_panel(zg_panels *panels, int64_t index, const zg_panel **panel) {
  const zg_plan *plan = panels->work->run->plan;
  int64_t first = zg_part(plan->samples, plan->panel_count, index);
  int64_t end = zg_part(plan->samples, plan->panel_count, index + 1);
  return zg_panels_get(panels, first, end - first, panel);
}

static zg_status load(zg_panels *panels, const zg_pass *pass, int64_t k,
                      zg_step *step) {
  const zg_plan *plan = panels->work->run->plan;
  if (pass->spec.gram.batch) {
    int64_t first = k * pass->spec.gram.batch,
            rows = zg_min(pass->spec.gram.batch, plan->samples - first);
    step->diagonal = true;
    ZG_TRY(zg_panels_get(panels, first, rows, &step->left));
    step->right = step->left;
    return ZG_OK;
  }
  int64_t row, column;
  zg_tile_place(k, &row, &column);
  step->diagonal = row == column;
  ZG_TRY(get_panel(panels, row, &step->left));
  return get_panel(panels, column, &step->right);
}

/* A sweep over the tiles of a gram pass. */
typedef struct tiles {
  zg_work *work;
  zg_panels *panels;
  const zg_pass *pass;
  zg_visit_fn *visit;
  void *context;
} tiles;

static zg_status visit_tile(void *context, int64_t k) {
  tiles *t = context;
  zg_step step = {0};
  ZG_TRY(load(t->panels, t->pass, k, &step));
  zg_tile_create(&t->work->team, step.left->rows, step.right->rows, &step.tile);
  zg_status status = t->visit(t->context, &step);
  zg_tile_destroy(&step.tile);
  return status;
}

zg_status zg_sweep_tiles(zg_work *work, zg_panels *panels, const zg_pass *pass,
                         const char *what, const zg_sums *sums, zg_visit_fn *visit,
                         void *context) {
  tiles t = {
      .work = work, .panels = panels, .pass = pass, .visit = visit, .context = context};
  zg_deal deal = {.team = &work->team, .tasks = zg_plan_tiles(work->run->plan, pass)};
  return zg_sweep(work, &deal, what, sums, visit_tile, &t);
}

void zg_step_product(zg_work *work, const zg_step *step, int64_t item, void *K) {
  zg_precision precision = work->items.items[item].precision;
  const void *left = step->left->features[item], *right = step->right->features[item];
  if (!left) {
    int64_t size = step->tile.local_rows * step->tile.local_columns;
    memset(K, 0, (size_t)size * zg_real_size(precision));
    return;
  }
  int64_t d = zg_work_width(work, item);
  zg_tile_product(&work->team, precision, &step->tile, d, left, right, K);
  work->report->flop += 2 * zg_step_pairs(step) * (double)d / work->team.size;
}

double zg_step_pairs(const zg_step *step) {
  double rows = (double)step->left->rows, columns = (double)step->right->rows;
  return step->diagonal ? rows * (rows - 1) / 2 : rows * columns;
}
