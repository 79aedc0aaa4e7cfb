/** \file
 * The parts of making a plan, one per form; private to this folder. */
#ifndef ZG_PLAN_PARTS_H
#define ZG_PLAN_PARTS_H

#include "plan/plan.h"

/** What libraries, MPI and HDF5 take. */
enum { ZG_PROGRAM_BYTES = 48 << 20 };

/** The plan's precision, or double where so few terms enter a pass that the rounding of
 * single precision would show in values near zero, and double costs next to nothing. */
zg_precision zg_plan_precision(const zg_plan *plan, double terms);

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
