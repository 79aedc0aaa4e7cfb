/** \file
 * Which kernel the BLAS library has chosen, and which it should have. Not collective.
 *
 * OpenBLAS chooses by a table of CPU models that ages with the release: a newer CPU may
 * get a kernel that is five times too slow. */
#ifndef ZG_LINALG_CORE_H
#define ZG_LINALG_CORE_H

#include <stdbool.h>

/** Name of the kernel in use, "unknown" when the library is not OpenBLAS. */
const char *zg_blas_core(void);
/** The library's description of itself ("OpenBLAS 0.3.21 ..."), or "BLAS". */
const char *zg_blas_library(void);
/** The value for OPENBLAS_CORETYPE that would use this CPU better than the kernel in
 * use; NULL when there is none. */
const char *zg_blas_better_core(void);
/** Threads that each call uses from now on. */
void zg_blas_set_threads(int threads);
/** The same before a loop of so many threads that make calls: each gets its share of
 * zg_threads(). After it they are set to those again. */
void zg_blas_share_threads(int loop);
/** Whether there is address space for the buffer that OpenBLAS takes at the first
 * product; where there is none (ulimit -v) it would try for ever. */
bool zg_blas_has_room(void);

#endif
