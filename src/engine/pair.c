/** \file
 * The pair form: rows to prepared items, blocks of pairs to terms. The terms of a pair
 * stand in a place of their own, so sums over ranks only add zeros. */
#include "measures/pair.h"
#include "base/memory.h"
#include "base/watchdog.h"
#include "engine/forms.h"
#include "engine/sweep.h"
#include "linalg/numbers.h"

#include <math.h>
#include <stdlib.h>

/* What is known of an item. */
typedef struct item {
  int64_t arrays[ZG_PAIR_ARRAYS];
  zg_shape shapes[ZG_PAIR_ARRAYS];
  zg_code code;   /* from the headers */
  zg_code found;  /* once it was prepared */
  int bad;        /* the arrays to blame, as bits */
  void *prepared; /* NULL: not in memory; owned */
  int64_t bytes;
  int64_t used; /* when last */
} item;

/* A pair pass in progress; everything is owned. */
typedef struct pairs {
  zg_work *work;
  const zg_pass *pass;
  const zg_pair_form *form;
  zg_pair_context context;
  zg_pair_block *blocks; /* [tasks] */
  item *items;           /* [N] */
  int64_t held, clock;   /* bytes of what is prepared; goes on block by block */
  int64_t room;          /* bytes for a comparison */
  zg_comparison *list;   /* pairs of the current block */
  double *shared;
  double *terms; /* [N, N, stride]: a pair's terms and its code */
  int64_t stride;
  double *codes; /* [N] what was found of items, see pack; set by the block that
                    holds the item twice */
} pairs;

/* ---- items ---- */

static bool is_sound(const item *it) {
  return it->code == ZG_CODE_OK && it->found == ZG_CODE_OK;
}

/* What was found of an item as one number, for sums over ranks. */
static double pack(const item *it) {
  return (double)it->found + ZG_CODES * it->bad;
}

static void unpack(double number, item *it) {
  it->found = (zg_code)((int)number % ZG_CODES);
  it->bad = (int)number / ZG_CODES;
}

static zg_status read_item(zg_work *work, const item *it, int arrays,
                           zg_rows rows[ZG_PAIR_ARRAYS]) {
  zg_status status = ZG_OK;
  zg_phase_start(work, ZG_PHASE_READ);
  for (int k = 0; k < arrays; k++)
    rows[k] = (zg_rows){0};
  for (int k = 0; status == ZG_OK && k < arrays; k++) {
    const zg_shape *shape = &it->shapes[k];
    double *values = ZG_NEW(double, shape->n * shape->d);
    rows[k] = (zg_rows){.n = shape->n, .d = shape->d, .values = values};
    status = zg_reader_doubles(work->reader, it->arrays[k], 0, shape->n, values);
  }
  zg_phase_stop(work, ZG_PHASE_READ);
  return status;
}

/* Drop what has not been used for longest, until there is room. Nothing of the current
 * block goes: the plan has seen to it that two runs fit. */
static void make_room(pairs *s, int64_t bytes) {
  while (s->held > 0 && s->held + bytes > s->pass->bytes_kept) {
    item *oldest = NULL;
    for (int64_t i = 0; i < s->pass->items; i++) {
      item *it = &s->items[i];
      bool free_to_go = it->prepared && it->used < s->clock;
      if (free_to_go && (!oldest || it->used < oldest->used)) oldest = it;
    }
    if (!oldest) return;
    free(oldest->prepared);
    oldest->prepared = NULL;
    s->held -= oldest->bytes;
  }
}

static zg_status prepare(pairs *s, item *it) {
  zg_rows rows[ZG_PAIR_ARRAYS];
  zg_status status = read_item(s->work, it, s->form->arrays, rows);
  zg_phase_start(s->work, ZG_PHASE_PREPARE);
  for (int k = 0; status == ZG_OK && k < s->form->arrays; k++)
    if (!zg_can_be_squared(rows[k].n * rows[k].d, rows[k].values)) it->bad |= 1 << k;
  if (it->bad) it->found = ZG_CODE_NONFINITE;
  if (status == ZG_OK && is_sound(it)) {
    make_room(s, it->bytes);
    it->prepared = zg_alloc_large(it->bytes, 1);
    s->held += it->bytes;
    s->form->prepare(&s->context, rows, it->prepared, &it->found);
  }
  for (int k = 0; k < s->form->arrays; k++)
    free((void *)rows[k].values);
  zg_phase_stop(s->work, ZG_PHASE_PREPARE);
  return status;
}

