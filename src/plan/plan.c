/** \file
 * Making a plan: which calls share a pass, and the passes' parts form by form. */
#include "plan/plan.h"

#include "base/memory.h"
#include "measures/profile.h"
#include "plan/parts.h"
#include "zoo/reader.h"

#include <stdlib.h>

static bool any_of(const zg_plan *plan, zg_form form) {
  for (int64_t p = 0; p < plan->pass_count; p++)
    if (plan->passes[p].spec.form == form) return true;
  return false;
}

static void plan_passes(const zg_request *request, zg_plan *plan) {
  plan->passes = ZG_NEW0(zg_pass, request->call_count);
  plan->pass_of_call = ZG_NEW(int64_t, request->call_count);
  for (int64_t k = 0; k < request->call_count; k++) {
    const zg_call *call = &request->calls[k];
    zg_spec spec = call->measure->spec(call);
    int64_t p = 0;
    while (p < plan->pass_count && !zg_spec_shares_pass(&plan->passes[p].spec, &spec))
      p++;
    if (p == plan->pass_count)
      plan->passes[plan->pass_count++] =
          (zg_pass){.spec = spec, .call = call, .precision = request->precision};
    if (spec.form == ZG_FORM_GRAM) plan->passes[p].needs[spec.gram.centring] = true;
    plan->pass_of_call[k] = p;
  }
}

zg_precision zg_plan_precision(const zg_plan *plan, double terms) {
  const double few = 65536;
  return terms < few ? ZG_DOUBLE : plan->precision;
}

int64_t zg_plan_program_bytes(const zg_plan *plan) {
  const int64_t libraries = 48 << 20, header = 8 << 10, cache = 32 << 20;
  return libraries + plan->chunk_bytes +
         zg_min(header * plan->arrays, cache * zg_max(1, plan->files));
}

int64_t zg_plan_number_bytes(const zg_zoo *zoo, zg_data data) {
  int64_t most = 0;
  for (int64_t k = zoo->first[data]; k < zoo->first[data + 1]; k++) {
    zg_dtype type = zoo->arrays[k].dtype;
    int64_t handed_on = type == ZG_FLOAT16 ? (int64_t)sizeof(float) : 0;
    most = zg_max(most, zg_dtype_bytes(type) + handed_on);
  }
  return most;
}

zg_group *zg_pass_add_group(zg_pass *pass) {
  pass->groups = zg_realloc(pass->groups, pass->group_count + 1, sizeof *pass->groups);
  zg_group *group = &pass->groups[pass->group_count++];
  *group = (zg_group){.family = pass->group_count - 1};
  return group;
}

void zg_group_add(zg_group *group, int64_t member) {
  group->members = zg_realloc(group->members, group->count + 1, sizeof *group->members);
  group->members[group->count++] = member;
}

void zg_pass_number_tasks(zg_pass *pass) {
  pass->tasks = 0;
  for (int64_t g = 0; g < pass->group_count; g++) {
    pass->groups[g].first_task = pass->tasks;
    pass->tasks += pass->groups[g].tasks;
  }
}

int64_t zg_plan_most_members(const zg_pass *pass) {
  int64_t most = 1;
  for (int64_t g = 0; g < pass->group_count; g++)
    most = zg_max(most, pass->groups[g].count);
  return most;
}

const zg_group *zg_plan_group_of(const zg_pass *pass, int64_t task) {
  const zg_group *group = pass->groups;
  while (task >= group->first_task + group->tasks)
    group++;
  return group;
}

zg_status zg_plan_add_memory(zg_plan *plan, const zg_pass *pass, zg_memory m) {
  m.program = zg_plan_program_bytes(plan);
  m.total = m.program + m.reading + m.panels + m.tiles + m.sums + m.sides;
  if (m.total > plan->memory.total) plan->memory = m;
  if (m.total <= plan->memory_limit) return ZG_OK;
  char need[ZG_UNIT_BYTES], have[ZG_UNIT_BYTES];
  return zg_fail(ZG_ERR_SYSTEM,
                 "measure %s needs %s of memory per rank and %s may be used; more "
                 "memory_per_rank or fewer ranks per node would help",
                 pass->call->measure->name, zg_format_bytes(need, (double)m.total),
                 zg_format_bytes(have, (double)plan->memory_limit));
}

int64_t zg_plan_profile_pairs(const zg_pass *pass) {
  bool any = pass->spec.profile->pair_numbers > 0;
  return any ? pass->items * (pass->items - 1) / 2 : 0;
}

