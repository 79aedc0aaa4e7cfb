#include "linalg/map.h"

#include "base/memory.h"
#include "linalg/vector.h"

#include <stdlib.h>
#include <string.h>

void dgemm_(const char *, const char *, const int *, const int *, const int *,
            const double *, const double *, const int *, const double *, const int *,
            const double *, double *, const int *);

static const double zero = 0, one = 1;

/* Both methods take a block of output rows at a time, cut the image into overlapping
 * patches, and multiply a matrix of patches with one of weights:
 * - directly: a patch is what one output sees, [in, height, width] numbers of it;
 * - Winograd's minimal filtering F(4 x 4, 3 x 3) (Lavin & Gray 2016): a patch is the 6
 * x 6 piece that a tile of 4 x 4 outputs sees. It is transformed so that the
 * convolution becomes 36 products, one for every number of the transformed tile, which
 * are a quarter of the multiplications: Y = A' [(G g G') o (B' d B)] A. In double
 * precision its constants cost two digits of sixteen. The adjoint runs the same steps
 * transposed, in reverse order. */
enum {
  TILE = 4,                   /* outputs of a tile along each axis */
  PIECE = 6,                  /* and what they see */
  POINTS = PIECE * PIECE,     /* numbers of a transformed tile */
  BLOCK_NUMBERS = 1 << 20,    /* of a block of patches, 8 MiB: in the cache */
  WINOGRAD_NUMBERS = 1 << 21, /* the same for both sides of the 36 products */
  WINOGRAD_CHANNELS = 8 /* from which the products, not the transforms, take the time */
};

static const double B_transposed[PIECE * PIECE] = {
    4, 0,  -5, 0, 1, 0, 0, -4, -4, 1,  1, 0, 0, 4, -4, -1, 1, 0,
    0, -2, -1, 2, 1, 0, 0, 2,  -1, -2, 1, 0, 0, 4, 0,  -5, 0, 1};
static const double G[PIECE * 3] = {
    1. / 4,  0,       0,      -1. / 6, -1. / 6,  -1. / 6, -1. / 6, 1. / 6, -1. / 6,
    1. / 24, 1. / 12, 1. / 6, 1. / 24, -1. / 12, 1. / 6,  0,       0,      1};
static const double A_transposed[TILE * PIECE] = {1, 1, 1, 1, 1, 0, 0, 1, -1, 2, -2, 0,
                                                  0, 1, 1, 4, 4, 0, 0, 1, -1, 8, -8, 1};

struct zg_map {
  const zg_convolution *c; /* borrowed */
  bool winograd;
  int64_t output[2];
  int64_t
      *at[2]; /* [kernel, output], Winograd: [places seen]: place in the image, or -1 */
  int64_t block;   /* output rows, Winograd: rows of tiles, of a block */
  int64_t width;   /* patches in a row of these */
  double *patches; /* [in, kernel, block * width]; Winograd: [POINTS, in, ...] */
  /* Winograd only: */
  double *results; /* [POINTS, out, block * width] */
  double *weights; /* [POINTS, out, in] */
  double *piece;   /* [3, POINTS, block * width]: scratch of the transforms */
};

static bool uses_winograd(const zg_convolution *c) {
  bool plain = true;
  for (int axis = 0; axis < 2; axis++)
    plain = plain && c->kernel[axis] == 3 && c->stride[axis] == 1 &&
            c->dilation[axis] == 1 && c->input[axis] >= TILE;
  return plain && zg_min(c->in, c->out) >= WINOGRAD_CHANNELS;
}

static int64_t wrapped(const zg_convolution *c, int axis, int64_t x) {
  int64_t size = c->input[axis];
  if (c->circular) return (x % size + size) % size;
  return x >= 0 && x < size ? x : -1;
}

static int64_t *places(const zg_map *m, int axis) {
  const zg_convolution *c = m->c;
  int64_t outputs = m->output[axis], before = c->padding[2 * axis];
  int64_t taps = m->winograd ? 1 : c->kernel[axis];
  int64_t count = m->winograd ? zg_ceil_div(outputs, TILE) * TILE + 2 : outputs;
  int64_t *at = ZG_NEW(int64_t, taps * count);
  for (int64_t a = 0; a < taps; a++)
    for (int64_t p = 0; p < count; p++)
      at[a * count + p] =
          wrapped(c, axis, p * c->stride[axis] + a * c->dilation[axis] - before);
  return at;
}

