/** \file
 * A triangle of tiles cut among teams so that each team touches few panels.
 *
 * A team that is to do its share of all pairs of T panels, T^2/(2P) of them, needs at
 * least T/sqrt(P) panels, and has to read these; a team that works off neighbouring
 * rows of the triangle needs nearly all, squares of tiles need sqrt(2) times as many as
 * necessary. The least is reached where the panels are the points of a plane and the
 * teams its lines, any two points on one line: triangle blocks (Beaumont et al., SPAA
 * 2022; Al Daas et al., SPAA 2023). Planes exist for few P only, so partitions are
 * searched for: cliques that grow panel by panel, then an exchange of tiles between
 * teams that lets the work in a panel concentrate on few of them, on groups of panels
 * first and at last on single tiles. Within 1.3 of the least from P = 1 on (see the
 * test), and the same everywhere: whole numbers, pseudo-random ones from a fixed seed.
 */
#ifndef ZG_PLAN_PARTITION_H
#define ZG_PLAN_PARTITION_H

#include <stdint.h>

/** A tile by its panels, or the tiles between two groups of panels; b <= a in lists. */
typedef struct zg_cell {
  int64_t a, b;
} zg_cell;

/** Where a cell stands among all cells of a triangle; a and b in any order. */
static inline int64_t zg_cell_at(int64_t a, int64_t b) {
  return a >= b ? a * (a + 1) / 2 + b : b * (b + 1) / 2 + a;
}

/** Cut all pairs of `panels` panels among teams. A tile of a panel with itself is half
 * the work of another; teams differ by one tile at most, where that is possible.
 * \param [out] team  [panels (panels + 1) / 2] by zg_cell_at. */
void zg_partition(int64_t panels, int teams, int32_t *team);

/** The cells of every team together.
 * \param [in]  team   of all cells of `groups` groups, by zg_cell_at.
 * \param [out] first  [teams + 1]: team t has cells [first[t], first[t + 1]).
 * \param [out] cells  row by row within a team. */
void zg_list_cells(int64_t groups, int teams, const int32_t *team, int64_t *first,
                   zg_cell *cells);

#endif
