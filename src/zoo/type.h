/** \file
 * Number types of files as HDF5 describes them; private to this folder. Not collective.
 */
#ifndef ZG_ZOO_TYPE_H
#define ZG_ZOO_TYPE_H

#include "zoo/zoo.h"

#include <hdf5.h>

/** \return false when the type is neither a number nor a string. */
bool zg_dtype_of(hid_t type, zg_dtype *dtype);
/** The type to ask HDF5 for numbers, so that it has at most bytes to swap (but for
 * ZG_OTHER_NUMBER, which becomes double). The caller closes. */
hid_t zg_dtype_memory(zg_dtype dtype);

#endif
