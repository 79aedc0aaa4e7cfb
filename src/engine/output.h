/** \file
 * The layout of the results file of a run: axes, tensors, attributes; private to this
 * folder. */
#ifndef ZG_ENGINE_OUTPUT_H
#define ZG_ENGINE_OUTPUT_H

#include "engine/engine.h"

/** Collective; the same status on all ranks. */
zg_status zg_output_create(const zg_run *run, zg_results **results);

#endif
