/** \file
 * Products of panels packed once, by a micro-kernel of our own in single precision.
 *
 * A packed panel holds ZG_PANEL rows feature by feature, [d][ZG_PANEL]; rows beyond the
 * last are zeros. The product of a strip (ZG_STRIP rows of one panel) and a panel is a
 * block [ZG_STRIP][ZG_PANEL]: the columns of a tile of which the panel's rows are the
 * rows. Every entry is one chain of fused multiply-adds over the features in their
 * order, so that all instruction sets give the same bits. Not collective. */
#ifndef ZG_LINALG_MICRO_H
#define ZG_LINALG_MICRO_H

#include <stdbool.h>
#include <stdint.h>

enum {
  ZG_PANEL = 48,
  ZG_STRIP = 8,
  ZG_PANEL_STRIPS = ZG_PANEL / ZG_STRIP,
  ZG_MICRO_BLOCK = ZG_PANEL * ZG_STRIP
};

/** Instruction sets, the slowest first. */
typedef enum zg_isa { ZG_ISA_C, ZG_ISA_AVX2, ZG_ISA_AVX512 } zg_isa;
/** The best that this CPU has, unless another was chosen. */
zg_isa zg_micro_isa(void);
/** Use this one, which the CPU must have: for tests, and where other ranks have no
 * better. */
void zg_micro_use(zg_isa isa);
/** Whether these kernels are faster than BLAS with what is in use: only with vector
 * instructions. */
bool zg_micro_is_fast(void);

/** Rows of the panels that hold so many. */
static inline int64_t zg_packed_rows(int64_t rows) {
  return (rows + ZG_PANEL - 1) / ZG_PANEL * ZG_PANEL;
}

/** Pack rows [first, first + rows) of a run of rows that fill consecutive panels.
 * \param [in]     x       [rows, d], row-major with `stride` numbers from row to row.
 * \param [in,out] packed  of the whole run; rows that are never packed have to be
 * zeroed by the caller. */
void zg_micro_pack(int64_t first, int64_t rows, int64_t d, const float *x,
                   int64_t stride, float *packed);

/** What the chains of blocks begin with: left[8 s + i] + panel[j], or zero where these
 * are NULL.
 * \param [in]  left   [strips * ZG_STRIP].
 * \param [in]  panel  [ZG_PANEL].
 * \param [out] blocks [strips][ZG_STRIP][ZG_PANEL]. */
void zg_micro_begin(int64_t strips, const float *left, const float *panel,
                    float *blocks);

/** Add the product of the first `strips` strips of `left` with one panel to blocks.
 * \param [in]     left   consecutive packed panels.
 * \param [in,out] blocks [strips][ZG_STRIP][ZG_PANEL].
 * \param [in]     next   d / 4 * 16 numbers per strip from here on are brought into the
 * cache on the way: what the next call will need. */
void zg_micro_product(int64_t d, int64_t strips, const float *left, const float *panel,
                      float *blocks, const float *next);

#endif
