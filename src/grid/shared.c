#include "grid/shared.h"

#include "base/memory.h"
#include "base/watchdog.h"
#include "grid/comm.h"

#include <fcntl.h>
#include <linux/mman.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A page of the largest kind that a processor maps with one entry. The kernel has them
 * for memory that is shared where it is asked for them; making, mapping and unmapping
 * take a fifth of the time then. They are for much memory, as the last one may be
 * empty.
 */
enum { PAGE = 4096, HUGE = 2 << 20, MUCH = 32 * HUGE };

static int64_t page_of(const zg_shared *s) {
  return s->bytes >= MUCH ? HUGE : PAGE;
}

static size_t mapped_bytes(const zg_shared *s) {
  return (size_t)(zg_ceil_div(s->bytes, page_of(s)) * page_of(s));
}

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
    if (file >= 0 && ftruncate(file, (off_t)mapped_bytes(s)) != 0) {
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

/* \return where so many bytes can be mapped that begin with a huge page. */
static char *find_place(size_t bytes) {
  char *all = mmap(NULL, bytes + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return NULL;
  size_t skip = (HUGE - (uintptr_t)all % HUGE) % HUGE;
  if (skip) munmap(all, skip);
  munmap(all + skip + bytes, HUGE - skip);
  return all + skip;
}

/* One small page in each place of a huge one, which then takes it in. Where memory is
 * in pieces the kernel searches long for each, so that it is asked no more after a
 * failure. \return whether they are all huge. */
static bool make_huge(char *base, int file, int64_t first, int64_t end) {
#ifdef MADV_COLLAPSE
  const int64_t some = 32 * HUGE;
  for (int64_t at = first; at < end; at += some) {
    int64_t last = zg_min(end, at + some);
    for (int64_t page = at; page < last; page += HUGE)
      if (posix_fallocate(file, (off_t)page, PAGE) != 0) return false;
    if (madvise(base + at, (size_t)(last - at), MADV_COLLAPSE) != 0) return false;
  }
  return true;
#else
  (void)base, (void)file, (void)first, (void)end;
  return false;
#endif
}

/* Each rank gets its part of the memory now, so that there is none missing later. */
static bool reserve(const zg_shared *s, char *base, int file) {
  int64_t page = page_of(s), pages = zg_ceil_div(s->bytes, page);
  int64_t first = zg_part(pages, s->ranks, s->rank) * page;
  int64_t end = zg_part(pages, s->ranks, s->rank + 1) * page;
  if (first == end || (page == HUGE && make_huge(base, file, first, end))) return true;
  return posix_fallocate(file, (off_t)first, (off_t)(end - first)) == 0;
}

static void *map_file(const zg_shared *s, int file) {
  size_t bytes = mapped_bytes(s);
  char *place = find_place(bytes);
  if (!place) return NULL;
  char *base =
      mmap(place, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
  if (base != MAP_FAILED && reserve(s, base, file)) return base;
  munmap(place, bytes);
  return NULL;
}

static void *map_shared(const zg_shared *s) {
  int file = open_together(s);
  void *base = file >= 0 ? map_file(s, file) : NULL;
  MPI_Barrier(s->node); /* the first rank's file is open until all have it */
  if (file >= 0) close(file);
  return base;
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
    munmap(s->base, mapped_bytes(s));
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
