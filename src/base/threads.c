#include "base/threads.h"

#include <omp.h>

static int count = 1;

void zg_threads_set(int threads) {
  count = threads > 0 ? threads : 1;
}

int zg_threads(void) {
  return count;
}

int zg_thread(void) {
  return omp_get_thread_num();
}
