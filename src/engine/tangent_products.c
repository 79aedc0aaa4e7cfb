/** \file
 * From the sums of a tangent pass to what a call wants of two models. */
#include "base/memory.h"
#include "engine/tangent.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* ---- inner products ---- */

double *zg_tangent_inner(const zg_tangent *s, bool centred) {
  int64_t N = s->items, entries = N * N;
  double *S = ZG_NEW(double, entries);
  for (int64_t k = 0; k < entries; k++)
    S[k] = s->pairs.coarse[k] + s->pairs.fine[k];
  for (int64_t g = 0; centred && g < s->pass->group_count; g++) {
    const zg_group *group = &s->pass->groups[g];
    int64_t n = group->length * group->width, items = group->count * s->copies;
    double *dots = ZG_NEW(double, items *items), *sums = ZG_NEW0(double, items);
    const double *rows = s->row_coarse + s->first_row[group->members[0]];
    zg_product(ZG_DOUBLE, items, items, n, 1, rows, n, rows, n, 0, dots, items);
    for (int64_t a = 0; a < items; a++)
      for (int64_t r = 0; r < n; r++)
        sums[a] += rows[a * n + r];
    for (int64_t a = 0; a < items; a++)
      for (int64_t b = 0; b < items; b++) {
        int64_t i = group->members[a / s->copies] * s->copies + a % s->copies;
        int64_t k = group->members[b / s->copies] * s->copies + b % s->copies;
        S[i * N + k] += sums[a] * sums[b] - 2 * (double)n * dots[a * items + b];
      }
    free(dots);
    free(sums);
  }
  return S;
}

/* <i, k> of two models, scaled; of sketched ones the mean over pairs of
 * different sketches, but for those of sketch `without` (-1: all). */
static double product_of(const zg_tangent *s, const double *S, int64_t i, int64_t k,
                         int64_t without) {
  int64_t terms = 0;
  double sum = 0;
  if (s->copies == 1) return S[i * s->items + k];
  for (int64_t g = 0; g < s->copies; g++)
    for (int64_t h = 0; h < s->copies; h++) {
      if (g == h || g == without || h == without) continue;
      sum += S[(i * s->copies + g) * s->items + k * s->copies + h];
      terms++;
    }
  return sum / (double)terms;
}

/* Scaled. */
static double trace_of(const zg_tangent *s, int64_t model) {
  double trace = 0;
  for (int64_t c = 0; c < s->copies; c++) {
    const double *totals = s->totals + (model * s->copies + c) * ZG_KERNEL_TOTALS;
    trace += totals[ZG_KERNEL_TRACE] + totals[ZG_KERNEL_TRACE_FINE];
  }
  return trace / (double)s->copies;
}

/* Whether the products that a kernel is made of have lost their digits. */
static bool is_next_to_nothing(const zg_tangent *s, int64_t model) {
  return trace_of(s, model) / s->scale[model] < DBL_MIN / DBL_EPSILON;
}

/* What a kernel is multiplied with.
 * \param [in] self  its squared norm, scaled. */
static double multiplier_of(const zg_tangent *s, const zg_tangent_spec *spec,
                            int64_t model, double self) {
  if (spec->scale == ZG_TANGENT_UNSCALED) return s->scale[model];
  if (is_next_to_nothing(s, model)) return 0;
  double divisor =
      spec->scale == ZG_TANGENT_BY_TRACE ? trace_of(s, model) : sqrt(fmax(0, self));
  return divisor > 0 ? s->scale[model] / divisor : 0;
}

static void set_model(const zg_tangent *s, const zg_tangent_spec *spec, double self,
                      int64_t model, zg_products *p) {
  double noise = 8 * (s->pass->precision == ZG_SINGLE ? FLT_EPSILON : DBL_EPSILON);
  const double cancelled = 256 * DBL_EPSILON; /* what centring subtracts in double */
  int64_t at = model * s->copies * (s->items + 1);
  double whole = s->pairs.coarse[at] + s->pairs.fine[at];
  bool rounding = !(self > (noise * noise + cancelled) * whole);
  rounding = rounding || is_next_to_nothing(s, model);
  if (s->totals[model * s->copies * ZG_KERNEL_TOTALS + ZG_KERNEL_BAD] > 0)
    p->code[model] = ZG_CODE_NONFINITE;
  p->norm[model] = rounding ? 0 : sqrt(self) / s->scale[model];
  p->multiplier[model] = multiplier_of(s, spec, model, self);
}

/* What a call makes of the inner products S; distances squared.
 * \param [out] from  [n] what they were subtracted from. */
