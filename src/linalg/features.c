#include "linalg/features.h"

#include "base/memory.h"

#include "linalg/micro.h"
#include "linalg/vector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void zg_slab_doubles(const zg_slab *slab, double *out) {
  int64_t count = slab->rows * slab->d;
  if (slab->precision == ZG_DOUBLE) {
    memcpy(out, slab->data, (size_t)count * sizeof *out);
    return;
  }
  const float *x = slab->data;
  for (int64_t k = 0; k < count; k++)
    out[k] = x[k];
}

/* Loops that exist for each type of the file and each type of the result. Magnitudes
 * are compared by their bits, which a compiler makes vector code of; what is no number
 * counts as zero. */
#define DEFINE_READING(suffix, real, integer, sign)                                    \
  ZG_VECTOR static void add_rows_##suffix(const real *restrict x, int64_t rows,        \
                                          int64_t d, double *restrict sum) {           \
    for (int64_t a = 0; a < rows; a++)                                                 \
      for (int64_t k = 0; k < d; k++)                                                  \
        sum[k] += (double)x[a * d + k];                                                \
  }                                                                                    \
  ZG_VECTOR static void add_deviations_##suffix(                                       \
      const real *restrict x, int64_t rows, int64_t d, const double *restrict mean,    \
      double *restrict sum) {                                                          \
    for (int64_t a = 0; a < rows; a++)                                                 \
      for (int64_t k = 0; k < d; k++)                                                  \
        sum[k] += (double)x[a * d + k] - mean[k];                                      \
  }                                                                                    \
  ZG_VECTOR static double squares_##suffix(const real *restrict x, int64_t d,          \
                                           const double *restrict mean) {              \
    double lanes[8] = {0};                                                             \
    int64_t k = 0;                                                                     \
    for (; k + 8 <= d; k += 8)                                                         \
      for (int lane = 0; lane < 8; lane++) {                                           \
        double deviation = (double)x[k + lane] - mean[k + lane];                       \
        lanes[lane] += deviation * deviation;                                          \
      }                                                                                \
    for (; k < d; k++) {                                                               \
      double deviation = (double)x[k] - mean[k];                                       \
      lanes[0] += deviation * deviation;                                               \
    }                                                                                  \
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +                           \
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));                            \
  }                                                                                    \
  ZG_VECTOR static double largest_##suffix(const real *restrict x, int64_t count) {    \
    const real infinite = INFINITY;                                                    \
    integer largest = 0, most;                                                         \
    memcpy(&most, &infinite, sizeof most);                                             \
    for (int64_t k = 0; k < count; k++) {                                              \
      real magnitude = x[k];                                                           \
      integer bits;                                                                    \
      memcpy(&bits, &magnitude, sizeof bits);                                          \
      bits &= ~sign;                                                                   \
      bits = bits > most ? 0 : bits;                                                   \
      largest = bits > largest ? bits : largest;                                       \
    }                                                                                  \
    real found;                                                                        \
    memcpy(&found, &largest, sizeof found);                                            \
    return (double)found;                                                              \
  }

#define DEFINE_CENTRING(suffix, in, out_type)                                          \
  ZG_VECTOR static double centre_##suffix(const in *restrict x, int64_t d,             \
                                          const double *restrict mean, double scale,   \
                                          out_type *restrict out) {                    \
    double lanes[8] = {0};                                                             \
    int64_t k = 0;                                                                     \
    for (; k + 8 <= d; k += 8)                                                         \
      for (int lane = 0; lane < 8; lane++) {                                           \
        out_type y = (out_type)(((double)x[k + lane] - mean[k + lane]) * scale);       \
        out[k + lane] = y;                                                             \
        lanes[lane] += (double)y * (double)y;                                          \
      }                                                                                \
    for (; k < d; k++) {                                                               \
      out_type y = (out_type)(((double)x[k] - mean[k]) * scale);                       \
      out[k] = y;                                                                      \
      lanes[0] += (double)y * (double)y;                                               \
    }                                                                                  \
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +                           \
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));                            \
  }

DEFINE_READING(single, float, int32_t, INT32_MIN)
DEFINE_READING(double, double, int64_t, INT64_MIN)
DEFINE_CENTRING(single_single, float, float)
DEFINE_CENTRING(single_double, float, double)
DEFINE_CENTRING(double_single, double, float)
DEFINE_CENTRING(double_double, double, double)

/* Means of the columns, corrected by the mean deviation from them: a sum of many equal
 * numbers is off by more than their spacing, and equal rows have to give a mean that is
 * those rows.
 * \param [in] sum  [d] scratch. */
static void column_means(const zg_slab *slab, double *mean, double *sum) {
  int64_t rows = slab->rows, d = slab->d;
  bool single = slab->precision == ZG_SINGLE;
  memset(mean, 0, (size_t)d * sizeof *mean);
  memset(sum, 0, (size_t)d * sizeof *sum);
  if (single)
    add_rows_single(slab->data, rows, d, mean);
  else
    add_rows_double(slab->data, rows, d, mean);
  for (int64_t k = 0; k < d; k++)
    mean[k] /= (double)rows;
  if (single)
    add_deviations_single(slab->data, rows, d, mean, sum);
  else
    add_deviations_double(slab->data, rows, d, mean, sum);
  for (int64_t k = 0; k < d; k++)
    mean[k] += sum[k] / (double)rows;
}

