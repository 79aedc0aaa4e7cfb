#include "base/sandbox.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/watchdog.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Children at a time: on slow storage one works while the others wait. */
enum { PLACES = 4 };
enum { LOOK_MILLISECONDS = 250 };

typedef struct child {
  pid_t pid;
  int pipe;     /* its end brings what the child has to say, or nothing */
  int64_t task; /* -1: this place is free */
  zg_limits limits;
  double computed, moved; /* seconds it has computed, and when that last changed */
  bool stuck;             /* and killed for it */
  bool again;             /* it had no memory the first time */
} child;

/* What a child says through its pipe: less than the system writes in one piece. */
typedef struct report {
  zg_status status;
  char message[ZG_MESSAGE_BYTES];
} report;

/* ---- in the child ---- */

static bool inside;

static void limit(int what, int64_t amount) {
  rlim_t soft = (rlim_t)zg_max(amount, 0);
  struct rlimit now;
  if (getrlimit((__rlimit_resource_t)what, &now) != 0) return;
  if (now.rlim_max == RLIM_INFINITY || soft < now.rlim_max) now.rlim_cur = soft;
  setrlimit((__rlimit_resource_t)what, &now);
}

static int64_t address_space(void) {
  long long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file && fscanf(file, "%lld", &pages) != 1) pages = 0;
  if (file) fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

static void confine(const zg_limits *limits) {
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, limits->seconds);
  int64_t had = address_space(), most;
  if (had && !ZG_SANITIZED && !__builtin_add_overflow(had, limits->memory, &most))
    limit(RLIMIT_AS, most);
}

void zg_sandbox_allow(double seconds) {
  struct timespec used;
  if (!inside || clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0) return;
  const double most = 1e9; /* decades */
  limit(RLIMIT_CPU,
        (int64_t)used.tv_sec + 1 + (int64_t)(seconds < most ? seconds : most));
}

_Noreturn static void live(const zg_tasks *tasks, const child *self, int to_parent) {
  static const int usual[] = {SIGTERM, SIGINT, SIGUSR1};
  for (size_t k = 0; k < sizeof usual / sizeof *usual; k++)
    signal(usual[k], SIG_DFL);
  inside = true;
  confine(&self->limits);
  report said = {.status = tasks->execute(tasks->context, self->task)};
  snprintf(said.message, sizeof said.message, "%s", zg_message());
  ssize_t written = write(to_parent, &said, sizeof said);
  _exit(written == (ssize_t)sizeof said ? 0 : ZG_ERR_SYSTEM);
}

/* ---- in the parent ---- */

static bool make(const zg_tasks *tasks, int64_t task, bool again, child *c) {
  *c = (child){
      .task = task, .again = again, .limits = tasks->limits(tasks->context, task)};
  c->pid = zg_child_make(&c->pipe);
  if (c->pid == 0) live(tasks, c, c->pipe);
  c->moved = zg_clock();
  return c->pid > 0;
}

/* The letter by which the system tells what a process is doing: R runs, S sleeps, D
 * waits for a disk. */
static char state_of(pid_t pid) {
  char path[64], line[512] = "";
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *file = fopen(path, "r");
  if (!file) return '?';
  size_t length = fread(line, 1, sizeof line - 1, file);
  fclose(file);
  line[length] = 0;
  const char *name_end = strrchr(line, ')');
  return name_end && name_end[1] ? name_end[2] : '?';
}

/* Whether who prints has to wait for a reader: a pager, a terminal that was stopped. */
static bool output_waits(void) {
  struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
  return poll(&output, 1, 0) == 0;
}

/* Time on the clock says little on a busy machine or a slow file system; a child that
 * sleeps and has computed nothing for long waits for something that does not come,
 * unless it prints. */
static void look_after(child *c) {
  clockid_t clock;
  struct timespec used;
  if (c->stuck || clock_getcpuclockid(c->pid, &clock) != 0 ||
      clock_gettime(clock, &used) != 0)
    return;
  double computed = (double)used.tv_sec + 1e-9 * (double)used.tv_nsec, now = zg_clock();
  if (computed > c->computed || output_waits()) {
    c->computed = computed;
    c->moved = now;
  } else if (now - c->moved > ZG_STUCK_SECONDS && state_of(c->pid) == 'S') {
    c->stuck = true;
    kill(c->pid, SIGKILL);
  }
}

static bool had_no_memory(int end) {
  return WIFEXITED(end) && WEXITSTATUS(end) == ZG_ERR_SYSTEM;
}

/* Whether a child could have as much as it may use. */
static bool is_there(int64_t memory) {
  size_t size = (size_t)zg_max(memory, 1);
  void *all =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all != MAP_FAILED) munmap(all, size);
  return all != MAP_FAILED;
}

/* Not for want of its own. */
static void tell_shortage(const child *c, zg_verdict *verdict) {
  char memory[ZG_UNIT_BYTES];
  *verdict = (zg_verdict){.returned = true, .status = ZG_ERR_SYSTEM};
  snprintf(verdict->what, sizeof verdict->what,
           "out of memory: reading an input may take %s, and less is there",
           zg_format_bytes(memory, (double)c->limits.memory));
}

