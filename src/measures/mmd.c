/** \file
 * Maximum mean discrepancy (Gretton et al. 2012): for rows x of X, n of them, and y of
 * Y, m of them,
 *
 *     MMD^2 = mean k(x,x') + mean k(y,y') - 2 mean k(x,y)       biased, eq. 5
 *
 * The unbiased estimator (eq. 3) leaves the diagonals out of the first two means. Both
 * take the mean of the last one over all n m pairs. The diagonal of the tensor is
 * computed like any entry.
 *
 *     linear    k = x.y: the distance of the means, and the variances
 *     rbf       k = exp(-|x-y|^2 / (2 sigma^2)), one sigma for the tensor; as sums of
 *               k - 1, so that wide kernels lose no digits
 *     features  of an rbf kernel: cos w.x and sin w.x of random w ~ N(0, 1/sigma^2)
 *               (Rahimi & Recht 2007). With the mean vectors phi,
 *               MMD^2 = |phi_X - phi_Y|^2 / m without any cancellation; over draws of
 *               m frequencies its standard deviation is at most 2 MMD / sqrt(m). */
#include "base/memory.h"
#include "linalg/features.h"
#include "linalg/kernel.h"
#include "linalg/numbers.h"
#include "linalg/random.h"
#include "measures/clouds.h"
#include "measures/pooled.h"
#include "measures/spec.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const zg_option options[] = {
    {.name = "kernel",
     .type = ZG_OPTION_CHOICE,
     .choices = {"rbf", "linear"},
     .help = "rbf: exp(-d^2/(2 sigma^2)); linear: x'y"},
    {.name = "estimator",
     .type = ZG_OPTION_CHOICE,
     .choices = {"unbiased", "biased"},
     .help = "unbiased: the self terms without their diagonals; may be below 0"},
    {.name = "sigma",
     .type = ZG_OPTION_NUMBER,
     .initial = 0,
     .word = "auto",
     .least = 0,
     .open = true,
     .most = 1e11,
     .unit = "units of the features",
     .needs = "kernel",
     .needs_choice = "rbf",
     .help = "width of the kernel, one for all pairs; auto: root of half the median "
             "squared distance over the pooled first 1,000 rows of every layer"},
    {.name = "features",
     .type = ZG_OPTION_COUNT,
     .initial = 0,
     .least = 0,
     .most = 1 << 20,
     .needs = "kernel",
     .needs_choice = "rbf",
     .help =
         "m > 0: from m random Fourier frequencies, with a standard deviation of at "
         "most 2 MMD / sqrt(m); 0: exact"},
    {.name = NULL}};

enum { POOLED_ROWS = 1000 };

/* Numbers of the whole tensor, and of a pair. For an exact rbf kernel: the mean of
 * k - 1, and for an item with itself the mean without the diagonal. Else:
 * |phi_X - phi_Y|^2, and what the unbiased estimator has less than that. */
enum { SIGMA, SHARED };
enum { MEAN, HOLLOW_MEAN, TERMS };
enum { SQUARE, BIAS };

static bool is_rbf(const zg_call *call) {
  return zg_call_is(call, "kernel", "rbf");
}

static int64_t features_of(const zg_call *call) {
  return is_rbf(call) ? (int64_t)zg_call_value(call, "features") : 0;
}

static zg_status share_sigma(const zg_sharing *sharing, double *shared) {
  double median;
  shared[SIGMA] = zg_call_value(sharing->call, "sigma");
  if (shared[SIGMA] > 0) return ZG_OK;
  ZG_TRY(zg_pooled_median(sharing, ZG_ACTIVATIONS, POOLED_ROWS, &median));
  /* squares that are next to nothing have lost their digits */
  shared[SIGMA] = median > DBL_MIN / DBL_EPSILON ? sqrt(median / 2) : 0;
  return ZG_OK;
}

static int64_t sharing_bytes(const zg_zoo *zoo, const zg_call *call) {
  bool given = zg_call_value(call, "sigma") > 0;
  return given ? 0 : zg_pooled_bytes(zoo, ZG_ACTIVATIONS, POOLED_ROWS);
}

static double keep_sigma(const zg_pair_context *context, int64_t q,
                         const double *terms) {
  (void)q, (void)terms;
  return context->shared[SIGMA];
}

/* ---- rbf: clouds of points ---- */

/* Rows of one cloud whose distances from the other are formed at a time. */
enum { BLOCK = 64 };

static int64_t cloud_room(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  (void)call;
  return 8 * (a->n + b->n + BLOCK * b->n);
}

static double cloud_cost(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  (void)call;
  return (double)a->n * (double)b->n * (2 * (double)a->d + 50);
}

