#include "engine/factored.h"

#include "base/memory.h"
#include "files.h"
#include "mpi_main.h"

#include <hdf5_hl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

static double input(const zg_test_layer *l, int64_t a, int64_t s, int64_t i) {
  return zg_test_random(l->seed, (unsigned long)((a * l->S + s) * l->in + i)) + 0.25;
}

static double signal_at(const zg_test_layer *l, int64_t at) {
  return zg_test_random(l->seed + 1000, (unsigned long)at) +
         l->nudge * zg_test_random(l->seed + 3000, (unsigned long)at);
}

static double signal(const zg_test_layer *l, int64_t classes, int64_t a, int64_t c,
                     int64_t s, int64_t o) {
  return signal_at(l, ((a * classes + c) * l->S + s) * l->out + o);
}

/* A row of the table; the same one for several positions. */
static int64_t row_of(const zg_test_layer *l, int64_t a, int64_t s) {
  double x = zg_test_random(l->seed + 2000, (unsigned long)(a * l->S + s));
  return (int64_t)((x + 1) / 2 * (double)l->in) % l->in;
}

/* ---- the file ---- */

static void write_array(hid_t file, const char *path, hid_t type, int rank,
                        const int64_t *shape, const double *values) {
  hsize_t dims[4];
  for (int k = 0; k < rank; k++)
    dims[k] = (hsize_t)shape[k];
  zg_test_zoo_dataset(file, path, type, rank, dims, values);
}

static void write_signal(hid_t file, const char *group, const zg_test_layer *l,
                         int64_t m, int64_t classes) {
  char path[ZG_TEST_PATH_BYTES];
  bool positions = l->S > 1 || l->kind == ZG_TEST_INDEXED;
  int64_t count = m * classes * l->S * l->out;
  double *values = ZG_NEW(double, count);
  for (int64_t k = 0; k < count; k++)
    values[k] = signal_at(l, k);
  const int64_t with[4] = {m, classes, l->S, l->out}, without[3] = {m, classes, l->out};
  snprintf(path, sizeof path, "%.200s/signal", group);
  write_array(file, path, H5T_IEEE_F64LE, positions ? 4 : 3, positions ? with : without,
              values);
  free(values);
}

static void write_input(hid_t file, const char *group, const zg_test_layer *l,
                        int64_t m) {
  char path[ZG_TEST_PATH_BYTES];
  int64_t count = m * l->S * l->in;
  double *values = ZG_NEW(double, count);
  for (int64_t k = 0; k < count; k++)
    values[k] = input(l, k / (l->S * l->in), k / l->in % l->S, k % l->in);
  const int64_t with[3] = {m, l->S, l->in}, without[2] = {m, l->in};
  snprintf(path, sizeof path, "%.200s/input", group);
  write_array(file, path, H5T_IEEE_F64LE, l->S > 1 ? 3 : 2, l->S > 1 ? with : without,
              values);
  free(values);
}

static void write_index(hid_t file, const char *group, const zg_test_layer *l,
                        int64_t m) {
  char path[ZG_TEST_PATH_BYTES];
  int64_t count = m * l->S;
  double *values = ZG_NEW(double, count);
  for (int64_t k = 0; k < count; k++)
    values[k] = (double)row_of(l, k / l->S, k % l->S);
  const int64_t shape[2] = {m, l->S};
  snprintf(path, sizeof path, "%.200s/index", group);
  write_array(file, path, H5T_STD_I32LE, 2, shape, values);
  free(values);
}

/* Explicit derivatives have no positions: the numbers of a signal with S = 1. */
static void write_direct(hid_t file, const char *path, const zg_test_layer *l,
                         int64_t m, int64_t classes) {
  int64_t count = m * classes * l->out;
  double *values = ZG_NEW(double, count);
  for (int64_t k = 0; k < count; k++)
    values[k] = signal_at(l, k);
  const int64_t shape[3] = {m, classes, l->out};
  write_array(file, path, H5T_IEEE_F64LE, 3, shape, values);
  free(values);
}

void zg_test_layer_write(hid_t file, const char *model, const zg_test_layer *l,
                         int64_t m, int64_t classes) {
  char path[ZG_TEST_PATH_BYTES];
  int bias = l->bias;
  if (l->kind == ZG_TEST_JACOBIAN) {
    snprintf(path, sizeof path, "/models/%s/jacobian", model);
    write_direct(file, path, l, m, classes);
    return;
  }
  snprintf(path, sizeof path, "/models/%s/ntk/%s", model, l->name);
  zg_test_zoo_group(file, path, 0);
  H5LTset_attribute_int(file, path, "bias", &bias, 1);
  if (l->kind == ZG_TEST_DIRECT) {
    snprintf(path, sizeof path, "/models/%s/ntk/%s/direct", model, l->name);
    write_direct(file, path, l, m, classes);
    return;
  }
  write_signal(file, path, l, m, classes);
  if (l->kind == ZG_TEST_DENSE) write_input(file, path, l, m);
  if (l->kind == ZG_TEST_INDEXED) write_index(file, path, l, m);
}

