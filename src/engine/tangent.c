/** \file
 * The tangent form: tiles of all models' tangent kernels to sums of their products.
 *
 * Kernels are scaled by powers of two near one over their trace, so that no sum exceeds
 * a few ones. A sketched model counts as ZG_SKETCHES items; inner products of two
 * models are means over pairs of *different* sketches, whose errors are independent and
 * average out, and leaving out one sketch at a time estimates the standard error
 * (jackknife). */
#include "engine/tangent.h"

#include "base/log.h"
#include "base/memory.h"
#include "engine/forms.h"
#include "engine/kernels.h"

#include <math.h>
#include <stdlib.h>

static void place_rows(zg_tangent *s) {
  for (int64_t i = 0; i < s->pass->items; i++)
    s->first_row[i] = -1;
  for (int64_t g = 0; g < s->pass->group_count; g++) {
    const zg_group *group = &s->pass->groups[g];
    for (int64_t k = 0; k < group->count; k++) {
      s->first_row[group->members[k]] = s->row_count;
      s->row_count += s->copies * group->length * group->width;
    }
  }
  if (!s->any_centred) s->row_count = 0;
}

static bool wants_centred(const zg_work *work, int64_t p) {
  for (int64_t k = 0; k < work->run->call_count; k++) {
    const zg_call *call = &work->run->calls[k];
    if (zg_serves(work, p, k) && call->measure->spec(call).tangent.centred) return true;
  }
  return false;
}

static void create(zg_work *work, int64_t p, zg_tangent *s) {
  const zg_pass *pass = &work->run->plan->passes[p];
  int64_t copies = pass->spec.tangent.sketch ? ZG_SKETCHES : 1;
  int64_t most = zg_plan_most_members(pass) * copies, entries = most * most;
  *s = (zg_tangent){.work = work,
                    .pass = pass,
                    .copies = copies,
                    .items = pass->items * copies,
                    .any_centred = wants_centred(work, p),
                    .scale = ZG_NEW0(double, pass->items),
                    .first_row = ZG_NEW(int64_t, pass->items),
                    .widened = ZG_NEW(double, most *ZG_RUN),
                    .product_coarse = ZG_NEW(double, entries),
                    .product_fine = ZG_NEW(double, entries)};
  place_rows(s);
  s->row_coarse = ZG_NEW0(double, s->row_count);
  s->row_fine = ZG_NEW0(double, s->row_count);
  s->totals = ZG_NEW0(double, s->items *ZG_KERNEL_TOTALS);
  s->V = zg_alloc(most * zg_tangent_largest_tile(pass), zg_real_size(pass->precision));
  zg_pairs_create(&work->solo, s->items, &s->pairs);
  zg_theta_create(work, pass->precision, &s->theta);
  int64_t samples = 1;
  for (int64_t g = 0; g < pass->group_count; g++)
    samples = zg_max(samples, pass->groups[g].piece);
  s->store = zg_factors_open(work, &pass->spec.tangent, pass->precision,
                             zg_max(2, pass->pieces_kept), samples);
  s->checkpoint =
      (zg_sums){.pairs = {&s->pairs},
                .vectors = {s->totals, s->row_coarse, s->row_fine},
                .lengths = {s->items * ZG_KERNEL_TOTALS, s->row_count, s->row_count}};
}

static void destroy(zg_tangent *s) {
  zg_pairs_destroy(&s->pairs);
  free(s->scale);
  free(s->first_row);
  free(s->row_coarse);
  free(s->row_fine);
  free(s->totals);
  free(s->widened);
  free(s->product_coarse);
  free(s->product_fine);
}

/* What is needed for tiles alone: later steps make room of their own. */
static void release_tiles(zg_tangent *s) {
  zg_factors_close(&s->store);
  zg_theta_destroy(&s->theta);
  free(s->V);
  s->V = NULL;
}

static void combine(zg_tangent *s) {
  MPI_Comm comm = s->work->run->comm;
  zg_phase_start(s->work, ZG_PHASE_COMBINE);
  zg_pairs_sum(&s->work->solo, &s->pairs);
  zg_sum_doubles(comm, s->totals, s->items * ZG_KERNEL_TOTALS);
  zg_sum_doubles(comm, s->row_coarse, s->row_count);
  zg_sum_doubles(comm, s->row_fine, s->row_count);
  for (int64_t k = 0; k < s->row_count; k++)
    s->row_coarse[k] += s->row_fine[k];
  zg_phase_stop(s->work, ZG_PHASE_COMBINE);
}

static zg_status sweep(zg_tangent *s) {
  zg_work *work = s->work;
  bool resumed;
  ZG_TRY(zg_tangent_sample(s));
  ZG_TRY(zg_state_begin(work->state, s->pass - work->run->plan->passes, s->pass->tasks,
                        &s->checkpoint, &resumed));
  zg_deal deal = {.team = &work->solo, .tasks = s->pass->tasks};
  ZG_TRY(zg_sweep(work, &deal, "kernel tiles", &s->checkpoint, zg_tangent_visit, s));
  ZG_TRY(zg_state_finish(work->state, &work->solo, &s->checkpoint));
  combine(s);
  return ZG_OK;
}

/* ---- tensors ---- */

static zg_status write_call(const zg_tangent *s, int64_t call, zg_results *results) {
  const zg_call *c = &s->work->run->calls[call];
  zg_tangent_spec spec = c->measure->spec(c).tangent;
  double *S = zg_tangent_inner(s, spec.centred);
  zg_products products;
  zg_products_create(s->pass, &products);
  double *from = ZG_NEW(double, products.n);
  zg_tangent_set(s, &spec, S, -1, &products, from);
  zg_status status = ZG_OK;
  if (spec.apart && !spec.sketch) status = zg_tangent_refine(s, from, &products);
  zg_products_take_roots(&products);
  free(from);
  if (status == ZG_OK)
    status = zg_tensor_write_shared(s->work, results, call, s->pass->items,
                                    zg_products_pair, &products);
  if (status == ZG_OK && spec.keep)
    status = zg_kernels_keep(s->work, s->pass, call, &products, results);
  if (status == ZG_OK && spec.sketch)
    status = zg_tangent_keep_errors(s, call, spec.keep ? 2 : 0, &spec, S, results);
  zg_products_clear(&products);
  free(S);
  return status;
}

static void complain(const zg_tangent *s) {
  for (int64_t i = 0; i < s->pass->items; i++) {
    zg_tangent_layer *layers;
    if (!(s->totals[i * s->copies * ZG_KERNEL_TOTALS + ZG_KERNEL_BAD] > 0)) continue;
    int64_t count =
        zg_plan_tangent_layers(s->work->run->zoo, &s->pass->spec.tangent, i, &layers);
    int64_t array = layers[0].direct >= 0 ? layers[0].direct : layers[0].signal;
    zg_tensor_complain(s->work, array, count, ZG_CODE_NONFINITE,
                       "NaN or infinite numbers");
    free(layers);
  }
}

zg_status zg_tangent_run(zg_work *work, int64_t p, zg_results *results) {
  zg_tangent s;
  create(work, p, &s);
  zg_status status = sweep(&s);
  release_tiles(&s);
  if (status == ZG_OK) complain(&s);
  for (int64_t k = 0; status == ZG_OK && k < work->run->call_count; k++)
    if (zg_serves(work, p, k)) status = write_call(&s, k, results);
  destroy(&s);
  return status;
}
