/** \file
 * The item form: tasks to profiles. What a task yields stands in a place of its own, so
 * sums over ranks only add zeros. */
#include "measures/profile.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/watchdog.h"
#include "engine/forms.h"
#include "engine/sweep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A profile pass in progress; everything is owned. */
typedef struct profiles {
  zg_work *work;
  const zg_pass *pass;
  const zg_profile_form *form;
  int64_t tasks; /* of items; behind them those of pairs (a, b), a > b, row by row */
  int64_t width, profile_width;
  void *shared;    /* what the form knows of the whole zoo */
  double *numbers; /* [pairs, pair_numbers] */
  double *values;  /* [tasks, width] */
  double *codes;   /* [tasks] */
  char *notes;     /* [tasks, ZG_NOTE_BYTES] of this rank's tasks */
  double *profile; /* [items, profile_width] */
  zg_code *code;   /* [items] */
} profiles;

/* The arrays of a task. */
static int64_t arrays_of(const profiles *s, int64_t task, int64_t *count) {
  const zg_zoo *zoo = s->work->run->zoo;
  *count = 1;
  if (zg_profile_by_array(s->form)) return zoo->first[s->form->data] + task;
  return zg_zoo_find(zoo, s->form->data, task, count);
}

/* Place of a pair of different items in `numbers`. */
static int64_t pair_place(int64_t i, int64_t k) {
  int64_t a = zg_max(i, k), b = zg_min(i, k);
  return a * (a - 1) / 2 + b;
}

static void visit_pair(profiles *s, int64_t pair) {
  int64_t a = (int64_t)((1 + sqrt(1 + 8 * (double)pair)) / 2);
  while (pair_place(a, 0) > pair)
    a--;
  while (pair_place(a + 1, 0) <= pair)
    a++;
  zg_phase_start(s->work, ZG_PHASE_REDUCE);
  s->form->compare(s->pass->call, s->shared, a, pair - pair_place(a, 0),
                   s->numbers + pair * s->form->pair_numbers);
  zg_phase_stop(s->work, ZG_PHASE_REDUCE);
}

static zg_status visit(void *context, int64_t task) {
  profiles *s = context;
  if (task >= s->tasks) {
    visit_pair(s, task - s->tasks);
    return ZG_OK;
  }
  int64_t count, first = arrays_of(s, task, &count);
  if (!count) return ZG_OK;
  zg_finding finding = {.shared = s->shared, .values = s->values + task * s->width};
  zg_phase_start(s->work, ZG_PHASE_REDUCE);
  zg_status status = s->form->measure(s->pass->call, s->work->reader, s->work->run->zoo,
                                      first, count, &finding);
  zg_phase_stop(s->work, ZG_PHASE_REDUCE);
  s->codes[task] = finding.code;
  memcpy(s->notes + task * ZG_NOTE_BYTES, finding.note, ZG_NOTE_BYTES);
  return status;
}

/* ---- the order of tasks ---- */

typedef struct costly {
  double cost;
  int64_t task;
} costly;

static int compare_costs(const void *a, const void *b) {
  const costly *x = a, *y = b;
  if (x->cost != y->cost) return x->cost > y->cost ? -1 : 1;
  return x->task < y->task ? -1 : 1;
}

static double cost_of(const profiles *s, int64_t task) {
  const zg_zoo *zoo = s->work->run->zoo;
  int64_t count, first = arrays_of(s, task, &count);
  double cost = 0;
  for (int64_t k = first; k < first + count; k++)
    cost += s->form->cost(&zoo->arrays[k]);
  return cost;
}

/* Expensive tasks are dealt out first, so that ranks end together. The caller frees. */
static int64_t *deal_order(const profiles *s) {
  costly *costs = ZG_NEW0(costly, s->pass->tasks);
  int64_t *order = ZG_NEW(int64_t, s->pass->tasks);
  for (int64_t t = 0; t < s->tasks; t++)
    costs[t] = (costly){cost_of(s, t), t};
  if (s->form->pair_numbers)
    for (int64_t a = 0; a < s->pass->items; a++)
      for (int64_t b = 0; b < a; b++) {
        int64_t t = s->tasks + pair_place(a, b);
        costs[t] = (costly){costs[a].cost + costs[b].cost, t};
      }
  if (s->pass->tasks)
    qsort(costs, (size_t)s->pass->tasks, sizeof *costs, compare_costs);
  for (int64_t k = 0; k < s->pass->tasks; k++)
    order[costs[k].task] = k;
  free(costs);
  return order;
}

