#include "engine/products.h"

#include "base/log.h"
#include "base/memory.h"
#include "linalg/fixed.h"
#include "linalg/numbers.h"

#include <math.h>
#include <stdlib.h>

void zg_products_create(const zg_pass *pass, zg_products *p) {
  int64_t n = pass->items, pairs = n * n;
  *p = (zg_products){.n = n,
                     .group = ZG_NEW(int64_t, n),
                     .code = ZG_NEW(zg_code, n),
                     .norm = ZG_NEW0(double, n),
                     .multiplier = ZG_NEW0(double, n),
                     .cosine = ZG_NEW0(double, pairs),
                     .apart = ZG_NEW0(double, pairs),
                     .refined = ZG_NEW0(uint8_t, pairs),
                     .unsupported = ZG_NEW0(uint8_t, pairs)};
  for (int64_t i = 0; i < n; i++) {
    p->group[i] = -1;
    p->code[i] = ZG_CODE_ABSENT;
  }
  for (int64_t g = 0; g < pass->group_count; g++)
    for (int64_t k = 0; k < pass->groups[g].count; k++) {
      p->group[pass->groups[g].members[k]] = pass->groups[g].family;
      p->code[pass->groups[g].members[k]] = ZG_CODE_OK;
    }
}

void zg_products_clear(zg_products *p) {
  free(p->group);
  free(p->code);
  free(p->norm);
  free(p->multiplier);
  free(p->cosine);
  free(p->apart);
  free(p->refined);
  free(p->unsupported);
  *p = (zg_products){0};
}

bool zg_products_fit(const zg_products *p, int64_t i, int64_t k) {
  return p->group[i] >= 0 && p->group[i] == p->group[k] && p->code[i] == ZG_CODE_OK &&
         p->code[k] == ZG_CODE_OK;
}

void zg_products_multipliers(const zg_products *p, int64_t i, int64_t k, double *a,
                             double *b) {
  *a = p->multiplier[i];
  *b = p->multiplier[k];
  if (p->keep_size) *a = *b = fmin(*a, *b);
}

void zg_products_take_roots(zg_products *p) {
  for (int64_t i = 0; i < p->n; i++)
    for (int64_t k = 0; k < p->n; k++) {
      double unit, same, *apart = &p->apart[i * p->n + k];
      zg_products_multipliers(p, i, k, &unit, &same);
      if (*apart > 0) *apart = sqrt(*apart) / (p->keep_size ? unit : 1);
      if (!(*apart > 0)) *apart = 0;
    }
}

void zg_products_pair(const void *context, int64_t i, int64_t k, zg_pair *pair) {
  const zg_products *p = context;
  pair->norm_a = p->norm[i];
  pair->norm_b = p->norm[k];
  pair->cosine = p->cosine[i * p->n + k];
  pair->apart = p->apart[i * p->n + k];
  pair->refined = p->refined[i * p->n + k];
  pair->unsupported = p->unsupported[i * p->n + k];
  pair->scaled = p->multiplier[i] > 0 && p->multiplier[k] > 0;
  pair->code_a = p->code[i];
  pair->code_b = p->code[k];
  bool both = p->group[i] >= 0 && p->group[k] >= 0;
  if (both && p->group[i] != p->group[k]) pair->code = ZG_CODE_SHAPE;
}

double zg_power_below(double x) {
  return x > 0 && isfinite(x) ? ldexp(1, ilogb(x)) : 1;
}

double zg_scale_for(double size) {
  return size > 0 ? 1 / zg_power_below(fmin(fmax(size, 0x1p-1000), 0x1p1000)) : 1;
}

/* The squares that a distance was subtracted from, in its units. */
static double size_of(const zg_products *p, const double *from, int64_t i, int64_t k) {
  double a, b;
  zg_products_multipliers(p, i, k, &a, &b);
  return from[i] * pow(a / p->multiplier[i], 2) +
         from[k] * pow(b / p->multiplier[k], 2);
}

static void add_close(const zg_products *p, int64_t i, int64_t k, double bound,
                      zg_close_pairs *close) {
  double a, b;
  zg_products_multipliers(p, i, k, &a, &b);
  if ((close->count & (close->count - 1)) == 0)
    close->pairs =
        zg_realloc(close->pairs, zg_max(1, 2 * close->count), sizeof *close->pairs);
  close->pairs[close->count++] = (zg_close){.i = i,
                                            .k = k,
                                            .group = p->group[i],
                                            .alpha = a / sqrt(bound),
                                            .beta = b / sqrt(bound),
                                            .bound = bound};
  close->place[i] = close->place[k] = 0;
}

void zg_close_find(const zg_products *p, const double *from, double threshold,
                   double noise, zg_close_pairs *close) {
  *close = (zg_close_pairs){.place = ZG_NEW(int64_t, p->n)};
  for (int64_t i = 0; i < p->n; i++)
    close->place[i] = -1;
  for (int64_t i = 0; i < p->n; i++)
    for (int64_t k = 0; k < i; k++) {
      bool both =
          zg_products_fit(p, i, k) && p->multiplier[i] > 0 && p->multiplier[k] > 0;
      double apart = p->apart[i * p->n + k], size = both ? size_of(p, from, i, k) : 0;
      if (both && apart < threshold * size)
        add_close(p, i, k, 2 * zg_power_below(fmax(apart, noise * size)), close);
    }
  close->coarse = ZG_NEW0(double, close->count);
  close->fine = ZG_NEW0(double, close->count);
  if (close->count)
    zg_note("  %lld close pairs are computed from differences",
            (long long)close->count);
}

void zg_close_add(zg_close_pairs *close, int64_t group, double weight,
                  zg_precision precision, int64_t count, const void *V) {
  for (int64_t c = 0; c < close->count; c++) {
    const zg_close *pair = &close->pairs[c];
    if (pair->group != group) continue;
    const void *x = zg_real_at(precision, V, close->place[pair->i] * count);
    const void *y = zg_real_at(precision, V, close->place[pair->k] * count);
    double sum = zg_squared_difference(precision, count, pair->alpha, x, pair->beta, y);
    zg_fixed_add(&close->coarse[c], &close->fine[c], weight * sum);
  }
}

void zg_close_finish(MPI_Comm comm, zg_close_pairs *close, zg_products *p) {
  zg_sum_doubles(comm, close->coarse, close->count);
  zg_sum_doubles(comm, close->fine, close->count);
  for (int64_t c = 0; c < close->count; c++) {
    const zg_close *pair = &close->pairs[c];
    int64_t there = pair->i * p->n + pair->k, back = pair->k * p->n + pair->i;
    p->apart[there] = p->apart[back] =
        (close->coarse[c] + close->fine[c]) * pair->bound;
    p->refined[there] = p->refined[back] = 1;
  }
}

void zg_close_clear(zg_close_pairs *close) {
  free(close->pairs);
  free(close->coarse);
  free(close->fine);
  free(close->place);
  *close = (zg_close_pairs){0};
}
