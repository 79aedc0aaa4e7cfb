/** \file
 * Time. Not collective. */
#ifndef ZG_BASE_CLOCK_H
#define ZG_BASE_CLOCK_H

#include <stddef.h>

/** Seconds of a steady clock. */
double zg_clock(void);
/** "2026-05-01T12:00:00Z" into a buffer of at least 21 bytes. */
void zg_utc_time(char *buffer, size_t size);

/** A stopwatch that can be started and stopped many times; start with zeros. */
typedef struct zg_timer {
  double total; /**< seconds of all finished laps */
  double start;
} zg_timer;

static inline void zg_timer_start(zg_timer *timer) {
  timer->start = zg_clock();
}
static inline void zg_timer_stop(zg_timer *timer) {
  timer->total += zg_clock() - timer->start;
}

#endif
