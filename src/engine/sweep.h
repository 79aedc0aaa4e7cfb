/** \file
 * A sweep over the tasks of a pass: tiles, slices, arrays. Every task is done by one
 * team; on the way checkpoints are written and requests to stop are obeyed. */
#ifndef ZG_ENGINE_SWEEP_H
#define ZG_ENGINE_SWEEP_H

#include "engine/state.h"

/** Which tasks there are, and who does them. */
typedef struct zg_deal {
  const zg_team *team; /**< this rank's; borrowed */
  int64_t tasks;
  const int64_t *order; /**< [tasks] position in the order in which tasks are dealt out
                           one by one; NULL: every team has a run of neighbours */
} zg_deal;

/** What a pass does with a task. Collective over the team. */
typedef zg_status zg_task_fn(void *context, int64_t task);

/** Do this team's tasks of a pass, and write checkpoints on the way.
 * \param [in] what  for the progress line.
 * \param [in] sums  what tasks add to; tasks in the state (which has begun this pass)
 * are left out. NULL: all tasks, no checkpoints. \return the same status on all ranks;
 * ZG_STOPPED when asked to stop. Collective over the run's communicator. */
zg_status zg_sweep(zg_work *work, const zg_deal *deal, const char *what,
                   const zg_sums *sums, zg_task_fn *visit, void *context);

/** Row and column of tile k of a lower triangle, walked as a snake, so that neighbours
 * share a side: row by row, every other row from right to left. Not collective. */
void zg_tile_place(int64_t k, int64_t *row, int64_t *column);

#endif
