/** \file
 * Empirical tangent kernels compared: Theta_i the kernel of model i on the same samples
 * (Jacot, Gabriel & Hongler 2018; factors after Novak et al. 2022).
 *
 *     distance   F(Theta_i - Theta_j), each divided by nothing, its trace or its norm
 *     alignment  <H Theta_i H, H Theta_j H> / (F(H Theta_i H) F(H Theta_j H)) */
#include "measures/measure.h"
#include "measures/spec.h"

#include <math.h>

#define SHARED_OPTIONS                                                                 \
  {.name = "reduction",                                                                \
   .type = ZG_OPTION_CHOICE,                                                           \
   .choices = {"trace", "full"},                                                       \
   .help = "trace: one row per sample, summed over equal classes; full: one row per "  \
           "sample and class"},                                                        \
      {.name = "source",                                                               \
       .type = ZG_OPTION_CHOICE,                                                       \
       .choices = {"auto", "factors", "jacobian"},                                     \
       .help = "what kernels are made of; auto: factors where a model has them"},      \
      {.name = "sketch",                                                               \
       .type = ZG_OPTION_COUNT,                                                        \
       .initial = 0,                                                                   \
       .least = 0,                                                                     \
       .most = 1 << 24,                                                                \
       .unit = "numbers per row",                                                      \
       .help =                                                                         \
           "estimate the kernels from TensorSketches of so many numbers (at least "    \
           "64), and keep the standard error; 0: exact"},                              \
  {                                                                                    \
    .name = "keep_kernel", .type = ZG_OPTION_COUNT, .initial = 0, .least = 0,          \
    .most = 1, .help = "1: keep every trace kernel and its eigenvalues"                \
  }

static const zg_option distance_options[] = {
    SHARED_OPTIONS,
    {.name = "scale",
     .type = ZG_OPTION_CHOICE,
     .choices = {"none", "trace", "frobenius"},
     .help = "what every kernel is divided by: nothing, its trace, its Frobenius norm"},
    {.name = NULL}};

static const zg_option alignment_options[] = {
    SHARED_OPTIONS,
    {.name = "centred",
     .type = ZG_OPTION_COUNT,
     .initial = 1,
     .least = 0,
     .most = 1,
     .help = "1: rows and columns of the kernels are centred"},
    {.name = NULL}};

static int choice(const zg_call *call, const char *option) {
  return (int)zg_call_value(call, option);
}

static zg_tangent_spec shared_spec(const zg_call *call) {
  static const zg_tangent_source sources[] = {ZG_TANGENT_AUTO, ZG_TANGENT_FACTORS,
                                              ZG_TANGENT_JACOBIAN};
  return (zg_tangent_spec){.full = zg_call_is(call, "reduction", "full"),
                           .source = sources[choice(call, "source")],
                           .sketch = (int64_t)zg_call_value(call, "sketch"),
                           .keep = zg_call_value(call, "keep_kernel") == 1};
}

static zg_spec spec_distance(const zg_call *call) {
  static const zg_tangent_scale scales[] = {ZG_TANGENT_UNSCALED, ZG_TANGENT_BY_TRACE,
                                            ZG_TANGENT_BY_NORM};
  zg_tangent_spec tangent = shared_spec(call);
  tangent.apart = true;
  tangent.scale = scales[choice(call, "scale")];
  return (zg_spec){.form = ZG_FORM_TANGENT, .tangent = tangent};
}

static zg_spec spec_alignment(const zg_call *call) {
  zg_tangent_spec tangent = shared_spec(call);
  tangent.centred = zg_call_value(call, "centred") == 1;
  return (zg_spec){.form = ZG_FORM_TANGENT, .tangent = tangent};
}

static uint32_t reads(const zg_call *call) {
  const uint32_t jacobian = 1u << ZG_JACOBIAN;
  const uint32_t factors = 1u << ZG_NTK_INPUT | 1u << ZG_NTK_INDEX |
                           1u << ZG_NTK_SIGNAL | 1u << ZG_NTK_DIRECT;
  if (zg_call_is(call, "source", "factors")) return factors;
  return zg_call_is(call, "source", "jacobian") ? jacobian : factors | jacobian;
}

