/** \file
 * How the inner products come about. With V_i the off-diagonal part of an item's kernel
 * matrix after subtracting u_a + u_b (a shift to which HSIC is blind), alpha =
 * diag(K_i) - 2u what is left of its diagonal, and r = V_i 1,
 *
 *     U-centred:  <V_i,V_j> - 2/(n-2) r_i.r_j + (1'r_i)(1'r_j)/((n-1)(n-2))
 *     centred:    <V_i,V_j> + alpha_i.alpha_j - 2/n t_i.t_j + (1't_i)(1't_j)/n^2, t = r
 * + alpha
 *
 * <V_i,V_j> is what costs; it is summed in runs of the working precision and then in
 * double, everything else in double. For linear kernels u is the shift of U-centring,
 * known from the row norms of centred features, so that r = 0 and nothing cancels in
 * the first line. For RBF kernels u is half a constant near the mean of the kernel off
 * the diagonal. */
#include "engine/pass.h"

#include "base/log.h"
#include "base/memory.h"
#include "linalg/core.h"
#include "linalg/fixed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Numbers per item in zg_pass_state.parameters: the kernel, then these. */
enum { MEDIAN = sizeof(zg_rbf) / sizeof(double), CODE, PRECISION, PARAMETERS };

static void make_zero(const zg_block *block) {
  for (int64_t c = 0; c < block->columns; c++)
    memset(zg_real_at(block->precision, block->values, c * block->leading), 0,
           (size_t)block->rows * zg_real_size(block->precision));
}

/* Row sums of an item: a full pass keeps them for all samples, a batch for its own. */
static double *row_sums_at(const zg_pass_state *s, int64_t i, const zg_panel *panel) {
  if (s->pass->spec.gram.batch) return s->row_sums + i * panel->rows;
  return s->row_sums + i * s->work->run->plan->samples + panel->first;
}

/* Add the row sums of a tile: rounded, so that it does not matter in which order tiles
 * come (a row sum stays below 2n); a batch is complete with its one tile. */
static void keep_row_sums(zg_pass_state *s, int64_t i, const zg_panel *panel,
                          const double *tile_sums) {
  double *sums = row_sums_at(s, i, panel), bound = 4;
  while (bound < 4 * (double)s->work->run->plan->samples)
    bound *= 2;
  for (int64_t a = 0; a < panel->rows; a++)
    sums[a] +=
        s->pass->spec.gram.batch ? tile_sums[a] : zg_fixed_round(tile_sums[a], bound);
}

static void apply_rbf(void *context, int64_t i, zg_block *block, const zg_panel *rows,
                      const zg_panel *columns) {
  zg_pass_state *s = context;
  if (s->pass->spec.gram.batch && !zg_rbf_prepare_batch(s, rows, block, i)) {
    make_zero(block);
    return;
  }
  zg_desk *desk = zg_desk_of(s);
  memset(desk->left_side, 0, (size_t)rows->rows * sizeof *desk->left_side);
  memset(desk->right_side, 0, (size_t)columns->rows * sizeof *desk->right_side);
  zg_block_rbf(block, zg_panel_norms(rows, i), zg_panel_norms(columns, i), &s->rbf[i],
               desk->left_side, desk->right_side);
  keep_row_sums(s, i, rows, desk->left_side);
  keep_row_sums(s, i, columns, desk->right_side);
}

/* The samples and the trace that the shift of linear kernels is made of. */
static void shift_of(const zg_pass_state *s, const zg_panel *panel, int64_t i,
                     double *u) {
  int64_t n = s->pass->spec.gram.batch ? panel->rows : s->work->run->plan->samples;
  double trace = s->pass->spec.gram.batch ? panel->traces[i] : 1;
  zg_ucentring_shift(panel->rows, zg_panel_norms(panel, i), trace, n, u);
}

static void keep_diagonal(zg_pass_state *s, const zg_step *step, int64_t i) {
  const zg_desk *desk = zg_desk_of(s);
  double *alpha = s->alpha + i * step->left->rows, total = 0;
  for (int64_t a = 0; a < step->left->rows; a++) {
    alpha[a] = zg_panel_norms(step->left, i)[a] - 2 * desk->left_side[a];
    total += alpha[a];
  }
  s->total[i] += zg_fixed_round(total, 4); /* all of them together are about 1 */
}

