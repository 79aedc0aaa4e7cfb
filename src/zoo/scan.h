/** \file
 * Reading a catalogue that may have faults; private to this folder. */
#ifndef ZG_ZOO_SCAN_H
#define ZG_ZOO_SCAN_H

#include "zoo/convolution.h"
#include "zoo/zoo.h"

#include <hdf5.h>

/** Fill in type, shape and storage of an array that is in the catalogue already, from
 * the dataset `link` of `group`. Not collective. \return ZG_ERR_DATA, naming it, when
 * it is not what its data have to be. */
zg_status zg_read_header(zg_zoo *zoo, int64_t array, hid_t group, const char *link);

/** What the dataset of a weight of kind conv says of its geometry. Not collective. */
void zg_read_convolution(hid_t dataset, const zg_array *array,
                         zg_conv_attributes *conv);

/** Like zg_zoo_open; with `report`, models and arrays that cannot be used are reported
 * and left out. Not collective.
 * \param [out] faults  how many were reported; may be NULL. */
zg_status zg_zoo_scan(const zg_list *paths, const zg_select *select,
                      zg_fault_fn *report, void *context, zg_zoo **zoo,
                      int64_t *faults);

/** The part that one file has in a zoo. Patterns may match nothing in it. Not
 * collective. \return as zg_zoo_open. */
zg_status zg_zoo_scan_file(const char *path, const zg_select *select, zg_zoo **zoo);

#endif
