/** \file
 * What gram passes take of a rank's memory, with a tile and bands that may be chosen;
 * and what a plan's passes are, as far as that depends on it. Private to this folder;
 * not collective. All in bytes. */
#ifndef ZG_PLAN_GRAM_MEMORY_H
#define ZG_PLAN_GRAM_MEMORY_H

#include "plan/plan.h"

bool zg_gram_is(const zg_pass *pass);
/** Whether any pass is made of tiles of all samples, or may have to be: by features is
 * tried first where the plan says so (engine/features.h). */
bool zg_gram_any_full(const zg_plan *plan);
/** Whether any is meant to be. */
bool zg_gram_any_tiles(const zg_plan *plan);
/** Samples of the largest batch; 0: there is none. */
int64_t zg_gram_largest_batch(const zg_plan *plan);

/** One panel of so many rows of all items, with their squared norms; batches are held
 * in double (engine/work.h). */
int64_t zg_gram_panel_bytes(const zg_plan *plan, int64_t rows, bool batch);
/** Everything a rank holds at once with panels of `tile` rows, two of them kept unless
 * one has all samples. Teams, packing and band_numbers are the plan's. */
zg_memory zg_gram_memory(const zg_plan *plan, int64_t tile);
/** What the samples that medians begin with take beside statistics, at a time when
 * there are no panels but those that ranks share. */
int64_t zg_gram_sampling_bytes(const zg_plan *plan, int64_t tile);
/** Of a pass by features, as zg_gram_memory; its total is left to the caller. */
zg_memory zg_gram_feature_memory(const zg_plan *plan, const zg_pass *pass);

#endif
