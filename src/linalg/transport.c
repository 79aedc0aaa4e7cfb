#include "linalg/transport.h"

#include "base/memory.h"
#include "base/watchdog.h"
#include "linalg/blas.h"
#include "linalg/kernel.h"
#include "linalg/vector.h"

#include <math.h>
#include <string.h>

void dpotrf_(const char *, const int *, double *, const int *, int *);
void dpotrs_(const char *, const int *, const int *, const double *, const int *,
             double *, const int *, int *);

typedef struct problem {
  int64_t n, m;
  const double *C;
  double epsilon;
  double *P;               /* [n, m] n times the plan: its rows sum to 1 */
  double *f, *g;           /* potentials */
  double *sums;            /* [m] of P's columns, divided by n */
  double *H, *step, *from; /* [m, m]; [m] Newton step; g before it */
} problem;

int64_t zg_transport_room(int64_t n, int64_t m) {
  return n * m + m * m + n + 4 * m;
}

static problem problem_of(int64_t n, int64_t m, const double *C, double *room) {
  problem p = {.n = n, .m = m, .C = C, .P = room, .H = room + n * m};
  p.f = p.H + m * m;
  p.g = p.f + n;
  p.sums = p.g + m;
  p.step = p.sums + m;
  p.from = p.step + m;
  return p;
}

/* x_j := (g_j - C_j)/e - the largest of these, which is returned. */
ZG_VECTOR
static double exponents(int64_t m, const double *restrict g, const double *restrict C,
                        double inverse, double *restrict x) {
  double lanes[8], largest = -INFINITY;
  int64_t j = 0;
  for (int k = 0; k < 8; k++)
    lanes[k] = -INFINITY;
  for (; j + 8 <= m; j += 8)
    for (int k = 0; k < 8; k++) {
      x[j + k] = (g[j + k] - C[j + k]) * inverse;
      lanes[k] = x[j + k] > lanes[k] ? x[j + k] : lanes[k];
    }
  for (; j < m; j++) {
    x[j] = (g[j] - C[j]) * inverse;
    largest = fmax(largest, x[j]);
  }
  for (int k = 0; k < 8; k++)
    largest = fmax(largest, lanes[k]);
  for (j = 0; j < m; j++)
    x[j] -= largest;
  return largest;
}

/* Best f for the current g: f_i = -e log mean_j exp((g_j - C_ij)/e). With it P has the
 * right rows; the sums of its columns come with it. */
static void update_f(problem *p) {
  int64_t n = p->n, m = p->m;
  const double tiny = 1e-100; /* so that products of entries do not become denormal */
  memset(p->sums, 0, (size_t)m * sizeof *p->sums);
  for (int64_t i = 0; i < n; i++) {
    double *P = p->P + i * m;
    double largest = exponents(m, p->g, p->C + i * m, 1 / p->epsilon, P);
    double sum = zg_exponentials(m, 0, P);
    p->f[i] = -p->epsilon * (largest + log(sum / (double)m));
    for (int64_t j = 0; j < m; j++) {
      P[j] = P[j] > tiny ? P[j] / sum : 0;
      p->sums[j] += P[j] / (double)n;
    }
  }
}

/* Sum of the deviations of the columns; the rows are right. */
static double error_of(const problem *p) {
  double error = 0;
  for (int64_t j = 0; j < p->m; j++)
    error += fabs(p->sums[j] - 1 / (double)p->m);
  return error;
}

static double mean(int64_t count, const double *x) {
  double sum = 0;
  for (int64_t k = 0; k < count; k++)
    sum += x[k];
  return sum / (double)count;
}

static double value_of(const problem *p) {
  return mean(p->n, p->f) + mean(p->m, p->g);
}

/* One iteration of Sinkhorn's: columns, then rows. A column whose sum has vanished is
 * brought back step by step. */
static void iterate(problem *p) {
  const double least = 1e-200;
  for (int64_t j = 0; j < p->m; j++)
    p->g[j] -= p->epsilon * log(fmax(p->sums[j], least) * (double)p->m);
  update_f(p);
}

