#include "linalg/map.h"

#include "base/memory.h"
#include "linalg/torus.h"
#include "linalg/vector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void dgemm_(const char *, const char *, const int *, const int *, const int *,
            const double *, const double *, const int *, const double *, const int *,
            const double *, double *, const int *);

static const double zero = 0, one = 1;

/* Both methods take a block of output rows at a time, cut the image into overlapping
 * patches, and multiply a matrix of patches with one of weights:
 * - directly: a patch is what one output sees, [in, height, width] numbers of it;
 *   images are [channel, height, width];
 * - Winograd's minimal filtering F(4 x 4, 3 x 3) (Lavin & Gray 2016): a patch is the
 * piece, 6 x 6, that a tile of 4 x 4 outputs sees. It is transformed so that the
 * convolution becomes 36 products, one for every number of the transformed tile, which
 * are a quarter of the multiplications: Y = A' [(G g G') o (B' d B)] A. In double
 * precision its constants cost two digits of sixteen. The adjoint runs the same steps
 * transposed, in reverse order. Images are [height, width, channel]: the transforms
 * then run over channels, and the weights, much the larger factor of the products,
 * come first in them, which BLAS likes better. */
enum {
  TILE = 4,                   /* outputs of a tile along each axis */
  PIECE = 6,                  /* and what they see */
  POINTS = PIECE * PIECE,     /* numbers of a transformed tile */
  BLOCK_NUMBERS = 1 << 20,    /* of a block of patches, 8 MiB: in the cache */
  WINOGRAD_NUMBERS = 1 << 23, /* the same for both sides of the 36 products, */
  WINOGRAD_COLUMNS = 256,     /* which have no need for more columns than these */
  WINOGRAD_CHANNELS = 8,      /* from which products, not transforms, take the time */
  GUESS_CHANNELS = 768,       /* up to which a guess saves more time than it takes */
  LANES = 32 /* channels of a transform: its arrays stay in the first cache */
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
  int64_t *at[2];  /* [kernel, output], Winograd: [seen]: place in the image, or -1 */
  int64_t block;   /* output rows, Winograd: rows of tiles, of a block */
  int64_t width;   /* patches in a row of these */
  double *patches; /* [in, kernel, block * width] */
  /* Winograd only, where patches are [POINTS, ZG_MAP_VECTORS block * width, in]: */
  double *results; /* [POINTS, ZG_MAP_VECTORS block * width, out] */
  double *weights; /* [POINTS, out, in] */
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
  int64_t each = POINTS * (c->in + c->out) * ZG_MAP_VECTORS, fits;
  if (m->winograd)
    fits =
        zg_min(WINOGRAD_NUMBERS / each, WINOGRAD_COLUMNS / ZG_MAP_VECTORS) / m->width;
  else
    fits = BLOCK_NUMBERS / (c->in * c->kernel[0] * c->kernel[1] * m->width);
  m->block = zg_max(1, zg_min(fits, rows));
}

/* The guess: an image of zeros around is nearly a circular one of the same size, and
 * the largest vectors are waves of its best frequency, with half a wave of a sine along
 * each axis as they end at the edges. */
static zg_convolution circular_of(const zg_convolution *c) {
  zg_convolution torus = *c;
  torus.circular = true;
  return torus;
}

/* For more channels the factorisations for all frequencies take longer than the
 * iterations that they save. */
static bool makes_guess(const zg_convolution *c) {
  return uses_winograd(c) && !c->circular && zg_min(c->in, c->out) <= GUESS_CHANNELS;
}

static int64_t guess_numbers(const zg_convolution *c) {
  if (!makes_guess(c)) return 0;
  zg_convolution torus = circular_of(c);
  return zg_torus_numbers(&torus) + 80 * zg_min(c->in, c->out) +
         2 * zg_max(c->in, c->out);
}

int64_t zg_map_numbers(const zg_convolution *c) {
  zg_map m = {.c = c};
  size_block(&m);
  int64_t patches = m.block * m.width;
  if (m.winograd)
    return POINTS * (c->in + c->out) * ZG_MAP_VECTORS * patches +
           POINTS * c->in * c->out + m.output[0] + m.output[1] + 4 * PIECE +
           guess_numbers(c);
  return c->in * c->kernel[0] * c->kernel[1] * (patches + m.output[0] + m.output[1]);
}

