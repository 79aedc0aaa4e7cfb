/** \file
 * One run owns an output at a time. Not collective: one rank holds the ownership for
 * its run.
 *
 * The locks are the kernel's on an open file (<output>.lock) and end with their holder,
 * however that dies; the file's text only says who the owner is. The other ranks of a
 * run hold a lock that they share: ranks may outlive their first one by some seconds,
 * and nobody becomes the owner before the last of them is gone. */
#ifndef ZG_RESULTS_OWNER_H
#define ZG_RESULTS_OWNER_H

#include "base/status.h"

typedef struct zg_owner zg_owner;

/** Become the owner of an output, waiting up to `patience` seconds for another.
 * \return ZG_ERR_CREATE, naming the other owner, or why the lock file cannot be made.
 */
zg_status zg_owner_acquire(const char *output, double patience, zg_owner **owner);
/** Keep others from becoming the owner, too: for the other ranks of the owner's run.
 * \return ZG_ERR_CREATE when the lock file cannot be locked. */
zg_status zg_owner_join(const char *output, zg_owner **owner);
/** Give it up; the owner removes the lock file. Accepts NULL. */
void zg_owner_release(zg_owner **owner);

#endif