/* ---- the life of a pass ---- */

static void create(zg_work *work, const zg_pass *pass, profiles *s) {
  const zg_profile_form *form = pass->spec.profile;
  const zg_zoo *zoo = work->run->zoo;
  int64_t pairs = zg_plan_profile_pairs(pass);
  *s = (profiles){.work = work,
                  .pass = pass,
                  .form = form,
                  .tasks = pass->tasks - pairs,
                  .numbers = ZG_NEW0(double, pairs * form->pair_numbers),
                  .width = form->width(pass->call, zoo),
                  .profile_width = zg_profile_numbers(form, pass->call, zoo)};
  int64_t numbers = s->tasks * s->width, all = pass->items * s->profile_width;
  s->values = ZG_NEW0(double, numbers);
  s->codes = ZG_NEW0(double, s->tasks);
  s->notes = ZG_NEW0(char, s->tasks *ZG_NOTE_BYTES);
  s->profile = ZG_NEW0(double, all);
  s->code = ZG_NEW0(zg_code, pass->items);
}

static void destroy(profiles *s) {
  if (s->shared) s->form->release(s->shared);
  free(s->numbers);
  free(s->values);
  free(s->codes);
  free(s->notes);
  free(s->profile);
  free(s->code);
}

static zg_status sweep(profiles *s) {
  zg_work *work = s->work;
  bool resumed;
  int64_t numbers = zg_plan_profile_pairs(s->pass) * s->form->pair_numbers;
  zg_sums sums = {.vectors = {s->values, s->codes, s->numbers},
                  .lengths = {s->tasks * s->width, s->tasks, numbers}};
  if (!s->pass->tasks) return zg_state_skip(work->state);
  ZG_TRY(zg_state_begin(work->state, s->pass - work->run->plan->passes, s->pass->tasks,
                        &sums, &resumed));
  int64_t *order = deal_order(s);
  zg_deal deal = {.team = &work->solo, .tasks = s->pass->tasks, .order = order};
  zg_status status = zg_sweep(work, &deal, "profiles", &sums, visit, s);
  free(order);
  ZG_TRY(status);
  ZG_TRY(zg_state_finish(work->state, &work->solo, &sums));
  zg_sum_doubles(work->run->comm, s->values, s->tasks * s->width);
  zg_sum_doubles(work->run->comm, s->codes, s->tasks);
  zg_sum_doubles(work->run->comm, s->numbers, numbers);
  return ZG_OK;
}

/* Tasks that have not converged on one rank. */
static zg_status do_together(profiles *s) {
  for (int64_t t = 0; s->form->measure_together && t < s->tasks; t++) {
    if (s->codes[t] != ZG_CODE_CONVERGENCE) continue;
    int64_t count, first = arrays_of(s, t, &count);
    zg_finding finding = {.shared = s->shared,
                          .values = s->values + t * s->width,
                          .code = ZG_CODE_CONVERGENCE};
    ZG_TRY(zg_agree(s->work->run->comm, zg_work_go_on(s->work)));
    zg_work_task(s->work, true);
    zg_status status = s->form->measure_together(s->work->run->comm, s->work->reader,
                                                 s->work->run->zoo, first, &finding);
    zg_work_task(s->work, false);
    ZG_TRY(status);
    s->codes[t] = finding.code;
  }
  return ZG_OK;
}

/* The tasks that an item's profile is made of: none where its data are absent. */
static int64_t tasks_of(const profiles *s, int64_t item, int64_t *count) {
  const zg_zoo *zoo = s->work->run->zoo;
  *count = 1;
  if (s->form->per_item) return item;
  int64_t first = zg_zoo_find(zoo, s->form->data, item, count);
  if (s->form->per_array) return first - zoo->first[s->form->data];
  *count = zg_min(*count, 1);
  return item;
}

