/** \file
 * The gram-product form: measures that are a function of inner products <V_i, V_j> of
 * the items' sample-pair matrices (kernel Gram matrices K_i = X_i X_i', their RBF,
 * ...), which the engine forms tile by tile and never stores.
 *
 * Notation: K~ is K with a zero diagonal, a = diag K, r = K~ 1, n the number of
 * samples. */
#ifndef ZG_MEASURES_GRAM_H
#define ZG_MEASURES_GRAM_H

#include "measures/measure.h"

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
  int64_t
      batch; /**< products are summed over runs of so many samples, each with kernels of
                its own; a last run of fewer than 4 is dropped. 0: all samples as one */
  zg_centring centring;
} zg_gram_spec;

/** What is known of one pair of items when its entry is made. */
typedef struct zg_gram_pair {
  double cross;            /**< inner product of the two items, kernels scaled */
  double self_a, self_b;   /**< of each with itself */
  double floor_a, floor_b; /**< a self product up to this is rounding: the kernel is
                              zero once centred */
  double scale_a, scale_b; /**< by which each kernel was divided */
  double weight; /**< (n-1)^2 if centred; n(n-3), summed over batches, if U-centred */
  zg_code code_a, code_b; /**< state of each item's own data: ok, 1, 2 or 4 */
  bool same;              /**< the pair is on the diagonal */
} zg_gram_pair;

typedef struct zg_gram_form {
  zg_gram_spec (*spec)(const zg_call *call);
  /** The entry and, in *code, its status. */
  double (*finish)(const zg_call *call, const zg_gram_pair *pair, zg_code *code);
} zg_gram_form;

#endif
