/** \file
 * Norms of convolutions against LAPACK's singular values of the linear map, written out
 * entry by entry from its definition, and against closed forms. */
#include "linalg/convolution.h"
#include "linalg/torus.h"
#include "mpi_main.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void dgesdd_(const char *, const int *, const int *, double *, const int *, double *,
             double *, const int *, double *, const int *, double *, const int *, int *,
             int *);

/* What the header promises (iterations), and what all routes reach on small maps. */
static const double promised = 1.5e-9, usual = 1e-11;

static double largest_singular_value(int rows, int columns, double *A) {
  int least = rows < columns ? rows : columns, info, lwork = 200 * (rows + columns);
  double *values = malloc(sizeof *values * (size_t)least), unused = 0;
  double *work = malloc(sizeof *work * (size_t)lwork);
  int *iwork = malloc(sizeof *iwork * 8 * (size_t)least), one = 1;
  dgesdd_("N", &columns, &rows, A, &columns, values, &unused, &one, &unused, &one, work,
          &lwork, iwork, &info);
  CU_ASSERT_EQUAL(info, 0);
  double largest = values[0];
  free(values);
  free(work);
  free(iwork);
  return largest;
}

/* The entry's place in the image, or -1 for a zero of the padding. */
static int64_t place(const zg_convolution *c, int axis, int64_t p, int64_t a) {
  int64_t size = c->input[axis];
  int64_t x = p * c->stride[axis] + a * c->dilation[axis] - c->padding[2 * axis];
  if (c->circular) return (x + 100 * size) % size;
  return x < 0 || x >= size ? -1 : x;
}

static double written_out(const zg_convolution *c) {
  int64_t H, W, kh = c->kernel[0], kw = c->kernel[1], h = c->input[0], w = c->input[1];
  H = (h + c->padding[0] + c->padding[1] - c->dilation[0] * (kh - 1) - 1) /
          c->stride[0] +
      1;
  W = (w + c->padding[2] + c->padding[3] - c->dilation[1] * (kw - 1) - 1) /
          c->stride[1] +
      1;
  int64_t rows = c->out * H * W, columns = c->groups * c->in * h * w;
  double *A = calloc((size_t)(rows * columns), sizeof *A);
  for (int64_t o = 0; o < c->out; o++)
    for (int64_t p = 0; p < H; p++)
      for (int64_t q = 0; q < W; q++)
        for (int64_t i = 0; i < c->in; i++)
          for (int64_t a = 0; a < kh; a++)
            for (int64_t b = 0; b < kw; b++) {
              int64_t y = place(c, 0, p, a), x = place(c, 1, q, b);
              int64_t channel = o / (c->out / c->groups) * c->in + i;
              if (y < 0 || x < 0) continue;
              A[((o * H + p) * W + q) * columns + (channel * h + y) * w + x] +=
                  c->weights[((o * c->in + i) * kh + a) * kw + b];
            }
  double largest = largest_singular_value((int)rows, (int)columns, A);
  free(A);
  return largest;
}

static double *random_weights(const zg_convolution *c, unsigned long seed) {
  int64_t count = c->out * c->in * c->kernel[0] * c->kernel[1];
  double *W = malloc(sizeof *W * (size_t)count);
  for (int64_t k = 0; k < count; k++)
    W[k] = zg_test_random(seed, (unsigned long)k);
  return W;
}

static void check(zg_norm norm, double expected, double tolerance, const char *what) {
  CU_ASSERT(norm.converged);
  zg_test_close(norm.value, expected, tolerance * expected, what);
}

