#include "cli/synthetic.h"

#include "base/memory.h"
#include "zoo/h5.h"

#include <hdf5_hl.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_BYTES = 128, CLASSES = 10, INSIDE = 256, OUTSIDE = 128 };

/* A number of [-0.5, 0.5) (Marsaglia's xorshift). */
static float next_number(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return (float)(*state >> 40) * 0x1p-24f - 0.5f;
}

/* Rows differ in size, as those of activations do. */
static void fill(int64_t rows, int64_t width, uint64_t *state, float *values) {
  for (int64_t r = 0; r < rows; r++) {
    float size = 1 + next_number(state);
    for (int64_t k = 0; k < width; k++)
      values[r * width + k] = size * next_number(state);
  }
}

/* A dataset of random numbers; the groups above it come with it. */
static bool write_array(hid_t file, const char *path, int rank, const hsize_t *dims,
                        uint64_t *state) {
  int64_t rows = (int64_t)dims[0], width = 1;
  for (int k = 1; k < rank; k++)
    width *= (int64_t)dims[k];
  int64_t size = rows * width;
  float *values = ZG_NEW(float, size);
  fill(rows, width, state, values);
  ZG_H5 space = H5Screate_simple(rank, dims, NULL);
  ZG_H5 links = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_create_intermediate_group(links, 1);
  ZG_H5 data =
      H5Dcreate2(file, path, H5T_IEEE_F32LE, space, links, H5P_DEFAULT, H5P_DEFAULT);
  bool written = data >= 0 && H5Dwrite(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL,
                                       H5P_DEFAULT, values) >= 0;
  free(values);
  return written;
}

static bool write_arrays(hid_t file, const zg_synthetic *arrays, uint64_t *state) {
  const hsize_t dims[] = {(hsize_t)arrays->n, (hsize_t)arrays->d};
  bool written = true;
  for (int64_t k = 0; written && k < arrays->count; k++) {
    char path[NAME_BYTES];
    const char *format =
        arrays->models ? "/models/%s%03d/weights/w" : "/models/m/activations/%s%03d";
    snprintf(path, sizeof path, format, arrays->name, (int)k);
    written = write_array(file, path, 2, dims, state);
  }
  return written;
}

static bool write_factors(hid_t file, const zg_synthetic *arrays, int64_t samples,
                          uint64_t *state) {
  const hsize_t input[] = {(hsize_t)samples, INSIDE};
  const hsize_t signal[] = {(hsize_t)samples, CLASSES, OUTSIDE};
  bool written = true;
  for (int k = 0; written && k < 2; k++) {
    char path[NAME_BYTES];
    snprintf(path, sizeof path, "/models/%s%03d/ntk/l/input", arrays->name, k);
    written = write_array(file, path, 2, input, state);
    snprintf(path, sizeof path, "/models/%s%03d/ntk/l/signal", arrays->name, k);
    written = written && write_array(file, path, 3, signal, state);
  }
  return written;
}

zg_status zg_synthetic_write(const char *path, const zg_synthetic *arrays,
                             int64_t samples) {
  const int version = 1;
  uint64_t state = 88172645463325252;
  zg_h5_start();
  hid_t file = H5Fcreate(path, H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT);
  if (file < 0) return zg_fail(ZG_ERR_CREATE, "%s: cannot be made", path);
  bool written = H5LTset_attribute_string(file, "/", "format", "zoogram-zoo") >= 0 &&
                 H5LTset_attribute_int(file, "/", "version", &version, 1) >= 0;
  for (; written && arrays->name; arrays++) {
    written = write_arrays(file, arrays, &state);
    if (arrays->models)
      written = written && write_factors(file, arrays, samples, &state);
  }
  written = H5Fclose(file) >= 0 && written;
  return written ? ZG_OK : zg_fail(ZG_ERR_WRITE, "%s: cannot be written", path);
}
