#include "base/clock.h"

#include <time.h>

double zg_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void zg_utc_time(char *buffer, size_t size) {
  time_t now = time(NULL);
  struct tm parts;
  gmtime_r(&now, &parts);
  strftime(buffer, size, "%Y-%m-%dT%H:%M:%SZ", &parts);
}
