/** \file
 * What the parts of the engine share while a run lasts; private to this folder. */
#ifndef ZG_ENGINE_WORK_H
#define ZG_ENGINE_WORK_H

#include "base/threads.h"
#include "engine/engine.h"
#include "grid/team.h"
#include "plan/triangle.h"
#include "zoo/reader.h"

/** Statistics of an item (a layer). */
typedef struct zg_item {
  double *mean;    /**< [d], into zg_items.means */
  double squares;  /**< sum of the centred squares: the trace of the linear kernel */
  double scale;    /**< 1/sqrt(squares): features times this have trace 1 */
  double heaviest; /**< largest share of one sample in the squares, 0 to 1 */
  zg_code code;    /**< ok, non-finite, zero variance */
  zg_precision
      precision; /**< in which its Gram tiles are formed during the current pass */
} zg_item;

typedef struct zg_items {
  zg_item *items; /**< [N], owned */
  double *means;  /**< [D], owned */
} zg_items;

typedef struct zg_store zg_store;

typedef struct zg_work {
  const zg_run *run;
  zg_report *report;
  zg_team team; /**< of the gram form */
  zg_team solo; /**< of the others: every rank a team of its own */
  zg_reader *reader;
  zg_items items;
  zg_store *store;        /**< packed panels (engine/store.h), or NULL */
  zg_triangle triangle;   /**< tiles of gram passes; see step.c */
  struct zg_state *state; /**< checkpoints (engine/state.h) */
  zg_list complaints;     /**< about data, said in the log; owned */
} zg_work;

/* Of the first thread, beside which the others do the same. */
static inline void zg_phase_start(zg_work *work, zg_phase phase) {
  if (zg_thread() == 0) zg_timer_start(&work->report->phases[phase]);
}
static inline void zg_phase_stop(zg_work *work, zg_phase phase) {
  if (zg_thread() == 0) zg_timer_stop(&work->report->phases[phase]);
}
/** ZG_STOPPED when the run has been asked to stop. Not collective: ranks may differ. */
static inline zg_status zg_work_go_on(const zg_work *work) {
  return work->run->should_stop() ? zg_fail(ZG_STOPPED, "stopped before the end")
                                  : ZG_OK;
}
/** Say that work begins during which nobody asks whether to stop, or ends. */
static inline void zg_work_task(const zg_work *work, bool begins) {
  if (work->run->watch_task) work->run->watch_task(begins);
}
/** Features of an item. */
static inline int64_t zg_work_width(const zg_work *work, int64_t item) {
  return work->run->zoo->arrays[item].d;
}

/** Measure all items: every number is read once, the rows shared by all ranks.
 * Collective over the run's communicator; the same status on all ranks. */
zg_status zg_items_measure(zg_work *work);
/** Estimate the same from ZG_PLAN_SAMPLED rows of each item, the same rows for any
 * number of ranks. A code other than ok says what these are like. */
zg_status zg_items_estimate(zg_work *work);
void zg_items_clear(zg_items *items);
/** Choose in which precision each item's Gram tiles are formed: the pass's, or double
 * where single precision would lose digits to cancellation. That is the case where one
 * sample outweighs the others (after centring, all others then lie far from zero and
 * close together), and may be in any small batch. Not collective. */
void zg_items_choose_precision(zg_work *work, const zg_pass *pass);

/** Whether an item is formed in double from numbers that are single in the file. */
static inline bool zg_work_is_raw(const zg_work *work, int64_t item) {
  return work->items.items[item].precision == ZG_DOUBLE &&
         zg_dtype_bytes(work->run->zoo->arrays[item].dtype) <= (int64_t)sizeof(float);
}

/** Whether an item's features can enter products. */
static inline bool zg_item_usable(const zg_item *item) {
  return item->code == ZG_CODE_OK;
}

#endif
