/** \file
 * Features as they come from a file: their statistics, and centred rows for products.
 *
 * A slab is a run of rows in the precision of the file. Sums are in double, over two
 * passes within a slab, and slabs are merged by Chan, Golub & LeVeque (1983), so that a
 * mean far from zero costs no digits. Not collective. */
#ifndef ZG_LINALG_FEATURES_H
#define ZG_LINALG_FEATURES_H

#include "linalg/blas.h"

#include <stdbool.h>

/** Rows as read: [rows, d], row-major. */
typedef struct zg_slab {
  zg_precision precision;
  const void *data; /**< borrowed from whoever read it */
  int64_t rows, d;
} zg_slab;

/** The slab's numbers as doubles: out[rows, d]. */
void zg_slab_doubles(const zg_slab *slab, double *out);

/** Statistics of some rows of one item. */
typedef struct zg_moments {
  int64_t rows;
  double *mean;   /**< [d], caller's storage */
  double squares; /**< sum over rows and columns of (x - mean)^2 */
  double largest; /**< largest absolute value */
  double
      heaviest; /**< largest share of one row in the squares, about its slab's mean */
  bool finite;  /**< no NaN or Inf among the numbers or in their squares */
} zg_moments;

/** Add a slab to the moments (start with rows = 0, finite = true and zeros).
 * \param [in] scratch  [2 d] doubles, overwritten. */
void zg_moments_add(zg_moments *moments, const zg_slab *slab, double *scratch);

/** Whether features of these moments are constant: squares <= n d (4 eps largest)^2,
 * eps the spacing of the numbers in the file. */
bool zg_is_constant(double squares, int64_t rows, int64_t d, double epsilon,
                    double largest);

/** Centre and scale: out[a] = (x[a] - mean) * scale, rounded to `precision`.
 * \param [out] out    [rows, d].
 * \param [out] norms  [rows]: squared norm of each row of `out`, in double. */
void zg_centre_rows(const zg_slab *slab, const double *mean, double scale,
                    zg_precision precision, void *out, double *norms);

/** Keep rows of single precision as they are.
 * \param [out] out    [rows, d].
 * \param [out] norms  [rows]: of what zg_centre_rows makes of them in double. */
void zg_keep_rows(const zg_slab *slab, const double *mean, double scale, float *out,
                  double *norms);
/** Some columns of rows that were kept, as zg_centre_rows makes them in double.
 * \param [in]  x     [rows, columns], `stride` numbers from row to row.
 * \param [in]  mean  [columns]
 * \param [out] out   [rows, columns]. */
void zg_centre_kept(const float *x, int64_t stride, int64_t rows, int64_t columns,
                    const double *mean, double scale, double *out);

/** Centre in place rows that were packed as they were read (linalg/micro.h): the
 * same bits.
 * \param [in]     rows   that count, up to ZG_PANEL; the others become zero.
 * \param [in]     mean   [d]
 * \param [in,out] panel  [d][ZG_PANEL]
 * \param [out]    norms  [ZG_PANEL] */
void zg_centre_packed(int64_t rows, int64_t d, const double *mean, double scale,
                      float *panel, double *norms);

#endif
