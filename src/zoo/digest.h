/** \file
 * Digests of a zoo: whether two runs have read the same. */
#ifndef ZG_ZOO_DIGEST_H
#define ZG_ZOO_DIGEST_H

#include "grid/comm.h"
#include "zoo/reader.h"

/** Fill the digests of the files, as far as they are in the catalogue: names, shapes,
 * types, attributes, and of the numbers three rows per array (parts of long ones), or
 * all. The ranks share the reading. Collective; the same status on all ranks.
 */
zg_status zg_zoo_digest(MPI_Comm comm, zg_zoo *zoo, bool all_data);

/** What one array adds to the digest of its file. Not collective. */
zg_status zg_zoo_digest_array(zg_reader *reader, int64_t array, bool all_data,
                              int64_t *digest);

#endif