static void compare_clouds(const zg_pair_context *context, zg_comparison *compared,
                           void *room) {
  zg_cloud a = zg_prepared_cloud(&compared->a), b = zg_prepared_cloud(&compared->b);
  zg_cloud_pair pair = zg_cloud_pair_of(&a, &b, room);
  double *distances = pair.right + b.n, sigma = context->shared[SIGMA], sum = 0;
  if (!(sigma > 0)) return;
  double scale = fmin(0.5 / sigma / sigma, DBL_MAX); /* 0 times it has to be 0 */
  for (int64_t row = 0; row < a.n; row += BLOCK) {
    int64_t rows = zg_min(BLOCK, a.n - row), count = rows * b.n;
    zg_cloud_distances(&pair, row, rows, distances);
    zg_scale_numbers(ZG_DOUBLE, count, -scale, distances, distances);
    sum += zg_exponentials(count, 1, distances);
  }
  double n = (double)a.n;
  compared->terms[MEAN] = sum / (n * (double)b.n);
  if (compared->a.data == compared->b.data)
    compared->terms[HOLLOW_MEAN] = sum / (n * (n - 1));
}

static const zg_pair_form exact = {.arrays = 1,
                                   .data = {ZG_ACTIVATIONS},
                                   .equal_d = true,
                                   .self = true,
                                   .terms = TERMS,
                                   .shared = SHARED,
                                   .share = share_sigma,
                                   .sharing = sharing_bytes,
                                   .bytes = zg_cloud_bytes,
                                   .room = cloud_room,
                                   .cost = cloud_cost,
                                   .prepare = zg_cloud_prepare,
                                   .compare = compare_clouds,
                                   .keep = keep_sigma};

/* ---- means of features ---- */

/* A mean vector, and what the unbiased estimator has less of it. */
static void compare_means(int64_t length, double unit, zg_comparison *pair) {
  const double *x = pair->a.data, *y = pair->b.data;
  double square = zg_squared_difference(ZG_DOUBLE, length, 1, x + 1, 1, y + 1);
  pair->terms[SQUARE] = square * unit;
  pair->terms[BIAS] = x[0] + y[0];
}

static int64_t no_room(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  (void)call, (void)a, (void)b;
  return 0;
}

static int64_t mean_bytes(const zg_call *call, const zg_shape *shape) {
  (void)call;
  return 8 * (1 + shape->d);
}

static double mean_cost(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  (void)call, (void)b;
  return 3 * (double)a->d;
}

/* mean k(x,x') without its diagonal = |mean|^2 - sum |x - mean|^2 / (n (n-1)). */
static void prepare_mean(const zg_pair_context *context, const zg_rows *rows,
                         void *data, zg_code *code) {
  (void)context, (void)code;
  double *out = data, n = (double)rows->n;
  double *memory = ZG_NEW(double, zg_cloud_numbers(rows->n, rows->d));
  zg_cloud cloud = zg_cloud_make(memory, rows->n, rows->d, rows->values);
  out[0] = cloud.squares / (n * (n - 1));
  memcpy(out + 1, cloud.mean, (size_t)rows->d * sizeof *out);
  free(memory);
}

static void compare_linear(const zg_pair_context *context, zg_comparison *pair,
                           void *room) {
  (void)context, (void)room;
  compare_means(pair->a.shapes->d, 1, pair);
}

static const zg_pair_form linear = {.arrays = 1,
                                    .data = {ZG_ACTIVATIONS},
                                    .equal_d = true,
                                    .self = true,
                                    .terms = TERMS,
                                    .bytes = mean_bytes,
                                    .preparing = zg_cloud_bytes,
                                    .room = no_room,
                                    .cost = mean_cost,
                                    .prepare = prepare_mean,
                                    .compare = compare_linear};

/* ---- random Fourier features ---- */

enum { SEED = 0, STRIP = 256 }; /* rows that are projected at a time */

static int64_t feature_bytes(const zg_call *call, const zg_shape *shape) {
  (void)shape;
  return 8 * (1 + 2 * features_of(call));
}

static int64_t feature_preparing(const zg_call *call, const zg_shape *shape) {
  return 8 * features_of(call) * (shape->d + STRIP);
}

static double feature_cost(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  (void)a, (void)b;
  return 6 * (double)features_of(call);
}

/* Add the features of rows whose projections are given. */
static void add_features(int64_t rows, int64_t m, double scale,
                         const double *projections, double *sums) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t f = 0; f < m; f++) {
      double angle = scale * projections[r * m + f], sine, cosine;
      sincos(angle, &sine, &cosine);
      sums[f] += cosine;
      sums[m + f] += sine;
    }
}

