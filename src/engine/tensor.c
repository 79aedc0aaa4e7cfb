#include "engine/tensor.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>

/* Entries (i, k), k < width, of the owned items i. Beyond the diagonal those of a
 * symmetric tensor count only where both are owned. */
static void finish_rows(const zg_call *call, int64_t own, int64_t owned, int64_t width,
                        zg_pair_fn *pair_of, const void *context, double *values,
                        int8_t *codes) {
  for (int64_t r = 0; r < owned; r++)
    for (int64_t k = 0; k < width; k++) {
      zg_pair pair = {.same = own + r == k};
      zg_code code;
      pair_of(context, own + r, k, &pair);
      values[r * width + k] = call->measure->finish(call, &pair, &code);
      codes[r * width + k] = (int8_t)code;
    }
}

/* Every entry below the diagonal of a symmetric tensor stands for two. */
static void count_codes(const zg_call *call, int64_t own, int64_t owned, int64_t width,
                        const int8_t *codes, zg_report *report) {
  bool twice = call->measure->symmetric;
  for (int64_t r = 0; r < owned; r++)
    for (int64_t k = 0; k < (twice ? own + r + 1 : width); k++)
      report->entries[codes[r * width + k]] += twice && k < own + r ? 2 : 1;
}

/* Some of the owned rows, up to column `width`. */
static zg_status write_some(zg_work *work, zg_results *results, int64_t call,
                            int64_t own, int64_t owned, int64_t width,
                            zg_pair_fn *pair_of, const void *context) {
  const zg_call *asked = &work->run->calls[call];
  double *values = ZG_NEW(double, owned *width);
  int8_t *codes = ZG_NEW(int8_t, owned * width);
  finish_rows(asked, own, owned, width, pair_of, context, values, codes);
  count_codes(asked, own, owned, width, codes, work->report);
  zg_phase_start(work, ZG_PHASE_WRITE);
  zg_status status =
      asked->measure->symmetric
          ? zg_results_write_symmetric(results, call, own, owned, values, codes)
          : zg_results_write_rows(results, call, own, owned, width, values, codes);
  zg_phase_stop(work, ZG_PHASE_WRITE);
  free(values);
  free(codes);
  return status;
}

/* The owned rows; those of a symmetric tensor up to the diagonal, of any other up to
 * column `width`. Piece by piece, and the ranks take part in one another's pieces. */
static zg_status write_rows(zg_work *work, zg_results *results, int64_t call,
                            int64_t own, int64_t owned, int64_t width,
                            zg_pair_fn *pair_of, const void *context) {
  bool symmetric = work->run->calls[call].measure->symmetric;
  int64_t step = zg_max(1, ZG_PLAN_WRITTEN / zg_max(1, width));
  int32_t pieces = (int32_t)zg_ceil_div(owned, step);
  zg_max_ints(work->run->comm, &pieces, 1);
  for (int32_t k = 0; k < pieces; k++) {
    int64_t first = own + zg_min(owned, k * step);
    int64_t end = own + zg_min(owned, (k + 1) * step);
    ZG_TRY(write_some(work, results, call, first, end - first, symmetric ? end : width,
                      pair_of, context));
  }
  return ZG_OK;
}

zg_status zg_tensor_write(zg_work *work, zg_results *results, int64_t call, int64_t own,
                          int64_t owned, zg_pair_fn *pair_of, const void *context) {
  ZG_REQUIRE(work->run->calls[call].measure->symmetric);
  return write_rows(work, results, call, own, owned, own + owned, pair_of, context);
}

zg_status zg_tensor_write_shared(zg_work *work, zg_results *results, int64_t call,
                                 int64_t items, zg_pair_fn *pair_of,
                                 const void *context) {
  int64_t own = zg_part(items, work->solo.teams, work->solo.team);
  int64_t end = zg_part(items, work->solo.teams, work->solo.team + 1);
  int64_t width = work->run->calls[call].measure->symmetric ? end : items;
  return write_rows(work, results, call, own, end - own, width, pair_of, context);
}

zg_status zg_tensor_keep(zg_work *work, zg_results *results, int64_t call,
                         int64_t quantity, int64_t items, const double *values) {
  int64_t start[ZG_KEPT_RANK] = {0};
  int64_t count[ZG_KEPT_RANK] = {work->solo.team == 0 ? items : 0};
  zg_phase_start(work, ZG_PHASE_WRITE);
  zg_status status =
      zg_results_write_kept(results, call, quantity, start, count, values);
  zg_phase_stop(work, ZG_PHASE_WRITE);
  return status;
}

zg_status zg_tensor_keep_pairs(zg_work *work, zg_results *results, int64_t call,
                               int64_t quantity, int64_t items,
                               zg_pair_value_fn *value_of, const void *context) {
  int64_t own = zg_part(items, work->solo.teams, work->solo.team);
  int64_t end = zg_part(items, work->solo.teams, work->solo.team + 1);
  int64_t start[ZG_KEPT_RANK] = {own, 0}, count[ZG_KEPT_RANK] = {end - own, items};
  double *values = ZG_NEW(double, (end - own) * items);
  for (int64_t i = own; i < end; i++)
    for (int64_t k = 0; k < items; k++)
      values[(i - own) * items + k] = value_of(context, i, k);
  zg_phase_start(work, ZG_PHASE_WRITE);
  zg_status status =
      zg_results_write_kept(results, call, quantity, start, count, values);
  zg_phase_stop(work, ZG_PHASE_WRITE);
  free(values);
  return status;
}

/* An array, or one of those of a model. The caller frees. */
static char *where_of(const zg_zoo *zoo, int64_t array, int64_t count) {
  if (count == 1) return zg_zoo_where(zoo, array);
  const zg_model *model = &zoo->models[zoo->arrays[array].model];
  zg_text where = {0};
  zg_text_add(&where, "%s: model '%s', %s", zoo->files[model->file].path, model->name,
              zg_data_name(zoo->arrays[array].data));
  return where.data;
}

/* Whether this is to be said: once of a place and status, and no more than so many. */
static bool is_news(zg_work *work, const char *where, zg_code code) {
  const int64_t most = 20;
  zg_list *said = &work->complaints;
  zg_text key = {0};
  zg_text_add(&key, "%d %s", code, where);
  bool news = said->count <= most && zg_list_find(said, key.data) < 0;
  if (news) zg_list_add(said, key.data);
  zg_text_clear(&key);
  if (news && said->count > most)
    zg_warn("... and more; 'zoogram show FILE --check' lists every fault");
  return news && said->count <= most;
}

void zg_tensor_complain(zg_work *work, int64_t array, int64_t count, zg_code code,
                        const char *what) {
  char *where = where_of(work->run->zoo, array, count);
  if (is_news(work, where, code))
    zg_warn("%s: %s: its entries have status %d", where, what, code);
  free(where);
}
