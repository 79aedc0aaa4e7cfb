#include "base/child.h"

#include "base/crash.h"
#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void enter(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(ZG_ERR_SYSTEM);
  zg_on_abort(NULL); /* the end of a child is not the end of all ranks */
  int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere >= 0 && !ZG_SANITIZED) dup2(nowhere, STDERR_FILENO);
}

pid_t zg_child_make(int *pipe) {
  int ends[2];
  pid_t self = getpid();
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  fflush(NULL); /* or the child would print it, too */
  pid_t child = fork();
  if (child == 0) enter(self);
  close(ends[child != 0]);
  if (child < 0) close(ends[0]);
  *pipe = ends[child == 0];
  return child;
}

int zg_child_wait(pid_t child, double *seconds) {
  int end = 0;
  struct rusage used = {0};
  while (wait4(child, &end, 0, &used) < 0 && errno == EINTR) {
  }
  *seconds = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
             1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
  return end;
}
