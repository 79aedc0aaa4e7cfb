/** \file
 * Groups of gridded passes: for every grid that some pair has in common, the items of
 * these pairs. Maps of equal size make one group; three sizes make three, of which the
 * smallest holds all items. */
#include "base/memory.h"
#include "plan/parts.h"

#include <stdlib.h>

void zg_plan_common_grid(const zg_zoo *zoo, const zg_spec *spec, int64_t i, int64_t k,
                         int64_t grid[2]) {
  const zg_array *a = &zoo->arrays[zoo->first[spec->vector->data] + i];
  const zg_array *b = &zoo->arrays[zoo->first[spec->vector->data] + k];
  for (int axis = 0; axis < 2; axis++)
    grid[axis] = spec->grid[axis] ? spec->grid[axis]
                                  : zg_min(a->dims[2 + axis], b->dims[2 + axis]);
}

/* Items of which one stands for all that have its samples, maps and size. */
typedef struct kind {
  int64_t item, count;
} kind;

static bool same_family(const zg_zoo *zoo, const zg_array *a, const zg_array *b) {
  return zg_zoo_rows(zoo, a) == zg_zoo_rows(zoo, b) && a->dims[1] == b->dims[1];
}

static bool same_kind(const zg_zoo *zoo, const zg_array *a, const zg_array *b) {
  return same_family(zoo, a, b) && a->dims[2] == b->dims[2] && a->dims[3] == b->dims[3];
}

/* \return how many; the caller frees *kinds. */
static int64_t find_kinds(const zg_zoo *zoo, const zg_pass *pass, kind **kinds) {
  const zg_array *items = &zoo->arrays[zoo->first[pass->spec.vector->data]];
  int64_t count = 0;
  *kinds = ZG_NEW(kind, pass->items);
  for (int64_t i = 0; i < pass->items; i++) {
    int64_t k = 0;
    while (k < count && !same_kind(zoo, &items[(*kinds)[k].item], &items[i]))
      k++;
    if (k == count) (*kinds)[count++] = (kind){.item = i};
    (*kinds)[k].count++;
  }
  return count;
}

static bool in_family(const zg_zoo *zoo, const zg_pass *pass, const zg_group *group,
                      int64_t item) {
  const zg_array *items = &zoo->arrays[zoo->first[pass->spec.vector->data]];
  return same_family(zoo, &items[group->first_item], &items[item]);
}

/* The group of a pair's family and grid, made where there is none. */
static void add_group(const zg_zoo *zoo, zg_pass *pass, int64_t i, int64_t k) {
  const zg_array *array = &zoo->arrays[zoo->first[pass->spec.vector->data] + i];
  int64_t grid[2], family = pass->group_count;
  zg_plan_common_grid(zoo, &pass->spec, i, k, grid);
  for (int64_t g = pass->group_count - 1; g >= 0; g--) {
    const zg_group *group = &pass->groups[g];
    if (!in_family(zoo, pass, group, i)) continue;
    if (group->grid[0] == grid[0] && group->grid[1] == grid[1]) return;
    family = group->family;
  }
  zg_group *group = zg_pass_add_group(pass);
  group->family = family;
  group->first_item = i;
  group->grid[0] = grid[0];
  group->grid[1] = grid[1];
  group->length = zg_zoo_rows(zoo, array);
  group->width = array->dims[1] * grid[0] * grid[1];
}

/* Whether an item has this group's grid in common with one of a kind, itself apart. */
static bool meets(const zg_zoo *zoo, const zg_pass *pass, const zg_group *group,
                  int64_t item, const kind *other, bool own) {
  int64_t grid[2];
  if (own && other->count == 1) return false;
  if (!in_family(zoo, pass, group, other->item)) return false;
  zg_plan_common_grid(zoo, &pass->spec, item, other->item, grid);
  return grid[0] == group->grid[0] && grid[1] == group->grid[1];
}

static void add_members(const zg_zoo *zoo, const zg_pass *pass, const kind *kinds,
                        int64_t count, zg_group *group) {
  const zg_array *items = &zoo->arrays[zoo->first[pass->spec.vector->data]];
  for (int64_t i = 0; i < pass->items; i++) {
    if (!in_family(zoo, pass, group, i)) continue;
    bool member = i == group->first_item;
    for (int64_t k = 0; k < count && !member; k++)
      member = meets(zoo, pass, group, i, &kinds[k],
                     same_kind(zoo, &items[i], &items[kinds[k].item]));
    if (member) zg_group_add(group, i);
  }
}

void zg_plan_grids(const zg_zoo *zoo, zg_pass *pass) {
  const zg_array *items = &zoo->arrays[zoo->first[pass->spec.vector->data]];
  kind *kinds;
  int64_t count = find_kinds(zoo, pass, &kinds);
  for (int64_t a = 0; a < count; a++) {
    bool alone = true; /* it is read to know whether it is sound */
    for (int64_t b = 0; b < count; b++) {
      bool pair = a == b
                      ? kinds[a].count > 1
                      : same_family(zoo, &items[kinds[a].item], &items[kinds[b].item]);
      if (pair) add_group(zoo, pass, kinds[a].item, kinds[b].item);
      alone = alone && !pair;
    }
    if (alone) add_group(zoo, pass, kinds[a].item, kinds[a].item);
  }
  for (int64_t g = 0; g < pass->group_count; g++)
    add_members(zoo, pass, kinds, count, &pass->groups[g]);
  free(kinds);
}
