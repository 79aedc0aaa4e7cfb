#include "engine/panels.h"

#include "base/memory.h"
#include "base/watchdog.h"
#include "engine/store.h"
#include "grid/tile.h"
#include "linalg/micro.h"

#include <stdlib.h>
#include <string.h>

static bool is_packed(const zg_work *work, int64_t i, bool packed) {
  return packed && work->items.items[i].precision == ZG_SINGLE;
}

static bool is_stored(const zg_panels *panels, int64_t i) {
  return panels->packed && zg_store_has(panels->work->store, i);
}

/* In which an item's features are kept. */
static zg_precision kept_precision(const zg_panels *panels, int64_t i) {
  bool raw = panels->raw && zg_work_is_raw(panels->work, i);
  return raw ? ZG_SINGLE : panels->work->items.items[i].precision;
}

/* Bytes of this rank's part of one item's panel: whole cache lines. */
static int64_t part_bytes(const zg_panels *panels, int64_t i, int64_t rows) {
  const int64_t line = 64;
  const zg_work *work = panels->work;
  if (!zg_item_usable(&work->items.items[i]) || is_stored(panels, i)) return 0;
  int64_t d = zg_work_width(work, i);
  int64_t numbers = is_packed(work, i, panels->packed)
                        ? zg_packed_rows(rows) * d
                        : zg_panel_size(&work->team, rows, d);
  int64_t bytes = numbers * (int64_t)zg_real_size(kept_precision(panels, i));
  return zg_ceil_div(bytes, line) * line;
}

static int64_t panel_bytes(const zg_panels *panels, int64_t rows) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < panels->items; i++)
    bytes += part_bytes(panels, i, rows) + rows * (int64_t)sizeof(double);
  return bytes;
}

zg_status zg_panels_open(zg_work *work, const zg_pass *pass, int64_t items,
                         zg_panels *panels) {
  if (panels->kept && panels->items == items) return ZG_OK;
  zg_panels_destroy(panels);
  ZG_WAIT;
  const zg_plan *plan = work->run->plan;
  int64_t batch = zg_min(pass->spec.gram.batch, plan->samples), capacity = 2;
  *panels = (zg_panels){.work = work,
                        .centre = batch ? ZG_CENTRE_PANEL : ZG_CENTRE_ITEM,
                        .items = items,
                        .packed = zg_plan_packs(plan, pass),
                        .raw = pass->precision == ZG_SINGLE && !batch};
  if (panels->packed) ZG_TRY(zg_store_suit(work->store));
  int64_t bytes = panel_bytes(panels, batch ? batch : plan->tile);
  if (zg_team_works(&work->team)) capacity = plan->panel_room / zg_max(1, bytes);
  capacity = zg_max(2, zg_min(capacity, plan->panels_kept * plan->items / items));
  if (batch) capacity = 1; /* each is looked at once */
  if (work->team.size > 1 && zg_team_works(&work->team))
    MPI_Allreduce(MPI_IN_PLACE, &capacity, 1, MPI_INT64_T, MPI_MIN, work->team.comm);
  panels->kept = ZG_NEW0(zg_panel, capacity);
  panels->capacity = capacity;
  for (int64_t k = 0; k < capacity; k++)
    panels->kept[k].used = -1;
  return ZG_OK;
}

static void clear_panel(zg_panel *panel) {
  free(panel->features);
  free(panel->norms);
  free(panel->traces);
  free(panel->storage);
  *panel = (zg_panel){.used = -1};
}

void zg_panels_destroy(zg_panels *panels) {
  for (int64_t k = 0; k < panels->capacity; k++)
    clear_panel(&panels->kept[k]);
  free(panels->kept);
  *panels = (zg_panels){0};
}

/* The rows that fill up the last packed panel of an item. */
static void clear_rest(int64_t rows, int64_t d, float *packed) {
  int64_t last = rows / ZG_PANEL * ZG_PANEL;
  if (last < rows)
    memset(packed + last * d, 0, (size_t)(ZG_PANEL * d) * sizeof *packed);
}

