/** \file
 * The gram-product form: one pass over the tiles, from centred rows to the inner
 * products of all items' kernel matrices. */
#ifndef ZG_ENGINE_GRAM_H
#define ZG_ENGINE_GRAM_H

#include "engine/work.h"
#include "grid/pairs.h"

/** What a pass yields. */
typedef struct zg_gram {
  zg_pairs product[ZG_CENTRINGS]; /**< of a band, combined; empty where the pass does
                                     not need it */
  double *self[ZG_CENTRINGS];     /**< [N] its diagonal, up to the band's end, on
                                     every rank; owned */
  double *scale;                  /**< [N] by which each kernel was divided; owned */
  zg_code *code;                  /**< [N] of each item under this kernel; owned */
  double *median; /**< [N] median squared distances in the features' units; NULL where
                     none are needed; owned */
  double weight[ZG_CENTRINGS]; /**< of an HSIC: see measures/gram.h */
  double *floor;               /**< [N] of self products: see measures/gram.h; owned */
} zg_gram;

/** What is done with the products of a band of items (zg_plan_band) as soon as they
 * are there: of the items that this rank owns with all items up to them. Collective
 * over the run's communicator; the same status on all ranks. */
typedef zg_status zg_gram_fn(void *context, const zg_gram *gram);

/** Compute a pass, one band after the other; scales, codes and medians stay.
 * \param [in] index  of the pass in the plan, for checkpoints.
 * Collective over the run's communicator; the same status on all ranks. Clear it in any
 * case. */
zg_status zg_gram_compute(zg_work *work, int64_t index, const zg_pass *pass,
                          zg_gram *gram, zg_gram_fn *visit, void *context);
void zg_gram_clear(zg_gram *gram);

#endif
