#include "engine/state.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A segment begins with this; what follows is in the order of write_segment. */
typedef struct header {
  char magic[8];
  char digest[ZG_DIGEST_BYTES + 7];
  int64_t pass, tiles, items, pairs, vectors, parameters;
} header;

static const char magic[8] = "zgstate1";

struct zg_state {
  MPI_Comm comm;
  int rank;
  char *directory;
  char digest[ZG_DIGEST_BYTES];
  double interval, last_time, last_cost;
  zg_list segments; /* names of those of earlier runs, all passes */
  int64_t pass, tiles;
  uint8_t *before, *now; /* [tiles] in segments of earlier runs; in this team's sums */
  int64_t before_count;
  bool news; /* not in any segment yet: tiles, or parameters that were hard to find */
  char *own; /* path of this team's segment of this pass */
};

/* ---- the directory ---- */

static bool is_segment(const char *name) {
  return !strncmp(name, "pass", 4) && !strstr(name, ".tmp");
}

static zg_status list_segments(zg_state *state, bool discard) {
  DIR *directory = opendir(state->directory);
  if (!directory && errno == ENOENT) return ZG_OK;
  if (!directory)
    return zg_fail(ZG_ERR_CREATE, "%s: cannot be read: %s", state->directory,
                   strerror(errno));
  struct dirent *entry;
  while ((entry = readdir(directory))) {
    zg_text path = {0};
    zg_text_add(&path, "%s/%s", state->directory, entry->d_name);
    if (entry->d_name[0] != '.' && (discard || !is_segment(entry->d_name)))
      unlink(path.data);
    else if (entry->d_name[0] != '.')
      zg_list_add(&state->segments, path.data);
    zg_text_clear(&path);
  }
  closedir(directory);
  if (discard) rmdir(state->directory);
  return ZG_OK;
}

static zg_status check_digest(const zg_state *state, const char *path) {
  header h;
  FILE *file = fopen(path, "rb");
  bool read = file && fread(&h, sizeof h, 1, file) == 1;
  if (file) fclose(file);
  if (read && !memcmp(h.magic, magic, sizeof magic) && !strcmp(h.digest, state->digest))
    return ZG_OK;
  return zg_fail(
      ZG_ERR_CREATE,
      "%s: was left by an interrupted run of another job, of other inputs or "
      "with another plan; 'zoogram run --restart' discards it",
      state->directory);
}

static void broadcast_segments(zg_state *state) {
  int64_t count = state->segments.count;
  zg_broadcast(state->comm, &count, sizeof count);
  for (int64_t k = 0; k < count; k++) {
    char *path = state->rank == 0 ? state->segments.items[k] : NULL;
    zg_broadcast_text(state->comm, &path);
    if (state->rank == 0) continue;
    zg_list_add(&state->segments, path);
    free(path);
  }
}

/* The caller frees. */
static char *directory_of(const char *output) {
  zg_text directory = {0};
  zg_text_add(&directory, "%s.state", output);
  return directory.data;
}

zg_status zg_state_open(MPI_Comm comm, const char *output, const char *digest,
                        double interval, bool discard, zg_state **opened) {
  zg_state *state = *opened = ZG_NEW0(zg_state, 1);
  state->comm = comm;
  state->directory = directory_of(output);
  state->interval = interval;
  state->last_time = zg_clock();
  memcpy(state->digest, digest, sizeof state->digest);
  MPI_Comm_rank(comm, &state->rank);
  zg_status status = state->rank == 0 ? list_segments(state, discard) : ZG_OK;
  for (int64_t k = 0; status == ZG_OK && k < state->segments.count; k++)
    status = check_digest(state, state->segments.items[k]);
  ZG_TRY(zg_agree(comm, status));
  broadcast_segments(state);
  return ZG_OK;
}

bool zg_state_exists(const char *output) {
  char *directory = directory_of(output);
  bool there = access(directory, F_OK) == 0;
  free(directory);
  return there;
}

void zg_state_discard(const char *output) {
  zg_state state = {.directory = directory_of(output)};
  list_segments(&state, true);
  free(state.directory);
}

static void end_pass(zg_state *state) {
  free(state->before);
  free(state->now);
  free(state->own);
  state->before = state->now = NULL;
  state->own = NULL;
}

void zg_state_close(zg_state **closed, bool finished) {
  zg_state *state = *closed;
  if (!state) return;
  end_pass(state);
  if (finished && state->rank == 0) {
    zg_list_clear(&state->segments);
    list_segments(state, true);
  }
  zg_list_clear(&state->segments);
  free(state->directory);
  free(state);
  *closed = NULL;
}

