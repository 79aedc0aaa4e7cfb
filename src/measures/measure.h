/** \file
 * What a measure is: a descriptor in one file, listed in measures.def. The engine and
 * the planner know the forms (measures/spec.h) and never a measure's name. Nothing here
 * knows of ranks or plans. Not collective. */
#ifndef ZG_MEASURES_MEASURE_H
#define ZG_MEASURES_MEASURE_H

#include "zoo/zoo.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Why an entry of a tensor is what it is (int8, parallel to the values). */
typedef enum zg_code {
  ZG_CODE_OK = 0,
  ZG_CODE_NONFINITE = 1,     /**< non-finite input */
  ZG_CODE_ZERO_VARIANCE = 2, /**< zero variance or norm */
  ZG_CODE_SHAPE = 3,         /**< shapes that do not fit */
  ZG_CODE_FEW_SAMPLES = 4,   /**< too few samples */
  ZG_CODE_SUPPORT = 5,       /**< zero support */
  ZG_CODE_RANK = 6,          /**< rank deficient */
  ZG_CODE_CONVERGENCE = 7,   /**< not converged */
  ZG_CODE_REFINED = 8,       /**< recomputed by direct difference */
  ZG_CODE_BOUND = 9,         /**< bound only */
  ZG_CODE_ABSENT = 10,       /**< data absent */
  ZG_CODES
} zg_code;

/** The meaning of a code in words of [a-z_], as in the results' `flag_meanings`. */
const char *zg_code_meaning(zg_code code);

typedef enum zg_option_type {
  ZG_OPTION_CHOICE,
  ZG_OPTION_NUMBER,
  ZG_OPTION_COUNT,
  ZG_OPTION_LIST /**< numbers within the bounds, ascending; at most one per measure */
} zg_option_type;

enum { ZG_MAX_CHOICES = 8, ZG_MAX_OPTIONS = 12, ZG_MAX_LIST = 32 };

/** One option of a measure. Key, field and result attribute have the same name. */
typedef struct zg_option {
  const char *name;
  zg_option_type type;
  const char *choices[ZG_MAX_CHOICES]; /**< NULL-terminated, default first */
  double initial;     /**< default of a number, a count, a list of one */
  double least, most; /**< bounds of a number or count; both allowed */
  bool open;          /**< `least` itself is not allowed */
  bool any_order;     /**< of a list: its numbers need not ascend */
  const char *unit;   /**< of a number, "" when none */
  /** Of a number: stands for its default, which then is 0 and out of bounds; or NULL */
  const char *word;
  const char *needs;        /**< option without which this one has no effect, or NULL */
  const char *needs_choice; /**< and the choice it has to have */
  const char *help;         /**< one line */
} zg_option;

/** The value of one option: a choice's position, the number, or a list's length. */
typedef double zg_value;

/** What the rows and columns of a tensor stand for. */
typedef enum zg_axis {
  ZG_AXIS_ITEM, /**< a layer's activations */
  ZG_AXIS_MODEL,
  ZG_AXIS_GRADIENT,        /**< the gradient of one task */
  ZG_AXIS_WEIGHT,          /**< one parameter */
  ZG_AXIS_ATTENTION,       /**< a layer's attention, all heads */
  ZG_AXIS_HEAD,            /**< one head of it */
  ZG_AXIS_CROSS_ATTENTION, /**< a layer's maps of cross attention */
  ZG_AXES
} zg_axis;
/** "item", ...: the name used in the results file. */
const char *zg_axis_name(zg_axis axis);

typedef enum zg_kind { ZG_SIMILARITY, ZG_DISTANCE } zg_kind;
/** "similarity", "distance". */
const char *zg_kind_name(zg_kind kind);

/** What is known of two items when their entry is made. Which fields are set depends on
 * the form: see measures/spec.h. */
typedef struct zg_pair {
  /* gram */
  double cross;            /**< inner product of the two items */
  double self_a, self_b;   /**< of each with itself */
  double floor_a, floor_b; /**< up to which a self product is rounding: a zero item */
  double scale_a, scale_b; /**< by which each item was divided */
  double weight;           /**< what an inner product is divided by in an HSIC */
  /* tangent, vector */
  double norm_a, norm_b; /**< of each; 0 where it is rounding */
  double cosine;         /**< inner product divided by the norms, within [-1, 1] */
  double apart;          /**< distance of the two */
  bool refined;          /**< apart is made of differences */
  bool unsupported;      /**< apart is infinite */
  bool scaled;           /**< both could be scaled as the specification asks */
  /* profile */
  const double *profile_a, *profile_b; /**< numbers of each item */
  int64_t width;                       /**< how many */
  const void *known;                   /**< what the form knows of the whole zoo */
  const double *numbers;               /**< of the pair; NULL on the diagonal */
  int64_t item_a, item_b;              /**< positions on the axis */
  /* pair */
  const double *terms;             /**< of the two */
  const double *terms_a, *terms_b; /**< of each with itself */
  const double *shared;            /**< of the whole tensor */
  zg_code found; /**< what else there is to say of the terms: refined, ... */
  /* all */
  zg_code code_a, code_b; /**< state of each item's own data */
  zg_code code;           /**< of the two together: ok or shapes do not fit */
  bool same;              /**< the pair is on the diagonal */
} zg_pair;