static double iterate_until(problem *p, int64_t most, double enough) {
  double error = error_of(p);
  for (int64_t k = 0; k < most && error > enough; k++) {
    zg_beat();
    iterate(p);
    error = error_of(p);
  }
  return error;
}

/* ---- Newton steps ---- */

/* The Hessian of the semi-dual times -e: diag(c) - P'P/n; constants, which change
 * nothing, are lifted out of its null space. \return false when it is not positive. */
static bool factorise(problem *p, double ridge) {
  int64_t m = p->m;
  double lift = mean(m, p->sums) / (double)m;
  zg_outer_product(ZG_DOUBLE, m, m, p->n, p->P, m, p->P, m, p->H, m);
  for (int64_t j = 0; j < m; j++)
    for (int64_t k = j; k < m; k++) {
      double *h = p->H + j * m + k;
      *h = lift - *h / (double)p->n;
      if (j == k) *h += p->sums[j] + ridge / (double)m;
    }
  int order = zg_int(m), info;
  dpotrf_("L", &order, p->H, &order, &info);
  return info == 0;
}

static void solve(problem *p) {
  int order = zg_int(p->m), one = 1, info;
  for (int64_t j = 0; j < p->m; j++)
    p->step[j] = p->epsilon * (1 / (double)p->m - p->sums[j]);
  dpotrs_("L", &order, &one, p->H, &order, p->step, &order, &info);
}

/* The ascent that the step promises. */
static double slope_of(const problem *p) {
  double slope = 0;
  for (int64_t j = 0; j < p->m; j++)
    slope += (1 / (double)p->m - p->sums[j]) * p->step[j];
  return slope;
}

/* Walk along the step as far as it helps. \return false when it does not. */
static bool search(problem *p, double *error) {
  double before = value_of(p), slope = slope_of(p), old = *error;
  memcpy(p->from, p->g, (size_t)p->m * sizeof *p->g);
  for (double t = 1; t > 1e-4; t /= 2) {
    for (int64_t j = 0; j < p->m; j++)
      p->g[j] = p->from[j] + t * p->step[j];
    update_f(p);
    *error = error_of(p);
    if (*error <= 0.5 * old) return true;
    bool rises = value_of(p) - before > 1e-4 * t * slope;
    if (rises && t * slope > 1e-12 * fabs(before)) return true;
  }
  memcpy(p->g, p->from, (size_t)p->m * sizeof *p->g);
  update_f(p);
  *error = error_of(p);
  return false;
}

static double climb(problem *p, double error) {
  const double enough = 1e-13;
  double ridge = 1e-13;
  for (int step = 0; step < 60 && error > enough; step++) {
    zg_beat();
    bool better = false;
    if (factorise(p, ridge)) {
      solve(p);
      better = search(p, &error);
    }
    ridge = better ? fmax(1e-13, ridge / 10) : ridge * 100;
    if (better) continue;
    if (error <= ZG_TRANSPORT_ERROR) break;
    error = iterate_until(p, 20, enough);
  }
  return error;
}

zg_transport zg_transport_solve(int64_t n, int64_t m, const double *C, double epsilon,
                                double *room) {
  problem p = problem_of(n, m, C, room);
  double largest = 0, error = 0;
  for (int64_t k = 0; k < n * m; k++)
    largest = fmax(largest, C[k]);
  memset(p.g, 0, (size_t)m * sizeof *p.g);
  for (p.epsilon = fmax(largest, epsilon);; p.epsilon = fmax(epsilon, p.epsilon / 4)) {
    update_f(&p);
    bool last = p.epsilon == epsilon;
    error = iterate_until(&p, last ? 40 : 20, last ? 1e-13 : 1e-3);
    if (last) break;
  }
  error = climb(&p, error);
  return (zg_transport){
      .value = value_of(&p), .error = error, .converged = error <= ZG_TRANSPORT_ERROR};
}
