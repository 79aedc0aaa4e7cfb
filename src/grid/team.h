/** \file
 * Teams: the P ranks are split into T teams of Q; a team is a ScaLAPACK process grid.
 *
 *     rank            0 1 2 3 4 5 6        P = 7, Q = 3: T = 2, rank 6 idles
 *     team            0 0 0 1 1 1 -
 *     position        0 1 2 0 1 2 -
 *
 * `team` is the communicator of one team, `peers` that of the ranks with one position
 * in all teams. A team has four BLACS grids over the same ranks: a square-like one for
 * Gram tiles, the same one with rows and columns exchanged, and a row and a column of Q
 * for what is cut along one axis. A team of one
 * rank has none and never communicates. */
#ifndef ZG_GRID_TEAM_H
#define ZG_GRID_TEAM_H

#include "grid/comm.h"

/** A BLACS grid; context is -1 for a team of one rank. */
typedef struct zg_grid {
  int context;
  int rows, columns; /**< Pr, Pc */
  int my_row, my_column;
} zg_grid;

typedef struct zg_team {
  MPI_Comm world;     /**< borrowed */
  MPI_Comm comm;      /**< this team; MPI_COMM_NULL on an idle rank */
  MPI_Comm peers;     /**< MPI_COMM_NULL on an idle rank */
  int teams, size;    /**< T, Q */
  int team, position; /**< -1 on an idle rank */
  int handle;         /**< BLACS system handle of comm */
  zg_grid square;     /**< Pr x Pc, Pr <= Pc */
  zg_grid flipped;    /**< Pc x Pr: each rank's row is its column of square */
  zg_grid row;        /**< 1 x Q */
  zg_grid column;     /**< Q x 1 */
} zg_team;

/** Split `world` into teams of `size` ranks (1 <= size <= ranks). Collective over
 * world; destroy with zg_team_destroy, collectively. */
void zg_team_create(MPI_Comm world, int size, zg_team *team);
void zg_team_destroy(zg_team *team);
/** Rows of the square-like grid of a team of `size` ranks: the largest divisor up to
 * the square root, 1 for a prime. Not collective. */
int zg_team_rows(int size);
/** Whether this rank belongs to a team. Not collective. */
static inline bool zg_team_works(const zg_team *team) {
  return team->team >= 0;
}

#endif