/* One item: product and kernel, in the precision that the item needs; as a whole, or by
 * strips. */
static void form_item(zg_pass_state *s, const zg_step *step, int64_t i, bool strips,
                      void *values, zg_block_fn *visit, void *context) {
  void (*form)(zg_work *, const zg_step *, int64_t, const zg_shift *, void *,
               zg_block_fn *, void *) = strips ? zg_step_form_strips : zg_step_form;
  if (zg_is_rbf(s)) {
    form(s->work, step, i, NULL, values, visit, context);
    return;
  }
  zg_desk *desk = zg_desk_of(s);
  zg_shift shift = {.left = desk->left_side, .right = desk->right_side};
  shift_of(s, step->left, i, desk->left_side);
  shift_of(s, step->right, i, desk->right_side);
  if (step->diagonal && s->pass->needs[ZG_CENTRED]) keep_diagonal(s, step, i);
  form(s->work, step, i, &shift, values, visit, context);
}

/* An item that is formed in double, on its way to the pass's precision. */
typedef struct narrowing {
  zg_pass_state *s;
  const zg_step *step;
  float *V;
} narrowing;

static void narrow(void *context, int64_t i, zg_block *block, const zg_panel *rows,
                   const zg_panel *columns) {
  const narrowing *to = context;
  if (zg_is_rbf(to->s)) apply_rbf(to->s, i, block, rows, columns);
  if (to->step->left->packed)
    zg_step_pack(to->step, block->values, to->V);
  else
    zg_block_narrow(block, to->V + (block->column_of - to->step->tile.column_of) *
                                       block->leading);
}

static double *wide_desk(zg_pass_state *s) {
  zg_desk *desk = zg_desk_of(s);
  if (!desk->wide) desk->wide = ZG_NEW(double, s->wide);
  return desk->wide;
}

/* V of one item on this tile, with zeros up to the longest part of the team. */
static void fill_item(zg_pass_state *s, const zg_step *step, int64_t stride,
                      int64_t i) {
  zg_precision precision = zg_pass_precision(s);
  int64_t size = zg_step_numbers(step);
  void *V = zg_real_at(precision, s->V, i * stride);
  bool same = s->work->items.items[i].precision == precision;
  bool usable = s->gram->code[i] == ZG_CODE_OK;
  int64_t zeros = usable ? size : 0;
  memset(zg_real_at(precision, V, zeros), 0,
         (size_t)(stride - zeros) * zg_real_size(precision));
  narrowing to = {.s = s, .step = step, .V = V};
  if (usable && same && s->forming.formed)
    zg_step_visit(s->work, step, i, V, apply_rbf, s);
  else if (usable && same)
    form_item(s, step, i, false, V, zg_is_rbf(s) ? apply_rbf : NULL, s);
  else if (usable)
    form_item(s, step, i, !s->pass->spec.gram.batch, wide_desk(s), narrow, &to);
}

static void form_tile(zg_pass_state *s, const zg_step *step, int64_t stride) {
  zg_blas_share_threads(s->threads);
#pragma omp parallel for schedule(dynamic, 4) num_threads(s->threads)
  for (int64_t i = 0; i < s->end; i++)
    fill_item(s, step, stride, i);
  zg_blas_set_threads(zg_threads());
}

