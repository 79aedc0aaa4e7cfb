/** \file
 * Centred kernel alignment and the Hilbert-Schmidt independence criterion.
 *
 * With kernel matrices K, L of the same n samples and H = I - 11'/n:
 *
 *     HSIC_biased   = tr(K H L H) / (n-1)^2                       Gretton et al. 2005,
 * eq. 9 HSIC_debiased = [ <K~,L~> + (1'K~1)(1'L~1)/((n-1)(n-2))
 *                       - 2/(n-2) (K~1).(L~1) ] / (n(n-3))        Song et al. 2012, eq.
 * 5 CKA           = HSIC(K,L) / sqrt(HSIC(K,K) HSIC(L,L))       Kornblith et al. 2019,
 * eq. 4
 *
 * Mini-batch: HSIC = sum_b w_b HSIC_debiased(b) / sum_b w_b with w_b = n_b (n_b - 3),
 * so that equal batches give the mean (Nguyen, Raghu & Kornblith 2021, eq. 2). In terms
 * of the U-centred product, w_b HSIC_debiased(b) is just the product itself. */
#include "measures/measure.h"
#include "measures/spec.h"

#include <math.h>

static const zg_option options[] = {
    {.name = "kernel",
     .type = ZG_OPTION_CHOICE,
     .choices = {"linear", "rbf"},
     .help = "linear: x'y; rbf: exp(-d^2/(2 t^2 m)), m the median of all n^2 squared "
             "distances"},
    {.name = "estimator",
     .type = ZG_OPTION_CHOICE,
     .choices = {"debiased", "biased", "minibatch"},
     .help = "estimator of HSIC: Song 2012, Gretton 2005, or Song 2012 summed over "
             "batches"},
    {.name = "bandwidth",
     .type = ZG_OPTION_NUMBER,
     .initial = 0.4,
     .least = 0,
     .open = true,
     .most = 1e6,
     .unit = "root median squared distances",
     .needs = "kernel",
     .needs_choice = "rbf",
     .help = "t, the kernel's width"},
    {.name = "median",
     .type = ZG_OPTION_CHOICE,
     .choices = {"exact", "sampled"},
     .needs = "kernel",
     .needs_choice = "rbf",
     .help = "of all squared distances, or of those of at most 2,048 samples: runs of "
             "16, evenly spread (fewer of layers wider than 4,096)"},
    {.name = "batch",
     .type = ZG_OPTION_COUNT,
     .initial = 256,
     .least = 4,
     .most = 1 << 20,
     .unit = "samples",
     .needs = "estimator",
     .needs_choice = "minibatch",
     .help = "consecutive samples per batch; a last batch of fewer than 4 is dropped"},
    {.name = NULL}};

static uint32_t reads(const zg_call *call) {
  (void)call;
  return 1u << ZG_ACTIVATIONS;
}

static int64_t kept(const zg_call *call, zg_kept kept[ZG_MAX_KEPT]) {
  if (!zg_call_is(call, "kernel", "rbf") || zg_call_is(call, "estimator", "minibatch"))
    return 0;
  kept[0] = (zg_kept){.name = "median",
                      .meaning = "median squared distance between samples",
                      .axis = ZG_AXIS_ITEM};
  return 1;
}

static const char *conflict(const zg_call *call) {
  if (zg_call_is(call, "median", "sampled") &&
      zg_call_is(call, "estimator", "minibatch"))
    return "median: sampled has no effect with estimator: minibatch, whose batches "
           "have medians of their own";
  return NULL;
}

static zg_spec spec(const zg_call *call) {
  bool rbf = zg_call_is(call, "kernel", "rbf");
  bool batches = zg_call_is(call, "estimator", "minibatch");
  zg_gram_spec gram = {
      .kernel = rbf ? ZG_KERNEL_RBF : ZG_KERNEL_LINEAR,
      .bandwidth = rbf ? zg_call_value(call, "bandwidth") : 0,
      .sampled = rbf && zg_call_is(call, "median", "sampled"),
      .batch = batches ? (int64_t)zg_call_value(call, "batch") : 0,
      .centring = zg_call_is(call, "estimator", "biased") ? ZG_CENTRED : ZG_UCENTRED};
  return (zg_spec){.form = ZG_FORM_GRAM, .gram = gram};
}

static double finish_cka(const zg_call *call, const zg_pair *pair, zg_code *code) {
  (void)call;
  *code = zg_pair_code(pair);
  if (*code == ZG_CODE_OK &&
      (pair->self_a <= pair->floor_a || pair->self_b <= pair->floor_b))
    *code = ZG_CODE_ZERO_VARIANCE;
  if (*code != ZG_CODE_OK) return NAN;
  if (pair->same) return 1;
  return pair->cross / (sqrt(pair->self_a) * sqrt(pair->self_b));
}

static double finish_hsic(const zg_call *call, const zg_pair *pair, zg_code *code) {
  (void)call;
  *code = zg_pair_code(pair);
  if (*code == ZG_CODE_ZERO_VARIANCE) return 0;
  if (*code != ZG_CODE_OK) return NAN;
  return pair->cross * (pair->scale_a * pair->scale_b) / pair->weight;
}

const zg_measure zg_measure_cka = {
    .name = "cka",
    .title = "Centred kernel alignment",
    .space = "activation",
    .formula = "HSIC(K,L) / sqrt(HSIC(K,K) HSIC(L,L))",
    .reference = "Kornblith et al. 2019, eq. 4; Song et al. 2012, eq. 5; Nguyen et al. "
                 "2021, eq. 2",
    .remark =
        "The debiased and minibatch estimators are unbiased in HSIC and may leave "
        "[0, 1]: values near and below 0 mean no similarity.",
    .axis = ZG_AXIS_ITEM,
    .kind = ZG_SIMILARITY,
    .symmetric = true,
    .pairs_rows = true,
    .options = options,
    .spec = spec,
    .finish = finish_cka,
    .reads = reads,
    .conflict = conflict,
    .kept = kept};

const zg_measure zg_measure_hsic = {
    .name = "hsic",
    .title = "Hilbert-Schmidt independence criterion",
    .space = "activation",
    .formula = "debiased: [<K~,L~> + (1'K~1)(1'L~1)/((n-1)(n-2)) - 2/(n-2) 1'K~L~1] / "
               "(n(n-3)); biased: tr(KHLH)/(n-1)^2",
    .reference =
        "Gretton et al. 2005, eq. 9; Song et al. 2012, eq. 5; Nguyen et al. 2021, "
        "eq. 2",
    .remark = "Depends on the scale of the features; 0 where a layer is constant.",
    .axis = ZG_AXIS_ITEM,
    .kind = ZG_SIMILARITY,
    .symmetric = true,
    .pairs_rows = true,
    .options = options,
    .spec = spec,
    .finish = finish_hsic,
    .reads = reads,
    .conflict = conflict,
    .kept = kept};
