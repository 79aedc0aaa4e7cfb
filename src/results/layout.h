/** \file
 * Making the empty file on one rank; private to this folder. */
#ifndef ZG_RESULTS_LAYOUT_H
#define ZG_RESULTS_LAYOUT_H

#include "results/results.h"

/** Make the file `part` with everything but values. Not collective.
 * \param [out] digest  its zg_structure_digest.
 * \return ZG_ERR_CREATE or ZG_ERR_WRITE, naming the file. */
zg_status zg_layout_create(const char *part, const zg_results_layout *layout,
                           uint64_t *digest);

#endif
