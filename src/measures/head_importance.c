/** \file
 * Importance of attention heads compared, I_h = E_x |Att_h(x)' dL/dAtt_h(x)| (Michel et
 * al. 2019, eq. 2) as the zoo holds it.
 *
 *     l2        |u - v|, u the importances of all layers, each layer's scaled to length
 *               1
 *     spearman  1 - rank correlation of the raw importances of all layers in order,
 *               tied values with their mean rank
 *     quantile  (integral of (F^-1(t) - G^-1(t))^2 dt)^1/2 over [0, 1], F and G the
 *               distributions of the raw importances: 2-Wasserstein in one dimension
 *
 * A profile: the number of layers, that of heads, the heads of each layer, and then for
 * every head a number: scaled, its rank, or sorted, as the form needs it. */
#include "base/memory.h"
#include "linalg/numbers.h"
#include "linalg/select.h"
#include "measures/profile.h"
#include "measures/spec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const zg_option options[] = {
    {.name = "form",
     .type = ZG_OPTION_CHOICE,
     .choices = {"l2", "spearman", "quantile"},
     .help = "l2: distance of the layers' vectors of length 1; spearman: 1 - rank "
             "correlation; quantile: 2-Wasserstein of the pooled values, for models of "
             "any shape"},
    {.name = NULL}};

enum { LAYERS, HEADS, FIRST_LAYER };

static const double *heads_of(const double *profile) {
  return profile + FIRST_LAYER + (int64_t)profile[LAYERS];
}

static int64_t width(const zg_call *call, const zg_zoo *zoo) {
  int64_t most = 0;
  (void)call;
  for (int64_t m = 0; m < zoo->model_count; m++) {
    int64_t layers, first = zg_zoo_find(zoo, ZG_HEAD_IMPORTANCE, m, &layers), heads = 0;
    for (int64_t k = first; k < first + layers; k++)
      heads += zoo->arrays[k].n;
    most = zg_max(most, layers + heads);
  }
  return FIRST_LAYER + most;
}

static double cost(const zg_array *array) {
  return (double)array->n;
}

static int64_t memory(const zg_array *array) {
  return 64 * array->n;
}

/* ---- what each form needs ---- */

static void scale_layers(const zg_zoo *zoo, int64_t first, int64_t layers, double *x,
                         zg_finding *finding) {
  for (int64_t k = first; k < first + layers; k++) {
    if (!zg_make_unit(zoo->arrays[k].n, x)) {
      finding->code = ZG_CODE_ZERO_VARIANCE;
      snprintf(finding->note, sizeof finding->note, "layer '%.100s' is zero",
               zoo->arrays[k].name);
    }
    x += zoo->arrays[k].n;
  }
}

static void sort(int64_t count, double *x) {
  uint64_t *scratch = ZG_NEW(uint64_t, 2 * count);
  zg_sort(x, count, scratch);
  free(scratch);
}

/* Twice the ranks about their mean, which are whole numbers. \return false when there
 * is but one value. */
static bool rank(int64_t count, double *x) {
  double *sorted = ZG_NEW(double, count);
  for (int64_t k = 0; k < count; k++)
    sorted[k] = x[k];
  sort(count, sorted);
  bool differ = sorted[count - 1] > sorted[0];
  for (int64_t k = 0; k < count; k++) {
    int64_t below = 0, equal = 0;
    for (int64_t j = 0; j < count; j++) {
      below += sorted[j] < x[k];
      equal += sorted[j] == x[k];
    }
    x[k] = (double)(2 * below + equal - count);
  }
  free(sorted);
  return differ;
}

static void rank_heads(int64_t count, double *x, zg_finding *finding) {
  if (rank(count, x)) return;
  finding->code = ZG_CODE_ZERO_VARIANCE;
  snprintf(finding->note, sizeof finding->note, "all heads have one importance");
}

/* ---- a model ---- */

