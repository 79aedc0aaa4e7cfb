/** \file
 * The normaliser of t-SNE's map (van der Maaten & Hinton 2008, eq. 4):
 * Z = sum over i != j of 1 / (1 + |y_i - y_j|^2). Not collective. */
#ifndef ZG_LINALG_STUDENT_H
#define ZG_LINALG_STUDENT_H

#include <stdbool.h>
#include <stdint.h>

enum {
  ZG_STUDENT_AXES = 3,       /**< axes of a map at most */
  ZG_STUDENT_DIRECT = 20000, /**< points below which Z is summed directly */
};

/** A map: coordinate k of all points in y[k], zero where there is no such axis. */
typedef struct zg_map_points {
  int64_t n;
  int axes;
  const double *y[ZG_STUDENT_AXES]; /**< [n] each */
} zg_map_points;

/** By direct summation: n^2 / 2 terms. */
double zg_student_direct(const zg_map_points *map);

/** By interpolation on a regular grid, whose products with the kernel are a convolution
 * (Linderman et al. 2019): relative error below 1e-4.
 * \return false when the map is too wide for a grid of 2^24 points. */
bool zg_student_grid(const zg_map_points *map, double *sum);

/** Whichever suits. */
double zg_student_normaliser(const zg_map_points *map);
/** Bytes that it takes. */
int64_t zg_student_memory(int64_t n);

#endif
