/** \file
 * Reading arrays of the catalogue, and their attributes, on one rank. Files stay open
 * between calls, and so do the datasets read last. Not collective.
 *
 * Numbers come in the precision of the file: half precision is converted to single,
 * integers and other types to double. What a call returns is the reader's and valid
 * until the next call of the same reader. Every function \return ZG_ERR_DATA when HDF5
 * cannot read it, ZG_ERR_INPUT when the file is gone; the message names file, model and
 * array. */
#ifndef ZG_ZOO_READER_H
#define ZG_ZOO_READER_H

#include "linalg/features.h"
#include "zoo/zoo.h"

typedef struct zg_reader zg_reader;

/** \param [in] zoo  borrowed; must outlive the reader. */
zg_reader *zg_reader_create(const zg_zoo *zoo);
void zg_reader_destroy(zg_reader **reader);
/** Bytes that HDF5 takes at most for the chunks of the arrays that one reader of a zoo
 * has open, those of virtual datasets' sources not counted. */
int64_t zg_reader_chunk_bytes(const zg_zoo *zoo);
/** Destroy a reader and add what it has read to the counts of another. */
void zg_reader_absorb(zg_reader *reader, zg_reader **other);

/** Rows [row, row + rows) of an array, trailing axes flattened: slab [rows, d]. */
zg_status zg_reader_rows(zg_reader *reader, int64_t array, int64_t row, int64_t rows,
                         zg_slab *slab);

/** The same rows as doubles, slab by slab.
 * \param [out] values  [rows, d], the caller's. */
zg_status zg_reader_doubles(zg_reader *reader, int64_t array, int64_t row, int64_t rows,
                            double *values);

/** Rows [row, row + rows) of the first axis and columns [column, column + columns) of
 * the last, the axes between them whole: slab [rows, d / last * columns], in C order.
 * An array of one axis (or none) has one column. */
zg_status zg_reader_part(zg_reader *reader, int64_t array, int64_t row, int64_t rows,
                         int64_t column, int64_t columns, zg_slab *slab);

/** Rows [row, row + rows) of the first axis, and of the flattened trailing axes columns
 * from `column` on: as many as one box of the array holds, at least 1 and at most
 * `most`. slab [rows, that many]. */
zg_status zg_reader_columns(zg_reader *reader, int64_t array, int64_t row, int64_t rows,
                            int64_t column, int64_t most, zg_slab *slab);

/** Numbers [first, first + count) of an array in C order, and no others: slab [1,
 * count]. */
zg_status zg_reader_flat(zg_reader *reader, int64_t array, int64_t first, int64_t count,
                         zg_slab *slab);

/** Numbers [first, first + count), in C order, of what an array has at one position of
 * its second axis, which drops out: slab [1, count]. A head of attention, [n, queries,
 * keys]. */
zg_status zg_reader_layer(zg_reader *reader, int64_t array, int64_t position,
                          int64_t first, int64_t count, zg_slab *slab);

/** Rows as integers.
 * \param [out] values  [rows, d], the caller's. */
zg_status zg_reader_integers(zg_reader *reader, int64_t array, int64_t row,
                             int64_t rows, int64_t *values);

/** The strings of an array of one axis, added to `texts`. */
zg_status zg_reader_texts(zg_reader *reader, int64_t array, zg_list *texts);

/** A numeric attribute of an array, a scalar or a list.
 * \param [out] values  the caller frees; NULL without any.
 * \param [out] count   0 when there is no such attribute.
 * \return ZG_ERR_DATA also when it holds something else. */
zg_status zg_reader_numbers(zg_reader *reader, int64_t array, const char *attribute,
                            double **values, int64_t *count);

/** An attribute of strings, one or a list, fixed or variable.
 * \param [out] words  added to it; nothing when there is no such attribute.
 * \return ZG_ERR_DATA also when it holds something else. */
zg_status zg_reader_words(zg_reader *reader, int64_t array, const char *attribute,
                          zg_list *words);

/** Say that rows will be read soon, so that the system may fetch them meanwhile.
 * Without effect where they do not lie in the file in one piece. */
void zg_reader_expect(zg_reader *reader, int64_t array, int64_t row, int64_t rows);

/** Rows that make a slab of a good size for reading (some MiB), at least 1. */
int64_t zg_reader_slab_rows(int64_t d);

/** Bytes of numbers read from files so far, as stored uncompressed. */
int64_t zg_reader_bytes(const zg_reader *reader);
/** Numbers of arrays read from files so far. */
int64_t zg_reader_read(const zg_reader *reader);

#endif
