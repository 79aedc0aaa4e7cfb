/** \file
 * From measured runs to the rates of a machine. As rates are what turns the amounts of
 * plan/cost.h into the seconds that runs took, predictions follow the engine when it
 * changes. Not collective. */
#ifndef ZG_PLAN_CALIBRATION_H
#define ZG_PLAN_CALIBRATION_H

#include "plan/cost.h"

/** A run: what its plan amounts to and how long its parts took. */
typedef struct zg_observation {
  zg_amounts amounts;
  double seconds[ZG_COST_PARTS];
} zg_observation;

/** Find some rates of the machine so that the observed times of some parts, taken
 * together, come out as nearly as possible: costs >= 0 of least squared relative error.
 * What other rates explain is subtracted first; those not known (0) explain nothing. A
 * rate of which there was nothing to see stays; one that costs nothing becomes very
 * large (very small where it is a duration).
 * \param [in] parts  bit mask of zg_cost_part.
 * \param [in] rates  [count] which to find. */
void zg_calibrate_rates(const zg_observation *runs, int64_t run_count, unsigned parts,
                        const zg_rate *rates, int64_t count, zg_machine *machine);

#endif
