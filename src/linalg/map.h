/** \file
 * A convolution as a linear operator, by matrix products: over patches, or by
 * Winograd's method for 3 x 3 kernels. Private to linalg/convolution.c. Not collective.
 */
#ifndef ZG_LINALG_MAP_H
#define ZG_LINALG_MAP_H

#include "linalg/convolution.h"

typedef struct zg_map zg_map;

/** Vectors that the operator is best applied to together. The norm of a real
 * convolution comes in pairs, that of a frequency and of its negative, which the edges
 * of the image split but slightly: iterations with less than two vectors have to tell
 * them apart. */
enum { ZG_MAP_VECTORS = 2 };

/** The operator of a convolution of one group. The order of the numbers of its images
 * is its own affair: channels come first or last, and a norm does not tell. Borrows the
 * convolution; the caller destroys it. */
zg_map *zg_map_create(const zg_convolution *c);
void zg_map_destroy(zg_map **map);
/** Borrows the map. */
zg_operator zg_map_operator(const zg_map *map);
/** Doubles that zg_map_create allocates. */
int64_t zg_map_numbers(const zg_convolution *c);

#endif
