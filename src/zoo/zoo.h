/** \file
 * The zoo: models and their layers in one or several HDF5 files, and reading from them.
 *
 * Files are opened by every rank for itself (each needs other rows, and external links,
 * virtual and compressed datasets then work as they do everywhere); the catalogue is
 * read by one rank and handed to the others. Nothing here knows of measures or plans.
 */
#ifndef ZG_ZOO_ZOO_H
#define ZG_ZOO_ZOO_H

#include "base/hash.h"
#include "base/status.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

/** Type of the numbers in a file, as far as it matters for reading and for precision.
 */
typedef enum zg_dtype { ZG_FLOAT16, ZG_FLOAT32, ZG_FLOAT64, ZG_OTHER_NUMBER } zg_dtype;
/** "float16", ... */
const char *zg_dtype_name(zg_dtype dtype);
/** Spacing of the numbers at 1 (2^-10, 2^-23, 2^-52). */
double zg_dtype_epsilon(zg_dtype dtype);
/** Bytes of one number in the file. */
int64_t zg_dtype_bytes(zg_dtype dtype);

enum { ZG_MAX_DIMS = 32 };

/** One layer's activations: samples by features, trailing axes flattened in C order. */
typedef struct zg_layer {
  char *name;    /**< owned */
  int64_t model; /**< position of its model in zg_zoo.models */
  int64_t n;     /**< samples in the file */
  int64_t d;     /**< features: product of the trailing axes */
  int rank;      /**< axes in the file */
  int64_t dims[ZG_MAX_DIMS];
  zg_dtype dtype;
  bool compressed; /**< chunks pass a filter */
} zg_layer;

typedef struct zg_model {
  char *name;   /**< owned */
  int64_t file; /**< position in zg_zoo.files */
} zg_model;

typedef struct zg_file {
  char *path;                   /**< owned */
  int64_t ids;                  /**< length of /samples/id, 0 when absent */
  int64_t labels;               /**< length of /samples/label, 0 when absent */
  char digest[ZG_DIGEST_BYTES]; /**< of names, shapes, types and data; filled by
                                   zg_zoo_digest */
} zg_file;

/** What is taken from a zoo. Empty pattern lists mean everything. */
typedef struct zg_select {
  zg_list models, layers; /**< shell patterns */
  int64_t samples;        /**< the first so many; 0: all */
} zg_select;

/** A catalogue: what there is, in the order of the results' axes. */
typedef struct zg_zoo {
  zg_file *files;
  int64_t file_count;
  zg_model *models;
  int64_t model_count;
  zg_layer *layers; /**< model by model */
  int64_t layer_count;
  int64_t models_found, layers_found; /**< before selection */
  int64_t samples;                    /**< limit of the selection; 0: none */
} zg_zoo;

/** Turn the entries of a job's zoo list into paths: a glob gives its files in natural
 * order. \param [in] entries    paths or globs; relative ones are below `directory`.
 * \return ZG_ERR_INPUT, naming the entry, when it matches no file. Not collective. */
zg_status zg_zoo_expand(const zg_list *entries, const char *directory, zg_list *paths);

/** Read the catalogue of these files; headers only. Not collective.
 * \param [in]  select  NULL for everything.
 * \param [out] zoo     created; destroy with zg_zoo_destroy.
 * \return ZG_ERR_INPUT for a missing file; ZG_ERR_DATA for what is no zoo, no models,
 * numbers that are none, a model name twice, patterns without a match; named in the
 * message. */
zg_status zg_zoo_open(const zg_list *paths, const zg_select *select, zg_zoo **zoo);
void zg_zoo_destroy(zg_zoo **zoo);

/** Samples of a layer that count: its n, or the selection's limit. */
int64_t zg_zoo_rows(const zg_zoo *zoo, const zg_layer *layer);

/** Check what measures that pair rows need: one number of samples in all layers, sample
 * ids that agree between files, at least 4 samples. Reads the ids. Not collective.
 * \return ZG_ERR_DATA with the first layer or file that differs. */
zg_status zg_zoo_check_paired(const zg_zoo *zoo);

/** "<model>/<layer>"; the caller frees. */
char *zg_zoo_item_name(const zg_zoo *zoo, int64_t layer);

/** One fault: the file, layer or dataset, and what is wrong with it. */
typedef void zg_fault_fn(void *context, const char *where, const char *what);
/** Validate a whole file, data included, and report every fault. Not collective.
 * \param [out] faults  how many were reported.
 * \return ZG_OK also when there are faults; an error when the file cannot be read at
 * all. */
zg_status zg_zoo_check(const char *path, zg_fault_fn *report, void *context,
                       int64_t *faults);

#endif
