/** \file
 * Files that tests make: a directory of their own, and small zoos. */
#ifndef ZG_TESTS_FILES_H
#define ZG_TESTS_FILES_H

#include "zoo/zoo.h"

#include <hdf5.h>
#include <stdint.h>

enum { ZG_TEST_PATH_BYTES = 256 };

/** Path of a file in a directory that belongs to this program's run and is removed when
 * it ends. Collective over all processes. \return the buffer. */
char *zg_test_path(const char *name, char path[ZG_TEST_PATH_BYTES]);

/** Make a zoo without models and open it. Not collective, nor is anything below. */
hid_t zg_test_zoo_create(const char *path);
/** Close it. */
void zg_test_zoo_close(hid_t file);
/** The catalogue of all models of a zoo, which has to be sound; the caller destroys. */
zg_zoo *zg_test_zoo_open(const char *path);

/** Make a group and those above it. \param [in] tracked  it tracks the order in which
 * its members are made. */
void zg_test_zoo_group(hid_t file, const char *path, int tracked);
/** Give an object the attribute `order`. */
void zg_test_zoo_order(hid_t file, const char *path, int64_t order);

/** Write a dataset and the groups above it.
 * \param [in] type    in the file.
 * \param [in] values  one for each number, C order; NULL: not written. */
void zg_test_zoo_dataset(hid_t file, const char *path, hid_t type, int rank,
                         const hsize_t *dims, const double *values);
/** A layer [n, d] of float64. */
void zg_test_zoo_layer(hid_t file, const char *model, const char *layer, int64_t n,
                       int64_t d, const double *values);
/** Write a list of strings and the groups above it, of fixed or variable length. */
void zg_test_zoo_texts(hid_t file, const char *path, int variable, int64_t count,
                       const char *const *texts);
/** Sample ids as integers start, start + 1, ... */
void zg_test_zoo_ids(hid_t file, int64_t n, int64_t start);

/** Half precision as a type of the file; the caller closes. */
hid_t zg_test_half_type(void);

#endif
