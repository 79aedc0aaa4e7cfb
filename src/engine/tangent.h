/** \file
 * A tangent pass while it is being computed; private to this folder.
 *
 *     tangent.c           its life: sums over tiles, tensors
 *     tangent_tile.c      tiles of all models' kernels, and what they add to the sums
 *     tangent_products.c  from sums to products, distances, close pairs, standard
 * errors */
#ifndef ZG_ENGINE_TANGENT_H
#define ZG_ENGINE_TANGENT_H

#include "engine/products.h"
#include "engine/sweep.h"
#include "engine/theta.h"

/* A tangent pass in progress; everything is owned. An item is a model or one of its
 * sketches. */
typedef struct zg_tangent {
  zg_work *work;
  const zg_pass *pass;
  int64_t copies, items;
  bool any_centred;
  double *scale;      /* [models] of kernels */
  int64_t *first_row; /* [models] of its items in `rows`; -1: none */
  int64_t row_count;

  zg_pairs pairs;
  double *row_coarse, *row_fine; /* row sums of all items, times 1 / rows of a kernel */
  double
      *totals; /* [items][3]: trace, coarse and fine, and tiles that are not finite */
  zg_sums checkpoint;

  zg_factor_store *store;
  zg_theta theta;
  void *V;         /* a tile of every item of a group */
  double *widened; /* [items, ZG_RUN] */
  double *product_coarse, *product_fine;
} zg_tangent;

enum { ZG_KERNEL_TRACE, ZG_KERNEL_TRACE_FINE, ZG_KERNEL_BAD, ZG_KERNEL_TOTALS };

/* A tile of a group: which samples, and how many numbers. */
typedef struct zg_kernel_tile {
  const zg_group *group;
  int64_t row, rows, column, columns; /* samples */
  int64_t left, right;                /* rows and columns of the kernel */
  bool diagonal;
} zg_kernel_tile;

/** Not collective. */
zg_kernel_tile zg_kernel_tile_of(const zg_pass *pass, int64_t task);
/** Numbers of the largest tile. */
int64_t zg_tangent_largest_tile(const zg_pass *pass);

/** The tile of one model (`copies` tiles of a sketched one), zeros where a number is
 * not finite. Not collective. */
zg_status zg_tangent_form(zg_work *work, zg_factor_store *store, zg_theta *theta,
                          const zg_kernel_tile *t, int64_t model, int64_t copies,
                          void *to, bool *finite);
/** A zg_task_fn: add a tile of all models of its group to the sums. */
zg_status zg_tangent_visit(void *tangent, int64_t task);
/** Guess the scales of all kernels. Collective over the run's communicator. */
zg_status zg_tangent_sample(zg_tangent *s);

/** Inner products of all items, scaled: <K, L>, or with H on both sides <K, L> - 2/n
 * r.s
 * + (1'r)(1's)/n^2 with row sums r, s of n-row kernels. \return [items, items], which
 * the caller frees. Not collective. */
double *zg_tangent_inner(const zg_tangent *s, bool centred);
/** What a call makes of inner products; distances squared.
 * \param [in] without  sketch that is left out, -1: none.
 * \param [out] from    [n] what distances were subtracted from. Not collective. */
void zg_tangent_set(const zg_tangent *s, const zg_tangent_spec *spec, const double *S,
                    int64_t without, zg_products *p, double *from);
/** Compute close pairs again, in double and from differences. Collective over the run's
 * communicator; the same status on all ranks. */
zg_status zg_tangent_refine(const zg_tangent *s, const double *from, zg_products *p);
/** Keep the standard errors of a sketched call. Collective over the run's communicator;
 * the same status on all ranks. */
zg_status zg_tangent_keep_errors(const zg_tangent *s, int64_t call, int64_t quantity,
                                 const zg_tangent_spec *spec, const double *S,
                                 zg_results *results);

#endif
