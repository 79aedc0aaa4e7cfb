#include "engine/factors.h"

#include "base/memory.h"
#include "linalg/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct zg_factor_store {
  zg_work *work;
  zg_tangent_spec spec;
  zg_precision precision;
  zg_factors *kept;
  int64_t capacity, samples, clock;
};

zg_factor_store *zg_factors_open(zg_work *work, const zg_tangent_spec *spec,
                                 zg_precision precision, int64_t capacity,
                                 int64_t samples) {
  zg_factor_store *store = ZG_NEW0(zg_factor_store, 1);
  *store = (zg_factor_store){.work = work,
                             .spec = *spec,
                             .precision = precision,
                             .kept = ZG_NEW0(zg_factors, capacity),
                             .capacity = capacity,
                             .samples = samples};
  for (int64_t k = 0; k < capacity; k++)
    store->kept[k].clock = -1;
  return store;
}

static void clear(zg_factors *f) {
  for (int64_t l = 0; l < f->layer_count; l++) {
    free(f->layers[l].input);
    free(f->layers[l].signal);
    free(f->layers[l].ids);
    free(f->layers[l].used);
  }
  free(f->layers);
  free(f->sketch);
  *f = (zg_factors){.clock = -1};
}

void zg_factors_close(zg_factor_store **store) {
  if (!*store) return;
  for (int64_t k = 0; k < (*store)->capacity; k++)
    clear(&(*store)->kept[k]);
  free((*store)->kept);
  free(*store);
  *store = NULL;
}

/* ---- numbers into place ---- */

static void put(zg_precision precision, void *to, int64_t at, const double *from,
                int64_t count) {
  if (precision == ZG_DOUBLE) {
    memcpy((double *)to + at, from, (size_t)count * sizeof *from);
  } else {
    float *out = (float *)to + at;
    for (int64_t k = 0; k < count; k++)
      out[k] = (float)from[k];
  }
}

/* Samples that are read together: a slab of about a MiB. */
static int64_t samples_ahead(int64_t d) {
  return zg_max(1, ((int64_t)1 << 17) / d);
}

/* One sample of an array as doubles, valid until the next call with this `ahead`. */
static zg_status read_numbers(zg_work *work, int64_t array, int64_t sample, int64_t end,
                              zg_lookahead *ahead, const double **numbers,
                              bool *finite) {
  int64_t d = work->run->zoo->arrays[array].d;
  if (sample < ahead->first || sample >= ahead->first + ahead->count) {
    int64_t count = zg_min(samples_ahead(d), end - sample);
    ahead->count = 0;
    ZG_TRY(zg_reader_doubles(work->reader, array, sample, count, ahead->numbers));
    ahead->first = sample;
    ahead->count = count;
  }
  *numbers = ahead->numbers + (sample - ahead->first) * d;
  *finite = *finite && zg_all_finite(ZG_DOUBLE, *numbers, d);
  return ZG_OK;
}

/* From [C, S, out] in the file to [E, S, W]: without all class pairs the classes of a
 * position come to lie side by side. */
static void arrange_signal(const zg_factor *f, const double *from, double *to) {
  int64_t C = f->layer.classes, S = f->layer.positions, out = f->layer.out;
  if (f->rows == C) {
    memcpy(to, from, (size_t)(C * S * out) * sizeof *to);
    return;
  }
  for (int64_t c = 0; c < C; c++)
    for (int64_t s = 0; s < S; s++)
      memcpy(to + (s * C + c) * out, from + (c * S + s) * out,
             (size_t)out * sizeof *to);
}

/* ---- one sample ---- */

static zg_status read_input(zg_work *work, const zg_factor *f, int64_t sample,
                            zg_factor_sample *to, bool *finite) {
  int64_t S = f->layer.positions, in = f->layer.in, wide = in + f->layer.bias;
  const double *from;
  ZG_TRY(
      read_numbers(work, f->layer.input, sample, to->end, &to->inputs, &from, finite));
  for (int64_t s = 0; s < S; s++) {
    memcpy(to->input + s * wide, from + s * in, (size_t)in * sizeof(double));
    if (f->layer.bias) to->input[s * wide + in] = 1;
  }
  return ZG_OK;
}

