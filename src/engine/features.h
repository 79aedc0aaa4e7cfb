/** \file
 * The route over features of the gram form, for linear kernels and many samples:
 *
 *     <K_i, K_j> = F(X_i' X_j)^2
 *
 * from the products of all features with all others, of which only the norms of the
 * blocks are kept. With the row norms a of centred features and t = 1'a, U-centring
 * adds
 * - n/(n-2) a_i.a_j + t_i t_j / ((n-1)(n-2)). Where one sample has nearly all of an
 * item's variance that subtraction leaves too few digits, and tiles are the better
 * route.
 *
 * Rows are centred about the items' means, which takes a reading of its own; or, where
 * there are very many, about estimates of these (engine/recentring.h). */
#ifndef ZG_ENGINE_FEATURES_H
#define ZG_ENGINE_FEATURES_H

#include "engine/gram.h"

/** Whether all items keep their digits on this route. Not collective, the same on all
 * ranks. */
bool zg_features_suit(const zg_work *work, const zg_pass *pass);
/** The same as zg_gram_compute, for a pass by features; all items are one band.
 * Collective over the run's communicator; the same status on all ranks. Clear it in any
 * case. */
zg_status zg_features_compute(zg_work *work, int64_t index, const zg_pass *pass,
                              zg_gram *gram, zg_gram_fn *visit_band, void *context);
/** The same before the items have been measured, where the plan has it: every number is
 * read once, in rows about estimated centres (engine/recentring.h).
 * \param [out] done  else nothing has come of it, and items are not measured yet. */
zg_status zg_features_once(zg_work *work, int64_t index, const zg_pass *pass,
                           zg_gram *gram, zg_gram_fn *visit_band, void *context,
                           bool *done);

#endif
