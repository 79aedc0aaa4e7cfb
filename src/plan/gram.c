/** \file
 * The plan of gram passes: teams, tiles, panels. */
#include "base/memory.h"
#include "grid/tile.h"
#include "linalg/micro.h"
#include "plan/cost.h"
#include "plan/gram_memory.h"
#include "plan/parts.h"

#include <math.h>
#include <stdlib.h>

/* Tile edges that are tried, the best first. On one rank 256 is where BLAS has reached
 * its speed and N tiles still are small; a team wants tiles as large as they fit. */
static const int64_t rank_tiles[] = {256, 192, 128, 96, 64, 48, 32, 16};
/* Four packed panels: what a strip is multiplied with stays in the cache. */
static const int64_t packed_tiles[] = {192, 144, 96, 48};
static const int64_t team_tiles[] = {
    1 << 20, 1 << 19, 1 << 18, 1 << 17, 1 << 16, 49152, 32768, 24576, 16384, 12288,
    8192,    6144,    4096,    3072,    2048,    1536,  1024,  512,   256,   64};

static void plan_sizes(const zg_request *request, zg_plan *plan) {
  const zg_zoo *zoo = request->zoo;
  plan->items = zoo->layer_count;
  plan->samples = zg_zoo_rows(zoo, &zoo->arrays[0]);
  plan->number_bytes = zg_plan_number_bytes(zoo, ZG_ACTIVATIONS);
  for (int64_t k = 0; k < zoo->layer_count; k++) {
    const zg_array *layer = &zoo->arrays[k];
    plan->features += layer->d;
    plan->widest = zg_max(plan->widest, layer->d);
    if (zg_dtype_bytes(layer->dtype) > (int64_t)sizeof(float))
      plan->wide_features += layer->d;
    plan->bytes += (double)(plan->samples * layer->d * zg_dtype_bytes(layer->dtype));
  }
}

/* Pairs of samples that a pass forms. */
static double pairs_of(const zg_plan *plan, const zg_pass *pass) {
  double n = (double)plan->samples;
  double partners =
      pass->spec.gram.batch ? (double)zg_min(pass->spec.gram.batch, plan->samples) : n;
  return n * (partners - 1) / 2;
}

/* With few samples tiles are smaller than is best for BLAS, so that there are some for
 * several ranks; how many ranks there are must not matter. */
static int64_t largest_edge(const zg_plan *plan) {
  enum { LEAST_PANELS = 8, LEAST_EDGE = 32 };
  if (plan->team_size > 1) return plan->samples;
  return zg_max(LEAST_EDGE, zg_ceil_div(plan->samples, LEAST_PANELS));
}

/* With few samples passes are made in double, for which nothing is packed: packed tiles
 * would only be tiles whose rows are read once more for every one. */
static bool any_could_be_packed(const zg_plan *plan) {
  for (int64_t p = 0; p < plan->pass_count; p++) {
    const zg_pass *pass = &plan->passes[p];
    if (zg_gram_is(pass) && !pass->spec.gram.batch && pass->precision == ZG_SINGLE)
      return true;
  }
  return false;
}

static bool may_pack(const zg_request *request, const zg_plan *plan) {
  return request->packed && plan->team_size == 1 && plan->samples >= ZG_PANEL &&
         any_could_be_packed(plan);
}

/* Whole packed panels; only the last tile is smaller. */
static int64_t choose_packed_tile(zg_plan *plan, int64_t limit) {
  int64_t largest = zg_max(ZG_PANEL, largest_edge(plan) / ZG_PANEL * ZG_PANEL);
  for (size_t k = 0; k < sizeof packed_tiles / sizeof *packed_tiles; k++) {
    int64_t tile = zg_min(packed_tiles[k], largest);
    if (zg_gram_memory(plan, tile).total <= limit) return tile;
  }
  return 0;
}

/* ScaLAPACK and MPI count in int: what a rank of a team holds of the sums, of a tile or
 * of a panel is less than 2^31 numbers. As blocks are dealt out cyclically, that may be
 * up to twice an even share. PBLAS's buffers are less than 2^31 bytes. */
static bool can_be_counted(const zg_plan *plan, int64_t tile) {
  int64_t N = plan->items, Q = plan->team_size, longest = zg_max(tile, plan->widest);
  return Q == 1 || (N * zg_ceil_div(N, Q) < INT32_MAX &&
                    longest * zg_ceil_div(tile, Q) < INT32_MAX / 2 &&
                    tile * ZG_PRODUCT_STEP * (int64_t)sizeof(double) < INT32_MAX);
}

