/** \file
 * Machine files: the rates of plan/machine.h as a user keeps them. Not collective. */
#ifndef ZG_JOB_MACHINE_H
#define ZG_JOB_MACHINE_H

#include "base/status.h"
#include "plan/machine.h"

/** Read and check a machine file; rates that it does not state follow from others.
 * \return ZG_ERR_INPUT when it cannot be read; ZG_ERR_JOB, naming file, line and what
 * was expected, for an unknown key, a value that does not fit or a rate that has to be
 * stated. */
zg_status zg_machine_read(const char *path, zg_machine *machine);

#endif