/* ---- writing ---- */

/* A file with a running checksum; after an error nothing more happens. */
typedef struct stream {
  FILE *file;
  zg_hash *hash;
  bool ok;
} stream;

static void put(stream *s, const void *data, int64_t bytes) {
  if (bytes == 0) return;
  zg_hash_add(s->hash, data, (size_t)bytes);
  s->ok = s->ok && fwrite(data, 1, (size_t)bytes, s->file) == (size_t)bytes;
}

/* A matrix, one run of columns after the other: first, count, sums. The other ranks of
 * the team send theirs. */
static void put_matrix(stream *s, const zg_team *team, const zg_pairs *pairs,
                       const double *part) {
  int64_t share = zg_pairs_share(pairs->end - pairs->begin, team->size);
  double *buffer = team->size > 1 ? ZG_NEW(double, pairs->end *share) : NULL;
  for (int q = 0; q < team->size; q++) {
    int64_t range[2] = {zg_min(pairs->end, pairs->begin + share * q), 0};
    range[1] = zg_min(pairs->end, range[0] + share) - range[0];
    int64_t count = pairs->end * range[1];
    if (q > 0)
      MPI_Recv(buffer, zg_int(count), MPI_DOUBLE, q, 0, team->comm, MPI_STATUS_IGNORE);
    put(s, range, sizeof range);
    put(s, q ? buffer : part, count * (int64_t)sizeof(double));
  }
  free(buffer);
}

static void put_pairs(stream *s, const zg_team *team, const zg_pairs *pairs) {
  put_matrix(s, team, pairs, pairs->coarse);
  put_matrix(s, team, pairs, pairs->fine);
}

static void send_pairs(const zg_team *team, const zg_pairs *pairs) {
  int count = zg_int(zg_pairs_numbers(pairs));
  MPI_Send(pairs->coarse, count, MPI_DOUBLE, 0, 0, team->comm);
  MPI_Send(pairs->fine, count, MPI_DOUBLE, 0, 0, team->comm);
}

/* Items of the matrices, which all have the same. */
static int64_t item_count(const zg_sums *sums) {
  return sums->pairs[0] ? sums->pairs[0]->n : 0;
}

static int64_t list_length(const zg_sums *sums, bool of_pairs) {
  int64_t k = 0;
  while (of_pairs ? k < ZG_STATE_PAIRS && sums->pairs[k]
                  : k < ZG_STATE_VECTORS && sums->lengths[k])
    k++;
  return k;
}

/* The team's vector on its first rank; the caller frees. */
static double *team_vector(const zg_team *team, const zg_sums *sums, int64_t k) {
  int64_t length = sums->lengths[k];
  double *whole = ZG_NEW(double, length);
  memcpy(whole, sums->vectors[k], (size_t)length * sizeof *whole);
  if (sums->shared[k] && team->size > 1) zg_sum_doubles(team->comm, whole, length);
  return whole;
}

static void put_header(stream *s, const zg_state *state, const zg_sums *sums) {
  header h = {.pass = state->pass,
              .tiles = state->tiles,
              .items = item_count(sums),
              .pairs = list_length(sums, true),
              .vectors = list_length(sums, false),
              .parameters = sums->parameter_count};
  memcpy(h.magic, magic, sizeof magic);
  memcpy(h.digest, state->digest, sizeof state->digest);
  put(s, &h, sizeof h);
  put(s, state->now, state->tiles);
  put(s, sums->parameters, sums->parameter_count * (int64_t)sizeof(double));
}

/* Everything behind the header, taken together from the ranks of the team. `s` is NULL
 * on all but the first. */
static void put_sums(stream *s, const zg_team *team, const zg_sums *sums) {
  for (int64_t k = 0; k < list_length(sums, true); k++)
    if (s)
      put_pairs(s, team, sums->pairs[k]);
    else
      send_pairs(team, sums->pairs[k]);
  for (int64_t k = 0; k < list_length(sums, false); k++) {
    double *whole = team_vector(team, sums, k);
    if (s) put(s, whole, sums->lengths[k] * (int64_t)sizeof(double));
    free(whole);
  }
}