static void allocate_panel(const zg_panels *panels, int64_t first, int64_t rows,
                           zg_panel *panel) {
  const zg_work *work = panels->work;
  int64_t N = panels->items, bytes = 0;
  for (int64_t i = 0; i < N; i++)
    bytes += part_bytes(panels, i, rows);
  *panel = (zg_panel){.first = first,
                      .rows = rows,
                      .features = ZG_NEW0(void *, work->run->plan->items),
                      .norms = ZG_NEW0(double, N *rows),
                      .traces = ZG_NEW0(double, N),
                      .storage = zg_alloc_large(bytes, 1),
                      .packed = panels->packed,
                      .raw = panels->raw,
                      .used = -1};
  char *at = panel->storage;
  for (int64_t i = 0; i < N; i++) {
    if (!zg_item_usable(&work->items.items[i])) continue;
    if (is_stored(panels, i)) {
      panel->features[i] = zg_store_panel(work->store, i, first);
      continue;
    }
    panel->features[i] = at;
    if (is_packed(work, i, panels->packed))
      clear_rest(rows, zg_work_width(work, i), panel->features[i]);
    at += part_bytes(panels, i, rows);
  }
}

/* Rows [row, row + count) about the item's own mean, a slab at a time.
 * \param [in] packs  `to` is packed. */
static zg_status read_about_item(zg_work *work, int64_t i, int64_t row, int64_t count,
                                 bool packs, void *to, double *norms) {
  const zg_item *item = &work->items.items[i];
  zg_precision precision = item->precision;
  int64_t d = zg_work_width(work, i), step = zg_min(count, zg_reader_slab_rows(d));
  float *centred = packs ? ZG_NEW(float, step *d) : NULL;
  zg_status status = ZG_OK;
  for (int64_t done = 0; status == ZG_OK && done < count; done += step) {
    zg_slab slab;
    int64_t rows = zg_min(step, count - done);
    status = zg_reader_rows(work->reader, i, row + done, rows, &slab);
    if (status != ZG_OK) break;
    zg_centre_rows(&slab, item->mean, item->scale, precision,
                   packs ? centred : zg_real_at(precision, to, done * d), norms + done);
    if (packs) zg_micro_pack(done, rows, d, centred, d, to);
  }
  free(centred);
  return status;
}

/* The same rows as they are in the file, and what their norms are in double. */
static zg_status read_raw(zg_work *work, int64_t i, int64_t row, int64_t count,
                          float *to, double *norms) {
  int64_t d = zg_work_width(work, i), step = zg_min(count, zg_reader_slab_rows(d));
  for (int64_t done = 0; done < count; done += step) {
    zg_slab slab;
    int64_t rows = zg_min(step, count - done);
    ZG_TRY(zg_reader_rows(work->reader, i, row + done, rows, &slab));
    zg_keep_rows(&slab, work->items.items[i].mean, work->items.items[i].scale,
                 to + done * d, norms + done);
  }
  return ZG_OK;
}

/* A batch: all its rows are read by every rank of the team, since each needs their
 * mean, and this rank's share is kept. A batch in which the item is constant becomes
 * zero. */
static zg_status read_about_batch(zg_work *work, int64_t i, const zg_panel *panel,
                                  int64_t skip, int64_t count, void *to,
                                  double *norms) {
  const zg_array *layer = &work->run->zoo->arrays[i];
  const zg_item *item = &work->items.items[i];
  zg_slab slab;
  ZG_TRY(zg_reader_rows(work->reader, i, panel->first, panel->rows, &slab));
  zg_moments moments = {.mean = ZG_NEW(double, layer->d), .finite = true};
  double *scratch = ZG_NEW(double, 2 * layer->d);
  zg_moments_add(&moments, &slab, scratch);
  bool constant = zg_is_constant(moments.squares, panel->rows, layer->d,
                                 zg_dtype_epsilon(layer->dtype), moments.largest);
  slab.data = zg_real_at(slab.precision, slab.data, skip * layer->d);
  slab.rows = count;
  zg_centre_rows(&slab, moments.mean, constant ? 0 : item->scale, item->precision, to,
                 norms);
  free(scratch);
  free(moments.mean);
  return ZG_OK;
}

