/** \file
 * Slices of long vectors, read in step and laid side by side. */
#ifndef ZG_ENGINE_SLICES_H
#define ZG_ENGINE_SLICES_H

#include "engine/work.h"

/** The arrays that the vectors of a pass are made of. */
typedef struct zg_vectors {
  zg_work *work;       /**< borrowed */
  const zg_pass *pass; /**< borrowed */
  int64_t **arrays;    /**< [items] of each item, in an order that those of a group
                          share; owned */
  int64_t *counts;     /**< [items], owned */
  int64_t *head;       /**< [items] where items are heads; owned */
  double *scale;       /**< [items] powers of two that bring norms near 1 (not of
                          divergences); owned */
  double *share; /**< [items] part of an item in the reference that is subtracted: an
                    equal one for all of a group but those of another order of
                    magnitude, which have none; owned */
  zg_precision stored; /**< single where that is exact: of what is read */
  double *rows;        /**< buffer for what is collapsed or resampled; owned */
} zg_vectors;

/** Find the arrays of all items and sample their sizes.
 * Collective over the run's communicator; the same status on all ranks. */
zg_status zg_vectors_open(zg_work *work, const zg_pass *pass, zg_vectors *vectors);
void zg_vectors_close(zg_vectors *vectors);

/** Where slice `task` lies in its group's vectors: [*first, *first + *count). */
void zg_vectors_place(const zg_pass *pass, int64_t task, int64_t *first,
                      int64_t *count);

/** Squared norm of a vector that is made of rows or maps of length 1. */
double zg_vectors_unit(const zg_vectors *vectors, const zg_group *group);

/** Numbers [first, first + count) of an item's vector, unscaled, in the precision in
 * which they are stored; for vectors by rows these are rows, mapped. Not collective.
 * \param [out] code  what is wrong with them, if anything: distributions must not be
 * negative either. */
zg_status zg_vectors_read(zg_vectors *vectors, const zg_group *group, int64_t item,
                          int64_t first, int64_t count, void *to, zg_code *code);

/** Numbers [first, first + count) of some arrays laid end to end.
 * \param [in] precision  of `to`. */
zg_status zg_read_flat(zg_work *work, const int64_t *arrays, int64_t array_count,
                       int64_t first, int64_t count, zg_precision precision, void *to);

/** Power of two that brings the norm of `length` numbers like these near 1; 0 when all
 * of them are zero. */
double zg_scale_of_sample(const double *sample, int64_t count, double length);

#endif
