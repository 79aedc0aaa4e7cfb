/** \file
 * The tiles of a gram pass: the lower triangle of sample pairs, or the batches, with
 * the panels they are made of. */
#ifndef ZG_ENGINE_STEP_H
#define ZG_ENGINE_STEP_H

#include "engine/panels.h"
#include "engine/sweep.h"
#include "grid/tile.h"

/** A tile on its way through a pass. */
typedef struct zg_step {
  const zg_panel *left, *right; /**< rows and columns; the same on the diagonal */
  bool diagonal;
  zg_tile tile;
} zg_step;

/** What a pass does with a tile. Collective over the team. */
typedef zg_status zg_visit_fn(void *context, const zg_step *step);

/** Sweep (engine/sweep.h) over this team's tiles of a pass. Collective over the run's
 * communicator; the same status on all ranks. */
zg_status zg_sweep_tiles(zg_work *work, zg_panels *panels, const zg_pass *pass,
                         const char *what, const zg_sums *sums, zg_visit_fn *visit,
                         void *context);

/** K of one item on a tile in the item's precision, or zeros when the item cannot be
 * used. Collective over the team. */
void zg_step_product(zg_work *work, const zg_step *step, int64_t item, void *K);
/** Pairs of samples of a tile that count. */
double zg_step_pairs(const zg_step *step);

#endif
