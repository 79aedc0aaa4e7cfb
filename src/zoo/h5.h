/** \file
 * What reading HDF5 needs again and again. HDF5's own error printing is off: every
 * failure becomes one message of ours that names file and object. Not collective. */
#ifndef ZG_ZOO_H5_H
#define ZG_ZOO_H5_H

#include "base/status.h"
#include "base/text.h"

#include <hdf5.h>
#include <stdbool.h>

/** Close any identifier and set it to -1; ignores invalid ones. */
void zg_h5_close(hid_t *id);
/** A local identifier that closes itself at the end of its scope. */
#define ZG_H5 __attribute__((cleanup(zg_h5_close))) hid_t

/** Switch off HDF5's printing and its file locks, which many cluster file systems
 * refuse and which readers do not need; what the system has said of a failure is kept
 * (zg_reason). Where HDF5 has no memory the program ends, as
 * where it has none itself (base/memory.h). HDF5 does not clear up at the end of the
 * process, which it cannot survive once it has failed to close a file: so call this
 * before MPI starts, whose end HDF5 would else wait for, and before anything else here.
 */
void zg_h5_start(void);

/** Calls of HDF5 that have failed in this process. What is written may wait in memory
 * until something is closed, which zg_h5_close does without an answer: a file is whole
 * when no call has failed since its making began. */
int64_t zg_h5_failures(void);

/** Open a file for reading, serially.
 * \return ZG_ERR_INPUT when it is missing or not readable, ZG_ERR_DATA when it is not
 * HDF5 or is damaged (truncated). */
zg_status zg_h5_open(const char *path, hid_t *file);

/** The text of a string attribute, of fixed or variable length; NULL when there is
 * none. The caller frees. */
char *zg_h5_text_attribute(hid_t object, const char *name);
/** An integer attribute; `fallback` when there is none. */
int64_t zg_h5_int_attribute(hid_t object, const char *name, int64_t fallback);

/** A numeric attribute (integer, float or enumeration), scalar or one-dimensional.
 * \param [out] values  the caller frees; NULL without any.
 * \param [out] count   0 when there is no such attribute or it is empty.
 * \return false when it is there and holds something else. */
bool zg_h5_number_attribute(hid_t object, const char *name, double **values,
                            int64_t *count);
/** An attribute of one string or a list of them, added to `texts`; nothing when there
 * is none. \return false when it is there and holds something else. */
bool zg_h5_list_attribute(hid_t object, const char *name, zg_list *texts);

/** H5Aiterate2 over the attributes of an object by name. HDF5 1.10 crashes over the
 * table of those of a damaged object; here that is a failure like others. */
herr_t zg_h5_each_attribute(hid_t object, H5A_operator2_t visit, void *context);

/** Names of a group's members in the zoo's order: by the integer attribute `order`
 * where present, then the rest by creation order where the group tracks it, else in
 * natural order. */
zg_status zg_h5_members(hid_t group, zg_list *names);
/** The same.
 * \param [out] ordered  whether the file says the order of all members, by attributes
 * that differ or by tracking, so that their names did not decide. */
zg_status zg_h5_ordered_members(hid_t group, zg_list *names, bool *ordered);

/** A one-dimensional dataset of strings or integers as text, at most `limit` entries
 * (0: all). */
zg_status zg_h5_texts(hid_t dataset, int64_t limit, zg_list *texts);

#endif