static zg_status visit(void *context, const zg_step *step) {
  zg_pass_state *s = context;
  zg_work *work = s->work;
  int64_t size = zg_step_numbers(step);
  int64_t longest = step->left->packed ? size : step->tile.longest;
  int64_t stride = s->forming.V ? s->forming.stride : longest + ZG_TILE_PADDING;
  form_tile(s, step, stride);
  s->forming.formed = false; /* V is the kernels now */
  zg_phase_start(work, ZG_PHASE_REDUCE);
  /* Every pair of samples stands twice in a full matrix. */
  zg_pairs_add_product(&work->team, zg_pass_precision(s), 2 * s->unit, s->V, size,
                       longest, stride, &s->triangle);
  if (step->diagonal && !zg_is_rbf(s) && s->pass->needs[ZG_CENTRED])
    zg_pairs_add_vectors((1 - 2 / (double)work->run->plan->samples) * s->unit, s->alpha,
                         step->left->rows, step->left->rows, &s->rest[ZG_CENTRED]);
  if (s->pass->spec.gram.batch && zg_is_rbf(s))
    zg_centring_add_batch(s, step->left->rows);
  zg_phase_stop(work, ZG_PHASE_REDUCE);
  double products = (double)(s->end - s->begin) * (double)(s->end + s->begin);
  work->report->flop += products * zg_step_pairs(step) / work->team.size;
  return ZG_OK;
}

/* The arrays of RBF passes. The scale of batches cannot follow the data, as it must be
 * that of all of them: for wide kernels it is about 1/(2 t^2). */
static void create_rbf(zg_pass_state *s, int64_t edge) {
  int64_t N = s->work->run->plan->items, n = s->work->run->plan->samples;
  double t = s->pass->spec.gram.bandwidth;
  s->parameters = ZG_NEW0(double, N *PARAMETERS);
  s->rbf = (zg_rbf *)s->parameters;
  for (int64_t i = 0; i < N; i++)
    s->rbf[i].scale = fmin(1, 0.5 / (t * t));
  s->kept_rows = s->pass->spec.gram.batch ? edge : n;
  s->row_sums = ZG_NEW0(double, N * s->kept_rows);
  if (s->pass->spec.gram.batch) {
    int64_t pairs = edge * edge / 2;
    for (int k = 0; k < s->threads; k++)
      s->desks[k].distances = ZG_NEW(double, pairs);
    s->alive = ZG_NEW0(double, N);
    return;
  }
  s->gram->median = ZG_NEW(double, N);
  for (int64_t i = 0; i < N; i++)
    s->gram->median[i] = NAN;
}

static void create_linear(zg_pass_state *s, int64_t edge) {
  int64_t N = s->work->run->plan->items, numbers = N * edge;
  s->total = ZG_NEW0(double, N);
  if (s->pass->needs[ZG_CENTRED]) s->alpha = ZG_NEW0(double, numbers);
}

static void create(zg_work *work, int64_t index, const zg_pass *pass, zg_gram *gram,
                   zg_pass_state *s) {
  const zg_plan *plan = work->run->plan;
  const zg_team *team = &work->team;
  int64_t N = plan->items,
          edge = zg_max(plan->tile, zg_min(pass->spec.gram.batch, plan->samples));
  *gram = (zg_gram){.scale = ZG_NEW(double, N),
                    .code = ZG_NEW(zg_code, N),
                    .floor = ZG_NEW0(double, N)};
  bool rbf = pass->spec.gram.kernel == ZG_KERNEL_RBF;
  for (int64_t i = 0; i < N; i++) {
    gram->scale[i] = work->items.items[i].squares;
    gram->code[i] = work->items.items[i].code;
  }
  for (int c = 0; c < ZG_CENTRINGS; c++)
    if (pass->needs[c]) gram->self[c] = ZG_NEW(double, N);
  *s = (zg_pass_state){.work = work, .index = index, .pass = pass, .gram = gram};
  double partners = (double)(pass->spec.gram.batch ? edge : plan->samples);
  s->unit = rbf ? 1 / ((double)plan->samples * partners) : 1;
  s->threads = team->size == 1 ? zg_threads() : 1;
  s->desks = ZG_NEW0(zg_desk, s->threads);
  for (int t = 0; t < s->threads; t++) {
    s->desks[t].left_side = ZG_NEW(double, edge);
    s->desks[t].right_side = ZG_NEW(double, edge);
  }
  if (rbf)
    create_rbf(s, edge);
  else
    create_linear(s, edge);
}

static void clear_products(zg_pass_state *s) {
  zg_pairs_destroy(&s->triangle);
  for (int c = 0; c < ZG_CENTRINGS; c++) {
    zg_pairs_destroy(&s->rest[c]);
    zg_pairs_destroy(&s->gram->product[c]);
  }
}