/* out, in per group, groups, kernel, input, stride, dilation, padding */
static const zg_convolution shapes[] = {
    {3, 2, 1, {3, 3}, {6, 7}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, NULL},
    {2, 3, 1, {3, 3}, {7, 6}, {1, 1}, {1, 1}, {0, 0, 0, 0}, false, NULL},
    {4, 4, 1, {3, 3}, {8, 8}, {2, 2}, {1, 1}, {1, 1, 1, 1}, false, NULL},
    {2, 2, 1, {3, 3}, {9, 8}, {1, 1}, {2, 2}, {2, 2, 2, 2}, false, NULL},
    {3, 2, 1, {3, 5}, {7, 9}, {2, 1}, {2, 1}, {0, 3, 2, 1}, false, NULL},
    {6, 2, 3, {3, 3}, {5, 6}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, NULL},
    {5, 1, 5, {3, 3}, {7, 7}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, NULL},
    {5, 1, 5, {5, 3}, {8, 7}, {2, 3}, {1, 1}, {2, 2, 1, 1}, false, NULL},
    {3, 4, 1, {1, 1}, {5, 4}, {1, 1}, {1, 1}, {0, 0, 0, 0}, false, NULL},
    {3, 4, 1, {1, 1}, {5, 4}, {2, 2}, {1, 1}, {1, 1, 1, 1}, false, NULL},
    {4, 2, 1, {2, 2}, {7, 6}, {2, 2}, {1, 1}, {1, 0, 1, 0}, false, NULL},
    {4, 2, 1, {3, 2}, {9, 6}, {3, 2}, {1, 1}, {0, 0, 0, 0}, false, NULL},
    {4, 2, 1, {4, 5}, {4, 5}, {1, 1}, {1, 1}, {0, 0, 0, 0}, false, NULL},
    {4, 2, 1, {4, 4}, {3, 3}, {4, 4}, {1, 1}, {2, 2, 2, 2}, false, NULL},
    {4, 2, 1, {3, 3}, {3, 3}, {4, 4}, {1, 1}, {1, 3, 1, 3}, false, NULL},
    {1, 1, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, NULL},
    {3, 2, 1, {3, 3}, {6, 7}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true, NULL},
    {2, 3, 1, {3, 3}, {5, 4}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true, NULL},
    {2, 2, 1, {5, 3}, {4, 6}, {1, 1}, {1, 1}, {2, 2, 1, 1}, true, NULL},
    {2, 2, 1, {2, 4}, {5, 6}, {1, 1}, {1, 1}, {1, 0, 1, 2}, true, NULL},
    {3, 3, 1, {3, 3}, {8, 6}, {2, 2}, {1, 1}, {1, 1, 1, 1}, true, NULL},
    {5, 1, 1, {3, 3}, {6, 6}, {2, 3}, {1, 1}, {1, 1, 1, 1}, true, NULL},
    {2, 3, 1, {3, 3}, {8, 9}, {1, 1}, {2, 3}, {2, 2, 3, 3}, true, NULL},
    {2, 2, 1, {3, 3}, {8, 6}, {2, 2}, {2, 1}, {2, 2, 1, 1}, true, NULL},
    {6, 2, 3, {3, 3}, {5, 6}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true, NULL},
    {2, 3, 1, {3, 3}, {6, 5}, {1, 1}, {1, 1}, {0, 0, 0, 0}, true, NULL},
    {2, 3, 1, {3, 3}, {6, 5}, {1, 1}, {1, 1}, {2, 2, 2, 1}, true, NULL},
    {4, 2, 2, {3, 3}, {7, 5}, {2, 2}, {1, 1}, {1, 1, 1, 1}, true, NULL},
    {2, 2, 1, {1, 1}, {5, 4}, {2, 2}, {1, 1}, {1, 1, 1, 1}, true, NULL},
    {9, 8, 1, {3, 3}, {9, 6}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, NULL},
    {8, 11, 1, {3, 3}, {4, 10}, {1, 1}, {1, 1}, {0, 2, 1, 0}, false, NULL},
    {16, 9, 2, {3, 3}, {6, 7}, {1, 1}, {1, 1}, {0, 0, 3, 0}, false, NULL},
    {8, 8, 1, {3, 3}, {5, 5}, {1, 1}, {1, 1}, {1, 0, 3, 1}, true, NULL},
    {2, 1, 1, {7, 7}, {3, 4}, {1, 1}, {1, 1}, {3, 3, 3, 3}, true, NULL},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void every_geometry_agrees_with_the_map_written_out(void) {
  for (int k = 0; k < SHAPES; k++)
    for (unsigned long seed = 1; seed < 4; seed++) {
      zg_convolution c = shapes[k];
      double *W = random_weights(&c, seed);
      c.weights = W;
      char what[40];
      snprintf(what, sizeof what, "norm of shape %d", k);
      check(zg_convolution_norm(&c), written_out(&c), usual, what);
      free(W);
    }
}

static void a_multiple_has_the_multiple_norm(void) {
  const double units[] = {-3, 1e-300, 1e-160, 1e160, 1e300};
  for (int k = 0; k < SHAPES; k++) {
    zg_convolution c = shapes[k];
    int64_t count = c.out * c.in * c.kernel[0] * c.kernel[1];
    double *W = random_weights(&c, 5), *scaled = random_weights(&c, 5);
    c.weights = W;
    double expected = zg_convolution_norm(&c).value;
    for (int u = 0; u < 5; u++) {
      for (int64_t i = 0; i < count; i++)
        scaled[i] = units[u] * W[i];
      c.weights = scaled;
      check(zg_convolution_norm(&c), expected * fabs(units[u]), usual, "multiple");
    }
    free(W);
    free(scaled);
  }
}

static void a_kernel_that_only_shifts_has_norm_one(void) {
  for (int k = 0; k < SHAPES; k++) {
    zg_convolution c = shapes[k];
    if (c.input[0] < 5) continue;
    int64_t taps = c.kernel[0] * c.kernel[1];
    double *W = calloc((size_t)(c.out * c.in * taps), sizeof *W);
    for (int64_t o = 0; o < c.out && o < c.in; o++)
      W[(o * c.in + o) * taps + taps / 2] = 1;
    c.weights = W;
    zg_norm norm = zg_convolution_norm(&c);
    /* Where padding and stride repeat a part of the image, it counts as often. */
    if (c.circular)
      check(norm, written_out(&c), usual, "shift");
    else
      check(norm, 1, usual, "shift");
    free(W);
  }
}

static void kernels_of_zeros_and_not_of_numbers(void) {
  for (int k = 0; k < SHAPES; k++) {
    zg_convolution c = shapes[k];
    double *W = calloc((size_t)(c.out * c.in * c.kernel[0] * c.kernel[1]), sizeof *W);
    c.weights = W;
    zg_norm norm = zg_convolution_norm(&c);
    CU_ASSERT(norm.converged && norm.value == 0);
    W[0] = NAN;
    norm = zg_convolution_norm(&c);
    CU_ASSERT(!norm.converged && isnan(norm.value));
    free(W);
  }
}

/* Second differences along both axes: circular, all frequencies are eigenvectors and
 * the highest one has 4 + 4; between zeros the eigenvalues are sums of 2 - 2 cos. */
static void the_discrete_laplacian_has_its_closed_form(void) {
  const double W[9] = {0, -1, 0, -1, 4, -1, 0, -1, 0}, pi = acos(-1);
  zg_convolution c = {.out = 1,
                      .in = 1,
                      .groups = 1,
                      .kernel = {3, 3},
                      .input = {14, 20},
                      .stride = {1, 1},
                      .dilation = {1, 1},
                      .padding = {1, 1, 1, 1},
                      .weights = W};
  check(zg_convolution_norm(&c), 4 + 2 * cos(pi / 15) + 2 * cos(pi / 21), promised,
        "Laplacian between zeros");
  c.circular = true;
  check(zg_convolution_norm(&c), 8, 1e-14, "circular Laplacian");
  c.input[0] = 15;
  check(zg_convolution_norm(&c), 6 + 2 * cos(pi / 15), 1e-14, "odd circular Laplacian");
}

/* Between zeros on 3 x 3 pixels the Laplacian has 4 + 4 cos(pi / 4) = 6.83, more than
 * the 6 that it has on a torus of that size: a bound from there would lose it to the
 * other group's 6.5. */
static void the_group_with_the_largest_norm_is_not_dismissed(void) {
  const double W[18] = {0, 0, 0, 0, 6.5, 0, 0, 0, 0, 0, -1, 0, -1, 4, -1, 0, -1, 0};
  zg_convolution c = {.out = 2,
                      .in = 1,
                      .groups = 2,
                      .kernel = {3, 3},
                      .input = {3, 3},
                      .stride = {1, 1},
                      .dilation = {1, 1},
                      .padding = {1, 1, 1, 1},
                      .weights = W};
  check(zg_convolution_norm(&c), 4 + 4 * cos(acos(-1) / 4), promised, "two groups");
}

/* A mean over the image: rank one, norm |kernel| |1|. */
static void positive_kernels_sum(void) {
  double W[2 * 3 * 9];
  zg_convolution c = {.out = 2,
                      .in = 3,
                      .groups = 1,
                      .kernel = {3, 3},
                      .input = {12, 10},
                      .stride = {1, 1},
                      .dilation = {1, 1},
                      .padding = {1, 1, 1, 1},
                      .circular = true,
                      .weights = W};
  for (int k = 0; k < 2 * 3 * 9; k++)
    W[k] = 1;
  /* at frequency 0: the 2 x 3 matrix of nines */
  check(zg_convolution_norm(&c), 9 * sqrt(6), 1e-14, "kernel of ones");
}

/* Channels so many that frequencies are iterated on, and a kernel whose largest
 * frequency is known: a random orthogonal-like matrix times a scalar kernel. */
static void many_channels_factorise(void) {
  enum { CHANNELS = 110 };
  double *W = malloc(sizeof *W * CHANNELS * CHANNELS * 9);
  double *A = malloc(sizeof *A * CHANNELS * CHANNELS), scalar[9];
  for (int a = 0; a < 9; a++)
    scalar[a] = zg_test_random(31, (unsigned long)a);
  for (int k = 0; k < CHANNELS * CHANNELS; k++) {
    A[k] = zg_test_random(32, (unsigned long)k);
    for (int a = 0; a < 9; a++)
      W[k * 9 + a] = A[k] * scalar[a];
  }
  zg_convolution c = shapes[15], one = shapes[15];
  c.out = c.in = CHANNELS;
  c.weights = W;
  one.out = one.in = 1;
  one.weights = scalar;
  check(zg_convolution_norm(&c),
        written_out(&one) * largest_singular_value(CHANNELS, CHANNELS, A), usual,
        "product of channels and taps");
  free(W);
  free(A);
}

/* |A x|^2 for the circular convolution of one part of a complex wave, or |A'y|^2. */
static double squared_length(const zg_convolution *c, bool of_output,
                             const double *from) {
  int64_t h = c->input[0], w = c->input[1], kw = c->kernel[1];
  int64_t to = of_output ? c->in : c->out;
  double *sum = calloc((size_t)(to * h * w), sizeof *sum), length = 0;
  for (int64_t o = 0; o < c->out; o++)
    for (int64_t i = 0; i < c->in; i++)
      for (int64_t p = 0; p < h * w; p++)
        for (int64_t a = 0; a < c->kernel[0] * kw; a++) {
          int64_t y = place(c, 0, p / w, a / kw), x = place(c, 1, p % w, a % kw);
          int64_t in = i * h * w + y * w + x, out = o * h * w + p;
          double factor = c->weights[(o * c->in + i) * c->kernel[0] * kw + a];
          sum[of_output ? in : out] += factor * from[of_output ? out : in];
        }
  for (int64_t k = 0; k < to * h * w; k++)
    length += sum[k] * sum[k];
  free(sum);
  return length;
}

/* The wave that is found is stretched by the norm. */
static void the_peak_is_a_singular_vector(void) {
  const int64_t channels[][2] = {{5, 3}, {3, 5}, {4, 4}};
  for (int k = 0; k < 3; k++) {
    zg_convolution c = shapes[0];
    c.out = channels[k][0];
    c.in = channels[k][1];
    c.circular = true;
    double *W = random_weights(&c, 41), vector[10], wave[2][5 * 6 * 7];
    c.weights = W;
    zg_peak peak = {.vector = vector};
    CU_ASSERT(zg_torus_peak(&c, &peak));
    CU_ASSERT_EQUAL(peak.of_output, k > 0);
    int64_t side = peak.of_output ? c.out : c.in;
    double stretched = 0, length = 0;
    for (int64_t x = 0; x < side * 42; x++) {
      double angle =
          peak.turn[0] * (double)(x % 42 / 7) + peak.turn[1] * (double)(x % 7);
      const double *u = vector + 2 * (x / 42);
      wave[0][x] = u[0] * cos(angle) - u[1] * sin(angle);
      wave[1][x] = u[0] * sin(angle) + u[1] * cos(angle);
    }
    for (int part = 0; part < 2; part++) {
      stretched += squared_length(&c, peak.of_output, wave[part]);
      for (int64_t x = 0; x < side * 42; x++)
        length += wave[part][x] * wave[part][x];
    }
    check(zg_convolution_norm(&c), sqrt(stretched / length), usual, "peak");
    free(W);
  }
}

/* More channels than are transformed at once. */
static void many_channels_between_zeros(void) {
  const int64_t channels[][2] = {{33, 40}, {40, 33}};
  for (int k = 0; k < 2; k++) {
    zg_convolution c = shapes[0];
    c.out = channels[k][0];
    c.in = channels[k][1];
    c.input[0] = 4;
    c.input[1] = 5;
    double *W = random_weights(&c, 43);
    c.weights = W;
    check(zg_convolution_norm(&c), written_out(&c), usual, "many channels");
    free(W);
  }
}

static void output_sizes_are_those_of_pytorch(void) {
  int64_t output[2];
  zg_convolution c = shapes[4];
  zg_convolution_output(&c, output);
  CU_ASSERT(output[0] == (7 + 3 - 2 * 2 - 1) / 2 + 1 && output[1] == 9 + 3 - 4);
  c.input[0] = 1;
  zg_convolution_output(&c, output);
  CU_ASSERT(output[0] <= 0);
}

const zg_test zg_tests[] = {
    {"every_geometry_agrees_with_the_map_written_out",
     every_geometry_agrees_with_the_map_written_out},
    {"a_multiple_has_the_multiple_norm", a_multiple_has_the_multiple_norm},
    {"a_kernel_that_only_shifts_has_norm_one", a_kernel_that_only_shifts_has_norm_one},
    {"kernels_of_zeros_and_not_of_numbers", kernels_of_zeros_and_not_of_numbers},
    {"the_discrete_laplacian_has_its_closed_form",
     the_discrete_laplacian_has_its_closed_form},
    {"the_group_with_the_largest_norm_is_not_dismissed",
     the_group_with_the_largest_norm_is_not_dismissed},
    {"positive_kernels_sum", positive_kernels_sum},
    {"many_channels_factorise", many_channels_factorise},
    {"the_peak_is_a_singular_vector", the_peak_is_a_singular_vector},
    {"many_channels_between_zeros", many_channels_between_zeros},
    {"output_sizes_are_those_of_pytorch", output_sizes_are_those_of_pytorch},
    {NULL, NULL}};