/* ---- blocks ---- */

static int64_t run_start(const pairs *s, int64_t run) {
  return zg_min(s->pass->items, run * s->pass->piece);
}

static void mark_run(pairs *s, int64_t run) {
  for (int64_t i = run_start(s, run); i < run_start(s, run + 1); i++)
    s->items[i].used = s->clock;
}

static zg_status load_run(pairs *s, int64_t run) {
  for (int64_t i = run_start(s, run); i < run_start(s, run + 1); i++) {
    item *it = &s->items[i];
    if (is_sound(it) && !it->prepared) ZG_TRY(prepare(s, it));
  }
  return ZG_OK;
}

/* Both runs are marked before either is loaded, so that neither makes room in the
 * other. */
static zg_status load_block(pairs *s, zg_pair_block block) {
  s->clock++;
  mark_run(s, block.row);
  mark_run(s, block.column);
  ZG_TRY(load_run(s, block.row));
  return load_run(s, block.column);
}

static double *terms_of(const pairs *s, int64_t i, int64_t k) {
  return s->terms + (i * s->pass->items + k) * s->stride;
}

static bool is_wanted(const pairs *s, int64_t i, int64_t k) {
  const item *a = &s->items[i], *b = &s->items[k];
  return (i != k || s->form->self) && is_sound(a) && is_sound(b) &&
         zg_plan_pair_fits(s->form, a->shapes, b->shapes);
}

static int64_t add_pair(pairs *s, int64_t count, int64_t i, int64_t k) {
  const item *a = &s->items[i], *b = &s->items[k];
  s->list[count] = (zg_comparison){.a = {.shapes = a->shapes, .data = a->prepared},
                                   .b = {.shapes = b->shapes, .data = b->prepared},
                                   .terms = terms_of(s, i, k)};
  s->work->report->flop += s->form->cost(s->pass->call, a->shapes, b->shapes);
  return count + 1;
}

/* The pairs of a block that have to be compared. \return how many. */
static int64_t list_pairs(pairs *s, zg_pair_block block) {
  bool symmetric = s->pass->call->measure->symmetric;
  int64_t count = 0;
  for (int64_t i = run_start(s, block.row); i < run_start(s, block.row + 1); i++) {
    int64_t end = zg_min(i + 1, run_start(s, block.column + 1));
    for (int64_t k = run_start(s, block.column); k < end; k++) {
      if (i == k) s->codes[i] = pack(&s->items[i]);
      if (!is_wanted(s, i, k)) continue;
      count = add_pair(s, count, i, k);
      if (!symmetric && i != k) count = add_pair(s, count, k, i);
    }
  }
  return count;
}

static zg_status visit(void *context, int64_t task) {
  pairs *s = context;
  zg_pair_block block = s->blocks[task];
  ZG_TRY(load_block(s, block));
  zg_phase_start(s->work, ZG_PHASE_REDUCE);
  int64_t count = list_pairs(s, block);
  /* Only now: the plan counts it instead of what preparing an item takes. */
  void *room = zg_alloc_large(s->room, 1);
  if (s->form->compare_all) s->form->compare_all(&s->context, count, s->list, room);
  for (int64_t k = 0; k < count; k++) {
    zg_comparison *pair = &s->list[k];
    if (!s->form->compare_all) s->form->compare(&s->context, pair, room);
    pair->terms[s->form->terms] = pair->code;
    zg_beat();
  }
  free(room);
  zg_phase_stop(s->work, ZG_PHASE_REDUCE);
  return ZG_OK;
}

