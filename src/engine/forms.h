/** \file
 * The forms: each computes a pass and writes the tensors of all calls that it serves.
 */
#ifndef ZG_ENGINE_FORMS_H
#define ZG_ENGINE_FORMS_H

#include "engine/tensor.h"

/** \param [in] p  position of the pass in the plan.
 * Collective over the run's communicator; the same status on all ranks. */
typedef zg_status zg_form_fn(zg_work *work, int64_t p, zg_results *results);

zg_form_fn zg_gram_run;    /* gram_tensor.c */
zg_form_fn zg_tangent_run; /* tangent.c */
zg_form_fn zg_vector_run;  /* vectors.c */
zg_form_fn zg_profile_run; /* profile.c */
zg_form_fn zg_pair_run;    /* pair.c */

/** Whether a call is served by a pass. */
static inline bool zg_serves(const zg_work *work, int64_t p, int64_t call) {
  return work->run->plan->pass_of_call[call] == p;
}

#endif
