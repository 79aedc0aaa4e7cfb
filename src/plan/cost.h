/** \file
 * How long a plan takes on a machine: the work of its busiest rank, kind by kind, and
 * what each kind costs there. Pure functions of plan and machine. Not collective.
 *
 * With N items of D features in all, n samples, T teams of Q ranks and P = T Q:
 *
 *     entries   of a tile pass: N times the sample pairs of the busiest team, whose
 *               tiles are ceil(tiles / T) of all, over Q
 *     flop      2 D pairs to form them, N^2 pairs to multiply them; n D^2 by features
 *     read      statistics: everything once, 1/P per rank, but nothing where features
 * are centred about estimates; a tile pass: n/sqrt(T) rows of every item (triangle
 * blocks; metrics: D n/sqrt(P) words), more where panels do not stay in memory, nothing
 * more where each node keeps them all; no faster than the file system for all combine
 * sums of N^2/2 pairs in two doubles each, (1 - 1/T) of them through the network, in
 * about log2(P) messages
 *
 * A median is one more formation and reading. Passes over vectors cost N^2 p flop for
 * vectors of p numbers; those over tangent kernels and profiles are coarse. */
#ifndef ZG_PLAN_COST_H
#define ZG_PLAN_COST_H

#include "plan/machine.h"
#include "plan/plan.h"

/** Work of the busiest rank in the units of the rates: flop, entries, bytes, ... With
 * "read_total" and "write_total" that of all ranks together. */
typedef struct zg_amounts {
  double of[ZG_RATES];
  bool coarse; /**< some work is known only roughly */
} zg_amounts;

zg_amounts zg_plan_amounts(const zg_plan *plan);

/** Seconds. */
typedef struct zg_cost {
  double parts[ZG_COST_PARTS];
  double total;
  bool coarse;
} zg_cost;

zg_cost zg_cost_of(const zg_amounts *amounts, const zg_machine *machine);

/** One line of a plan's text for a person: "  predicted     12.3 s on NAME: read 0.5 s,
 * ...". The caller frees. */
char *zg_cost_text(const zg_cost *cost, const zg_machine *machine, int ranks);
/** For machines: seconds by part and in all; the caller releases. */
json_t *zg_cost_json(const zg_cost *cost, const zg_machine *machine);

#endif
