#include "base/watchdog.h"

#include "base/clock.h"
#include "base/status.h"
#include "base/text.h"
#include "base/threads.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

const char zg_waiting[] = "waiting for other ranks";

enum { DEPTH = 16 };

static struct {
  zg_place places[DEPTH]; /* from the outermost on; those beyond DEPTH are not kept */
  _Atomic int depth;
  _Atomic bool watches;
  double limit;
  int rank;
} dog;
static _Atomic uint64_t own_beats, *beats = &own_beats;

void zg_beat(void) {
  atomic_fetch_add_explicit(beats, 1, memory_order_release);
}

void zg_watchdog_share(void) {
  void *page = mmap(NULL, sizeof *beats, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page != MAP_FAILED) beats = page; /* else children do not count */
}

void zg_place_enter(zg_place place) {
  if (zg_thread() != 0) return;
  int depth = atomic_load_explicit(&dog.depth, memory_order_relaxed);
  if (depth < DEPTH) dog.places[depth] = place;
  atomic_store_explicit(&dog.depth, depth + 1, memory_order_release);
  zg_beat();
}

void zg_place_leave(const int *unused) {
  (void)unused;
  if (zg_thread() != 0) return;
  atomic_fetch_sub_explicit(&dog.depth, 1, memory_order_release);
  zg_beat();
}

/* The innermost place that says what is being done, below `depth`; -1: none. */
static int busy_place(int depth) {
  int k = (depth < DEPTH ? depth : DEPTH) - 1;
  while (k >= 0 && dog.places[k].doing == zg_waiting)
    k--;
  return k;
}

static bool waits(int depth) {
  return depth > 0 && depth <= DEPTH && dog.places[depth - 1].doing == zg_waiting;
}

/* Of all places together: the innermost may be a part of a long calculation. */
static double patience(int depth) {
  double seconds = 0;
  for (int k = 0; k < depth && k < DEPTH; k++)
    seconds += dog.places[k].patience;
  return seconds;
}

/* "reading zoo.h5: m: layer0" */
static void describe(int depth, zg_text *text) {
  int k = busy_place(depth);
  if (k < 0) {
    zg_text_add(text, "between two steps");
    return;
  }
  zg_text_add(text, "%s", dog.places[k].doing);
  for (int name = 0; name < 3 && dog.places[k].names[name]; name++)
    zg_text_add(text, "%s%s", name ? ": " : " ", dog.places[k].names[name]);
}

/* MPI may not be able to end the ranks while one of them hangs inside it. */
static void *end_anyway(void *unused) {
  (void)unused;
  sleep(5);
  _exit(ZG_ERR_SYSTEM);
}

static void bark(int depth, double seconds) {
  zg_text place = {0};
  char time[ZG_UNIT_BYTES];
  zg_format_duration(time, seconds);
  describe(depth, &place);
  zg_thread_start(end_anyway);
  if (waits(depth))
    zg_abort(ZG_ERR_SYSTEM, "rank %d has waited %s for the other ranks (%s)", dog.rank,
             time, place.data);
  zg_abort(ZG_ERR_SYSTEM,
           "rank %d has not come on for %s: %s; the other ranks wait for it", dog.rank,
           time, place.data);
}

static void *watch(void *unused) {
  (void)unused;
  const double pause = dog.limit < 8 ? dog.limit / 8 : 1;
  uint64_t seen = 0;
  double since = zg_clock();
  while (atomic_load(&dog.watches)) {
    nanosleep(
        &(struct timespec){.tv_sec = (time_t)pause,
                           .tv_nsec = (long)(1e9 * (pause - (double)(time_t)pause))},
        NULL);
    uint64_t count = atomic_load_explicit(beats, memory_order_acquire);
    double now = zg_clock();
    if (count != seen) {
      seen = count;
      since = now;
    }
    int depth = atomic_load_explicit(&dog.depth, memory_order_acquire);
    double limit = (waits(depth) ? 2 * dog.limit : dog.limit) + patience(depth);
    if (now - since > limit && atomic_load(&dog.watches)) bark(depth, now - since);
  }
  return NULL;
}

void zg_watchdog_start(double limit, int rank) {
  if (limit <= 0) return;
  dog.limit = limit;
  dog.rank = rank;
  atomic_store(&dog.watches, true);
  zg_thread_start(watch);
}

void zg_watchdog_stop(void) {
  atomic_store(&dog.watches, false);
}
