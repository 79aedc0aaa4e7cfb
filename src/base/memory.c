#include "base/memory.h"

#include "base/status.h"

#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* Without this the C library raises both with the first large blocks that are freed, up
 * to 64 MiB that it keeps. */
void zg_memory_prepare(void) {
#ifdef M_MMAP_THRESHOLD
  mallopt(M_MMAP_THRESHOLD, ZG_MAPPED_BYTES);
  mallopt(M_TRIM_THRESHOLD, 4 << 20);
#endif
}

static size_t checked_bytes(int64_t count, size_t size) {
  size_t bytes;
  if (count < 0 || __builtin_mul_overflow((size_t)count, size, &bytes))
    zg_abort(ZG_ERR_SYSTEM, "a table of %lld elements does not fit in memory",
             (long long)count);
  return bytes ? bytes : 1;
}

static void *checked(void *memory, size_t bytes) {
  if (!memory) zg_abort(ZG_ERR_SYSTEM, "out of memory (%zu bytes)", bytes);
  return memory;
}

void *zg_alloc(int64_t count, size_t size) {
  size_t bytes = checked_bytes(count, size);
  return checked(malloc(bytes), bytes);
}

void *zg_alloc_large(int64_t count, size_t size) {
  const size_t line = 64, huge = (size_t)2 << 20;
  size_t bytes = checked_bytes(count, size), alignment = bytes < huge ? line : huge;
  void *memory = NULL;
  if (posix_memalign(&memory, alignment, bytes) != 0) memory = NULL;
  checked(memory, bytes);
#ifdef MADV_HUGEPAGE
  if (alignment == huge) madvise(memory, bytes, MADV_HUGEPAGE); /* or not */
#endif
  return memory;
}

void *zg_calloc(int64_t count, size_t size) {
  size_t bytes = checked_bytes(count, size);
  return checked(calloc(1, bytes), bytes);
}

void *zg_realloc(void *memory, int64_t count, size_t size) {
  size_t bytes = checked_bytes(count, size);
  return checked(realloc(memory, bytes), bytes);
}

char *zg_strdup(const char *text) {
  if (!text) return NULL;
  return checked(strdup(text), strlen(text) + 1);
}

int zg_int(int64_t value) {
  if (value < INT_MIN || value > INT_MAX)
    zg_abort(ZG_ERR_INTERNAL, "%lld does not fit in an int", (long long)value);
  return (int)value;
}

int64_t zg_peak_memory(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (int64_t)usage.ru_maxrss * 1024;
}

/* The number behind `key` in a file, or the first number when key is empty; -1 if none.
 */
static int64_t number_in(const char *path, const char *key) {
  FILE *file = fopen(path, "r");
  if (!file) return -1;
  char line[256];
  long long value = -1;
  while (value < 0 && fgets(line, sizeof line, file))
    if (!strncmp(line, key, strlen(key))) sscanf(line + strlen(key), "%lld", &value);
  fclose(file);
  return value;
}

int64_t zg_shared_memory(void) {
  return zg_max(0, number_in("/proc/self/status", "RssShmem:")) * 1024;
}

static int64_t tighten(int64_t limit, int64_t candidate) {
  return candidate > 0 ? zg_min(limit, candidate) : limit;
}

static int64_t megabytes_in_environment(const char *name) {
  const char *text = getenv(name);
  return text ? strtoll(text, NULL, 10) << 20 : -1;
}

int64_t zg_memory_limit(int local_ranks) {
  int64_t node = INT64_MAX;
  node = tighten(node, number_in("/proc/meminfo", "MemAvailable:") * 1024);
  node = tighten(node, number_in("/sys/fs/cgroup/memory.max", ""));
  node = tighten(node, megabytes_in_environment("SLURM_MEM_PER_NODE"));
  int64_t rank = node / local_ranks;
  rank = tighten(rank, megabytes_in_environment("SLURM_MEM_PER_CPU"));
  struct rlimit address_space;
  if (getrlimit(RLIMIT_AS, &address_space) == 0 &&
      address_space.rlim_cur != RLIM_INFINITY)
    rank = tighten(rank, (int64_t)address_space.rlim_cur);
  return rank;
}
