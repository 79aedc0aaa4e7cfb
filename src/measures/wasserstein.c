/** \file
 * The 2-Wasserstein distance of the rows of two layers as clouds of points of equal
 * weight.
 *
 *     sliced    sqrt(mean over directions of the squared distance in one dimension):
 *               Rabin et al. 2012; Bonneel et al. 2015
 *     gaussian  sqrt(|m1 - m2|^2 + tr S1 + tr S2 - 2 |S1^1/2 S2^1/2|_*), the distance
 *               of the normal distributions of the same moments and a lower bound of
 *               the exact one up to n/(n-1): Dowson & Landau 1982; Gelbrich 1990
 *     exact     sqrt(min over permutations p of the mean of |x_i - y_p(i)|^2)
 *     sinkhorn  sqrt(OT(x,y) - OT(x,x)/2 - OT(y,y)/2), OT with an entropic term: Feydy
 *               et al. 2019, eq. 3
 *
 * Always the root, of 0 where rounding or the entropic term leave less. */
#include "measures/wasserstein.h"
#include "measures/spec.h"

#include <math.h>

enum { SLICED, GAUSSIAN, EXACT, SINKHORN };

static const zg_option options[] = {
    {.name = "form",
     .type = ZG_OPTION_CHOICE,
     .choices = {"sliced", "gaussian", "exact", "sinkhorn"},
     .help =
         "sliced: along random directions; gaussian: from means and covariances; "
         "exact: best assignment, as many samples; sinkhorn: with an entropic term, "
         "debiased"},
    {.name = "projections",
     .type = ZG_OPTION_COUNT,
     .initial = 256,
     .least = 1,
     .most = 1 << 20,
     .unit = "directions",
     .needs = "form",
     .needs_choice = "sliced",
     .help = "directions uniform on the sphere"},
    {.name = "seed",
     .type = ZG_OPTION_COUNT,
     .initial = 0,
     .least = 0,
     .most = 4294967295.0,
     .needs = "form",
     .needs_choice = "sliced",
     .help = "of the directions, which are the same for all pairs"},
    {.name = "epsilon",
     .type = ZG_OPTION_NUMBER,
     .initial = 0.01,
     .least = 0,
     .open = true,
     .most = 1e6,
     .unit = "median squared distances",
     .needs = "form",
     .needs_choice = "sinkhorn",
     .help = "weight of the entropic term, of the median squared distance between the "
             "two layers"},
    {.name = NULL}};

static zg_spec spec(const zg_call *call) {
  static const zg_pair_form *const forms[] = {[SLICED] = &zg_wasserstein_sliced,
                                              [GAUSSIAN] = &zg_wasserstein_gaussian,
                                              [EXACT] = &zg_wasserstein_exact,
                                              [SINKHORN] = &zg_wasserstein_sinkhorn};
  return (zg_spec){.form = ZG_FORM_PAIR,
                   .pair = forms[(int)zg_call_value(call, "form")],
                   .pair_numbers = {zg_call_value(call, "projections"),
                                    zg_call_value(call, "seed"),
                                    zg_call_value(call, "epsilon")}};
}

static uint32_t reads(const zg_call *call) {
  (void)call;
  return 1u << ZG_ACTIVATIONS;
}

/* An assignment needs as many samples. */
static bool pairs_rows(const zg_call *call) {
  return zg_call_is(call, "form", "exact");
}

static double finish(const zg_call *call, const zg_pair *pair, zg_code *code) {
  (void)call;
  *code = zg_pair_code(pair);
  if (*code != ZG_CODE_OK) return NAN;
  if (pair->same) return 0;
  *code = pair->found;
  return *code == ZG_CODE_OK || *code == ZG_CODE_REFINED ? sqrt(fmax(0, pair->terms[0]))
                                                         : (double)NAN;
}

const zg_measure zg_measure_wasserstein = {
    .name = "wasserstein",
    .title = "2-Wasserstein distance",
    .space = "embedding",
    .formula = "W_2(X, Y), each row of weight 1/n",
    .reference = "Bonneel et al. 2015 (sliced); Gelbrich 1990 (gaussian); Jonker & "
                 "Volgenant 1987 (exact); Feydy et al. 2019, eq. 3 (sinkhorn)",
    .remark =
        "Rows are not paired. Layers of different width cannot be compared; numbers "
        "of samples may differ but in the exact form.",
    .axis = ZG_AXIS_ITEM,
    .kind = ZG_DISTANCE,
    .symmetric = true,
    .options = options,
    .spec = spec,
    .finish = finish,
    .reads = reads,
    .pairs_rows_of = pairs_rows};
