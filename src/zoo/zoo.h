/** \file
 * The zoo: models and their data in one or several HDF5 files, and reading from them.
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
typedef enum zg_dtype {
  ZG_FLOAT16,
  ZG_FLOAT32,
  ZG_FLOAT64,
  ZG_OTHER_NUMBER,
  ZG_STRING /**< no number: see zg_reader_texts */
} zg_dtype;
/** "float16", ... */
const char *zg_dtype_name(zg_dtype dtype);
/** Spacing of the numbers at 1 (2^-10, 2^-23, 2^-52). */
double zg_dtype_epsilon(zg_dtype dtype);
/** Bytes of one number in the file; about, of a string. */
int64_t zg_dtype_bytes(zg_dtype dtype);

enum { ZG_MAX_DIMS = 32 };

/** What a model can have besides its name, in the catalogue's order. Where it lies in a
 * file and what its axes are: `zoogram help formats`. */
typedef enum zg_data {
  ZG_ACTIVATIONS,      /**< activations/LAYER [n, ...] */
  ZG_WEIGHTS,          /**< weights/PARAMETER [...], also a scalar */
  ZG_GRADIENTS,        /**< gradients/TASK [p] */
  ZG_SAMPLE_GRADIENTS, /**< sample_gradients [m, p] */
  ZG_JACOBIAN,         /**< jacobian [m, C, p] */
  ZG_NTK_INPUT,        /**< ntk/LAYER/input [m, in] or [m, S, in] */
  ZG_NTK_INDEX,        /**< ntk/LAYER/index [m, S], integers */
  ZG_NTK_SIGNAL,       /**< ntk/LAYER/signal [m, C, out] or [m, C, S, out] */
  ZG_NTK_DIRECT,       /**< ntk/LAYER/direct [m, C, q] */
  ZG_LOGITS,           /**< logits [n, C] */
  ZG_SHARPNESS,        /**< sharpness [radii, batches] */
  ZG_MARGIN_GRADIENTS, /**< margin_gradients [n, C], NaN: not recorded */
  ZG_ATTENTION,        /**< attention/LAYER [n, heads, queries, keys] */
  ZG_HEAD_IMPORTANCE,  /**< head_importance/LAYER [heads] */
  ZG_CROSS_ATTENTION,  /**< cross_attention/LAYER [n, tokens, h, w] */
  ZG_MAPS,             /**< maps/LAYER [n, 2 or 3] */
  ZG_GRAPH_OP,         /**< graph/op [nodes], strings */
  ZG_GRAPH_EDGE,       /**< graph/edge [edges, 2], integers; edges may be 0 */
  ZG_DATA
} zg_data;
/** "activations", "ntk/input", ...: for messages and tables. */
const char *zg_data_name(zg_data data);
/** The bit of zg_select.data. */
#define ZG_DATA_BIT(data) (UINT32_C(1) << (data))

/** What a weight belongs to. */
typedef enum zg_weight_kind {
  ZG_WEIGHT_LINEAR,
  ZG_WEIGHT_CONV,
  ZG_WEIGHT_NORM,
  ZG_WEIGHT_EMBEDDING,
  ZG_WEIGHT_BIAS,
  ZG_WEIGHT_OTHER,
  ZG_WEIGHT_KINDS
} zg_weight_kind;
/** "linear", ... */
const char *zg_weight_kind_name(zg_weight_kind kind);

/** The geometry of a convolution as a zoo states it beside the weight. */
typedef struct zg_conv_geometry {
  int64_t input[2];    /**< h, w, from `input_size` */
  int64_t stride[2];   /**< h, w; default 1 */
  int64_t dilation[2]; /**< h, w; default 1 */
  int64_t padding[4];  /**< top, bottom, left, right; default 0 */
  int64_t groups;      /**< default 1 */
  bool circular;       /**< `padding_mode`; default zeros */
} zg_conv_geometry;

/** One array of a model: row-major, its first axis apart from the others. */
typedef struct zg_array {
  char *name;    /**< of the layer, parameter or task; "" where a model has one array of
                    this data. Owned */
  int64_t model; /**< position of its model in zg_zoo.models */
  zg_data data;
  int64_t place; /**< among the members of its group in the file: the arrays of one
                    ntk layer have one place */
  int64_t n; /**< length of the first axis; 1 for a scalar. Samples of activations */
  int64_t d; /**< product of the trailing axes, 1 without any. Features of activations
              */
  int rank;  /**< axes in the file */
  int64_t dims[ZG_MAX_DIMS];
  zg_dtype dtype;
  bool compressed;       /**< chunks pass a filter */
  int64_t chunk;         /**< bytes of a chunk, unpacked; 0: not stored in chunks */
  int64_t chunks;        /**< that the whole array has in the file */
  zg_weight_kind kind;   /**< of a weight */
  zg_conv_geometry conv; /**< of a weight of kind conv; its input is 0 where it cannot
                            be used (zoo/convolution.h says why) */
  bool bias; /**< of an ntk layer: it has a bias, whose derivative is the signal */
} zg_array;

