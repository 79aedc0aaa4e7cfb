/** \file
 * The norm of a convolution on a torus: circular, so that it commutes with shifts.
 * Private to linalg/convolution.c. Not collective. */
#ifndef ZG_LINALG_TORUS_H
#define ZG_LINALG_TORUS_H

#include "linalg/convolution.h"

/** Largest singular value of a convolution of one group whose input is periodic and has
 * `input` / `stride` outputs along each axis (padding only shifts them), or `floor`
 * when that is larger. The stride must divide the input. Memory: zg_torus_numbers
 * doubles. */
zg_norm zg_torus_norm(const zg_convolution *c, double floor);
int64_t zg_torus_numbers(const zg_convolution *c);

#endif
