#include "linalg/cross.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

int64_t zg_cross_bytes(zg_precision precision, int64_t vectors) {
  int64_t real = (int64_t)zg_real_size(precision);
  int64_t runs = 2 * zg_packed_rows(vectors) * ZG_CROSS_RUN * real;
  if (precision == ZG_DOUBLE) return runs;
  return runs + zg_square_size(vectors, vectors) * (int64_t)sizeof(float);
}

void zg_cross_create(zg_precision precision, int64_t vectors, zg_cross *c) {
  int64_t size = zg_packed_rows(vectors) * ZG_CROSS_RUN;
  *c = (zg_cross){.precision = precision,
                  .packed = precision == ZG_SINGLE && zg_micro_is_fast(),
                  .left = zg_alloc_large(size, zg_real_size(precision)),
                  .right = zg_alloc_large(size, zg_real_size(precision))};
  if (c->packed)
    c->blocks = zg_alloc_large(zg_square_size(vectors, vectors), sizeof *c->blocks);
}

void zg_cross_destroy(zg_cross *c) {
  free(c->left);
  free(c->right);
  free(c->blocks);
  *c = (zg_cross){.left = NULL};
}

/* S is row-major: the rows of the square, as consecutive there, are those of the right
 * set. */
static zg_square square_of(const zg_cross *c) {
  return (zg_square){.rows = c->vectors,
                     .columns = c->vectors,
                     .row_panels = c->right,
                     .column_panels = c->left,
                     .blocks = c->blocks};
}

void zg_cross_begin(zg_cross *c, int64_t vectors, double alpha, double *coarse,
                    double *fine) {
  c->vectors = vectors;
  c->alpha = alpha;
  c->coarse = coarse;
  c->fine = fine;
  c->summed = 0;
}

/* The last panel's rows beyond the last vector are zeros. */
static void clear_last(const zg_cross *c, float *panels) {
  int64_t last = c->vectors / ZG_PANEL * ZG_PANEL;
  if (last < c->vectors)
    memset(panels + last * c->run, 0, (size_t)(ZG_PANEL * c->run) * sizeof *panels);
}

void zg_cross_open(zg_cross *c, int64_t run) {
  c->run = run;
  if (!c->packed) return;
  clear_last(c, c->left);
  clear_last(c, c->right);
}

static void copy(const zg_cross *c, int64_t first, int64_t rows, int64_t at,
                 int64_t count, const void *from, void *to) {
  size_t bytes = (size_t)count * zg_real_size(c->precision);
  for (int64_t r = 0; r < rows; r++)
    memcpy(zg_real_at(c->precision, to, (first + r) * c->run + at),
           zg_real_at(c->precision, from, r * count), bytes);
}

void zg_cross_put(zg_cross *c, int64_t first, int64_t at, int64_t count,
                  const void *left, const void *right) {
  int64_t rows = zg_min(ZG_CROSS_ROWS, c->vectors - first);
  if (c->packed) {
    int64_t inside = first % ZG_PANEL;
    int64_t place = (first - inside) * c->run + at * ZG_PANEL;
    zg_micro_pack(inside, rows, count, left, count, (float *)c->left + place);
    zg_micro_pack(inside, rows, count, right, count, (float *)c->right + place);
  } else {
    copy(c, first, rows, at, count, left, c->left);
    copy(c, first, rows, at, count, right, c->right);
  }
}

/* Bring what is summed in single precision into S. */
static void flush(zg_cross *c) {
  zg_square square = square_of(c);
  if (c->summed) zg_square_add(&square, c->alpha, c->vectors, c->coarse, c->fine);
  c->summed = 0;
}

static void multiply_packed(zg_cross *c) {
  zg_square square = square_of(c);
  if (c->summed + c->run > ZG_SQUARE_TERMS) flush(c);
  if (!c->summed) zg_square_clear(&square);
  zg_square_multiply(&square, c->run);
  c->summed += c->run;
}

void zg_cross_multiply(zg_cross *c) {
  int64_t n = c->vectors;
  if (c->packed)
    multiply_packed(c);
  else
    zg_accumulate_cross(c->precision, n, n, c->run, c->alpha, c->right, c->run, c->left,
                        c->run, c->coarse, c->fine);
}

void zg_cross_end(zg_cross *c) {
  flush(c);
}