/* ---- the life of a pass ---- */

static void create_items(pairs *s) {
  const zg_zoo *zoo = s->work->run->zoo;
  for (int64_t i = 0; i < s->pass->items; i++) {
    item *it = &s->items[i];
    bool whole = zg_plan_pair_item(zoo, s->form, i, it->arrays, it->shapes);
    it->bytes = whole ? s->form->bytes(s->pass->call, it->shapes) : 0;
    if (it->shapes[0].n < ZG_PAIR_SAMPLES) it->code = ZG_CODE_FEW_SAMPLES;
    if (!whole) it->code = ZG_CODE_ABSENT;
  }
}

/* The room for a comparison: that of the pair that needs most. */
static int64_t room_bytes(const pairs *s) {
  int64_t most = 0;
  for (int64_t i = 0; i < s->pass->items; i++)
    for (int64_t k = 0; k < s->pass->items; k++)
      if (is_wanted(s, i, k))
        most = zg_max(
            most, s->form->room(s->pass->call, s->items[i].shapes, s->items[k].shapes));
  return most;
}

static void create(zg_work *work, const zg_pass *pass, pairs *s) {
  int64_t N = pass->items;
  const zg_pair_form *form = pass->spec.pair;
  *s = (pairs){.work = work,
               .pass = pass,
               .form = form,
               .blocks = zg_plan_pair_blocks(pass),
               .items = ZG_NEW0(item, N),
               .stride = form->terms + 1,
               .list = ZG_NEW(zg_comparison, 2 * pass->piece * pass->piece),
               .shared = ZG_NEW0(double, form->shared),
               .terms = ZG_NEW0(double, N *N *(form->terms + 1)),
               .codes = ZG_NEW0(double, N)};
  s->context = (zg_pair_context){.call = pass->call, .shared = s->shared};
  create_items(s);
  s->room = zg_max(ZG_MAPPED_BYTES, room_bytes(s)); /* no holes, task after task */
}

static void drop_items(pairs *s) {
  for (int64_t i = 0; i < s->pass->items; i++) {
    free(s->items[i].prepared);
    s->items[i].prepared = NULL;
  }
}

static void destroy(pairs *s) {
  drop_items(s);
  free(s->blocks);
  free(s->items);
  free(s->list);
  free(s->shared);
  free(s->terms);
  free(s->codes);
}

static zg_status share(pairs *s) {
  const zg_run *run = s->work->run;
  zg_sharing sharing = {.comm = run->comm,
                        .reader = s->work->reader,
                        .zoo = run->zoo,
                        .call = s->pass->call,
                        .should_stop = run->should_stop};
  if (!s->form->share) return ZG_OK;
  zg_phase_start(s->work, ZG_PHASE_MEDIAN);
  zg_status status = s->form->share(&sharing, s->shared);
  zg_phase_stop(s->work, ZG_PHASE_MEDIAN);
  return status;
}

/* What the pairs of a block cost, as far as headers tell. */
static double block_cost(const pairs *s, zg_pair_block block) {
  double cost = 0;
  for (int64_t i = run_start(s, block.row); i < run_start(s, block.row + 1); i++) {
    int64_t end = zg_min(i + 1, run_start(s, block.column + 1));
    for (int64_t k = run_start(s, block.column); k < end; k++)
      if (is_wanted(s, i, k))
        cost += s->form->cost(s->pass->call, s->items[i].shapes, s->items[k].shapes);
  }
  return cost;
}

/* For shards, which differ less in cost than in blocks; the caller frees. */
static double *block_costs(const pairs *s) {
  if (!s->work->run->part) return NULL;
  double *costs = ZG_NEW(double, s->pass->tasks);
  for (int64_t t = 0; t < s->pass->tasks; t++)
    costs[t] = block_cost(s, s->blocks[t]);
  return costs;
}

