#include "engine/state.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/watchdog.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct zg_state {
  MPI_Comm comm;
  int rank;
  char *directory;
  char digest[ZG_DIGEST_BYTES];
  double interval, last_time, last_cost;
  const zg_shard_part *part; /* of a shard; NULL: of everything */
  bool merges;
  zg_segment *segments; /* of earlier runs or of parts, all passes */
  int64_t segment_count;
  int64_t pass, tiles;
  uint8_t *before, *now; /* [tiles] in segments of earlier runs; in this team's sums */
  int64_t before_count;
  bool news; /* not in any segment yet: tiles, or parameters that were hard to find */
  char *own; /* path of this team's segment of this pass */
};

/* ---- the directory ---- */

static void add_segment(zg_state *state, const char *path, int64_t pass,
                        int64_t offset) {
  int64_t count = state->segment_count + 1;
  state->segments = zg_realloc(state->segments, count, sizeof *state->segments);
  state->segments[state->segment_count++] =
      (zg_segment){.path = zg_strdup(path), .pass = pass, .offset = offset};
}

static void clear_segments(zg_state *state) {
  for (int64_t k = 0; k < state->segment_count; k++)
    free(state->segments[k].path);
  free(state->segments);
  state->segments = NULL;
  state->segment_count = 0;
}

/* The segment of a shard's pass that is done; the caller frees. */
static char *sum_path(const zg_state *state, int64_t pass) {
  zg_text path = {0};
  zg_text_add(&path, "%s/sum%lld", state->directory, (long long)pass);
  return path.data;
}

/* Whether a file is a segment that counts: teams' do not once there is their sum. */
static bool is_segment(const zg_state *state, const char *name, int64_t *pass) {
  long long number;
  bool is_sum = sscanf(name, "sum%lld", &number) == 1;
  if (strstr(name, ".tmp") || (!is_sum && sscanf(name, "pass%lld-", &number) != 1))
    return false;
  *pass = number;
  char *sum = sum_path(state, number);
  bool counts = is_sum || access(sum, F_OK) != 0;
  free(sum);
  return counts;
}

/* Do something with each file of the directory. */
static zg_status visit(zg_state *state, void (*act)(zg_state *state, const char *path,
                                                    const char *name)) {
  ZG_PLACE("reading", state->directory);
  DIR *directory = opendir(state->directory);
  if (!directory && errno == ENOENT) return ZG_OK;
  if (!directory)
    return zg_fail(ZG_ERR_CREATE, "%s: cannot be read: %s", state->directory,
                   strerror(errno));
  struct dirent *entry;
  while ((entry = readdir(directory))) {
    zg_text path = {0};
    if (entry->d_name[0] == '.') continue;
    zg_text_add(&path, "%s/%s", state->directory, entry->d_name);
    act(state, path.data, entry->d_name);
    zg_text_clear(&path);
  }
  closedir(directory);
  return ZG_OK;
}

static void add_or_remove(zg_state *state, const char *path, const char *name) {
  int64_t pass;
  if (is_segment(state, name, &pass))
    add_segment(state, path, pass, 0);
  else
    unlink(path);
}

/* List the segments and remove what else there is. */
static zg_status list_segments(zg_state *state) {
  return visit(state, add_or_remove);
}

static void remove_any(zg_state *state, const char *path, const char *name) {
  (void)state, (void)name;
  unlink(path);
}

static void remove_own(zg_state *state, const char *path, const char *name) {
  zg_segment_kind kind = ZG_SEGMENT_DAMAGED;
  (void)name;
  if (zg_segment_inspect(path, state->digest, &kind) == ZG_OK &&
      kind == ZG_SEGMENT_SOUND)
    unlink(path);
}

static zg_status discard(zg_state *state) {
  ZG_TRY(visit(state, remove_any));
  rmdir(state->directory);
  return ZG_OK;
}

/* A merge has made no state, but finds what an interrupted run has left under the name
 * that it gives its output: of these results, or of anything else. */
