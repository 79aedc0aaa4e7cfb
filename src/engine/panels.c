#include "engine/panels.h"

#include "base/memory.h"
#include "grid/tile.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of this rank's part of one item's panel. */
static int64_t part_bytes(const zg_work *work, int64_t i, int64_t rows) {
  const zg_item *item = &work->items.items[i];
  if (!zg_item_usable(item)) return 0;
  int64_t numbers = zg_panel_size(&work->team, rows, zg_work_width(work, i));
  int64_t bytes = numbers * (int64_t)zg_real_size(item->precision);
  return zg_ceil_div(bytes, sizeof(double)) * (int64_t)sizeof(double);
}

static int64_t panel_bytes(const zg_work *work, int64_t rows) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < work->run->plan->items; i++)
    bytes += part_bytes(work, i, rows) + rows * (int64_t)sizeof(double);
  return bytes;
}

void zg_panels_create(zg_work *work, zg_centre centre, int64_t rows,
                      zg_panels *panels) {
  const zg_plan *plan = work->run->plan;
  int64_t capacity = 2;
  if (zg_team_works(&work->team))
    capacity = plan->memory.panels / zg_max(1, panel_bytes(work, rows));
  capacity = zg_max(2, zg_min(capacity, plan->panels_kept));
  if (work->team.size > 1 && zg_team_works(&work->team))
    MPI_Allreduce(MPI_IN_PLACE, &capacity, 1, MPI_INT64_T, MPI_MIN, work->team.comm);
  *panels = (zg_panels){.work = work,
                        .centre = centre,
                        .kept = ZG_NEW0(zg_panel, capacity),
                        .capacity = capacity};
  for (int64_t k = 0; k < capacity; k++)
    panels->kept[k].used = -1;
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

static void allocate_panel(const zg_work *work, int64_t first, int64_t rows,
                           zg_panel *panel) {
  int64_t N = work->run->plan->items, bytes = 0;
  for (int64_t i = 0; i < N; i++)
    bytes += part_bytes(work, i, rows);
  *panel = (zg_panel){.first = first,
                      .rows = rows,
                      .features = ZG_NEW0(void *, N),
                      .norms = ZG_NEW0(double, N *rows),
                      .traces = ZG_NEW0(double, N),
                      .storage = zg_alloc(bytes, 1),
                      .used = -1};
  char *at = panel->storage;
  for (int64_t i = 0; i < N; i++) {
    if (zg_item_usable(&work->items.items[i])) panel->features[i] = at;
    at += part_bytes(work, i, rows);
  }
}

/* Rows [row, row + count) about the item's own mean, a slab at a time. */
static zg_status read_about_item(zg_work *work, int64_t i, int64_t row, int64_t count,
                                 void *to, double *norms) {
  const zg_item *item = &work->items.items[i];
  zg_precision precision = item->precision;
  int64_t d = zg_work_width(work, i), step = zg_reader_slab_rows(d);
  for (int64_t done = 0; done < count; done += step) {
    zg_slab slab;
    ZG_TRY(
        zg_reader_rows(work->reader, i, row + done, zg_min(step, count - done), &slab));
    zg_centre_rows(&slab, item->mean, item->scale, precision,
                   zg_real_at(precision, to, done * d), norms + done);
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
  zg_precision precision = work->items.items[i].precision;
  int64_t skip, count, d = zg_work_width(work, i);
  zg_panel_share(&work->team, panel->rows, &skip, &count);
  void *to = work->team.size == 1 ? panel->features[i] : buffer;
  double *norms = panel->norms + i * panel->rows + skip;
  zg_status status =
      panels->centre == ZG_CENTRE_ITEM
          ? read_about_item(work, i, panel->first + skip, count, to, norms)
          : read_about_batch(work, i, panel, skip, count, to, norms);
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
  for (int64_t i = 0; status == ZG_OK && i < plan->items; i++)
    if (panel->features[i]) status = read_item(panels, i, panel, buffer);
  free(buffer);
  if (status != ZG_OK) return status;
  if (work->team.size > 1)
    zg_sum_doubles(work->team.comm, panel->norms, plan->items * panel->rows);
  for (int64_t i = 0; i < plan->items; i++)
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
    allocate_panel(panels->work, first, rows, found);
    zg_status status = fill_panel(panels, found);
    zg_phase_stop(panels->work, ZG_PHASE_READ);
    if (status != ZG_OK) return status; /* not marked as used, so never found */
  }
  found->used = panels->clock++;
  *panel = found;
  return ZG_OK;
}
