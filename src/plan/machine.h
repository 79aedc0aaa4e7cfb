/** \file
 * A machine as far as the time of a run depends on it: how fast one rank works, how
 * fast data come and go, what a start takes. Rates come from `zoogram calibrate` or
 * from whoever knows them of a machine that is not at hand. They predict times
 * (plan/cost.h) and nothing else: a plan never depends on them. Not collective. */
#ifndef ZG_PLAN_MACHINE_H
#define ZG_PLAN_MACHINE_H

#include <stdbool.h>

/** Where the time of a run goes; the engine's phases, and the start. */
typedef enum zg_cost_part {
  ZG_COST_START,   /**< of the program, headers, an empty results file */
  ZG_COST_READ,    /**< files to centred rows */
  ZG_COST_MEDIAN,  /**< distances for the bandwidth */
  ZG_COST_FORM,    /**< Gram tiles */
  ZG_COST_KERNEL,  /**< kernels on tiles */
  ZG_COST_REDUCE,  /**< products of tiles, features or vectors */
  ZG_COST_COMBINE, /**< sums over teams, and from sums to values */
  ZG_COST_WRITE,   /**< results file */
  ZG_COST_PARTS
} zg_cost_part;
/** For JSON: "start", "read", ... */
const char *zg_cost_part_key(zg_cost_part part);
/** For a person: "start", "read", "medians", "Gram tiles", ... */
const char *zg_cost_part_name(zg_cost_part part);

/** What is known of a machine; keys of a machine file in the order of this list. Their
 * units and meanings are in zg_rate_info. */
typedef enum zg_rate {
  ZG_RATE_FORM_SINGLE,
  ZG_RATE_FORM_DOUBLE,
  ZG_RATE_FORM_TEAM,
  ZG_RATE_KERNEL_LINEAR,
  ZG_RATE_KERNEL_RBF,
  ZG_RATE_MEDIAN_SAMPLE,
  ZG_RATE_MEDIAN_FORM,
  ZG_RATE_MEDIAN_TEAM,
  ZG_RATE_MEDIAN_ENTRIES,
  ZG_RATE_REDUCE_SINGLE,
  ZG_RATE_REDUCE_DOUBLE,
  ZG_RATE_REDUCE_TEAM,
  ZG_RATE_REDUCE_ENTRIES,
  ZG_RATE_FEATURES,
  ZG_RATE_VECTORS,
  ZG_RATE_VECTOR_NUMBERS,
  ZG_RATE_TANGENT,
  ZG_RATE_PROFILE,
  ZG_RATE_READ_RANK,
  ZG_RATE_READ_PIECE,
  ZG_RATE_READ_VECTORS,
  ZG_RATE_READ_TOTAL,
  ZG_RATE_COMBINE,
  ZG_RATE_NETWORK,
  ZG_RATE_LATENCY,
  ZG_RATE_WRITE_TOTAL,
  ZG_RATE_HEADER,
  ZG_RATE_START,
  ZG_RATES
} zg_rate;

/** One key of a machine file. */
typedef struct zg_rate_info {
  const char *key;
  const char *unit;  /**< "flop/s", "entries/s", "bytes/s": work done in a second; "s":
                        seconds that one of something takes */
  const char *help;  /**< one line */
  zg_cost_part part; /**< where its time goes */
  bool required;     /**< a file has to state it */
  int of;            /**< where absent: `share` times this zg_rate, which stands before
                        it; -1: `share` itself */
  double share;
} zg_rate_info;
extern const zg_rate_info zg_rate_infos[ZG_RATES];
/** Whether a key states seconds instead of work per second. */
bool zg_rate_is_duration(zg_rate rate);

enum { ZG_MACHINE_TEXT = 128 };

typedef struct zg_machine {
  double rates[ZG_RATES];
  double ranks_per_node;            /**< 0: not stated */
  char name[ZG_MACHINE_TEXT];       /**< for a person; may be empty */
  char calibrated[ZG_MACHINE_TEXT]; /**< when it was measured; empty: stated by hand */
} zg_machine;

/** Fill rates that are not stated (0) from those that are. \return the first required
 * one that is missing, or -1. */
int zg_machine_complete(zg_machine *machine);

/** A machine file (YAML) with every rate, its unit and its meaning. The caller frees.
 */
char *zg_machine_text(const zg_machine *machine);

#endif