static zg_status sweep(pairs *s) {
  zg_work *work = s->work;
  bool resumed;
  int64_t N = s->pass->items;
  zg_sums sums = {.vectors = {s->terms, s->codes},
                  .lengths = {N * N * s->stride, N},
                  .parameters = s->shared,
                  .parameter_count = s->form->shared};
  double *costs = block_costs(s); /* of sound items: before any is found not to be */
  zg_deal deal = {.team = &work->solo, .tasks = s->pass->tasks, .cost = costs};
  zg_status status = zg_state_begin(work->state, s->pass - work->run->plan->passes,
                                    s->pass->tasks, &sums, &resumed);
  if (status == ZG_OK && !resumed) status = share(s);
  if (status == ZG_OK) status = zg_sweep(work, &deal, "pairs", &sums, visit, s);
  free(costs);
  ZG_TRY(status);
  drop_items(s);
  ZG_TRY(zg_state_finish(work->state, &work->solo, &sums));
  zg_phase_start(work, ZG_PHASE_COMBINE);
  zg_sum_doubles(work->run->comm, s->terms, N * N * s->stride);
  zg_sum_doubles(work->run->comm, s->codes, N);
  zg_phase_stop(work, ZG_PHASE_COMBINE);
  for (int64_t i = 0; i < N; i++)
    unpack(s->codes[i], &s->items[i]);
  return ZG_OK;
}

/* ---- the log ---- */

static void complain(const pairs *s) {
  for (int64_t i = 0; i < s->pass->items; i++) {
    const item *it = &s->items[i];
    if (it->code == ZG_CODE_FEW_SAMPLES)
      zg_tensor_complain(s->work, it->arrays[0], 1, it->code, "too few samples");
    for (int k = 0; k < s->form->arrays; k++)
      if (it->bad >> k & 1)
        zg_tensor_complain(s->work, it->arrays[k], 1, it->found,
                           "NaN or infinite numbers, or too large to be squared");
  }
}

/* ---- tensors ---- */

static void pair_of(const void *context, int64_t i, int64_t k, zg_pair *pair) {
  const pairs *s = context;
  const item *a = &s->items[i], *b = &s->items[k];
  bool mirrored = s->pass->call->measure->symmetric && i < k;
  pair->terms = mirrored ? terms_of(s, k, i) : terms_of(s, i, k);
  pair->terms_a = terms_of(s, i, i);
  pair->terms_b = terms_of(s, k, k);
  pair->shared = s->shared;
  pair->found = (zg_code)pair->terms[s->form->terms];
  pair->code_a = zg_code_worse(a->code, a->found);
  pair->code_b = zg_code_worse(b->code, b->found);
  if (pair->code_a != ZG_CODE_ABSENT && pair->code_b != ZG_CODE_ABSENT &&
      !zg_plan_pair_fits(s->form, a->shapes, b->shapes))
    pair->code = ZG_CODE_SHAPE;
}

static zg_status keep(const pairs *s, int64_t call, zg_results *results) {
  zg_kept kept[ZG_MAX_KEPT];
  int64_t count = zg_call_kept(&s->work->run->calls[call], kept), N = s->pass->items;
  double *column = ZG_NEW(double, N);
  zg_status status = ZG_OK;
  for (int64_t q = 0; status == ZG_OK && q < count; q++) {
    for (int64_t i = 0; i < N; i++)
      column[i] = is_sound(&s->items[i])
                      ? s->form->keep(&s->context, q, terms_of(s, i, i))
                      : (double)NAN;
    status = zg_tensor_keep(s->work, results, call, q, N, column);
  }
  free(column);
  return status;
}

zg_status zg_pair_run(zg_work *work, int64_t p, zg_results *results) {
  pairs s;
  create(work, &work->run->plan->passes[p], &s);
  zg_status status = sweep(&s);
  if (status == ZG_OK) complain(&s);
  for (int64_t k = 0; status == ZG_OK && k < work->run->call_count; k++) {
    if (!zg_serves(work, p, k)) continue;
    status = zg_tensor_write_shared(work, results, k, s.pass->items, pair_of, &s);
    if (status == ZG_OK) status = keep(&s, k, results);
  }
  destroy(&s);
  return status;
}
