/** \file
 * The list of measures in a job file, checked against the measures' own tables of
 * options. Not collective. */
#ifndef ZG_JOB_CALLS_H
#define ZG_JOB_CALLS_H

#include "job/document.h"
#include "job/job.h"

/** Read a list that is not empty into job->calls; after an error those read so far are
 * there to be destroyed with the job. \return ZG_ERR_JOB for an unknown measure or
 * option, a value that is none, an option without effect beside the others, a name that
 * is not allowed or taken. */
zg_status zg_calls_read(const zg_document *document, const zg_node *list, zg_job *job);

#endif