static void summarise(profiles *s) {
  for (int64_t i = 0; i < s->pass->items; i++) {
    int64_t tasks, task = tasks_of(s, i, &tasks);
    s->code[i] = tasks ? ZG_CODE_OK : ZG_CODE_ABSENT;
    for (int64_t t = task; t < task + tasks; t++)
      s->code[i] = zg_code_worse(s->code[i], (zg_code)s->codes[t]);
    const double *values = s->values + task * s->width;
    double *profile = s->profile + i * s->profile_width;
    if (s->form->summarise)
      s->form->summarise(s->pass->call, tasks, s->width, values, profile, &s->code[i]);
    else if (tasks)
      memcpy(profile, values, (size_t)s->width * sizeof *profile);
  }
}

/* ---- the log ---- */

/* Notes of tasks, which every rank has of its own, said by rank 0. */
static void complain(profiles *s) {
  ZG_WAIT;
  static const char *const fallback[ZG_CODES] = {
      [ZG_CODE_NONFINITE] = "NaN or infinite numbers",
      [ZG_CODE_ZERO_VARIANCE] = "is zero or constant",
      [ZG_CODE_FEW_SAMPLES] = "too few samples"};
  for (int64_t t = 0; t < s->tasks; t++) {
    zg_code code = (zg_code)s->codes[t];
    char *note = s->notes + t * ZG_NOTE_BYTES;
    if (zg_code_has_value(code)) continue;
    MPI_Allreduce(MPI_IN_PLACE, note, ZG_NOTE_BYTES, MPI_BYTE, MPI_BOR,
                  s->work->run->comm);
    int64_t count, first = arrays_of(s, t, &count);
    const char *what = note[0] ? note : fallback[code];
    zg_tensor_complain(s->work, first, count, code, what ? what : "unusable");
  }
}

/* ---- tensors ---- */

static void pair_of(const void *context, int64_t i, int64_t k, zg_pair *pair) {
  const profiles *s = context;
  pair->profile_a = s->profile + i * s->profile_width;
  pair->profile_b = s->profile + k * s->profile_width;
  pair->width = s->profile_width;
  pair->known = s->shared;
  pair->item_a = i;
  pair->item_b = k;
  if (i != k && s->form->pair_numbers)
    pair->numbers = s->numbers + pair_place(i, k) * s->form->pair_numbers;
  pair->code_a = s->code[i];
  pair->code_b = s->code[k];
}

/* The first number of a pair; 0 on the diagonal. */
static double first_number(const void *context, int64_t i, int64_t k) {
  const profiles *s = context;
  if (!zg_code_has_value(s->code[i]) || !zg_code_has_value(s->code[k])) return NAN;
  return i == k ? 0 : s->numbers[pair_place(i, k) * s->form->pair_numbers];
}

static zg_status keep(const profiles *s, int64_t call, zg_results *results) {
  zg_kept kept[ZG_MAX_KEPT];
  int64_t count = zg_call_kept(&s->work->run->calls[call], kept), n = s->pass->items;
  double *column = ZG_NEW(double, n);
  zg_status status = ZG_OK;
  for (int64_t q = 0; status == ZG_OK && q < count; q++) {
    if (kept[q].shape == ZG_KEPT_PAIRS) {
      status = zg_tensor_keep_pairs(s->work, results, call, q, n, first_number, s);
      continue;
    }
    for (int64_t i = 0; i < n; i++)
      column[i] = zg_code_has_value(s->code[i]) ? s->profile[i * s->profile_width + q]
                                                : (double)NAN;
    status = zg_tensor_keep(s->work, results, call, q, n, column);
  }
  free(column);
  return status;
}

zg_status zg_profile_run(zg_work *work, int64_t p, zg_results *results) {
  profiles s;
  create(work, &work->run->plan->passes[p], &s);
  zg_status status = ZG_OK;
  if (s.form->share)
    status = s.form->share(work->run->comm, work->reader, work->run->zoo, s.pass->call,
                           &s.shared);
  if (status == ZG_OK) status = sweep(&s);
  if (status == ZG_OK) status = do_together(&s);
  if (status == ZG_OK) {
    summarise(&s);
    complain(&s);
  }
  for (int64_t k = 0; status == ZG_OK && k < work->run->call_count; k++) {
    if (!zg_serves(work, p, k)) continue;
    status = zg_tensor_write_shared(work, results, k, s.pass->items, pair_of, &s);
    if (status == ZG_OK) status = keep(&s, k, results);
  }
  destroy(&s);
  return status;
}
