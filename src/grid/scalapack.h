/** \file
 * The only prototypes of BLACS, PBLAS and ScaLAPACK; private to this folder. */
#ifndef ZG_GRID_SCALAPACK_H
#define ZG_GRID_SCALAPACK_H

#include <mpi.h>

int Csys2blacs_handle(MPI_Comm comm);
void Cfree_blacs_system_handle(int handle);
void Cblacs_gridinit(int *context, const char *order, int rows, int columns);
void Cblacs_gridinfo(int context, int *rows, int *columns, int *my_row, int *my_column);
void Cblacs_gridexit(int context);

int numroc_(const int *n, const int *block, const int *me, const int *source,
            const int *processes);
void descinit_(int *descriptor, const int *m, const int *n, const int *mb,
               const int *nb, const int *row_source, const int *column_source,
               const int *context, const int *leading, int *info);

#define ZG_DECLARE_PBLAS(p, real)                                                      \
  void p##gemm_(const char *, const char *, const int *, const int *, const int *,     \
                const real *, const real *, const int *, const int *, const int *,     \
                const real *, const int *, const int *, const int *, const real *,     \
                real *, const int *, const int *, const int *);                        \
  void p##syrk_(const char *, const char *, const int *, const int *, const real *,    \
                const real *, const int *, const int *, const int *, const real *,     \
                real *, const int *, const int *, const int *);                        \
  void p##gemr2d_(const int *, const int *, const real *, const int *, const int *,    \
                  const int *, real *, const int *, const int *, const int *,          \
                  const int *);
ZG_DECLARE_PBLAS(ps, float)
ZG_DECLARE_PBLAS(pd, double)

void pdgeadd_(const char *, const int *, const int *, const double *, const double *,
              const int *, const int *, const int *, const double *, double *,
              const int *, const int *, const int *);

#endif