/* The largest tile that fits, of packed panels or not; 0 when none does. */
static int64_t choose_tile(const zg_request *request, zg_plan *plan, bool packed) {
  bool alone = plan->team_size == 1;
  const int64_t *edges = alone ? rank_tiles : team_tiles;
  size_t count = alone ? sizeof rank_tiles / sizeof *rank_tiles
                       : sizeof team_tiles / sizeof *team_tiles;
  plan->packed = packed;
  if (packed) return choose_packed_tile(plan, request->memory);
  for (size_t k = 0; k < count; k++) {
    int64_t panels = zg_ceil_div(plan->samples, zg_min(edges[k], largest_edge(plan)));
    int64_t tile = zg_ceil_div(plan->samples, panels);
    bool fits = zg_gram_memory(plan, tile).total <= request->memory;
    if (fits && can_be_counted(plan, tile)) return tile;
  }
  return 0;
}

/* ---- bands ---- */

enum { LEAST_BAND = 64 }; /* items */

/* Where the band ends that begins here: (end - begin) end is at most band_numbers. */
static int64_t band_end(const zg_plan *plan, int64_t begin) {
  double N = (double)plan->items, half = (double)begin / 2;
  double end = half + sqrt(half * half + (double)plan->band_numbers);
  return zg_max(begin + 1, (int64_t)fmin(N, floor(end)));
}

void zg_plan_band(const zg_plan *plan, int64_t k, int64_t *begin, int64_t *end) {
  *end = 0;
  for (int64_t b = 0; b <= k; b++) {
    *begin = *end;
    *end = band_end(plan, *begin);
  }
}

int64_t zg_plan_bands(const zg_plan *plan) {
  int64_t count = 0;
  for (int64_t end = 0; end < plan->items; count++)
    end = band_end(plan, end);
  return zg_max(1, count);
}

double zg_plan_formations(const zg_plan *plan) {
  double formed = 0;
  for (int64_t end = 0; end < plan->items; formed += (double)end)
    end = band_end(plan, end);
  return formed / (double)plan->items;
}

/* The largest tile that fits with the whole matrix, or else with halves, quarters, ...
 * of it as long as there are at most `most` bands; 0 when none does. */
static int64_t choose_bands(const zg_request *request, zg_plan *plan, bool packed,
                            double most) {
  int64_t N = plan->items, tile = 0;
  plan->band_numbers = N * N;
  while (!(tile = choose_tile(request, plan, packed)) && plan->team_size == 1) {
    plan->band_numbers /= 2;
    if (plan->band_numbers < LEAST_BAND * N || (double)zg_plan_bands(plan) > most)
      break;
  }
  if (!tile) plan->band_numbers = N * N;
  return tile;
}

/* Packed panels are faster even in bands. */
static int64_t choose_packing(const zg_request *request, zg_plan *plan, double most) {
  int64_t tile = may_pack(request, plan) ? choose_bands(request, plan, true, most) : 0;
  return tile ? tile : choose_bands(request, plan, false, most);
}

static void set_team_size(zg_plan *plan, int64_t size) {
  plan->team_size = (int)zg_max(1, zg_min(size, plan->ranks));
  plan->teams = plan->ranks / plan->team_size;
  plan->idle = plan->ranks - plan->teams * plan->team_size;
}

/* Teams of one rank send nothing and are the choice wherever their tiles fit, in bands
 * if forming the tiles again costs little beside the products; else one team of all
 * ranks shares them. Any number of bands is better than no plan. */
static int64_t choose_teams(const zg_request *request, zg_plan *plan) {
  double N = (double)plan->items, D = (double)plan->features;
  if (request->team_size == -1) {
    set_team_size(plan, plan->ranks);
  } else if (request->team_size > 0) {
    set_team_size(plan, request->team_size);
  } else {
    set_team_size(plan, 1);
    int64_t tile = choose_packing(request, plan, 1 + N * N / (8 * D));
    if (tile) return tile;
    set_team_size(plan, plan->ranks);
    tile = choose_packing(request, plan, HUGE_VAL);
    if (tile) return tile;
    set_team_size(plan, 1);
  }
  return choose_packing(request, plan, HUGE_VAL);
}

static int64_t least_memory(const zg_plan *plan) {
  zg_plan least = *plan;
  least.band_numbers = zg_min(plan->items, LEAST_BAND) * plan->items;
  return zg_gram_memory(&least, zg_min(16, plan->samples)).total;
}

