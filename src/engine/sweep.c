#include "engine/sweep.h"

#include "base/log.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Row and column of tile k of the snake: row by row, every other row from right to
 * left. */
static void tile_position(int64_t k, int64_t *row, int64_t *column) {
  int64_t r = (int64_t)((sqrt(8.0 * (double)k + 1) - 1) / 2);
  while (r * (r + 1) / 2 > k)
    r--;
  while ((r + 1) * (r + 2) / 2 <= k)
    r++;
  int64_t c = k - r * (r + 1) / 2;
  *row = r;
  *column = r % 2 ? r - c : c;
}

static zg_status get_panel(zg_panels *panels, int64_t index, const zg_panel **panel) {
  const zg_plan *plan = panels->work->run->plan;
  int64_t first = zg_part(plan->samples, plan->panel_count, index);
  int64_t end = zg_part(plan->samples, plan->panel_count, index + 1);
  return zg_panels_get(panels, first, end - first, panel);
}

static zg_status load(zg_panels *panels, const zg_pass *pass, int64_t k,
                      zg_step *step) {
  const zg_plan *plan = panels->work->run->plan;
  if (pass->batch) {
    int64_t first = k * pass->batch, rows = zg_min(pass->batch, plan->samples - first);
    step->diagonal = true;
    ZG_TRY(zg_panels_get(panels, first, rows, &step->left));
    step->right = step->left;
    return ZG_OK;
  }
  int64_t row, column;
  tile_position(k, &row, &column);
  step->diagonal = row == column;
  ZG_TRY(get_panel(panels, row, &step->left));
  return get_panel(panels, column, &step->right);
}

static zg_status visit_tile(zg_work *work, zg_panels *panels, const zg_pass *pass,
                            int64_t k, zg_visit_fn *visit, void *context) {
  zg_step step = {0};
  ZG_TRY(load(panels, pass, k, &step));
  zg_tile_create(&work->team, step.left->rows, step.right->rows, &step.tile);
  zg_status status = visit(context, &step);
  zg_tile_destroy(&step.tile);
  work->report->tiles++;
  return status;
}

/* What to do before the next tile. The ranks of a team must do the same. */
typedef struct decision {
  bool stop, save;
} decision;

static decision decide(const zg_work *work, bool keeps) {
  int flags[2] = {work->run->should_stop(), keeps && zg_state_is_due(work->state)};
  if (work->team.size > 1)
    MPI_Allreduce(MPI_IN_PLACE, flags, 2, MPI_INT, MPI_LOR, work->team.comm);
  return (decision){.stop = flags[0], .save = keeps && (flags[0] || flags[1])};
}

/* The tiles that are left to do, of all teams. The caller frees. */
static int64_t *remaining_tiles(const zg_work *work, const zg_pass *pass, bool keeps,
                                int64_t *count) {
  int64_t tiles = zg_plan_tiles(work->run->plan, pass);
  int64_t *list = ZG_NEW(int64_t, tiles);
  *count = 0;
  for (int64_t k = 0; k < tiles; k++)
    if (!keeps || !zg_state_has(work->state, k)) list[(*count)++] = k;
  return list;
}

static zg_status visit_next(zg_work *work, zg_panels *panels, const zg_pass *pass,
                            int64_t k, const zg_sums *sums, zg_visit_fn *visit,
                            void *context) {
  decision next = decide(work, sums != NULL);
  if (next.save) ZG_TRY(zg_state_save(work->state, &work->team, sums));
  if (next.stop) return zg_fail(ZG_STOPPED, "stopped before the end");
  ZG_TRY(visit_tile(work, panels, pass, k, visit, context));
  if (sums) zg_state_add_tile(work->state, k);
  return ZG_OK;
}

/* A finished pass is worth a checkpoint of its own when other work follows. */
static zg_status save_pass(zg_work *work, const zg_sums *sums) {
  int worth = zg_state_is_worth(work->state);
  if (work->team.size > 1) MPI_Bcast(&worth, 1, MPI_INT, 0, work->team.comm);
  return worth ? zg_state_save(work->state, &work->team, sums) : ZG_OK;
}

zg_status zg_sweep(zg_work *work, zg_panels *panels, const zg_pass *pass,
                   const char *what, const zg_sums *sums, zg_visit_fn *visit,
                   void *context) {
  int64_t count, first = 0, end = 0;
  int64_t *tiles = remaining_tiles(work, pass, sums != NULL, &count);
  if (zg_team_works(&work->team)) {
    first = zg_part(count, work->team.teams, work->team.team);
    end = zg_part(count, work->team.teams, work->team.team + 1);
  }
  zg_status status = ZG_OK;
  for (int64_t k = first; status == ZG_OK && k < end; k++) {
    status = visit_next(work, panels, pass, tiles[k], sums, visit, context);
    zg_progress(what, (double)(k + 1 - first) / (double)(end - first));
  }
  if (status == ZG_OK && sums && end > first) status = save_pass(work, sums);
  free(tiles);
  return zg_agree(work->run->comm, status);
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
