/** \file
 * Sketched Jacobians: for every row ZG_SKETCHES independent TensorSketches of the sum
 * over layers of input (x) signal. All models use the same hashes for equal shapes,
 * different ones for different layers, so that products across layers vanish on
 * average. */
#include "linalg/sketch.h"
#include "base/memory.h"
#include "engine/factors.h"

#include <stdlib.h>

/* Rows of an embedding table that any sample names, and one in front for the bias. */
static zg_status table_rows(zg_work *work, const zg_factor *f, int64_t *rows) {
  const zg_array *array = &work->run->zoo->arrays[f->layer.index];
  int64_t *indices = ZG_NEW(int64_t, array->d), most = 0;
  zg_status status = ZG_OK;
  for (int64_t a = 0; status == ZG_OK && a < array->n; a++) {
    status = zg_reader_integers(work->reader, f->layer.index, a, 1, indices);
    for (int64_t k = 0; status == ZG_OK && k < array->d; k++)
      most = zg_max(most, indices[k]);
  }
  free(indices);
  *rows = most + 2;
  return status;
}

static void add_row(const zg_factor *f, zg_sketch *sketch,
                    const zg_factor_sample *sample, int64_t e, double *z) {
  int64_t S = f->layer.positions;
  const double *signal = sample->signal + e * S * f->width;
  if (f->layer.direct >= 0) {
    zg_count_sketch_add(sketch, signal, z);
  } else if (f->layer.input >= 0) {
    zg_sketch_add(sketch, S, sample->input, signal, z);
  } else {
    zg_sketch_add_index(sketch, S, sample->indices, signal, z);
    if (f->layer.bias) zg_sketch_add_index(sketch, S, sample->indices + S, signal, z);
  }
}

/* Indices move up by one; behind them stands the bias's index for every position. */
static void shift_indices(const zg_factor *f, zg_factor_sample *sample) {
  int64_t S = f->layer.positions;
  sample->indices = zg_realloc(sample->indices, 2 * S, sizeof *sample->indices);
  for (int64_t s = 0; s < S; s++) {
    sample->indices[s]++;
    sample->indices[S + s] = 0;
  }
}

static zg_status add_layer(zg_work *work, zg_factors *run, int64_t l, double *rows) {
  const zg_factor *f = &run->layers[l];
  int64_t first = f->layer.in + f->layer.bias, length = run->sketch_length;
  zg_sketch *sketches[ZG_SKETCHES];
  zg_factor_sample sample;
  if (f->layer.index >= 0) ZG_TRY(table_rows(work, f, &first));
  for (int64_t g = 0; g < ZG_SKETCHES; g++)
    sketches[g] = zg_sketch_create(length, zg_max(1, first), f->width,
                                   (uint64_t)(l * ZG_SKETCHES + g + 1));
  zg_factor_sample_create(f, run, &sample);
  zg_status status = ZG_OK;
  for (int64_t a = 0; status == ZG_OK && a < run->samples; a++) {
    status = zg_factor_read(work, f, run->first + a, &sample, &run->finite);
    if (status != ZG_OK) break;
    if (f->layer.index >= 0) shift_indices(f, &sample);
    for (int64_t g = 0; g < ZG_SKETCHES; g++)
      for (int64_t e = 0; e < f->rows; e++)
        add_row(f, sketches[g], &sample, e,
                rows + (g * run->sketch_rows + a * f->rows + e) * length);
  }
  zg_factor_sample_destroy(&sample);
  for (int64_t g = 0; g < ZG_SKETCHES; g++)
    zg_sketch_destroy(&sketches[g]);
  return status;
}

zg_status zg_factors_sketch(zg_work *work, const zg_tangent_spec *spec,
                            zg_factors *run) {
  run->sketch_length = spec->sketch / ZG_SKETCHES;
  run->sketch_rows = run->samples * run->layers[0].rows;
  int64_t numbers = ZG_SKETCHES * run->sketch_rows * run->sketch_length;
  double *rows = ZG_NEW0(double, numbers);
  zg_status status = ZG_OK;
  for (int64_t l = 0; status == ZG_OK && l < run->layer_count; l++)
    status = add_layer(work, run, l, rows);
  run->sketch = rows;
  if (run->precision == ZG_DOUBLE || status != ZG_OK) return status;
  float *narrowed = ZG_NEW(float, numbers);
  for (int64_t k = 0; k < numbers; k++)
    narrowed[k] = (float)rows[k];
  run->sketch = narrowed;
  free(rows);
  return ZG_OK;
}
