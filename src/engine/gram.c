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
#include "engine/gram.h"

#include "base/log.h"
#include "base/memory.h"
#include "engine/median.h"
#include "engine/sweep.h"
#include "linalg/fixed.h"
#include "linalg/select.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Between the rows of two items' tiles, so that they do not fall on the same cache
 * lines. */
enum { PADDING = 16 };

/* Numbers per item that a pass is made with: they have to be the same when it is
 * resumed. */
enum { MEDIAN = sizeof(zg_rbf) / sizeof(double), CODE, PRECISION, PARAMETERS };

/* A pass in progress. */
typedef struct pass_state {
  zg_work *work;
  const zg_pass *pass;
  zg_gram *gram;
  void *V;           /* [N, stride] this rank's part of the tile of every item */
  double *wide;      /* [longest] the same of an item formed in another precision */
  zg_pairs triangle; /* sum of <V_i,V_j>, one triangle */
  zg_pairs
      rest[ZG_CENTRINGS]; /* everything else, both triangles; empty where it is zero */
  zg_sums sums;           /* the above as a checkpoint sees it */
  zg_rbf *rbf;            /* [N] into `parameters` */
  double *parameters;     /* [PARAMETERS, N]: kernels, then median, code, precision */
  double unit; /* all inner products are kept times this, so that they are about 1 */
  double *row_sums; /* [N, n] r of a full RBF pass; [N, batch] of the current batch */
  double *total;    /* [N] 1'alpha of linear kernels */
  double *alive;    /* [N] batches with a median above zero */
  double *left_side, *right_side; /* [tile] shifts, or row sums of the tile */
  double *alpha; /* [N, tile] what is left of the diagonals of a tile */
  double
      *distances; /* batches: squared distances of this rank's part, then of the tile */
} pass_state;

static bool is_rbf(const pass_state *s) {
  return s->pass->kernel == ZG_KERNEL_RBF;
}

static zg_precision precision_of(const pass_state *s) {
  return s->pass->precision;
}

/* ---- RBF: bandwidth, shift and scale ---- */

static double gamma_of(const zg_pass *pass, double median) {
  return 1 / (2 * pass->bandwidth * pass->bandwidth * median);
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
    rest += rbf.base > 0 ? expm1(-gamma * distances[k]) : exp(-gamma * distances[k]);
  rbf.shift = (double)(float)(rest / terms);
  return rbf;
}

/* The largest that is left of the kernel at these distances. */
static double kernel_size(const zg_rbf *rbf, const double *distances, int64_t count) {
  double size = 0;
  for (int64_t k = 0; k < count; k++) {
    double x = -rbf->gamma * distances[k];
    size = fmax(size, fabs((rbf->base > 0 ? expm1(x) : exp(x)) - rbf->shift));
  }
  return size > 0 ? size : 1;
}

/* What is left of the diagonal of a kernel matrix. */
static double kernel_diagonal(const zg_rbf *rbf) {
  return ((1 - rbf->base) - rbf->shift) / rbf->scale;
}