zg_status zg_factor_read(zg_work *work, const zg_factor *f, int64_t sample,
                         zg_factor_sample *to, bool *finite) {
  int64_t array = f->layer.direct >= 0 ? f->layer.direct : f->layer.signal;
  const double *from;
  ZG_TRY(read_numbers(work, array, sample, to->end, &to->signals, &from, finite));
  if (f->layer.direct >= 0)
    memcpy(to->signal, from, (size_t)(f->rows * f->width) * sizeof *from);
  else
    arrange_signal(f, from, to->signal);
  if (f->layer.input >= 0) ZG_TRY(read_input(work, f, sample, to, finite));
  if (f->layer.index >= 0)
    ZG_TRY(zg_reader_integers(work->reader, f->layer.index, sample, 1, to->indices));
  return ZG_OK;
}

static zg_lookahead make_ahead(int64_t d, int64_t samples) {
  int64_t numbers = d * zg_min(samples, samples_ahead(d));
  return (zg_lookahead){.numbers = ZG_NEW(double, numbers)};
}

void zg_factor_sample_create(const zg_factor *f, const zg_factors *run,
                             zg_factor_sample *sample) {
  int64_t S = f->layer.positions, signals = S * f->layer.classes * f->layer.out;
  int64_t inputs = S * (f->layer.in + 1);
  *sample =
      (zg_factor_sample){.input = ZG_NEW(double, inputs),
                         .signal = ZG_NEW(double, signals),
                         .indices = ZG_NEW(int64_t, S),
                         .inputs = make_ahead(zg_max(1, S * f->layer.in), run->samples),
                         .signals = make_ahead(signals, run->samples),
                         .end = run->first + run->samples};
}

void zg_factor_sample_destroy(zg_factor_sample *sample) {
  free(sample->input);
  free(sample->signal);
  free(sample->indices);
  free(sample->inputs.numbers);
  free(sample->signals.numbers);
}

/* ---- indices ---- */

