#include "grid/shared.h"

#include "base/memory.h"
#include "base/watchdog.h"
#include "grid/comm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file without a name that lives in memory, made by the node's first rank and opened
 * by the others through /proc: no size limit but the memory's, and nothing is left when
 * the ranks are killed. \return -1 where that cannot be done. */
static int open_together(const zg_shared *s) {
  int file = -1;
  struct stat about = {0};
  enum { PROCESS, DESCRIPTOR, DEVICE, INODE, NUMBERS };
  long long origin[NUMBERS] = {[PROCESS] = getpid(), [DESCRIPTOR] = -1};
  if (s->rank == 0) {
    file = memfd_create("zoogram", MFD_CLOEXEC);
    if (file >= 0 && ftruncate(file, (off_t)s->bytes) != 0) {
      close(file);
      file = -1;
    }
    if (file >= 0 && fstat(file, &about) == 0) origin[DESCRIPTOR] = file;
    origin[DEVICE] = (long long)about.st_dev;
    origin[INODE] = (long long)about.st_ino;
  }
  MPI_Bcast(origin, NUMBERS, MPI_LONG_LONG, 0, s->node);
  if (s->rank == 0 || origin[DESCRIPTOR] < 0) return file;
  char path[64];
  snprintf(path, sizeof path, "/proc/%lld/fd/%lld", origin[PROCESS],
           origin[DESCRIPTOR]);
  file = open(path, O_RDWR | O_CLOEXEC);
  /* Where ranks live in containers of their own the number is another process's. */
  bool same = file >= 0 && fstat(file, &about) == 0 &&
              (long long)about.st_dev == origin[DEVICE] &&
              (long long)about.st_ino == origin[INODE];
  if (file >= 0 && !same) close(file);
  return same ? file : -1;
}

/* Each rank gets its part of the memory now, so that there is none missing later. */
static bool reserve(const zg_shared *s, int file) {
  const int64_t page = 4096;
  int64_t pages = zg_ceil_div(s->bytes, page);
  int64_t first = zg_part(pages, s->ranks, s->rank) * page;
  int64_t end = zg_min(s->bytes, zg_part(pages, s->ranks, s->rank + 1) * page);
  return end <= first || posix_fallocate(file, (off_t)first, (off_t)(end - first)) == 0;
}

static void *map_shared(const zg_shared *s) {
  int file = open_together(s);
  bool good = file >= 0 && reserve(s, file);
  void *base = MAP_FAILED;
  if (good)
    base = mmap(NULL, (size_t)s->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  MPI_Barrier(s->node); /* the first rank's file is open until all have it */
  if (file >= 0) close(file);
  return base == MAP_FAILED ? NULL : base;
}

bool zg_shared_create(MPI_Comm comm, int64_t bytes, zg_shared *s) {
  ZG_WAIT;
  *s = (zg_shared){.bytes = zg_max(1, bytes)};
  MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &s->node);
  MPI_Comm_rank(s->node, &s->rank);
  MPI_Comm_size(s->node, &s->ranks);
  s->base = s->ranks > 1 ? map_shared(s) : zg_alloc_large(s->bytes, 1);
  if (zg_any(comm, !s->base)) {
    zg_shared_destroy(s);
    return false;
  }
  return true;
}

void zg_shared_destroy(zg_shared *s) {
  ZG_WAIT;
  if (s->base && s->ranks > 1)
    munmap(s->base, (size_t)s->bytes);
  else
    free(s->base);
  if (s->node != MPI_COMM_NULL) MPI_Comm_free(&s->node);
  *s = (zg_shared){.node = MPI_COMM_NULL};
}

void zg_shared_meet(const zg_shared *s) {
  ZG_WAIT;
  __sync_synchronize();
  MPI_Barrier(s->node);
  __sync_synchronize();
}
