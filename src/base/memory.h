/** \file
 * Memory and checked integers. Not collective.
 *
 * An allocation that fails ends the program on every rank with code 71: the plan has
 * checked before that the job fits, so there is nothing better to do. */
#ifndef ZG_BASE_MEMORY_H
#define ZG_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/** Blocks of so many bytes and more go back to the system at once when they are freed;
 * smaller ones leave holes, which aligned blocks of the same size do not fit. */
enum { ZG_MAPPED_BYTES = 1 << 19 };
/** Before any allocation: make that so, that what one pass has used does not add to
 * what the next one needs. */
void zg_memory_prepare(void);

/** `count` elements of `size` bytes, uninitialised; the caller frees with free(). */
void *zg_alloc(int64_t count, size_t size);
/** The same for large arrays that products run over: on a cache line of its own and,
 * where the system allows, in huge pages. */
void *zg_alloc_large(int64_t count, size_t size);
/** Like zg_alloc, zeroed. */
void *zg_calloc(int64_t count, size_t size);
/** Make room for `count` elements; the contents stay. */
void *zg_realloc(void *memory, int64_t count, size_t size);
/** A copy of a string; NULL stays NULL. */
char *zg_strdup(const char *text);

#define ZG_NEW(type, count) ((type *)zg_alloc((count), sizeof(type)))
#define ZG_NEW0(type, count) ((type *)zg_calloc((count), sizeof(type)))

/** A count for BLAS, MPI or BLACS, which take int. Ends the program when it does not
 * fit: the planner keeps every such count below 2^31. */
int zg_int(int64_t value);

static inline int64_t zg_min(int64_t a, int64_t b) {
  return a < b ? a : b;
}
static inline int64_t zg_max(int64_t a, int64_t b) {
  return a > b ? a : b;
}
static inline int64_t zg_ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
/** The greatest common divisor of two numbers > 0. */
static inline int64_t zg_common_divisor(int64_t a, int64_t b) {
  while (b) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}
/** A stride that visits 0 .. count-1 in an order of which every part is spread evenly:
 * the number nearest above the golden section that has no divisor in common with it. */
static inline int64_t zg_scattering_stride(int64_t count) {
  int64_t stride = count * 618 / 1000 + 1;
  while (zg_common_divisor(stride, count) > 1)
    stride++;
  return stride;
}
/** Start of part `k` when `count` things are cut into `parts` nearly equal runs. */
static inline int64_t zg_part(int64_t count, int64_t parts, int64_t k) {
  return count / parts * k + zg_min(k, count % parts);
}

/** Largest resident size of this process so far, in bytes. */
int64_t zg_peak_memory(void);
/** Bytes that this process has touched of memory that it shares with others. */
int64_t zg_shared_memory(void);
/** Memory that one of `local_ranks` processes on this node may use, in bytes: the
 * smaller of what is free on the node and of the limits set by Slurm, cgroup and
 * ulimit. */
int64_t zg_memory_limit(int local_ranks);

#endif
