#include "base/crash.h"

#include "base/status.h"

#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Members of a structure that a null pointer stands for lie that near to it. */
enum { NEAR_ZERO = 1 << 16 };
enum { FRAMES = 64 };

static volatile sig_atomic_t leaves;
static bool watches;

/* May be called in the handler of a signal. */
_Noreturn static void end_with(const char *message) {
  ssize_t written = write(STDERR_FILENO, message, strlen(message));
  (void)written; /* nobody is there to be told */
  _exit(ZG_ERR_SYSTEM);
}

static const char no_memory[] = "zoogram: error: out of memory (in a library)\n";

static struct fault {
  int signal;
  struct sigaction otherwise; /* done where it is not for want of memory */
} faults[] = {{.signal = SIGSEGV}, {.signal = SIGABRT}};
enum { FAULTS = sizeof faults / sizeof *faults };

static const struct fault *fault_of(int number) {
  const struct fault *fault = faults;
  while (fault->signal != number)
    fault++;
  return fault;
}

static bool wants_memory(const siginfo_t *info) {
  if (errno != ENOMEM) return false;
  if (info->si_signo == SIGABRT)
    return info->si_code == SI_TKILL && info->si_pid == getpid(); /* by abort() */
  return info->si_code > 0 && (uintptr_t)info->si_addr < NEAR_ZERO;
}

static void on_fault(int number, siginfo_t *info, void *context) {
  (void)context;
  if (wants_memory(info)) end_with(no_memory);
  const struct sigaction *otherwise = &fault_of(number)->otherwise;
  void *frames[FRAMES];
  if (otherwise->sa_handler == SIG_DFL)
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES), STDERR_FILENO);
  sigaction(number, otherwise, NULL);
  bool by_address = info->si_code > 0; /* and not by kill() or abort() */
  if (!by_address) raise(number);      /* else the same instruction fails once more */
}

static void take_signals(void) {
  if (ZG_SANITIZED) return; /* then more is told of a fault */
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, before;
  sigemptyset(&action.sa_mask);
  for (int k = 0; k < FAULTS; k++) {
    sigaction(faults[k].signal, &action, &before);
    if (before.sa_sigaction != on_fault) faults[k].otherwise = before;
  }
}

static void on_leaving(int code, void *unused) {
  (void)code, (void)unused;
  if (leaves) return;
  end_with(errno == ENOMEM ? no_memory
                           : "zoogram: error: a library has ended the program\n");
}

int zg_crash_leave(int code) {
  leaves = true;
  return code;
}

void zg_crash_watch(void) {
  void *frames[FRAMES];
  backtrace(frames, FRAMES); /* the first call loads a library */
  on_exit(on_leaving, NULL);
  take_signals();
  watches = true;
}

void zg_crash_keep_watching(void) {
  if (watches) take_signals();
}
