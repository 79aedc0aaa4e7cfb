/** \file
 * Handing a catalogue from one process to another. */
#ifndef ZG_ZOO_EXCHANGE_H
#define ZG_ZOO_EXCHANGE_H

#include "grid/comm.h"
#include "zoo/zoo.h"

/** Give rank 0's catalogue to the others, which destroy their copy with zg_zoo_destroy.
 * Collective. */
void zg_zoo_broadcast(MPI_Comm comm, zg_zoo **zoo);

/** A catalogue as a text, which only this program on this machine understands; the
 * caller frees. Not collective. */
char *zg_zoo_to_text(const zg_zoo *zoo);
/** The catalogue that zg_zoo_to_text has written; destroy with zg_zoo_destroy. Not
 * collective. */
zg_zoo *zg_zoo_from_text(const char *text);

#endif
