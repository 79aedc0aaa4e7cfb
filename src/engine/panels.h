/** \file
 * Panels: a run of samples of every item, centred, scaled and laid out for tile
 * products on this rank's team. The panels used last stay while the plan's memory
 * lasts. */
#ifndef ZG_ENGINE_PANELS_H
#define ZG_ENGINE_PANELS_H

#include "engine/work.h"

/** Samples [first, first + rows) of all items. */
typedef struct zg_panel {
  int64_t first, rows;
  void **features; /**< [N] this rank's part of each item (grid/tile.h), in the item's
                        precision, or packed (linalg/micro.h); NULL where the item
                      cannot be used; owned */
  bool packed;     /**< items of single precision are */
  bool raw;        /**< items of double precision whose numbers are single in the file
                      are kept as they are there, neither centred nor scaled; only rows
                      are distributed (zg_panel_is_raw) */
  double *norms;   /**< [N, rows] squared norms of the rows, on every rank of the team;
                      owned */
  double *traces;  /**< [N] their sums; owned */
  void *storage;   /**< behind features; owned */
  int64_t used;    /**< when last used; -1: empty */
} zg_panel;

/** What rows are centred about. */
typedef enum zg_centre {
  ZG_CENTRE_ITEM, /**< the item's mean over all samples; scaled to trace 1 over all
                     samples */
  ZG_CENTRE_PANEL /**< the panel's own mean (batches); the scale is the same */
} zg_centre;

/** All zero before they are opened. */
typedef struct zg_panels {
  zg_work *work; /**< borrowed */
  zg_centre centre;
  int64_t items; /**< N, the first of the plan's */
  bool packed, raw;
  zg_panel *kept; /**< [capacity], owned */
  int64_t capacity, clock;
} zg_panels;

/** The panels of a gram pass, unless they are open already: as many stay as fit into
 * what the plan gives them, at least 2. The items' precisions must be chosen, and stay
 * as they are until the panels are destroyed.
 * \param [in] items  so many items, from the first on, are wanted.
 * Collective over the run's communicator, the same status on all ranks; those of a team
 * keep equally many. */
zg_status zg_panels_open(zg_work *work, const zg_pass *pass, int64_t items,
                         zg_panels *panels);
/** Also of those that were never opened. */
void zg_panels_destroy(zg_panels *panels);

/** Samples [first, first + rows): from memory or from the files.
 * \param [out] panel  borrowed; valid until the second next call.
 * Collective over the team, the same status on its ranks. */
zg_status zg_panels_get(zg_panels *panels, int64_t first, int64_t rows,
                        const zg_panel **panel);

/** Whether an item's features are single precision though products have them in double:
 * x in the file is (x - mean) * scale there. It takes half the memory. */
static inline bool zg_panel_is_raw(const zg_work *work, const zg_panel *panel,
                                   int64_t item) {
  return panel->raw && zg_work_is_raw(work, item);
}

/** Norms of one item. */
static inline const double *zg_panel_norms(const zg_panel *panel, int64_t item) {
  return panel->norms + item * panel->rows;
}

#endif