/* Sizes of a block's patches; the rest of the map is left alone. */
static void size_block(zg_map *m) {
  const zg_convolution *c = m->c;
  zg_convolution_output(c, m->output);
  m->winograd = uses_winograd(c);
  int64_t edge = m->winograd ? TILE : 1, rows = zg_ceil_div(m->output[0], edge);
  m->width = zg_ceil_div(m->output[1], edge);
  int64_t fits = m->winograd
                     ? WINOGRAD_NUMBERS / (POINTS * (c->in + c->out) * m->width)
                     : BLOCK_NUMBERS / (c->in * c->kernel[0] * c->kernel[1] * m->width);
  m->block = zg_max(1, zg_min(fits, rows));
}

int64_t zg_map_numbers(const zg_convolution *c) {
  zg_map m = {.c = c};
  size_block(&m);
  int64_t patches = m.block * m.width;
  if (m.winograd) return POINTS * ((c->in + c->out + 3) * patches + c->in * c->out);
  return c->in * c->kernel[0] * c->kernel[1] * (patches + m.output[0] + m.output[1]);
}

/* y := T x, on arrays of n numbers that follow each other: y[r] = sum_k T[r, k] x[k],
 * T [rows, columns], or its transpose. */
ZG_VECTOR
static void combine(const double *T, int rows, int columns, bool transposed, int64_t n,
                    const double *restrict x, double *restrict y) {
  int results = transposed ? columns : rows, terms = transposed ? rows : columns;
  memset(y, 0, (size_t)(results * n) * sizeof *y);
  for (int r = 0; r < results; r++)
    for (int k = 0; k < terms; k++) {
      double factor = transposed ? T[k * columns + r] : T[r * columns + k];
      if (factor == 0) continue;
      for (int64_t i = 0; i < n; i++)
        y[r * n + i] += factor * x[k * n + i];
    }
}

/* y := T x T' for x [from, from] and y [to, to] of arrays of n numbers; T is [to,
 * from], or given as its transpose. `between` has room for [to, from]. */
static void transform(const double *T, int to, int from, bool transposed, int64_t n,
                      const double *x, double *between, double *y) {
  int rows = transposed ? from : to, columns = transposed ? to : from;
  combine(T, rows, columns, transposed, from * n, x, between);
  for (int r = 0; r < to; r++)
    combine(T, rows, columns, transposed, n, between + r * from * n, y + r * to * n);
}

static double *transformed_weights(const zg_convolution *c) {
  int64_t each = c->out * c->in;
  double *weights = ZG_NEW(double, POINTS *each);
  for (int64_t k = 0; k < each; k++) {
    double between[3 * PIECE], points[POINTS];
    transform(G, PIECE, 3, false, 1, c->weights + 9 * k, between, points);
    for (int p = 0; p < POINTS; p++)
      weights[p * each + k] = points[p];
  }
  return weights;
}

zg_map *zg_map_create(const zg_convolution *c) {
  zg_map *m = ZG_NEW0(zg_map, 1);
  m->c = c;
  size_block(m);
  int64_t patches = m->block * m->width;
  for (int axis = 0; axis < 2; axis++)
    m->at[axis] = places(m, axis);
  if (m->winograd) {
    m->patches = ZG_NEW(double, POINTS * c->in * patches);
    m->results = ZG_NEW(double, POINTS * c->out * patches);
    m->piece = ZG_NEW(double, 3 * POINTS * patches);
    m->weights = transformed_weights(c);
  } else {
    m->patches = ZG_NEW(double, c->in * c->kernel[0] * c->kernel[1] * patches);
  }
  return m;
}

void zg_map_destroy(zg_map **map) {
  zg_map *m = *map;
  if (!m) return;
  free(m->at[0]);
  free(m->at[1]);
  free(m->patches);
  free(m->results);
  free(m->piece);
  free(m->weights);
  free(m);
  *map = NULL;
}

/* C := A B' or A B of row-major weights W [out, in]: patches are columns of length
 * `count` in memory. Forward: [count, in] to [count, out]; adjoint the other way. */
static void multiply(bool adjoint, int64_t count64, int64_t in64, int64_t out64,
                     const double *W, const double *from, int64_t from_ld, double *to,
                     int64_t to_ld) {
  int count = zg_int(count64), in = zg_int(in64), out = zg_int(out64);
  int ldf = zg_int(from_ld), ldt = zg_int(to_ld);
  if (adjoint)
    dgemm_("N", "T", &count, &in, &out, &one, from, &ldf, W, &in, &zero, to, &ldt);
  else
    dgemm_("N", "N", &count, &out, &in, &one, from, &ldf, W, &in, &zero, to, &ldt);
}

