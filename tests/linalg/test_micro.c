/* Packed products: bits that do not depend on the instruction set, and a plain loop. */
#include "base/memory.h"
#include "linalg/micro.h"
#include "mpi_main.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float *random_rows(int64_t rows, int64_t d, unsigned seed) {
  float *x = ZG_NEW(float, rows *d);
  uint32_t state = seed * 2654435761u + 1;
  for (int64_t k = 0; k < rows * d; k++) {
    state = state * 1664525u + 1013904223u;
    x[k] = (float)((double)state / 4294967296.0 - 0.5);
  }
  return x;
}

static float *packed_rows(int64_t rows, int64_t d, const float *x) {
  float *packed = ZG_NEW0(float, zg_packed_rows(rows) * d);
  zg_micro_pack(0, rows, d, x, d, packed);
  return packed;
}

static void rows_are_packed_in_any_parts(void) {
  enum { ROWS = 131, D = 37 };
  float *x = random_rows(ROWS, D, 1), *whole = packed_rows(ROWS, D, x);
  float *parts = ZG_NEW0(float, zg_packed_rows(ROWS) * D);
  for (int64_t row = 0, step = 1; row < ROWS; row += step, step = step % 50 + 7) {
    int64_t rows = zg_min(step, ROWS - row);
    zg_micro_pack(row, rows, D, x + row * D, D, parts);
  }
  CU_ASSERT(!memcmp(whole, parts, (size_t)(zg_packed_rows(ROWS) * D) * sizeof *parts));
  for (int64_t r = 0; r < zg_packed_rows(ROWS); r++)
    for (int64_t k = 0; k < D; k++) {
      float expected = r < ROWS ? x[r * D + k] : 0;
      CU_ASSERT(whole[r / ZG_PANEL * ZG_PANEL * D + k * ZG_PANEL + r % ZG_PANEL] ==
                expected);
    }
  free(x);
  free(whole);
  free(parts);
}

/* Rows of panel p of so many rows. */
static int64_t rows_of(int64_t rows, int64_t p) {
  return zg_min(ZG_PANEL, rows - p * ZG_PANEL);
}

/* All blocks of two runs of rows under one instruction set: a panel's have room for all
 * of its rows. */
static void multiply(zg_isa isa, int64_t d, int64_t left_rows, const float *left,
                     int64_t right_rows, const float *right, float *blocks) {
  int64_t strips = zg_packed_rows(left_rows) / ZG_STRIP;
  int64_t panels = zg_packed_rows(right_rows) / ZG_PANEL;
  zg_micro_use(isa);
  memset(blocks, 0, (size_t)(strips * panels * ZG_MICRO_BLOCK) * sizeof *blocks);
  for (int64_t p = 0; p < panels; p++) {
    const zg_strips all = {.d = d,
                           .count = strips,
                           .left = left,
                           .panel = right + p * ZG_PANEL * d,
                           .rows = rows_of(right_rows, p),
                           .ahead = zg_ahead_from(right)};
    zg_micro_product(&all, blocks + p * strips * ZG_MICRO_BLOCK);
  }
}

static void check_shape(int64_t left_rows, int64_t right_rows, int64_t d) {
  float *x = random_rows(left_rows, d, 2), *y = random_rows(right_rows, d, 3);
  float *left = packed_rows(left_rows, d, x), *right = packed_rows(right_rows, d, y);
  int64_t rows = zg_packed_rows(left_rows),
          panels = zg_packed_rows(right_rows) / ZG_PANEL;
  int64_t size = rows * panels * ZG_PANEL;
  float *plain = ZG_NEW(float, size), *blocks = ZG_NEW(float, size);
  zg_isa best = zg_micro_isa();
  multiply(ZG_ISA_C, d, left_rows, left, right_rows, right, plain);
  for (int isa = ZG_ISA_AVX2; isa <= (int)best; isa++) {
    multiply((zg_isa)isa, d, left_rows, left, right_rows, right, blocks);
    CU_ASSERT(!memcmp(blocks, plain, (size_t)size * sizeof *plain));
  }
  /* One fused chain: each step rounds once, to half a unit of the sum so far. */
  for (int64_t a = 0; a < rows; a++)
    for (int64_t b = 0; b < panels * ZG_PANEL; b++) {
      int64_t leading = zg_micro_leading(rows_of(right_rows, b / ZG_PANEL));
      if (b % ZG_PANEL >= leading) continue; /* not made */
      double exact = 0, size_of_terms = 0;
      for (int64_t k = 0; k < d && a < left_rows && b < right_rows; k++) {
        exact += (double)x[a * d + k] * (double)y[b * d + k];
        size_of_terms += fabs((double)x[a * d + k] * (double)y[b * d + k]);
      }
      double found = plain[b / ZG_PANEL * rows * ZG_PANEL + a * leading + b % ZG_PANEL];
      CU_ASSERT(fabs(found - exact) <= 6e-8 * (double)d * size_of_terms);
    }
  zg_micro_use(best);
  free(x);
  free(y);
  free(left);
  free(right);
  free(plain);
  free(blocks);
}