static const char *conflict(const zg_call *call) {
  double sketch = zg_call_value(call, "sketch");
  if (sketch > 0 && sketch < 64) return "'sketch' needs at least 64 numbers, or 0";
  if (sketch > 0 && zg_call_is(call, "source", "jacobian"))
    return "'sketch' is made of factors: it has no effect with source: jacobian";
  return NULL;
}

static int64_t kept(const zg_call *call, zg_kept kept[ZG_MAX_KEPT]) {
  int64_t count = 0;
  if (zg_call_value(call, "keep_kernel") == 1) {
    kept[count++] = (zg_kept){.name = "kernel",
                              .meaning = "trace kernel: Theta[a,b], a and b samples",
                              .axis = ZG_AXIS_MODEL,
                              .shape = ZG_KEPT_SAMPLE_PAIRS};
    kept[count++] = (zg_kept){.name = "eigenvalues",
                              .meaning = "eigenvalues of the trace kernel, ascending",
                              .axis = ZG_AXIS_MODEL,
                              .shape = ZG_KEPT_SAMPLES};
  }
  if (zg_call_value(call, "sketch") > 0)
    kept[count++] = (zg_kept){.name = "standard_error",
                              .meaning = "root mean square, over the other models, of "
                                         "the estimated standard errors of the entries",
                              .axis = ZG_AXIS_MODEL};
  return count;
}

static double finish_distance(const zg_call *call, const zg_pair *pair, zg_code *code) {
  (void)call;
  *code = zg_pair_code(pair);
  if (*code == ZG_CODE_OK && !pair->scaled) *code = ZG_CODE_ZERO_VARIANCE;
  if (*code != ZG_CODE_OK) return NAN;
  if (pair->same) return 0;
  if (pair->refined) *code = ZG_CODE_REFINED;
  return pair->apart;
}

static double finish_alignment(const zg_call *call, const zg_pair *pair,
                               zg_code *code) {
  (void)call;
  *code = zg_pair_code(pair);
  if (*code == ZG_CODE_OK && !(pair->norm_a > 0 && pair->norm_b > 0))
    *code = ZG_CODE_ZERO_VARIANCE;
  if (*code != ZG_CODE_OK) return NAN;
  return pair->same ? 1 : pair->cosine;
}

const zg_measure zg_measure_ntk_distance = {
    .name = "ntk_distance",
    .title = "Distance of tangent kernels",
    .space = "architecture",
    .formula = "F(Theta_i - Theta_j), Theta[a,b] = sum over parameters of J_a J_b",
    .reference = "Jacot et al. 2018; Novak et al. 2022 (factors); Pham & Pagh 2013 "
                 "(sketch)",
    .remark = "Models of different sample counts cannot be compared, and models of "
              "different class counts only by reduction: trace.",
    .axis = ZG_AXIS_MODEL,
    .kind = ZG_DISTANCE,
    .symmetric = true,
    .options = distance_options,
    .spec = spec_distance,
    .finish = finish_distance,
    .reads = reads,
    .conflict = conflict,
    .kept = kept};

const zg_measure zg_measure_ntk_alignment = {
    .name = "ntk_alignment",
    .title = "Alignment of tangent kernels",
    .space = "architecture",
    .formula = "<H T_i H, H T_j H> / (F(H T_i H) F(H T_j H)), T the tangent kernel",
    .reference = "Cortes, Mohri & Rostamizadeh 2012, eq. 5; Jacot et al. 2018",
    .axis = ZG_AXIS_MODEL,
    .kind = ZG_SIMILARITY,
    .symmetric = true,
    .options = alignment_options,
    .spec = spec_alignment,
    .finish = finish_alignment,
    .reads = reads,
    .conflict = conflict,
    .kept = kept};