/* y := T x T' for x [from, from] and y [to, to] of arrays of LANES numbers; T is [to,
 * from], or given as its transpose. Inlined where T is known, so that zeros cost
 * nothing and sums stay in registers. */
__attribute__((always_inline)) static inline void transform(const double *T, int to,
                                                            int from, bool transposed,
                                                            const double *restrict x,
                                                            double *restrict y) {
  double between[POINTS * LANES];
  for (int pass = 0; pass < 2; pass++) {
    const double *source = pass ? between : x;
    double *target = pass ? y : between;
    /* first T along the rows, then along the columns of what came out */
    int others = pass ? to : from, across = pass ? 1 : from, stride = pass ? from : 1;
    for (int o = 0; o < others; o++)
#pragma GCC unroll 6
      for (int r = 0; r < to; r++) {
        const double *in = source + o * stride * LANES;
        double *out = target + (pass ? o * to + r : r * from + o) * LANES;
#pragma GCC ivdep
        for (int i = 0; i < LANES; i++) {
          double sum = 0;
#pragma GCC unroll 6
          for (int k = 0; k < from; k++) {
            double factor = transposed ? T[k * to + r] : T[r * from + k];
            if (factor != 0) sum += factor * in[k * across * LANES + i];
          }
          out[i] = sum;
        }
      }
  }
}

typedef void transform_fn(const double *x, double *y);

ZG_VECTOR static void see_pieces(const double *x, double *y) {
  transform(B_transposed, PIECE, PIECE, false, x, y);
}

ZG_VECTOR static void see_pieces_transposed(const double *x, double *y) {
  transform(B_transposed, PIECE, PIECE, true, x, y);
}

ZG_VECTOR static void make_tiles(const double *x, double *y) {
  transform(A_transposed, TILE, PIECE, false, x, y);
}

ZG_VECTOR static void make_tiles_transposed(const double *x, double *y) {
  transform(A_transposed, PIECE, TILE, true, x, y);
}

ZG_VECTOR static void transform_weights(const double *x, double *y) {
  transform(G, PIECE, 3, false, x, y);
}