static bool finish_file(stream *s) {
  int64_t check = zg_hash_finish_int(&s->hash);
  s->ok = s->ok && fwrite(&check, sizeof check, 1, s->file) == 1;
  s->ok = s->ok && fflush(s->file) == 0 && fsync(fileno(s->file)) == 0;
  return fclose(s->file) == 0 && s->ok;
}

static zg_status save_segment(zg_state *state, const zg_team *team,
                              const zg_sums *sums) {
  zg_text temporary = {0};
  zg_text_add(&temporary, "%s.tmp", state->own);
  mkdir(state->directory, 0777);
  stream s = {
      .file = fopen(temporary.data, "wb"), .hash = zg_hash_create(), .ok = true};
  if (!s.file) { /* the others still have to be listened to */
    s.file = fopen("/dev/null", "wb");
    s.ok = false;
  }
  put_header(&s, state, sums);
  put_sums(&s, team, sums);
  bool saved = finish_file(&s) && rename(temporary.data, state->own) == 0;
  zg_text_clear(&temporary);
  if (saved) return ZG_OK;
  return zg_fail(ZG_ERR_WRITE, "%s: the checkpoint cannot be written: %s", state->own,
                 strerror(errno));
}

zg_status zg_state_save(zg_state *state, const zg_team *team, const zg_sums *sums) {
  double start = zg_clock();
  zg_status status = ZG_OK;
  if (team->position == 0)
    status = save_segment(state, team, sums);
  else
    put_sums(NULL, team, sums);
  if (team->size > 1) status = zg_agree(team->comm, status);
  state->last_time = zg_clock();
  state->last_cost = state->last_time - start;
  state->news = false;
  return status;
}

bool zg_state_is_due(const zg_state *state) {
  double elapsed = zg_clock() - state->last_time;
  return state->news && elapsed >= state->interval && elapsed >= 50 * state->last_cost;
}

bool zg_state_is_worth(const zg_state *state) {
  return zg_clock() - state->last_time >= 0.1 * state->interval;
}

/* ---- reading ---- */

static bool get(stream *s, void *data, int64_t bytes) {
  if (bytes == 0) return s->ok;
  s->ok = s->ok && fread(data, 1, (size_t)bytes, s->file) == (size_t)bytes;
  if (s->ok) zg_hash_add(s->hash, data, (size_t)bytes);
  return s->ok;
}

static bool fits(const zg_state *state, const header *h, const zg_sums *sums) {
  return !memcmp(h->magic, magic, sizeof magic) && h->tiles == state->tiles &&
         h->items == item_count(sums) && h->pairs == list_length(sums, true) &&
         h->vectors == list_length(sums, false) &&
         h->parameters == sums->parameter_count;
}

/* Add the columns of a matrix in a segment to those that this rank holds of it in
 * `part`, unless that is NULL. */
static void get_matrix(stream *s, const zg_pairs *pairs, double *part) {
  int64_t end = pairs->end;
  double *row = ZG_NEW(double, end);
  for (int64_t covered = pairs->begin; s->ok && covered < end;) {
    int64_t range[2];
    if (!get(s, range, sizeof range)) break;
    s->ok = range[0] == covered && range[1] > 0 && range[1] <= end - covered;
    for (int64_t i = 0; s->ok && i < end; i++) {
      get(s, row, range[1] * (int64_t)sizeof *row);
      for (int64_t j = 0; s->ok && part && j < range[1]; j++) {
        int64_t column = range[0] + j - pairs->first;
        if (column >= 0 && column < pairs->count)
          part[i * pairs->count + column] += row[j];
      }
    }
    covered += range[1];
  }
  free(row);
}

static void get_pairs(stream *s, const zg_pairs *pairs, bool add) {
  get_matrix(s, pairs, add ? pairs->coarse : NULL);
  get_matrix(s, pairs, add ? pairs->fine : NULL);
}

static void get_vector(stream *s, int64_t length, double *sums) {
  double *vector = ZG_NEW(double, length);
  if (get(s, vector, length * (int64_t)sizeof *vector) && sums)
    for (int64_t k = 0; k < length; k++)
      sums[k] += vector[k];
  free(vector);
}

/* Read a segment: its tiles and parameters, and, with `add`, its sums, which are added.
 * \return false when it is of another pass or damaged. */
