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

/** The singular vector of the largest singular value is, on one of its sides, vector[o]
 * exp(i (turn[0] p + turn[1] q)), for channel o at (p, q). */
typedef struct zg_peak {
  bool of_output; /**< which side */
  double turn[2];
  double *vector; /**< [channels of that side] complex numbers, by the caller */
} zg_peak;

/** As zg_torus_norm; false: no vector was found, or the kernel is zero. Memory besides:
 * 80 numbers per channel. */
bool zg_torus_peak(const zg_convolution *c, zg_peak *peak);

#endif