static double *transformed_weights(const zg_convolution *c) {
  int64_t each = c->out * c->in;
  double *weights = ZG_NEW(double, POINTS *each), x[9 * LANES] = {0}, y[POINTS * LANES];
  for (int64_t first = 0; first < each; first += LANES) {
    int64_t n = zg_min(LANES, each - first);
    for (int64_t k = 0; k < n; k++)
      for (int a = 0; a < 9; a++)
        x[a * LANES + k] = c->weights[9 * (first + k) + a];
    transform_weights(x, y);
    for (int p = 0; p < POINTS; p++)
      memcpy(weights + p * each + first, y + p * LANES, (size_t)n * sizeof *y);
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
    m->patches = ZG_NEW(double, POINTS * c->in * ZG_MAP_VECTORS * patches);
    m->results = ZG_NEW(double, POINTS * c->out * ZG_MAP_VECTORS * patches);
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

static void apply_one(const zg_map *m, const double *x, double *y) {
  const zg_convolution *c = m->c;
  int64_t taps = c->in * c->kernel[0] * c->kernel[1];
  for (int64_t p = 0; p < m->output[0]; p += m->block) {
    int64_t rows = zg_min(m->block, m->output[0] - p), count = rows * m->width;
    visit_patches(m, p, rows, x, NULL);
    multiply(false, count, taps, c->out, c->weights, m->patches, count,
             y + p * m->width, m->output[0] * m->width);
  }
}

static void apply_one_transposed(const zg_map *m, const double *y, double *x) {
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

static int64_t inputs(const zg_map *m) {
  return m->c->in * m->c->input[0] * m->c->input[1];
}

static int64_t outputs(const zg_map *m) {
  return m->c->out * m->output[0] * m->output[1];
}

static void apply(const void *context, int64_t count, const double *x, double *y) {
  const zg_map *m = context;
  for (int64_t v = 0; v < count; v++)
    apply_one(m, x + v * inputs(m), y + v * outputs(m));
}

static void apply_transposed(const void *context, int64_t count, const double *y,
                             double *x) {
  const zg_map *m = context;
  for (int64_t v = 0; v < count; v++)
    apply_one_transposed(m, y + v * outputs(m), x + v * inputs(m));
}

/* Winograd: the pixels of an image that one tile sees or makes, [edge, edge], and -1
 * where there is none. */
typedef struct tile {
  int64_t pixel[POINTS];
  int edge;
} tile;

static tile seen_by(const zg_map *m, int64_t row, int64_t column) {
  tile seen = {.edge = PIECE};
  for (int u = 0; u < PIECE; u++)
    for (int v = 0; v < PIECE; v++) {
      int64_t p = m->at[0][row * TILE + u], q = m->at[1][column * TILE + v];
      seen.pixel[u * PIECE + v] = p < 0 || q < 0 ? -1 : p * m->c->input[1] + q;
    }
  return seen;
}

/* The last tiles hang over the edge of the output. */
static tile made_by(const zg_map *m, int64_t row, int64_t column) {
  tile made = {.edge = TILE};
  for (int u = 0; u < TILE; u++)
    for (int v = 0; v < TILE; v++) {
      int64_t p = row * TILE + u, q = column * TILE + v;
      bool inside = p < m->output[0] && q < m->output[1];
      made.pixel[u * TILE + v] = inside ? p * m->output[1] + q : -1;
    }
  return made;
}

/* points [POINTS, stride]: the transform of a tile of the image. */
static void to_points(transform_fn *transformed, const tile *t, int64_t channels,
                      const double *image, int64_t stride, double *points) {
  double x[POINTS * LANES] = {0}, y[POINTS * LANES];
  int pixels = t->edge * t->edge;
  for (int64_t first = 0; first < channels; first += LANES) {
    size_t bytes = (size_t)zg_min(LANES, channels - first) * sizeof *x;
    for (int k = 0; k < pixels; k++)
      if (t->pixel[k] >= 0)
        memcpy(x + k * LANES, image + t->pixel[k] * channels + first, bytes);
    transformed(x, y);
    for (int k = 0; k < POINTS; k++)
      memcpy(points + k * stride + first, y + k * LANES, bytes);
  }
}

/* The other way: adds a transform of points to a tile. */
static void from_points(transform_fn *transformed, const tile *t, int64_t channels,
                        const double *points, int64_t stride, double *image) {
  double x[POINTS * LANES] = {0}, y[POINTS * LANES];
  int pixels = t->edge * t->edge;
  for (int64_t first = 0; first < channels; first += LANES) {
    int64_t n = zg_min(LANES, channels - first);
    for (int k = 0; k < POINTS; k++)
      memcpy(x + k * LANES, points + k * stride + first, (size_t)n * sizeof *x);
    transformed(x, y);
    for (int k = 0; k < pixels; k++) {
      if (t->pixel[k] < 0) continue;
      double *to = image + t->pixel[k] * channels + first;
      for (int64_t i = 0; i < n; i++)
        to[i] += y[k * LANES + i];
    }
  }
}

/* Tiles of `rows` rows of `count` vectors, on either side of the products. */
typedef struct block {
  int64_t first, rows, count;
} block;

static int64_t columns_of(const zg_map *m, const block *b) {
  return b->count * b->rows * m->width;
}

static void visit_tiles(const zg_map *m, const block *b, bool of_input, bool gather,
                        const double *from, double *to) {
  int64_t channels = of_input ? m->c->in : m->c->out, column = 0;
  int64_t length = of_input ? inputs(m) : outputs(m);
  int64_t stride = columns_of(m, b) * channels;
  double *points = of_input ? m->patches : m->results;
  transform_fn *to_them = of_input ? see_pieces : make_tiles_transposed;
  transform_fn *from_them = of_input ? see_pieces_transposed : make_tiles;
  for (int64_t v = 0; v < b->count; v++)
    for (int64_t r = b->first; r < b->first + b->rows; r++)
      for (int64_t q = 0; q < m->width; q++, column++) {
        tile t = of_input ? seen_by(m, r, q) : made_by(m, r, q);
        double *here = points + column * channels;
        if (gather)
          to_points(to_them, &t, channels, from + v * length, stride, here);
        else
          from_points(from_them, &t, channels, here, stride, to + v * length);
      }
}

static void multiply_points(const zg_map *m, bool adjoint, int64_t columns) {
  int in = zg_int(m->c->in), out = zg_int(m->c->out), count = zg_int(columns);
  for (int64_t p = 0; p < POINTS; p++) {
    double *patches = m->patches + p * in * columns;
    double *results = m->results + p * out * columns;
    const double *weights = m->weights + p * in * out;
    if (adjoint)
      dgemm_("N", "N", &in, &count, &out, &one, weights, &in, results, &out, &zero,
             patches, &in);
    else
      dgemm_("T", "N", &out, &count, &in, &one, weights, &in, patches, &in, &zero,
             results, &out);
  }
}

static void winograd(const zg_map *m, bool adjoint, int64_t count, const double *from,
                     double *to) {
  int64_t tiles = zg_ceil_div(m->output[0], TILE);
  memset(to, 0, (size_t)(count * (adjoint ? inputs(m) : outputs(m))) * sizeof *to);
  for (int64_t t = 0; t < tiles; t += m->block) {
    block b = {t, zg_min(m->block, tiles - t), count};
    visit_tiles(m, &b, !adjoint, true, from, NULL);
    multiply_points(m, adjoint, columns_of(m, &b));
    visit_tiles(m, &b, adjoint, false, NULL, to);
  }
}

static void apply_winograd(const void *context, int64_t count, const double *x,
                           double *y) {
  winograd(context, false, count, x, y);
}

static void apply_winograd_transposed(const void *context, int64_t count,
                                      const double *y, double *x) {
  winograd(context, true, count, y, x);
}

/* The wave's real and imaginary part: two images [height, width, channels]. */
static void draw_waves(const zg_peak *peak, const int64_t size[2], int64_t channels,
                       double *image) {
  const double pi = acos(-1);
  double *imaginary = image + size[0] * size[1] * channels;
  for (int64_t p = 0; p < size[0]; p++)
    for (int64_t q = 0; q < size[1]; q++) {
      double angle = peak->turn[0] * (double)p + peak->turn[1] * (double)q;
      double window = sin(pi * (double)(p + 1) / (double)(size[0] + 1)) *
                      sin(pi * (double)(q + 1) / (double)(size[1] + 1));
      double real = window * cos(angle), rest = window * sin(angle);
      for (int64_t k = 0; k < channels; k++) {
        const double *u = peak->vector + 2 * k;
        *image++ = real * u[0] - rest * u[1];
        *imaginary++ = real * u[1] + rest * u[0];
      }
    }
}

static void guess(const void *context, double *x) {
  const zg_map *m = context;
  zg_convolution torus = circular_of(m->c);
  zg_peak peak = {.vector = ZG_NEW(double, 2 * zg_max(m->c->in, m->c->out))};
  memset(x, 0, (size_t)(ZG_MAP_VECTORS * inputs(m)) * sizeof *x);
  if (zg_torus_peak(&torus, &peak)) {
    if (peak.of_output) {
      double *y = ZG_NEW(double, ZG_MAP_VECTORS *outputs(m));
      draw_waves(&peak, m->output, m->c->out, y);
      apply_winograd_transposed(m, ZG_MAP_VECTORS, y, x);
      free(y);
    } else {
      draw_waves(&peak, m->c->input, m->c->in, x);
    }
  }
  free(peak.vector);
}

zg_operator zg_map_operator(const zg_map *m) {
  const zg_convolution *c = m->c;
  return (zg_operator){.rows = outputs(m),
                       .columns = inputs(m),
                       .vectors = ZG_MAP_VECTORS,
                       .apply = m->winograd ? apply_winograd : apply,
                       .apply_transposed =
                           m->winograd ? apply_winograd_transposed : apply_transposed,
                       .guess = makes_guess(c) ? guess : NULL,
                       .context = m};
}
