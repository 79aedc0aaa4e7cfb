#include "engine/store.h"

#include "base/memory.h"
#include "base/watchdog.h"
#include "grid/shared.h"
#include "linalg/micro.h"

#include <stdlib.h>
#include <string.h>

struct zg_store {
  zg_work *work; /* borrowed */
  zg_shared memory;
  int64_t *offset; /* [N] of each item's panels in the memory, in bytes; -1: not kept */
  int64_t norms;   /* offset of the norms, [N, n] doubles */
  int *node_of;    /* [ranks] a number for each rank's node */
  bool *raw;       /* [N] whether its rows are here as they are in the file */
};

/* Numbers that are single precision in the file, or half. */
static bool is_kept(const zg_work *work, int64_t item) {
  return zg_dtype_bytes(work->run->zoo->arrays[item].dtype) <= (int64_t)sizeof(float);
}

/* \return how many bytes each node needs. */
static int64_t lay_out(zg_store *store) {
  const zg_work *work = store->work;
  const zg_plan *plan = work->run->plan;
  int64_t rows = zg_packed_rows(plan->samples), at = 0;
  for (int64_t i = 0; i < plan->items; i++) {
    store->offset[i] = is_kept(work, i) ? at : -1;
    if (is_kept(work, i)) at += rows * zg_work_width(work, i) * (int64_t)sizeof(float);
  }
  store->norms = at;
  return at + plan->items * plan->samples * (int64_t)sizeof(double);
}

/* Nodes are known by the lowest rank on them. */
static int *find_nodes(MPI_Comm comm, MPI_Comm node) {
  ZG_WAIT;
  int rank, ranks;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  int lowest = rank, *node_of = ZG_NEW(int, ranks);
  MPI_Allreduce(MPI_IN_PLACE, &lowest, 1, MPI_INT, MPI_MIN, node);
  MPI_Allgather(&lowest, 1, MPI_INT, node_of, 1, MPI_INT, comm);
  return node_of;
}

zg_store *zg_store_create(zg_work *work) {
  if (!work->run->plan->resident) return NULL;
  zg_store *store = ZG_NEW0(zg_store, 1);
  store->work = work;
  store->offset = ZG_NEW(int64_t, work->run->plan->items);
  if (!zg_shared_create(work->run->comm, lay_out(store), &store->memory)) {
    free(store->offset);
    free(store);
    return NULL;
  }
  store->raw = ZG_NEW0(bool, work->run->plan->items);
  store->node_of = find_nodes(work->run->comm, store->memory.node);
  return store;
}

/* How much memory there was so far, of which this rank has touched more and more of
 * what is shared. */
static void note_peak(const zg_store *store) {
  zg_report *report = store->work->report;
  int64_t own = zg_ceil_div(store->memory.bytes, store->memory.ranks);
  int64_t touched = zg_min(store->memory.bytes, zg_shared_memory());
  report->resident = zg_peak_memory();
  report->peak = zg_max(report->peak, report->resident - zg_max(0, touched - own));
}

void zg_store_destroy(zg_store **store) {
  if (!*store) return;
  note_peak(*store);
  zg_shared_destroy(&(*store)->memory);
  free((*store)->offset);
  free((*store)->node_of);
  free((*store)->raw);
  free(*store);
  *store = NULL;
}

bool zg_store_has(const zg_store *store, int64_t item) {
  return store && store->offset[item] >= 0;
}

static float *panels_of(const zg_store *store, int64_t item) {
  return (float *)(void *)((char *)store->memory.base + store->offset[item]);
}

float *zg_store_panel(const zg_store *store, int64_t item, int64_t first) {
  return panels_of(store, item) + first * zg_work_width(store->work, item);
}

static double *norms_of(const zg_store *store, int64_t item) {
  double *norms = (double *)(void *)((char *)store->memory.base + store->norms);
  return norms + item * store->work->run->plan->samples;
}

const double *zg_store_norms(const zg_store *store, int64_t item) {
  return norms_of(store, item);
}

void zg_store_put(zg_store *store, int64_t item, int64_t row, const zg_slab *slab) {
  if (!store || store->offset[item] < 0) return;
  ZG_REQUIRE(slab->precision == ZG_SINGLE);
  zg_micro_pack(row, slab->rows, slab->d, slab->data, slab->d, panels_of(store, item));
}

/* ---- centring ---- */

/* One packed panel of an item: its rows centred and scaled, and their norms. */
static void centre_panel(zg_store *store, int64_t item, const zg_item *about,
                         int64_t panel) {
  int64_t d = zg_work_width(store->work, item), first = panel * ZG_PANEL;
  int64_t rows = zg_min(ZG_PANEL, store->work->run->plan->samples - first);
  float *values = panels_of(store, item) + first * d;
  double norms[ZG_PANEL];
  zg_centre_packed(rows, d, about->mean, about->scale, values, norms);
  memcpy(norms_of(store, item) + first, norms, (size_t)rows * sizeof *norms);
}

void zg_store_centre(zg_store *store, int64_t item, const zg_item *about) {
  if (!zg_store_has(store, item) || !zg_item_usable(about)) return;
  int64_t panels = zg_packed_rows(store->work->run->plan->samples) / ZG_PANEL;
  for (int64_t k = 0; k < panels; k++)
    centre_panel(store, item, about, k);
}