static void tell_death(const child *c, int end, double seconds, zg_verdict *verdict) {
  char memory[ZG_UNIT_BYTES], *what = verdict->what;
  size_t size = sizeof verdict->what;
  int died_of = WIFSIGNALED(end) ? WTERMSIG(end) : 0;
  *verdict = (zg_verdict){.signal = died_of, .status = ZG_ERR_DATA};
  if (c->stuck)
    snprintf(what, size, "was stuck for %d s: a link to a named pipe or a device?",
             ZG_STUCK_SECONDS);
  else if (died_of == SIGXCPU)
    snprintf(what, size, "came to no end within %.0f s of computing", seconds);
  else if (died_of)
    snprintf(what, size, "crashed (signal %d, %s)", died_of, strsignal(died_of));
  else if (had_no_memory(end))
    snprintf(what, size, "needed more than %s of memory",
             zg_format_bytes(memory, (double)c->limits.memory));
  else
    snprintf(what, size, "ended with code %d", WEXITSTATUS(end));
}

/* Begin it once more in its place, if that may help. */
static bool repeat(const zg_tasks *tasks, child *c) {
  child again;
  bool begun = tasks->repeats && !c->again && make(tasks, c->task, true, &again);
  if (begun) *c = again;
  return begun;
}

/* The child has said something or ended: take it down, and free its place, unless it is
 * to be repeated there.
 * \return whether it has returned a failure. */
static bool finish(const zg_tasks *tasks, child *c, zg_verdict *verdicts) {
  report said;
  ssize_t length;
  do
    length = read(c->pipe, &said, sizeof said);
  while (length < 0 && errno == EINTR);
  close(c->pipe);
  double seconds;
  int end = zg_child_wait(c->pid, &seconds);
  zg_beat();
  zg_verdict *verdict = &verdicts[c->task];
  if (length == (ssize_t)sizeof said) {
    *verdict = (zg_verdict){.returned = true, .status = said.status};
    snprintf(verdict->what, sizeof verdict->what, "%.*s", (int)sizeof said.message - 1,
             said.message);
  } else if (had_no_memory(end) && repeat(tasks, c)) {
    return false;
  } else if (had_no_memory(end) && !is_there(c->limits.memory)) {
    tell_shortage(c, verdict);
  } else {
    tell_death(c, end, seconds, verdict);
  }
  c->task = -1;
  return verdict->returned && verdict->status != ZG_OK;
}

static void kill_all(child *children) {
  for (int k = 0; k < PLACES; k++) {
    if (children[k].task < 0) continue;
    kill(children[k].pid, SIGKILL);
    close(children[k].pipe);
    zg_child_wait(children[k].pid, &(double){0});
    children[k].task = -1;
  }
}

/* Wait until a child has something to say, or a little, and serve those that have.
 * \return whether one has returned a failure. */
static bool serve(const zg_tasks *tasks, child *children, zg_verdict *verdicts) {
  bool failed = false;
  struct pollfd ends[PLACES];
  for (int k = 0; k < PLACES; k++)
    ends[k] = (struct pollfd){.fd = children[k].task < 0 ? -1 : children[k].pipe,
                              .events = POLLIN};
  if (poll(ends, PLACES, LOOK_MILLISECONDS) < 0) return false;
  for (int k = 0; k < PLACES; k++) {
    if (children[k].task < 0) continue;
    if (ends[k].revents)
      failed |= finish(tasks, &children[k], verdicts);
    else
      look_after(&children[k]);
  }
  return failed;
}

static int busy_places(const child *children) {
  int busy = 0;
  for (int k = 0; k < PLACES; k++)
    busy += children[k].task >= 0;
  return busy;
}

/* Begin as many of the tasks from `next` on as there are places, up to `end`.
 * \return the task behind them, -1 when there can be no child at all. */
static int64_t begin(const zg_tasks *tasks, int64_t next, int64_t end,
                     child *children) {
  for (int k = 0; k < PLACES && next < end; k++) {
    if (children[k].task >= 0) continue;
    if (make(tasks, next, false, &children[k])) {
      next++;
      continue;
    }
    children[k].task = -1;
    return busy_places(children) ? next : -1; /* there may be room when one has ended */
  }
  return next;
}

zg_status zg_sandbox_run(const zg_tasks *tasks, zg_verdict *verdicts) {
  child children[PLACES];
  bool failed = false;
  for (int k = 0; k < PLACES; k++)
    children[k].task = -1;
  for (int64_t next = 0; (next < tasks->count && !failed) || busy_places(children);) {
    next = begin(tasks, next, failed ? next : tasks->count, children);
    if (next < 0)
      return zg_fail(ZG_ERR_SYSTEM, "no child process can be made: %s",
                     strerror(errno));
    failed |= serve(tasks, children, verdicts);
    if (tasks->should_stop && tasks->should_stop()) {
      kill_all(children);
      return ZG_STOPPED;
    }
  }
  return ZG_OK;
}
