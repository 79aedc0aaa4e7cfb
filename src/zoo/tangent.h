/** \file
 * Every fault of tangent-kernel factors; private to this folder. Not collective. */
#ifndef ZG_ZOO_TANGENT_H
#define ZG_ZOO_TANGENT_H

#include "zoo/zoo.h"

/** Told of the array at which factors were found not to fit. */
typedef void zg_tangent_fault_fn(void *context, int64_t array, const char *what);
/** Report what zg_zoo_check_tangent fails on, layer by layer. */
void zg_tangent_faults(const zg_zoo *zoo, zg_tangent_fault_fn *report, void *context);

#endif
