/** \file
 * The factors of models' tangent kernels for runs of samples, laid out for products.
 * The runs used last stay while the plan's memory lasts. Not collective: every rank
 * reads for itself. */
#ifndef ZG_ENGINE_FACTORS_H
#define ZG_ENGINE_FACTORS_H

#include "engine/work.h"

/** A layer's factors of some samples, in the precision of its run. E is the number of
 * rows per sample and W the width of a signal in one: C and out with all class pairs,
 * 1 and C out without. */
typedef struct zg_factor {
  zg_tangent_layer layer;
  int64_t rows;  /**< E */
  int64_t width; /**< W */
  bool expands;  /**< see zg_plan_expands */
  bool
      streamed; /**< direct derivatives that are not held: read where they are needed */
  void *input;  /**< [samples, S, in + bias], the last column ones */
  void *signal; /**< [samples, E, S, W], direct: [samples, E, W]; by index
                   [samples, E, S + 1, W], summed over equal indices */
  int64_t *ids; /**< by index: [samples, S + 1] ascending, -1 for the bias */
  int64_t *used; /**< by index: [samples] how many */
} zg_factor;

/** A run of samples of one model. */
typedef struct zg_factors {
  int64_t model, first, samples;
  zg_precision precision;
  zg_factor *layers;
  int64_t layer_count;
  void *sketch; /**< [ZG_SKETCHES, sketch_rows, sketch_length] instead of layers; NULL:
                   none */
  int64_t sketch_rows, sketch_length; /**< samples E; numbers of one of the sketches */
  bool finite;
  int64_t clock; /**< when last used; -1: empty */
} zg_factors;

typedef struct zg_factor_store zg_factor_store;

/** \param [in] spec      which kernels; `full`, `source` and `sketch` count.
 * \param [in] capacity  runs that stay, at least 2.
 * \param [in] samples   of the largest run, which decides how layers are multiplied. */
zg_factor_store *zg_factors_open(zg_work *work, const zg_tangent_spec *spec,
                                 zg_precision precision, int64_t capacity,
                                 int64_t samples);
void zg_factors_close(zg_factor_store **store);

/** Samples [first, first + samples) of a model.
 * \param [out] factors  borrowed; valid until the second next call. */
zg_status zg_factors_get(zg_factor_store *store, int64_t model, int64_t first,
                         int64_t samples, const zg_factors **factors);

/** Samples of an array that were read together. */
typedef struct zg_lookahead {
  double *numbers;
  int64_t first, count;
} zg_lookahead;

/** One sample of a layer as doubles; owned. */
typedef struct zg_factor_sample {
  double *input;    /**< [S, in + bias] */
  double *signal;   /**< [E, S, W]; direct: [E, W] */
  int64_t *indices; /**< [S] */
  zg_lookahead inputs, signals;
  int64_t end; /**< no sample from here on is read ahead */
} zg_factor_sample;
/** For the samples of a run. */
void zg_factor_sample_create(const zg_factor *factor, const zg_factors *run,
                             zg_factor_sample *sample);
void zg_factor_sample_destroy(zg_factor_sample *sample);
/** \param [in,out] finite  becomes false when a number is not. */
zg_status zg_factor_read(zg_work *work, const zg_factor *factor, int64_t sample,
                         zg_factor_sample *to, bool *finite);

/** Fill `sketch` from the files: independent TensorSketches of every row of the
 * Jacobian, one sample at a time in memory. */
zg_status zg_factors_sketch(zg_work *work, const zg_tangent_spec *spec,
                            zg_factors *run);

#endif