static void all_instruction_sets_give_the_same_bits(void) {
  static const int64_t shapes[][3] = {{1, 1, 1},   {8, 48, 3},    {48, 48, 64},
                                      {49, 97, 5}, {192, 192, 7}, {100, 50, 130},
                                      {8, 64, 40}, {16, 90, 9}};
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
    check_shape(shapes[k][0], shapes[k][1], shapes[k][2]);
}

/* Blocks of some strips with a panel that is their last one.
 * \param [in] starts  of rows; NULL: the blocks begin with what they hold. */
static void multiply_last(zg_isa isa, int64_t d, int64_t rows, const float *packed,
                          bool diagonal, const float *starts, bool stream,
                          float *blocks) {
  const float *last = packed + (rows - ZG_PANEL) * d;
  const zg_strips strips = {.d = d,
                            .count = rows / ZG_STRIP,
                            .left = packed,
                            .panel = last,
                            .rows = ZG_PANEL,
                            .own = diagonal ? ZG_PANEL_STRIPS : 0,
                            .ahead = zg_ahead_from(packed)};
  zg_micro_use(isa);
  if (starts)
    zg_micro_form(&strips, starts, starts + rows - ZG_PANEL, stream, blocks);
  else
    zg_micro_product(&strips, blocks);
}

/* Written past the cache or not, with what is above the diagonal or without: the bits
 * of products that are added to sums of the starts. */
static void formed_blocks_begin_with_their_starts(void) {
  enum { ROWS = 2 * ZG_PANEL, D = 70, SIZE = ROWS * ZG_PANEL };
  float *x = random_rows(ROWS, D, 4), *packed = packed_rows(ROWS, D, x);
  float *starts = random_rows(ROWS, 1, 5), *plain = ZG_NEW(float, SIZE);
  float *blocks = aligned_alloc(64, SIZE * sizeof *blocks);
  zg_isa best = zg_micro_isa();
  for (int a = 0; a < ROWS; a++)
    for (int b = 0; b < ZG_PANEL; b++)
      plain[a * ZG_PANEL + b] = starts[a] + starts[ROWS - ZG_PANEL + b];
  multiply_last(ZG_ISA_C, D, ROWS, packed, false, NULL, false, plain);
  for (int isa = ZG_ISA_C; isa <= (int)best; isa++)
    for (int way = 0; way < 4; way++) {
      bool diagonal = way & 1, stream = way & 2;
      memset(blocks, 0, SIZE * sizeof *blocks);
      multiply_last((zg_isa)isa, D, ROWS, packed, diagonal, starts, stream, blocks);
      for (int a = 0; a < ROWS; a++)
        for (int b = 0; b < ZG_PANEL; b++)
          if (!diagonal || b + ROWS - ZG_PANEL >= a)
            CU_ASSERT(blocks[a * ZG_PANEL + b] == plain[a * ZG_PANEL + b]);
    }
  zg_micro_use(best);
  free(x);
  free(packed);
  free(starts);
  free(plain);
  free(blocks);
}

const zg_test zg_tests[] = {
    {"rows_are_packed_in_any_parts", rows_are_packed_in_any_parts},
    {"all_instruction_sets_give_the_same_bits",
     all_instruction_sets_give_the_same_bits},
    {"formed_blocks_begin_with_their_starts", formed_blocks_begin_with_their_starts},
    {NULL, NULL}};
