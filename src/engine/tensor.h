/** \file
 * From what a form has computed to a tensor in the file. */
#ifndef ZG_ENGINE_TENSOR_H
#define ZG_ENGINE_TENSOR_H

#include "engine/work.h"

/** What is known of items i and k of an axis. */
typedef void zg_pair_fn(const void *context, int64_t i, int64_t k, zg_pair *pair);

/** Finish and write the rows [own, own + owned) of a symmetric tensor, and count their
 * codes in the report. The rows of all ranks together are the whole axis.
 * \param [in] call  position in the run's calls.
 * Collective over the run's communicator; the same status on all ranks. */
zg_status zg_tensor_write(zg_work *work, zg_results *results, int64_t call, int64_t own,
                          int64_t owned, zg_pair_fn *pair_of, const void *context);
/** The same with nearly equal runs of `items` rows on every rank, for what is known on
 * all of them; the tensor need not be symmetric. */
zg_status zg_tensor_write_shared(zg_work *work, zg_results *results, int64_t call,
                                 int64_t items, zg_pair_fn *pair_of,
                                 const void *context);

/** Write a kept quantity that has one number per label, the same on all ranks.
 * \param [in] quantity  position in what the call keeps.
 * Collective over the run's communicator; the same status on all ranks. */
zg_status zg_tensor_keep(zg_work *work, zg_results *results, int64_t call,
                         int64_t quantity, int64_t items, const double *values);

/** A number of two items. */
typedef double zg_pair_value_fn(const void *context, int64_t i, int64_t k);
/** Write a kept quantity that has one number per pair, known on all ranks.
 * Collective over the run's communicator; the same status on all ranks. */
zg_status zg_tensor_keep_pairs(zg_work *work, zg_results *results, int64_t call,
                               int64_t quantity, int64_t items,
                               zg_pair_value_fn *value_of, const void *context);

/** Say in the log what is wrong with an array, or with one of the `count` arrays of a
 * model that begin with it: once, however many passes find it, and up to a limit.
 * \param [in] what  "NaN or infinite numbers", "no attribute 'input_size'", ... */
void zg_tensor_complain(zg_work *work, int64_t array, int64_t count, zg_code code,
                        const char *what);

#endif
