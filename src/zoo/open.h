/** \file
 * The datasets behind a reader; private to this folder. Not collective. */
#ifndef ZG_ZOO_OPEN_H
#define ZG_ZOO_OPEN_H

#include "zoo/reader.h"

#include <hdf5.h>

/** The dataset of an array; the reader's, open until other arrays have been read.
 * \return ZG_ERR_DATA when it cannot be opened, ZG_ERR_INPUT when the file is gone. */
zg_status zg_reader_open(zg_reader *reader, int64_t array, hid_t *dataset);
/** The catalogue's entry. */
const zg_array *zg_reader_array(const zg_reader *reader, int64_t array);

#endif