typedef struct zg_model {
  char *name;           /**< owned */
  int64_t file;         /**< position in zg_zoo.files */
  bool weights_ordered; /**< the file says in which order the weights come (attribute
                           `order` on each, or tracked creation order), so that
                           gradients without `parameters` can be taken apart; false
                           without weights or when they were not asked for */
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
  zg_list models;  /**< shell patterns */
  zg_list layers;  /**< shell patterns for what is named by a layer, factors of tangent
                      kernels apart, as these belong together */
  int64_t samples; /**< the first so many of what has a row per sample; 0: all */
  uint32_t data;   /**< bits (ZG_DATA_BIT) of what is catalogued, so that faults in what
                      nobody reads do no harm; 0: everything */
} zg_select;

/** A catalogue: what there is, in the order of the results' axes. */
typedef struct zg_zoo {
  zg_file *files;
  int64_t file_count;
  zg_model *models;
  int64_t model_count;
  zg_array *arrays; /**< by data, then model, then order in the file */
  int64_t array_count;
  int64_t first[ZG_DATA + 1]; /**< arrays[first[k] .. first[k + 1]) are of data k */
  int64_t layer_count;        /**< layers of activations: the first so many arrays */
  int64_t models_found, layers_found; /**< before selection */
  int64_t samples;                    /**< limit of the selection; 0: none */
} zg_zoo;

/** Turn the entries of a job's zoo list into paths: a glob gives its files in natural
 * order.
 * \param [in] entries  paths or globs; relative ones are below `directory`.
 * \return ZG_ERR_INPUT, naming the entry, when it matches no file. Not collective. */
zg_status zg_zoo_expand(const zg_list *entries, const char *directory, zg_list *paths);

/** Read the catalogue of these files; headers only. Not collective.
 * \param [in]  select  NULL for everything.
 * \param [out] zoo     created; destroy with zg_zoo_destroy.
 * \return ZG_ERR_INPUT for a missing file; ZG_ERR_DATA for what is no zoo, no models,
 * arrays that are none, of other axes than their data have, or empty, a model name
 * twice, patterns without a match (those for layers only where something is asked for
 * that they choose from); named in the message. */
zg_status zg_zoo_open(const zg_list *paths, const zg_select *select, zg_zoo **zoo);
void zg_zoo_destroy(zg_zoo **zoo);

/** First axis of an array as far as it counts: its n, or the selection's limit for what
 * it limits: activations, maps, logits, margin_gradients, attention, cross_attention.
 */
int64_t zg_zoo_rows(const zg_zoo *zoo, const zg_array *array);

/** The arrays of one kind of data of one model: they are consecutive.
 * \param [out] count  how many; may be 0. \return position of the first. */
int64_t zg_zoo_find(const zg_zoo *zoo, zg_data data, int64_t model, int64_t *count);

/** Heads of all attention together. */
int64_t zg_zoo_heads(const zg_zoo *zoo);

/** Check that a layer of activations has 4 samples, which measures need that do not
 * pair rows. Not collective. \return ZG_ERR_DATA when there are layers, and none has.
 */
zg_status zg_zoo_check_samples(const zg_zoo *zoo);

/** Check what measures that pair rows need: one number of samples in all layers of
 * activations, at least 4, and sample ids that agree between files where there are as
 * many as the first array of its data has rows. Reads the ids. Not collective.
 * \return ZG_ERR_DATA with the first layer or file that differs. */
zg_status zg_zoo_check_paired(const zg_zoo *zoo);

/** Check that the tangent-kernel factors of each model fit together: either direct, or
 * signal with one of input and index; one number of samples m and of logits C in all
 * layers of a model, one number of positions S in a layer. Models may differ.
 * \return ZG_ERR_DATA with the first file, model and layer where they do not. */
zg_status zg_zoo_check_tangent(const zg_zoo *zoo);

/** "<model>/<name>", or "<model>" where the name is empty; the caller frees. */
char *zg_zoo_item_name(const zg_zoo *zoo, int64_t array);
/** "FILE: model 'M', parameter 'P'": an array in the words of a message; the caller
 * frees. */
char *zg_zoo_where(const zg_zoo *zoo, int64_t array);

/** One fault: the file, layer or dataset, and what is wrong with it. */
typedef void zg_fault_fn(void *context, const char *where, const char *what);
/** Validate a whole file, data included, and report every fault. Not collective.
 * \param [out] faults  how many were reported.
 * \return ZG_OK also when there are faults; an error when the file cannot be read at
 * all. */
zg_status zg_zoo_check(const char *path, zg_fault_fn *report, void *context,
                       int64_t *faults);

#endif
