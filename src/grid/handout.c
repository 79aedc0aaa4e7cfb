#include "grid/handout.h"

#include "base/memory.h"
#include "base/watchdog.h"
#include "grid/comm.h"

#include <stdlib.h>
#include <string.h>

/* A counter: tasks taken from the front, those taken from the back, and the end. */
enum { HALF = 31 };
static const int64_t one_from_front = 1, one_from_back = (int64_t)1 << HALF;
static const int64_t ended = (int64_t)1 << 62;

static int64_t front_of(int64_t counter) {
  return counter & (one_from_back - 1);
}

static int64_t back_of(int64_t counter) {
  return (counter & (ended - 1)) >> HALF;
}

/* Requests that came too late are counted as well. */
static int64_t left_of(int64_t counter, int64_t length) {
  return zg_max(0, length - front_of(counter) - back_of(counter));
}

/* Change a team's counter. \return what it was. */
static int64_t update(const zg_handout *h, int team, MPI_Op op, int64_t value) {
  ZG_WAIT;
  int64_t before;
  MPI_Fetch_and_op(&value, &before, MPI_INT64_T, team, 0, op, h->window);
  MPI_Win_flush(team, h->window);
  return before;
}

/* A window, or none where MPI cannot make one. */
static void open_window(zg_handout *h) {
  ZG_WAIT;
  MPI_Errhandler handler;
  MPI_Comm_get_errhandler(h->comm, &handler);
  MPI_Comm_set_errhandler(h->comm, MPI_ERRORS_RETURN);
  bool failed = MPI_Win_allocate(sizeof *h->counter, sizeof *h->counter, MPI_INFO_NULL,
                                 h->comm, &h->counter, &h->window) != MPI_SUCCESS;
  MPI_Comm_set_errhandler(h->comm, handler);
  MPI_Errhandler_free(&handler);
  if (zg_any(h->comm, failed)) { /* one that only some have cannot be freed */
    h->window = MPI_WIN_NULL;
    return;
  }
  MPI_Win_lock_all(MPI_MODE_NOCHECK, h->window);
  *h->counter = 0;
  MPI_Win_sync(h->window);
  MPI_Barrier(h->comm);
}

void zg_handout_create(MPI_Comm leaders, const int64_t *lengths, bool help,
                       zg_handout *handout) {
  zg_handout *h = handout;
  *h = (zg_handout){.comm = leaders, .window = MPI_WIN_NULL};
  MPI_Comm_rank(leaders, &h->team);
  MPI_Comm_size(leaders, &h->teams);
  h->source = h->team;
  h->lengths = ZG_NEW(int64_t, h->teams);
  memcpy(h->lengths, lengths, (size_t)h->teams * sizeof *lengths);
  if (help && h->teams > 1) open_window(h);
}

void zg_handout_destroy(zg_handout *handout) {
  ZG_WAIT;
  if (handout->window != MPI_WIN_NULL) {
    MPI_Win_unlock_all(handout->window);
    MPI_Win_free(&handout->window);
  }
  free(handout->lengths);
  *handout = (zg_handout){.window = MPI_WIN_NULL};
}

static zg_handout_answer next_of_own(zg_handout *h, int *list, int64_t *position) {
  *list = h->team;
  *position = h->taken;
  if (h->taken == h->lengths[h->team]) return ZG_HANDOUT_NONE;
  h->taken++;
  return ZG_HANDOUT_TASK;
}

/* The list that has most left; -1 when none has any. */
static int longest_list(const zg_handout *h) {
  ZG_WAIT;
  int longest = -1;
  int64_t most = 0, zero = 0;
  int64_t *counters = ZG_NEW(int64_t, h->teams);
  for (int team = 0; team < h->teams; team++)
    MPI_Fetch_and_op(&zero, &counters[team], MPI_INT64_T, team, 0, MPI_NO_OP,
                     h->window);
  MPI_Win_flush_all(h->window);
  for (int k = 0; k < h->teams; k++) {
    int team = (h->team + k) % h->teams; /* several look at different ones first */
    int64_t left = left_of(counters[team], h->lengths[team]);
    if (left > most) most = left, longest = team;
  }
  free(counters);
  return longest;
}

zg_handout_answer zg_handout_next(zg_handout *h, int *list, int64_t *position) {
  if (h->window == MPI_WIN_NULL) return next_of_own(h, list, position);
  for (; h->source >= 0; h->source = longest_list(h)) {
    bool own = h->source == h->team;
    int64_t length = h->lengths[h->source];
    int64_t counter =
        update(h, h->source, MPI_SUM, own ? one_from_front : one_from_back);
    if (counter & ended) return ZG_HANDOUT_ENDED;
    if (!left_of(counter, length)) continue;
    *list = h->source;
    *position = own ? front_of(counter) : length - 1 - back_of(counter);
    return ZG_HANDOUT_TASK;
  }
  return ZG_HANDOUT_NONE;
}

void zg_handout_end(zg_handout *h) {
  if (h->window == MPI_WIN_NULL) return;
  for (int team = 0; team < h->teams; team++)
    update(h, team, MPI_BOR, ended);
}
