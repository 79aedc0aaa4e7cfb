#include "linalg/numbers.h"

#include "base/memory.h"
#include "linalg/vector.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Sums run in lanes, so that they can be vectorised without changing their order. */
enum { LANES = 16 };

/* x - x is zero for finite numbers alone, and adds up without a branch. */
#define DEFINE_FINITE(suffix, real)                                                    \
  ZG_VECTOR static bool finite_##suffix(const real *x, int64_t count) {                \
    real lanes[LANES] = {0}, sum = 0;                                                  \
    int64_t k = 0;                                                                     \
    for (; k + LANES <= count; k += LANES)                                             \
      for (int j = 0; j < LANES; j++)                                                  \
        lanes[j] += x[k + j] - x[k + j];                                               \
    for (; k < count; k++)                                                             \
      sum += x[k] - x[k];                                                              \
    for (int j = 0; j < LANES; j++)                                                    \
      sum += lanes[j];                                                                 \
    return sum == 0;                                                                   \
  }
DEFINE_FINITE(single, float)
DEFINE_FINITE(double, double)

bool zg_all_finite(zg_precision precision, const void *values, int64_t count) {
  return precision == ZG_SINGLE ? finite_single(values, count)
                                : finite_double(values, count);
}

#define DEFINE_NEGATIVE(suffix, real)                                                  \
  ZG_VECTOR static int64_t negative_##suffix(const real *x, int64_t count) {           \
    int64_t negative = 0;                                                              \
    for (int64_t k = 0; k < count; k++)                                                \
      negative += x[k] < 0 ? 1 : 0;                                                    \
    return negative;                                                                   \
  }
DEFINE_NEGATIVE(single, float)
DEFINE_NEGATIVE(double, double)

bool zg_any_negative(zg_precision precision, const void *values, int64_t count) {
  return precision == ZG_SINGLE ? negative_single(values, count) > 0
                                : negative_double(values, count) > 0;
}

#define DEFINE_MIX(suffix, real)                                                       \
  ZG_VECTOR static void mix_##suffix(int64_t count, double factor, const real *x,      \
                                     double summand, double *mixed) {                  \
    for (int64_t k = 0; k < count; k++)                                                \
      mixed[k] = factor * (double)x[k] + summand;                                      \
  }
DEFINE_MIX(single, float)
DEFINE_MIX(double, double)

void zg_mix_numbers(zg_precision precision, int64_t count, double factor, const void *x,
                    double summand, double *mixed) {
  if (precision == ZG_SINGLE)
    mix_single(count, factor, x, summand, mixed);
  else
    mix_double(count, factor, x, summand, mixed);
}

#define DEFINE_DIFFERENCE(suffix, real)                                                \
  ZG_VECTOR static double difference_##suffix(                                         \
      int64_t count, double alpha, const real *x, double beta, const real *y) {        \
    double lanes[LANES] = {0}, sum = 0;                                                \
    int64_t k = 0;                                                                     \
    for (; k + LANES <= count; k += LANES)                                             \
      for (int j = 0; j < LANES; j++) {                                                \
        double difference = alpha * x[k + j] - beta * y[k + j];                        \
        lanes[j] += difference * difference;                                           \
      }                                                                                \
    for (; k < count; k++)                                                             \
      sum += (alpha * x[k] - beta * y[k]) * (alpha * x[k] - beta * y[k]);              \
    for (int j = 0; j < LANES; j++)                                                    \
      sum += lanes[j];                                                                 \
    return sum;                                                                        \
  }
DEFINE_DIFFERENCE(single, float)
DEFINE_DIFFERENCE(double, double)

double zg_squared_difference(zg_precision precision, int64_t count, double alpha,
                             const void *x, double beta, const void *y) {
  return precision == ZG_SINGLE ? difference_single(count, alpha, x, beta, y)
                                : difference_double(count, alpha, x, beta, y);
}

bool zg_can_be_squared(int64_t count, const double *values) {
  return isfinite(0x1p40 *
                  zg_squared_difference(ZG_DOUBLE, count, 1, values, 0, values));
}

