#include "linalg/inner.h"

#include "base/memory.h"
#include "linalg/fixed.h"
#include "linalg/micro.h"

#include <stdlib.h>
#include <string.h>

/* ---- few vectors: as they lie ---- */

enum {
  LANES = 16,  /* partial sums of an inner product, one per lane of the widest vector */
  ROWS = 6,    /* vectors on one side of a block of inner products */
  COLUMNS = 4, /* and on the other */
  CHUNK = 512, /* numbers of all vectors that are in the cache at a time */
  RUN = 16     /* chunks whose terms are added in single precision: 512 per lane */
};

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* sums[i][j] += a_i * b_j lane by lane over `steps` steps. `rows` x `columns` products
 * at a time fill the registers. This file is compiled so that products and sums
 * contract to fused multiply-adds. */
#define UNROLLED _Pragma("GCC unroll 8")
#define DEFINE_DOTS(suffix, isa, rows, columns)                                        \
  __attribute__((target(isa))) static void dots_##suffix(                              \
      int64_t steps, const float *const a[ROWS], const float *const b[COLUMNS],        \
      float *sums) {                                                                   \
    for (int i0 = 0; i0 < ROWS; i0 += rows)                                            \
      for (int j0 = 0; j0 < COLUMNS; j0 += columns) {                                  \
        lanes sum[rows][columns], *at = (lanes *)sums + i0 * COLUMNS + j0;             \
        UNROLLED for (int i = 0; i < rows; i++)                                        \
            UNROLLED for (int j = 0; j < columns; j++) sum[i][j] =                     \
                at[i * COLUMNS + j];                                                   \
        for (int64_t k = 0; k < steps; k++) {                                          \
          lanes x[columns];                                                            \
          UNROLLED for (int j = 0; j < columns; j++) x[j] =                            \
              *(const lanes *)(b[j0 + j] + k * LANES);                                 \
          UNROLLED for (int i = 0; i < rows; i++) {                                    \
            lanes y = *(const lanes *)(a[i0 + i] + k * LANES);                         \
            UNROLLED for (int j = 0; j < columns; j++) sum[i][j] += y * x[j];          \
          }                                                                            \
        }                                                                              \
        UNROLLED for (int i = 0; i < rows; i++)                                        \
            UNROLLED for (int j = 0; j < columns; j++) at[i * COLUMNS + j] =           \
                sum[i][j];                                                             \
      }                                                                                \
  }

#if defined(__x86_64__) && defined(__GNUC__)
DEFINE_DOTS(avx512, "avx512f", 6, 4)
DEFINE_DOTS(avx2, "avx2,fma", 3, 2)
#endif

static void dots_c(int64_t steps, const float *const a[ROWS],
                   const float *const b[COLUMNS], float *sums) {
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < COLUMNS; j++, sums += LANES)
      for (int64_t k = 0; k < steps * LANES; k++)
        sums[k % LANES] = __builtin_fmaf(a[i][k], b[j][k], sums[k % LANES]);
}

typedef void dots_fn(int64_t steps, const float *const a[ROWS],
                     const float *const b[COLUMNS], float *sums);

static dots_fn *const dots[] = {[ZG_ISA_C] = dots_c,
#if defined(__x86_64__) && defined(__GNUC__)
                                [ZG_ISA_AVX2] = dots_avx2,
                                [ZG_ISA_AVX512] = dots_avx512
#endif
};

/* A block of inner products: rows [row, row + ROWS) with columns [column, ...). */
typedef struct block {
  int64_t row, column;
  float sums[ROWS][COLUMNS][LANES];
  double total[ROWS][COLUMNS];
} block;

/* The blocks that hold something of the lower triangle. \return how many. */
static int64_t list_blocks(int64_t n, block *blocks) {
  const int64_t group = 3 * COLUMNS; /* columns that stay near while rows go by */
  int64_t count = 0;
  for (int64_t first = 0; first < n; first += group)
    for (int64_t row = first / ROWS * ROWS; row < n; row += ROWS)
      for (int64_t column = first; column < zg_min(n, first + group);
           column += COLUMNS) {
        if (column >= row + ROWS) continue;
        if (blocks) {
          memset(&blocks[count], 0, sizeof *blocks);
          blocks[count].row = row;
          blocks[count].column = column;
        }
        count++;
      }
  return count;
}

