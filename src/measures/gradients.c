/** \file
 * Gradients of tasks compared, g and h flattened in the same order:
 *
 *     cosine    <g,h> / (|g| |h|)
 *     conflict  |g + h| - |g| - |h| <= 0 */
#include "measures/measure.h"
#include "measures/spec.h"

#include <math.h>

static const zg_option options[] = {{.name = NULL}};

/* |sum g_i| - sum |g_i|, from |sum g_i|^2 - (sum |g_i|)^2 = - sum over i < k of
 * |g_i| |g_k| a_ik^2 with a as in finish_conflict; norms are taken in units of the
 * largest. */
static double total_conflict(int64_t count, const double *norms, const double *cosine,
                             const double *apart, int64_t stride) {
  double largest = 0, squares = 0, norm_sum = 0, difference = 0;
  for (int64_t i = 0; i < count; i++)
    largest = fmax(largest, norms[i]);
  if (largest == 0) return 0;
  for (int64_t i = 0; i < count; i++) {
    double g = norms[i] / largest;
    norm_sum += g;
    squares += g * g;
    for (int64_t k = 0; k < i; k++) {
      double gh = g * (norms[k] / largest), a = apart[i * stride + k];
      squares += 2 * gh * cosine[i * stride + k];
      difference -= gh * a * a;
    }
  }
  return largest * difference / (sqrt(fmax(0, squares)) + norm_sum);
}

static const zg_vector_form form = {.kind = ZG_VECTOR_FLAT,
                                    .data = ZG_GRADIENTS,
                                    .unit = true,
                                    .total = total_conflict};

static zg_spec spec(const zg_call *call) {
  (void)call;
  return (zg_spec){.form = ZG_FORM_VECTOR, .vector = &form};
}

static uint32_t reads(const zg_call *call) {
  (void)call;
  return 1u << ZG_GRADIENTS;
}

static double finish_cosine(const zg_call *call, const zg_pair *pair, zg_code *code) {
  (void)call;
  *code = zg_pair_code(pair);
  if (*code == ZG_CODE_OK && !(pair->norm_a > 0 && pair->norm_b > 0))
    *code = ZG_CODE_ZERO_VARIANCE;
  if (*code != ZG_CODE_OK) return NAN;
  return pair->same ? 1 : pair->cosine;
}

/* With a = |g/|g| - h/|h||, <g,h> - |g| |h| = -|g| |h| a^2 / 2: nothing cancels. The
 * norm of the sum is in units of |g|. */
static double finish_conflict(const zg_call *call, const zg_pair *pair, zg_code *code) {
  (void)call;
  *code = zg_pair_code(pair);
  if (*code != ZG_CODE_OK) return NAN;
  if (pair->same || pair->norm_a == 0 || pair->norm_b == 0) return 0;
  if (pair->refined) *code = ZG_CODE_REFINED;
  double larger = fmax(pair->norm_a, pair->norm_b);
  double smaller = fmin(pair->norm_a, pair->norm_b), ratio = smaller / larger;
  double together = sqrt(fmax(0, 1 + ratio * ratio + 2 * ratio * pair->cosine));
  return -smaller * pair->apart * pair->apart / (together + 1 + ratio);
}

static int64_t kept(const zg_call *call, zg_kept kept[ZG_MAX_KEPT]) {
  (void)call;
  kept[0] =
      (zg_kept){.name = "total",
                .meaning = "norm of the sum of all tasks' gradients minus the sum "
                           "of their norms",
                .axis = ZG_AXIS_MODEL};
  return 1;
}

const zg_measure zg_measure_gradient_cosine = {.name = "gradient_cosine",
                                               .title = "Cosine of task gradients",
                                               .space = "gradient",
                                               .formula = "<g,h> / (|g| |h|)",
                                               .reference =
                                                   "Yu et al. 2020, definition 1",
                                               .axis = ZG_AXIS_GRADIENT,
                                               .kind = ZG_SIMILARITY,
                                               .symmetric = true,
                                               .options = options,
                                               .spec = spec,
                                               .finish = finish_cosine,
                                               .reads = reads};

const zg_measure zg_measure_gradient_conflict = {
    .name = "gradient_conflict",
    .title = "Conflict of task gradients",
    .space = "gradient",
    .formula = "|g + h| - |g| - |h|",
    .reference = "triangle inequality; Yu et al. 2020 (conflicting gradients)",
    .remark = "0 is no conflict, -2 min(|g|, |h|) the most there can be.",
    .axis = ZG_AXIS_GRADIENT,
    .kind = ZG_SIMILARITY,
    .symmetric = true,
    .options = options,
    .spec = spec,
    .finish = finish_conflict,
    .reads = reads,
    .kept = kept};