void zg_tangent_set(const zg_tangent *s, const zg_tangent_spec *spec, const double *S,
                    int64_t without, zg_products *p, double *from) {
  double *self = ZG_NEW0(double, p->n);
  p->keep_size = spec->scale == ZG_TANGENT_UNSCALED;
  for (int64_t i = 0; i < p->n; i++) {
    from[i] = 0;
    if (p->group[i] < 0) continue;
    self[i] = product_of(s, S, i, i, without);
    set_model(s, spec, self[i], i, p);
    from[i] = self[i] * pow(p->multiplier[i] / s->scale[i], 2);
  }
  for (int64_t i = 0; i < p->n; i++)
    for (int64_t k = 0; k < p->n; k++) {
      int64_t at = i * p->n + k;
      if (!zg_products_fit(p, i, k)) continue;
      double cross = product_of(s, S, i, k, without);
      double a, b;
      zg_products_multipliers(p, i, k, &a, &b);
      a /= s->scale[i];
      b /= s->scale[k];
      if (p->norm[i] > 0 && p->norm[k] > 0)
        p->cosine[at] = cross / (sqrt(self[i]) * sqrt(self[k]));
      p->apart[at] = self[i] * a * a + self[k] * b * b - 2 * a * b * cross;
    }
  free(self);
}

/* ---- close pairs ---- */

typedef struct refinement {
  const zg_tangent *s;
  zg_factor_store *store;
  zg_theta theta;
  double *V;
  zg_close_pairs *close;
} refinement;

static zg_status visit_close(void *context, int64_t task) {
  refinement *r = context;
  zg_kernel_tile t = zg_kernel_tile_of(r->s->pass, task);
  int64_t size = t.left * t.right, place = 0;
  for (int64_t k = 0; k < t.group->count; k++) {
    int64_t model = t.group->members[k];
    bool finite;
    if (r->close->place[model] < 0) continue;
    r->close->place[model] = place++;
    ZG_TRY(zg_tangent_form(r->s->work, r->store, &r->theta, &t, model, 1,
                           r->V + r->close->place[model] * size, &finite));
  }
  zg_close_add(r->close, t.group - r->s->pass->groups, t.diagonal ? 1 : 2, ZG_DOUBLE,
               size, r->V);
  return ZG_OK;
}

static zg_status sweep_close(refinement *r) {
  const zg_tangent *s = r->s;
  int64_t samples = 1;
  for (int64_t g = 0; g < s->pass->group_count; g++)
    samples = zg_max(samples, s->pass->groups[g].piece);
  r->V =
      ZG_NEW(double, zg_plan_most_members(s->pass) * zg_tangent_largest_tile(s->pass));
  r->store = zg_factors_open(s->work, &s->pass->spec.tangent, ZG_DOUBLE,
                             zg_max(2, s->pass->pieces_kept / 2), samples);
  zg_theta_create(s->work, ZG_DOUBLE, &r->theta);
  zg_deal deal = {.team = &s->work->solo, .tasks = s->pass->tasks};
  zg_status status = zg_sweep(s->work, &deal, "close pairs", NULL, visit_close, r);
  zg_theta_destroy(&r->theta);
  zg_factors_close(&r->store);
  free(r->V);
  return status;
}

zg_status zg_tangent_refine(const zg_tangent *s, const double *from, zg_products *p) {
  const double threshold = 1e-5;
  zg_close_pairs close;
  zg_close_find(p, from, threshold, DBL_EPSILON, &close);
  refinement r = {.s = s, .close = &close};
  zg_status status = close.count ? sweep_close(&r) : ZG_OK;
  if (status == ZG_OK) zg_close_finish(s->work->run->comm, &close, p);
  zg_close_clear(&close);
  return status;
}

/* ---- standard errors ---- */

static double entry_of(const zg_call *call, const zg_products *p, int64_t i,
                       int64_t k) {
  zg_pair pair = {.same = i == k};
  zg_code code;
  zg_products_pair(p, i, k, &pair);
  return call->measure->finish(call, &pair, &code);
}

/* Jackknife over sketches: (G - 1)/G sum of squared deviations from their mean. */
zg_status zg_tangent_keep_errors(const zg_tangent *s, int64_t call, int64_t quantity,
                                 const zg_tangent_spec *spec, const double *S,
                                 zg_results *results) {
  int64_t n = s->pass->items, pairs = n * n;
  double G = (double)s->copies, *sums = ZG_NEW0(double, pairs),
         *squares = ZG_NEW0(double, pairs), *errors = ZG_NEW0(double, n),
         *from = ZG_NEW(double, n);
  for (int64_t g = 0; g < s->copies; g++) {
    zg_products left;
    zg_products_create(s->pass, &left);
    zg_tangent_set(s, spec, S, g, &left, from);
    zg_products_take_roots(&left);
    for (int64_t i = 0; i < n; i++)
      for (int64_t k = 0; k < n; k++) {
        double x = entry_of(&s->work->run->calls[call], &left, i, k);
        sums[i * n + k] += x;
        squares[i * n + k] += x * x;
      }
    zg_products_clear(&left);
  }
  for (int64_t i = 0; i < n; i++) {
    double total = 0, others = 0;
    for (int64_t k = 0; k < n; k++) {
      double variance = squares[i * n + k] - sums[i * n + k] * sums[i * n + k] / G;
      if (k == i || !isfinite(variance)) continue;
      total += (G - 1) / G * fmax(0, variance);
      others++;
    }
    errors[i] = others ? sqrt(total / (double)others) : NAN;
  }
  zg_status status = zg_tensor_keep(s->work, results, call, quantity, n, errors);
  free(sums);
  free(squares);
  free(errors);
  free(from);
  return status;
}
