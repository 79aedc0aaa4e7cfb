/** \file
 * Maps of cross attention compared: the mean over samples and tokens of the cosine of
 * two maps, both averaged over the cells of a common grid first. */
#include "linalg/numbers.h"
#include "linalg/resample.h"
#include "measures/measure.h"
#include "measures/spec.h"

#include <math.h>

static const zg_option options[] = {
    {.name = "grid",
     .type = ZG_OPTION_LIST,
     .initial = 0,
     .least = 0,
     .most = 65536,
     .any_order = true,
     .unit = "cells",
     .help = "[h, w] of the common grid; 0: the smaller of the pair on each axis"},
    {.name = NULL}};

/* Every token's map on the grid, scaled to length 1. */
static zg_code to_unit_maps(const zg_array *array, const int64_t grid[2],
                            const double *row, double *out) {
  int64_t h = array->dims[2], w = array->dims[3], cells = grid[0] * grid[1];
  for (int64_t t = 0; t < array->dims[1]; t++) {
    double *mean = out + t * cells;
    if (!zg_all_finite(ZG_DOUBLE, row + t * h * w, h * w)) return ZG_CODE_NONFINITE;
    zg_area_average(h, w, row + t * h * w, grid, mean);
    if (!zg_make_unit(cells, mean)) return ZG_CODE_ZERO_VARIANCE;
  }
  return ZG_CODE_OK;
}

static const zg_vector_form form = {.kind = ZG_VECTOR_GRIDDED,
                                    .data = ZG_CROSS_ATTENTION,
                                    .unit = true,
                                    .resample = to_unit_maps};

static zg_spec spec(const zg_call *call) {
  zg_spec s = {.form = ZG_FORM_VECTOR, .vector = &form};
  if (zg_call_value(call, "grid") == 2) {
    s.grid[0] = (int64_t)call->list[0];
    s.grid[1] = (int64_t)call->list[1];
  }
  return s;
}

static const char *conflict(const zg_call *call) {
  int64_t count = (int64_t)zg_call_value(call, "grid");
  bool whole = true;
  for (int64_t k = 0; k < count; k++)
    whole = whole && call->list[k] >= 1 && call->list[k] == floor(call->list[k]);
  bool fits = count == 2 ? whole : count == 1 && call->list[0] == 0;
  return fits ? NULL : "'grid' is two whole numbers [h, w] of at least 1, or 0";
}

static uint32_t reads(const zg_call *call) {
  (void)call;
  return 1u << ZG_CROSS_ATTENTION;
}

static double finish(const zg_call *call, const zg_pair *pair, zg_code *code) {
  (void)call;
  *code = zg_pair_code(pair);
  if (*code != ZG_CODE_OK) return NAN;
  return pair->same ? 1 : pair->cosine;
}

const zg_measure zg_measure_cross_attention = {
    .name = "cross_attention",
    .title = "Alignment of cross attention",
    .space = "attention",
    .formula = "mean over samples and tokens of <a, b> / (|a| |b|), a and b the maps "
               "on a common grid, by area average",
    .reference = "cosine similarity; maps as in Hertz et al. 2022",
    .axis = ZG_AXIS_CROSS_ATTENTION,
    .kind = ZG_SIMILARITY,
    .symmetric = true,
    .options = options,
    .spec = spec,
    .finish = finish,
    .reads = reads,
    .conflict = conflict};