static zg_status fail_memory(const zg_request *request, const zg_plan *plan) {
  if (!can_be_counted(plan, 1))
    return zg_fail(
        ZG_ERR_SYSTEM,
        "%lld layers are too many for teams of %d ranks: one would hold 2^31 "
        "numbers; larger teams or team_size: 1 would help",
        (long long)plan->items, plan->team_size);
  char need[ZG_UNIT_BYTES], have[ZG_UNIT_BYTES];
  int64_t smallest = least_memory(plan);
  if (request->team_size == 0) { /* one team of all ranks may need less */
    zg_plan shared = *plan;
    set_team_size(&shared, plan->ranks);
    smallest = zg_min(smallest, least_memory(&shared));
  }
  const char *help = zg_gram_largest_batch(plan) > 256 ? "a smaller batch, " : "";
  return zg_fail(
      ZG_ERR_SYSTEM,
      "the smallest plan needs %s of memory per rank and %s may be used; more "
      "memory_per_rank, fewer ranks per node, %steam_size: all with more ranks "
      "or fewer layers would help",
      zg_format_bytes(need, (double)smallest),
      zg_format_bytes(have, (double)request->memory), help);
}

/* Whether tiles are formed once more, to find medians. */
static bool forms_for_medians(const zg_plan *plan, const zg_pass *pass) {
  return zg_plan_searches(pass) && !zg_plan_keeps_tile(plan, pass);
}

/* With single precision, which centres that are nearly right do not harm, and no tiles
 * to need the right ones. */
static void read_once(const zg_request *request, zg_plan *plan) {
  const int64_t least = (int64_t)16 * ZG_PLAN_SAMPLED;
  for (int64_t p = 0; p < plan->pass_count; p++) {
    zg_pass *pass = &plan->passes[p];
    pass->once = pass->by_features && pass->precision == ZG_SINGLE && request->packed &&
                 plan->samples >= least && !zg_gram_any_tiles(plan);
  }
}

bool zg_plan_reads_once(const zg_plan *plan) {
  for (int64_t p = 0; p < plan->pass_count; p++)
    if (plan->passes[p].once) return true;
  return false;
}

static void estimate_flop(zg_plan *plan) {
  double N = (double)plan->items, D = (double)plan->features, n = (double)plan->samples;
  for (int64_t p = 0; p < plan->pass_count; p++) {
    const zg_pass *pass = &plan->passes[p];
    if (!zg_gram_is(pass)) continue;
    if (pass->by_features) plan->flop += n * D * D;
    if (pass->by_features) continue;
    double pairs = pass->spec.gram.batch
                       ? n * (double)zg_min(pass->spec.gram.batch, plan->samples)
                       : n * n;
    plan->flop += pairs * (D * (1 + forms_for_medians(plan, pass)) + N * N / 2);
  }
}

static void estimate_words(zg_plan *plan) {
  double N = (double)plan->items, P = (double)plan->ranks;
  double numbers = (double)plan->features * (double)plan->samples;
  double words = numbers / (plan->resident ? plan->local_ranks : P);
  if (zg_plan_reads_once(plan)) words = (double)(ZG_PLAN_SAMPLED * plan->features) / P;
  for (int64_t p = 0; p < plan->pass_count; p++) {
    const zg_pass *pass = &plan->passes[p];
    if (!zg_gram_is(pass)) return;
    bool shared = pass->by_features || pass->spec.gram.batch;
    double sweeps = zg_plan_formations(plan) + forms_for_medians(plan, pass);
    if (plan->resident) sweeps = 0;
    words +=
        shared ? numbers / P : sweeps * numbers / (sqrt(plan->teams) * plan->team_size);
    words += N * N / 2 * (pass->needs[ZG_UCENTRED] + pass->needs[ZG_CENTRED]);
  }
  plan->words = words;
}

/* ---- the route over features ---- */

/* Linear kernels need n^2 (D + N^2/2) operations by samples and n D^2 by features. With
 * few samples either costs next to nothing, and tiles keep more digits. */
