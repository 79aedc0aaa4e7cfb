/** \file
 * How long a plan will take, for `plan` and `run`. Not collective. */
#ifndef ZG_CLI_PREDICT_H
#define ZG_CLI_PREDICT_H

#include "plan/cost.h"

/** The machine file that is used where none is named: zoogram/machine.yaml below
 * $XDG_CACHE_HOME or ~/.cache. The caller frees; NULL when neither is there. */
char *zg_machine_default(void);

typedef struct zg_prediction {
  bool known;                     /**< there is a machine file, and it is sound */
  char trouble[ZG_MESSAGE_BYTES]; /**< what is wrong with the file that is used where
                                     none is named; empty when nothing is */
  zg_machine machine;
  zg_cost cost;
} zg_prediction;

/** Predict the time of a plan.
 * \param [in] path  a machine file, which then has to be sound; NULL: the usual one,
 * without which there is no prediction. \return an error only for a file that was
 * named. */
zg_status zg_predict(const char *path, const zg_plan *plan, zg_prediction *prediction);

/** A line of the plan's text: the prediction, or how to come by one. The caller frees.
 */
char *zg_prediction_text(const zg_prediction *prediction, const zg_plan *plan);

#endif
