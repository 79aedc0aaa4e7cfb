/** \file
 * Which network MPI looks for.
 *
 * Open MPI loads the library of every network it was built for, whether or not there is
 * such a network. Debian's build so loads that of Omni-Path, which sleeps 0.2 s to
 * measure the CPU's clock: two thirds of the time that MPI needs to start on a machine
 * without one. */
#ifndef ZG_GRID_FABRIC_H
#define ZG_GRID_FABRIC_H

#include <stdbool.h>

/** Whether this node has a network device that MPI drives by a library of its own:
 * InfiniBand, RoCE, Omni-Path or EFA, Slingshot, Aries, BXI.
 * \param classes  the kernel's folder of device classes, "/sys/class".
 * \return true also where it cannot be read, as in some containers. */
bool zg_has_fabric(const char *classes);

/** Before MPI starts: on a node without such a device set OMPI_MCA_pml to ob1 (shared
 * memory and TCP), which Open MPI would come to by itself, so that all ranks agree
 * wherever they are. What the user has chosen, by mpirun's options or in the
 * environment, stays. */
void zg_fabric_choose(const char *classes);

#endif
