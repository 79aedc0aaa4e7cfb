/** \file
 * Teams of every size: who is in which, where, and on what grids. */
#include "grid/team.h"
#include "mpi_main.h"

static void check_place(const zg_team *team, int size) {
  int rank = zg_test_rank(), ranks = zg_test_ranks(), count, at;
  CU_ASSERT_EQUAL(team->size, size);
  CU_ASSERT_EQUAL(team->teams, ranks / size);
  if (rank >= ranks / size * size) {
    CU_ASSERT_FALSE(zg_team_works(team));
    CU_ASSERT(team->team == -1 && team->position == -1);
    CU_ASSERT(team->comm == MPI_COMM_NULL && team->peers == MPI_COMM_NULL);
    return;
  }
  CU_ASSERT(zg_team_works(team));
  CU_ASSERT_EQUAL(team->team, rank / size);
  CU_ASSERT_EQUAL(team->position, rank % size);
  MPI_Comm_size(team->comm, &count);
  MPI_Comm_rank(team->comm, &at);
  CU_ASSERT(count == size && at == team->position);
  MPI_Comm_size(team->peers, &count);
  MPI_Comm_rank(team->peers, &at);
  CU_ASSERT(count == team->teams && at == team->team);
}

/* Ranks lie row by row on each grid. */
static void check_grid(const zg_team *team, const zg_grid *grid) {
  CU_ASSERT_EQUAL(grid->rows * grid->columns, team->size);
  CU_ASSERT_EQUAL(grid->my_row * grid->columns + grid->my_column, team->position);
  CU_ASSERT_EQUAL(grid->context >= 0, team->size > 1);
}

static void check_grids(const zg_team *team) {
  if (!zg_team_works(team)) return;
  check_grid(team, &team->square);
  check_grid(team, &team->row);
  check_grid(team, &team->column);
  CU_ASSERT(team->square.rows <= team->square.columns);
  CU_ASSERT_EQUAL(team->flipped.rows, team->square.columns);
  CU_ASSERT_EQUAL(team->flipped.columns, team->square.rows);
  CU_ASSERT_EQUAL(team->flipped.my_row, team->square.my_column);
  CU_ASSERT_EQUAL(team->flipped.my_column, team->square.my_row);
  CU_ASSERT_EQUAL(team->flipped.context >= 0, team->size > 1);
  CU_ASSERT_EQUAL(team->row.rows, 1);
  CU_ASSERT_EQUAL(team->column.columns, 1);
  if (team->size == 4) CU_ASSERT_EQUAL(team->square.rows, 2);
  if (team->size == 5) CU_ASSERT_EQUAL(team->square.rows, 1);
}

static void every_rank_has_its_place_in_teams_of_every_size(void) {
  for (int size = 1; size <= zg_test_ranks(); size++) {
    zg_team team;
    zg_team_create(MPI_COMM_WORLD, size, &team);
    check_place(&team, size);
    check_grids(&team);
    zg_team_destroy(&team);
    CU_ASSERT_FALSE(zg_team_works(&team));
  }
}

static void teams_give_back_what_they_took(void) {
  /* BLACS and MPI run out of contexts and communicators soon when nothing is freed. */
  for (int k = 0; k < 200; k++) {
    zg_team team;
    zg_team_create(MPI_COMM_WORLD, 1 + k % zg_test_ranks(), &team);
    zg_team_destroy(&team);
  }
}

static void two_teams_may_exist_at_once(void) {
  int ranks = zg_test_ranks();
  zg_team all, pairs;
  zg_team_create(MPI_COMM_WORLD, ranks, &all);
  zg_team_create(MPI_COMM_WORLD, (ranks + 1) / 2, &pairs);
  check_grids(&all);
  check_grids(&pairs);
  zg_team_destroy(&all);
  check_grids(&pairs);
  zg_team_destroy(&pairs);
}

const zg_test zg_tests[] = {
    {"every_rank_has_its_place_in_teams_of_every_size",
     every_rank_has_its_place_in_teams_of_every_size},
    {"teams_give_back_what_they_took", teams_give_back_what_they_took},
    {"two_teams_may_exist_at_once", two_teams_may_exist_at_once},
    {NULL, NULL}};
