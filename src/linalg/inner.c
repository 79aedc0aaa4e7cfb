#include "linalg/inner.h"

#include "base/memory.h"
#include "base/threads.h"
#include "linalg/fixed.h"
#include "linalg/micro.h"
#include "linalg/square.h"
#include "linalg/vector.h"

#include <stdlib.h>
#include <string.h>

/* ---- few vectors: as they lie ---- */

enum {
  LANES = 16,  /* partial sums of an inner product, one per lane of the widest vector */
  ROWS = 6,    /* vectors on one side of a block of inner products */
  COLUMNS = 4, /* and on the other */
  GROUP = 3,   /* blocks of columns that stay near while rows go by */
  AHEAD = ROWS / GROUP + 1, /* arrays of the next blocks that a block brings near */
  CHUNK = 384,              /* numbers of all vectors that are in the cache at a time */
  RUN = 21 /* chunks whose terms are added in single precision: 504 per lane */
};

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* What is brought into the cache while products are made, a line of each per step. */
typedef struct ahead {
  const float *far;         /* into the second level */
  const float *near[AHEAD]; /* into the first */
} ahead;

/* sums[i][j] += a_i * b_j lane by lane over `steps` steps. `rows` x `columns` products
 * at a time fill the registers. This file is compiled so that products and sums
 * contract to fused multiply-adds. */