/* Rows [row, end) of an item, as they are. */
static zg_status read_rows(zg_store *store, int64_t item, int64_t row, int64_t end) {
  zg_work *work = store->work;
  int64_t step = zg_reader_slab_rows(zg_work_width(work, item));
  for (; row < end; row += step) {
    zg_slab slab;
    ZG_TRY(zg_work_go_on(work));
    ZG_TRY(zg_reader_rows(work->reader, item, row, zg_min(step, end - row), &slab));
    zg_store_put(store, item, row, &slab);
  }
  return ZG_OK;
}

/* What ranks of other nodes have measured is read here too, dealt out to the ranks of
 * this node. */
static zg_status read_rest(zg_store *store, int64_t groups) {
  const zg_work *work = store->work;
  const zg_plan *plan = work->run->plan;
  int rank, ranks;
  MPI_Comm_rank(work->run->comm, &rank);
  MPI_Comm_size(work->run->comm, &ranks);
  int64_t tasks = plan->items * groups, next = 0;
  for (int owner = 0; owner < ranks; owner++) {
    if (store->node_of[owner] == store->node_of[rank]) continue;
    for (int64_t t = zg_part(tasks, ranks, owner); t < zg_part(tasks, ranks, owner + 1);
         t++) {
      int64_t i = t / groups, g = t % groups;
      if (store->offset[i] < 0 || next++ % store->memory.ranks != store->memory.rank)
        continue;
      ZG_TRY(read_rows(store, i, zg_part(plan->samples, groups, g),
                       zg_part(plan->samples, groups, g + 1)));
      if (groups == 1) zg_store_centre(store, i, &work->items.items[i]);
    }
  }
  return ZG_OK;
}

/* All items, their panels dealt out to the ranks of the node. */
static void centre_all(zg_store *store) {
  const zg_work *work = store->work;
  int64_t panels = zg_packed_rows(work->run->plan->samples) / ZG_PANEL;
  int64_t tasks = work->run->plan->items * panels;
  int64_t first = zg_part(tasks, store->memory.ranks, store->memory.rank);
  int64_t end = zg_part(tasks, store->memory.ranks, store->memory.rank + 1);
#pragma omp parallel for num_threads(zg_threads())
  for (int64_t t = first; t < end; t++) {
    int64_t i = t / panels;
    const zg_item *about = &work->items.items[i];
    if (store->offset[i] >= 0 && zg_item_usable(about))
      centre_panel(store, i, about, t % panels);
  }
}

zg_status zg_store_finish(zg_store *store, int64_t groups) {
  if (!store) return ZG_OK;
  ZG_TRY(zg_agree(store->work->run->comm, read_rest(store, groups)));
  zg_shared_meet(&store->memory);
  if (groups == 1) return ZG_OK; /* each item by who has read it */
  centre_all(store);
  zg_shared_meet(&store->memory);
  return ZG_OK;
}

/* ---- another form ---- */

/* Whole packed panels [first, end) of an item, read again. */
static zg_status read_again(zg_store *store, int64_t item, int64_t first, int64_t end) {
  const zg_work *work = store->work;
  const zg_item *about = &work->items.items[item];
  int64_t d = zg_work_width(work, item), n = work->run->plan->samples;
  int64_t step = zg_reader_slab_rows(d), last = zg_min(n, end * ZG_PANEL);
  for (int64_t row = first * ZG_PANEL; row < last; row += step) {
    zg_slab slab;
    ZG_TRY(zg_work_go_on(work));
    ZG_TRY(zg_reader_rows(work->reader, item, row, zg_min(step, last - row), &slab));
    if (store->raw[item])
      zg_keep_rows(&slab, about->mean, about->scale, panels_of(store, item) + row * d,
                   norms_of(store, item) + row);
    else
      zg_store_put(store, item, row, &slab);
  }
  for (int64_t p = first; !store->raw[item] && p < end; p++)
    centre_panel(store, item, about, p);
  return ZG_OK;
}

/* Whether an item is here in another form than its precision asks for. */
static bool is_to_change(const zg_store *store, int64_t item) {
  const zg_work *work = store->work;
  return store->offset[item] >= 0 && zg_item_usable(&work->items.items[item]) &&
         store->raw[item] != zg_work_is_raw(work, item);
}

/* The ranks of a node share the panels of every item that changes. */
static zg_status change(zg_store *store) {
  zg_work *work = store->work;
  int64_t panels = zg_packed_rows(work->run->plan->samples) / ZG_PANEL;
  int64_t first = zg_part(panels, store->memory.ranks, store->memory.rank);
  int64_t end = zg_part(panels, store->memory.ranks, store->memory.rank + 1);
  zg_status status = ZG_OK;
  zg_phase_start(work, ZG_PHASE_READ);
  for (int64_t i = 0; i < work->run->plan->items; i++) {
    if (!is_to_change(store, i)) continue;
    store->raw[i] = !store->raw[i];
    if (status == ZG_OK) status = read_again(store, i, first, end);
  }
  zg_phase_stop(work, ZG_PHASE_READ);
  return status;
}

zg_status zg_store_suit(zg_store *store) {
  bool any = false;
  if (store) note_peak(store);
  for (int64_t i = 0; store && i < store->work->run->plan->items; i++)
    any |= is_to_change(store, i);
  if (!any) return ZG_OK;
  zg_shared_meet(&store->memory); /* nobody uses it now */
  ZG_TRY(zg_agree(store->work->run->comm, change(store)));
  zg_shared_meet(&store->memory);
  return ZG_OK;
}
