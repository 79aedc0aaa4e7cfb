/** \file
 * The Wasserstein distance of normal distributions. A covariance is kept as a factor,
 * S = A A' with A of d x r, r = min(n, d): the triangle of a QR factorisation of the
 * centred rows, or with few samples these rows themselves. Then
 * |S1^1/2 S2^1/2|_* = |A1'A2|_*, the sum of the singular values of a small matrix, and
 * no matrix root is taken. Where the distance is small beside the covariances it is
 * formed as |A1 - A2 V'U'|_F^2 instead, with A1'A2 = U s V (the best rotation of one
 * factor onto the other), which does not cancel: status 8. */
#include "base/memory.h"
#include "linalg/blas.h"
#include "linalg/cloud.h"
#include "linalg/numbers.h"
#include "measures/wasserstein.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void dgelqf_(const int *, const int *, double *, const int *, double *, double *,
             const int *, int *);
void dgesdd_(const char *, const int *, const int *, double *, const int *, double *,
             double *, const int *, double *, const int *, double *, const int *, int *,
             int *);

/* An item: trace, mean [d], factor [d, r] column-major. */
enum { TRACE, HEAD };

static int64_t rank_of(const zg_shape *shape) {
  return zg_min(shape->n, shape->d);
}

static int64_t bytes(const zg_call *call, const zg_shape *shape) {
  (void)call;
  return 8 * (HEAD + shape->d + shape->d * rank_of(shape));
}

/* A cloud, and what LAPACK works in. */
static int64_t preparing(const zg_call *call, const zg_shape *shape) {
  (void)call;
  return 8 * (zg_cloud_numbers(shape->n, shape->d) + 66 * shape->d);
}

/* Numbers of LAPACK's workspace for the singular vectors of a matrix whose sides are
 * these: the least that it documents, and room for blocks of 128. */
static int64_t workspace(int64_t least, int64_t most) {
  return 4 * least * least + 7 * least + 128 * most + 1024;
}

static const char *refusal(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  (void)call;
  int64_t p = rank_of(a), q = rank_of(b);
  if (workspace(zg_min(p, q), zg_max(p, q)) <= INT_MAX) return NULL;
  return "both have a covariance of rank 23,000 or more, whose products are beyond "
         "LAPACK";
}

/* The product, U, V, the turned factor, workspace, integers. */
static int64_t room(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  (void)call;
  int64_t p = rank_of(a), q = rank_of(b), r = zg_min(p, q), most = zg_max(p, q);
  return 8 * (p * q + p * r + r * q + a->d * (r + most) + workspace(r, most) + 9 * r);
}

static double cost(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  (void)call;
  double p = (double)rank_of(a), q = (double)rank_of(b), r = fmin(p, q);
  return 2 * p * q * (double)a->d + 8 * fmax(p, q) * r * r;
}

/* Lower triangle L of X' = L Q, X' the d x n matrix of centred points. */
static bool triangle_of(const zg_cloud *cloud, double *factor) {
  int d = zg_int(cloud->d), n = zg_int(cloud->n), info, lwork = zg_int(65 * cloud->d);
  double *tau = ZG_NEW(double, cloud->d), *work = ZG_NEW(double, lwork);
  dgelqf_(&d, &n, cloud->points, &d, tau, work, &lwork, &info);
  memset(factor, 0, (size_t)(cloud->d * cloud->d) * sizeof *factor);
  for (int64_t c = 0; c < d; c++)
    memcpy(factor + c * d + c, cloud->points + c * d + c,
           (size_t)(d - c) * sizeof *factor);
  free(work);
  free(tau);
  return info == 0;
}

static void prepare(const zg_pair_context *context, const zg_rows *rows, void *data,
                    zg_code *code) {
  (void)context;
  int64_t n = rows->n, d = rows->d, r = zg_min(n, d);
  double *item = data, *factor = item + HEAD + d, scale = 1 / sqrt((double)(n - 1));
  double *memory = ZG_NEW(double, zg_cloud_numbers(n, d));
  zg_cloud cloud = zg_cloud_make(memory, n, d, rows->values);
  item[TRACE] = cloud.squares * scale * scale;
  memcpy(item + HEAD, cloud.mean, (size_t)d * sizeof *item);
  if (n > d) {
    if (!triangle_of(&cloud, factor)) *code = ZG_CODE_CONVERGENCE;
  } else {
    memcpy(factor, cloud.points, (size_t)(n * d) * sizeof *factor);
  }
  for (int64_t k = 0; k < d * r; k++)
    factor[k] *= scale;
  free(memory);
}