static zg_status read_item(zg_panels *panels, int64_t i, zg_panel *panel,
                           void *buffer) {
  zg_work *work = panels->work;
  if (is_stored(panels, i)) {
    memcpy(panel->norms + i * panel->rows,
           zg_store_norms(work->store, i) + panel->first,
           (size_t)panel->rows * sizeof *panel->norms);
    return ZG_OK;
  }
  zg_precision precision = kept_precision(panels, i);
  int64_t skip, count, d = zg_work_width(work, i);
  zg_panel_share(&work->team, panel->rows, &skip, &count);
  void *to = work->team.size == 1 ? panel->features[i] : buffer;
  double *norms = panel->norms + i * panel->rows + skip;
  int64_t row = panel->first + skip;
  zg_status status;
  if (panels->centre == ZG_CENTRE_PANEL)
    status = read_about_batch(work, i, panel, skip, count, to, norms);
  else if (zg_panel_is_raw(work, panel, i))
    status = read_raw(work, i, row, count, to, norms);
  else
    status = read_about_item(work, i, row, count, is_packed(work, i, panels->packed),
                             to, norms);
  if (work->team.size == 1) return status;
  ZG_TRY(zg_agree(work->team.comm, status));
  zg_panel_distribute(&work->team, precision, panel->rows, d, to, panel->features[i]);
  return ZG_OK;
}

static zg_status fill_panel(zg_panels *panels, zg_panel *panel) {
  zg_work *work = panels->work;
  const zg_plan *plan = work->run->plan;
  int64_t share = zg_ceil_div(panel->rows, work->team.size);
  void *buffer =
      work->team.size > 1 ? zg_alloc(share * plan->widest, sizeof(double)) : NULL;
  zg_status status = ZG_OK;
  for (int64_t i = 0; status == ZG_OK && i < panels->items; i++)
    if (panel->features[i]) status = read_item(panels, i, panel, buffer);
  free(buffer);
  if (status != ZG_OK) return status;
  if (work->team.size > 1)
    zg_sum_doubles(work->team.comm, panel->norms, panels->items * panel->rows);
  for (int64_t i = 0; i < panels->items; i++)
    for (int64_t a = 0; a < panel->rows; a++)
      panel->traces[i] += zg_panel_norms(panel, i)[a];
  return ZG_OK;
}

static zg_panel *find(zg_panels *panels, int64_t first, int64_t rows) {
  for (int64_t k = 0; k < panels->capacity; k++) {
    zg_panel *panel = &panels->kept[k];
    if (panel->used >= 0 && panel->first == first && panel->rows == rows) return panel;
  }
  return NULL;
}

static zg_panel *least_recently_used(zg_panels *panels) {
  zg_panel *oldest = &panels->kept[0];
  for (int64_t k = 1; k < panels->capacity; k++)
    if (panels->kept[k].used < oldest->used) oldest = &panels->kept[k];
  return oldest;
}

zg_status zg_panels_get(zg_panels *panels, int64_t first, int64_t rows,
                        const zg_panel **panel) {
  zg_panel *found = find(panels, first, rows);
  if (!found) {
    found = least_recently_used(panels);
    clear_panel(found);
    zg_phase_start(panels->work, ZG_PHASE_READ);
    allocate_panel(panels, first, rows, found);
    zg_status status = fill_panel(panels, found);
    zg_phase_stop(panels->work, ZG_PHASE_READ);
    if (status != ZG_OK) return status; /* not marked as used, so never found */
  }
  found->used = panels->clock++;
  *panel = found;
  return ZG_OK;
}
