/** \file
 * Maps on other grids, by area average. Not collective. */
#ifndef ZG_LINALG_RESAMPLE_H
#define ZG_LINALG_RESAMPLE_H

#include <stdint.h>

/** The mean of a map over each cell of another grid that covers the same rectangle: the
 * old cells count by the area that they have in common with the new one, so grids need
 * not divide one another, and may be finer.
 * \param [in]  map   [h, w], row-major.
 * \param [out] mean  [grid[0], grid[1]]. */
void zg_area_average(int64_t h, int64_t w, const double *map, const int64_t grid[2],
                     double *mean);

#endif
