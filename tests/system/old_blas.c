/** \file
 * An OpenBLAS that does not know this CPU, to be loaded before the program: unless it
 * is told otherwise it takes it for one of 2004. It says so, and computes as ever. */
#include <dlfcn.h>
#include <stdlib.h>

char *openblas_get_corename(void);
char *openblas_get_corename(void) {
  static char name[] = "Prescott";
  char *(*real)(void);
  *(void **)&real = dlsym(RTLD_NEXT, "openblas_get_corename");
  return getenv("OPENBLAS_CORETYPE") && real ? real() : name;
}