static void discard_own(zg_state *state) {
  zg_status status = visit(state, remove_own);
  if (status != ZG_OK || (rmdir(state->directory) != 0 && errno != ENOENT))
    zg_warn(
        "%s: holds something else than checkpoints of these results; it is left alone",
        state->directory);
}

static zg_status refuse(const zg_state *state, const char *by) {
  return zg_fail(ZG_ERR_CREATE,
                 "%s: was left by an interrupted run %s; 'zoogram run --restart' "
                 "discards it",
                 state->directory, by);
}

/* A segment that cannot be used. A sum would hide what comes instead of it. */
static void leave_out(const zg_segment *from, const char *why) {
  const char *name = strrchr(from->path, '/');
  zg_warn("%s: %s; what it held is computed again", from->path, why);
  if (name && !strncmp(name, "/sum", 4)) unlink(from->path);
}

/* Keep those segments in the list that may be used. */
static zg_status check_headers(zg_state *state) {
  int64_t kept = 0;
  for (int64_t k = 0; k < state->segment_count; k++) {
    zg_segment from = state->segments[k];
    zg_segment_kind kind = ZG_SEGMENT_SOUND;
    ZG_TRY(zg_segment_inspect(from.path, state->digest, &kind));
    if (kind == ZG_SEGMENT_OTHER_VERSION)
      return refuse(state, "of another version of zoogram");
    if (kind == ZG_SEGMENT_OTHER_JOB)
      return refuse(state, "of another job, of other inputs or with another plan");
    if (kind == ZG_SEGMENT_DAMAGED) leave_out(&from, "is damaged");
    state->segments[k] = state->segments[kept]; /* swapped: every path stays owned */
    state->segments[kept] = from;
    kept += kind == ZG_SEGMENT_SOUND;
  }
  while (state->segment_count > kept)
    free(state->segments[--state->segment_count].path);
  return ZG_OK;
}

static void broadcast_segments(zg_state *state) {
  int64_t count = state->segment_count;
  zg_broadcast(state->comm, &count, sizeof count);
  for (int64_t k = 0; k < count; k++) {
    zg_segment s = state->rank == 0 ? state->segments[k] : (zg_segment){0};
    zg_broadcast_text(state->comm, &s.path);
    zg_broadcast(state->comm, &s.pass, sizeof s.pass);
    zg_broadcast(state->comm, &s.offset, sizeof s.offset);
    if (state->rank == 0) continue;
    add_segment(state, s.path, s.pass, s.offset);
    free(s.path);
  }
}

/* The caller frees. */
static char *directory_of(const char *output) {
  zg_text directory = {0};
  zg_text_add(&directory, "%s.state", output);
  return directory.data;
}

static zg_state *create(MPI_Comm comm, const char *output, const char *digest,
                        double interval) {
  zg_state *state = ZG_NEW0(zg_state, 1);
  state->comm = comm;
  state->directory = directory_of(output);
  state->interval = interval;
  state->last_time = zg_clock();
  memcpy(state->digest, digest, sizeof state->digest);
  MPI_Comm_rank(comm, &state->rank);
  return state;
}

zg_status zg_state_open(MPI_Comm comm, const char *output, const char *digest,
                        double interval, bool restart, zg_state **opened) {
  zg_state *state = *opened = create(comm, output, digest, interval);
  zg_status status = ZG_OK;
  if (state->rank == 0) status = restart ? discard(state) : list_segments(state);
  if (status == ZG_OK && state->rank == 0) status = check_headers(state);
  ZG_TRY(zg_agree(comm, status));
  broadcast_segments(state);
  return ZG_OK;
}