static bool read_segment(const zg_state *state, const char *path, const zg_team *team,
                         zg_sums *sums, uint8_t *tiles, double *parameters, bool add) {
  stream s = {.file = fopen(path, "rb"), .hash = zg_hash_create(), .ok = true};
  header h;
  int64_t check = 0;
  if (!s.file) return false;
  s.ok = get(&s, &h, sizeof h) && h.pass == state->pass && fits(state, &h, sums);
  if (s.ok) get(&s, tiles, state->tiles);
  if (s.ok) get(&s, parameters, sums->parameter_count * (int64_t)sizeof(double));
  for (int64_t k = 0; s.ok && k < h.pairs; k++)
    get_pairs(&s, sums->pairs[k], add);
  for (int64_t k = 0; s.ok && k < h.vectors; k++) {
    bool mine = add && (!sums->shared[k] || team->position == 0);
    get_vector(&s, sums->lengths[k], mine ? sums->vectors[k] : NULL);
  }
  int64_t expected = zg_hash_finish_int(&s.hash);
  bool whole = s.ok && fread(&check, sizeof check, 1, s.file) == 1 && check == expected;
  fclose(s.file);
  return whole;
}

/* On rank 0: which tiles are in whole segments of this pass; damaged ones are dropped.
 */
static bool collect_tiles(zg_state *state, zg_sums *sums) {
  uint8_t *tiles = ZG_NEW0(uint8_t, state->tiles);
  double *parameters = ZG_NEW(double, sums->parameter_count);
  bool any = false;
  for (int64_t k = 0; k < state->segments.count; k++) {
    char *path = state->segments.items[k];
    if (!read_segment(state, path, NULL, sums, tiles, parameters, false)) continue;
    for (int64_t t = 0; t < state->tiles; t++)
      state->before[t] |= tiles[t];
    for (int64_t p = 0; p < sums->parameter_count; p++)
      sums->parameters[p] = parameters[p];
    any = true;
  }
  free(parameters);
  free(tiles);
  return any;
}

/* A name for this rank's segment that no earlier run has used. */
static char *own_path(const zg_state *state) {
  for (int attempt = 0;; attempt++) {
    zg_text path = {0};
    zg_text_add(&path, "%s/pass%lld-%lld-%d-%d-%d", state->directory,
                (long long)state->pass, (long long)time(NULL), (int)getpid(),
                state->rank, attempt);
    if (access(path.data, F_OK) != 0) return path.data;
    zg_text_clear(&path);
  }
}

zg_status zg_state_begin(zg_state *state, int64_t pass, int64_t tiles, zg_sums *sums,
                         bool *resumed) {
  end_pass(state);
  state->pass = pass;
  state->tiles = tiles;
  state->before = ZG_NEW0(uint8_t, tiles);
  state->now = ZG_NEW0(uint8_t, tiles);
  state->own = own_path(state);
  bool any = state->rank == 0 && collect_tiles(state, sums);
  *resumed = zg_any(state->comm, any);
  state->news = !*resumed && sums->parameter_count;
  zg_broadcast(state->comm, state->before, tiles);
  state->before_count = 0;
  for (int64_t t = 0; t < tiles; t++)
    state->before_count += state->before[t];
  if (!*resumed) return ZG_OK;
  zg_note("pass %lld resumes: %lld of %lld tiles are done", (long long)pass + 1,
          (long long)state->before_count, (long long)tiles);
  zg_broadcast(state->comm, sums->parameters,
               sums->parameter_count * (int64_t)sizeof(double));
  return ZG_OK;
}

bool zg_state_has(const zg_state *state, int64_t tile) {
  return state->before[tile];
}

int64_t zg_state_count(const zg_state *state) {
  return state->before_count;
}

void zg_state_add_tile(zg_state *state, int64_t tile) {
  state->now[tile] = 1;
  state->news = true;
}

zg_status zg_state_finish(zg_state *state, const zg_team *team, zg_sums *sums) {
  uint8_t *tiles = ZG_NEW(uint8_t, state->tiles);
  double *parameters = ZG_NEW(double, sums->parameter_count);
  int64_t found = 0;
  for (int64_t k = 0; k < state->segments.count && state->before_count; k++) {
    if (!zg_team_works(team) || k % team->teams != team->team) continue;
    if (!read_segment(state, state->segments.items[k], team, sums, tiles, parameters,
                      true))
      continue;
    for (int64_t t = 0; t < state->tiles; t++)
      found += tiles[t];
  }
  if (team->position != 0) found = 0;
  free(parameters);
  free(tiles);
  zg_sum_counts(state->comm, &found, 1);
  if (found == state->before_count) return ZG_OK;
  return zg_fail(ZG_ERR_SYSTEM, "%s: changed while it was being read",
                 state->directory);
}