double zg_length(int64_t count, const double *x) {
  double squares = zg_squared_difference(ZG_DOUBLE, count, 1, x, 0, x), largest = 0;
  if (squares > DBL_MIN / DBL_EPSILON && isfinite(squares)) return sqrt(squares);
  for (int64_t k = 0; k < count; k++)
    largest = fmax(largest, fabs(x[k]));
  if (!(largest > 0 && isfinite(largest))) return sqrt(squares);
  squares = 0;
  for (int64_t k = 0; k < count; k++)
    squares += pow(x[k] / largest, 2);
  return largest * sqrt(squares);
}

double zg_distance(int64_t count, const double *x, const double *y) {
  double squares = zg_squared_difference(ZG_DOUBLE, count, 1, x, 1, y), largest = 0;
  if (squares > DBL_MIN / DBL_EPSILON && isfinite(squares)) return sqrt(squares);
  for (int64_t k = 0; k < count; k++) /* halves, whose difference does not overflow */
    largest = fmax(largest, fabs(0.5 * x[k] - 0.5 * y[k]));
  if (!(largest > 0 && isfinite(largest))) return sqrt(squares);
  squares = 0;
  for (int64_t k = 0; k < count; k++)
    squares += pow((0.5 * x[k] - 0.5 * y[k]) / largest, 2);
  return 2 * largest * sqrt(squares);
}

/* Steps are cut where either function's end, in units of 1/(n m). */
double zg_step_integral(int64_t n, const double *x, int64_t m, const double *y) {
  double sum = 0;
  for (int64_t i = 0, j = 0, at = 0; i < n && j < m;) {
    int64_t end_x = (i + 1) * m, end_y = (j + 1) * n, end = zg_min(end_x, end_y);
    double difference = x[i] - y[j];
    sum += (double)(end - at) * difference * difference;
    at = end;
    i += end == end_x;
    j += end == end_y;
  }
  return sum / ((double)n * (double)m);
}

#define DEFINE_SCALE(suffix, real)                                                     \
  ZG_VECTOR static double scale_##suffix(int64_t count, double scale, const real *x,   \
                                         double *scaled) {                             \
    double lanes[LANES] = {0}, squares = 0;                                            \
    int64_t k = 0;                                                                     \
    for (; k + LANES <= count; k += LANES)                                             \
      for (int j = 0; j < LANES; j++) {                                                \
        scaled[k + j] = x[k + j] * scale;                                              \
        lanes[j] += scaled[k + j] * scaled[k + j];                                     \
      }                                                                                \
    for (; k < count; k++) {                                                           \
      scaled[k] = x[k] * scale;                                                        \
      squares += scaled[k] * scaled[k];                                                \
    }                                                                                  \
    for (int j = 0; j < LANES; j++)                                                    \
      squares += lanes[j];                                                             \
    return squares;                                                                    \
  }
DEFINE_SCALE(single, float)
DEFINE_SCALE(double, double)

double zg_scale_numbers(zg_precision precision, int64_t count, double scale,
                        const void *x, double *scaled) {
  return precision == ZG_SINGLE ? scale_single(count, scale, x, scaled)
                                : scale_double(count, scale, x, scaled);
}

bool zg_make_unit(int64_t count, double *x) {
  double largest = 0, squares = 0;
  for (int64_t k = 0; k < count; k++)
    largest = fmax(largest, fabs(x[k]));
  if (largest == 0) return false;
  for (int64_t k = 0; k < count; k++) {
    x[k] /= largest;
    squares += x[k] * x[k];
  }
  double norm = sqrt(squares);
  for (int64_t k = 0; k < count; k++)
    x[k] /= norm;
  return true;
}

void zg_widen(void *numbers, int64_t count) {
  double *wide = numbers;
  for (int64_t k = count - 1; k >= 0; k--) { /* from the end */
    float value;
    memcpy(&value, (const char *)numbers + k * (int64_t)sizeof value, sizeof value);
    wide[k] = value;
  }
}
