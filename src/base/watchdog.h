/** \file
 * Last resort against a run that no longer comes on: where one rank hangs, in a file
 * system that never answers or by a mistake of this program, the others would wait for
 * it in their next collective call until the job's time is over.
 *
 * Every rank notes where it is: a place is a few pointers, entered and left like a
 * block. A thread of the rank looks now and then whether there has been a note since. A
 * rank that has been at one place for the limit says so and ends all ranks with 71; one
 * that only waits for others leaves that to them, and does so itself after twice the
 * limit. As each rank judges itself, and the one that hangs has stopped before those
 * that wait for it, that works on any number of nodes. Not collective. */
#ifndef ZG_BASE_WATCHDOG_H
#define ZG_BASE_WATCHDOG_H

#include <stddef.h>

/** Start watching.
 * \param [in] limit  seconds at one place; 0: never.
 * \param [in] rank   for the message. */
void zg_watchdog_start(double limit, int rank);
/** From now on nothing is watched: the end of MPI may take its time. */
void zg_watchdog_stop(void);

/** Where a rank is: "reading", "zoo.h5", "model", "layer"; unused names are NULL. What
 * is pointed to has to stay until the place is left. */
typedef struct zg_place {
  const char *doing;
  const char *names[3];
  double patience; /**< seconds that it may take beyond the limit */
} zg_place;

/** What a rank does that waits for others. */
extern const char zg_waiting[];

/** Only the first thread has places; for others nothing happens. */
void zg_place_enter(zg_place place);
void zg_place_leave(const int *unused);
/** Be at a place until the end of this block: ZG_PLACE("reading", path). */
#define ZG_PLACE(...)                                                                  \
  ZG_PLACE_ENTER_(                                                                     \
      ((zg_place){.doing = ZG_PLACE_FIRST_(__VA_ARGS__, NULL),                         \
                  .names = {ZG_PLACE_REST_(__VA_ARGS__, NULL, NULL, NULL, NULL)}}))
/** Calculate until the end of this block, in a library that says nothing before it is
 * done: a rank may need the time of so many operations on a slow processor beyond the
 * limit. Ranks that wait for others to do it have to be here as well. */
#define ZG_LONG(what, operations)                                                      \
  ZG_PLACE_ENTER_(((zg_place){.doing = (what), .patience = 1e-9 * (operations)}))
#define ZG_PLACE_ENTER_(place)                                                         \
  __attribute__((cleanup(zg_place_leave), unused))                                     \
  const int ZG_PLACE_NAME_(__LINE__) = 0;                                              \
  zg_place_enter(place)
#define ZG_PLACE_NAME_(line) ZG_PLACE_JOIN_(zg_place_, line)
#define ZG_PLACE_JOIN_(a, b) ZG_PLACE_JOINED_(a, b)
#define ZG_PLACE_JOINED_(a, b) a##b
#define ZG_PLACE_FIRST_(first, ...) first
#define ZG_PLACE_REST_(first, a, b, c, ...) a, b, c
/** Wait for others until the end of this block. */
#define ZG_WAIT ZG_PLACE(zg_waiting)
/** Wait until the end of this block for others that work task after task: they may need
 * much longer than this rank did, and each of them is watched itself. A day beyond the
 * limit. */
#define ZG_WAIT_FOR_TASKS                                                              \
  ZG_PLACE_ENTER_(((zg_place){.doing = zg_waiting, .patience = 24 * 3600.0}))

/** Say that a long calculation comes on. From any thread. */
void zg_beat(void);
/** From now on what children note that this process forks counts as its own. Before it
 * has threads. */
void zg_watchdog_share(void);

#endif
