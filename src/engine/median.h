/** \file
 * The exact median of all n^2 squared distances of every item, diagonal included.
 *
 * A sample of rows gives a bracket. One sweep over the tiles counts what is below it
 * and keeps what is inside, narrowing it on the way (linalg/bracket.h); what the ranks
 * have kept is then selected from. Where a sample or a rank's part of the tiles
 * misleads and the median is lost, further sweeps count how many distances lie in each
 * of some thousand slices of a bracket and narrow it to one slice, until what is left
 * fits into memory. Slices are made of the bits of the numbers, so that ties and gaps
 * end the search as well.
 *
 * The sample is always taken in double, and it also tells which items are so clustered
 * that their distances would lose digits in single precision: these are formed in
 * double from then on. */
#ifndef ZG_ENGINE_MEDIAN_H
#define ZG_ENGINE_MEDIAN_H

#include "engine/panels.h"

enum { ZG_QUANTILES = 256 };

typedef struct zg_medians {
  double *median; /**< [N], of features scaled to trace 1; 0: zero variance; owned */
  double
      *quantiles; /**< [N, ZG_QUANTILES] of a sample of distances, ascending; owned */
} zg_medians;

/** Collective over the run's communicator; the same status on all ranks.
 * \param [in] pass  a full RBF pass. */
zg_status zg_medians_find(zg_work *work, const zg_pass *pass, zg_medians *medians);
void zg_medians_clear(zg_medians *medians);

#endif
