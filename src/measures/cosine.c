/** \file
 * The cosine distance of two layers' activations, A and B, [n, d] and not centred:
 *
 *     flattened   1 - <A,B> / (F(A) F(B))
 *     samples     the mean over samples of 1 - <a,b> / (|a| |b|), a and b rows
 *
 * For unit vectors v and w, 1 - <v,w> = |v - w|^2 / 2: that of close pairs is made of
 * differences. Rows scaled to length 1 and laid end to end turn the mean into the same
 * thing. */
#include "linalg/numbers.h"
#include "measures/measure.h"
#include "measures/spec.h"

#include <math.h>

static const zg_option options[] = {
    {.name = "pairing",
     .type = ZG_OPTION_CHOICE,
     .choices = {"flattened", "samples"},
     .help = "flattened: of the whole arrays; samples: mean over the rows' own"},
    {.name = NULL}};

static zg_code to_unit_length(int64_t width, double *row) {
  if (!zg_all_finite(ZG_DOUBLE, row, width)) return ZG_CODE_NONFINITE;
  return zg_make_unit(width, row) ? ZG_CODE_OK : ZG_CODE_ZERO_VARIANCE;
}

static const zg_vector_form flattened = {
    .kind = ZG_VECTOR_FLAT, .data = ZG_ACTIVATIONS, .flat = true, .unit = true};
static const zg_vector_form samples = {.kind = ZG_VECTOR_MAPPED,
                                       .data = ZG_ACTIVATIONS,
                                       .unit = true,
                                       .map = to_unit_length};

static zg_spec spec(const zg_call *call) {
  bool by_sample = zg_call_is(call, "pairing", "samples");
  return (zg_spec){.form = ZG_FORM_VECTOR, .vector = by_sample ? &samples : &flattened};
}

static uint32_t reads(const zg_call *call) {
  (void)call;
  return 1u << ZG_ACTIVATIONS;
}

static double finish(const zg_call *call, const zg_pair *pair, zg_code *code) {
  (void)call;
  *code = zg_pair_code(pair);
  if (*code == ZG_CODE_OK && !(pair->norm_a > 0 && pair->norm_b > 0))
    *code = ZG_CODE_ZERO_VARIANCE;
  if (*code != ZG_CODE_OK) return NAN;
  if (pair->same) return 0;
  if (!pair->refined) return 1 - pair->cosine;
  *code = ZG_CODE_REFINED;
  return pair->apart * pair->apart / 2;
}

const zg_measure zg_measure_cosine = {
    .name = "cosine",
    .title = "Cosine distance of activations",
    .space = "activation",
    .formula = "flattened: 1 - <A,B> / (F(A) F(B)); samples: mean over rows of "
               "1 - <a,b> / (|a| |b|)",
    .reference = "cosine distance of the uncentred activations",
    .remark = "From 0 to 2, to 1 after a rectifier; not invariant to rotation, "
              "permutation or translation of features.",
    .axis = ZG_AXIS_ITEM,
    .kind = ZG_DISTANCE,
    .symmetric = true,
    .pairs_rows = true,
    .options = options,
    .spec = spec,
    .finish = finish,
    .reads = reads};
