/** \file
 * One run owns an output at a time. Not collective: one rank holds the ownership for
 * its run.
 *
 * The lock is the kernel's on an open file (<output>.lock) and ends with its holder,
 * however that dies; the file's text only says who it is. */
#ifndef ZG_RESULTS_OWNER_H
#define ZG_RESULTS_OWNER_H

#include "base/status.h"

typedef struct zg_owner zg_owner;

/** Become the owner of an output, waiting up to `patience` seconds for another.
 * \return ZG_ERR_CREATE, naming the other owner, or why the lock file cannot be made.
 */
zg_status zg_owner_acquire(const char *output, double patience, zg_owner **owner);
/** Give it up and remove the lock file. Accepts NULL. */
void zg_owner_release(zg_owner **owner);

#endif
