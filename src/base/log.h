/** \file
 * The log of a run: written by rank 0 alone, to the terminal and, when asked, to a
 * file. Other ranks call the same functions and nothing happens. Not collective.
 *
 * Budget: a note is a line that a person reads after the job; a warning says what may
 * make the result other than expected. Errors do not go through here (base/status.h).
 */
#ifndef ZG_BASE_LOG_H
#define ZG_BASE_LOG_H

#include "base/status.h"

#include <stdbool.h>

/** Start the log.
 * \param [in] speaks  true on the one rank that writes.
 * \param [in] quiet   nothing on standard output; warnings still reach standard error.
 * \param [in] path    a file that receives everything as well (appended), or NULL.
 * \return ZG_ERR_CREATE when the file cannot be opened. */
zg_status zg_log_open(bool speaks, bool quiet, const char *path);
void zg_log_close(void);

/** One line, or several separated by newlines. */
void zg_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** One line starting with `zoogram: warning: `; repeated by zg_log_close. */
void zg_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Progress of one phase with an estimate of the time left: a line redrawn in place on
 * a terminal, else a whole line at most once a minute.
 * \param [in] phase  what is being done.
 * \param [in] fraction  0 to 1; 1 ends the line. */
void zg_progress(const char *phase, double fraction);

#endif
