#include "linalg/trust.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

void dsyevd_(const char *, const char *, const int *, double *, const int *, double *,
             double *, const int *, int *, const int *, int *);

/* The problem in units where the radius and the largest number are 1: `a` are absolute
 * linear coefficients, `gap` the distances to the largest curvature `top`. */
typedef struct problem {
  int64_t n;
  double *a, *gap;
  double top;
} problem;

/* y_k(t) = a_k / (t + gap_k); where a_k is 0 the component is 0 even on the pole. */
static double component(const problem *p, int64_t k, double t) {
  return p->a[k] > 0 ? p->a[k] / (t + p->gap[k]) : 0;
}

/* The multiplier of |y| <= 1 above the largest curvature: the root of |y(t)| = 1, or 0
 * in the hard case, where |y(0)| <= 1. From the left Newton's method for 1 / |y(t)| = 1
 * never passes the root, as 1 / |y(t)| is concave (Conn, Gould & Toint 2000, section
 * 7.3.3). It starts where no component exceeds 1, so nothing overflows. */
static double multiplier(const problem *p) {
  enum { MOST_STEPS = 200 };
  double t = 0;
  for (int64_t k = 0; k < p->n; k++)
    t = fmax(t, p->a[k] - p->gap[k]);
  for (int step = 0; step < MOST_STEPS; step++) {
    double squares = 0, slope = 0;
    for (int64_t k = 0; k < p->n; k++) {
      double y = component(p, k, t);
      squares += y * y;
      if (y > 0) slope += y * (y / (t + p->gap[k]));
    }
    if (squares <= 1) break;
    double next = t + squares / slope * (sqrt(squares) - 1);
    if (!(next > t)) break;
    t = next;
  }
  return t;
}

/* The dual function h(t) = (top + t) / 2 + sum a_k y_k(t) / 2. It is an upper bound of
 * the maximum for every t >= 0 and the maximum itself at the multiplier, where it is
 * stationary (or, in the hard case, at the end of its interval): an error of t enters
 * squared, and all terms are positive. */
static double dual(const problem *p, double t) {
  double sum = p->top + t;
  for (int64_t k = 0; k < p->n; k++)
    sum += p->a[k] * component(p, k, t);
  return 0.5 * sum;
}

double zg_trust_maximum(int64_t n, const double *lambda, const double *gamma,
                        double radius) {
  double scale = 0, top = 0, finite = radius - radius;
  for (int64_t k = 0; k < n; k++) {
    finite += lambda[k] * radius * radius * 0 + gamma[k] * radius * 0;
    top = fmax(top, lambda[k] * radius * radius);
    scale = fmax(scale, fabs(gamma[k]) * radius);
  }
  scale = fmax(scale, top);
  if (isnan(finite)) return NAN;
  if (!(scale > 0)) return 0;
  problem p = {.n = n,
               .a = ZG_NEW(double, zg_max(1, n)),
               .gap = ZG_NEW(double, zg_max(1, n)),
               .top = top / scale};
  for (int64_t k = 0; k < n; k++) {
    p.a[k] = fabs(gamma[k]) * radius / scale;
    p.gap[k] = (top - lambda[k] * radius * radius) / scale;
  }
  double maximum = scale * dual(&p, multiplier(&p));
  free(p.a);
  free(p.gap);
  return maximum;
}

static bool eigenvectors(int n, double *M, double *values) {
  int lwork = 1 + 6 * n + 2 * n * n, liwork = 3 + 5 * n, info;
  double *work = ZG_NEW(double, lwork);
  int *iwork = ZG_NEW(int, liwork);
  dsyevd_("V", "L", &n, M, &n, values, work, &lwork, iwork, &liwork, &info);
  free(work);
  free(iwork);
  return info == 0;
}

static bool is_finite(const double *x, int64_t count) {
  for (int64_t k = 0; k < count; k++)
    if (!isfinite(x[k])) return false;
  return true;
}

bool zg_gradient_spectrum(int64_t m, double *M, double *lambda, double *gamma) {
  /* 2 m^2 + 6 m + 1 numbers of workspace have to fit an int. */
  enum { MOST_GRADIENTS = 32766 };
  if (m > MOST_GRADIENTS || !is_finite(M, m * m)) return false;
  if (m > 0 && !eigenvectors((int)m, M, lambda)) return false;
  for (int64_t k = 0; k < m; k++) {
    double mu = fmax(0, lambda[k]), sum = 0;
    for (int64_t s = 0; s < m; s++)
      sum += M[k * m + s];
    lambda[k] = mu / (double)m;
    gamma[k] = sqrt(mu) * sum / (double)m;
  }
  return true;
}
