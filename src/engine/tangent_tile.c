/** \file
 * Tiles of all models' kernels, and what they add to the sums. */
#include "base/memory.h"
#include "engine/tangent.h"
#include "linalg/fixed.h"
#include "linalg/vector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

zg_kernel_tile zg_kernel_tile_of(const zg_pass *pass, int64_t task) {
  zg_kernel_tile t = {.group = zg_plan_group_of(pass, task)};
  int64_t i, j, n = t.group->length, pieces = t.group->pieces;
  zg_tile_place(task - t.group->first_task, &i, &j);
  t.row = zg_part(n, pieces, i);
  t.rows = zg_part(n, pieces, i + 1) - t.row;
  t.column = zg_part(n, pieces, j);
  t.columns = zg_part(n, pieces, j + 1) - t.column;
  t.left = t.rows * t.group->width;
  t.right = t.columns * t.group->width;
  t.diagonal = i == j;
  return t;
}

int64_t zg_tangent_largest_tile(const zg_pass *pass) {
  int64_t most = 1;
  for (int64_t g = 0; g < pass->group_count; g++) {
    int64_t edge = pass->groups[g].piece * pass->groups[g].width;
    most = zg_max(most, edge * edge);
  }
  return most;
}

/* The tile of one model; zeros where a number is not finite. */
zg_status zg_tangent_form(zg_work *work, zg_factor_store *store, zg_theta *theta,
                          const zg_kernel_tile *t, int64_t model, int64_t copies,
                          void *to, bool *finite) {
  const zg_factors *left, *right;
  int64_t stride = t->left * t->right;
  ZG_TRY(zg_factors_get(store, model, t->row, t->rows, &left));
  ZG_TRY(zg_factors_get(store, model, t->column, t->columns, &right));
  zg_phase_start(work, ZG_PHASE_FORM);
  double before = theta->flop;
  zg_status status = zg_theta_tile(theta, left, right, stride, to);
  /* A diagonal tile is formed whole and counted by half. */
  work->report->flop += (theta->flop - before) / (t->diagonal ? 2 : 1);
  *finite = theta->finite;
  if (!*finite)
    memset(to, 0, (size_t)(copies * stride) * zg_real_size(theta->precision));
  zg_phase_stop(work, ZG_PHASE_FORM);
  return status;
}

/* ---- what a tile adds ---- */

#define DEFINE_SUMS(suffix, real)                                                      \
  ZG_VECTOR static void add_sums_##suffix(const zg_kernel_tile *t, const real *values, \
                                          double *left, double *right) {               \
    for (int64_t c = 0; c < t->right; c++) {                                           \
      const real *column = values + c * t->left;                                       \
      double sum = 0;                                                                  \
      for (int64_t r = 0; r < t->left; r++) {                                          \
        left[r] += column[r];                                                          \
        sum += column[r];                                                              \
      }                                                                                \
      right[c] += sum;                                                                 \
    }                                                                                  \
  }
DEFINE_SUMS(single, float)
DEFINE_SUMS(double, double)

static void round_rows(zg_tangent *s, int64_t at, int64_t count, double factor,
                       const double *sums) {
  for (int64_t r = 0; r < count; r++)
    zg_fixed_add(&s->row_coarse[at + r], &s->row_fine[at + r], factor * sums[r]);
}

/* Row sums of one item's tile, and column sums, which are those of the mirror image. */
static void add_row_sums(zg_tangent *s, const zg_kernel_tile *t, int64_t model,
                         int64_t copy, const void *values) {
  int64_t rows = t->group->length * t->group->width;
  int64_t at = s->first_row[model] + copy * rows;
  double *left = ZG_NEW0(double, t->left + t->right), *right = left + t->left;
  double factor = s->scale[model] / (double)rows;
  if (s->pass->precision == ZG_SINGLE)
    add_sums_single(t, values, left, right);
  else
    add_sums_double(t, values, left, right);
  round_rows(s, at + t->row * t->group->width, t->left, factor, left);
  if (!t->diagonal)
    round_rows(s, at + t->column * t->group->width, t->right, factor, right);
  free(left);
}

static void add_trace(zg_tangent *s, const zg_kernel_tile *t, int64_t model,
                      int64_t copy, const void *values) {
  double *totals = s->totals + (model * s->copies + copy) * ZG_KERNEL_TOTALS, trace = 0;
  for (int64_t r = 0; r < t->left; r++)
    trace += zg_real_value(s->pass->precision, values, r * t->left + r);
  zg_fixed_add(&totals[ZG_KERNEL_TRACE], &totals[ZG_KERNEL_TRACE_FINE],
               trace * s->scale[model]);
}

#define DEFINE_WIDEN(suffix, real)                                                     \
  ZG_VECTOR static void widen_##suffix(int64_t count, double scale, const real *from,  \
                                       double *to) {                                   \
    for (int64_t k = 0; k < count; k++)                                                \
      to[k] = scale * from[k];                                                         \
  }
DEFINE_WIDEN(single, float)
DEFINE_WIDEN(double, double)

