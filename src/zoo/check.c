/** \file
 * Validation of a whole zoo file, data included, for `zoogram show --check`. */
#include "base/memory.h"
#include "linalg/features.h"
#include "zoo/reader.h"
#include "zoo/scan.h"
#include "zoo/zoo.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct check {
  const zg_zoo *zoo;
  zg_reader *reader;
  zg_fault_fn *report;
  void *context;
  int64_t faults;
} check;

static void fault(check *c, const char *where, const char *what) {
  c->faults++;
  c->report(c->context, where, what);
}

static void check_numbers(check *c, int64_t index, const char *where) {
  const zg_layer *layer = &c->zoo->layers[index];
  zg_moments moments = {.mean = ZG_NEW0(double, layer->d), .finite = true};
  double *scratch = ZG_NEW(double, 2 * layer->d);
  int64_t step = zg_reader_slab_rows(layer->d);
  zg_status status = ZG_OK;
  for (int64_t row = 0; status == ZG_OK && row < layer->n; row += step) {
    zg_slab slab;
    status = zg_reader_rows(c->reader, index, row, zg_min(step, layer->n - row), &slab);
    if (status == ZG_OK) zg_moments_add(&moments, &slab, scratch);
  }
  if (status != ZG_OK)
    fault(c, where, "its numbers cannot be read");
  else if (!moments.finite)
    fault(c, where, "contains NaN or infinite numbers");
  else if (zg_is_constant(moments.squares, layer->n, layer->d,
                          zg_dtype_epsilon(layer->dtype), moments.largest))
    fault(c, where, "is constant: all samples have the same features");
  free(scratch);
  free(moments.mean);
}

static void check_layer(check *c, int64_t index) {
  const zg_layer *layer = &c->zoo->layers[index], *first = &c->zoo->layers[0];
  char *where = zg_zoo_item_name(c->zoo, index);
  char what[ZG_MESSAGE_BYTES];
  if (layer->n != first->n) {
    snprintf(what, sizeof what, "has %lld samples; the first layer has %lld",
             (long long)layer->n, (long long)first->n);
    fault(c, where, what);
  }
  if (layer->n < 4) fault(c, where, "has fewer than 4 samples");
  check_numbers(c, index, where);
  free(where);
}

static void check_samples(check *c) {
  const zg_file *file = &c->zoo->files[0];
  int64_t n = c->zoo->layer_count ? c->zoo->layers[0].n : 0;
  const struct {
    const char *where;
    int64_t length;
  } lists[] = {{"/samples/id", file->ids}, {"/samples/label", file->labels}};
  for (int k = 0; k < 2; k++)
    if (lists[k].length && n && lists[k].length != n) {
      char what[ZG_MESSAGE_BYTES];
      snprintf(what, sizeof what, "has %lld entries for %lld samples",
               (long long)lists[k].length, (long long)n);
      fault(c, lists[k].where, what);
    }
}

zg_status zg_zoo_check(const char *path, zg_fault_fn *report, void *context,
                       int64_t *faults) {
  zg_list paths = {0};
  zg_list_add(&paths, path);
  zg_zoo *zoo = NULL;
  zg_status status = zg_zoo_scan(&paths, NULL, report, context, &zoo, faults);
  zg_list_clear(&paths);
  if (status != ZG_OK) return status;
  check c = {.zoo = zoo,
             .reader = zg_reader_create(zoo),
             .report = report,
             .context = context};
  check_samples(&c);
  for (int64_t k = 0; k < zoo->layer_count; k++)
    check_layer(&c, k);
  *faults += c.faults;
  zg_reader_destroy(&c.reader);
  zg_zoo_destroy(&zoo);
  return ZG_OK;
}
