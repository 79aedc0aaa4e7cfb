/** \file
 * The plan of pair passes: how the pairs of items are cut into blocks, and how much of
 * what was prepared stays in memory. */
#include "measures/pair.h"
#include "base/memory.h"
#include "plan/parts.h"
#include "zoo/data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- items ---- */

static int64_t partner_of(const zg_zoo *zoo, const zg_pair_form *form, int64_t array) {
  const zg_array *a = &zoo->arrays[array];
  int64_t count, first = zg_zoo_find(zoo, form->data[1], a->model, &count);
  for (int64_t k = first; k < first + count; k++)
    if (!strcmp(zoo->arrays[k].name, a->name)) return k;
  return -1;
}

bool zg_plan_pair_item(const zg_zoo *zoo, const zg_pair_form *form, int64_t item,
                       int64_t arrays[ZG_PAIR_ARRAYS],
                       zg_shape shapes[ZG_PAIR_ARRAYS]) {
  arrays[0] = zoo->first[form->data[0]] + item;
  arrays[1] = form->arrays > 1 ? partner_of(zoo, form, arrays[0]) : -1;
  for (int k = 0; k < ZG_PAIR_ARRAYS; k++) {
    shapes[k] = (zg_shape){0};
    if (arrays[k] < 0) continue;
    shapes[k].n = zg_zoo_rows(zoo, &zoo->arrays[arrays[k]]);
    shapes[k].d = zoo->arrays[arrays[k]].d;
  }
  return form->arrays == 1 || arrays[1] >= 0;
}

bool zg_plan_pair_fits(const zg_pair_form *form, const zg_shape *a, const zg_shape *b) {
  return (!form->equal_n || a->n == b->n) && (!form->equal_d || a->d == b->d);
}

/* ---- blocks ---- */

typedef struct walk {
  zg_pair_block *blocks; /* NULL: only count */
  int64_t count;
} walk;

static void add_block(walk *w, int64_t row, int64_t column) {
  if (w->blocks) w->blocks[w->count] = (zg_pair_block){row, column};
  w->count++;
}

/* A rectangle is halved along its longer side, so that any run of blocks is compact. */
static void walk_rectangle(walk *w, int64_t row, int64_t rows, int64_t column,
                           int64_t columns) {
  if (rows == 0 || columns == 0) return;
  if (rows == 1 && columns == 1) {
    add_block(w, row, column);
  } else if (rows >= columns) {
    walk_rectangle(w, row, rows / 2, column, columns);
    walk_rectangle(w, row + rows / 2, rows - rows / 2, column, columns);
  } else {
    walk_rectangle(w, row, rows, column, columns / 2);
    walk_rectangle(w, row, rows, column + columns / 2, columns - columns / 2);
  }
}

static void walk_triangle(walk *w, int64_t first, int64_t count) {
  if (count == 0) return;
  if (count == 1) {
    add_block(w, first, first);
    return;
  }
  int64_t half = count / 2;
  walk_triangle(w, first, half);
  walk_rectangle(w, first + half, count - half, first, half);
  walk_triangle(w, first + half, count - half);
}

zg_pair_block *zg_plan_pair_blocks(const zg_pass *pass) {
  walk w = {.blocks = ZG_NEW(zg_pair_block, pass->tasks)};
  walk_triangle(&w, 0, zg_ceil_div(pass->items, pass->piece));
  return w.blocks;
}

/* ---- memory ---- */

/* What the items of a pass ask for at most. */
typedef struct demand {
  int64_t rows, preparing, prepared, room, all; /* bytes; all: of what is prepared */
  int64_t slab;                                 /* bytes of what is read at a time */
  double flop, dearest;                         /* of all pairs, and of one */
} demand;

static demand demand_of(const zg_zoo *zoo, const zg_pass *pass) {
  const zg_pair_form *form = pass->spec.pair;
  int64_t arrays[ZG_PAIR_ARRAYS];
  zg_shape(*shapes)[ZG_PAIR_ARRAYS] =
      zg_alloc(pass->items, sizeof(zg_shape[ZG_PAIR_ARRAYS]));
  demand most = {0};
  for (int64_t i = 0; i < pass->items; i++) {
    zg_plan_pair_item(zoo, form, i, arrays, shapes[i]);
    int64_t rows = 0, bytes = form->bytes(pass->call, shapes[i]);
    for (int k = 0; k < form->arrays; k++) {
      rows += 8 * shapes[i][k].n * shapes[i][k].d;
      most.slab = zg_max(most.slab, zg_plan_slab(shapes[i][k].d));
    }
    most.rows = zg_max(most.rows, rows);
    most.prepared = zg_max(most.prepared, bytes);
    most.all += bytes;
    if (form->preparing)
      most.preparing = zg_max(most.preparing, form->preparing(pass->call, shapes[i]));
    for (int64_t k = 0; k <= i; k++) {
      if (!zg_plan_pair_fits(form, shapes[i], shapes[k])) continue;
      if (i == k && !form->self) continue;
      double cost = form->cost(pass->call, shapes[i], shapes[k]);
      most.room = zg_max(most.room, form->room(pass->call, shapes[i], shapes[k]));
      most.room = zg_max(most.room, form->room(pass->call, shapes[k], shapes[i]));
      most.flop += cost * (pass->call->measure->symmetric || i == k ? 1 : 2);
      most.dearest = fmax(most.dearest, cost);
    }
  }
  free(shapes);
  int64_t number = 0;
  for (int k = 0; k < form->arrays; k++)
    number = zg_max(number, zg_plan_number_bytes(zoo, form->data[k]));
  most.slab *= number;
  return most;
}

