/** \file
 * The gram-product form: measures that are a function of inner products <V_i, V_j> of
 * the items' sample-pair matrices (kernel Gram matrices K_i = X_i X_i', their RBF,
 * ...), which the engine forms tile by tile and never stores.
 *
 * Notation: K~ is K with a zero diagonal, a = diag K, r = K~ 1, n the number of
 * samples. Of a zg_pair it sets cross, self, floor, scale (by which each kernel was
 * divided) and weight: (n-1)^2 if centred; n(n-3), summed over batches, if U-centred.
 */
#ifndef ZG_MEASURES_GRAM_H
#define ZG_MEASURES_GRAM_H

#include <stdbool.h>
#include <stdint.h>

typedef enum zg_kernel_kind {
  ZG_KERNEL_LINEAR, /**< x'y of centred features */
  ZG_KERNEL_RBF     /**< exp(-d^2/(2 t^2 m)), m the median squared distance */
} zg_kernel_kind;

/** Which inner product of two kernel matrices. */
typedef enum zg_centring {
  ZG_CENTRED,  /**< tr(K H L H) */
  ZG_UCENTRED, /**< n(n-3) times Song's unbiased HSIC: <K~,L~> + (1'r)(1's)/((n-1)(n-2))
                  - 2/(n-2) r.s, r = K~1, s = L~1 */
  ZG_CENTRINGS
} zg_centring;

/** What the engine has to form for one call. Calls with equal kernel, bandwidth and
 * batch share one pass over the tiles. */
typedef struct zg_gram_spec {
  zg_kernel_kind kernel;
  double bandwidth; /**< t of the RBF kernel; 0 for others */
  bool sampled;     /**< the RBF kernel's median is that of some samples */
  int64_t
      batch; /**< products are summed over runs of so many samples, each with kernels of
                its own; a last run of fewer than 4 is dropped. 0: all samples as one */
  zg_centring centring;
} zg_gram_spec;

#endif
