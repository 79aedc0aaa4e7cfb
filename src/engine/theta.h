/** \file
 * From factors to tiles of tangent kernels. Not collective. */
#ifndef ZG_ENGINE_THETA_H
#define ZG_ENGINE_THETA_H

#include "engine/factors.h"

/** Room for what a tile is made of; owned by whoever makes tiles. */
typedef struct zg_theta {
  zg_work *work;
  zg_precision precision;
  void *inner, *outer; /**< products of inputs and of signals */
  int64_t inner_size, outer_size;
  void *left, *right; /**< derivatives multiplied out, or streamed: a slab each */
  int64_t slab;       /**< its numbers */
  double flop;        /**< of all tiles so far */
  bool finite;        /**< whether all streamed numbers were, of the last tile */
} zg_theta;

void zg_theta_create(zg_work *work, zg_precision precision, zg_theta *theta);
void zg_theta_destroy(zg_theta *theta);

/** Theta of two runs of one model.
 * \param [out] tile  column-major, left samples E rows by right samples E columns; for
 * sketches ZG_SKETCHES such tiles, `stride` numbers apart. */
zg_status zg_theta_tile(zg_theta *theta, const zg_factors *left,
                        const zg_factors *right, int64_t stride, void *tile);

#endif
