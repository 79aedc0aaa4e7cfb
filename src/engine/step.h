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

/** The same without checkpoints. Where all panels stay in memory, every run of tiles
 * has about as many of each panel, so that what is seen on the way, and by each team,
 * is representative of the whole. */
zg_status zg_scattered_sweep(zg_work *work, zg_panels *panels, const zg_pass *pass,
                             const char *what, zg_visit_fn *visit, void *context);

/** What is done with a block of K of one item as soon as it is there.
 * \param [in] rows, columns  the panels that the block's rows and columns belong to. */
typedef void zg_block_fn(void *context, int64_t item, zg_block *block,
                         const zg_panel *rows, const zg_panel *columns);

/** What is subtracted from K: left[a] + right[b] for rows a and b of the step's panels.
 */
typedef struct zg_shift {
  const double *left, *right;
} zg_shift;

/** K of one item, which must be usable, on a tile in the item's precision: as a whole,
 * or panel by panel where it is packed. Collective over the team.
 * \param [in]  shift   NULL for none; with one, pairs that do not count become zero.
 * \param [in]  visit   may be NULL.
 * \param [out] values  zg_step_numbers of them. */
void zg_step_form(zg_work *work, const zg_step *step, int64_t item,
                  const zg_shift *shift, void *values, zg_block_fn *visit,
                  void *context);
/** The same, on a larger team strip by strip (grid/tile.h), all in the same place.
 * \param [in]  visit   for every strip.
 * \param [out] values  zg_tile_strip_largest of them. */
void zg_step_form_strips(zg_work *work, const zg_step *step, int64_t item,
                         const zg_shift *shift, void *values, zg_block_fn *visit,
                         void *context);
/** Visit a tile of an item that was formed as a whole before. */
void zg_step_visit(zg_work *work, const zg_step *step, int64_t item, void *values,
                   zg_block_fn *visit, void *context);
/** Numbers of this rank's part of a tile of one item. */
int64_t zg_step_numbers(const zg_step *step);
/** Round a tile that was formed as a whole, in double, and bring it into the order of
 * packed ones. */
void zg_step_pack(const zg_step *step, const double *whole, float *packed);
/** Pairs of samples of a tile that count. */
double zg_step_pairs(const zg_step *step);

#endif
