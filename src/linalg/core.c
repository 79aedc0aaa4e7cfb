#include "linalg/core.h"

#include "base/threads.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

/* Weak: another BLAS has none of these. */
extern char *openblas_get_corename(void) __attribute__((weak));
extern char *openblas_get_config(void) __attribute__((weak));
extern void openblas_set_num_threads(int) __attribute__((weak));

const char *zg_blas_core(void) {
  return openblas_get_corename ? openblas_get_corename() : "unknown";
}

const char *zg_blas_library(void) {
  return openblas_get_config ? openblas_get_config() : "BLAS";
}

void zg_blas_set_threads(int threads) {
  if (openblas_set_num_threads) openblas_set_num_threads(threads);
}

void zg_blas_share_threads(int loop) {
  zg_blas_set_threads(zg_threads() > loop ? zg_threads() / loop : 1);
}

/* Classes of vector instructions, 0 the oldest. */
enum { OTHER, AVX, AVX2, AVX512 };

static int class_of_core(const char *core) {
  static const struct {
    const char *name;
    int class;
  } cores[] = {{"Sandybridge", AVX},   {"Bulldozer", AVX},
               {"Piledriver", AVX},    {"Steamroller", AVX},
               {"Excavator", AVX2},    {"Haswell", AVX2},
               {"Zen", AVX2},          {"SkylakeX", AVX512},
               {"Cooperlake", AVX512}, {"SapphireRapids", AVX512}};
  for (size_t k = 0; k < sizeof cores / sizeof *cores; k++)
    if (!strcasecmp(core, cores[k].name)) return cores[k].class;
  return OTHER;
}

static int class_of_cpu(void) {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return AVX2;
  if (__builtin_cpu_supports("avx")) return AVX;
#endif
  return OTHER;
}

const char *zg_blas_better_core(void) {
  static const char *const best[] = {NULL, "Sandybridge", "Haswell", "SkylakeX"};
  if (!openblas_get_corename) return NULL;
  int cpu = class_of_cpu();
  return class_of_core(zg_blas_core()) < cpu ? best[cpu] : NULL;
}

bool zg_blas_has_room(void) {
  const size_t buffer = (size_t)128 << 20; /* of the kernels for AVX-512, the largest */
  void *room = mmap(NULL, buffer, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return false;
  munmap(room, buffer);
  return true;
}
