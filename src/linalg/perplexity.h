/** \file
 * Neighbours with Gaussian weights of a given perplexity. Not collective. */
#ifndef ZG_LINALG_PERPLEXITY_H
#define ZG_LINALG_PERPLEXITY_H

#include <stdbool.h>
#include <stdint.h>

/** p_k proportional to exp(-beta d_k), beta such that the entropy of p is
 * log(perplexity) to 1e-10 (van der Maaten & Hinton 2008, eq. 1). Where all distances
 * are equal, within their rounding, p does not depend on beta and is uniform.
 * \param [in] distances  [count] squared, >= 0.
 * \param [in] perplexity  from 1 to count, both excluded.
 * \return false where no beta up to 1e10 over the spread of the distances does it: more
 * than `perplexity` of them are as near as the nearest. */
bool zg_perplexity_weights(int64_t count, const double *distances, double perplexity,
                           double *p);

#endif
