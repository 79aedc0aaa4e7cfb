/** \file
 * Tangent kernels as distributed matrices, kept in the results with their eigenvalues.
 */
#ifndef ZG_ENGINE_KERNELS_H
#define ZG_ENGINE_KERNELS_H

#include "engine/products.h"

/** Form the trace kernel of every model of a tangent pass once more, tile by tile, and
 * write it and its eigenvalues as quantities 0 and 1 of what a call keeps. Models
 * without a kernel get NaN. Collective over the run's communicator; the same status on
 * all ranks. */
zg_status zg_kernels_keep(zg_work *work, const zg_pass *pass, int64_t call,
                          const zg_products *products, zg_results *results);

#endif