/* Items of a run: of cheap pairs some, so that what is in the cache serves several
 * pairs, but a block takes a second at most and there are some for several ranks. */
static int64_t run_length(const zg_pass *pass, const demand *most, int64_t room) {
  const int64_t longest = 16, least_runs = 8;
  const double flop = 1e9;
  int64_t items = zg_min(longest, zg_ceil_div(pass->items, least_runs));
  int64_t quick = (int64_t)sqrt(flop / fmax(1, most->dearest));
  int64_t fits = room / (2 * zg_max(1, most->prepared));
  return zg_max(1, zg_min(zg_min(items, quick), fits));
}

static zg_status check_samples(const zg_zoo *zoo, const zg_pass *pass) {
  int64_t first = zoo->first[pass->spec.pair->data[0]];
  for (int64_t i = 0; i < pass->items; i++)
    if (zg_zoo_rows(zoo, &zoo->arrays[first + i]) >= ZG_PAIR_SAMPLES) return ZG_OK;
  return zg_fail(ZG_ERR_DATA,
                 "measure %s: %lld samples are too few: at least %d are needed",
                 pass->call->measure->name,
                 (long long)zg_zoo_rows(zoo, &zoo->arrays[first]), ZG_PAIR_SAMPLES);
}

/* Whether some pair is more than the form can compare. */
static zg_status check_sizes(const zg_zoo *zoo, const zg_pass *pass) {
  const zg_pair_form *form = pass->spec.pair;
  int64_t a[ZG_PAIR_ARRAYS], b[ZG_PAIR_ARRAYS];
  zg_shape of_a[ZG_PAIR_ARRAYS], of_b[ZG_PAIR_ARRAYS];
  for (int64_t i = 0; form->refusal && i < pass->items; i++)
    for (int64_t k = 0; k < i; k++) {
      zg_plan_pair_item(zoo, form, i, a, of_a);
      zg_plan_pair_item(zoo, form, k, b, of_b);
      if (!zg_plan_pair_fits(form, of_a, of_b)) continue;
      const char *why = form->refusal(pass->call, of_a, of_b);
      if (!why) continue;
      char *other = zg_zoo_where(zoo, b[0]);
      zg_status status = zg_array_fail(zoo, a[0], "measure %s of it and %s: %s",
                                       pass->call->measure->name, other, why);
      free(other);
      return status;
    }
  return ZG_OK;
}

/* How long runs are and how much stays, with the memory that there is. What the numbers
 * of the whole tensor take is free again when items are prepared. */
static zg_memory divide_memory(const zg_request *request, const zg_plan *plan,
                               zg_pass *pass, const demand *most) {
  const zg_pair_form *form = pass->spec.pair;
  /* An item's rows are gone when pairs are compared. */
  zg_memory m = {.reading = most->slab,
                 .tiles = zg_max(most->room, most->rows + most->preparing),
                 .sums = 8 * pass->items * pass->items * (form->terms + 1) +
                         zg_plan_written_bytes(pass->items, plan->ranks)};
  int64_t others = zg_plan_program_bytes(plan) + m.reading + m.tiles + m.sums;
  int64_t room = zg_max(0, request->memory - others);
  pass->piece = run_length(pass, most, room);
  int64_t least = zg_min(most->all, 2 * pass->piece * most->prepared);
  m.panels = pass->bytes_kept = zg_max(least, zg_min(room, most->all));
  int64_t sharing = form->sharing ? form->sharing(request->zoo, pass->call) : 0;
  m.sides = zg_max(0, sharing - m.reading - m.tiles - m.panels);
  return m;
}

zg_status zg_plan_pair(const zg_request *request, zg_plan *plan, zg_pass *pass) {
  const zg_zoo *zoo = request->zoo;
  const zg_pair_form *form = pass->spec.pair;
  pass->items = zoo->first[form->data[0] + 1] - zoo->first[form->data[0]];
  pass->precision = ZG_DOUBLE;
  if (!pass->items)
    return zg_fail(ZG_ERR_DATA, "measure %s: the selected models have no %s",
                   pass->call->measure->name, zg_data_name(form->data[0]));
  ZG_TRY(check_samples(zoo, pass));
  ZG_TRY(check_sizes(zoo, pass));
  demand most = demand_of(zoo, pass);
  zg_memory memory = divide_memory(request, plan, pass, &most);
  walk w = {0};
  walk_triangle(&w, 0, zg_ceil_div(pass->items, pass->piece));
  pass->tasks = w.count;
  plan->flop += most.flop;
  for (int k = 0; k < form->arrays; k++)
    for (int64_t a = zoo->first[form->data[k]]; a < zoo->first[form->data[k] + 1]; a++)
      plan->bytes += (double)(zg_zoo_rows(zoo, &zoo->arrays[a]) * zoo->arrays[a].d) *
                     (double)zg_dtype_bytes(zoo->arrays[a].dtype);
  return zg_plan_add_memory(plan, pass, memory);
}