/* ---- the twin ---- */

static bool is_direct(const zg_test_layer *l) {
  return l->kind == ZG_TEST_DIRECT || l->kind == ZG_TEST_JACOBIAN;
}

int64_t zg_test_layer_parameters(const zg_test_layer *l) {
  return is_direct(l) ? l->out : (l->in + l->bias) * l->out;
}

/* What one position adds: weights [in, out], or the table's rows, then the bias. */
static void add_position(const zg_test_layer *l, int64_t a, int64_t s,
                         const long double *B, long double *out) {
  int64_t row = l->kind == ZG_TEST_INDEXED ? row_of(l, a, s) : 0;
  for (int64_t i = 0; i < l->in; i++) {
    double A = l->kind == ZG_TEST_INDEXED ? i == row : input(l, a, s, i);
    for (int64_t o = 0; o < l->out; o++)
      out[i * l->out + o] += A * B[o];
  }
  for (int64_t o = 0; l->bias && o < l->out; o++)
    out[l->in * l->out + o] += B[o];
}

void zg_test_layer_derivatives(const zg_test_layer *l, int64_t classes, int64_t a,
                               int64_t c, long double *out) {
  memset(out, 0, (size_t)zg_test_layer_parameters(l) * sizeof *out);
  long double *B = ZG_NEW(long double, l->out);
  for (int64_t s = 0; s < l->S; s++) {
    for (int64_t o = 0; o < l->out; o++)
      B[o] = signal(l, classes, a, c, s, o);
    if (is_direct(l))
      memcpy(out, B, (size_t)l->out * sizeof *out);
    else
      add_position(l, a, s, B, out);
  }
  free(B);
}

/* [samples * classes, parameters] */
static long double *jacobian(const zg_test_layer *l, int64_t classes, int64_t first,
                             int64_t samples) {
  int64_t p = zg_test_layer_parameters(l);
  long double *J = ZG_NEW(long double, samples *classes *p);
  for (int64_t r = 0; r < samples * classes; r++)
    zg_test_layer_derivatives(l, classes, first + r / classes, r % classes, J + r * p);
  return J;
}

static long double dot(int64_t count, const long double *x, const long double *y) {
  long double sum = 0;
  for (int64_t k = 0; k < count; k++)
    sum += x[k] * y[k];
  return sum;
}

/* Lengths of the rows of a Jacobian. The caller frees. */
static long double *lengths(int64_t rows, int64_t p, const long double *J) {
  long double *norms = ZG_NEW(long double, rows);
  for (int64_t r = 0; r < rows; r++)
    norms[r] = sqrtl(dot(p, J + r * p, J + r * p));
  return norms;
}

static void add_layer(const zg_test_layer *l, int64_t classes, bool full, int64_t a,
                      int64_t rows, int64_t b, int64_t columns, long double *theta,
                      long double *sizes) {
  int64_t p = zg_test_layer_parameters(l), width = full ? columns * classes : columns;
  long double *left = jacobian(l, classes, a, rows);
  long double *right = jacobian(l, classes, b, columns);
  long double *norm_left = lengths(rows * classes, p, left);
  long double *norm_right = lengths(columns * classes, p, right);
  for (int64_t x = 0; x < rows * classes; x++)
    for (int64_t y = 0; y < columns * classes; y++) {
      if (!full && x % classes != y % classes) continue;
      int64_t at = full ? x * width + y : x / classes * width + y / classes;
      theta[at] += dot(p, left + x * p, right + y * p);
      if (sizes) sizes[at] += norm_left[x] * norm_right[y];
    }
  free(left);
  free(right);
  free(norm_left);
  free(norm_right);
}

void zg_test_theta(const zg_test_layer *layers, int64_t count, int64_t classes,
                   bool full, int64_t a, int64_t rows, int64_t b, int64_t columns,
                   long double *theta, long double *sizes) {
  int64_t each = full ? classes * classes : 1;
  for (int64_t k = 0; k < rows * columns * each; k++) {
    theta[k] = 0;
    if (sizes) sizes[k] = 0;
  }
  for (int64_t l = 0; l < count; l++)
    add_layer(&layers[l], classes, full, a, rows, b, columns, theta, sizes);
}