static void destroy(zg_pass_state *s) {
  zg_panels_destroy(&s->forming.panels);
  for (int t = 0; t < s->threads; t++) {
    free(s->desks[t].wide);
    free(s->desks[t].left_side);
    free(s->desks[t].right_side);
    free(s->desks[t].distances);
  }
  free(s->desks);
  double *owned[] = {s->parameters, s->row_sums, s->total, s->alpha, s->alive};
  for (size_t k = 0; k < sizeof owned / sizeof *owned; k++)
    free(owned[k]);
  free(s->V);
}

/* Room for the largest tile of the pass on this rank. */
static void allocate_tiles(zg_pass_state *s) {
  zg_work *work = s->work;
  if (!zg_team_works(&work->team)) return;
  const zg_plan *plan = work->run->plan;
  int64_t edge = s->pass->spec.gram.batch
                     ? zg_min(s->pass->spec.gram.batch, plan->samples)
                     : plan->tile;
  int64_t last =
      s->pass->spec.gram.batch ? plan->samples % edge : 0; /* the last batch's own */
  int64_t largest = zg_tile_largest(work->team.size, edge);
  if (last) largest = zg_max(largest, zg_tile_largest(work->team.size, last));
  s->V = zg_alloc_large(plan->items * (largest + ZG_TILE_PADDING),
                        zg_real_size(zg_pass_precision(s)));
  s->wide = /* the kernel of a batch depends on all of it */
      s->pass->spec.gram.batch ? largest : zg_tile_strip_largest(&work->team, edge);
  if (work->team.size > 1)
    s->forming = (zg_forming){.V = s->V,
                              .stride = largest + ZG_TILE_PADDING,
                              .precision = zg_pass_precision(s)};
}

_Static_assert(1 + ZG_CENTRINGS <= ZG_STATE_PAIRS && 3 <= ZG_STATE_VECTORS,
               "sums that checkpoints have no room for");

/* Everything that tiles are added to, for checkpoints. */
static void list_sums(zg_pass_state *s) {
  int64_t N = s->work->run->plan->items, pairs = 0, vectors = 0;
  zg_sums *sums = &s->sums;
  *sums = (zg_sums){0};
  sums->pairs[pairs++] = &s->triangle;
  for (int c = 0; c < ZG_CENTRINGS; c++)
    if (s->rest[c].n) sums->pairs[pairs++] = &s->rest[c];
  if (zg_is_rbf(s) && !s->pass->spec.gram.batch) {
    sums->vectors[vectors] = s->row_sums;
    sums->lengths[vectors] = N * s->work->run->plan->samples;
    sums->shared[vectors++] = true;
    sums->parameters = s->parameters;
    sums->parameter_count = PARAMETERS * N;
  }
  double *counted[] = {s->total, s->alive};
  for (int k = 0; k < 2; k++)
    if (counted[k]) {
      sums->vectors[vectors] = counted[k];
      sums->lengths[vectors++] = N;
    }
}

/* Between the arrays that work is done with and the parameters. */
static void store_parameters(zg_pass_state *s) {
  int64_t N = s->work->run->plan->items;
  for (int64_t i = 0; i < N; i++) {
    s->parameters[MEDIAN * N + i] = s->gram->median[i];
    s->parameters[CODE * N + i] = s->gram->code[i];
    s->parameters[PRECISION * N + i] = s->work->items.items[i].precision;
  }
}

static void load_parameters(zg_pass_state *s) {
  int64_t N = s->work->run->plan->items;
  for (int64_t i = 0; i < N; i++) {
    s->gram->median[i] = s->parameters[MEDIAN * N + i];
    s->gram->code[i] = (zg_code)s->parameters[CODE * N + i];
    s->work->items.items[i].precision = (zg_precision)s->parameters[PRECISION * N + i];
  }
}

