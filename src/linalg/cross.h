/** \file
 * Inner products of every vector of one set with every vector of another set of as
 * many, whose numbers are handed over a few at a time, as they are made:
 *
 *     S_ij += alpha sum_k left_ik right_jk.
 *
 * In single precision in panels by kernels of our own where these are faster, with the
 * same bits whatever the instruction set; by BLAS otherwise. Not collective. */
#ifndef ZG_LINALG_CROSS_H
#define ZG_LINALG_CROSS_H

#include "linalg/blas.h"
#include "linalg/micro.h"
#include "linalg/square.h"

enum {
  ZG_CROSS_RUN = ZG_SQUARE_DEPTH, /**< numbers that are multiplied at a time, at most */
  ZG_CROSS_ROWS = 16              /**< vectors that are handed over at a time */
};

/** Products in progress; the members are its own business. */
typedef struct zg_cross {
  zg_precision precision;
  bool packed;
  int64_t vectors;       /* of each set */
  int64_t run;           /* numbers of the run in hand */
  int64_t summed;        /* terms in the blocks */
  double alpha;          /* what sums are multiplied with on their way to S */
  double *coarse, *fine; /* S, borrowed */
  void *left, *right;    /* a run of either set: panels, or [vectors, run]; owned */
  float *blocks;         /* see zg_square; owned */
} zg_cross;

/** Room for sets of up to so many vectors. */
void zg_cross_create(zg_precision precision, int64_t vectors, zg_cross *cross);
void zg_cross_destroy(zg_cross *cross);
/** Bytes that this takes, with panels or without. */
int64_t zg_cross_bytes(zg_precision precision, int64_t vectors);

/** Begin products of sets of so many vectors.
 * \param [in,out] coarse, fine  S as in linalg/fixed.h, [vectors, vectors], row-major;
 * borrowed until the end. */
void zg_cross_begin(zg_cross *cross, int64_t vectors, double alpha, double *coarse,
                    double *fine);
/** The next run: so many numbers of every vector, at most ZG_CROSS_RUN. */
void zg_cross_open(zg_cross *cross, int64_t run);
/** Numbers [at, at + count) of the run, of the vectors from `first` on, a multiple of
 * ZG_CROSS_ROWS: so many, or what is left.
 * \param [in] left, right  [ZG_CROSS_ROWS, count] in the precision of products. */
void zg_cross_put(zg_cross *cross, int64_t first, int64_t at, int64_t count,
                  const void *left, const void *right);
/** Multiply the run, which is complete. */
void zg_cross_multiply(zg_cross *cross);
/** Complete S. */
void zg_cross_end(zg_cross *cross);

#endif
