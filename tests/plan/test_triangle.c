/** \file
 * Tiles dealt out to teams: each once, evenly, few panels per team, in an order in
 * which these are read few times. */
#include "plan/triangle.h"

#include "base/memory.h"
#include "mpi_main.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one team has. */
typedef struct share {
  int64_t tiles, work; /* in halves of a tile off the diagonal */
  int64_t touched;     /* panels */
  int64_t loads;       /* panels read when those used last are kept */
} share;

/* Panels that stay: those used last. */
typedef struct memory {
  int64_t *used, clock, capacity, kept;
} memory;

static int64_t load(memory *m, int64_t panels, int64_t panel) {
  bool there = m->used[panel] > 0;
  if (!there && m->kept == m->capacity) {
    int64_t oldest = -1;
    for (int64_t k = 0; k < panels; k++)
      if (m->used[k] && (oldest < 0 || m->used[k] < m->used[oldest])) oldest = k;
    m->used[oldest] = 0;
  } else if (!there) {
    m->kept++;
  }
  m->used[panel] = ++m->clock;
  return !there;
}

static share share_of(const zg_triangle *t, int team, int64_t capacity) {
  share s = {0};
  bool *touched = ZG_NEW0(bool, t->panels);
  memory m = {.used = ZG_NEW0(int64_t, t->panels), .capacity = capacity};
  for (int64_t k = t->first[team]; k < t->first[team + 1]; k++) {
    int64_t row, column;
    zg_tile_place(t->tiles[k], &row, &column);
    s.tiles++;
    s.work += row == column ? 1 : 2;
    s.loads += load(&m, t->panels, row);
    s.loads += load(&m, t->panels, column);
    touched[row] = touched[column] = true;
  }
  for (int64_t k = 0; k < t->panels; k++)
    s.touched += touched[k];
  free(touched);
  free(m.used);
  return s;
}

static void check_tiles(const zg_triangle *t) {
  int64_t tiles = t->panels * (t->panels + 1) / 2;
  bool *seen = ZG_NEW0(bool, tiles);
  CU_ASSERT(t->first[0] == 0 && t->first[t->teams] == tiles);
  for (int64_t k = 0; k < tiles; k++) {
    CU_ASSERT_FATAL(t->tiles[k] >= 0 && t->tiles[k] < tiles && !seen[t->tiles[k]]);
    seen[t->tiles[k]] = true;
  }
  free(seen);
}

static void every_tile_belongs_to_one_team(void) {
  for (int64_t panels = 1; panels <= 20; panels++)
    for (int teams = 1; teams <= 70; teams += 1 + teams / 8) {
      zg_triangle t;
      zg_triangle_create(panels, teams, 4, &t);
      check_tiles(&t);
      zg_triangle_destroy(&t);
    }
}

static void numbers_and_places_fit(void) {
  for (int64_t k = 0; k < 5000; k++) {
    int64_t row, column;
    zg_tile_place(k, &row, &column);
    CU_ASSERT(0 <= column && column <= row);
    CU_ASSERT_EQUAL(zg_tile_number(row, column), k);
    CU_ASSERT_EQUAL(zg_tile_number(column, row), k);
  }
}

static void tiles_of_a_triangle_are_walked_as_a_snake(void) {
  int64_t row = 0, column = 0, next_row, next_column;
  for (int64_t k = 0; k < 30 * 31 / 2; k++) {
    zg_tile_place(k, &next_row, &next_column);
    /* neighbours share a side, but where a row begins on the diagonal */
    CU_ASSERT(!k || next_row == row || next_column == column ||
              next_row == next_column);
    row = next_row;
    column = next_column;
  }
}

/* No team has more than a tile more than another. */
static void teams_have_equal_work(void) {
  for (int64_t panels = 5; panels <= 48; panels += 1 + panels / 4)
    for (int teams = 1; teams <= 64; teams += 1 + teams / 6) {
      zg_triangle t;
      int64_t least = INT64_MAX, most = 0;
      zg_triangle_create(panels, teams, 4, &t);
      for (int team = 0; team < teams; team++) {
        share s = share_of(&t, team, 4);
        least = zg_min(least, s.work);
        most = zg_max(most, s.work);
      }
      CU_ASSERT(most - least <= 2);
      zg_triangle_destroy(&t);
    }
}

