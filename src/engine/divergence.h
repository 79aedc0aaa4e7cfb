/** \file
 * Divergences of distributions: sum a log(a/b) for every item a with every item b, as a
 * product of two kinds of vectors,
 *
 *     <a, log a> - <a, log b>.
 *
 * Both are centred by references that cancel, the mean m of all a and its logarithm:
 *
 *     <a - m, w_a - w_b> + <m, w_a> - <m, w_b>,    w = log a - log m (0 where a = 0),
 *
 * so that items that resemble one another leave small products, also in single
 * precision; the two last terms are sums per item, in double. What is still close to 0
 * is computed again from differences. A pair with a > 0 = b somewhere is infinite; it
 * is looked for only where a number is positive in some items and 0 in others. */
#ifndef ZG_ENGINE_DIVERGENCE_H
#define ZG_ENGINE_DIVERGENCE_H

#include "engine/products.h"

/** Fill a pass of ZG_VECTOR_DIVERGENCE.
 * Collective over the run's communicator; the same status on all ranks. */
zg_status zg_divergence_compute(zg_work *work, const zg_pass *pass,
                                zg_products *products);

#endif