/* Numbers [start, start + count) of every item of the group, scaled, as doubles. */
static void widen(zg_tangent *s, const zg_kernel_tile *t, int64_t start,
                  int64_t count) {
  int64_t stride = t->left * t->right, items = t->group->count * s->copies;
  for (int64_t k = 0; k < items; k++) {
    double scale = s->scale[t->group->members[k / s->copies]];
    const void *from = zg_real_at(s->pass->precision, s->V, k * stride + start);
    if (s->pass->precision == ZG_SINGLE)
      widen_single(count, scale, from, s->widened + k * count);
    else
      widen_double(count, scale, from, s->widened + k * count);
  }
}

static void scatter(zg_tangent *s, const zg_group *group) {
  int64_t items = group->count * s->copies;
  for (int64_t a = 0; a < items; a++)
    for (int64_t b = a; b < items; b++) {
      int64_t i = group->members[a / s->copies] * s->copies + a % s->copies;
      int64_t k = group->members[b / s->copies] * s->copies + b % s->copies;
      s->pairs.coarse[i * s->items + k] += s->product_coarse[a * items + b];
      s->pairs.fine[i * s->items + k] += s->product_fine[a * items + b];
    }
}

/* Products are in double: there are few models, so they cost little beside the tiles.
 */
static void add_products(zg_tangent *s, const zg_kernel_tile *t) {
  int64_t size = t->left * t->right, items = t->group->count * s->copies;
  memset(s->product_coarse, 0, (size_t)(items * items) * sizeof(double));
  memset(s->product_fine, 0, (size_t)(items * items) * sizeof(double));
  for (int64_t start = 0; start < size; start += ZG_RUN) {
    int64_t count = zg_min(ZG_RUN, size - start);
    widen(s, t, start, count);
    zg_accumulate_product(ZG_DOUBLE, items, count, t->diagonal ? 1 : 2, s->widened,
                          count, s->product_coarse, s->product_fine);
  }
  scatter(s, t->group);
  s->work->report->flop +=
      (double)(items * items) * (double)size / (t->diagonal ? 2 : 1);
}

static void add_item(zg_tangent *s, const zg_kernel_tile *t, int64_t model,
                     int64_t copy, const void *values) {
  if (t->diagonal) add_trace(s, t, model, copy, values);
  if (s->any_centred) add_row_sums(s, t, model, copy, values);
}

zg_status zg_tangent_visit(void *context, int64_t task) {
  zg_tangent *s = context;
  zg_kernel_tile t = zg_kernel_tile_of(s->pass, task);
  int64_t stride = t.left * t.right;
  for (int64_t k = 0; k < t.group->count; k++) {
    int64_t model = t.group->members[k];
    void *to = zg_real_at(s->pass->precision, s->V, k * s->copies * stride);
    bool finite;
    ZG_TRY(zg_tangent_form(s->work, s->store, &s->theta, &t, model, s->copies, to,
                           &finite));
    s->totals[model * s->copies * ZG_KERNEL_TOTALS + ZG_KERNEL_BAD] += !finite;
    zg_phase_start(s->work, ZG_PHASE_KERNEL);
    for (int64_t c = 0; finite && c < s->copies; c++)
      add_item(s, &t, model, c, zg_real_at(s->pass->precision, to, c * stride));
    zg_phase_stop(s->work, ZG_PHASE_KERNEL);
  }
  zg_phase_start(s->work, ZG_PHASE_REDUCE);
  add_products(s, &t);
  zg_phase_stop(s->work, ZG_PHASE_REDUCE);
  return ZG_OK;
}

/* ---- scales ---- */

/* Guess a kernel's trace from three samples. */
static zg_status sample_model(zg_tangent *s, const zg_group *group, int64_t model) {
  int64_t size = group->width * group->width, n = group->length;
  double *values = ZG_NEW(double, size * s->copies), trace = 0;
  zg_factor_store *store =
      zg_factors_open(s->work, &s->pass->spec.tangent, ZG_DOUBLE, 2, 1);
  zg_theta theta;
  zg_theta_create(s->work, ZG_DOUBLE, &theta);
  zg_status status = ZG_OK;
  for (int64_t place = 0; status == ZG_OK && place < 3; place++) {
    zg_kernel_tile t = {.group = group, .rows = 1, .columns = 1, .diagonal = true};
    bool finite;
    t.row = t.column = (n - 1) * place / 2;
    t.left = t.right = group->width;
    status =
        zg_tangent_form(s->work, store, &theta, &t, model, s->copies, values, &finite);
    for (int64_t r = 0; status == ZG_OK && r < group->width; r++)
      trace += values[r * group->width + r] * (double)n / 3;
  }
  zg_theta_destroy(&theta);
  zg_factors_close(&store);
  free(values);
  s->scale[model] = zg_scale_for(trace);
  return status;
}

zg_status zg_tangent_sample(zg_tangent *s) {
  const zg_team *team = &s->work->solo;
  zg_status status = ZG_OK;
  for (int64_t g = 0; g < s->pass->group_count; g++)
    for (int64_t k = 0; status == ZG_OK && k < s->pass->groups[g].count; k++)
      if (k % team->teams == team->team)
        status = sample_model(s, &s->pass->groups[g], s->pass->groups[g].members[k]);
  ZG_TRY(zg_agree(s->work->run->comm, status));
  zg_sum_doubles(s->work->run->comm, s->scale, s->pass->items);
  return ZG_OK;
}