/* Mean panels of a team over the least that are possible, T / sqrt(P). */
static double excess(int64_t panels, int teams) {
  zg_triangle t;
  double touched = 0;
  zg_triangle_create(panels, teams, panels, &t);
  check_tiles(&t);
  for (int team = 0; team < teams; team++) {
    share s = share_of(&t, team, panels);
    CU_ASSERT_EQUAL(s.loads, s.touched);
    touched += (double)s.touched;
  }
  zg_triangle_destroy(&t);
  return touched / teams / (double)panels * sqrt(teams);
}

static void check_excess(int64_t panels, int teams, double bound) {
  double found = excess(panels, teams);
  if (found > bound)
    fprintf(stderr, "%d panels, %d teams: %.3f of the least\n", (int)panels, teams,
            found);
  CU_ASSERT(found <= bound);
}

static void teams_touch_few_panels(void) {
  for (int teams = 1; teams <= 16; teams++) {
    check_excess(24, teams, 1.3);
    check_excess(48, teams, 1.3);
  }
  for (int teams = 17; teams <= 64; teams++)
    check_excess(96, teams, 1.3);
}

/* Where a plane exists nearly every team is one of its lines. */
static void planes_are_found(void) {
  check_excess(28, 7, 1.14);  /* of seven points: 3/sqrt(7) = 1.134 */
  check_excess(36, 12, 1.21); /* of nine points, affine: 2/sqrt(3) = 1.155 */
  check_excess(52, 13, 1.12); /* of thirteen points: 4/sqrt(13) = 1.109 */
}

static void any_size_is_dealt_out_alike_every_time(void) {
  zg_triangle one, other;
  zg_triangle_create(37, 11, 5, &one);
  zg_triangle_create(37, 11, 5, &other);
  CU_ASSERT(!memcmp(one.first, other.first, 12 * sizeof *one.first));
  CU_ASSERT(!memcmp(one.tiles, other.tiles, 37 * 19 * sizeof *one.tiles));
  zg_triangle_destroy(&one);
  zg_triangle_destroy(&other);
}

/* With room for c panels the tiles of m panels cost about m^2 / (2 (c - 2)) readings:
 * every base of c - 2 panels once with all that come after it. */
static void panels_are_read_few_times(void) {
  static const int64_t capacities[] = {2, 3, 4, 6, 10, 16};
  for (size_t k = 0; k < sizeof capacities / sizeof *capacities; k++) {
    zg_triangle t;
    int64_t c = capacities[k], base = zg_max(1, c - 2), m = 40;
    zg_triangle_create(m, 1, c, &t);
    share s = share_of(&t, 0, c);
    CU_ASSERT((double)s.loads <= (double)(m * m) / (2 * (double)base) + (double)m);
    zg_triangle_destroy(&t);
  }
}

static void a_thousand_teams_are_dealt_out(void) {
  zg_triangle t;
  zg_triangle_create(384, 1024, 8, &t);
  check_tiles(&t);
  zg_triangle_destroy(&t);
  check_excess(384, 1024, 1.45);
}

const zg_test zg_tests[] = {
    {"every_tile_belongs_to_one_team", every_tile_belongs_to_one_team},
    {"numbers_and_places_fit", numbers_and_places_fit},
    {"tiles_of_a_triangle_are_walked_as_a_snake",
     tiles_of_a_triangle_are_walked_as_a_snake},
    {"teams_have_equal_work", teams_have_equal_work},
    {"teams_touch_few_panels", teams_touch_few_panels},
    {"planes_are_found", planes_are_found},
    {"any_size_is_dealt_out_alike_every_time", any_size_is_dealt_out_alike_every_time},
    {"panels_are_read_few_times", panels_are_read_few_times},
    {"a_thousand_teams_are_dealt_out", a_thousand_teams_are_dealt_out},
    {NULL, NULL}};