/* A task per array or per model, and perhaps per pair of items; what it holds at most
 * is the largest array. */
zg_status zg_plan_profile(const zg_request *request, zg_plan *plan, zg_pass *pass) {
  const zg_zoo *zoo = request->zoo;
  const zg_profile_form *form = pass->spec.profile;
  int64_t first = zoo->first[form->data], end = zoo->first[form->data + 1];
  int64_t largest = 0, together = 0, most_read = 0;
  pass->tasks = zg_profile_by_array(form) ? end - first : zoo->model_count;
  pass->items = form->per_item ? pass->tasks : zoo->model_count;
  pass->precision = ZG_DOUBLE;
  for (int64_t k = first; k < end; k++) {
    const zg_array *array = &zoo->arrays[k];
    largest = zg_max(largest, form->memory(array));
    most_read = zg_max(most_read, zg_plan_slab(array->d));
    if (form->memory_together)
      together = zg_max(together, form->memory_together(array, request->ranks));
    plan->bytes +=
        (double)array->n * (double)array->d * (double)zg_dtype_bytes(array->dtype);
  }
  most_read *= zg_plan_number_bytes(zoo, form->data);
  int64_t pairs = zg_plan_profile_pairs(pass);
  int64_t numbers = pass->tasks * form->width(pass->call, zoo) +
                    pass->items * zg_profile_numbers(form, pass->call, zoo) +
                    pairs * form->pair_numbers;
  pass->tasks += pairs;
  zg_memory memory = {.reading = most_read,
                      .tiles = zg_max(largest, together),
                      .sums = 8 * numbers +
                              zg_plan_written_bytes(pass->items, plan->ranks)};
  if (form->shared_memory) memory.sides = form->shared_memory(pass->call, zoo);
  return zg_plan_add_memory(plan, pass, memory);
}

static zg_status plan_pass(const zg_request *request, zg_plan *plan, zg_pass *pass) {
  switch (pass->spec.form) {
  case ZG_FORM_GRAM: /* all together */
    return ZG_OK;
  case ZG_FORM_TANGENT:
    return zg_plan_tangent(request, plan, pass);
  case ZG_FORM_VECTOR:
    return zg_plan_vector(request, plan, pass);
  case ZG_FORM_PROFILE:
    return zg_plan_profile(request, plan, pass);
  case ZG_FORM_PAIR:
    return zg_plan_pair(request, plan, pass);
  }
  return ZG_OK;
}

static zg_status make(const zg_request *request, zg_plan *plan) {
  plan_passes(request, plan);
  if (any_of(plan, ZG_FORM_GRAM)) {
    if (request->zoo->layer_count == 0)
      return zg_fail(ZG_ERR_DATA,
                     "the selected models have no layers (no activations)");
    ZG_TRY(zg_plan_gram(request, plan));
  }
  for (int64_t p = 0; p < plan->pass_count; p++) {
    zg_pass *pass = &plan->passes[p];
    double flop = plan->flop, bytes = plan->bytes;
    ZG_TRY(plan_pass(request, plan, pass));
    pass->flop = plan->flop - flop;
    if (pass->spec.form != ZG_FORM_GRAM) pass->bytes = plan->bytes - bytes;
  }
  return ZG_OK;
}

zg_status zg_plan_create(const zg_request *request, zg_plan **created) {
  zg_plan *plan = ZG_NEW0(zg_plan, 1);
  plan->precision = request->precision;
  plan->ranks = plan->teams = request->ranks;
  plan->team_size = 1;
  plan->memory_limit = request->memory;
  plan->call_count = request->call_count;
  plan->arrays = request->zoo->array_count;
  plan->files = request->zoo->file_count;
  plan->chunk_bytes = zg_reader_chunk_bytes(request->zoo);
  zg_status status = make(request, plan);
  if (status != ZG_OK) zg_plan_destroy(&plan);
  *created = plan;
  return status;
}

void zg_plan_destroy(zg_plan **plan) {
  if (!*plan) return;
  for (int64_t p = 0; p < (*plan)->pass_count; p++) {
    zg_pass *pass = &(*plan)->passes[p];
    for (int64_t g = 0; g < pass->group_count; g++)
      free(pass->groups[g].members);
    free(pass->groups);
  }
  free((*plan)->passes);
  free((*plan)->pass_of_call);
  free(*plan);
  *plan = NULL;
}
