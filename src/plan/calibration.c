#include "plan/calibration.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

/* Runs shorter than this say nothing. */
static const double shortest = 1e-5;

static bool is_wanted(zg_rate rate, const zg_rate *rates, int64_t count) {
  for (int64_t k = 0; k < count; k++)
    if (rates[k] == rate) return true;
  return false;
}

static bool in_parts(zg_rate rate, unsigned parts) {
  /* the file system as a whole is a bound, not a term */
  return rate != ZG_RATE_READ_TOTAL && (parts >> zg_rate_infos[rate].part & 1);
}

/* Seconds for one of it; 0 while the rate is not known. */
static double cost_of(const zg_machine *machine, zg_rate rate) {
  double value = machine->rates[rate];
  return zg_rate_is_duration(rate) || !(value > 0) ? value : 1 / value;
}

/* Seconds of the parts that known rates do not explain; at least a tenth of them. */
static double unexplained(const zg_observation *run, unsigned parts,
                          const zg_rate *rates, int64_t count,
                          const zg_machine *machine) {
  double seconds = 0, known = 0;
  for (int p = 0; p < ZG_COST_PARTS; p++)
    if (parts >> p & 1) seconds += run->seconds[p];
  for (int r = 0; r < ZG_RATES; r++)
    if (in_parts((zg_rate)r, parts) && run->amounts.of[r] > 0 &&
        !is_wanted((zg_rate)r, rates, count))
      known += run->amounts.of[r] * cost_of(machine, (zg_rate)r);
  return fmax(seconds - known, seconds / 10);
}

/* min |A x - 1|^2 for x >= 0, one coordinate after the other: converges, since the
 * problem is convex, and there are three unknowns at most.
 * \param [in] A  [rows, columns], columns of length 1 or 0. */
static void solve(int64_t rows, int64_t columns, const double *A, double *x) {
  enum { SWEEPS = 20000 };
  double *rest = ZG_NEW(double, rows);
  for (int64_t i = 0; i < rows; i++)
    rest[i] = 1;
  for (int sweep = 0; sweep < SWEEPS; sweep++)
    for (int64_t j = 0; j < columns; j++) {
      double step = 0;
      for (int64_t i = 0; i < rows; i++)
        step += A[i * columns + j] * rest[i];
      step = fmax(step, -x[j]);
      x[j] += step;
      for (int64_t i = 0; i < rows; i++)
        rest[i] -= step * A[i * columns + j];
    }
  free(rest);
}

/* Divide columns by their length, which is returned in `length`. */
static void normalise(int64_t rows, int64_t columns, double *A, double *length) {
  for (int64_t j = 0; j < columns; j++) {
    double sum = 0;
    for (int64_t i = 0; i < rows; i++)
      sum += A[i * columns + j] * A[i * columns + j];
    length[j] = sqrt(sum);
    for (int64_t i = 0; i < rows && sum > 0; i++)
      A[i * columns + j] /= length[j];
  }
}

void zg_calibrate_rates(const zg_observation *runs, int64_t run_count, unsigned parts,
                        const zg_rate *rates, int64_t count, zg_machine *machine) {
  const double nothing = 1e-18;
  double *A = ZG_NEW0(double, run_count *count), *length = ZG_NEW(double, count);
  double *x = ZG_NEW0(double, count);
  for (int64_t i = 0; i < run_count; i++) {
    double seconds = unexplained(&runs[i], parts, rates, count, machine);
    for (int64_t j = 0; seconds > shortest && j < count; j++)
      A[i * count + j] = runs[i].amounts.of[rates[j]] / seconds;
  }
  normalise(run_count, count, A, length);
  solve(run_count, count, A, x);
  for (int64_t j = 0; j < count; j++) {
    if (!(length[j] > 0)) continue;
    double cost = fmax(x[j] / length[j], nothing);
    machine->rates[rates[j]] = zg_rate_is_duration(rates[j]) ? cost : 1 / cost;
  }
  free(A);
  free(length);
  free(x);
}
