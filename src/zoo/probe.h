/** \file
 * Trying zoo files before they are used. HDF5 trusts what a file says of itself: a
 * damaged or hostile one can crash it or keep it busy for ever. So each file is read in
 * a child process first (base/sandbox.h), as far as a run reads all files before it
 * computes: names, headers, attributes, strings, sample ids, the index of the chunks,
 * and rows of every array. A file that its child does not survive is left out.
 *
 * The other rows are read in the run itself: numbers lie where the index says, and
 * there is no structure in them that HDF5 would follow. Deflate, shuffle and fletcher32
 * bear any bytes; where arrays of moderate size have other filters, the child reads all
 * of their numbers. Of a virtual dataset it reads a number from each source.
 *
 * Not collective; before MPI and threads are started. */
#ifndef ZG_ZOO_PROBE_H
#define ZG_ZOO_PROBE_H

#include "zoo/zoo.h"

/** What trying has shown; start with zeros, end with zg_probe_clear. */
typedef struct zg_probe {
  zg_list sound;    /**< paths that can be used, in their order */
  zg_list left_out; /**< paths that cannot */
  zg_list reasons;  /**< why: "crashed (signal 11, Segmentation fault)" */
} zg_probe;

/** How much of each file is tried. */
typedef enum zg_depth {
  ZG_DEPTH_HEADERS, /**< what zg_zoo_open and the checks of a catalogue read */
  ZG_DEPTH_DATA     /**< what zg_zoo_digest reads as well */
} zg_depth;

/** Try files, each in a child of its own.
 * \param [in]  select       as for zg_zoo_open.
 * \param [in]  should_stop  asked now and then; NULL: never.
 * \return as zg_zoo_open and zg_zoo_digest for the first file with a fault that HDF5
 * survives; ZG_ERR_DATA when no file is left; ZG_STOPPED; ZG_ERR_SYSTEM when there are
 * no child processes. */
zg_status zg_zoo_probe(const zg_list *paths, const zg_select *select, zg_depth depth,
                       bool (*should_stop)(void), zg_probe *probe);
void zg_probe_clear(zg_probe *probe);

#endif
