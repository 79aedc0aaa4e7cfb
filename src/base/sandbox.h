/** \file
 * Running tasks in child processes with limits, so that a crash, an endless loop or a
 * hunger for memory costs the child and nothing else. Not collective; to be used before
 * MPI and threads are started, as a child has only the thread that forked it. */
#ifndef ZG_BASE_SANDBOX_H
#define ZG_BASE_SANDBOX_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/** What a child may use. */
typedef struct zg_limits {
  int64_t memory;  /**< bytes of address space beside what the program has already */
  int64_t seconds; /**< of computing */
} zg_limits;

/** Seconds after which a child that neither computes nor waits for a disk, nor for who
 * reads what it prints, is taken for stuck (in a named pipe, a terminal, a socket). */
enum { ZG_STUCK_SECONDS = 8 };

/** What became of a task. */
typedef struct zg_verdict {
  bool returned;               /**< it came to its end; else it died on the way */
  int signal;                  /**< that it died of; 0: none */
  zg_status status;            /**< what it returned; ZG_ERR_DATA when it died */
  char what[ZG_MESSAGE_BYTES]; /**< zg_message() in the child, or in words how it died:
                                  "crashed (signal 11, Segmentation fault)" */
} zg_verdict;

/** Many tasks of one kind. */
typedef struct zg_tasks {
  int64_t count;
  /** Executed in a child. Changes of memory end with it, and so do files it opens; what
   * it prints on standard error is lost, what on standard output is not. */
  zg_status (*execute)(void *context, int64_t task);
  /** Executed before the child is made. */
  zg_limits (*limits)(void *context, int64_t task);
  void *context;
  bool (*should_stop)(void); /**< asked now and then; NULL: never */
  /** Tasks that memory was short for are executed once more: others may have taken it
   * for a moment. */
  bool repeats;
} zg_tasks;

/** Execute all tasks in their order, a few at a time; after one that returns a failure
 * no other is begun. A task that has no memory, though not even its limit is there, has
 * returned ZG_ERR_SYSTEM.
 * \param [out] verdicts  [count], up to the first failure.
 * \return ZG_STOPPED when it was asked to stop, ZG_ERR_SYSTEM when no child could be
 * made; the verdicts are then of no use, and no child is left. */
zg_status zg_sandbox_run(const zg_tasks *tasks, zg_verdict *verdicts);

/** For a task that has learnt how much there is to do: from now on so many seconds of
 * computing. Nothing happens outside a sandbox. */
void zg_sandbox_allow(double seconds);

#endif
