/** \file
 * A sweep over the tasks of a pass: tiles, slices, arrays. Every task is done by one
 * team; on the way checkpoints are written and requests to stop are obeyed.
 *
 * Every team has a list of tasks that suit it; one that is done helps the one that has
 * most left (grid/handout.h). Sums do not depend on who did what (linalg/fixed.h). */
#ifndef ZG_ENGINE_SWEEP_H
#define ZG_ENGINE_SWEEP_H

#include "engine/state.h"
#include "plan/triangle.h"

/** Which tasks there are, and whose lists they are in. */
typedef struct zg_deal {
  const zg_team *team; /**< this rank's; borrowed */
  int64_t tasks;
  const int64_t *order; /**< [tasks] position in the order in which tasks are dealt out
                           one by one; NULL: every team has a run of neighbours ... */
  const zg_triangle *triangle; /**< ... or, unless NULL, its tiles of this; in a shard
                                  those of the shard */
  const double *cost; /**< [tasks] unless NULL: neighbours need the same data, so that
                         a shard is a run of them, of about equal cost */
} zg_deal;

/** Whose tasks a sweep with these sums does: what leaves no sums is needed by every
 * shard. */
static inline zg_shard zg_sweep_shard(const zg_work *work, const zg_sums *sums) {
  return sums && work->run->part ? work->run->part->shard : (zg_shard){0};
}

/** What a pass does with a task. Collective over the team. */
typedef zg_status zg_task_fn(void *context, int64_t task);

/** Do the tasks of a pass, in a shard its share of them, and write checkpoints on the
 * way.
 * \param [in] what  for the progress line.
 * \param [in] sums  what tasks add to; tasks in the state (which has begun this pass)
 * are left out. NULL: the tasks of all shards, no checkpoints. \return the same status
 * on all ranks; ZG_STOPPED when one was asked to stop. Collective over the run's
 * communicator. */
zg_status zg_sweep(zg_work *work, const zg_deal *deal, const char *what,
                   const zg_sums *sums, zg_task_fn *visit, void *context);

#endif
