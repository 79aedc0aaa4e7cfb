/** \file
 * Whether a file still has the structure that it was made with: MPI-IO may take a read
 * that fails for one of zeros, and HDF5 then writes back what it has understood of
 * them. Private to this folder. */
#ifndef ZG_RESULTS_STRUCTURE_H
#define ZG_RESULTS_STRUCTURE_H

#include <hdf5.h>
#include <stdint.h>

/** A digest of all groups and datasets, their shapes, places in the file and
 * attributes, but not of values. Not collective.
 * \return 0 when any of that cannot be read. */
uint64_t zg_structure_digest(hid_t file);

#endif