static double sum_of_squares(const zg_slab *slab, const double *mean,
                             double *heaviest) {
  double total = 0;
  for (int64_t a = 0; a < slab->rows; a++) {
    const void *row = zg_real_at(slab->precision, slab->data, a * slab->d);
    double squares = slab->precision == ZG_SINGLE ? squares_single(row, slab->d, mean)
                                                  : squares_double(row, slab->d, mean);
    *heaviest = fmax(*heaviest, squares);
    total += squares;
  }
  return total;
}

void zg_moments_add(zg_moments *moments, const zg_slab *slab, double *scratch) {
  int64_t count = slab->rows * slab->d;
  double largest = slab->precision == ZG_SINGLE ? largest_single(slab->data, count)
                                                : largest_double(slab->data, count);
  moments->largest = fmax(moments->largest, largest);
  column_means(slab, scratch, scratch + slab->d);
  double here = (double)slab->rows, before = (double)moments->rows;
  double squares = sum_of_squares(slab, scratch, &moments->heaviest);
  double between = 0;
  for (int64_t k = 0; k < slab->d; k++) {
    double step = scratch[k] - (before > 0 ? moments->mean[k] : 0);
    if (before > 0) between += step * step;
    moments->mean[k] =
        (before > 0 ? moments->mean[k] : 0) + step * (here / (before + here));
  }
  moments->squares += squares + between * before * here / (before + here);
  moments->rows += slab->rows;
  moments->finite = moments->finite && isfinite(moments->squares);
}

bool zg_is_constant(double squares, int64_t rows, int64_t d, double epsilon,
                    double largest) {
  double spacing = 4 * epsilon * largest;
  return squares <= (double)rows * (double)d * spacing * spacing;
}

void zg_centre_rows(const zg_slab *slab, const double *mean, double scale,
                    zg_precision precision, void *out, double *norms) {
  int64_t d = slab->d;
  for (int64_t a = 0; a < slab->rows; a++) {
    const void *row = zg_real_at(slab->precision, slab->data, a * d);
    void *to = zg_real_at(precision, out, a * d);
    bool from_single = slab->precision == ZG_SINGLE;
    if (precision == ZG_SINGLE)
      norms[a] = from_single ? centre_single_single(row, d, mean, scale, to)
                             : centre_double_single(row, d, mean, scale, to);
    else
      norms[a] = from_single ? centre_single_double(row, d, mean, scale, to)
                             : centre_double_double(row, d, mean, scale, to);
  }
}

void zg_keep_rows(const zg_slab *slab, const double *mean, double scale, float *out,
                  double *norms) {
  int64_t d = slab->d;
  double *centred = ZG_NEW(double, d);
  memcpy(out, slab->data, (size_t)(slab->rows * d) * sizeof *out);
  for (int64_t a = 0; a < slab->rows; a++)
    norms[a] = centre_single_double(out + a * d, d, mean, scale, centred);
  free(centred);
}

ZG_VECTOR static void centre_columns(int64_t columns, const float *restrict x,
                                     const double *restrict mean, double scale,
                                     double *restrict out) {
  for (int64_t k = 0; k < columns; k++)
    out[k] = ((double)x[k] - mean[k]) * scale;
}

void zg_centre_kept(const float *x, int64_t stride, int64_t rows, int64_t columns,
                    const double *mean, double scale, double *out) {
  for (int64_t a = 0; a < rows; a++)
    centre_columns(columns, x + a * stride, mean, scale, out + a * columns);
}

ZG_VECTOR static void centre_feature(double mean, double scale, float *restrict x,
                                     double *restrict squares) {
  for (int64_t r = 0; r < ZG_PANEL; r++) {
    x[r] = (float)(((double)x[r] - mean) * scale);
    double y = (double)x[r];
    squares[r] += y * y;
  }
}

/* The partial sums of a norm are those of DEFINE_CENTRING. */
void zg_centre_packed(int64_t rows, int64_t d, const double *mean, double scale,
                      float *panel, double *norms) {
  double lanes[8][ZG_PANEL] = {{0}};
  for (int64_t k = 0; k < d; k++) {
    int64_t lane = k < d / 8 * 8 ? k % 8 : 0;
    centre_feature(mean[k], scale, panel + k * ZG_PANEL, lanes[lane]);
    for (int64_t r = rows; r < ZG_PANEL; r++)
      panel[k * ZG_PANEL + r] = 0;
  }
  for (int64_t r = 0; r < ZG_PANEL; r++)
    norms[r] = ((lanes[0][r] + lanes[1][r]) + (lanes[2][r] + lanes[3][r])) +
               ((lanes[4][r] + lanes[5][r]) + (lanes[6][r] + lanes[7][r]));
}
