/** \file
 * The parts of finding medians; private to this folder.
 *
 *     median.c         a small sample of every item: quantiles, precision
 *     median_search.c  exact medians by sweeps over the tiles
 *     median_sample.c  medians of a larger sample, and the rows of samples */
#ifndef ZG_ENGINE_MEDIAN_PARTS_H
#define ZG_ENGINE_MEDIAN_PARTS_H

#include "engine/median.h"

/** Exact medians of all usable items, whose quantiles are known. Collective over the
 * run's communicator; the same status on all ranks. */
zg_status zg_medians_search(zg_work *work, const zg_pass *pass, zg_forming *forming,
                            zg_medians *medians);

/** Medians of the distances of at most ZG_MEDIAN_ROWS samples, each item by one rank.
 * Collective over the run's communicator; the same status on all ranks. */
zg_status zg_medians_sample(zg_work *work, zg_medians *medians);

/** Runs of neighbours that samples are taken in: cheap to read. */
enum { ZG_SAMPLE_RUN = 16 };

/** Samples of an item: all of them, or runs of neighbours spread evenly over them, in
 * an order in which each part is spread over them as well.
 * \param [in]  rows   a multiple of ZG_SAMPLE_RUN, or all samples.
 * \param [out] X      [rows, d] centred and scaled, in `precision`.
 * \param [out] norms  [rows] squared norms.
 * Not collective. */
zg_status zg_sample_read(zg_work *work, int64_t item, int64_t rows,
                         zg_precision precision, void *X, double *norms);

#endif
