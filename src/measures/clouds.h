/** \file
 * Items of the pair form that are prepared as clouds of points (linalg/cloud.h). */
#ifndef ZG_MEASURES_CLOUDS_H
#define ZG_MEASURES_CLOUDS_H

#include "linalg/cloud.h"
#include "measures/pair.h"

int64_t zg_cloud_bytes(const zg_call *call, const zg_shape *shape);
void zg_cloud_prepare(const zg_pair_context *context, const zg_rows *rows, void *data,
                      zg_code *code);
/** The cloud of an item that was prepared so. */
zg_cloud zg_prepared_cloud(const zg_prepared *item);

#endif
