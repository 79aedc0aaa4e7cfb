/** \file
 * Reading rows of layers on one rank. Files stay open between calls. Not collective. */
#ifndef ZG_ZOO_READER_H
#define ZG_ZOO_READER_H

#include "linalg/features.h"
#include "zoo/zoo.h"

typedef struct zg_reader zg_reader;

/** \param [in] zoo  borrowed; must outlive the reader. */
zg_reader *zg_reader_create(const zg_zoo *zoo);
void zg_reader_destroy(zg_reader **reader);

/** Rows [row, row + rows) of a layer, trailing axes flattened; half precision is
 * converted to single, integers to double. \param [out] slab  its data are the reader's
 * and valid until the next call. \return ZG_ERR_DATA when HDF5 cannot read them,
 * ZG_ERR_INPUT when the file is gone; the message names file, model and layer. */
zg_status zg_reader_rows(zg_reader *reader, int64_t layer, int64_t row, int64_t rows,
                         zg_slab *slab);

/** Rows that make a slab of a good size for reading (some MiB), at least 1. */
int64_t zg_reader_slab_rows(int64_t d);

/** Bytes read from files so far, as stored uncompressed. */
int64_t zg_reader_bytes(const zg_reader *reader);

#endif
