/** \file
 * Threads of a rank. Loops over items run on all of them; each has a desk of its own
 * for what it needs on the way. And threads that watch over a run. Not collective. */
#ifndef ZG_BASE_THREADS_H
#define ZG_BASE_THREADS_H

#include <stdbool.h>

/** Threads that loops use from now on; 1 until this is called. */
void zg_threads_set(int threads);
int zg_threads(void);
/** Which of them is running, 0 outside of such loops. */
int zg_thread(void);
/** Whether it is inside of one that has several. */
bool zg_in_threads(void);

/** Start a thread of its own beside those, which nobody waits for: it goes on until it
 * returns or the process ends. */
void zg_thread_start(void *(*function)(void *));

#endif
