#include "linalg/micro.h"

#include <string.h>

/* One strip with one panel. */
typedef struct task {
  int64_t d;
  const float *strip, *panel;
  const float *left, *right; /* what chains begin with, or NULL: with the block */
  float *block;
  int64_t leading; /* of the block: the rows of the panel that are needed end there */
  int first;       /* row of the panel that is needed */
  bool stream;     /* past the cache */
  const float *next;
  int64_t stride;
} task;

/* Where the kernels bring line k / 4 of what is ahead from. */
static inline const float *ahead_of(const task *t, int64_t k) {
  return t->next + k / (4 * ZG_AHEAD_LINES) * t->stride + k % (4 * ZG_AHEAD_LINES) * 4;
}

/* One kernel for all vector lengths: rows [r, r + rows) of a strip with `vectors`
 * vectors of a panel from row c on. This file is compiled so that products and sums
 * contract to fused multiply-adds. */
#define DEFINE_PART(suffix, isa, lanes, rows, vectors, stream_vector)                  \
  __attribute__((target(isa))) static void part_##suffix##_##vectors(const task *t,    \
                                                                     int r, int c) {   \
    vector_##suffix sum[rows][vectors];                                                \
    float *out = t->block + r * t->leading + c;                                        \
    const float *start = t->left ? t->right + c : out;                                 \
    int64_t leading = t->left ? 0 : t->leading;                                        \
    UNROLLED for (int i = 0; i < rows; i++) UNROLLED for (int j = 0; j < vectors; j++) \
        sum[i][j] = *(const vector_##suffix *)(start + i * leading + j * lanes);       \
    if (t->left)                                                                       \
      UNROLLED for (int i = 0; i < rows; i++)                                          \
          UNROLLED for (int j = 0; j < vectors; j++) sum[i][j] += t->left[r + i];      \
    const float *a = t->strip + r, *b = t->panel + c;                                  \
    for (int64_t k = 0; k < t->d; k++, a += ZG_PANEL, b += ZG_PANEL) {                 \
      vector_##suffix x[vectors];                                                      \
      UNROLLED for (int j = 0; j < vectors; j++) x[j] =                                \
          *(const vector_##suffix *)(b + j * lanes);                                   \
      if (k % 4 == 0) __builtin_prefetch(ahead_of(t, k), 0, 2);                        \
      UNROLLED for (int i = 0; i < rows; i++) {                                        \
        vector_##suffix y = a[i] - (vector_##suffix){0};                               \
        UNROLLED for (int j = 0; j < vectors; j++) sum[i][j] += y * x[j];              \
      }                                                                                \
    }                                                                                  \
    UNROLLED for (int i = 0; i < rows; i++)                                            \
        UNROLLED for (int j = 0; j < vectors; j++) {                                   \
      float *to = out + i * t->leading + j * lanes;                                    \
      if (t->stream)                                                                   \
        stream_vector(to, sum[i][j]);                                                  \
      else                                                                             \
        *(vector_##suffix *)to = sum[i][j];                                            \
    }                                                                                  \
  }
#define UNROLLED _Pragma("GCC unroll 8")

#if defined(__x86_64__) && defined(__GNUC__)
/* 24 accumulators and what is multiplied fill the registers. */
typedef float vector_avx512 __attribute__((vector_size(64), aligned(4), may_alias));
DEFINE_PART(avx512, "avx512f", 16, 8, 3, __builtin_ia32_movntps512)
DEFINE_PART(avx512, "avx512f", 16, 8, 2, __builtin_ia32_movntps512)
DEFINE_PART(avx512, "avx512f", 16, 8, 1, __builtin_ia32_movntps512)

static void block_avx512(const task *t) {
  int64_t vectors = (t->leading - t->first) / 16;
  if (vectors == 3)
    part_avx512_3(t, 0, t->first);
  else if (vectors == 2)
    part_avx512_2(t, 0, t->first);
  else
    part_avx512_1(t, 0, t->first);
}

/* 12 accumulators do. */
typedef float vector_avx2 __attribute__((vector_size(32), aligned(4), may_alias));
DEFINE_PART(avx2, "avx2,fma", 8, 4, 3, __builtin_ia32_movntps256)
DEFINE_PART(avx2, "avx2,fma", 8, 4, 2, __builtin_ia32_movntps256)

static void block_avx2(const task *t) {
  bool whole = t->leading == ZG_PANEL;
  int columns = whole ? 24 : 16;
  for (int r = 0; r < ZG_STRIP; r += 4)
    for (int c = t->first / columns * columns; c < t->leading; c += columns)
      if (whole)
        part_avx2_3(t, r, c);
      else
        part_avx2_2(t, r, c);
}
#endif

static void block_c(const task *t) {
  for (int i = 0; t->left && i < ZG_STRIP; i++)
    for (int64_t j = t->first; j < t->leading; j++)
      t->block[i * t->leading + j] = t->left[i] + t->right[j];
  for (int64_t k = 0; k < t->d; k++)
    for (int i = 0; i < ZG_STRIP; i++)
      for (int64_t j = t->first; j < t->leading; j++)
        t->block[i * t->leading + j] =
            __builtin_fmaf(t->strip[k * ZG_PANEL + i], t->panel[k * ZG_PANEL + j],
                           t->block[i * t->leading + j]);
}

typedef void block_fn(const task *t);

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

/* Rows of the panel in front of which a strip on the diagonal has nothing: whole
 * vectors of the widest kind. */
static int first_row(const zg_strips *strips, int64_t s) {
  int64_t inside = s - (strips->count - strips->own);
  return inside < 0 ? 0 : (int)inside * ZG_STRIP / ZG_MICRO_LANES * ZG_MICRO_LANES;
}

/* \param [in] first  the strips' first task, but for what they say themselves. */
static void multiply_strips(const zg_strips *strips, const task *first) {
  block_fn *block = kernels[zg_micro_isa()];
  const zg_ahead *ahead = &strips->ahead;
  int64_t d = strips->d;
  task t = *first;
  t.d = d;
  t.panel = strips->panel;
  t.leading = zg_micro_leading(strips->rows);
  t.stride = ahead->stride;
  for (int64_t s = 0; s < strips->count; s++) {
    int64_t line = s * (d / 4);
    t.strip = strips->left + s / ZG_PANEL_STRIPS * ZG_PANEL * d +
              s % ZG_PANEL_STRIPS * ZG_STRIP;
    t.first = first_row(strips, s);
    t.next = ahead->from + line / ZG_AHEAD_LINES * ahead->stride +
             line % ZG_AHEAD_LINES * 16;
    block(&t);
    t.block += ZG_STRIP * t.leading;
    if (t.left) t.left += ZG_STRIP;
  }
}

void zg_micro_form(const zg_strips *strips, const float *left_starts,
                   const float *panel_starts, bool stream, float *blocks) {
  const task first = {
      .left = left_starts, .right = panel_starts, .block = blocks, .stream = stream};
  multiply_strips(strips, &first);
#if defined(__x86_64__) && defined(__GNUC__)
  if (stream) __builtin_ia32_sfence();
#endif
}

void zg_micro_product(const zg_strips *strips, float *blocks) {
  const task first = {.block = blocks};
  multiply_strips(strips, &first);
}
