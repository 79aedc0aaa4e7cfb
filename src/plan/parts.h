/** \file
 * The parts of making a plan, one per form; private to this folder. */
#ifndef ZG_PLAN_PARTS_H
#define ZG_PLAN_PARTS_H

#include "base/memory.h"
#include "plan/plan.h"

/** What libraries and MPI take, and HDF5 for chunks and the headers of the zoo's
 * arrays: about 8 KiB for each, as long as its cache of 32 MiB a file lasts. */
int64_t zg_plan_program_bytes(const zg_plan *plan);

/** The plan's precision, or double where so few terms enter a pass that the rounding of
 * single precision would show in values near zero, and double costs next to nothing. */
zg_precision zg_plan_precision(const zg_plan *plan, double terms);

/** What a rank needs to write its rows of a tensor of N x N: a part of them at a time,
 * values and codes, of a symmetric one both mirrored. */
static inline int64_t zg_plan_written_bytes(int64_t N, int64_t ranks) {
  return 25 * zg_min(N * zg_ceil_div(N, ranks), ZG_PLAN_WRITTEN);
}
/** Bytes per number that a reader's buffers take for arrays of a kind: as stored, and
 * for half precision also as it is handed on. */
int64_t zg_plan_number_bytes(const zg_zoo *zoo, zg_data data);
/** Numbers that are read at a time of arrays with rows of `d`. */
static inline int64_t zg_plan_slab(int64_t d) {
  return zg_max((int64_t)1 << 20, d);
}

/** Teams, tiles and memory of all gram passes. */
zg_status zg_plan_gram(const zg_request *request, zg_plan *plan);
/** Groups, tasks and memory of one pass of the other forms. */
zg_status zg_plan_tangent(const zg_request *request, zg_plan *plan, zg_pass *pass);
zg_status zg_plan_vector(const zg_request *request, zg_plan *plan, zg_pass *pass);
zg_status zg_plan_pair(const zg_request *request, zg_plan *plan, zg_pass *pass);
zg_status zg_plan_profile(const zg_request *request, zg_plan *plan, zg_pass *pass);

/** The groups of a gridded pass: for each grid the items that meet on it. */
void zg_plan_grids(const zg_zoo *zoo, zg_pass *pass);

/** Give a pass another group; returns it, empty and a family of its own. */
zg_group *zg_pass_add_group(zg_pass *pass);
void zg_group_add(zg_group *group, int64_t member);
/** Number the tasks of all groups from their `tasks`. */
void zg_pass_number_tasks(zg_pass *pass);
/** Passes follow one another: the plan's memory is that of the largest. `memory.total`
 * is set here. \return ZG_ERR_SYSTEM when it is more than the plan may use. */
zg_status zg_plan_add_memory(zg_plan *plan, const zg_pass *pass, zg_memory memory);

#endif
