/** \file
 * Distances of models' parameters in the metric of both models' per-sample gradients.
 */
#ifndef ZG_ENGINE_QUADRATIC_H
#define ZG_ENGINE_QUADRATIC_H

#include "engine/products.h"

/** Fill a pass of ZG_VECTOR_QUADRATIC. \return ZG_ERR_DATA where gradients do not say
 * which parameters they belong to and the file does not either.
 * Collective over the run's communicator; the same status on all ranks. */
zg_status zg_quadratic_compute(zg_work *work, const zg_pass *pass,
                               zg_products *products);

#endif