/* The matrices of a band, and everything that its tiles add to, empty. */
static void begin_band(zg_pass_state *s, int64_t band) {
  const zg_plan *plan = s->work->run->plan;
  const zg_team *team = &s->work->team;
  int64_t N = plan->items;
  double *sums[] = {s->row_sums, s->total, s->alive};
  const int64_t lengths[] = {zg_is_rbf(s) ? N * s->kept_rows : 0, N, N};
  zg_plan_band(plan, band, &s->begin, &s->end);
  zg_pairs_create_band(team, N, s->begin, s->end, &s->triangle);
  for (int c = 0; c < ZG_CENTRINGS; c++)
    if (s->pass->needs[c] && (zg_is_rbf(s) || c == ZG_CENTRED))
      zg_pairs_create_band(team, N, s->begin, s->end, &s->rest[c]);
  for (int k = 0; k < 3; k++)
    if (sums[k]) memset(sums[k], 0, (size_t)lengths[k] * sizeof **sums);
  list_sums(s);
}

/* Bandwidths and offsets, found with the first band or taken from the checkpoint. */
static zg_status prepare(zg_pass_state *s, int64_t band) {
  bool resumed = false, full_rbf = zg_is_rbf(s) && !s->pass->spec.gram.batch;
  const zg_plan *plan = s->work->run->plan;
  int64_t tiles = zg_plan_tiles(plan, s->pass);
  zg_status begun = zg_state_begin(s->work->state, s->index + band * plan->pass_count,
                                   tiles, &s->sums, &resumed);
  if (full_rbf && resumed) load_parameters(s); /* for further bands in any case */
  ZG_TRY(begun);
  if (full_rbf && !resumed && band == 0) {
    if (s->work->team.size > 1) allocate_tiles(s); /* what the search works in */
    ZG_TRY(zg_rbf_prepare(s));
    store_parameters(s);
  }
  return ZG_OK;
}

static zg_status sweep(zg_pass_state *s, int64_t band) {
  int64_t bands = zg_plan_bands(s->work->run->plan);
  zg_text what = {0};
  zg_text_add(&what, "Gram tiles");
  if (bands > 1)
    zg_text_add(&what, ", band %lld of %lld", (long long)band + 1, (long long)bands);
  zg_status status = zg_panels_open(s->work, s->pass, s->end, &s->forming.panels);
  if (status == ZG_OK)
    status = zg_sweep_tiles(s->work, &s->forming.panels, s->pass, what.data, &s->sums,
                            visit, s);
  zg_panels_destroy(&s->forming.panels);
  zg_text_clear(&what);
  return status;
}

static zg_status compute_band(zg_pass_state *s, int64_t band) {
  zg_work *work = s->work;
  begin_band(s, band);
  ZG_TRY(prepare(s, band));
  if (!s->V) allocate_tiles(s); /* after medians of their own room */
  ZG_TRY(sweep(s, band));
  ZG_TRY(zg_state_finish(work->state, &work->team, &s->sums));
  zg_phase_start(work, ZG_PHASE_COMBINE);
  zg_centring_finish(s);
  zg_phase_stop(work, ZG_PHASE_COMBINE);
  return ZG_OK;
}

zg_status zg_gram_compute(zg_work *work, int64_t index, const zg_pass *pass,
                          zg_gram *gram, zg_gram_fn *visit_band, void *context) {
  zg_pass_state s;
  zg_status status = ZG_OK;
  create(work, index, pass, gram, &s);
  zg_items_choose_precision(work, pass);
  int64_t bands = zg_plan_bands(work->run->plan);
  for (int64_t k = 0; status == ZG_OK && k < bands; k++) {
    status = compute_band(&s, k);
    if (status == ZG_OK) status = visit_band(context, gram);
    if (status == ZG_SHARE_DONE && k + 1 < bands) status = ZG_OK;
    clear_products(&s);
  }
  destroy(&s);
  return status;
}

void zg_gram_clear(zg_gram *gram) {
  for (int c = 0; c < ZG_CENTRINGS; c++) {
    zg_pairs_destroy(&gram->product[c]);
    free(gram->self[c]);
  }
  free(gram->scale);
  free(gram->code);
  free(gram->floor);
  free(gram->median);
  *gram = (zg_gram){0};
}
