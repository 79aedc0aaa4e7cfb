/** \file
 * The median of all n^2 squared distances of every item, diagonal included: exact, or
 * that of a sample (`median: sampled`) of at most ZG_MEDIAN_ROWS samples.
 *
 * A sample of rows gives a bracket. One sweep over the tiles counts what is below it
 * and keeps what is inside, narrowing it on the way (linalg/bracket.h); what the ranks
 * have kept is then selected from. Where a sample or a rank's part of the tiles
 * misleads and the median is lost, further sweeps count how many distances lie in each
 * of some thousand slices of a bracket and narrow it to one slice, until what is left
 * fits into memory. The ranks of a larger team have few tiles, and parts of them that
 * mislead: they count such slices of every tile together before they keep any of it,
 * and so all have one bracket about the median of what the team has seen. Slices are
 * made of the bits of the numbers, so that ties and gaps end the search as well.
 *
 * The sample is always taken in double, and it also tells which items are so clustered
 * that their distances would lose digits in single precision: these are formed in
 * double from then on. */
#ifndef ZG_ENGINE_MEDIAN_H
#define ZG_ENGINE_MEDIAN_H

#include "engine/panels.h"

enum { ZG_QUANTILES = ZG_PLAN_QUANTILES, ZG_MEDIAN_ROWS = ZG_PLAN_MEDIAN_ROWS };

typedef struct zg_medians {
  double *median; /**< [N], of features scaled to trace 1; 0: zero variance; owned */
  double
      *quantiles; /**< [N, ZG_QUANTILES] of a sample of distances, ascending; owned */
} zg_medians;

/** What a pass has in common with the search for its medians. On a larger team tiles
 * are so large that the search has no room of its own for one; and where a single tile
 * is the whole matrix, what the search has formed is what the pass needs. */
typedef struct zg_forming {
  zg_panels panels; /**< opened by whoever comes first; owned by the pass */
  void *V; /**< [N, stride] room for the tile of every item in the pass's precision;
                NULL on a team of one rank, whose tiles are small */
  int64_t stride;
  zg_precision precision; /**< the pass's */
  bool formed; /**< V holds the inner products of the only tile, of all items that are
                    usable and of the pass's precision */
} zg_forming;

/** Collective over the run's communicator; the same status on all ranks.
 * \param [in] pass  a full RBF pass. */
zg_status zg_medians_find(zg_work *work, const zg_pass *pass, zg_forming *forming,
                          zg_medians *medians);
void zg_medians_clear(zg_medians *medians);

#endif
