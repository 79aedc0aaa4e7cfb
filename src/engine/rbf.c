/** \file
 * Bandwidths, shifts and scales of RBF kernels. */
#include "engine/pass.h"

#include "base/memory.h"
#include "base/watchdog.h"
#include "engine/median.h"
#include "linalg/select.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double gamma_of(const zg_pass *pass, double median) {
  return 1 / (2 * pass->spec.gram.bandwidth * pass->spec.gram.bandwidth * median);
}

/* exp(-gamma d^2) - base, to the last digit for either base. */
static double without_base(const zg_rbf *rbf, double distance) {
  double exponent = -rbf->gamma * distance;
  return rbf->base > 0 ? expm1(exponent) : exp(exponent);
}

/* The kernel for a bandwidth, with base and shift from some distances. The shift is
 * rounded to single precision, which blocks of that precision have to do anyway. */
static zg_rbf choose_kernel(double gamma, const double *distances, int64_t count,
                            int64_t step) {
  double sum = 0, terms = (double)zg_ceil_div(count, step);
  for (int64_t k = 0; k < count; k += step)
    sum += exp(-gamma * distances[k]);
  zg_rbf rbf = {.gamma = gamma, .base = sum > terms / 2, .scale = 1};
  double rest = 0;
  for (int64_t k = 0; k < count; k += step)
    rest += without_base(&rbf, distances[k]);
  rbf.shift = (double)(float)(rest / terms);
  return rbf;
}

/* The largest that is left of the kernel at these distances. */
static double kernel_size(const zg_rbf *rbf, const double *distances, int64_t count) {
  double size = 0;
  for (int64_t k = 0; k < count; k++)
    size = fmax(size, fabs(without_base(rbf, distances[k]) - rbf->shift));
  return size > 0 ? size : 1;
}

double zg_rbf_diagonal(const zg_rbf *rbf) {
  return ((1 - rbf->base) - rbf->shift) / rbf->scale;
}

zg_status zg_rbf_prepare(zg_pass_state *s) {
  zg_work *work = s->work;
  zg_medians medians = {0};
  zg_status status = zg_medians_find(work, s->pass, &s->forming, &medians);
  for (int64_t i = 0; status == ZG_OK && i < work->run->plan->items; i++) {
    const double *sample = medians.quantiles + i * ZG_QUANTILES;
    zg_rbf *rbf = &s->rbf[i];
    if (s->gram->code[i] != ZG_CODE_OK) continue;
    if (!(medians.median[i] > 0)) {
      s->gram->code[i] = ZG_CODE_ZERO_VARIANCE;
      continue;
    }
    *rbf = choose_kernel(gamma_of(s->pass, medians.median[i]), sample, ZG_QUANTILES, 1);
    rbf->scale = kernel_size(rbf, sample, ZG_QUANTILES);
    s->gram->median[i] = medians.median[i] * work->items.items[i].squares;
  }
  zg_medians_clear(&medians);
  return status;
}

/* Squared distances of a whole batch, on every rank of the team. */
static int64_t batch_distances(zg_pass_state *s, const zg_panel *panel,
                               const zg_block *block, int64_t i) {
  const double *norms = zg_panel_norms(panel, i);
  zg_block_distances(block, norms, norms, zg_desk_of(s)->distances);
  int own = (int)zg_block_entries(block);
  const zg_team *team = &s->work->team;
  if (team->size == 1) return own;
  ZG_WAIT;
  int *counts = ZG_NEW(int, 2 * team->size), *starts = counts + team->size;
  MPI_Allgather(&own, 1, MPI_INT, counts, 1, MPI_INT, team->comm);
  starts[0] = 0;
  for (int r = 1; r < team->size; r++)
    starts[r] = starts[r - 1] + counts[r - 1];
  int total = starts[team->size - 1] + counts[team->size - 1];
  double *mine = ZG_NEW(double, own);
  memcpy(mine, zg_desk_of(s)->distances, (size_t)own * sizeof *mine);
  MPI_Allgatherv(mine, own, MPI_DOUBLE, zg_desk_of(s)->distances, counts, starts,
                 MPI_DOUBLE, team->comm);
  free(mine);
  free(counts);
  return total;
}

bool zg_rbf_prepare_batch(zg_pass_state *s, const zg_panel *panel,
                          const zg_block *block, int64_t i) {
  int64_t count = batch_distances(s, panel, block, i);
  double median = zg_distance_median(zg_desk_of(s)->distances, panel->rows);
  if (!(median > 0)) return false;
  s->alive[i]++;
  double scale = s->rbf[i].scale;
  s->rbf[i] = choose_kernel(gamma_of(s->pass, median), zg_desk_of(s)->distances, count,
                            1 + count / ZG_QUANTILES);
  s->rbf[i].scale = scale;
  return true;
}