/* mean k(x,x') = |phi|^2 / m; without its diagonal (1 - |phi|^2 / m) / (n - 1) less. */
static void prepare_features(const zg_pair_context *context, const zg_rows *rows,
                             void *data, zg_code *code) {
  int64_t m = features_of(context->call), n = rows->n, d = rows->d;
  double *phi = (double *)data + 1, sigma = context->shared[SIGMA], square = 0;
  double *W = ZG_NEW(double, m *d), *projections = ZG_NEW(double, m *STRIP);
  memset(phi, 0, (size_t)(2 * m) * sizeof *phi);
  for (int64_t f = 0; f < m; f++) /* a frequency is the same for every width */
    zg_random_normals(SEED, (uint64_t)f << 32, d, W + f * d);
  for (int64_t row = 0; row < n && sigma > 0; row += STRIP) {
    int64_t count = zg_min(STRIP, n - row);
    zg_product(ZG_DOUBLE, m, count, d, 1, W, d, rows->values + row * d, d, 0,
               projections, m);
    add_features(count, m, 1 / sigma, projections, phi);
  }
  for (int64_t f = 0; f < 2 * m; f++) {
    phi[f] /= (double)n;
    square += phi[f] * phi[f];
  }
  if (!isfinite(square)) *code = ZG_CODE_NONFINITE; /* an angle: sigma is too small */
  *(double *)data = (1 - square / (double)m) / (double)(n - 1);
  free(projections);
  free(W);
}

static void compare_features(const zg_pair_context *context, zg_comparison *pair,
                             void *room) {
  (void)room;
  int64_t m = features_of(context->call);
  compare_means(2 * m, 1 / (double)m, pair);
}

static const zg_pair_form fourier = {.arrays = 1,
                                     .data = {ZG_ACTIVATIONS},
                                     .equal_d = true,
                                     .self = true,
                                     .terms = TERMS,
                                     .shared = SHARED,
                                     .share = share_sigma,
                                     .sharing = sharing_bytes,
                                     .bytes = feature_bytes,
                                     .preparing = feature_preparing,
                                     .room = no_room,
                                     .cost = feature_cost,
                                     .prepare = prepare_features,
                                     .compare = compare_features,
                                     .keep = keep_sigma};

/* ---- the measure ---- */

static zg_spec spec(const zg_call *call) {
  const zg_pair_form *form = is_rbf(call) ? &exact : &linear;
  return (zg_spec){
      .form = ZG_FORM_PAIR,
      .pair = features_of(call) ? &fourier : form,
      .pair_numbers = {zg_call_value(call, "sigma"), (double)features_of(call)}};
}

static uint32_t reads(const zg_call *call) {
  (void)call;
  return 1u << ZG_ACTIVATIONS;
}

static int64_t kept(const zg_call *call, zg_kept kept[ZG_MAX_KEPT]) {
  if (!is_rbf(call)) return 0;
  kept[0] = (zg_kept){.name = "sigma",
                      .meaning = "width of the kernel, the same for all layers",
                      .axis = ZG_AXIS_ITEM};
  return 1;
}

static double finish(const zg_call *call, const zg_pair *pair, zg_code *code) {
  bool unbiased = zg_call_is(call, "estimator", "unbiased");
  *code = zg_pair_code(pair);
  if (*code == ZG_CODE_OK && is_rbf(call) && !(pair->shared[SIGMA] > 0))
    *code = ZG_CODE_ZERO_VARIANCE;
  if (*code != ZG_CODE_OK) return NAN;
  if (!is_rbf(call) || features_of(call))
    return pair->terms[SQUARE] - (unbiased ? pair->terms[BIAS] : 0);
  int self = unbiased ? HOLLOW_MEAN : MEAN;
  return pair->terms_a[self] + pair->terms_b[self] - 2 * pair->terms[MEAN];
}

const zg_measure zg_measure_mmd = {
    .name = "mmd",
    .title = "Squared maximum mean discrepancy",
    .space = "activation",
    .formula = "mean k(x,x') + mean k(y,y') - 2 mean k(x,y)",
    .reference = "Gretton et al. 2012, eq. 3 and 5; Rahimi & Recht 2007 (features)",
    .remark =
        "The unbiased estimator may be below 0, on the diagonal as well. Layers of "
        "different width cannot be compared; numbers of samples may differ.",
    .axis = ZG_AXIS_ITEM,
    .kind = ZG_DISTANCE,
    .symmetric = true,
    .options = options,
    .spec = spec,
    .finish = finish,
    .reads = reads,
    .kept = kept};
