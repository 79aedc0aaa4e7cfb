#include "linalg/spectral.h"

#include "base/memory.h"
#include "linalg/blas.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void dgemv_(const char *, const int *, const int *, const double *, const double *,
            const int *, const double *, const int *, const double *, double *,
            const int *);
void dsymv_(const char *, const int *, const double *, const double *, const int *,
            const double *, const int *, const double *, double *, const int *);
void dsyrk_(const char *, const char *, const int *, const int *, const double *,
            const double *, const int *, const double *, double *, const int *);
void dstevx_(const char *, const char *, const int *, double *, double *,
             const double *, const double *, const int *, const int *, const double *,
             int *, double *, double *, const int *, double *, int *, int *, int *);
double dnrm2_(const int *, const double *, const int *);
void dsyevd_(const char *, const char *, const int *, double *, const int *, double *,
             double *, const int *, int *, const int *, int *);

static const double zero = 0, one = 1;
static const int step = 1;

enum {
  DIRECT = 256,         /* sides of Gram matrices that LAPACK diagonalises at once, */
  MOST_GRAM = 4096,     /* and that are formed at all */
  MOST_PRODUCTS = 1000, /* of A and A' each, before giving up */
  CHECK_EVERY = 6,      /* products between two looks at the tridiagonal matrix */
};
static const double settled = 1e-10;

double zg_unit_scale(int64_t count, const double *values) {
  double largest = 0;
  for (int64_t k = 0; k < count; k++) {
    if (!isfinite(values[k])) return NAN;
    largest = fmax(largest, fabs(values[k]));
  }
  if (!(largest > 0)) return 1;
  int exponent;
  frexp(largest, &exponent);
  return ldexp(1, (int)zg_max(-1022, zg_min(1022, -exponent)));
}

/* Number k of a fixed sequence that looks random, in [-1, 1): SplitMix64 (Steele, Lea &
 * Flood 2014) as a function of a counter. */
