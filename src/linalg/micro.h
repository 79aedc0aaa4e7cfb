/** \file
 * Products of panels packed once, by a micro-kernel of our own in single precision.
 *
 * A packed panel holds ZG_PANEL rows feature by feature, [d][ZG_PANEL]; rows beyond the
 * last are zeros. The product of a strip (ZG_STRIP rows of one panel) and a panel is a
 * block [ZG_STRIP][ZG_PANEL], or as much of it as the panel has rows: the columns of a
 * tile of which the panel's rows are the rows. Every entry is one chain of fused
 * multiply-adds over the features in their order, so that all instruction sets give the
 * same bits. Not collective. */
#ifndef ZG_LINALG_MICRO_H
#define ZG_LINALG_MICRO_H

#include <stdbool.h>
#include <stdint.h>

enum {
  ZG_PANEL = 48,
  ZG_STRIP = 8,
  ZG_PANEL_STRIPS = ZG_PANEL / ZG_STRIP,
  ZG_MICRO_BLOCK = ZG_PANEL * ZG_STRIP,
  /** Rows of a panel that are multiplied together: those of the widest vector. */
  ZG_MICRO_LANES = 16
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

/** What is brought into the cache while products are made, as it will be needed next:
 * lines of 16 numbers, d / 4 of them for each strip. ZG_AHEAD_LINES lie one after the
 * other, the next as many `stride` numbers further, and so on. Where strips have no
 * whole number of such runs, all must lie one after the other. Nothing is read: memory
 * behind the end of what there is does no harm. */
typedef struct zg_ahead {
  const float *from;
  int64_t stride;
} zg_ahead;

enum { ZG_AHEAD_LINES = 32 };

/** All of it from an address on. */
static inline zg_ahead zg_ahead_from(const float *from) {
  return (zg_ahead){from, 16 * ZG_AHEAD_LINES};
}

/** Numbers from column to column of the blocks of a panel of which so many rows, up to
 * ZG_PANEL, are needed. */
static inline int64_t zg_micro_leading(int64_t rows) {
  return (rows + ZG_MICRO_LANES - 1) / ZG_MICRO_LANES * ZG_MICRO_LANES;
}

/** Strips that are multiplied with one panel. */
typedef struct zg_strips {
  int64_t d, count;
  const float *left;  /**< consecutive packed panels, the strips from the first on */
  const float *panel; /**< packed */
  int64_t rows;       /**< of the panel that are needed */
  int64_t own;        /**< so many of the last strips are the first ones of this panel
                         itself, of which only entries on and below the diagonal are
                         needed: some of the others stay as they are */
  zg_ahead ahead;
} zg_strips;

/** Products of strips with a panel, added to left_starts[8 s + i] + panel_starts[j].
 * \param [in]  left_starts   [count * ZG_STRIP].
 * \param [in]  panel_starts  [ZG_PANEL].
 * \param [in]  stream  write past the cache: blocks that are not needed soon. They
 * have to lie on a cache line then.
 * \param [out] blocks  [count][ZG_STRIP][zg_micro_leading(rows)]. */
void zg_micro_form(const zg_strips *strips, const float *left_starts,
                   const float *panel_starts, bool stream, float *blocks);

/** The same added to what the blocks hold. */
void zg_micro_product(const zg_strips *strips, float *blocks);

#endif
