#include "base/threads.h"

#include <omp.h>
#include <pthread.h>

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

bool zg_in_threads(void) {
  return omp_in_parallel();
}

void zg_thread_start(void *(*function)(void *)) {
  pthread_t thread;
  pthread_attr_t detached;
  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  pthread_create(&thread, &detached, function, NULL);
  pthread_attr_destroy(&detached);
}
