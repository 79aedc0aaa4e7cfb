/** \file
 * Parameters compared by their Frobenius distance. */
#include "measures/measure.h"
#include "measures/spec.h"

#include <math.h>

static const zg_option options[] = {
    {.name = "per",
     .type = ZG_OPTION_CHOICE,
     .choices = {"model", "matrix"},
     .help = "model: all parameters together, same names and shapes; matrix: every "
             "parameter with every other of its shape"},
    {.name = "relative",
     .type = ZG_OPTION_COUNT,
     .initial = 0,
     .least = 0,
     .most = 1,
     .help = "1: divide by the mean of the two norms"},
    {.name = NULL}};

static const zg_vector_form by_model = {
    .kind = ZG_VECTOR_FLAT, .data = ZG_WEIGHTS, .by_model = true, .named = true};
static const zg_vector_form by_matrix = {.kind = ZG_VECTOR_FLAT, .data = ZG_WEIGHTS};

static bool per_matrix(const zg_call *call) {
  return zg_call_is(call, "per", "matrix");
}

static zg_spec spec(const zg_call *call) {
  return (zg_spec){.form = ZG_FORM_VECTOR,
                   .vector = per_matrix(call) ? &by_matrix : &by_model};
}

static zg_axis axis_of(const zg_call *call) {
  return per_matrix(call) ? ZG_AXIS_WEIGHT : ZG_AXIS_MODEL;
}

static uint32_t reads(const zg_call *call) {
  (void)call;
  return 1u << ZG_WEIGHTS;
}

static double finish(const zg_call *call, const zg_pair *pair, zg_code *code) {
  bool relative = zg_call_value(call, "relative") == 1;
  *code = zg_pair_code(pair);
  double size = pair->norm_a / 2 + pair->norm_b / 2;
  if (*code == ZG_CODE_OK && relative && !(size > 0)) *code = ZG_CODE_ZERO_VARIANCE;
  if (*code != ZG_CODE_OK) return NAN;
  if (pair->same) return 0;
  if (pair->refined) *code = ZG_CODE_REFINED;
  return relative ? pair->apart / size : pair->apart;
}

const zg_measure zg_measure_weight_frobenius = {
    .name = "weight_frobenius",
    .title = "Frobenius distance of weights",
    .space = "parameter",
    .formula = "sqrt(sum over parameters of F(W_i - W_j)^2)",
    .reference = "Frobenius norm; relative: divided by (F(W_i) + F(W_j)) / 2",
    .remark = "Not invariant to permutations of hidden units.",
    .axis = ZG_AXIS_MODEL,
    .kind = ZG_DISTANCE,
    .symmetric = true,
    .options = options,
    .spec = spec,
    .finish = finish,
    .reads = reads,
    .axis_of = axis_of};
