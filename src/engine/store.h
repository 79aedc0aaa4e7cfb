/** \file
 * The packed panels of all samples, where there is memory for them: one copy on each
 * node, which its ranks fill together and read (grid/shared.h). What is read for the
 * statistics is kept here as it comes, and centred in place once the means are known,
 * so that each number is read once. Only what turns out to be formed in double is read
 * again, and kept as it is in the file: centred it would need twice the room. */
#ifndef ZG_ENGINE_STORE_H
#define ZG_ENGINE_STORE_H

#include "engine/work.h"

/** \return NULL where the plan has none, or a node cannot share the memory; then panels
 * are read as they are needed. Collective; the same on all ranks. */
zg_store *zg_store_create(zg_work *work);
/** Collective. */
void zg_store_destroy(zg_store **store);

/** Keep rows of an item, if it is one that the store keeps. Each row of each item must
 * be put once on its node.
 * \param [in] row  of the slab's first. Not collective. */
void zg_store_put(zg_store *store, int64_t item, int64_t row, const zg_slab *slab);

/** Centre an item whose rows have all been put by this rank; it is still in the cache
 * now. Not collective.
 * \param [in] about  its mean and scale, and whether it is usable. */
void zg_store_centre(zg_store *store, int64_t item, const zg_item *about);

/** Read what ranks of other nodes have read, and centre everything that is not centred
 * yet: the statistics are known now.
 * \param [in] groups  the samples of each item were read in so many runs, and the runs
 * of all items were dealt to the ranks in equal runs. Collective; the same status on
 * all ranks. */
zg_status zg_store_finish(zg_store *store, int64_t groups);

/** Bring all items into the form that their precisions ask for: centred and packed, or,
 * for double, as they are in the file; this is needed before panels are asked for.
 * Collective over the run's communicator; the same status on all ranks. */
zg_status zg_store_suit(zg_store *store);

/** Whether an item's panels are here. */
bool zg_store_has(const zg_store *store, int64_t item);
/** The panel of rows [first, ...), a multiple of the plan's tile: packed, or, of an
 * item in double, [rows, d] as they are in the file. */
float *zg_store_panel(const zg_store *store, int64_t item, int64_t first);
/** Squared norms of all rows of an item, [n]. */
const double *zg_store_norms(const zg_store *store, int64_t item);

#endif
