/** \file
 * The gram-product form of empirical tangent kernels: inner products of models' kernel
 * matrices
 *
 *     Theta[(a,c),(b,c')] = sum over layers of (A_a.A_b + bias) (B_ac.B_bc')
 *
 * (Novak, Sohl-Dickstein & Schoenholz 2022), formed tile by tile from the layers'
 * inputs A and signals B and never stored; a layer may give explicit derivatives
 * instead, and a model its whole Jacobian. Of a zg_pair it sets cross, self, floor and
 * apart. */
#ifndef ZG_MEASURES_TANGENT_H
#define ZG_MEASURES_TANGENT_H

#include <stdbool.h>
#include <stdint.h>

typedef enum zg_tangent_source {
  ZG_TANGENT_AUTO,    /**< factors where a model has them, else its Jacobian */
  ZG_TANGENT_FACTORS, /**< factors or nothing */
  ZG_TANGENT_JACOBIAN /**< the Jacobian or nothing */
} zg_tangent_source;

/** By what each kernel matrix is divided before two are subtracted. */
typedef enum zg_tangent_scale {
  ZG_TANGENT_UNSCALED,
  ZG_TANGENT_BY_TRACE,
  ZG_TANGENT_BY_NORM /**< Frobenius norm */
} zg_tangent_scale;

typedef struct zg_tangent_spec {
  /* Calls that agree in these share one pass. */
  bool full; /**< all class pairs, [m C, m C]; else summed over equal classes, [m, m] */
  zg_tangent_source source;
  int64_t sketch; /**< numbers per row of a sketched Jacobian; 0: exact */
  /* What a call makes of it. */
  zg_tangent_scale scale; /**< of `apart` */
  bool centred;           /**< norm and cosine are of the centred matrices */
  bool apart;             /**< the distance is wanted */
  bool keep;              /**< trace kernels and their eigenvalues are kept */
} zg_tangent_spec;

#endif
