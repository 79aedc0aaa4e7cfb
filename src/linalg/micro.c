#include "linalg/micro.h"

#include <string.h>

/* One kernel for all vector lengths: `rows` x `vectors` accumulators at a time, which
 * with what is multiplied fill the registers. This file is compiled so that products
 * and sums contract to fused multiply-adds. */
#define DEFINE_PRODUCT(suffix, isa, lanes, rows, vectors)                              \
  typedef float vector_##suffix                                                        \
      __attribute__((vector_size(4 * lanes), aligned(4), may_alias));                  \
  __attribute__((target(isa))) static void block_##suffix(                             \
      int64_t d, const float *strip, const float *panel, float *block,                 \
      const float *next) {                                                             \
    for (int r = 0; r < ZG_STRIP; r += rows)                                           \
      for (int c = 0; c < ZG_PANEL; c += vectors * lanes) {                            \
        vector_##suffix sum[rows][vectors];                                            \
        float *out = block + r * ZG_PANEL + c;                                         \
        UNROLLED for (int i = 0; i < rows; i++)                                        \
            UNROLLED for (int j = 0; j < vectors; j++) sum[i][j] =                     \
                *(const vector_##suffix *)(out + i * ZG_PANEL + j * lanes);            \
        const float *a = strip + r, *b = panel + c;                                    \
        for (int64_t k = 0; k < d; k++, a += ZG_PANEL, b += ZG_PANEL) {                \
          vector_##suffix x[vectors];                                                  \
          UNROLLED for (int j = 0; j < vectors; j++) x[j] =                            \
              *(const vector_##suffix *)(b + j * lanes);                               \
          if (k % 4 == 0) __builtin_prefetch(next + k * 4, 0, 2);                      \
          UNROLLED for (int i = 0; i < rows; i++) {                                    \
            vector_##suffix y = a[i] - (vector_##suffix){0};                           \
            UNROLLED for (int j = 0; j < vectors; j++) sum[i][j] += y * x[j];          \
          }                                                                            \
        }                                                                              \
        UNROLLED for (int i = 0; i < rows; i++)                                        \
                UNROLLED for (int j = 0; j < vectors; j++) *                           \
            (vector_##suffix *)(out + i * ZG_PANEL + j * lanes) = sum[i][j];           \
      }                                                                                \
  }
#define UNROLLED _Pragma("GCC unroll 8")

#if defined(__x86_64__) && defined(__GNUC__)
DEFINE_PRODUCT(avx512, "avx512f", 16, 8, 3)
DEFINE_PRODUCT(avx2, "avx2,fma", 8, 4, 3)
#endif

static void block_c(int64_t d, const float *strip, const float *panel, float *block,
                    const float *next) {
  (void)next;
  for (int64_t k = 0; k < d; k++)
    for (int i = 0; i < ZG_STRIP; i++)
      for (int j = 0; j < ZG_PANEL; j++)
        block[i * ZG_PANEL + j] = __builtin_fmaf(
            strip[k * ZG_PANEL + i], panel[k * ZG_PANEL + j], block[i * ZG_PANEL + j]);
}

typedef void block_fn(int64_t d, const float *strip, const float *panel, float *block,
                      const float *next);

static block_fn *const kernels[] = {[ZG_ISA_C] = block_c,
#if defined(__x86_64__) && defined(__GNUC__)
                                    [ZG_ISA_AVX2] = block_avx2,
                                    [ZG_ISA_AVX512] = block_avx512
#endif
};

static int chosen = -1;

static zg_isa best_isa(void) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx512f")) return ZG_ISA_AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return ZG_ISA_AVX2;
#endif
  return ZG_ISA_C;
}

zg_isa zg_micro_isa(void) {
  if (chosen < 0) chosen = (int)best_isa();
  return (zg_isa)chosen;
}

void zg_micro_use(zg_isa isa) {
  chosen = (int)isa;
}

bool zg_micro_is_fast(void) {
  return zg_micro_isa() != ZG_ISA_C;
}

/* ---- packing ---- */

enum { SQUARE = 16 }; /* rows and features that are transposed at a time */

static void transpose_c(const float *x, int64_t stride, float *panel) {
  for (int r = 0; r < SQUARE; r++)
    for (int k = 0; k < SQUARE; k++)
      panel[k * ZG_PANEL + r] = x[r * stride + k];
}

#if defined(__x86_64__) && defined(__GNUC__)
typedef float row __attribute__((vector_size(4 * SQUARE), aligned(4), may_alias));
typedef int places __attribute__((vector_size(4 * SQUARE)));

/* Where the numbers of two rows go that are D apart: those whose places have the bit D
 * change sides. */
#define KEPT(D, j) ((j)&D ? SQUARE + (j)-D : (j))
#define SWAPPED(D, j) ((j)&D ? SQUARE + (j) : (j) + D)
#define FOUR(F, D, j) F(D, j), F(D, j + 1), F(D, j + 2), F(D, j + 3)
#define PLACES(F, D)                                                                   \
  (places) {                                                                           \
    FOUR(F, D, 0), FOUR(F, D, 4), FOUR(F, D, 8), FOUR(F, D, 12)                        \
  }
#define EXCHANGE(D)                                                                    \
  UNROLLED_SQUARE for (int r = 0; r < SQUARE; r++) if (!(r & D)) {                     \
    row low = __builtin_shuffle(rows[r], rows[r | D], PLACES(KEPT, D));                \
    rows[r | D] = __builtin_shuffle(rows[r], rows[r | D], PLACES(SWAPPED, D));         \
    rows[r] = low;                                                                     \
  }
#define UNROLLED_SQUARE _Pragma("GCC unroll 16")

__attribute__((target("avx512f"))) static void
transpose_avx512(const float *x, int64_t stride, float *panel) {
  row rows[SQUARE];
  UNROLLED_SQUARE for (int r = 0; r < SQUARE; r++) rows[r] =
      *(const row *)(x + r * stride);
  EXCHANGE(1)
  EXCHANGE(2)
  EXCHANGE(4)
  EXCHANGE(8)
  UNROLLED_SQUARE for (int k = 0; k < SQUARE; k++) * (row *)(panel + k * ZG_PANEL) =
      rows[k];
}
#else
#define transpose_avx512 transpose_c
#endif

/* Rows [0, count) of x become columns of a panel, features [start, end). */
static void pack_scalar(int64_t count, int64_t start, int64_t end, const float *x,
                        int64_t stride, float *panel) {
  for (int64_t r = 0; r < count; r++)
    for (int64_t k = start; k < end; k++)
      panel[k * ZG_PANEL + r] = x[r * stride + k];
}

/* Panels are written a few features at a time, so that neither side leaves the cache.
 */
static void pack_rows(int64_t count, int64_t d, const float *x, int64_t stride,
                      float *panel) {
  bool wide = zg_micro_isa() == ZG_ISA_AVX512;
  int64_t squares = count / SQUARE, rest = squares * SQUARE;
  for (int64_t k = 0; k < d; k += SQUARE) {
    int64_t end = k + SQUARE < d ? k + SQUARE : d;
    bool whole = end - k == SQUARE;
    for (int64_t s = 0; whole && s < squares; s++) {
      const float *from = x + s * SQUARE * stride + k;
      float *to = panel + k * ZG_PANEL + s * SQUARE;
      if (wide)
        transpose_avx512(from, stride, to);
      else
        transpose_c(from, stride, to);
    }
    int64_t done = whole ? rest : 0;
    pack_scalar(count - done, k, end, x + done * stride, stride, panel + done);
  }
}

void zg_micro_pack(int64_t first, int64_t rows, int64_t d, const float *x,
                   int64_t stride, float *packed) {
  for (int64_t at = 0; at < rows;) {
    int64_t place = first + at, inside = place % ZG_PANEL;
    int64_t count = rows - at < ZG_PANEL - inside ? rows - at : ZG_PANEL - inside;
    pack_rows(count, d, x + at * stride, stride,
              packed + (place - inside) * d + inside);
    at += count;
  }
}

void zg_micro_begin(int64_t strips, const float *left, const float *panel,
                    float *blocks) {
  if (!left) {
    memset(blocks, 0, (size_t)(strips * ZG_MICRO_BLOCK) * sizeof *blocks);
    return;
  }
  for (int64_t r = 0; r < strips * ZG_STRIP; r++)
    for (int64_t c = 0; c < ZG_PANEL; c++)
      blocks[r * ZG_PANEL + c] = left[r] + panel[c];
}

void zg_micro_product(int64_t d, int64_t strips, const float *left, const float *panel,
                      float *blocks, const float *next) {
  block_fn *block = kernels[zg_micro_isa()];
  for (int64_t s = 0; s < strips; s++)
    block(d, left + s / ZG_PANEL_STRIPS * ZG_PANEL * d + s % ZG_PANEL_STRIPS * ZG_STRIP,
          panel, blocks + s * ZG_MICRO_BLOCK, next + s * (d / 4) * 16);
}
