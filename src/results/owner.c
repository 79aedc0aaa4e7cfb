#include "results/owner.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct zg_owner {
  int descriptor;
  char *path;
  bool joined;
};

/* The bytes of the file that are locked, by the owner alone and by all other ranks. */
enum { OWNER_BYTE = 0, OTHERS_BYTE = 1 };

/* Locks of the open file, not of the process: closing another descriptor of it does not
 * end them. */
static bool set_lock(int descriptor, int byte, short type) {
  struct flock lock = {
      .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
  return fcntl(descriptor, F_OFD_SETLK, &lock) == 0;
}

/* Whether nobody else has or shares what is to be owned. */
static bool lock_alone(int descriptor) {
  return set_lock(descriptor, OWNER_BYTE, F_WRLCK) &&
         set_lock(descriptor, OTHERS_BYTE, F_WRLCK) &&
         set_lock(descriptor, OTHERS_BYTE, F_UNLCK);
}

static int open_lock(const char *path) {
  return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
}

/* The file may have been removed by its last owner between opening and locking it. */
static bool is_still_there(int descriptor, const char *path) {
  struct stat opened, named;
  return fstat(descriptor, &opened) == 0 && stat(path, &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

/* \return 1 with the lock, 0 when another holds it, -1 with errno. */
static int try_lock(const char *path, int *descriptor) {
  *descriptor = open_lock(path);
  if (*descriptor < 0) return -1;
  bool locked = lock_alone(*descriptor);
  if (locked && is_still_there(*descriptor, path)) return 1;
  int reason = locked ? EAGAIN : errno;
  close(*descriptor);
  errno = reason;
  return reason == EAGAIN || reason == EACCES ? 0 : -1;
}

/* \return as try_lock, after at most `patience` seconds. */
static int wait_for_lock(const char *path, double patience, int *descriptor) {
  ZG_PLACE("locking", path);
  double start = zg_clock();
  int result;
  while ((result = try_lock(path, descriptor)) == 0 && zg_clock() - start < patience) {
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    zg_beat();
  }
  return result;
}

static void write_name(int descriptor) {
  char host[256] = "?", date[32], text[512];
  gethostname(host, sizeof host - 1);
  zg_utc_time(date, sizeof date);
  const char *job = getenv("SLURM_JOB_ID");
  int length =
      snprintf(text, sizeof text, "process %d on %s%s%s since %s\n", (int)getpid(),
               host, job ? ", Slurm job " : "", job ? job : "", date);
  if (ftruncate(descriptor, 0) != 0 ||
      write(descriptor, text, (size_t)length) != length)
    return; /* the text is for people; the lock holds without it */
}

static void read_name(const char *path, char *name, size_t size) {
  FILE *file = fopen(path, "r");
  snprintf(name, size, "another run");
  if (!file) return;
  char line[256];
  if (fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    snprintf(name, size, "%s", line);
  }
  fclose(file);
}

static zg_status fail_lock(const char *path) {
  return zg_fail(ZG_ERR_CREATE, "%s: cannot be made: %s", path, strerror(errno));
}

zg_status zg_owner_acquire(const char *output, double patience, zg_owner **owner) {
  zg_text path = {0};
  zg_text_add(&path, "%s.lock", output);
  int descriptor, result = wait_for_lock(path.data, patience, &descriptor);
  *owner = NULL;
  if (result == 1) {
    write_name(descriptor);
    *owner = ZG_NEW(zg_owner, 1);
    **owner = (zg_owner){.descriptor = descriptor, .path = path.data};
    return ZG_OK;
  }
  char name[256];
  zg_status status;
  if (result < 0) {
    status = fail_lock(path.data);
  } else {
    read_name(path.data, name, sizeof name);
    status = zg_fail(ZG_ERR_CREATE, "%s: is being written by %s", output, name);
  }
  zg_text_clear(&path);
  return status;
}

zg_status zg_owner_join(const char *output, zg_owner **owner) {
  zg_text path = {0};
  zg_text_add(&path, "%s.lock", output);
  int descriptor = open_lock(path.data);
  zg_status status = ZG_OK;
  *owner = NULL;
  if (descriptor < 0 || !set_lock(descriptor, OTHERS_BYTE, F_RDLCK)) {
    status = fail_lock(path.data);
    if (descriptor >= 0) close(descriptor);
    zg_text_clear(&path);
    return status;
  }
  *owner = ZG_NEW(zg_owner, 1);
  **owner = (zg_owner){.descriptor = descriptor, .path = path.data, .joined = true};
  return status;
}

void zg_owner_release(zg_owner **owner) {
  if (!*owner) return;
  if (!(*owner)->joined) unlink((*owner)->path);
  close((*owner)->descriptor);
  free((*owner)->path);
  free(*owner);
  *owner = NULL;
}