static void choose_route(const zg_request *request, zg_plan *plan, zg_pass *pass) {
  const int64_t few = 2048, least = 256, most = 4096, numbers = (int64_t)1 << 22;
  double N = (double)plan->items, D = (double)plan->features;
  if (pass->spec.gram.kernel != ZG_KERNEL_LINEAR || pass->spec.gram.batch) return;
  if (plan->features > (int64_t)1 << 17) return; /* their products fill any rank */
  int64_t rows = zg_max(least, zg_min(most, numbers / plan->features));
  pass->piece = zg_min(rows, plan->samples);
  zg_memory m = zg_gram_feature_memory(plan, pass);
  bool fits =
      zg_plan_program_bytes(plan) + m.reading + m.tiles + m.sums <= request->memory;
  double crossover = fmax((double)few, D * D / (D + N * N / 2));
  pass->by_features = fits && (double)plan->samples > crossover;
}

void zg_plan_rows(const zg_plan *plan, const zg_pass *pass, int64_t k, int64_t *first,
                  int64_t *rows) {
  *first = k * pass->piece;
  *rows = zg_min(pass->piece, plan->samples - *first);
}

/* All packed panels and norms, and the share of a rank in it. */
static int64_t resident_share(const zg_plan *plan) {
  int64_t rows = zg_packed_rows(plan->samples);
  int64_t bytes = rows * plan->features * (int64_t)sizeof(float) +
                  plan->items * plan->samples * (int64_t)sizeof(double);
  return zg_ceil_div(bytes, plan->local_ranks);
}

/* What panels take beside those: the norms of all, the last of which has room for a
 * whole one, and two panels of what is not in them, numbers that are double in the
 * file; or a batch. */
static int64_t resident_room(const zg_plan *plan) {
  int64_t rows = plan->panel_count * plan->tile;
  int64_t norms = plan->items * rows * (int64_t)sizeof(double);
  int64_t panels = 2 * plan->tile * plan->wide_features * (int64_t)sizeof(double);
  return zg_max(norms + panels,
                zg_gram_panel_bytes(plan, zg_gram_largest_batch(plan), true));
}

/* What passes by features take, during which the panels of the others stay. */
static int64_t most_by_features(const zg_plan *plan) {
  int64_t most = 0;
  for (int64_t p = 0; p < plan->pass_count; p++) {
    if (!plan->passes[p].by_features) continue;
    zg_memory m = zg_gram_feature_memory(plan, &plan->passes[p]);
    most = zg_max(most, zg_plan_program_bytes(plan) + m.reading + m.tiles + m.sums);
  }
  return most;
}

static void keep_panels(zg_plan *plan, int64_t limit) {
  int64_t panel = zg_gram_panel_bytes(plan, plan->tile, false);
  int64_t others = plan->memory.total - plan->memory.panels;
  int64_t room = resident_room(plan), share = resident_share(plan);
  int64_t resident =
      room + zg_max(share, plan->memory.panels); /* if it cannot be shared */
  int64_t sampling = zg_gram_sampling_bytes(plan, plan->tile) - room;
  int64_t more = zg_max(0, sampling - plan->memory.tiles);
  int64_t most = zg_max(others + more + resident, most_by_features(plan) + share);
  plan->resident = plan->packed && most <= limit;
  if (plan->resident) {
    plan->panels_kept = plan->panel_count;
    plan->panel_room = room;
    plan->memory.panels = resident;
    plan->memory.tiles += more;
    plan->memory.total = others + more + resident;
    return;
  }
  plan->panels_kept = zg_min(plan->panel_count, (limit - others) / panel);
  plan->panels_kept = zg_max(zg_min(2, plan->panel_count), plan->panels_kept);
  plan->memory.panels = zg_max(plan->memory.panels, plan->panels_kept * panel);
  plan->memory.total = others + plan->memory.panels;
  plan->panel_room = plan->memory.panels;
}

/* ---- memory for bands and for panels ---- */

/* Seconds of a plan whose tile and bands are chosen, on a machine that does not exist:
 * what counts is which of several plans has less. It has as many ranks as one node, so
 * that the number of nodes does not matter. */
static double predict(const zg_request *request, const zg_plan *plan) {
  zg_machine nominal = {.rates = {[ZG_RATE_FORM_SINGLE] = 1.5e11,
                                  [ZG_RATE_READ_TOTAL] = 2e9,
                                  [ZG_RATE_NETWORK] = 1e9}};
  zg_plan trial = *plan;
  trial.ranks = trial.teams = (int)zg_max(1, request->local_ranks);
  zg_machine_complete(&nominal);
  zg_amounts amounts = zg_plan_amounts(&trial);
  return zg_cost_of(&amounts, &nominal).total;
}