/* A pair while it is compared: p x q is the shape of M = A1'A2. */
typedef struct product {
  int64_t d, p, q, r;
  const double *a, *b; /* factors */
  double *M, *values, *U, *V, *turned, *rest, *work;
  int *integers;
} product;

static product product_of(const zg_prepared *a, const zg_prepared *b, double *memory) {
  product x = {.d = a->shapes->d, .p = rank_of(a->shapes), .q = rank_of(b->shapes)};
  x.r = zg_min(x.p, x.q);
  x.a = (const double *)a->data + HEAD + x.d;
  x.b = (const double *)b->data + HEAD + x.d;
  x.M = memory;
  x.values = x.M + x.p * x.q;
  x.U = x.values + x.r;
  x.V = x.U + x.p * x.r;
  x.turned = x.V + x.r * x.q;
  x.rest = x.turned + x.d * x.r;
  x.integers = (int *)(x.rest + x.d * x.p);
  x.work = x.rest + x.d * x.p + 8 * x.r;
  return x;
}

/* Singular values of M, with vectors when asked for: M = U values V. */
static bool decompose(product *x, bool vectors) {
  int p = zg_int(x->p), q = zg_int(x->q), r = zg_int(x->r), info;
  int lwork = zg_int(workspace(x->r, zg_max(x->p, x->q)));
  zg_product(ZG_DOUBLE, p, q, x->d, 1, x->a, x->d, x->b, x->d, 0, x->M, p);
  dgesdd_(vectors ? "S" : "N", &p, &q, x->M, &p, x->values, x->U, &p, x->V, &r, x->work,
          &lwork, x->integers, &info);
  return info == 0;
}

/* |A1 - A2 V'U'|_F^2: the factors once one is rotated onto the other. p >= q, so that
 * the rotation keeps all of A2. */
static double rotated_difference(product *x) {
  int64_t d = x->d;
  zg_outer_product(ZG_DOUBLE, d, x->r, x->q, x->b, d, x->V, x->r, x->turned, d);
  zg_outer_product(ZG_DOUBLE, d, x->p, x->r, x->turned, d, x->U, x->p, x->rest, d);
  return zg_squared_difference(ZG_DOUBLE, d * x->p, 1, x->a, 1, x->rest);
}

static void compare(const zg_pair_context *context, zg_comparison *pair, void *memory) {
  (void)context;
  const zg_prepared *left = &pair->a, *right = &pair->b;
  const double close = 1e-4;
  const double *a = left->data, *b = right->data;
  bool swap = rank_of(left->shapes) < rank_of(right->shapes);
  product x = product_of(swap ? right : left, swap ? left : right, memory);
  double means = zg_squared_difference(ZG_DOUBLE, x.d, 1, a + HEAD, 1, b + HEAD);
  double traces = a[TRACE] + b[TRACE], nuclear = 0;
  bool done = decompose(&x, false);
  for (int64_t k = 0; done && k < x.r; k++)
    nuclear += x.values[k];
  double covariances = traces - 2 * nuclear;
  if (done && covariances < close * traces && means < close * traces) {
    done = decompose(&x, true);
    if (done) covariances = rotated_difference(&x);
    pair->code = ZG_CODE_REFINED;
  }
  pair->terms[0] = means + fmax(0, covariances);
  if (!done) pair->code = ZG_CODE_CONVERGENCE;
}

const zg_pair_form zg_wasserstein_gaussian = {.arrays = 1,
                                              .data = {ZG_ACTIVATIONS},
                                              .equal_d = true,
                                              .terms = 1,
                                              .bytes = bytes,
                                              .preparing = preparing,
                                              .refusal = refusal,
                                              .room = room,
                                              .cost = cost,
                                              .prepare = prepare,
                                              .compare = compare};
