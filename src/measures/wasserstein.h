/** \file
 * The forms of the Wasserstein distance; private to this folder. Each yields one term
 * per pair: the squared distance. */
#ifndef ZG_MEASURES_WASSERSTEIN_H
#define ZG_MEASURES_WASSERSTEIN_H

#include "measures/pair.h"

extern const zg_pair_form zg_wasserstein_sliced;   /* wasserstein_sliced.c */
extern const zg_pair_form zg_wasserstein_gaussian; /* wasserstein_gaussian.c */
extern const zg_pair_form zg_wasserstein_exact;    /* wasserstein_points.c */
extern const zg_pair_form zg_wasserstein_sinkhorn; /* wasserstein_points.c */

#endif
