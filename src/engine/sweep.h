/** \file
 * A sweep over the Gram tiles of a pass. The lower triangle of tiles is walked in a
 * snake, so that neighbours share a panel, and cut into one run of tiles per team. */
#ifndef ZG_ENGINE_SWEEP_H
#define ZG_ENGINE_SWEEP_H

#include "engine/panels.h"
#include "engine/state.h"
#include "grid/tile.h"

/** A tile on its way through a pass. */
typedef struct zg_step {
  const zg_panel *left, *right; /**< rows and columns; the same on the diagonal */
  bool diagonal;
  zg_tile tile;
} zg_step;

/** What a pass does with a tile. Collective over the team. */
typedef zg_status zg_visit_fn(void *context, const zg_step *step);

/** Visit this team's tiles of a pass, and write checkpoints on the way.
 * \param [in] what  for the progress line.
 * \param [in] sums  what visits add to; tiles in the state (which has begun this pass)
 * are left out. NULL: all tiles, no checkpoints. \return the same status on all ranks;
 * ZG_STOPPED when asked to stop. Collective over the run's communicator. */
zg_status zg_sweep(zg_work *work, zg_panels *panels, const zg_pass *pass,
                   const char *what, const zg_sums *sums, zg_visit_fn *visit,
                   void *context);

/** K of one item on a tile in the item's precision, or zeros when the item cannot be
 * used. Collective over the team. */
void zg_step_product(zg_work *work, const zg_step *step, int64_t item, void *K);
/** Pairs of samples of a tile that count. */
double zg_step_pairs(const zg_step *step);

#endif
