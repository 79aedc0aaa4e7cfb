#include "linalg/perplexity.h"

#include "linalg/vector.h"

#include <math.h>

enum { MOST_STEPS = 200 };

static const double tolerance = 1e-11; /* of the entropy */
static const double spread = 1e-12;    /* relative: distances that are equal */
static const double sharpest = 1e10;   /* beta times the spread */

/* Sums of e^-x, x e^-x and x^2 e^-x, x = beta (d - nearest). */
typedef struct sums {
  double weight, first, second;
} sums;

static sums weigh(int64_t count, const double *d, double nearest, double beta,
                  double *p) {
  sums s = {0};
  for (int64_t k = 0; k < count; k++) {
    double x = beta * (d[k] - nearest);
    p[k] = exp(-x);
    s.weight += p[k];
    s.first += p[k] * x;
    s.second += p[k] * x * x;
  }
  return s;
}

ZG_VECTOR
static void divide(int64_t count, double by, double *p) {
  for (int64_t k = 0; k < count; k++)
    p[k] /= by;
}

static double entropy_of(const sums *s) {
  return log(s->weight) + s->first / s->weight;
}

/* The entropy falls with log beta, with slope minus the variance of x: Newton's method,
 * kept within what is known of the root. */
bool zg_perplexity_weights(int64_t count, const double *d, double perplexity,
                           double *p) {
  double nearest = INFINITY, farthest = 0, target = log(perplexity);
  for (int64_t k = 0; k < count; k++) {
    nearest = fmin(nearest, d[k]);
    farthest = fmax(farthest, d[k]);
  }
  if (farthest - nearest <= spread * farthest) {
    for (int64_t k = 0; k < count; k++)
      p[k] = 1 / (double)count;
    return true;
  }
  double unit = 1 / (farthest - nearest), most = log(sharpest);
  double low = -INFINITY, high = INFINITY, t = 1; /* log of beta in units of `unit` */
  for (int step = 0; step < MOST_STEPS; step++) {
    sums s = weigh(count, d, nearest, unit * exp(t), p);
    double excess = entropy_of(&s) - target, mean = s.first / s.weight;
    if (fabs(excess) <= tolerance) {
      divide(count, s.weight, p);
      return true;
    }
    if (excess > 0)
      low = t;
    else
      high = t;
    if (low >= most) return false;
    double slope = s.second / s.weight - mean * mean;
    double next = slope > 0 ? t + fmin(2, fmax(-2, excess / slope)) : t;
    bool inside = next > low && next < high;
    if (inside)
      t = next;
    else if (isinf(low) || isinf(high))
      t += excess > 0 ? 2 : -2;
    else
      t = (low + high) / 2;
  }
  return false;
}