#define UNROLLED _Pragma("GCC unroll 8")
#define DEFINE_DOTS(suffix, isa, rows, columns)                                        \
  __attribute__((target(isa))) static void dots_##suffix(                              \
      int64_t steps, const float *const a[ROWS], const float *const b[COLUMNS],        \
      float *sums, const ahead *next) {                                                \
    for (int i0 = 0; i0 < ROWS; i0 += rows)                                            \
      for (int j0 = 0; j0 < COLUMNS; j0 += columns) {                                  \
        lanes sum[rows][columns], *at = (lanes *)sums + i0 * COLUMNS + j0;             \
        UNROLLED for (int i = 0; i < rows; i++)                                        \
            UNROLLED for (int j = 0; j < columns; j++) sum[i][j] =                     \
                at[i * COLUMNS + j];                                                   \
        for (int64_t k = 0; k < steps; k++) {                                          \
          lanes x[columns];                                                            \
          __builtin_prefetch(next->far + k * LANES, 0, 2);                             \
          UNROLLED for (int l = 0; l < AHEAD; l++)                                     \
              __builtin_prefetch(next->near[l] + k * LANES, 0, 3);                     \
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
                   const float *const b[COLUMNS], float *sums, const ahead *next) {
  (void)next;
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < COLUMNS; j++, sums += LANES)
      for (int64_t k = 0; k < steps * LANES; k++)
        sums[k % LANES] = __builtin_fmaf(a[i][k], b[j][k], sums[k % LANES]);
}

typedef void dots_fn(int64_t steps, const float *const a[ROWS],
                     const float *const b[COLUMNS], float *sums, const ahead *next);

static dots_fn *const dots[] = {[ZG_ISA_C] = dots_c,
#if defined(__x86_64__) && defined(__GNUC__)
                                [ZG_ISA_AVX2] = dots_avx2,
                                [ZG_ISA_AVX512] = dots_avx512
#endif
};

/* A block of inner products: rows [row, row + ROWS) with columns [column, ...). */
typedef struct block {
  _Alignas(64) float sums[ROWS][COLUMNS][LANES]; /* a line of the cache each */
  double total[ROWS][COLUMNS];
  int64_t row, column;
} block;

/* The blocks that hold something of the lower triangle. \return how many. */
static int64_t list_blocks(int64_t n, block *blocks) {
  const int64_t group = GROUP * COLUMNS;
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

/* The numbers of all vectors that are multiplied. */
typedef struct chunk {
  const float *numbers;
  int64_t leading;
} chunk;

/* Vectors beyond the last are the last again; nobody looks at their products. */
static void multiply_block(dots_fn *multiply, int64_t n, int64_t steps, const chunk *x,
                           const ahead *next, block *b) {
  const float *rows[ROWS], *columns[COLUMNS];
  for (int i = 0; i < ROWS; i++)
    rows[i] = x->numbers + zg_min(n - 1, b->row + i) * x->leading;
  for (int j = 0; j < COLUMNS; j++)
    columns[j] = x->numbers + zg_min(n - 1, b->column + j) * x->leading;
  multiply(steps, rows, columns, &b->sums[0][0][0], next);
}

/* End a run: lanes to doubles, those of all products at a time. */
ZG_VECTOR static void flush_block(block *b) {
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < COLUMNS; j++) {
      const float *restrict sums = b->sums[i][j];
      double half[LANES / 2], quarter[LANES / 4];
      for (int l = 0; l < LANES / 2; l++)
        half[l] = (double)sums[l] + (double)sums[l + LANES / 2];
      for (int l = 0; l < LANES / 4; l++)
        quarter[l] = half[l] + half[l + LANES / 4];
      b->total[i][j] += (quarter[0] + quarter[1]) + (quarter[2] + quarter[3]);
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

/* What a block brings into the cache: the sums of the next one, and of the rows of the
 * one below, which as many blocks lie between, its share. */
static ahead what_follows(int64_t n, const chunk *x, const block *b, const block *end) {
  const block *next = b + 1 < end ? b + 1 : b, *below = b + GROUP < end ? b + GROUP : b;
  ahead follows = {.near = {&next->sums[0][0][0]}};
  int64_t row = below->row + b->column / COLUMNS % GROUP;
  for (int k = 1; k < AHEAD; k++, row += GROUP)
    follows.near[k] = x->numbers + zg_min(n - 1, row) * x->leading;
  return follows;
}

static void accumulate_few(int64_t n, int64_t k, double alpha, const float *V,
                           int64_t ldv, double *coarse, double *fine) {
  dots_fn *multiply = dots[zg_micro_isa()];
  int64_t count = list_blocks(n, NULL), chunks = zg_ceil_div(k, CHUNK);
  block *blocks = zg_alloc_large(count, sizeof *blocks);
  list_blocks(n, blocks);
  int64_t last = (chunks - 1) * CHUNK, tail = zg_ceil_div(k - last, LANES) * LANES;
  float *rest = tail == k - last ? NULL : copy_rest(n, k - last, V + last, ldv, tail);
  int threads = zg_threads();
#pragma omp parallel for num_threads(threads)
  for (int t = 0; t < threads; t++)
    for (int64_t c = 0; c < chunks; c++) {
      bool is_rest = rest && c == chunks - 1, ends = (c + 1) % RUN == 0;
      int64_t steps = zg_ceil_div(zg_min(CHUNK, k - c * CHUNK), LANES);
      const chunk x = is_rest ? (chunk){rest, tail} : (chunk){V + c * CHUNK, ldv};
      for (int64_t b = zg_part(count, threads, t); b < zg_part(count, threads, t + 1);
           b++) {
        ahead next = what_follows(n, &x, &blocks[b], blocks + count);
        /* Each block brings a vector's next chunk; there are more blocks. */
        next.far = V + zg_min(b, n - 1) * ldv + (c + 1) * CHUNK;
        multiply_block(multiply, n, steps, &x, &next, &blocks[b]);
        if (ends || c + 1 == chunks) flush_block(&blocks[b]);
      }
    }
  for (int64_t b = 0; b < count; b++)
    add_totals(n, alpha, &blocks[b], coarse, fine);
  free(rest);
  free(blocks);
}

/* ---- many vectors: in panels ---- */

enum { SIDE = 21 * ZG_PANEL }; /* vectors whose inner products are made at a time */

static void pack(int64_t count, int64_t terms, const float *V, int64_t ldv,
                 float *panels) {
  int64_t last = count / ZG_PANEL * ZG_PANEL;
  if (last < count)
    memset(panels + last * terms, 0, (size_t)(ZG_PANEL * terms) * sizeof *panels);
  zg_micro_pack(0, count, terms, V, ldv, panels);
}

/* Vectors that lie one after the other, `leading` numbers apart. */
typedef struct set {
  int64_t count;
  const float *V;
  int64_t leading;
} set;

/* Where the numbers of vectors lie that are packed after those at `here`. */
static zg_ahead next_numbers(const float *here, int64_t leading) {
  return (zg_ahead){here ? here + ZG_SQUARE_DEPTH : NULL, leading};
}

/* One square: rows from number i of one set on, columns from number j of the other. */
static void accumulate_square(zg_square *s, int64_t k, double alpha, const set *rows,
                              int64_t i, const set *columns, int64_t j, double *coarse,
                              double *fine) {
  const float *a = rows->V + i * rows->leading, *b = columns->V + j * columns->leading;
  int64_t corner = j * rows->count + i;
  for (int64_t start = 0; start < k; start += ZG_SQUARE_TERMS) {
    int64_t end = zg_min(k, start + ZG_SQUARE_TERMS);
    zg_square_clear(s);
    for (int64_t at = start; at < end; at += ZG_SQUARE_DEPTH) {
      int64_t terms = zg_min(ZG_SQUARE_DEPTH, end - at);
      pack(s->rows, terms, a + at, rows->leading, s->row_panels);
      if (!s->diagonal)
        pack(s->columns, terms, b + at, columns->leading, s->column_panels);
      bool more = at + ZG_SQUARE_DEPTH < k;
      s->next_rows = next_numbers(more ? a + at : NULL, rows->leading);
      s->next_columns =
          next_numbers(more && !s->diagonal ? b + at : NULL, columns->leading);
      zg_square_multiply(s, terms);
    }
    zg_square_add(s, alpha, rows->count, coarse + corner, fine + corner);
  }
}

/* All of one set with all of another, or the lower triangle of a set with itself. */
static void accumulate_many(int64_t k, double alpha, const set *rows,
                            const set *columns, double *coarse, double *fine) {
  bool same = rows == columns;
  int64_t side = zg_min(zg_max(rows->count, columns->count), SIDE);
  int64_t size = zg_packed_rows(side) * ZG_SQUARE_DEPTH;
  float *panels = zg_alloc_large(2 * size, sizeof *panels);
  float *blocks = zg_alloc_large(zg_square_size(side, side), sizeof *blocks);
  for (int64_t j = 0; j < columns->count; j += SIDE)
    for (int64_t i = same ? j : 0; i < rows->count; i += SIDE) {
      bool diagonal = same && i == j;
      zg_square s = {.rows = zg_min(SIDE, rows->count - i),
                     .columns = zg_min(SIDE, columns->count - j),
                     .row_panels = panels,
                     .column_panels = diagonal ? panels : panels + size,
                     .blocks = blocks,
                     .diagonal = diagonal};
      accumulate_square(&s, k, alpha, rows, i, columns, j, coarse, fine);
    }
  free(panels);
  free(blocks);
}

/* From so many vectors on panels are worth their making. */
enum { MANY = 256 };

void zg_inner_accumulate(int64_t n, int64_t k, double alpha, const float *V,
                         int64_t ldv, double *coarse, double *fine) {
  const set all = {n, V, ldv};
  if (n >= MANY)
    accumulate_many(k, alpha, &all, &all, coarse, fine);
  else if (n > 0 && k > 0)
    accumulate_few(n, k, alpha, V, ldv, coarse, fine);
}

bool zg_inner_has_cross(int64_t m, int64_t n) {
  return m >= MANY && n >= MANY;
}

void zg_inner_cross(int64_t m, int64_t n, int64_t k, double alpha, const float *A,
                    int64_t lda, const float *B, int64_t ldb, double *coarse,
                    double *fine) {
  const set rows = {m, A, lda}, columns = {n, B, ldb};
  accumulate_many(k, alpha, &rows, &columns, coarse, fine);
}

int64_t zg_inner_bytes(int64_t n) {
  int64_t side = zg_min(n, SIDE), panels = 2 * zg_packed_rows(side) * ZG_SQUARE_DEPTH;
  if (n >= MANY) return (panels + zg_square_size(side, side)) * (int64_t)sizeof(float);
  return list_blocks(n, NULL) * (int64_t)sizeof(block);
}