static zg_status read_heads(zg_reader *reader, const zg_zoo *zoo, int64_t first,
                            int64_t layers, double *profile, bool *finite) {
  double *x = profile + FIRST_LAYER + layers;
  *finite = true;
  profile[LAYERS] = (double)layers;
  for (int64_t k = first; k < first + layers; k++) {
    int64_t heads = zoo->arrays[k].n;
    zg_slab slab;
    ZG_TRY(zg_reader_flat(reader, k, 0, heads, &slab));
    zg_slab_doubles(&slab, x);
    *finite = *finite && zg_all_finite(ZG_DOUBLE, x, heads);
    profile[HEADS] += (double)heads;
    profile[FIRST_LAYER + k - first] = (double)heads;
    x += heads;
  }
  return ZG_OK;
}

static zg_status measure(const zg_call *call, zg_reader *reader, const zg_zoo *zoo,
                         int64_t first, int64_t layers, zg_finding *finding) {
  double *profile = finding->values, *x = profile + FIRST_LAYER + layers;
  bool finite;
  ZG_TRY(read_heads(reader, zoo, first, layers, profile, &finite));
  int64_t heads = (int64_t)profile[HEADS];
  if (!finite)
    finding->code = ZG_CODE_NONFINITE;
  else if (zg_call_is(call, "form", "l2"))
    scale_layers(zoo, first, layers, x, finding);
  else if (zg_call_is(call, "form", "spearman"))
    rank_heads(heads, x, finding);
  else if (zg_can_be_squared(heads, x))
    sort(heads, x);
  else
    finding->code = ZG_CODE_NONFINITE;
  return ZG_OK;
}

/* ---- two models ---- */

static bool same_shape(const double *a, const double *b) {
  bool same = a[LAYERS] == b[LAYERS];
  for (int64_t k = 0; same && k < (int64_t)a[LAYERS]; k++)
    same = a[FIRST_LAYER + k] == b[FIRST_LAYER + k];
  return same;
}

/* Exact sums of whole numbers: equal ranks give 0. */
static double rank_distance(int64_t count, const double *a, const double *b) {
  double aa = 0, bb = 0, ab = 0;
  for (int64_t k = 0; k < count; k++) {
    aa += a[k] * a[k];
    bb += b[k] * b[k];
    ab += a[k] * b[k];
  }
  return 1 - ab / sqrt(aa * bb);
}

static double finish(const zg_call *call, const zg_pair *pair, zg_code *code) {
  const double *a = pair->profile_a, *b = pair->profile_b;
  bool any_shape = zg_call_is(call, "form", "quantile");
  *code = zg_pair_code(pair);
  if (*code == ZG_CODE_OK && !any_shape && !same_shape(a, b)) *code = ZG_CODE_SHAPE;
  if (*code != ZG_CODE_OK) return NAN;
  if (pair->same) return 0;
  int64_t n = (int64_t)a[HEADS], m = (int64_t)b[HEADS];
  if (any_shape) return sqrt(zg_step_integral(n, heads_of(a), m, heads_of(b)));
  return zg_call_is(call, "form", "l2") ? zg_distance(n, heads_of(a), heads_of(b))
                                        : rank_distance(n, heads_of(a), heads_of(b));
}

static const zg_profile_form profile = {.data = ZG_HEAD_IMPORTANCE,
                                        .width = width,
                                        .cost = cost,
                                        .memory = memory,
                                        .measure = measure};

static zg_spec spec(const zg_call *call) {
  (void)call;
  return (zg_spec){.form = ZG_FORM_PROFILE, .profile = &profile};
}

static uint32_t reads(const zg_call *call) {
  (void)call;
  return 1u << ZG_HEAD_IMPORTANCE;
}

const zg_measure zg_measure_head_importance = {
    .name = "head_importance",
    .title = "Distance of head importances",
    .space = "attention",
    .formula = "l2: |u - v|, layers scaled to length 1; spearman: 1 - rank "
               "correlation; quantile: 2-Wasserstein of the pooled values",
    .reference = "Michel et al. 2019, eq. 2 (importance); Spearman 1904",
    .axis = ZG_AXIS_MODEL,
    .kind = ZG_DISTANCE,
    .symmetric = true,
    .options = options,
    .spec = spec,
    .finish = finish,
    .reads = reads};