zg_status zg_state_open_parts(MPI_Comm comm, const char *output, const char *digest,
                              zg_shard_part *const *parts, int64_t count,
                              zg_state **opened) {
  zg_state *state = *opened = create(comm, output, digest, INFINITY);
  zg_status status = ZG_OK;
  state->merges = true;
  for (int64_t k = 0; state->rank == 0 && k < count; k++) {
    const zg_shard_part *part = parts[k];
    if (status == ZG_OK) status = zg_part_check_state(part, digest, "this merge");
    for (int64_t j = 0; j < part->segment_count; j++)
      add_segment(state, part->path, part->segments[j].pass, part->segments[j].offset);
  }
  ZG_TRY(zg_agree(comm, status));
  broadcast_segments(state);
  return ZG_OK;
}

void zg_state_share(zg_state *state, const zg_shard_part *part) {
  state->part = part;
}

bool zg_state_exists(const char *output) {
  char *directory = directory_of(output);
  bool there = access(directory, F_OK) == 0;
  free(directory);
  return there;
}

void zg_state_discard(const char *output) {
  zg_state state = {.directory = directory_of(output)};
  discard(&state);
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
    if (state->merges)
      discard_own(state);
    else
      discard(state);
  }
  clear_segments(state);
  free(state->directory);
  free(state);
  *closed = NULL;
}

/* ---- writing ---- */