/* `count` numbers of a row of the image: fetched, with zeros outside of it, or added.
 */
static void fetch(const int64_t *at, int64_t count, const double *image, double *to) {
  for (int64_t q = 0; q < count; q++)
    to[q] = at[q] < 0 ? 0 : image[at[q]];
}

static void add(const int64_t *at, int64_t count, const double *from, double *image) {
  for (int64_t q = 0; q < count; q++)
    if (at[q] >= 0) image[at[q]] += from[q];
}

/* Direct method: every row of the patches of output rows [first, first + count) is
 * fetched from the image, or added to it. */
static void visit_patches(const zg_map *m, int64_t first, int64_t count,
                          const double *from, double *to) {
  const zg_convolution *c = m->c;
  double *patches = m->patches;
  for (int64_t i = 0; i < c->in; i++)
    for (int64_t a = 0; a < c->kernel[0]; a++)
      for (int64_t b = 0; b < c->kernel[1]; b++)
        for (int64_t p = first; p < first + count; p++, patches += m->width) {
          int64_t line = m->at[0][a * m->output[0] + p];
          int64_t offset = (i * c->input[0] + line) * c->input[1];
          const int64_t *at = m->at[1] + b * m->width;
          if (to && line >= 0)
            add(at, m->width, patches, to + offset);
          else if (from && line >= 0)
            fetch(at, m->width, from + offset, patches);
          else if (from)
            memset(patches, 0, (size_t)m->width * sizeof *patches);
        }
}

static void apply(const void *context, const double *x, double *y) {
  const zg_map *m = context;
  const zg_convolution *c = m->c;
  int64_t taps = c->in * c->kernel[0] * c->kernel[1];
  for (int64_t p = 0; p < m->output[0]; p += m->block) {
    int64_t rows = zg_min(m->block, m->output[0] - p), count = rows * m->width;
    visit_patches(m, p, rows, x, NULL);
    multiply(false, count, taps, c->out, c->weights, m->patches, count,
             y + p * m->width, m->output[0] * m->width);
  }
}

static void apply_transposed(const void *context, const double *y, double *x) {
  const zg_map *m = context;
  const zg_convolution *c = m->c;
  int64_t taps = c->in * c->kernel[0] * c->kernel[1];
  memset(x, 0, (size_t)(c->in * c->input[0] * c->input[1]) * sizeof *x);
  for (int64_t p = 0; p < m->output[0]; p += m->block) {
    int64_t rows = zg_min(m->block, m->output[0] - p), count = rows * m->width;
    multiply(true, count, taps, c->out, c->weights, y + p * m->width,
             m->output[0] * m->width, m->patches, count);
    visit_patches(m, p, rows, NULL, x);
  }
}

/* The pieces of one channel that the tiles of rows [first, first + rows) see: fetched
 * into or added from piece [PIECE, PIECE, rows * width]. */
static void visit_pieces(const zg_map *m, int64_t first, int64_t rows,
                         const double *from, double *to, double *piece) {
  int64_t line_length = m->c->input[1];
  for (int64_t u = 0; u < PIECE; u++)
    for (int64_t v = 0; v < PIECE; v++)
      for (int64_t r = 0; r < rows; r++, piece += m->width) {
        int64_t line = m->at[0][(first + r) * TILE + u];
        const int64_t *at = m->at[1] + v;
        for (int64_t t = 0; t < m->width; t++) {
          bool inside = line >= 0 && at[t * TILE] >= 0;
          int64_t pixel = line * line_length + at[t * TILE];
          if (from) piece[t] = inside ? from[pixel] : 0;
          if (to && inside) to[pixel] += piece[t];
        }
      }
}

/* The same for tiles of the output, whose last ones hang over: piece [TILE, TILE, rows
 * * width] is written to `to` or read from `from`. */
static void visit_tiles(const zg_map *m, int64_t first, int64_t rows,
                        const double *from, double *to, double *piece) {
  for (int64_t u = 0; u < TILE; u++)
    for (int64_t v = 0; v < TILE; v++)
      for (int64_t r = 0; r < rows; r++, piece += m->width) {
        int64_t p = (first + r) * TILE + u;
        for (int64_t t = 0; t < m->width; t++) {
          int64_t q = t * TILE + v;
          bool inside = p < m->output[0] && q < m->output[1];
          if (from) piece[t] = inside ? from[p * m->output[1] + q] : 0;
          if (to && inside) to[p * m->output[1] + q] = piece[t];
        }
      }
}

