/** \file
 * How evenly a layer's variance is spread over directions (metrics: condition number of
 * the covariance):
 *
 *     I = lambda_max / lambda_min = (s_1 / s_r)^2
 *
 * with s the singular values of the centred activations Xc [n, d] and r their numerical
 * rank, the number of s above max(n, d) 2^-52 s_1, at most n - 1. They come from an
 * orthogonal triangularisation of Xc or its transpose, whichever is tall, and never
 * from the covariance, which has the squares of s and hence half of their digits. */
#include "base/memory.h"
#include "grid/singular.h"
#include "linalg/singular.h"
#include "linalg/spectral.h"
#include "measures/profile.h"
#include "measures/spec.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const zg_option options[] = {{.name = NULL}};

/* What a layer's profile holds. */
enum { RATIO, RANK, EFFECTIVE_RANK, WIDTH };

/* Numbers that are centred at a time, and vectors that a block has at least. */
enum { BLOCK_NUMBERS = 1 << 20, LEAST_VECTORS = 64, LEAST_SAMPLES = 4 };

/* Longest vectors whose triangle is left to one rank. */
enum { MOST_ALONE = 8192 };

/* A layer on its way to its singular values. */
typedef struct layer {
  zg_reader *reader;
  int64_t index;  /* in the zoo */
  int64_t n, d;   /* samples within the selection's limit, features */
  int64_t sides;  /* the smaller of the two: numbers of a vector that is folded in */
  double *mean;   /* [d] */
  double scale;   /* brings the numbers near 1 */
  double *block;  /* centred, [samples, features] of a block */
  double *turned; /* the same transposed, for wide layers */
  double *norms;  /* [n] scratch */
} layer;

/* Samples, or features of a wide layer, of a block. */
static int64_t block_vectors(int64_t n, int64_t d) {
  int64_t each = zg_min(n, d);
  return zg_min(zg_max(n, d), zg_max(LEAST_VECTORS, BLOCK_NUMBERS / each));
}

/* The triangle; a block, of wide layers also transposed, and what reading one takes
 * beyond a usual slab; means, norms and singular values. */
static int64_t memory(const zg_array *array) {
  int64_t sides = zg_min(array->n, array->d);
  int64_t block = block_vectors(array->n, array->d) * sides;
  int64_t blocks = array->n < array->d ? 2 : 1,
          beyond = zg_max(0, block - BLOCK_NUMBERS);
  int64_t triangle = sides <= MOST_ALONE ? zg_tsqr_memory(sides) : 0;
  return triangle + 8 * (blocks * block + beyond + 3 * array->d + array->n + sides);
}

static int64_t memory_together(const zg_array *array, int ranks) {
  int64_t sides = zg_min(array->n, array->d);
  if (sides <= MOST_ALONE) return 0;
  int64_t block = block_vectors(array->n, array->d) * sides;
  return memory(array) + 16 * block + zg_distributed_singular_memory(sides, ranks);
}

static double cost(const zg_array *array) {
  double longer = (double)zg_max(array->n, array->d);
  double sides = (double)zg_min(array->n, array->d);
  return sides * sides * (2 * longer + 3 * sides);
}

/* ---- reading ---- */

static void create(zg_reader *reader, const zg_zoo *zoo, int64_t index, layer *x) {
  const zg_array *array = &zoo->arrays[index];
  int64_t n = zg_zoo_rows(zoo, array), d = array->d, sides = zg_min(n, d);
  int64_t block = block_vectors(n, d) * sides;
  *x = (layer){.reader = reader,
               .index = index,
               .n = n,
               .d = d,
               .sides = sides,
               .mean = ZG_NEW0(double, d),
               .block = ZG_NEW(double, block),
               .turned = ZG_NEW(double, n < d ? block : 0),
               .norms = ZG_NEW(double, n)};
}

static void destroy(layer *x) {
  free(x->mean);
  free(x->block);
  free(x->turned);
  free(x->norms);
}

/* Moments of rows [row, end). */
static zg_status read_moments(const layer *x, int64_t row, int64_t end,
                              zg_moments *moments) {
  double *scratch = ZG_NEW(double, 2 * x->d);
  zg_status status = ZG_OK;
  int64_t step = zg_reader_slab_rows(x->d);
  *moments = (zg_moments){.mean = x->mean, .finite = true};
  for (; status == ZG_OK && row < end; row += step) {
    zg_slab slab;
    status = zg_reader_rows(x->reader, x->index, row, zg_min(step, end - row), &slab);
    if (status == ZG_OK) zg_moments_add(moments, &slab, scratch);
  }
  free(scratch);
  return status;
}