/* Vectors beyond the last are the last again; nobody looks at their products. */
static void multiply_block(dots_fn *multiply, int64_t n, int64_t steps, const float *V,
                           int64_t ldv, block *b) {
  const float *rows[ROWS], *columns[COLUMNS];
  for (int i = 0; i < ROWS; i++)
    rows[i] = V + zg_min(n - 1, b->row + i) * ldv;
  for (int j = 0; j < COLUMNS; j++)
    columns[j] = V + zg_min(n - 1, b->column + j) * ldv;
  multiply(steps, rows, columns, &b->sums[0][0][0]);
}

/* End a run: lanes to doubles. */
static void flush_block(block *b) {
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < COLUMNS; j++) {
      double half[LANES / 2], *total = &b->total[i][j];
      for (int l = 0; l < LANES / 2; l++)
        half[l] = (double)b->sums[i][j][l] + (double)b->sums[i][j][l + LANES / 2];
      *total += ((half[0] + half[4]) + (half[1] + half[5])) +
                ((half[2] + half[6]) + (half[3] + half[7]));
    }
  memset(b->sums, 0, sizeof b->sums);
}

static void add_totals(int64_t n, double alpha, const block *b, double *coarse,
                       double *fine) {
  for (int64_t i = b->row; i < zg_min(n, b->row + ROWS); i++)
    for (int64_t j = b->column; j < zg_min(i + 1, b->column + COLUMNS); j++)
      zg_fixed_add(coarse + j * n + i, fine + j * n + i,
                   alpha * b->total[i - b->row][j - b->column]);
}

/* The last numbers of all vectors, with zeros up to a whole step. */
static float *copy_rest(int64_t n, int64_t length, const float *V, int64_t ldv,
                        int64_t stride) {
  float *rest = ZG_NEW0(float, n *stride);
  for (int64_t i = 0; i < n; i++)
    memcpy(rest + i * stride, V + i * ldv, (size_t)length * sizeof *rest);
  return rest;
}

static void accumulate_few(int64_t n, int64_t k, double alpha, const float *V,
                           int64_t ldv, double *coarse, double *fine) {
  dots_fn *multiply = dots[zg_micro_isa()];
  int64_t count = list_blocks(n, NULL), chunks = zg_ceil_div(k, CHUNK);
  block *blocks = zg_alloc_large(count, sizeof *blocks);
  list_blocks(n, blocks);
  for (int64_t c = 0; c < chunks; c++) {
    int64_t length = zg_min(CHUNK, k - c * CHUNK), steps = zg_ceil_div(length, LANES);
    const float *part = V + c * CHUNK;
    float *rest =
        length % LANES ? copy_rest(n, length, part, ldv, steps * LANES) : NULL;
    for (int64_t b = 0; b < count; b++)
      multiply_block(multiply, n, steps, rest ? rest : part, rest ? steps * LANES : ldv,
                     &blocks[b]);
    for (int64_t b = 0; b < count && ((c + 1) % RUN == 0 || c + 1 == chunks); b++)
      flush_block(&blocks[b]);
    free(rest);
  }
  for (int64_t b = 0; b < count; b++)
    add_totals(n, alpha, &blocks[b], coarse, fine);
  free(blocks);
}

/* ---- many vectors: in panels ---- */

enum {
  DEPTH = 512,          /* terms that are in panels at a time */
  TERMS = 8 * DEPTH,    /* terms that are added in single precision */
  SIDE = 21 * ZG_PANEL, /* vectors whose inner products are made at a time */
  SIDE_PANELS = SIDE / ZG_PANEL
};

/* A square of inner products, with room for its panels. */
typedef struct square {
  int64_t rows, columns;             /* vectors */
  float *row_panels, *column_panels; /* the same on the diagonal */
  float *blocks; /* by panel of rows: [strips of columns][ZG_MICRO_BLOCK] */
  bool diagonal;
} square;

/* Strips of columns that a panel of rows is multiplied with. */
static int64_t strips_of(const square *s, int64_t panel) {
  int64_t strips = zg_packed_rows(s->columns) / ZG_STRIP;
  return s->diagonal ? zg_min(strips, (panel + 1) * ZG_PANEL_STRIPS) : strips;
}

