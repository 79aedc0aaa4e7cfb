#include "base/errand.h"

#include "base/child.h"
#include "base/memory.h"
#include "base/watchdog.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_MILLISECONDS = 250 };

struct zg_errand {
  pid_t child;
  int pipe; /* brings texts, each with its end; an empty one is the last */
};

/* ---- in the child ---- */

_Noreturn static void live(void (*execute)(void *, zg_list *), void *context,
                           int to_parent) {
  zg_list found = {0};
  execute(context, &found);
  FILE *out = fdopen(to_parent, "w");
  if (!out) _exit(ZG_ERR_SYSTEM);
  for (int64_t k = 0; k < found.count; k++)
    fwrite(found.items[k], strlen(found.items[k]) + 1, 1, out);
  fputc(0, out);
  _exit(fclose(out) == 0 ? 0 : ZG_ERR_SYSTEM);
}

/* ---- in the parent ---- */

zg_status zg_errand_begin(void (*execute)(void *context, zg_list *found), void *context,
                          zg_errand **errand) {
  int end = -1;
  *errand = NULL;
  zg_watchdog_share();
  pid_t child = zg_child_make(&end);
  if (child == 0) live(execute, context, end);
  if (child < 0)
    return zg_fail(ZG_ERR_SYSTEM, "no child process can be made: %s", strerror(errno));
  *errand = ZG_NEW(zg_errand, 1);
  **errand = (zg_errand){.child = child, .pipe = end};
  return ZG_OK;
}

typedef struct buffer {
  char *bytes;
  int64_t length;
} buffer;

/* \return whether there may be more. */
static bool receive(const zg_errand *e, buffer *b) {
  enum { PIECE = 1 << 16 };
  b->bytes = zg_realloc(b->bytes, b->length + PIECE, 1);
  ssize_t count = read(e->pipe, b->bytes + b->length, PIECE);
  if (count > 0) b->length += count;
  return count > 0 || (count < 0 && errno == EINTR);
}

static bool is_whole(const buffer *b) {
  return b->length && !b->bytes[b->length - 1] &&
         (b->length == 1 || !b->bytes[b->length - 2]);
}

static void take_apart(const buffer *b, zg_list *found) {
  for (const char *text = b->bytes; *text; text += strlen(text) + 1)
    zg_list_add(found, text);
}

/* A kill comes from without, a crash from what it was reading. */
static zg_status fail(int end) {
  int signal = WIFSIGNALED(end) ? WTERMSIG(end) : 0;
  if (signal)
    return zg_fail(signal == SIGKILL ? ZG_ERR_SYSTEM : ZG_ERR_DATA,
                   "a child process was ended by signal %d (%s)", signal,
                   strsignal(signal));
  return zg_fail(ZG_ERR_SYSTEM, "out of memory (in a child process)");
}

/* \return how it has ended. */
static int finish(zg_errand **errand) {
  double seconds;
  int end = zg_child_wait((*errand)->child, &seconds);
  close((*errand)->pipe);
  free(*errand);
  *errand = NULL;
  return end;
}

zg_status zg_errand_end(zg_errand **errand, bool (*should_stop)(void), zg_list *found) {
  buffer all = {0};
  struct pollfd end = {.fd = (*errand)->pipe, .events = POLLIN};
  bool stops, more = true;
  while (!(stops = should_stop && should_stop()) && more)
    if (poll(&end, 1, LOOK_MILLISECONDS) > 0) more = receive(*errand, &all);
  if (stops) kill((*errand)->child, SIGKILL);
  int code = finish(errand);
  zg_status status = stops ? ZG_STOPPED : is_whole(&all) ? ZG_OK : fail(code);
  if (status == ZG_OK) take_apart(&all, found);
  free(all.bytes);
  return status;
}

void zg_errand_abandon(zg_errand **errand) {
  if (!*errand) return;
  kill((*errand)->child, SIGKILL);
  finish(errand);
}
