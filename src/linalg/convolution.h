/** \file
 * Operator norms of 2-D convolutions, of the linear map itself and not of the kernel
 * reshaped to a matrix. Not collective. */
#ifndef ZG_LINALG_CONVOLUTION_H
#define ZG_LINALG_CONVOLUTION_H

#include "linalg/spectral.h"

/** A convolution as in PyTorch, a cross-correlation:
 * y[o, p, q] = sum over i, a, b of
 *              W[o, i, a, b] x[i, p s_h + a d_h - top, q s_w + b d_w - left],
 * where x is zero outside of the image, or periodic when `circular`. With groups, out /
 * groups outputs in turn see their own run of `in` inputs. */
typedef struct zg_convolution {
  int64_t out;           /**< output channels of all groups */
  int64_t in;            /**< input channels per group */
  int64_t groups;        /**< divides out */
  int64_t kernel[2];     /**< height, width; so are all pairs */
  int64_t input[2];      /**< size of the image */
  int64_t stride[2];     /**< >= 1 */
  int64_t dilation[2];   /**< >= 1 */
  int64_t padding[4];    /**< top, bottom, left, right; >= 0 */
  bool circular;         /**< padding repeats the image instead of zeros */
  const double *weights; /**< [out, in, kernel height, kernel width], borrowed */
} zg_convolution;

/** Size of the output; an entry that is not positive: the kernel does not fit. */
void zg_convolution_output(const zg_convolution *c, int64_t output[2]);

/** Largest singular value, the maximum over the groups.
 * - Patches that do not overlap (1 x 1 kernels, patch embeddings): that of the kernel
 * as a matrix.
 * - Circular, output size times stride equal to the input size: exactly, as the maximum
 *   over all frequencies of the norms of out x in matrices (Sedghi, Gupta & Long 2019,
 *   theorem 6), aliased where there is a stride. A frequency is dismissed by a Cholesky
 *   factorisation that proves it smaller than the largest one so far.
 * - All others: block Lanczos iterations with the convolution, right to 1.5e-9 as
 *   zg_operator_norm says; for large 3 x 3 kernels between zeros from the wave that the
 *   circular convolution has. A group only when a circular convolution that contains it
 *   is not smaller than another group's norm.
 * The kernel must fit. Memory: zg_convolution_norm_memory bytes. */
zg_norm zg_convolution_norm(const zg_convolution *c);
/** Bytes that are more than there can be. */
#define ZG_CONVOLUTION_HOPELESS (INT64_C(1) << 60)
/** Bytes that zg_convolution_norm allocates at most, but for a copy of extreme weights
 * (zg_is_extreme); BLAS keeps a buffer of its own.
 * ZG_CONVOLUTION_HOPELESS where an image has more than 2^40 numbers. */
int64_t zg_convolution_norm_memory(const zg_convolution *c);

#endif
