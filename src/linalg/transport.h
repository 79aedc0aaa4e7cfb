/** \file
 * Entropic optimal transport between uniform weights (Cuturi 2013; Feydy et al. 2019).
 * Not collective. */
#ifndef ZG_LINALG_TRANSPORT_H
#define ZG_LINALG_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct zg_transport {
  double value; /**< min over P with marginals 1/n, 1/m of <P, C> + e KL(P | 1/(n m)) */
  double error; /**< sum of the deviations of P's marginals from 1/n and 1/m */
  bool converged; /**< the error is at most ZG_TRANSPORT_ERROR */
} zg_transport;

#define ZG_TRANSPORT_ERROR 1e-9

/** Doubles of room for a problem of n x m. */
int64_t zg_transport_room(int64_t n, int64_t m);

/** Solve the dual problem in the log domain: potentials f, g with
 *
 *     P = exp((f_i + g_j - C_ij) / e) / (n m).
 *
 * Sinkhorn iterations with a falling e lead near the solution; Newton steps of the
 * semi-dual problem in g, with a line search, then converge quadratically where
 * Sinkhorn's would take thousands of iterations (Brauer et al. 2017). Ends when the
 * error is at most 1e-13, or can no longer be lowered, or after 60 steps.
 * \param [in] C  [n, m], row-major, >= 0 and finite.
 * \param [in] epsilon  > 0.
 * \param [in] room  overwritten. */
zg_transport zg_transport_solve(int64_t n, int64_t m, const double *C, double epsilon,
                                double *room);

#endif