/* Column means; and what stands in the way of a spectrum. */
static zg_status measure_moments(layer *x, const zg_array *array, zg_code *code) {
  zg_moments moments;
  zg_status status = read_moments(x, 0, x->n, &moments);
  x->scale = zg_unit_scale(1, &moments.largest);
  if (!moments.finite)
    *code = ZG_CODE_NONFINITE;
  else if (zg_is_constant(moments.squares, x->n, x->d, zg_dtype_epsilon(array->dtype),
                          moments.largest))
    *code = ZG_CODE_ZERO_VARIANCE;
  return status;
}

static void transpose(int64_t rows, int64_t columns, const double *from, double *to) {
  for (int64_t c = 0; c < columns; c++)
    for (int64_t r = 0; r < rows; r++)
      to[c * rows + r] = from[r * columns + c];
}

static zg_status fold_rows(layer *x, zg_tsqr *triangle) {
  int64_t step = block_vectors(x->n, x->d);
  for (int64_t row = 0; row < x->n; row += step) {
    zg_slab slab;
    ZG_TRY(zg_reader_rows(x->reader, x->index, row, zg_min(step, x->n - row), &slab));
    zg_centre_rows(&slab, x->mean, x->scale, ZG_DOUBLE, x->block, x->norms);
    zg_tsqr_add(triangle, slab.rows, x->block);
  }
  return ZG_OK;
}

static zg_status fold_columns(layer *x, zg_tsqr *triangle) {
  int64_t most = block_vectors(x->n, x->d);
  zg_slab slab = {.d = 0};
  for (int64_t column = 0; column < x->d; column += slab.d) {
    ZG_TRY(zg_reader_columns(x->reader, x->index, 0, x->n, column, most, &slab));
    zg_centre_rows(&slab, x->mean + column, x->scale, ZG_DOUBLE, x->block, x->norms);
    transpose(x->n, slab.d, x->block, x->turned);
    zg_tsqr_add(triangle, slab.d, x->turned);
  }
  return ZG_OK;
}

/* ---- from singular values to a profile ---- */

/* \param [in] s  [min(n, d)], descending. */
static void summarise_spectrum(int64_t n, int64_t d, const double *s,
                               zg_finding *finding) {
  double least = (double)zg_max(n, d) * DBL_EPSILON * s[0], sum = 0, squares = 0;
  int64_t most = zg_min(d, n - 1), rank = 0;
  for (; rank < most && s[rank] > least; rank++) {
    double variance = pow(s[rank] / s[0], 2);
    sum += variance;
    squares += variance * variance;
  }
  finding->values[RATIO] = pow(s[0] / s[rank - 1], 2);
  finding->values[RANK] = (double)rank;
  finding->values[EFFECTIVE_RANK] = sum * sum / squares;
  if (rank < d) finding->code = ZG_CODE_RANK;
}

static zg_status measure_spectrum(layer *x, zg_finding *finding) {
  zg_tsqr *triangle = zg_tsqr_create(x->sides);
  double *values = ZG_NEW(double, x->sides);
  zg_status status = x->n >= x->d ? fold_rows(x, triangle) : fold_columns(x, triangle);
  if (status == ZG_OK && zg_tsqr_values(triangle, values))
    summarise_spectrum(x->n, x->d, values, finding);
  else
    finding->code = ZG_CODE_CONVERGENCE;
  free(values);
  zg_tsqr_destroy(&triangle);
  return status;
}

static void leave_to_all_ranks(zg_finding *finding) {
  finding->code = ZG_CODE_CONVERGENCE;
  snprintf(finding->note, sizeof finding->note, "is too large for one rank");
}

static zg_status measure_layer(const zg_call *call, zg_reader *reader,
                               const zg_zoo *zoo, int64_t index, int64_t count,
                               zg_finding *finding) {
  (void)call, (void)count;
  layer x;
  create(reader, zoo, index, &x);
  zg_status status = measure_moments(&x, &zoo->arrays[index], &finding->code);
  if (x.n < LEAST_SAMPLES) finding->code = ZG_CODE_FEW_SAMPLES;
  if (status == ZG_OK && finding->code == ZG_CODE_OK) {
    if (x.sides <= MOST_ALONE)
      status = measure_spectrum(&x, finding);
    else
      leave_to_all_ranks(finding);
  }
  destroy(&x);
  return status;
}

/* ---- on all ranks together ---- */

/* Means of all rows from those of every rank's share; the scale. Collective. */
static zg_status share_moments(MPI_Comm comm, layer *x) {
  int rank, ranks;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  int64_t first = zg_part(x->n, ranks, rank), end = zg_part(x->n, ranks, rank + 1);
  zg_moments moments;
  ZG_TRY(zg_agree(comm, read_moments(x, first, end, &moments)));
  for (int64_t k = 0; k < x->d; k++)
    x->mean[k] *= (double)(end - first) / (double)x->n;
  zg_sum_doubles(comm, x->mean, x->d);
  zg_max_doubles(comm, &moments.largest, 1);
  x->scale = zg_unit_scale(1, &moments.largest);
  return ZG_OK;
}

