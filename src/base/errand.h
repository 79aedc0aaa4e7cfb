/** \file
 * Work that a child process does while this one goes on with something else: it is
 * begun before MPI and threads are started, and what it has found can be collected at
 * any time. The child may use sandboxes (base/sandbox.h) and is killed when this
 * process ends, so that nothing is left of it wherever that happens. Not collective. */
#ifndef ZG_BASE_ERRAND_H
#define ZG_BASE_ERRAND_H

#include "base/status.h"
#include "base/text.h"

#include <stdbool.h>

typedef struct zg_errand zg_errand;

/** Begin one. Its notes for the watchdog count as this process's (zg_watchdog_share).
 * \param [in]  execute  executed in the child: adds what it finds, texts that are not
 * empty. Changes of memory end with it, and what it prints on standard error is lost.
 * \param [out] errand   ended by zg_errand_end or zg_errand_abandon; NULL on failure.
 * \return ZG_ERR_SYSTEM when there is no child process. */
zg_status zg_errand_begin(void (*execute)(void *context, zg_list *found), void *context,
                          zg_errand **errand);

/** Wait for its end; what it has found is added to the list.
 * \param [in] should_stop  asked now and then; NULL: never.
 * \return ZG_STOPPED when it was asked to stop: the child is then killed;
 * ZG_ERR_SYSTEM when the child had no memory, or was killed; ZG_ERR_DATA when it
 * crashed. */
zg_status zg_errand_end(zg_errand **errand, bool (*should_stop)(void), zg_list *found);

/** Kill the child; nothing happens where there is no errand. */
void zg_errand_abandon(zg_errand **errand);

#endif