/* Move the transformed pieces of one channel between [POINTS, count] and its place in
 * [POINTS, channels, count]. */
static void put_channel(int64_t channels, int64_t channel, int64_t count,
                        const double *piece, double *all) {
  for (int64_t p = 0; p < POINTS; p++)
    memcpy(all + (p * channels + channel) * count, piece + p * count,
           (size_t)count * sizeof *all);
}

static void get_channel(int64_t channels, int64_t channel, int64_t count,
                        const double *all, double *piece) {
  for (int64_t p = 0; p < POINTS; p++)
    memcpy(piece + p * count, all + (p * channels + channel) * count,
           (size_t)count * sizeof *all);
}

static void multiply_points(const zg_map *m, bool adjoint, int64_t count) {
  int64_t in = m->c->in, out = m->c->out;
  for (int64_t p = 0; p < POINTS; p++) {
    double *patches = m->patches + p * in * count;
    double *results = m->results + p * out * count;
    multiply(adjoint, count, in, out, m->weights + p * in * out,
             adjoint ? results : patches, count, adjoint ? patches : results, count);
  }
}

static void winograd_block(const zg_map *m, int64_t first, int64_t rows,
                           const double *x, double *y) {
  int64_t count = rows * m->width, pixels = m->c->input[0] * m->c->input[1];
  int64_t outputs = m->output[0] * m->output[1];
  double *a = m->piece, *b = a + POINTS * count, *c = b + POINTS * count;
  for (int64_t i = 0; i < m->c->in; i++) {
    visit_pieces(m, first, rows, x + i * pixels, NULL, a);
    transform(B_transposed, PIECE, PIECE, false, count, a, b, c);
    put_channel(m->c->in, i, count, c, m->patches);
  }
  multiply_points(m, false, count);
  for (int64_t o = 0; o < m->c->out; o++) {
    get_channel(m->c->out, o, count, m->results, a);
    transform(A_transposed, TILE, PIECE, false, count, a, b, c);
    visit_tiles(m, first, rows, NULL, y + o * outputs, c);
  }
}

static void winograd_block_transposed(const zg_map *m, int64_t first, int64_t rows,
                                      const double *y, double *x) {
  int64_t count = rows * m->width, pixels = m->c->input[0] * m->c->input[1];
  int64_t outputs = m->output[0] * m->output[1];
  double *a = m->piece, *b = a + POINTS * count, *c = b + POINTS * count;
  for (int64_t o = 0; o < m->c->out; o++) {
    visit_tiles(m, first, rows, y + o * outputs, NULL, a);
    transform(A_transposed, PIECE, TILE, true, count, a, b, c);
    put_channel(m->c->out, o, count, c, m->results);
  }
  multiply_points(m, true, count);
  for (int64_t i = 0; i < m->c->in; i++) {
    get_channel(m->c->in, i, count, m->patches, a);
    transform(B_transposed, PIECE, PIECE, true, count, a, b, c);
    visit_pieces(m, first, rows, NULL, x + i * pixels, c);
  }
}

static void apply_winograd(const void *context, const double *x, double *y) {
  const zg_map *m = context;
  int64_t tiles = zg_ceil_div(m->output[0], TILE);
  for (int64_t t = 0; t < tiles; t += m->block)
    winograd_block(m, t, zg_min(m->block, tiles - t), x, y);
}

static void apply_winograd_transposed(const void *context, const double *y, double *x) {
  const zg_map *m = context;
  const zg_convolution *c = m->c;
  int64_t tiles = zg_ceil_div(m->output[0], TILE);
  memset(x, 0, (size_t)(c->in * c->input[0] * c->input[1]) * sizeof *x);
  for (int64_t t = 0; t < tiles; t += m->block)
    winograd_block_transposed(m, t, zg_min(m->block, tiles - t), y, x);
}

zg_operator zg_map_operator(const zg_map *m) {
  const zg_convolution *c = m->c;
  return (zg_operator){.rows = c->out * m->output[0] * m->output[1],
                       .columns = c->in * c->input[0] * c->input[1],
                       .apply = m->winograd ? apply_winograd : apply,
                       .apply_transposed =
                           m->winograd ? apply_winograd_transposed : apply_transposed,
                       .context = m};
}
