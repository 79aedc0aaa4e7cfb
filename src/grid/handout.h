/** \file
 * Lists of tasks that teams work off and help one another with.
 *
 * Every team has a list and takes from its front; a team that is done takes from the
 * back of the list that has most left. How far a list has been taken from both ends is
 * one number in the memory of its team's first rank, which all teams count up through a
 * window, without that rank's doing:
 *
 *     list of team 2    . . . 3 4 5 6 7 . .       front 3, back 2: 3 to 7 left
 *
 * So nobody waits but for the last tasks, and a team rarely needs what others have
 * read. Without a window (one team, or MPI has none) every team does its own list. */
#ifndef ZG_GRID_HANDOUT_H
#define ZG_GRID_HANDOUT_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct zg_handout {
  MPI_Comm comm;    /**< borrowed */
  MPI_Win window;   /**< MPI_WIN_NULL: none */
  int64_t *counter; /**< this team's, in the window */
  int64_t *lengths; /**< [teams] of the lists; owned */
  int team, teams;
  int source;    /**< the list that this team takes from; -1: nothing is left */
  int64_t taken; /**< without a window: from this team's list */
} zg_handout;

/** What has become of a request. */
typedef enum zg_handout_answer {
  ZG_HANDOUT_TASK,  /**< there is one */
  ZG_HANDOUT_NONE,  /**< all have been taken */
  ZG_HANDOUT_ENDED, /**< some team has ended all this */
} zg_handout_answer;

/** \param [in] leaders  one rank of every team, whose rank is the team's number.
 * \param [in] lengths  [teams] of the lists, the same on all ranks.
 * \param [in] help     teams help one another.
 * Collective over leaders. Destroy with zg_handout_destroy, collectively. */
void zg_handout_create(MPI_Comm leaders, const int64_t *lengths, bool help,
                       zg_handout *handout);
void zg_handout_destroy(zg_handout *handout);

/** Take a task: number *position of the list of team *list. Not collective. */
zg_handout_answer zg_handout_next(zg_handout *handout, int *list, int64_t *position);
/** Let no team take any further task: this one has failed, or was told to stop. Not
 * collective. Without a window the others go on. */
void zg_handout_end(zg_handout *handout);

#endif