static void pack(int64_t count, int64_t terms, const float *V, int64_t ldv,
                 float *panels) {
  int64_t last = count / ZG_PANEL * ZG_PANEL;
  if (last < count)
    memset(panels + last * terms, 0, (size_t)(ZG_PANEL * terms) * sizeof *panels);
  zg_micro_pack(0, count, terms, V, ldv, panels);
}

/* Add what `terms` more numbers of the vectors yield. */
static void multiply_square(square *s, int64_t terms, const float *rows,
                            const float *columns, int64_t ldv) {
  pack(s->rows, terms, rows, ldv, s->row_panels);
  if (!s->diagonal) pack(s->columns, terms, columns, ldv, s->column_panels);
  float *blocks = s->blocks;
  for (int64_t p = 0; p < zg_packed_rows(s->rows) / ZG_PANEL; p++) {
    int64_t strips = strips_of(s, p);
    const float *panel = s->row_panels + p * ZG_PANEL * terms;
    zg_micro_product(terms, strips, s->column_panels, panel, blocks, panel);
    blocks += strips * ZG_MICRO_BLOCK;
  }
}

/* Add the finished square to H, whose part at its corner is coarse, fine. */
static void add_square(const square *s, double alpha, int64_t n, double *coarse,
                       double *fine) {
  const float *column = s->blocks;
  for (int64_t p = 0; p < zg_packed_rows(s->rows) / ZG_PANEL; p++) {
    int64_t strips = strips_of(s, p), first = p * ZG_PANEL;
    for (int64_t j = 0; j < strips * ZG_STRIP; j++, column += ZG_PANEL) {
      int64_t skip = s->diagonal ? zg_max(0, j - first) : 0;
      int64_t count = zg_min(ZG_PANEL, s->rows - first);
      if (j >= s->columns) continue;
      for (int64_t i = skip; i < count; i++)
        zg_fixed_add(coarse + j * n + first + i, fine + j * n + first + i,
                     alpha * (double)column[i]);
    }
  }
}

static void accumulate_square(square *s, int64_t n, int64_t k, double alpha,
                              const float *rows, const float *columns, int64_t ldv,
                              double *coarse, double *fine) {
  int64_t size = zg_packed_rows(s->rows) * zg_packed_rows(s->columns);
  for (int64_t start = 0; start < k; start += TERMS) {
    int64_t end = zg_min(k, start + TERMS);
    memset(s->blocks, 0, (size_t)size * sizeof *s->blocks);
    for (int64_t at = start; at < end; at += DEPTH)
      multiply_square(s, zg_min(DEPTH, end - at), rows + at, columns + at, ldv);
    add_square(s, alpha, n, coarse, fine);
  }
}

static void accumulate_many(int64_t n, int64_t k, double alpha, const float *V,
                            int64_t ldv, double *coarse, double *fine) {
  int64_t side = zg_packed_rows(zg_min(n, SIDE));
  float *panels = zg_alloc_large(2 * side * DEPTH, sizeof *panels);
  float *blocks = zg_alloc_large(side * side, sizeof *blocks);
  for (int64_t j = 0; j < n; j += SIDE)
    for (int64_t i = j; i < n; i += SIDE) {
      square s = {.rows = zg_min(SIDE, n - i),
                  .columns = zg_min(SIDE, n - j),
                  .row_panels = panels,
                  .column_panels = i == j ? panels : panels + side * DEPTH,
                  .blocks = blocks,
                  .diagonal = i == j};
      accumulate_square(&s, n, k, alpha, V + i * ldv, V + j * ldv, ldv,
                        coarse + j * n + i, fine + j * n + i);
    }
  free(panels);
  free(blocks);
}

/* From so many vectors on panels are worth their making. */
enum { MANY = 256 };

void zg_inner_accumulate(int64_t n, int64_t k, double alpha, const float *V,
                         int64_t ldv, double *coarse, double *fine) {
  if (n >= MANY)
    accumulate_many(n, k, alpha, V, ldv, coarse, fine);
  else if (n > 0)
    accumulate_few(n, k, alpha, V, ldv, coarse, fine);
}

int64_t zg_inner_bytes(int64_t n) {
  int64_t side = zg_packed_rows(zg_min(n, SIDE));
  if (n >= MANY) return (2 * side * DEPTH + side * side) * (int64_t)sizeof(float);
  return list_blocks(n, NULL) * (int64_t)sizeof(block);
}