static double start_number(uint64_t k) {
  uint64_t z = (k + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return (double)(int64_t)z * 0x1p-63;
}

/* The state of the iterations: G V = V T + border next e', T tridiagonal. Nothing but
 * the last two columns of V is kept: rounding makes the columns lose their
 * orthogonality, which gives T copies of eigenvalues that have settled already but
 * moves none of its own (Paige 1980), and only the largest is wanted. */
typedef struct lanczos {
  int n, steps;
  double *before, *v, *next; /* [n] each */
  double *diagonal;          /* [MOST_PRODUCTS]: of T */
  double *border;            /* [MOST_PRODUCTS]: of T; border[k] joins k and k + 1 */
  double *scratch;           /* [8 MOST_PRODUCTS] */
  double unit;               /* G is multiplied by it */
} lanczos;

static void scale(int n, double factor, double *x) {
  for (int k = 0; k < n; k++)
    x[k] *= factor;
}

static void start(lanczos *l, int attempt) {
  uint64_t from = (uint64_t)attempt * (uint64_t)l->n;
  for (int k = 0; k < l->n; k++) {
    l->before[k] = 0;
    l->v[k] = start_number(from + (uint64_t)k);
  }
  scale(l->n, 1 / dnrm2_(&l->n, l->v, &step), l->v);
  l->steps = 0;
}

/* One product. The order of the two subtractions is the stable one (Paige 1972). */
static void extend(lanczos *l, zg_symmetric_apply *apply, const void *context) {
  int k = l->steps++;
  double *w = l->next, back = k ? l->border[k - 1] : 0, along = 0;
  apply(context, l->v, w);
  if (k == 0) {
    double length = dnrm2_(&l->n, w, &step);
    l->unit = zg_unit_scale(1, &length);
  }
  for (int i = 0; i < l->n; i++) {
    w[i] = w[i] * l->unit - back * l->before[i];
    along += w[i] * l->v[i];
  }
  for (int i = 0; i < l->n; i++)
    w[i] -= along * l->v[i];
  l->diagonal[k] = along;
  l->border[k] = dnrm2_(&l->n, w, &step);
  l->next = l->before;
  l->before = l->v;
  l->v = w;
  if (l->border[k] > 0) scale(l->n, 1 / l->border[k], w);
}

/* The largest eigenvalue of T; its residual is the border times the last entry of its
 * eigenvector. */
static zg_norm largest_ritz(const lanczos *l) {
  int k = l->steps, found, info, failed, *places = ZG_NEW(int, 5 * (int64_t)k);
  double *d = l->scratch, *e = d + k, *work = e + k, *y = work + 5 * k, value;
  double tolerance = 2 * DBL_MIN;
  memcpy(d, l->diagonal, (size_t)k * sizeof *d);
  memcpy(e, l->border, (size_t)k * sizeof *e);
  dstevx_("V", "I", &k, d, e, &zero, &zero, &k, &k, &tolerance, &found, &value, y, &k,
          work, places, &failed, &info);
  free(places);
  zg_norm norm = {.value = fmax(0, value)};
  double left = fabs(l->border[k - 1] * y[k - 1]);
  norm.residual = value > 0 ? left / value : 0;
  norm.converged = info == 0 && norm.residual <= settled;
  return norm;
}

/* \param [out] invariant  the start's space is exhausted: what is left over is rounding
 * of the size of eps G. */
static zg_norm iterate(lanczos *l, zg_symmetric_apply *apply, const void *context,
                       bool *invariant) {
  for (;;) {
    extend(l, apply, context);
    double border = l->border[l->steps - 1], largest = fabs(l->diagonal[0]);
    if (!isfinite(border)) return (zg_norm){.value = NAN, .residual = INFINITY};
    for (int k = 0; k < l->steps; k++)
      largest = fmax(largest, l->diagonal[k]);
    *invariant = border <= 1e-14 * largest;
    bool last = *invariant || l->steps == MOST_PRODUCTS;
    if (!last && l->steps % CHECK_EVERY != 0) continue;
    zg_norm norm = largest_ritz(l);
    if (norm.converged || last) return norm;
  }
}

zg_norm zg_largest_eigenvalue(int64_t n, zg_symmetric_apply *apply,
                              const void *context) {
  if (n == 0) return (zg_norm){.converged = true};
  double *vectors = ZG_NEW(double, 3 * n);
  lanczos l = {.n = zg_int(n),
               .before = vectors,
               .v = vectors + n,
               .next = vectors + 2 * n,
               .diagonal = ZG_NEW(double, MOST_PRODUCTS),
               .border = ZG_NEW(double, MOST_PRODUCTS),
               .scratch = ZG_NEW(double, 8 * MOST_PRODUCTS)};
  zg_norm best = {.value = -1};
  bool invariant = true;
  /* A space that is exhausted holds the largest eigenvalue unless the start happened to
   * lack its vector; a second start makes sure. */
  for (int attempt = 0; attempt < 2 && invariant; attempt++) {
    start(&l, attempt);
    zg_norm norm = iterate(&l, apply, context, &invariant);
    norm.value /= l.unit;
    if (!(norm.value <= best.value)) best = norm;
  }
  free(vectors);
  free(l.diagonal);
  free(l.border);
  free(l.scratch);
  return best;
}

/* G = A'A or AA', with the vector between the two products; that is brought to a length
 * near 1, as the entries of G might overflow when those of A do not. */
typedef struct gram {
  const zg_operator *op;
  bool wide; /* AA' */
  double *between;
  double unit; /* a power of two near 1 / |A x| for a vector of length about 1 */
} gram;

static void first_product(const gram *g, const double *x) {
  (g->wide ? g->op->apply_transposed : g->op->apply)(g->op->context, x, g->between);
}

static void apply_gram(const void *context, const double *x, double *y) {
  const gram *g = context;
  int64_t length = zg_max(g->op->rows, g->op->columns);
  first_product(g, x);
  for (int64_t k = 0; k < length; k++)
    g->between[k] *= g->unit;
  (g->wide ? g->op->apply : g->op->apply_transposed)(g->op->context, g->between, y);
}

int64_t zg_operator_norm_memory(int64_t rows, int64_t columns) {
  int64_t numbers = 3 * zg_min(rows, columns) + zg_max(rows, columns);
  return (numbers + 10 * MOST_PRODUCTS) * (int64_t)sizeof(double);
}

/* The power of two that first products are multiplied by. */
static double operator_unit(gram *g, int64_t n) {
  double *x = ZG_NEW(double, n);
  for (int64_t k = 0; k < n; k++)
    x[k] = start_number((uint64_t)k);
  first_product(g, x);
  free(x);
  return zg_unit_scale(zg_max(g->op->rows, g->op->columns), g->between);
}

zg_norm zg_operator_norm(const zg_operator *op) {
  int64_t n = zg_min(op->rows, op->columns);
  if (n == 0) return (zg_norm){.converged = true};
  gram g = {.op = op,
            .between = ZG_NEW(double, zg_max(op->rows, op->columns)),
            .wide = op->rows < op->columns};
  g.unit = operator_unit(&g, n);
  zg_norm norm = {.value = NAN, .residual = INFINITY};
  if (isfinite(g.unit)) norm = zg_largest_eigenvalue(n, apply_gram, &g);
  free(g.between);
  norm.value = sqrt(norm.value) / sqrt(g.unit);
  return norm;
}

/* A matrix as BLAS has it: column-major, of `m` x `n`. */
typedef struct matrix {
  int m, n;
  const double *A;
} matrix;

static void apply_matrix(const void *context, const double *x, double *y) {
  const matrix *a = context;
  dgemv_("N", &a->m, &a->n, &one, a->A, &a->m, x, &step, &zero, y, &step);
}

static void apply_transposed_matrix(const void *context, const double *y, double *x) {
  const matrix *a = context;
  dgemv_("T", &a->m, &a->n, &one, a->A, &a->m, y, &step, &zero, x, &step);
}

static void apply_symmetric(const void *context, const double *x, double *y) {
  const matrix *a = context;
  dsymv_("L", &a->n, &one, a->A, &a->n, x, &step, &zero, y, &step);
}

/* Largest eigenvalue of the lower triangle of G, which is overwritten. */
static zg_norm direct(int n, double *G) {
  int ask = -1, liwork = 1, none, info;
  double *values = ZG_NEW(double, n), need;
  dsyevd_("N", "L", &n, G, &n, values, &need, &ask, &none, &liwork, &info);
  int lwork = zg_int(zg_max(2 * (int64_t)n + 1, (int64_t)need));
  double *work = ZG_NEW(double, lwork);
  dsyevd_("N", "L", &n, G, &n, values, work, &lwork, &none, &liwork, &info);
  zg_norm norm = {.value = fmax(0, values[n - 1]), .converged = info == 0};
  free(work);
  free(values);
  return norm;
}

/* Through the n x n Gram matrix of a column-major A: A'A for `tall` k x n, AA' for n x
 * k.
 */
static zg_norm through_gram(int n, int k, bool tall, const double *A) {
  double *G = ZG_NEW(double, (int64_t)n *n);
  int ld = tall ? k : n;
  dsyrk_("L", tall ? "T" : "N", &n, &k, &one, A, &ld, &zero, G, &n);
  zg_norm norm = {.converged = false};
  const matrix g = {n, n, G};
  if (n > DIRECT) norm = zg_largest_eigenvalue(n, apply_symmetric, &g);
  if (!norm.converged) norm = direct(n, G);
  free(G);
  norm.value = sqrt(norm.value);
  return norm;
}

static zg_norm unscaled_norm(int64_t rows, int64_t columns, const double *A) {
  /* Row-major [rows, columns] is a columns x rows matrix for BLAS. */
  int m = zg_int(columns), n = zg_int(rows);
  if (zg_min(m, n) <= MOST_GRAM)
    return m >= n ? through_gram(n, m, true, A) : through_gram(m, n, false, A);
  const matrix a = {m, n, A};
  const zg_operator op = {m, n, apply_matrix, apply_transposed_matrix, &a};
  return zg_operator_norm(&op);
}

int64_t zg_dense_norm_memory(int64_t rows, int64_t columns) {
  int64_t n = zg_min(rows, columns), size = (int64_t)sizeof(double);
  int64_t scaled = rows * columns * size;
  if (n > MOST_GRAM) return scaled + zg_operator_norm_memory(rows, columns);
  return scaled + n * n * size + zg_operator_norm_memory(n, n) + 64 * n * size;
}

zg_norm zg_dense_norm(int64_t rows, int64_t columns, const double *A) {
  int64_t count = rows * columns;
  if (count == 0) return (zg_norm){.converged = true};
  double unit = zg_unit_scale(count, A);
  if (isnan(unit)) return (zg_norm){.value = NAN, .residual = INFINITY};
  if (unit > 0x1p-300 && unit < 0x1p300) return unscaled_norm(rows, columns, A);
  double *scaled = ZG_NEW(double, count);
  for (int64_t k = 0; k < count; k++)
    scaled[k] = A[k] * unit;
  zg_norm norm = unscaled_norm(rows, columns, scaled);
  free(scaled);
  norm.value /= unit;
  return norm;
}
