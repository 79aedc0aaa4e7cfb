/** \file
 * What is written stays written: files and names that survive a power failure. Not
 * collective. */
#ifndef ZG_BASE_SYNC_H
#define ZG_BASE_SYNC_H

#include <stdbool.h>

/** Wait until what a file or directory holds is on the disk.
 * \return false when the system says that it is not; zg_reason() tells why. */
bool zg_sync_path(const char *path);
/** The same for the directory that a path lies in: the names there. */
bool zg_sync_directory(const char *path);

#endif
