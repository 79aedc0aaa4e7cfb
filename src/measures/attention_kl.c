/** \file
 * Kullback-Leibler divergence of attention: the mean over samples, heads of equal index
 * and query rows of sum_k A_k log(A_k / B_k), 0 log 0 = 0. Not symmetric: rows of the
 * tensor are A. Cells that are masked in both add nothing; A > 0 = B is infinite,
 * unless both are mixed with a uniform row first. */
#include "measures/measure.h"
#include "measures/spec.h"

#include <math.h>

static const zg_option options[] = {
    {.name = "per",
     .type = ZG_OPTION_CHOICE,
     .choices = {"layer", "head"},
     .help =
         "layer: mean over heads of equal index; head: every head with every other"},
    {.name = "floor",
     .type = ZG_OPTION_NUMBER,
     .initial = 0,
     .least = 0,
     .most = 1,
     .help = "0: zero support is infinite; e: rows become (1 - e) A + e/keys"},
    {.name = NULL}};

static const zg_vector_form by_layer = {.kind = ZG_VECTOR_DIVERGENCE,
                                        .data = ZG_ATTENTION};
static const zg_vector_form by_head = {
    .kind = ZG_VECTOR_DIVERGENCE, .data = ZG_ATTENTION, .by_head = true};

static bool per_head(const zg_call *call) {
  return zg_call_is(call, "per", "head");
}

static zg_spec spec(const zg_call *call) {
  return (zg_spec){.form = ZG_FORM_VECTOR,
                   .vector = per_head(call) ? &by_head : &by_layer,
                   .floor = zg_call_value(call, "floor")};
}

static zg_axis axis_of(const zg_call *call) {
  return per_head(call) ? ZG_AXIS_HEAD : ZG_AXIS_ATTENTION;
}

static uint32_t reads(const zg_call *call) {
  (void)call;
  return 1u << ZG_ATTENTION;
}

/* Rows that sum to 1 but for the rounding of doubles may leave a little less than 0;
 * rows that do not are taken as they are. */
static double finish(const zg_call *call, const zg_pair *pair, zg_code *code) {
  (void)call;
  *code = zg_pair_code(pair);
  if (*code != ZG_CODE_OK) return NAN;
  if (pair->same) return 0;
  if (pair->unsupported) {
    *code = ZG_CODE_SUPPORT;
    return INFINITY;
  }
  if (pair->refined) *code = ZG_CODE_REFINED;
  return pair->apart < 0 && pair->apart > -1e-14 ? 0 : pair->apart;
}

const zg_measure zg_measure_attention_kl = {
    .name = "attention_kl",
    .title = "Kullback-Leibler divergence of attention",
    .space = "attention",
    .formula = "mean over samples, heads and queries of sum_k A_k log(A_k / B_k)",
    .reference = "Kullback & Leibler 1951",
    .remark = "not symmetric: the first axis is A. A > 0 = B is infinite, with status "
              "5, unless 'floor' is positive.",
    .axis = ZG_AXIS_ATTENTION,
    .kind = ZG_DISTANCE,
    .symmetric = false,
    .options = options,
    .spec = spec,
    .finish = finish,
    .reads = reads,
    .axis_of = axis_of};
