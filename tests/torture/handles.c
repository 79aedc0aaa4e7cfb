/** \file
 * Counts what a program opens and closes of MPI, BLACS and HDF5: to be preloaded. When
 * the program ends MPI, every rank writes a line "NAME COUNT" for each kind of which
 * something is still open, and "counted OPENED" for how much it has seen, into the file
 * $ZOOGRAM_HANDLES.RANK. What the libraries open for themselves is counted with it:
 * they close it when what they opened it for is closed. */
#include <dlfcn.h>
#include <hdf5.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef OPEN_MPI /* shells on the way to the program have no MPI */
#pragma weak ompi_mpi_comm_world
#pragma weak ompi_mpi_comm_null
#endif

enum kind { COMMUNICATORS, WINDOWS, OPERATIONS, GRIDS, SPACES, LISTS, TYPES, KINDS };
static const char *const names[KINDS] = {
    "communicators", "windows", "operations", "grids", "spaces", "lists", "types"};
static long open_now[KINDS], opened;

static void count(enum kind kind, int change) {
  open_now[kind] += change;
  opened += change > 0;
}

/* ---- MPI, by its profiling interface ---- */

int MPI_Comm_split(MPI_Comm comm, int color, int key, MPI_Comm *made) {
  int result = PMPI_Comm_split(comm, color, key, made);
  if (*made != MPI_COMM_NULL) count(COMMUNICATORS, 1);
  return result;
}

int MPI_Comm_split_type(MPI_Comm comm, int type, int key, MPI_Info info,
                        MPI_Comm *made) {
  int result = PMPI_Comm_split_type(comm, type, key, info, made);
  if (*made != MPI_COMM_NULL) count(COMMUNICATORS, 1);
  return result;
}

int MPI_Comm_dup(MPI_Comm comm, MPI_Comm *made) {
  count(COMMUNICATORS, 1);
  return PMPI_Comm_dup(comm, made);
}

int MPI_Comm_create(MPI_Comm comm, MPI_Group group, MPI_Comm *made) {
  int result = PMPI_Comm_create(comm, group, made);
  if (*made != MPI_COMM_NULL) count(COMMUNICATORS, 1);
  return result;
}

int MPI_Comm_free(MPI_Comm *comm) {
  count(COMMUNICATORS, -1);
  return PMPI_Comm_free(comm);
}

int MPI_Win_allocate(MPI_Aint size, int unit, MPI_Info info, MPI_Comm comm, void *base,
                     MPI_Win *made) {
  int result = PMPI_Win_allocate(size, unit, info, comm, base, made);
  if (result == MPI_SUCCESS) count(WINDOWS, 1);
  return result;
}

int MPI_Win_allocate_shared(MPI_Aint size, int unit, MPI_Info info, MPI_Comm comm,
                            void *base, MPI_Win *made) {
  int result = PMPI_Win_allocate_shared(size, unit, info, comm, base, made);
  if (result == MPI_SUCCESS) count(WINDOWS, 1);
  return result;
}

int MPI_Win_free(MPI_Win *window) {
  count(WINDOWS, -1);
  return PMPI_Win_free(window);
}

int MPI_Op_create(MPI_User_function *function, int commutes, MPI_Op *made) {
  count(OPERATIONS, 1);
  return PMPI_Op_create(function, commutes, made);
}

int MPI_Op_free(MPI_Op *op) {
  count(OPERATIONS, -1);
  return PMPI_Op_free(op);
}

/* ---- the others, by the next function of that name ---- */

#define NEXT(name) __typeof__(&name) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

void Cblacs_gridinit(int *context, const char *order, int rows, int columns);
void Cblacs_gridexit(int context);
void Cblacs_gridinit(int *context, const char *order, int rows, int columns) {
  NEXT(Cblacs_gridinit);
  next(context, order, rows, columns);
  if (*context >= 0) count(GRIDS, 1);
}
void Cblacs_gridexit(int context) {
  NEXT(Cblacs_gridexit);
  next(context);
  count(GRIDS, -1);
}

#define OPENS(kind, name, arguments, values)                                           \
  hid_t name arguments {                                                               \
    NEXT(name);                                                                        \
    hid_t made = next values;                                                          \
    if (made >= 0) count(kind, 1);                                                     \
    return made;                                                                       \
  }
#define CLOSES(kind, name)                                                             \
  herr_t name(hid_t id) {                                                              \
    NEXT(name);                                                                        \
    herr_t result = next(id);                                                          \
    if (result >= 0) count(kind, -1);                                                  \
    return result;                                                                     \
  }

OPENS(SPACES, H5Screate, (H5S_class_t type), (type))
OPENS(SPACES, H5Screate_simple, (int rank, const hsize_t *now, const hsize_t *most),
      (rank, now, most))
OPENS(SPACES, H5Scopy, (hid_t id), (id))
OPENS(SPACES, H5Dget_space, (hid_t id), (id))
OPENS(SPACES, H5Aget_space, (hid_t id), (id))
CLOSES(SPACES, H5Sclose)
OPENS(LISTS, H5Pcreate, (hid_t id), (id))
OPENS(LISTS, H5Pcopy, (hid_t id), (id))
OPENS(LISTS, H5Fget_access_plist, (hid_t id), (id))
OPENS(LISTS, H5Gget_create_plist, (hid_t id), (id))
OPENS(LISTS, H5Dget_create_plist, (hid_t id), (id))
CLOSES(LISTS, H5Pclose)
OPENS(TYPES, H5Tcopy, (hid_t id), (id))
OPENS(TYPES, H5Tcreate, (H5T_class_t class, size_t size), (class, size))
OPENS(TYPES, H5Tvlen_create, (hid_t id), (id))
OPENS(TYPES, H5Tget_super, (hid_t id), (id))
OPENS(TYPES, H5Tget_member_type, (hid_t id, unsigned member), (id, member))
OPENS(TYPES, H5Tget_native_type, (hid_t id, H5T_direction_t which), (id, which))
OPENS(TYPES, H5Dget_type, (hid_t id), (id))
OPENS(TYPES, H5Aget_type, (hid_t id), (id))
CLOSES(TYPES, H5Tclose)

/* Closes objects of files, which are counted at the end, and types, which are not. */
herr_t H5Oclose(hid_t id) {
  NEXT(H5Oclose);
  if (H5Iget_type(id) == H5I_DATATYPE) count(TYPES, -1);
  return next(id);
}

/* ---- the end ---- */

static void report(int rank) {
  char path[4096];
  const char *prefix = getenv("ZOOGRAM_HANDLES");
  if (!prefix) return;
  snprintf(path, sizeof path, "%s.%d", prefix, rank);
  FILE *file = fopen(path, "w");
  if (!file) return;
  for (int k = 0; k < KINDS; k++)
    if (open_now[k]) fprintf(file, "%s %ld\n", names[k], open_now[k]);
  ssize_t objects = H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL);
  if (objects) fprintf(file, "objects of HDF5 files %ld\n", (long)objects);
  fprintf(file, "counted %ld\n", opened);
  fclose(file);
}

int MPI_Finalize(void) {
  int rank;
  PMPI_Comm_rank(MPI_COMM_WORLD, &rank);
  report(rank);
  return PMPI_Finalize();
}