/* The memory that tile and bands need, and panels in what is left. */
static void lay_out(const zg_request *request, zg_plan *plan) {
  plan->memory = zg_gram_memory(plan, plan->tile);
  plan->panels_kept = zg_min(2, plan->panel_count);
  plan->panel_room = plan->memory.panels;
  if (zg_gram_any_tiles(plan)) keep_panels(plan, request->memory);
}

/* Bands and panels share what memory there is. More bands form the tiles more often,
 * but with too little room for panels these are read again and again: of all divisions
 * that fit the one of which the least time is predicted. With all panels in memory and
 * as few bands as fit there is nothing to be won. */
static void divide_memory(const zg_request *request, zg_plan *plan) {
  int64_t N = plan->items, best = plan->band_numbers;
  int64_t numbers = zg_min(N * N, 2 * best);
  double least = HUGE_VAL;
  bool resident = false;
  for (; !resident && numbers >= LEAST_BAND * N; numbers -= numbers / 8) {
    plan->band_numbers = numbers;
    if (zg_gram_memory(plan, plan->tile).total > request->memory) continue;
    lay_out(request, plan);
    double seconds = predict(request, plan);
    if (seconds < least) best = numbers;
    least = fmin(least, seconds);
    resident = plan->resident;
  }
  plan->band_numbers = best;
}

/* Where all passes go by features, or in batches, the tile only has to be there in case
 * that they cannot: no larger than fits into what those take. */
static void shrink_spare_tile(const zg_request *request, zg_plan *plan) {
  zg_request spare = *request;
  int64_t batches = zg_gram_memory(plan, 1).total;
  spare.memory = zg_min(request->memory, zg_max(batches, most_by_features(plan)));
  int64_t tile = choose_tile(&spare, plan, plan->packed);
  if (tile) plan->tile = tile;
}

/* Memory of a pass by features, with the panels that stay meanwhile. */
static zg_status add_features(zg_plan *plan, const zg_pass *pass) {
  zg_memory memory = zg_gram_feature_memory(plan, pass);
  if (plan->resident) memory.panels = resident_share(plan);
  return zg_plan_add_memory(plan, pass, memory);
}

zg_status zg_plan_gram(const zg_request *request, zg_plan *plan) {
  plan_sizes(request, plan);
  for (int64_t p = 0; p < plan->pass_count; p++)
    if (zg_gram_is(&plan->passes[p])) {
      plan->passes[p].precision =
          zg_plan_precision(plan, pairs_of(plan, &plan->passes[p]));
      choose_route(request, plan, &plan->passes[p]);
    }
  read_once(request, plan);
  plan->tile = choose_teams(request, plan);
  if (!plan->tile) return fail_memory(request, plan);
  if (!zg_gram_any_tiles(plan)) shrink_spare_tile(request, plan);
  plan->panel_count = zg_ceil_div(plan->samples, plan->tile);
  plan->largest_tile = zg_max(plan->tile, zg_gram_largest_batch(plan));
  plan->local_ranks = (int)zg_max(1, request->local_ranks);
  for (int64_t p = 0; p < plan->pass_count; p++)
    if (zg_gram_is(&plan->passes[p])) {
      plan->passes[p].items = plan->items;
      plan->passes[p].tasks = zg_plan_tiles(plan, &plan->passes[p]);
      plan->passes[p].bytes = plan->bytes;
    }
  if (zg_plan_bands(plan) > 1) divide_memory(request, plan);
  lay_out(request, plan);
  estimate_flop(plan);
  estimate_words(plan);
  for (int64_t p = 0; p < plan->pass_count; p++)
    if (plan->passes[p].by_features) ZG_TRY(add_features(plan, &plan->passes[p]));
  return ZG_OK;
}

void zg_plan_panel(const zg_plan *plan, int64_t k, int64_t *first, int64_t *rows) {
  int64_t n = plan->samples;
  *first = plan->packed ? k * plan->tile : zg_part(n, plan->panel_count, k);
  int64_t end = plan->packed ? zg_min(n, *first + plan->tile)
                             : zg_part(n, plan->panel_count, k + 1);
  *rows = end - *first;
}

int64_t zg_plan_tiles(const zg_plan *plan, const zg_pass *pass) {
  if (pass->by_features) return zg_ceil_div(plan->samples, pass->piece);
  if (!pass->spec.gram.batch) return plan->panel_count * (plan->panel_count + 1) / 2;
  int64_t rest = plan->samples % pass->spec.gram.batch;
  return plan->samples / pass->spec.gram.batch + (rest >= 4);
}