static zg_status prepare_rbf(pass_state *s) {
  zg_work *work = s->work;
  zg_medians medians = {0};
  zg_status status = zg_medians_find(work, s->pass, &medians);
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
static int64_t batch_distances(pass_state *s, const zg_step *step,
                               const zg_block *block, int64_t i) {
  const double *norms = zg_panel_norms(step->left, i);
  zg_block_distances(block, norms, norms, s->distances);
  int own = (int)zg_block_entries(block);
  const zg_team *team = &s->work->team;
  if (team->size == 1) return own;
  int *counts = ZG_NEW(int, 2 * team->size), *starts = counts + team->size;
  MPI_Allgather(&own, 1, MPI_INT, counts, 1, MPI_INT, team->comm);
  starts[0] = 0;
  for (int r = 1; r < team->size; r++)
    starts[r] = starts[r - 1] + counts[r - 1];
  int total = starts[team->size - 1] + counts[team->size - 1];
  double *mine = ZG_NEW(double, own);
  memcpy(mine, s->distances, (size_t)own * sizeof *mine);
  MPI_Allgatherv(mine, own, MPI_DOUBLE, s->distances, counts, starts, MPI_DOUBLE,
                 team->comm);
  free(mine);
  free(counts);
  return total;
}

/* The kernel of one item on one batch; the scale is that of all batches. \return false
 * where its median is zero. */
static bool prepare_batch(pass_state *s, const zg_step *step, const zg_block *block,
                          int64_t i) {
  int64_t count = batch_distances(s, step, block, i);
  double median = zg_distance_median(s->distances, step->left->rows);
  if (!(median > 0)) return false;
  s->alive[i]++;
  double scale = s->rbf[i].scale;
  s->rbf[i] = choose_kernel(gamma_of(s->pass, median), s->distances, count,
                            1 + count / ZG_QUANTILES);
  s->rbf[i].scale = scale;
  return true;
}

/* ---- a tile ---- */

static void make_zero(const zg_block *block) {
  memset(block->values, 0,
         (size_t)(block->rows * block->columns) * zg_real_size(block->precision));
}

/* Row sums of an item: a full pass keeps them for all samples, a batch for its own. */
static double *row_sums_at(const pass_state *s, int64_t i, const zg_panel *panel) {
  if (s->pass->batch) return s->row_sums + i * panel->rows;
  return s->row_sums + i * s->work->run->plan->samples + panel->first;
}

/* Add the row sums of a tile: rounded, so that it does not matter in which order tiles
 * come (a row sum stays below 2n); a batch is complete with its one tile. */
static void keep_row_sums(pass_state *s, int64_t i, const zg_panel *panel,
                          const double *tile_sums) {
  double *sums = row_sums_at(s, i, panel), bound = 4;
  while (bound < 4 * (double)s->work->run->plan->samples)
    bound *= 2;
  for (int64_t a = 0; a < panel->rows; a++)
    sums[a] += s->pass->batch ? tile_sums[a] : zg_fixed_round(tile_sums[a], bound);
}

static void apply_rbf(pass_state *s, const zg_step *step, int64_t i, zg_block *block) {
  if (s->pass->batch && !prepare_batch(s, step, block, i)) {
    make_zero(block);
    return;
  }
  memset(s->left_side, 0, (size_t)step->left->rows * sizeof *s->left_side);
  memset(s->right_side, 0, (size_t)step->right->rows * sizeof *s->right_side);
  zg_block_rbf(block, zg_panel_norms(step->left, i), zg_panel_norms(step->right, i),
               &s->rbf[i], s->left_side, s->right_side);
  keep_row_sums(s, i, step->left, s->left_side);
  keep_row_sums(s, i, step->right, s->right_side);
}

/* The samples and the trace that the shift of linear kernels is made of. */
static void shift_of(const pass_state *s, const zg_panel *panel, int64_t i, double *u) {
  int64_t n = s->pass->batch ? panel->rows : s->work->run->plan->samples;
  double trace = s->pass->batch ? panel->traces[i] : 1;
  zg_ucentring_shift(panel->rows, zg_panel_norms(panel, i), trace, n, u);
}

static void apply_linear(pass_state *s, const zg_step *step, int64_t i,
                         zg_block *block) {
  shift_of(s, step->left, i, s->left_side);
  shift_of(s, step->right, i, s->right_side);
  zg_block_shift(block, s->left_side, s->right_side);
  if (!step->diagonal || !s->pass->needs[ZG_CENTRED]) return;
  double *alpha = s->alpha + i * step->left->rows, total = 0;
  for (int64_t a = 0; a < step->left->rows; a++) {
    alpha[a] = zg_panel_norms(step->left, i)[a] - 2 * s->left_side[a];
    total += alpha[a];
  }
  s->total[i] += zg_fixed_round(total, 4); /* all of them together are about 1 */
}

/* One item: product, then kernel, in the precision that the item needs. */
static void form_item(pass_state *s, const zg_step *step, int64_t i, zg_block *block) {
  zg_phase_start(s->work, ZG_PHASE_FORM);
  zg_step_product(s->work, step, i, block->values);
  zg_phase_stop(s->work, ZG_PHASE_FORM);
  zg_phase_start(s->work, ZG_PHASE_KERNEL);
  if (is_rbf(s))
    apply_rbf(s, step, i, block);
  else
    apply_linear(s, step, i, block);
  zg_phase_stop(s->work, ZG_PHASE_KERNEL);
}

/* V of every item on this tile, with zeros up to the longest part of the team. */
static void form_tile(pass_state *s, const zg_step *step, int64_t stride) {
  zg_precision precision = precision_of(s);
  int64_t size = step->tile.local_rows * step->tile.local_columns;
  for (int64_t i = 0; i < s->work->run->plan->items; i++) {
    void *K = zg_real_at(precision, s->V, i * stride);
    zg_precision own = s->work->items.items[i].precision;
    zg_block block =
        zg_tile_block(&step->tile, own, own == precision ? K : s->wide, step->diagonal);
    memset(zg_real_at(precision, K, size), 0,
           (size_t)(stride - size) * zg_real_size(precision));
    if (s->gram->code[i] == ZG_CODE_OK)
      form_item(s, step, i, &block);
    else
      make_zero(&block);
    if (own != precision) zg_block_narrow(&block, K);
  }
}

static void sum_rows(const double *vectors, int64_t N, int64_t length, double *sums) {
  for (int64_t i = 0; i < N; i++)
    for (int64_t a = 0; a < length; a++)
      sums[i] += vectors[i * length + a];
}

/* The terms of r for a kernel matrix of n samples that is complete: r_i.r_j over
 * samples [first, first + count), and the product of the totals. */
static void add_row_products(const pass_state *s, int64_t n, int64_t first,
                             int64_t count, int64_t stride, zg_pairs *rest) {
  zg_pairs_add_vectors(-2 / (double)(n - 2) * s->unit, s->row_sums + first, count,
                       stride, rest);
}

static void add_total_products(const pass_state *s, int64_t n, const double *totals,
                               zg_pairs *rest) {
  double m = (double)n;
  zg_pairs_add_scalars(s->unit / ((m - 1) * (m - 2)), totals, rest);
}

static void finish_batch(pass_state *s, int64_t rows) {
  const zg_team *team = &s->work->team;
  int64_t N = s->work->run->plan->items;
  if (team->size > 1) zg_sum_doubles(team->comm, s->row_sums, N * rows);
  double *totals = ZG_NEW0(double, N);
  sum_rows(s->row_sums, N, rows, totals);
  add_row_products(s, rows, 0, rows, rows, &s->rest[ZG_UCENTRED]);
  add_total_products(s, rows, totals, &s->rest[ZG_UCENTRED]);
  memset(s->row_sums, 0, (size_t)(N * rows) * sizeof *s->row_sums);
  free(totals);
}

static zg_status visit(void *context, const zg_step *step) {
  pass_state *s = context;
  zg_work *work = s->work;
  const zg_tile *tile = &step->tile;
  int64_t size = tile->local_rows * tile->local_columns, N = work->run->plan->items;
  int64_t stride = tile->longest + PADDING;
  form_tile(s, step, stride);
  zg_phase_start(work, ZG_PHASE_REDUCE);
  /* Every pair of samples stands twice in a full matrix. */
  zg_pairs_add_product(&work->team, precision_of(s), 2 * s->unit, s->V, size,
                       tile->longest, stride, &s->triangle);
  if (step->diagonal && !is_rbf(s) && s->pass->needs[ZG_CENTRED])
    zg_pairs_add_vectors((1 - 2 / (double)work->run->plan->samples) * s->unit, s->alpha,
                         step->left->rows, step->left->rows, &s->rest[ZG_CENTRED]);
  if (s->pass->batch && is_rbf(s)) finish_batch(s, step->left->rows);
  zg_phase_stop(work, ZG_PHASE_REDUCE);
  work->report->flop += (double)N * (double)N * zg_step_pairs(step) / work->team.size;
  return ZG_OK;
}

/* ---- the end of a pass ---- */

/* The U-centring of a full RBF pass, from complete row sums. The first team adds what
 * is there once; the samples are cut into slices, however many teams there are. */
enum { SLICES = 64 };

static void ucentre(pass_state *s, const double *totals) {
  const zg_team *team = &s->work->team;
  int64_t n = s->work->run->plan->samples;
  for (int k = team->team; k < SLICES; k += team->teams) {
    int64_t first = zg_part(n, SLICES, k), count = zg_part(n, SLICES, k + 1) - first;
    add_row_products(s, n, first, count, n, &s->rest[ZG_UCENTRED]);
  }
  if (team->team == 0) add_total_products(s, n, totals, &s->rest[ZG_UCENTRED]);
}

/* The same for centring. What is left of the diagonal joins the
 * row sums, which are changed. */
static void centre(pass_state *s, double *totals) {
  const zg_team *team = &s->work->team;
  int64_t N = s->work->run->plan->items, n = s->work->run->plan->samples;
  zg_pairs *rest = &s->rest[ZG_CENTRED];
  double m = (double)n;
  double *diagonal = ZG_NEW0(double, N);
  for (int64_t i = 0; i < N; i++) {
    if (s->gram->code[i] != ZG_CODE_OK) continue;
    diagonal[i] = kernel_diagonal(&s->rbf[i]);
    for (int64_t a = 0; a < n; a++)
      s->row_sums[i * n + a] += diagonal[i];
    totals[i] += m * diagonal[i];
  }
  for (int k = team->team; k < SLICES; k += team->teams) {
    int64_t first = zg_part(n, SLICES, k), count = zg_part(n, SLICES, k + 1) - first;
    zg_pairs_add_vectors(-2 / m * s->unit, s->row_sums + first, count, n, rest);
  }
  if (team->team == 0) {
    zg_pairs_add_scalars(s->unit / (m * m), totals, rest);
    zg_pairs_add_scalars(s->unit * m, diagonal, rest);
  }
  free(diagonal);
}

static void add_row_sums(pass_state *s) {
  int64_t N = s->work->run->plan->items, n = s->work->run->plan->samples;
  zg_sum_doubles(s->work->run->comm, s->row_sums, N * n);
  if (!zg_team_works(&s->work->team)) return;
  double *totals = ZG_NEW0(double, N);
  sum_rows(s->row_sums, N, n, totals);
  if (s->pass->needs[ZG_UCENTRED]) ucentre(s, totals);
  if (s->pass->needs[ZG_CENTRED]) centre(s, totals);
  free(totals);
}

static void add_linear_totals(pass_state *s) {
  const zg_team *team = &s->work->team;
  double m = (double)s->work->run->plan->samples;
  MPI_Comm comm = zg_team_works(team) ? team->peers : MPI_COMM_NULL;
  if (comm == MPI_COMM_NULL) return;
  zg_sum_doubles(comm, s->total, s->work->run->plan->items);
  if (team->team == 0)
    zg_pairs_add_scalars(s->unit / (m * m), s->total, &s->rest[ZG_CENTRED]);
}

/* An item without a bandwidth in any batch has no kernel. */
static void mark_dead(pass_state *s) {
  int64_t N = s->work->run->plan->items;
  zg_sum_doubles(s->work->run->comm, s->alive, N);
  for (int64_t i = 0; i < N; i++)
    if (s->gram->code[i] == ZG_CODE_OK && s->alive[i] == 0)
      s->gram->code[i] = ZG_CODE_ZERO_VARIANCE;
}

static void combine(pass_state *s) {
  zg_work *work = s->work;
  bool works = zg_team_works(&work->team);
  if (is_rbf(s) && !s->pass->batch) add_row_sums(s);
  if (is_rbf(s) && s->pass->batch) mark_dead(s);
  if (!is_rbf(s) && s->pass->needs[ZG_CENTRED]) add_linear_totals(s);
  if (works) zg_pairs_symmetrise(&work->team, &s->triangle);
  for (int c = 0; c < ZG_CENTRINGS; c++) {
    if (!s->pass->needs[c]) continue;
    zg_pairs *product = &s->gram->product[c];
    if (s->rest[c].n) {
      if (works) zg_pairs_add(&s->triangle, &s->rest[c]);
      *product = s->rest[c];
      s->rest[c] = (zg_pairs){0};
    } else {
      *product = s->triangle;
      s->triangle = (zg_pairs){0};
    }
    zg_pairs_combine(&work->team, product, s->gram->self[c]);
  }
}

/* n(n-3) summed over the batches, or of the one whole. */
static void set_weights(pass_state *s) {
  const zg_plan *plan = s->work->run->plan;
  int64_t n = plan->samples, batch = s->pass->batch ? s->pass->batch : n;
  double weight = 0;
  for (int64_t first = 0; first + 4 <= n; first += batch) {
    double m = (double)zg_min(batch, n - first);
    weight += m * (m - 3);
  }
  s->gram->weight[ZG_UCENTRED] = s->unit * weight;
  s->gram->weight[ZG_CENTRED] = s->unit * (double)(n - 1) * (double)(n - 1);
}

/* Entries of kernels are rounded relative to what was subtracted from them. */
static void set_scales(pass_state *s) {
  double noise = 8 * (precision_of(s) == ZG_SINGLE ? FLT_EPSILON : DBL_EPSILON);
  for (int64_t i = 0; i < s->work->run->plan->items; i++) {
    double size = 1; /* of linear kernels the trace */
    if (is_rbf(s)) {
      s->gram->scale[i] = s->rbf[i].scale;
      size = fabs(s->rbf[i].shift) / s->rbf[i].scale;
    }
    s->gram->floor[i] = pow(noise * size, 2);
  }
}

static void create(zg_work *work, const zg_pass *pass, zg_gram *gram, pass_state *s) {
  const zg_plan *plan = work->run->plan;
  const zg_team *team = &work->team;
  int64_t N = plan->items,
          edge = zg_max(plan->tile, zg_min(pass->batch, plan->samples));
  *gram = (zg_gram){.scale = ZG_NEW(double, N),
                    .code = ZG_NEW(zg_code, N),
                    .floor = ZG_NEW0(double, N)};
  bool rbf = pass->kernel == ZG_KERNEL_RBF;
  for (int64_t i = 0; i < N; i++) {
    gram->scale[i] = work->items.items[i].squares;
    gram->code[i] = work->items.items[i].code;
  }
  for (int c = 0; c < ZG_CENTRINGS; c++)
    if (pass->needs[c]) gram->self[c] = ZG_NEW(double, N);
  *s = (pass_state){.work = work, .pass = pass, .gram = gram};
  double partners = (double)(pass->batch ? edge : plan->samples);
  s->unit = rbf ? 1 / ((double)plan->samples * partners) : 1;
  s->left_side = ZG_NEW(double, edge);
  s->right_side = ZG_NEW(double, edge);
  zg_pairs_create(team, N, &s->triangle);
  for (int c = 0; c < ZG_CENTRINGS; c++)
    if (pass->needs[c] && (rbf || c == ZG_CENTRED))
      zg_pairs_create(team, N, &s->rest[c]);
  if (rbf) {
    s->parameters = ZG_NEW0(double, PARAMETERS *N);
    s->rbf = (zg_rbf *)s->parameters;
    for (int64_t i = 0; i < N; i++)
      s->rbf[i].scale = fmin(1, 0.5 / (pass->bandwidth * pass->bandwidth));
    s->row_sums = ZG_NEW0(double, N *(pass->batch ? edge : plan->samples));
    if (pass->batch) {
      s->distances = ZG_NEW(double, edge *edge / 2);
      s->alive = ZG_NEW0(double, N);
    }
    if (!pass->batch) {
      gram->median = ZG_NEW(double, N);
      for (int64_t i = 0; i < N; i++)
        gram->median[i] = NAN;
    }
  } else {
    s->total = ZG_NEW0(double, N);
    if (pass->needs[ZG_CENTRED]) s->alpha = ZG_NEW0(double, N *edge);
  }
}

static void destroy(pass_state *s) {
  zg_pairs_destroy(&s->triangle);
  for (int c = 0; c < ZG_CENTRINGS; c++)
    zg_pairs_destroy(&s->rest[c]);
  double *owned[] = {s->parameters, s->row_sums,  s->total, s->left_side, s->right_side,
                     s->alpha,      s->distances, s->wide,  s->alive};
  for (size_t k = 0; k < sizeof owned / sizeof *owned; k++)
    free(owned[k]);
  free(s->V);
}

/* Room for the largest tile of the pass on this rank. */
static void allocate_tiles(pass_state *s) {
  zg_work *work = s->work;
  if (!zg_team_works(&work->team)) return;
  const zg_plan *plan = work->run->plan;
  int64_t edge = s->pass->batch ? zg_min(s->pass->batch, plan->samples) : plan->tile;
  int64_t largest = zg_tile_largest(&work->team, edge);
  s->V = zg_alloc(plan->items * (largest + PADDING), zg_real_size(precision_of(s)));
  if (precision_of(s) == ZG_SINGLE) s->wide = ZG_NEW(double, largest);
}

/* Everything that tiles are added to, for checkpoints. */
static void list_sums(pass_state *s) {
  int64_t N = s->work->run->plan->items, pairs = 0, vectors = 0;
  zg_sums *sums = &s->sums;
  sums->pairs[pairs++] = &s->triangle;
  for (int c = 0; c < ZG_CENTRINGS; c++)
    if (s->rest[c].n) sums->pairs[pairs++] = &s->rest[c];
  if (is_rbf(s) && !s->pass->batch) {
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
static void store_parameters(pass_state *s) {
  int64_t N = s->work->run->plan->items;
  for (int64_t i = 0; i < N; i++) {
    s->parameters[MEDIAN * N + i] = s->gram->median[i];
    s->parameters[CODE * N + i] = s->gram->code[i];
    s->parameters[PRECISION * N + i] = s->work->items.items[i].precision;
  }
}

static void load_parameters(pass_state *s) {
  int64_t N = s->work->run->plan->items;
  for (int64_t i = 0; i < N; i++) {
    s->gram->median[i] = s->parameters[MEDIAN * N + i];
    s->gram->code[i] = (zg_code)s->parameters[CODE * N + i];
    s->work->items.items[i].precision = (zg_precision)s->parameters[PRECISION * N + i];
  }
}

/* Bandwidths and offsets, found or taken from the checkpoint. */
static zg_status prepare(pass_state *s) {
  bool resumed, full_rbf = is_rbf(s) && !s->pass->batch;
  const zg_plan *plan = s->work->run->plan;
  int64_t tiles = zg_plan_tiles(plan, s->pass), pass = s->pass - plan->passes;
  zg_items_choose_precision(s->work, s->pass);
  list_sums(s);
  ZG_TRY(zg_state_begin(s->work->state, pass, tiles, &s->sums, &resumed));
  if (resumed)
    zg_note("pass %lld resumes: %lld of %lld tiles are done", (long long)pass + 1,
            (long long)zg_state_count(s->work->state), (long long)tiles);
  if (full_rbf && resumed) load_parameters(s);
  if (full_rbf && !resumed) {
    ZG_TRY(prepare_rbf(s));
    store_parameters(s);
  }
  return ZG_OK;
}

static zg_status sweep(pass_state *s) {
  zg_panels panels;
  const zg_plan *plan = s->work->run->plan;
  int64_t batch = zg_min(s->pass->batch, plan->samples);
  zg_panels_create(s->work, batch ? ZG_CENTRE_PANEL : ZG_CENTRE_ITEM,
                   batch ? batch : plan->tile, &panels);
  allocate_tiles(s);
  zg_status status =
      zg_sweep(s->work, &panels, s->pass, "Gram tiles", &s->sums, visit, s);
  zg_panels_destroy(&panels);
  return status;
}

zg_status zg_gram_compute(zg_work *work, const zg_pass *pass, zg_gram *gram) {
  pass_state s;
  zg_status status = ZG_OK;
  create(work, pass, gram, &s);
  status = prepare(&s);
  if (status == ZG_OK) status = sweep(&s);
  if (status == ZG_OK) status = zg_state_finish(work->state, &work->team, &s.sums);
  if (status == ZG_OK) {
    zg_phase_start(work, ZG_PHASE_COMBINE);
    combine(&s);
    set_weights(&s);
    set_scales(&s);
    zg_phase_stop(work, ZG_PHASE_COMBINE);
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
