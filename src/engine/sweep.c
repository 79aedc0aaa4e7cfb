#include "engine/sweep.h"

#include "base/log.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

void zg_tile_place(int64_t k, int64_t *row, int64_t *column) {
  int64_t r = (int64_t)((sqrt(8.0 * (double)k + 1) - 1) / 2);
  while (r * (r + 1) / 2 > k)
    r--;
  while ((r + 1) * (r + 2) / 2 <= k)
    r++;
  int64_t c = k - r * (r + 1) / 2;
  *row = r;
  *column = r % 2 ? r - c : c;
}

/* What to do before the next tile. The ranks of a team must do the same. */
typedef struct decision {
  bool stop, save;
} decision;

static decision decide(const zg_work *work, const zg_team *team, bool keeps) {
  int flags[2] = {work->run->should_stop(), keeps && zg_state_is_due(work->state)};
  if (team->size > 1)
    MPI_Allreduce(MPI_IN_PLACE, flags, 2, MPI_INT, MPI_LOR, team->comm);
  return (decision){.stop = flags[0], .save = keeps && (flags[0] || flags[1])};
}

/* This team's share of the tasks that are left to do. The caller frees. */
static int64_t *own_tasks(const zg_work *work, const zg_deal *deal, bool keeps,
                          int64_t *count) {
  int64_t *list = ZG_NEW(int64_t, deal->tasks), left = 0;
  for (int64_t k = 0; k < deal->tasks; k++)
    if (!keeps || !zg_state_has(work->state, k)) list[left++] = k;
  int64_t first = zg_part(left, deal->team->teams, deal->team->team), taken = 0;
  int64_t end = zg_part(left, deal->team->teams, deal->team->team + 1);
  for (int64_t k = 0; k < left; k++) {
    int64_t at = deal->order ? deal->order[list[k]] : 0;
    bool mine = deal->order ? at % deal->team->teams == deal->team->team
                            : k >= first && k < end;
    if (mine) list[taken++] = list[k];
  }
  *count = taken;
  return list;
}

static zg_status visit_next(zg_work *work, const zg_deal *deal, int64_t k,
                            const zg_sums *sums, zg_task_fn *visit, void *context) {
  decision next = decide(work, deal->team, sums != NULL);
  if (next.save) ZG_TRY(zg_state_save(work->state, deal->team, sums));
  if (next.stop) return zg_fail(ZG_STOPPED, "stopped before the end");
  ZG_TRY(visit(context, k));
  work->report->tiles++;
  if (sums) zg_state_add_tile(work->state, k);
  return ZG_OK;
}

/* A finished pass is worth a checkpoint of its own when other work follows. */
static zg_status save_pass(zg_work *work, const zg_team *team, const zg_sums *sums) {
  int worth = zg_state_is_worth(work->state);
  if (team->size > 1) MPI_Bcast(&worth, 1, MPI_INT, 0, team->comm);
  return worth ? zg_state_save(work->state, team, sums) : ZG_OK;
}

zg_status zg_sweep(zg_work *work, const zg_deal *deal, const char *what,
                   const zg_sums *sums, zg_task_fn *visit, void *context) {
  zg_status status = ZG_OK;
  if (zg_team_works(deal->team)) {
    int64_t count, *tasks = own_tasks(work, deal, sums != NULL, &count);
    for (int64_t k = 0; status == ZG_OK && k < count; k++) {
      status = visit_next(work, deal, tasks[k], sums, visit, context);
      zg_progress(what, (double)(k + 1) / (double)count);
    }
    if (status == ZG_OK && sums && count) status = save_pass(work, deal->team, sums);
    free(tasks);
  }
  return zg_agree(work->run->comm, status);
}
