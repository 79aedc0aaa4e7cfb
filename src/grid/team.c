#include "grid/team.h"

#include "base/watchdog.h"
#include "grid/scalapack.h"

static const zg_grid no_grid = {.context = -1, .rows = 1, .columns = 1};

static zg_grid make_grid(int handle, const char *order, int rows, int columns) {
  zg_grid grid = {.context = handle};
  Cblacs_gridinit(&grid.context, order, rows, columns);
  Cblacs_gridinfo(grid.context, &grid.rows, &grid.columns, &grid.my_row,
                  &grid.my_column);
  return grid;
}

int zg_team_rows(int size) {
  int best = 1;
  for (int r = 2; r * r <= size; r++)
    if (size % r == 0) best = r;
  return best;
}

void zg_team_create(MPI_Comm world, int size, zg_team *team) {
  int ranks, rank;
  ZG_WAIT;
  MPI_Comm_size(world, &ranks);
  MPI_Comm_rank(world, &rank);
  *team = (zg_team){.world = world,
                    .teams = ranks / size,
                    .size = size,
                    .handle = -1,
                    .square = no_grid,
                    .flipped = no_grid,
                    .row = no_grid,
                    .column = no_grid};
  bool works = rank < team->teams * size;
  team->team = works ? rank / size : -1;
  team->position = works ? rank % size : -1;
  MPI_Comm_split(world, works ? team->team : MPI_UNDEFINED, rank, &team->comm);
  MPI_Comm_split(world, works ? team->position : MPI_UNDEFINED, rank, &team->peers);
  if (!works || size == 1) return;
  team->handle = Csys2blacs_handle(team->comm);
  int rows = zg_team_rows(size);
  team->square = make_grid(team->handle, "Row", rows, size / rows);
  team->flipped = make_grid(team->handle, "Column", size / rows, rows);
  team->row = make_grid(team->handle, "Row", 1, size);
  team->column = make_grid(team->handle, "Row", size, 1);
}

void zg_team_destroy(zg_team *team) {
  ZG_WAIT;
  if (!zg_team_works(team)) return;
  if (team->size > 1) {
    Cblacs_gridexit(team->column.context);
    Cblacs_gridexit(team->row.context);
    Cblacs_gridexit(team->flipped.context);
    Cblacs_gridexit(team->square.context);
    Cfree_blacs_system_handle(team->handle);
  }
  MPI_Comm_free(&team->peers);
  MPI_Comm_free(&team->comm);
  team->team = team->position = -1;
}
