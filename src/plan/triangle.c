#include "plan/triangle.h"

#include "base/memory.h"
#include "plan/partition.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void zg_tile_place(int64_t k, int64_t *row, int64_t *column) {
  int64_t r = (int64_t)((sqrt(8.0 * (double)k + 1) - 1) / 2);
  while (r * (r + 1) / 2 > k)
    r--;
  while ((r + 1) * (r + 2) / 2 <= k)
    r++;
  int64_t c = k - r * (r + 1) / 2;
  *row = r;
  *column = r % 2 ? r - c : c;
}

int64_t zg_tile_number(int64_t row, int64_t column) {
  int64_t r = zg_max(row, column), c = zg_min(row, column);
  return r * (r + 1) / 2 + (r % 2 ? r - c : c);
}

/* ---- the order of one team's tiles ---- */

/* A team's tiles that have no place in the order yet. */
typedef struct rest {
  bool *is_left;   /* [tiles] by zg_cell_at */
  int64_t *left;   /* [T] tiles of a panel */
  int64_t *panels; /* [panel_count] that the team touches, ascending */
  int64_t panel_count;
  int64_t *base; /* [base_size] panels that stay while the others pass by */
  int64_t base_size;
  int64_t *common; /* [T] partners shared with the first of the base; 0: is in it */
  int64_t *next;   /* where the next tile's number goes */
} rest;

static void put(rest *r, int64_t a, int64_t b) {
  bool *is_left = &r->is_left[zg_cell_at(a, b)];
  if (!*is_left) return;
  *is_left = false;
  r->left[a]--;
  if (a != b) r->left[b]--;
  *r->next++ = zg_tile_number(a, b);
}

static void count_common(rest *r) {
  for (int64_t k = 0; k < r->panel_count; k++) {
    int64_t a = r->panels[k], common = 0;
    for (int64_t j = 0; j < r->panel_count && r->left[a]; j++)
      common += r->is_left[zg_cell_at(a, r->panels[j])] &&
                r->is_left[zg_cell_at(r->base[0], r->panels[j])];
    r->common[a] = common;
  }
}

/* The panel with most of something; -1 when none has any. */
static int64_t panel_with_most(const rest *r, const int64_t *of) {
  int64_t best = -1;
  for (int64_t k = 0; k < r->panel_count; k++) {
    int64_t a = r->panels[k];
    if (of[a] && (best < 0 || of[a] > of[best])) best = a;
  }
  return best;
}

/* The panel with most tiles left, and those with most partners in common with it.
 * \return false when nothing is left. */
static bool choose_base(rest *r, int64_t most) {
  int64_t panel = panel_with_most(r, r->left);
  if (panel < 0) return false;
  r->base[0] = panel;
  r->base_size = 1;
  if (most > 1) count_common(r);
  for (; most > 1 && r->base_size < most; r->base[r->base_size++] = panel) {
    r->common[panel] = 0;
    panel = panel_with_most(r, r->common);
    if (panel < 0) break;
  }
  return true;
}

/* One panel with all of the base, in turns from its beginning and from its end. */
static void pass_by(rest *r, int64_t panel, bool backward) {
  for (int64_t k = 0; k < r->base_size; k++)
    put(r, r->base[backward ? r->base_size - 1 - k : k], panel);
}

/* With a base of two less than can be kept, it stays: what is used least recently when
 * the next panel comes is the one before the last. */
static void order(rest *r, int64_t capacity) {
  for (bool turn = false, way = false; choose_base(r, zg_max(1, capacity - 2));
       way = !way) {
    for (int64_t k = 0; k < r->base_size; k++)
      for (int64_t j = 0; j <= k; j++)
        put(r, r->base[k], r->base[j]);
    for (int64_t k = 0; k < r->panel_count; k++) {
      int64_t panel = r->panels[way ? r->panel_count - 1 - k : k];
      if (!r->left[panel]) continue;
      pass_by(r, panel, turn);
      turn = !turn;
    }
  }
}

/* Everything that a team has is left. */
static void begin(rest *r, int64_t panels, const zg_cell *cells, int64_t count) {
  for (int64_t k = 0; k < count; k++) {
    r->is_left[zg_cell_at(cells[k].a, cells[k].b)] = true;
    r->left[cells[k].a]++;
    if (cells[k].a != cells[k].b) r->left[cells[k].b]++;
  }
  r->panel_count = 0;
  for (int64_t a = 0; a < panels; a++)
    if (r->left[a]) r->panels[r->panel_count++] = a;
}

static void order_teams(zg_triangle *t, const zg_cell *cells) {
  rest r = {.is_left = ZG_NEW0(bool, t->panels *(t->panels + 1) / 2),
            .left = ZG_NEW0(int64_t, t->panels),
            .panels = ZG_NEW(int64_t, t->panels),
            .base = ZG_NEW(int64_t, t->panels),
            .next = t->tiles,
            .common = ZG_NEW0(int64_t, t->panels)};
  for (int team = 0; team < t->teams; team++) {
    begin(&r, t->panels, cells + t->first[team], t->first[team + 1] - t->first[team]);
    order(&r, t->capacity);
  }
  free(r.is_left);
  free(r.left);
  free(r.panels);
  free(r.base);
  free(r.common);
}

void zg_triangle_create(int64_t panels, int teams, int64_t capacity,
                        zg_triangle *triangle) {
  int64_t tiles = panels * (panels + 1) / 2;
  int32_t *team = ZG_NEW(int32_t, tiles);
  zg_cell *cells = ZG_NEW(zg_cell, tiles);
  *triangle = (zg_triangle){.panels = panels,
                            .capacity = capacity,
                            .teams = teams,
                            .first = ZG_NEW(int64_t, teams + 1),
                            .tiles = ZG_NEW(int64_t, tiles)};
  zg_partition(panels, teams, team);
  zg_list_cells(panels, teams, team, triangle->first, cells);
  order_teams(triangle, cells);
  free(cells);
  free(team);
}

void zg_triangle_create_shard(int64_t panels, const zg_shard *shard, int teams,
                              int64_t capacity, zg_triangle *triangle) {
  zg_triangle all;
  zg_triangle_create(panels, (int)shard->count, capacity, &all);
  int64_t start = all.first[shard->number - 1],
          count = all.first[shard->number] - start;
  *triangle = (zg_triangle){.panels = panels,
                            .capacity = capacity,
                            .teams = teams,
                            .shard = *shard,
                            .first = ZG_NEW(int64_t, teams + 1),
                            .tiles = ZG_NEW(int64_t, count)};
  for (int t = 0; t <= teams; t++)
    triangle->first[t] = zg_part(count, teams, t);
  if (count)
    memcpy(triangle->tiles, all.tiles + start, (size_t)count * sizeof *all.tiles);
  zg_triangle_destroy(&all);
}

void zg_triangle_destroy(zg_triangle *triangle) {
  free(triangle->first);
  free(triangle->tiles);
  *triangle = (zg_triangle){0};
}
