/** \file
 * Runs of numbers in either precision: are they finite, how far are two apart. Not
 * collective. */
#ifndef ZG_LINALG_NUMBERS_H
#define ZG_LINALG_NUMBERS_H

#include "linalg/blas.h"

#include <stdbool.h>

/** Whether no number is NaN or infinite. */
bool zg_all_finite(zg_precision precision, const void *values, int64_t count);

/** Whether all numbers are finite, and small enough to be squared: 2^40 times the sum
 * of their squares is finite, and so are then the squared differences of such numbers,
 * their products, and sums of many of these. */
bool zg_can_be_squared(int64_t count, const double *values);

/** Whether a number is below zero. */
bool zg_any_negative(zg_precision precision, const void *values, int64_t count);

/** mixed_k := factor x_k + summand, in double. */
void zg_mix_numbers(zg_precision precision, int64_t count, double factor, const void *x,
                    double summand, double *mixed);

/** sum (alpha x_k - beta y_k)^2, in double. */
double zg_squared_difference(zg_precision precision, int64_t count, double alpha,
                             const void *x, double beta, const void *y);

/** |x|, also where squares overflow or vanish. */
double zg_length(int64_t count, const double *x);

/** |x - y|, also where squares of differences overflow or vanish. */
double zg_distance(int64_t count, const double *x, const double *y);

/** The integral over [0, 1] of (x - y)^2, where x has n steps of width 1/n and y has m
 * of width 1/m. Of sorted numbers these are quantile functions, and the integral is the
 * squared 2-Wasserstein distance in one dimension. n m must be below 2^63. */
double zg_step_integral(int64_t n, const double *x, int64_t m, const double *y);

/** scaled_k := scale x_k, in double. \return the sum of their squares. */
double zg_scale_numbers(zg_precision precision, int64_t count, double scale,
                        const void *x, double *scaled);

/** Divide by the Euclidean norm; in units of the largest number, so that no square
 * overflows. \return false when all are zero, which then stay. */
bool zg_make_unit(int64_t count, double *x);

/** Floats to as many doubles in the same place, which must have room for them. */
void zg_widen(void *numbers, int64_t count);

#endif