static int compare_ids(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* The different indices of a sample, ascending, with -1 in front where there is a bias,
 * which every position shares. */
static int64_t unique_ids(const zg_factor *f, const int64_t *indices, int64_t *ids) {
  int64_t S = f->layer.positions, count = 0;
  if (f->layer.bias) ids[count++] = -1;
  memcpy(ids + count, indices, (size_t)S * sizeof *ids);
  qsort(ids + count, (size_t)S, sizeof *ids, compare_ids);
  int64_t end = count + S;
  for (int64_t k = count; k < end; k++)
    if (k == f->layer.bias || ids[k] != ids[count - 1]) ids[count++] = ids[k];
  return count;
}

static int64_t find_id(const int64_t *ids, int64_t count, int64_t id) {
  const int64_t *found = bsearch(&id, ids, (size_t)count, sizeof *ids, compare_ids);
  return found - ids;
}

/* Signals of positions with equal indices add up: [E, S + 1, W]. */
static void sum_by_id(const zg_factor *f, const int64_t *indices, const int64_t *ids,
                      int64_t used, const double *signal, double *sums) {
  int64_t S = f->layer.positions, W = f->width;
  memset(sums, 0, (size_t)(f->rows * (S + 1) * W) * sizeof *sums);
  for (int64_t s = 0; s < S; s++) {
    int64_t place[2] = {find_id(ids, used, indices[s]), 0};
    for (int64_t e = 0; e < f->rows; e++)
      for (int p = 0; p < 1 + f->layer.bias; p++)
        for (int64_t w = 0; w < W; w++)
          sums[(e * (S + 1) + place[p]) * W + w] += signal[(e * S + s) * W + w];
  }
}

static void keep_indexed(const zg_factor *f, const zg_factors *run, int64_t a,
                         const zg_factor_sample *sample) {
  int64_t slots = f->layer.positions + 1, count = f->rows * slots * f->width;
  int64_t *ids = f->ids + a * slots;
  double *sums = ZG_NEW(double, count);
  f->used[a] = unique_ids(f, sample->indices, ids);
  sum_by_id(f, sample->indices, ids, f->used[a], sample->signal, sums);
  put(run->precision, f->signal, a * count, sums, count);
  free(sums);
}

static void keep_sample(const zg_factor *f, const zg_factors *run, int64_t a,
                        const zg_factor_sample *sample) {
  int64_t S = f->layer.positions, signals = f->layer.classes * S * f->layer.out;
  int64_t inputs = S * (f->layer.in + f->layer.bias);
  if (f->layer.index >= 0) {
    keep_indexed(f, run, a, sample);
    return;
  }
  put(run->precision, f->signal, a * signals, sample->signal, signals);
  if (f->layer.input >= 0)
    put(run->precision, f->input, a * inputs, sample->input, inputs);
}

/* ---- a run ---- */

static void describe_layer(const zg_factor_store *store, const zg_tangent_layer *layer,
                           zg_factor *f) {
  f->layer = *layer;
  f->rows = store->spec.full ? layer->classes : 1;
  f->width = layer->classes * layer->out / f->rows;
  f->expands = zg_plan_expands(layer, store->spec.full, store->samples);
  f->streamed = layer->direct >= 0 && !zg_plan_layer_numbers(layer, store->samples);
}

static void allocate_layer(const zg_factors *run, zg_factor *f) {
  const zg_tangent_layer *layer = &f->layer;
  size_t real = zg_real_size(run->precision);
  int64_t S = layer->positions, samples = run->samples;
  if (layer->input >= 0)
    f->input = zg_alloc(samples * S * (layer->in + layer->bias), real);
  if (layer->index >= 0) {
    S++;
    f->ids = ZG_NEW(int64_t, samples * S);
    f->used = ZG_NEW(int64_t, samples);
  }
  f->signal = zg_alloc(samples * layer->classes * S * layer->out, real);
}

static zg_status fill_layer(zg_factor_store *store, zg_factors *run, zg_factor *f) {
  zg_factor_sample sample;
  zg_status status = ZG_OK;
  if (f->streamed) return ZG_OK;
  allocate_layer(run, f);
  zg_factor_sample_create(f, run, &sample);
  for (int64_t a = 0; status == ZG_OK && a < run->samples; a++) {
    status = zg_factor_read(store->work, f, run->first + a, &sample, &run->finite);
    if (status == ZG_OK) keep_sample(f, run, a, &sample);
  }
  zg_factor_sample_destroy(&sample);
  return status;
}

static zg_status fill(zg_factor_store *store, int64_t model, int64_t first,
                      int64_t samples, zg_factors *run) {
  zg_tangent_layer *layers;
  int64_t count =
      zg_plan_tangent_layers(store->work->run->zoo, &store->spec, model, &layers);
  *run = (zg_factors){.model = model,
                      .first = first,
                      .samples = samples,
                      .precision = store->precision,
                      .layers = ZG_NEW0(zg_factor, count),
                      .layer_count = count,
                      .finite = true,
                      .clock = -1};
  zg_status status = ZG_OK;
  for (int64_t l = 0; l < count; l++)
    describe_layer(store, &layers[l], &run->layers[l]);
  for (int64_t l = 0; status == ZG_OK && l < count; l++)
    status = store->spec.sketch ? ZG_OK : fill_layer(store, run, &run->layers[l]);
  free(layers);
  if (status == ZG_OK && store->spec.sketch)
    status = zg_factors_sketch(store->work, &store->spec, run);
  return status;
}

zg_status zg_factors_get(zg_factor_store *store, int64_t model, int64_t first,
                         int64_t samples, const zg_factors **factors) {
  zg_factors *oldest = &store->kept[0], *found = NULL;
  for (int64_t k = 0; k < store->capacity; k++) {
    zg_factors *f = &store->kept[k];
    if (f->clock >= 0 && f->model == model && f->first == first &&
        f->samples == samples)
      found = f;
    if (f->clock < oldest->clock) oldest = f;
  }
  if (!found) {
    found = oldest;
    clear(found);
    zg_phase_start(store->work, ZG_PHASE_READ);
    zg_status status = fill(store, model, first, samples, found);
    zg_phase_stop(store->work, ZG_PHASE_READ);
    if (status != ZG_OK) return status; /* not marked as used, so never found */
  }
  found->clock = store->clock++;
  *factors = found;
  return ZG_OK;
}
