#include "engine/sweep.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/watchdog.h"
#include "grid/handout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- lists ---- */

/* The tasks that are left to do, one team's after the other's. */
typedef struct lists {
  int64_t *tasks;
  int64_t *first;   /* [teams] of a team in `tasks` */
  int64_t *lengths; /* [teams] */
} lists;

/* A task that is left: number `index` of them, `place` in the order of all. */
typedef struct left {
  int64_t task, index, place;
} left;

/* All tasks of the shard in the order in which they are dealt out, but for those that
 * are done. \return how many; the caller frees *found. */
static int64_t find_left(const zg_deal *deal, const zg_shard *shard,
                         const zg_state *done, left **found) {
  const zg_triangle *triangle = deal->triangle; /* the shard's */
  int64_t all = triangle ? triangle->first[triangle->teams] : deal->tasks, count = 0;
  int64_t *tasks = ZG_NEW(int64_t, all);
  bool *mine = ZG_NEW(bool, all);
  for (int64_t k = 0; k < all; k++)
    tasks[deal->order ? deal->order[k] : k] = triangle ? triangle->tiles[k] : k;
  zg_shard_mark(triangle ? &(zg_shard){0} : shard, all, deal->cost, mine);
  *found = ZG_NEW(left, all);
  for (int64_t k = 0; k < all; k++)
    if (mine[k] && (!done || !zg_state_has(done, tasks[k]))) {
      (*found)[count] = (left){.task = tasks[k], .index = count, .place = k};
      count++;
    }
  free(tasks);
  free(mine);
  return count;
}

/* Whose list a task is in; `team` has the one before. */
static int64_t team_of(const zg_deal *deal, const left *task, int64_t count,
                       int64_t team) {
  int64_t teams = deal->team->teams;
  if (deal->order) return task->index % teams;
  if (deal->triangle)
    while (task->place >= deal->triangle->first[team + 1])
      team++;
  else
    while (task->index >= zg_part(count, teams, team + 1))
      team++;
  return team;
}

static void lists_create(const zg_deal *deal, const zg_shard *shard,
                         const zg_state *done, lists *l) {
  left *found;
  int64_t count = find_left(deal, shard, done, &found);
  int64_t teams = deal->team->teams, team = 0;
  *l = (lists){.tasks = ZG_NEW(int64_t, count),
               .first = ZG_NEW0(int64_t, teams),
               .lengths = ZG_NEW0(int64_t, teams)};
  for (int64_t k = 0; k < count; k++)
    l->lengths[team = team_of(deal, &found[k], count, team)]++;
  for (int64_t t = 1; t < teams; t++)
    l->first[t] = l->first[t - 1] + l->lengths[t - 1];
  int64_t *next = ZG_NEW(int64_t, teams);
  memcpy(next, l->first, (size_t)teams * sizeof *next);
  team = 0;
  for (int64_t k = 0; k < count; k++) {
    team = team_of(deal, &found[k], count, team);
    l->tasks[next[team]++] = found[k].task;
  }
  free(next);
  free(found);
}

static void lists_destroy(lists *l) {
  free(l->tasks);
  free(l->first);
  free(l->lengths);
}

/* ---- one task after the other ---- */

/* A sweep in progress on a rank of a team. */
typedef struct sweep {
  zg_work *work;
  const zg_deal *deal;
  const char *what;
  const zg_sums *sums;
  zg_task_fn *visit;
  void *context;
  /* On the first rank of the team. */
  lists lists;
  zg_handout handout;
  int64_t done;
} sweep;

static bool leads(const sweep *s) {
  return s->deal->team->position == 0;
}

/* What to do next; the ranks of a team must do the same. */
typedef struct decision {
  int64_t stop, save; /* asked to */
  int64_t task;       /* -1 when there is none */
  int64_t ended;      /* by another team */
} decision;

static void take_task(sweep *s, decision *next) {
  int list;
  int64_t position;
  zg_handout_answer answer = zg_handout_next(&s->handout, &list, &position);
  next->ended = answer == ZG_HANDOUT_ENDED;
  if (answer == ZG_HANDOUT_TASK)
    next->task = s->lists.tasks[s->lists.first[list] + position];
}

static decision decide(sweep *s) {
  const zg_team *team = s->deal->team;
  decision next = {.stop = s->work->run->should_stop(),
                   .save = s->sums && zg_state_is_due(s->work->state),
                   .task = -1};
  if (leads(s)) take_task(s, &next);
  ZG_WAIT;
  if (team->size > 1)
    MPI_Allreduce(MPI_IN_PLACE, &next, sizeof next / sizeof(int64_t), MPI_INT64_T,
                  MPI_MAX, team->comm);
  return next;
}

static zg_status do_task(sweep *s, int64_t task) {
  zg_work_task(s->work, true);
  zg_status status = s->visit(s->context, task);
  zg_work_task(s->work, false);
  return status;
}

static void show_progress(sweep *s) {
  if (!leads(s)) return;
  double own = (double)s->lists.lengths[s->deal->team->team];
  s->done++;
  zg_progress(s->what, fmin(1, (double)s->done / fmax(1, own)));
}

/* Task after task until none is left. What a team has done is saved as well when
 * another one ends the sweep, which has a status to say why. */
static zg_status work_off(sweep *s) {
  zg_work *work = s->work;
  for (;;) {
    decision next = decide(s);
    bool nothing = next.task < 0 && !next.ended;
    if (nothing) return ZG_OK;
    if (s->sums && (next.save || next.stop || next.ended))
      ZG_TRY(zg_state_save(work->state, s->deal->team, s->sums));
    if (next.ended) return ZG_OK;
    if (next.stop) return zg_fail(ZG_STOPPED, "stopped before the end");
    ZG_TRY(do_task(s, next.task));
    work->report->tiles++;
    zg_beat();
    if (s->sums) zg_state_add_tile(work->state, next.task);
    show_progress(s);
  }
}

/* A finished pass is worth a checkpoint of its own when other work follows. */
static zg_status save_pass(const sweep *s) {
  const zg_team *team = s->deal->team;
  int worth = s->done > 0 && zg_state_is_worth(s->work->state);
  if (team->size > 1) {
    ZG_WAIT;
    MPI_Bcast(&worth, 1, MPI_INT, 0, team->comm);
  }
  return worth ? zg_state_save(s->work->state, team, s->sums) : ZG_OK;
}

static zg_status sweep_as_team(sweep *s) {
  const zg_deal *deal = s->deal;
  if (leads(s)) {
    zg_shard shard = zg_sweep_shard(s->work, s->sums);
    lists_create(deal, &shard, s->sums ? s->work->state : NULL, &s->lists);
    zg_handout_create(deal->team->peers, s->lists.lengths, !s->work->run->keep_shares,
                      &s->handout);
  }
  zg_status status = work_off(s);
  if (status == ZG_OK && s->sums) status = save_pass(s);
  if (leads(s)) {
    if (status != ZG_OK) zg_handout_end(&s->handout);
    ZG_WAIT_FOR_TASKS;
    zg_handout_destroy(&s->handout);
    lists_destroy(&s->lists);
  }
  return status;
}

zg_status zg_sweep(zg_work *work, const zg_deal *deal, const char *what,
                   const zg_sums *sums, zg_task_fn *visit, void *context) {
  ZG_PLACE("working on", what);
  sweep s = {.work = work,
             .deal = deal,
             .what = what,
             .sums = sums,
             .visit = visit,
             .context = context};
  zg_status status = zg_team_works(deal->team) ? sweep_as_team(&s) : ZG_OK;
  ZG_WAIT_FOR_TASKS;
  return zg_agree(work->run->comm, status);
}
