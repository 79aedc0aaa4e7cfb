/** \file
 * How a function says that it failed, and how a program ends.
 *
 * A status is the exit code that the program would leave with, so nothing has to be
 * translated on the way up. The text of the newest failure is kept beside it: written
 * where the values are known, printed once by whoever ends the program. */
#ifndef ZG_BASE_STATUS_H
#define ZG_BASE_STATUS_H

typedef enum zg_status {
  ZG_OK = 0,
  ZG_SHARE_DONE = 1,    /**< no exit code: a pass ends here, as its sums are a shard's
                           (engine/state.h) */
  ZG_PARTIAL = 3,       /**< done, but some input was bad and is marked so */
  ZG_ERR_USAGE = 64,    /**< wrong command line */
  ZG_ERR_DATA = 65,     /**< an input exists and is not what it has to be */
  ZG_ERR_INPUT = 66,    /**< an input is missing or cannot be opened */
  ZG_ERR_INTERNAL = 70, /**< a mistake in this program */
  ZG_ERR_SYSTEM = 71,   /**< MPI or memory */
  ZG_ERR_CREATE = 73,   /**< an output cannot be made */
  ZG_ERR_WRITE = 74,    /**< an output cannot be written */
  ZG_STOPPED = 75,      /**< stopped on a signal or time limit; run again */
  ZG_ERR_JOB = 78       /**< bad job file */
} zg_status;

enum { ZG_MESSAGE_BYTES = 1024 };

/** Record a failure. \return `status`, for `return zg_fail(...)`. Not collective. */
zg_status zg_fail(zg_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** What the system said of a call that failed inside a library, such as "No space left
 * on device": the next zg_fail about an input or output adds it to its text. NULL: of
 * nothing. Not collective. */
void zg_set_reason(const char *reason);
/** Empty when there is none. */
const char *zg_reason(void);

/** The text of the newest failure on this rank; empty when there was none. */
const char *zg_message(void);

/** Propagate any status other than ZG_OK. Between two collectives use it only for a
 * status that all ranks agree on (see zg_agree in grid/comm.h). */
#define ZG_TRY(call)                                                                   \
  do {                                                                                 \
    zg_status zg_try_status_ = (call);                                                 \
    if (zg_try_status_ != ZG_OK) return zg_try_status_;                                \
  } while (0)

/** What zg_abort calls to end all ranks; set by whoever starts MPI. */
void zg_on_abort(void (*end_all_ranks)(int exit_code));

/** End the program at once, on every rank: for mistakes of this program and for memory
 * that is not there. Prints `zoogram: error: ...` itself. */
_Noreturn void zg_abort(zg_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** A condition that only a mistake of this program can break. */
#define ZG_REQUIRE(condition)                                                          \
  do {                                                                                 \
    if (!(condition))                                                                  \
      zg_abort(ZG_ERR_INTERNAL, "%s:%d: %s does not hold", __FILE__, __LINE__,         \
               #condition);                                                            \
  } while (0)

#endif
