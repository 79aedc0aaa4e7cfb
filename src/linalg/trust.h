/** \file
 * The exact maximum of a convex quadratic function over a ball, and what it needs of a
 * set of per-sample gradients. Not collective. */
#ifndef ZG_LINALG_TRUST_H
#define ZG_LINALG_TRUST_H

#include <stdbool.h>
#include <stdint.h>

/** The maximum of gamma.y + sum lambda_k y_k^2 / 2 over |y| <= radius, by its dual
 * (More & Sorensen 1983), the hard case included; relative accuracy about n 2^-53.
 * 0 for n = 0 or radius = 0; NaN when an input is not finite.
 * \param [in] lambda  [n], >= 0, in any order.
 * \param [in] gamma   [n], of any sign. */
double zg_trust_maximum(int64_t n, const double *lambda, const double *gamma,
                        double radius);

/** From the products of m per-sample gradients to the spectrum of their empirical
 * Fisher matrix F = G'G/m. With M = G G' = sum_k mu_k u_k u_k' the eigenvectors of F in
 * the row space of G are G'u_k / sqrt(mu_k), hence lambda_k = mu_k / m and the mean
 * gradient g = G'1/m has the components gamma_k = sqrt(mu_k) (1'u_k) / m. Negative
 * mu_k, which only rounding makes, count as 0.
 * \param [in,out] M  [m, m], both triangles; overwritten.
 * \param [out] lambda  [m], ascending.
 * \param [out] gamma  [m].
 * \return false when M is not finite, m is above 32,766 (the limit of LAPACK's 32-bit
 * workspace) or LAPACK fails. Cost: about 4 m^3 flop, 24 m^2 bytes. */
bool zg_gradient_spectrum(int64_t m, double *M, double *lambda, double *gamma);

#endif
