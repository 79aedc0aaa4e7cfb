/** \file
 * Child processes that end with the process that made them, and tell it what they have
 * to say through a pipe. Not collective; to be made before MPI and threads are started,
 * as a child has only the thread that forked it. */
#ifndef ZG_BASE_CHILD_H
#define ZG_BASE_CHILD_H

#include <sys/types.h>

/** Fork. A child is killed when this process ends, its zg_abort ends nothing but
 * itself, and what it prints on standard error is lost, but with sanitizers.
 * \param [out] pipe  the end to write to in the child, the end to read from in the
 * parent, which closes it.
 * \return 0 in the child, -1 where there can be none: errno tells why. */
pid_t zg_child_make(int *pipe);

/** Wait for its end.
 * \param [out] seconds  that it has computed.
 * \return how it ended, as of waitpid. */
int zg_child_wait(pid_t child, double *seconds);

#endif
