#include "base/sync.h"

#include "base/status.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool zg_sync_path(const char *path) {
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  /* EINVAL: a file system on which there is nothing to wait for. */
  bool done = descriptor >= 0 && (fsync(descriptor) == 0 || errno == EINVAL);
  if (!done) zg_set_reason(strerror(errno));
  if (descriptor >= 0) close(descriptor);
  return done;
}

bool zg_sync_directory(const char *path) {
  char *directory = zg_directory(path);
  bool done = zg_sync_path(directory);
  free(directory);
  return done;
}