/** Whether an entry of this code has a value: ok, infinite, over the rank, refined, a
 * bound. */
bool zg_code_has_value(zg_code code);
/** The worse of two states: those without a value outrank those with one, and
 * non-finite numbers all of them. */
zg_code zg_code_worse(zg_code a, zg_code b);
/** What stands in the way of an entry: the state of either item, or of both together.
 */
zg_code zg_pair_code(const zg_pair *pair);

struct zg_call;
struct zg_spec;

/** A quantity that is kept beside a tensor, one number per label of an axis or more. */
typedef struct zg_kept {
  const char *name;    /**< /kept/<tensor>/<name> */
  const char *meaning; /**< one line */
  zg_axis axis;        /**< its first axis */
  enum zg_kept_shape {
    ZG_KEPT_VECTOR,       /**< [axis] */
    ZG_KEPT_SAMPLES,      /**< [axis, samples] */
    ZG_KEPT_SAMPLE_PAIRS, /**< [axis, samples, samples] */
    ZG_KEPT_PAIRS /**< [axis, axis], the first of a profile form's pair numbers */
  } shape;
} zg_kept;

enum { ZG_MAX_KEPT = 4 };

typedef struct zg_measure {
  const char *name;
  const char *title; /**< a few words */
  /** activation, parameter, gradient, attention, embedding, architecture */
  const char *space;
  const char *formula;   /**< one line of plain text */
  const char *reference; /**< paper and equation */
  const char *remark;    /**< what a reader of the numbers has to know, or NULL */
  zg_axis axis;
  zg_kind kind;
  bool symmetric;
  bool pairs_rows;          /**< the items' samples are paired, so n has to agree */
  const zg_option *options; /**< ends with an entry whose name is NULL */

  /** What the engine has to form for a call (measures/spec.h). */
  struct zg_spec (*spec)(const struct zg_call *call);
  /** The entry of two items and, in *code, its status. */
  double (*finish)(const struct zg_call *call, const zg_pair *pair, zg_code *code);
  /** Bit mask (1u << zg_data) of what is read. */
  uint32_t (*reads)(const struct zg_call *call);

  /* These may be NULL. */
  /** The axis where it depends on options. */
  zg_axis (*axis_of)(const struct zg_call *call);
  /** `pairs_rows` where it depends on options. */
  bool (*pairs_rows_of)(const struct zg_call *call);
  /** NULL, or in words why the options contradict each other. */
  const char *(*conflict)(const struct zg_call *call);
  /** What a call keeps beside its tensor. \return how many. */
  int64_t (*kept)(const struct zg_call *call, zg_kept kept[ZG_MAX_KEPT]);
} zg_measure;

/** All measures, in the order of measures.def. */
const zg_measure *const *zg_measures(int64_t *count);
/** By name; NULL when there is none. */
const zg_measure *zg_measure_find(const char *name);

/** A measure with its options, as a job asks for it. */
typedef struct zg_call {
  const zg_measure *measure;
  char *name;                      /**< of the tensor in the results; owned */
  zg_value values[ZG_MAX_OPTIONS]; /**< in the order of measure->options */
  double list[ZG_MAX_LIST];        /**< of the option that is a list */
} zg_call;

/** Number of options of a measure. */
int64_t zg_option_count(const zg_measure *measure);
/** Position of an option; -1 when the measure has none of that name. */
int64_t zg_option_find(const zg_measure *measure, const char *name);
/** Set every option to its default. */
void zg_call_defaults(zg_call *call, const zg_measure *measure);
/** The value of an option by name; the option must exist. */
zg_value zg_call_value(const zg_call *call, const char *option);
/** The axis of a call's tensor. */
zg_axis zg_call_axis(const zg_call *call);
/** Whether a call pairs the rows of its items. */
bool zg_call_pairs_rows(const zg_call *call);
/** What a call keeps beside its tensor. \return how many quantities. */
int64_t zg_call_kept(const zg_call *call, zg_kept kept[ZG_MAX_KEPT]);
/** Whether a choice option has this choice. */
bool zg_call_is(const zg_call *call, const char *option, const char *choice);
/** Whether an option has an effect beside the others (its `needs` is fulfilled). */
bool zg_option_in_effect(const zg_call *call, int64_t option);

enum { ZG_VALUE_BYTES = 1024 };
/** "rbf", "0.4", "256", "0.05_0.1": the value in words; returns the buffer. */
char *zg_option_print(const zg_call *call, int64_t option, char buffer[ZG_VALUE_BYTES]);
/** Check and store a value given as text; that of a list is added to it, after it was
 * emptied with zg_option_empty. \return NULL, or what was expected instead,
 * in words ("one of linear, rbf", "a number > 0"), valid until the next call. */
const char *zg_option_parse(zg_call *call, int64_t option, const char *text);
/** Empty a list. */
void zg_option_empty(zg_call *call, int64_t option);
/** The default name of the tensor: measure, then _option_value for each option that
 * differs from its default. The caller frees. */
char *zg_call_default_name(const zg_call *call);

#endif