/* Samples of a tall layer, features of a wide one: a zg_fill_fn. */
static zg_status fill(void *context, int64_t first, int64_t count, double *vectors) {
  layer *x = context;
  zg_slab slab = {.d = 0};
  if (x->n >= x->d) {
    ZG_TRY(zg_reader_rows(x->reader, x->index, first, count, &slab));
    zg_centre_rows(&slab, x->mean, x->scale, ZG_DOUBLE, vectors, x->norms);
    return ZG_OK;
  }
  for (int64_t k = first; k < first + count; k += slab.d) {
    ZG_TRY(
        zg_reader_columns(x->reader, x->index, 0, x->n, k, first + count - k, &slab));
    zg_centre_rows(&slab, x->mean + k, x->scale, ZG_DOUBLE, x->block, x->norms);
    transpose(x->n, slab.d, x->block, vectors + (k - first) * x->n);
  }
  return ZG_OK;
}

static zg_status measure_together(MPI_Comm comm, zg_reader *reader, const zg_zoo *zoo,
                                  int64_t index, zg_finding *finding) {
  layer x;
  int ranks;
  MPI_Comm_size(comm, &ranks);
  create(reader, zoo, index, &x);
  if (ranks == 1 && x.sides > ZG_TSQR_MOST) {
    destroy(&x);
    return ZG_OK; /* there is nobody to share it with */
  }
  double *values = ZG_NEW(double, x.sides);
  zg_status status = share_moments(comm, &x);
  if (status == ZG_OK)
    status = zg_distributed_singular_values(comm, zg_max(x.n, x.d), x.sides, fill, &x,
                                            values);
  if (status == ZG_OK) {
    finding->code = ZG_CODE_OK;
    summarise_spectrum(x.n, x.d, values, finding);
  }
  free(values);
  destroy(&x);
  return status;
}

/* ---- the measure ---- */

static int64_t width(const zg_call *call, const zg_zoo *zoo) {
  (void)call, (void)zoo;
  return WIDTH;
}

static const zg_profile_form form = {.data = ZG_ACTIVATIONS,
                                     .per_item = true,
                                     .width = width,
                                     .cost = cost,
                                     .memory = memory,
                                     .memory_together = memory_together,
                                     .measure = measure_layer,
                                     .measure_together = measure_together};

static zg_spec spec(const zg_call *call) {
  (void)call;
  return (zg_spec){.form = ZG_FORM_PROFILE, .profile = &form};
}

static uint32_t reads(const zg_call *call) {
  (void)call;
  return 1u << ZG_ACTIVATIONS;
}

static int64_t kept(const zg_call *call, zg_kept kept[ZG_MAX_KEPT]) {
  (void)call;
  kept[RATIO] = (zg_kept){.name = "I",
                          .meaning = "largest over smallest eigenvalue of the "
                                     "covariance, within the numerical rank",
                          .axis = ZG_AXIS_ITEM};
  kept[RANK] = (zg_kept){.name = "rank",
                         .meaning = "numerical rank of the covariance",
                         .axis = ZG_AXIS_ITEM};
  kept[EFFECTIVE_RANK] =
      (zg_kept){.name = "effective_rank",
                .meaning = "effective rank of the covariance S, tr(S)^2 / tr(S^2)",
                .axis = ZG_AXIS_ITEM};
  return WIDTH;
}

/* Over the numerical rank there is a value, and a code that says so. */
static double finish(const zg_call *call, const zg_pair *pair, zg_code *code) {
  (void)call;
  *code = zg_pair_code(pair);
  if (!zg_code_has_value(*code)) return NAN;
  return fabs(log(pair->profile_a[RATIO]) - log(pair->profile_b[RATIO]));
}

const zg_measure zg_measure_isotropy = {
    .name = "isotropy",
    .title = "Distance of isotropy",
    .space = "embedding",
    .formula = "|log I_i - log I_j|, I = largest over smallest covariance eigenvalue "
               "within the numerical rank",
    .reference = "condition number of the covariance; rank: Golub & Van Loan 2013, "
                 "section 5.4",
    .remark = "Invariant to rotation, scale and translation. Status 6: the covariance "
              "is rank deficient, as always with n <= d; I is then over its rank.",
    .axis = ZG_AXIS_ITEM,
    .kind = ZG_DISTANCE,
    .symmetric = true,
    .options = options,
    .spec = spec,
    .finish = finish,
    .reads = reads,
    .kept = kept};