zg_status zg_state_save(zg_state *state, const zg_team *team, const zg_sums *sums) {
  double start = zg_clock();
  zg_status status = zg_segment_write(state->own, state->digest, team, state->pass,
                                      state->tiles, state->now, sums);
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

/* What is known of a pass before it begins, on rank 0. */
typedef struct collection {
  zg_content content;         /* of the newest segment */
  const zg_segment *previous; /* the one before that is used; NULL: none */
} collection;

/* Segments have each tile once, and the same parameters. */
static zg_status check_fit(const zg_state *state, const zg_sums *sums,
                           const collection *c, const zg_segment *from) {
  size_t bytes = (size_t)sums->parameter_count * sizeof(double);
  if (c->previous && bytes &&
      memcmp(c->content.parameters, sums->parameters, bytes) != 0)
    return zg_fail(ZG_ERR_DATA,
                   "%s: pass %lld: its bandwidths differ from those of %s by rounding "
                   "(larger teams, or CPUs of another kind): remove it and run its "
                   "shard again where that part lies, to take them over",
                   from->path, (long long)state->pass + 1, c->previous->path);
  for (int64_t t = 0; t < state->tiles; t++)
    if (state->before[t] && c->content.tasks[t])
      return zg_fail(ZG_ERR_DATA, "%s: pass %lld: another part has tile %lld as well",
                     from->path, (long long)state->pass + 1, (long long)t);
  return ZG_OK;
}

/* Take in the tiles and parameters of a segment. One that is damaged or contradicts
 * those before it is left out, but not if it is a part's. */
static zg_status collect_segment(zg_state *state, zg_sums *sums, collection *c,
                                 zg_segment *from) {
  const char *why = "is damaged";
  zg_status status = ZG_OK;
  if (!zg_segment_read(from, NULL, sums, &c->content))
    status = zg_fail(ZG_ERR_DATA, "%s: is damaged: remove it and run its shard again",
                     from->path);
  else if ((status = check_fit(state, sums, c, from)) != ZG_OK)
    why = "does not go with another one";
  if (status != ZG_OK && state->merges) return status;
  from->used = status == ZG_OK;
  if (!from->used) {
    leave_out(from, why);
    return ZG_OK;
  }
  for (int64_t t = 0; t < state->tiles; t++)
    state->before[t] |= c->content.tasks[t];
  for (int64_t p = 0; p < sums->parameter_count; p++)
    sums->parameters[p] = c->content.parameters[p];
  c->previous = from;
  return ZG_OK;
}

/* On rank 0: which segments this pass goes on with, and which tiles they have. */
static zg_status collect_tiles(zg_state *state, zg_sums *sums, bool *any) {
  collection c = {.content = zg_content_create(state->pass, state->tiles, sums)};
  zg_status status = ZG_OK;
  for (int64_t k = 0; status == ZG_OK && k < state->segment_count; k++)
    if (state->segments[k].pass == state->pass)
      status = collect_segment(state, sums, &c, &state->segments[k]);
  *any = c.previous != NULL;
  zg_content_clear(&c.content);
  return status;
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

/* The parameters of this pass in a part. \return whether it has them. */
static bool take_parameters(const zg_state *state, const zg_shard_part *part,
                            zg_sums *sums) {
  zg_content content = zg_content_create(state->pass, state->tiles, sums);
  bool taken = false;
  for (int64_t k = 0; !taken && k < part->segment_count; k++) {
    const zg_segment from = {part->path, part->segments[k].pass,
                             part->segments[k].offset, 0};
    taken = from.pass == state->pass && zg_segment_read(&from, NULL, sums, &content);
  }
  for (int64_t p = 0; taken && p < sums->parameter_count; p++)
    sums->parameters[p] = content.parameters[p];
  if (taken)
    zg_note("pass %lld has the bandwidths of %s", (long long)state->pass + 1,
            part->path);
  zg_content_clear(&content);
  return taken;
}

/* On rank 0: parameters cost every shard as much as all shards together, so that the
 * first part serves the others. */
static bool borrow_parameters(const zg_state *state, zg_sums *sums) {
  const zg_shard *own = &state->part->shard;
  bool taken = false;
  for (int64_t k = 1; !taken && k <= own->count; k++) {
    zg_shard_part *other = NULL;
    char *path = zg_part_beside(state->part, k);
    if (k != own->number && access(path, R_OK) == 0 &&
        zg_part_read(path, &other) == ZG_OK && !strcmp(other->state, state->digest))
      taken = take_parameters(state, other, sums);
    zg_part_destroy(&other);
    free(path);
  }
  return taken;
}

/* In the log: what there is of this pass. */
static zg_status report_tiles(const zg_state *state) {
  long long pass = (long long)state->pass + 1, all = (long long)state->tiles;
  if (state->merges && state->before_count < state->tiles)
    return zg_fail(ZG_ERR_DATA, "pass %lld: the parts have %lld of its %lld tiles",
                   pass, (long long)state->before_count, all);
  if (state->merges)
    zg_note("pass %lld: all %lld tiles are in the parts", pass, all);
  else if (state->part && state->before_count)
    zg_note("pass %lld resumes: %lld tiles of the shard are done", pass,
            (long long)state->before_count);
  else if (!state->part)
    zg_note("pass %lld resumes: %lld of %lld tiles are done", pass,
            (long long)state->before_count, all);
  return ZG_OK;
}

/* Whether the pass of a shard has been done by an earlier run, whose sum is sound. */
static bool is_done(const zg_state *state) {
  char *sum = sum_path(state, state->pass);
  bool done = false;
  for (int64_t k = 0; k < state->segment_count; k++)
    done = done || (state->segments[k].used && !strcmp(state->segments[k].path, sum));
  free(sum);
  return done;
}

zg_status zg_state_begin(zg_state *state, int64_t pass, int64_t tiles, zg_sums *sums,
                         bool *resumed) {
  end_pass(state);
  state->pass = pass;
  state->tiles = tiles;
  state->before = ZG_NEW0(uint8_t, tiles);
  state->now = ZG_NEW0(uint8_t, tiles);
  state->own = own_path(state);
  bool any = false;
  zg_status status = state->rank == 0 ? collect_tiles(state, sums, &any) : ZG_OK;
  ZG_TRY(zg_agree(state->comm, status));
  if (state->rank == 0 && state->part && !any && sums->parameter_count)
    any = borrow_parameters(state, sums);
  *resumed = zg_any(state->comm, any);
  state->news = !*resumed && sums->parameter_count;
  zg_broadcast(state->comm, state->before, tiles);
  for (int64_t k = 0; k < state->segment_count; k++)
    zg_broadcast(state->comm, &state->segments[k].used, sizeof state->segments[k].used);
  state->before_count = 0;
  for (int64_t t = 0; t < tiles; t++)
    state->before_count += state->before[t];
  if (!*resumed && !state->merges) return ZG_OK;
  ZG_TRY(report_tiles(state));
  zg_broadcast(state->comm, sums->parameters,
               sums->parameter_count * (int64_t)sizeof(double));
  return is_done(state) ? ZG_SHARE_DONE : ZG_OK;
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

/* ---- the end of a pass ---- */

/* The tiles that all runs and all teams have done become this team's. */
static void share_tiles(zg_state *state) {
  ZG_WAIT;
  for (int64_t t = 0; t < state->tiles; t++)
    state->now[t] |= state->before[t];
  MPI_Allreduce(MPI_IN_PLACE, state->now, zg_int(state->tiles), MPI_UINT8_T, MPI_BOR,
                state->comm);
}

/* Make one segment of what all teams have, in place of theirs. */
static zg_status keep_sums(zg_state *state, const zg_team *team, zg_sums *sums) {
  zg_status status = ZG_OK;
  share_tiles(state);
  free(state->own);
  state->own = sum_path(state, state->pass);
  if (zg_team_works(team)) zg_sums_share(team, sums);
  if (team->team == 0) status = zg_state_save(state, team, sums);
  ZG_TRY(zg_agree(state->comm, status));
  clear_segments(state);
  if (state->rank == 0) status = list_segments(state);
  ZG_TRY(zg_agree(state->comm, status));
  broadcast_segments(state);
  return ZG_SHARE_DONE;
}

zg_status zg_state_skip(const zg_state *state) {
  return state->part ? ZG_SHARE_DONE : ZG_OK;
}

static zg_status fail_found(const zg_state *state) {
  return zg_fail(
      ZG_ERR_WRITE,
      "%s: what an interrupted run has left was there and now cannot be read",
      state->directory);
}

zg_status zg_state_finish(zg_state *state, const zg_team *team, zg_sums *sums) {
  zg_content content = zg_content_create(state->pass, state->tiles, sums);
  zg_status status = ZG_OK;
  int64_t found = 0;
  for (int64_t k = 0; k < state->segment_count; k++) {
    const zg_segment *from = &state->segments[k];
    bool own = zg_team_works(team) && k % team->teams == team->team;
    if (!own || !from->used || from->pass != state->pass) continue;
    errno = 0;
    if (!zg_segment_read(from, team, sums, &content)) {
      if (errno) zg_set_reason(strerror(errno));
      status = fail_found(state);
      continue;
    }
    for (int64_t t = 0; t < state->tiles; t++)
      found += content.tasks[t];
  }
  zg_content_clear(&content);
  ZG_TRY(zg_agree(state->comm, status));
  zg_sum_counts(state->comm, &found, 1);
  /* Every rank of a team reads for itself, and has to find the same. */
  if (found != state->before_count * team->size) return fail_found(state);
  return state->part ? keep_sums(state, team, sums) : ZG_OK;
}

/* ---- the part ---- */

static int compare_passes(const void *a, const void *b) {
  const zg_segment *x = a, *y = b;
  return (x->pass > y->pass) - (x->pass < y->pass);
}

static zg_status leave(const zg_state *state) {
  int64_t count = state->segment_count;
  zg_shard_part left = *state->part;
  char **files = ZG_NEW(char *, count);
  memcpy(left.state, state->digest, sizeof left.state);
  left.segment_count = count;
  left.segments = ZG_NEW0(zg_part_segment, count);
  if (count)
    qsort(state->segments, (size_t)count, sizeof *state->segments, compare_passes);
  for (int64_t k = 0; k < count; k++) {
    files[k] = state->segments[k].path;
    left.segments[k].pass = state->segments[k].pass;
  }
  zg_status status = zg_part_write(&left, files);
  free(left.segments);
  free(files);
  return status;
}

zg_status zg_state_leave(const zg_state *state) {
  return zg_agree(state->comm, state->rank == 0 ? leave(state) : ZG_OK);
}
