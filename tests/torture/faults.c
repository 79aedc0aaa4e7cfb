/** \file
 * A library that makes one call of a program fail: loaded before all others
 * (LD_PRELOAD), it stands between the program and the C library or MPI, counts the
 * calls of one kind, and at a given one does what the variable FAULTS asks for:
 *
 *     FAULTS="kind=write at=17 rank=1 errno=ENOSPC paths=/tmp/x/ log=/tmp/y"
 *
 *     kind     open, read, write, sync, close, rename, unlink, mkdir, truncate:
 *              of files; memory: allocations; mpi: communication; hdf5: its start
 *     at       the how many-th call, from 1; 0: none, only count
 *     site     only calls from this place count for `at`: a number that a record gave
 *     from     `once` (default), or `on`: that call and all later ones
 *     rank     of which rank (OMPI_COMM_WORLD_RANK); absent: all, each counting its own
 *     action   fail (default for all kinds but mpi), short (transfer half and say so),
 *              exit, kill, segv, abort, hang
 *     errno    EIO (default), ENOSPC, EDQUOT, EACCES, EROFS, EINTR, ENOMEM, or a number
 *     paths    calls count that concern files whose path contains this
 *     object   allocations count that this object asks for, judged by the
 *              return address: part of a library's name; absent: the program
 *     depth    of the frames outside the program only so many, the innermost, tell
 *              sites apart; absent: all
 *     program  only in processes whose executable has this name (default
 *              zoogram), not in shells on the way to it
 *     log      a file <log>.<rank> tells what happened, as a `struct record`:
 *              it is kept in shared memory, so that it survives the process
 *
 * A site is a place that calls are made from: all calls of the kind with the same
 * stack, as far as it lies in the program, in HDF5 and in `object`. Return addresses
 * count from the beginning of what is loaded, so that a site has the same number in
 * every process of the same program.
 *
 * Only for tests. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <mpi.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

typedef enum call_kind {
  OPEN,
  READ,
  WRITE,
  SYNC,
  CLOSE,
  RENAME,
  UNLINK,
  MKDIR,
  TRUNCATE,
  MEMORY,
  MPI,
  HDF5,
  KINDS
} call_kind;
static const char *const kinds[KINDS] = {"open",     "read",   "write",  "sync",
                                         "close",    "rename", "unlink", "mkdir",
                                         "truncate", "memory", "mpi",    "hdf5"};

typedef enum action { FAIL, SHORT, EXIT, KILL, SEGV, ABORT, HANG, ACTIONS } action;
static const char *const actions[ACTIONS] = {"fail", "short", "exit", "kill",
                                             "segv", "abort", "hang"};

enum { DESCRIPTORS = 4096, TEXT = 512, RANGES = 16, FRAMES = 96, SITES = 1 << 14 };

/* What the log file holds. */
typedef struct record {
  _Atomic int64_t calls; /* of this kind, so far */
  _Atomic int64_t fired; /* how many were made to fail */
  char where[TEXT + 32]; /* the first of these: function and path */
  char stack[TEXT];      /* and where the program called it: addresses */
  struct {
    _Atomic uint64_t number; /* of a site; 0: free */
    _Atomic int64_t calls;   /* from there */
  } sites[SITES];
} record;

static struct {
  bool active;
  call_kind kind;
  action action;
  int64_t at;
  uint64_t site;   /* 0: any */
  int error, rank; /* rank -1: all */
  int depth;
  bool lasting;
  char paths[TEXT], object[64];
} plan;

static record spare, *the_record = &spare;
static _Atomic bool watched[DESCRIPTORS]; /* opened under `paths` */
static struct {
  uintptr_t base, first, end;
  bool allocates; /* its allocations count */
} ranges[RANGES]; /* of code that tells sites apart; the program's first */
static int range_count;

/* ---- reading the plan ---- */

/* The value of `key` in "key=value key=value"; false when it is not there. */
static bool value_of(const char *text, const char *key, char *value, size_t size) {
  size_t length = strlen(key);
  for (const char *at = text; (at = strstr(at, key)); at += length) {
    bool whole = (at == text || at[-1] == ' ') && at[length] == '=';
    if (!whole) continue;
    at += length + 1;
    snprintf(value, size, "%.*s", (int)strcspn(at, " "), at);
    return true;
  }
  return false;
}

static int position(const char *word, const char *const *words, int count) {
  for (int k = 0; k < count; k++)
    if (!strcmp(word, words[k])) return k;
  return -1;
}

static int error_number(const char *name) {
  static const struct {
    const char *name;
    int number;
  } known[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT},
               {"EACCES", EACCES}, {"EROFS", EROFS},   {"EINTR", EINTR},
               {"ENOMEM", ENOMEM}, {"ENOENT", ENOENT}};
  for (size_t k = 0; k < sizeof known / sizeof *known; k++)
    if (!strcmp(name, known[k].name)) return known[k].number;
  return atoi(name);
}

static int own_rank(void) {
  const char *rank = getenv("OMPI_COMM_WORLD_RANK");
  return rank ? atoi(rank) : 0;
}

/* Also without a log: a process and the children that it forks count together. */
static void map_record(const char *log) {
  char path[TEXT + 16];
  snprintf(path, sizeof path, "%s.%d", log ? log : "", own_rank());
  int file = log ? open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
  if (log && (file < 0 || ftruncate(file, sizeof(record)) != 0)) return;
  void *memory = mmap(NULL, sizeof(record), PROT_READ | PROT_WRITE,
                      MAP_SHARED | (log ? 0 : MAP_ANONYMOUS), file, 0);
  if (memory != MAP_FAILED) the_record = memory;
  if (log) close(file);
}

/* The program itself comes first and has no name. */
static int add_ranges(struct dl_phdr_info *object, size_t size, void *unused) {
  (void)size, (void)unused;
  bool own = !object->dlpi_name[0] && range_count == 0;
  bool named = plan.object[0] && strstr(object->dlpi_name, plan.object);
  bool wanted = own || named || strstr(object->dlpi_name, "libhdf5");
  for (int k = 0; wanted && k < object->dlpi_phnum && range_count < RANGES; k++) {
    const ElfW(Phdr) *header = &object->dlpi_phdr[k];
    if (header->p_type != PT_LOAD || !(header->p_flags & PF_X)) continue;
    uintptr_t first = object->dlpi_addr + header->p_vaddr;
    ranges[range_count].base = object->dlpi_addr;
    ranges[range_count].first = first;
    ranges[range_count].end = first + header->p_memsz;
    ranges[range_count++].allocates = plan.object[0] ? named : own;
  }
  return 0;
}

/* \return the range that an address is in, or -1. */
static int range_of(const void *address) {
  uintptr_t at = (uintptr_t)address;
  for (int k = 0; k < range_count; k++)
    if (at >= ranges[k].first && at < ranges[k].end) return k;
  return -1;
}

static bool is_program(const char *name) {
  char path[TEXT];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  path[length > 0 ? length : 0] = 0;
  const char *last = strrchr(path, '/');
  return last && !strcmp(last + 1, name);
}

__attribute__((constructor)) static void start(void) {
  const char *text = getenv("FAULTS");
  char word[TEXT] = "zoogram";
  if (!text) return;
  value_of(text, "program", word, sizeof word);
  if (!is_program(word)) return;
  if (!value_of(text, "kind", word, sizeof word)) return;
  int found = position(word, kinds, KINDS);
  if (found < 0) return;
  plan.kind = (call_kind)found;
  plan.action = plan.kind == MPI ? KILL : FAIL;
  if (value_of(text, "action", word, sizeof word) &&
      (found = position(word, actions, ACTIONS)) >= 0)
    plan.action = (action)found;
  plan.error = value_of(text, "errno", word, sizeof word) ? error_number(word) : EIO;
  plan.at = value_of(text, "at", word, sizeof word) ? atoll(word) : 0;
  plan.site = value_of(text, "site", word, sizeof word) ? strtoull(word, NULL, 16) : 0;
  plan.depth = value_of(text, "depth", word, sizeof word) ? atoi(word) : FRAMES;
  plan.rank = value_of(text, "rank", word, sizeof word) ? atoi(word) : -1;
  plan.lasting = value_of(text, "from", word, sizeof word) && !strcmp(word, "on");
  value_of(text, "paths", plan.paths, sizeof plan.paths);
  value_of(text, "object", plan.object, sizeof plan.object);
  dl_iterate_phdr(add_ranges, NULL);
  void *frame;
  backtrace(&frame, 1); /* the first time it allocates */
  map_record(value_of(text, "log", word, sizeof word) ? word : NULL);
  plan.active = true;
}

/* ---- counting and striking ---- */

static void end_otherwise(void) {
  switch (plan.action) {
  case EXIT:
    _exit(1);
  case KILL:
    raise(SIGKILL);
    break;
  case SEGV:
    raise(SIGSEGV);
    break;
  case ABORT:
    abort();
  case HANG:
    for (;;)
      pause();
  default:
    break;
  }
}

/* The stack of a call as a number (FNV-1a) that is not 0, and the program's part of it
 * as text where `text` is not NULL. */
static uint64_t site_number(char *text, size_t size) {
  void *frames[FRAMES];
  int count = backtrace(frames, FRAMES);
  uint64_t number = 0xcbf29ce484222325;
  size_t used = 0;
  for (int f = 0, outside = 0; f < count; f++) {
    int range = range_of(frames[f]);
    if (range < 0 || (range > 0 && outside++ >= plan.depth)) continue;
    uintptr_t offset = (uintptr_t)frames[f] - ranges[range].base;
    number = (number ^ offset ^ (uint64_t)range << 56) * 0x100000001b3;
    if (text && range == 0 && used < size)
      used += (size_t)snprintf(text + used, size - used, "0x%jx ", (uintmax_t)offset);
  }
  return number ? number : 1;
}

/* Count a call from a site. \return the how many-th it is; 0 when there is no room. */
static int64_t count_at_site(uint64_t number) {
  for (uint64_t probe = 0; probe < SITES; probe++) {
    size_t k = (size_t)((number ^ number >> 32) + probe) % SITES;
    uint64_t found = 0;
    if (atomic_compare_exchange_strong(&the_record->sites[k].number, &found, number) ||
        found == number)
      return atomic_fetch_add(&the_record->sites[k].calls, 1) + 1;
  }
  return 0;
}

/* Count a call. \return whether it has to fail; errno is then set. */
static bool struck(call_kind kind, const char *function, const char *path) {
  if (!plan.active || kind != plan.kind) return false;
  int64_t number = atomic_fetch_add(&the_record->calls, 1) + 1;
  uint64_t site = site_number(NULL, 0);
  int64_t there = count_at_site(site);
  if (plan.site) number = plan.site == site ? there : 0;
  bool now = (plan.at > 0 && number == plan.at) ||
             (plan.lasting && atomic_load(&the_record->fired) > 0);
  if (!now || (plan.rank >= 0 && plan.rank != own_rank())) return false;
  if (atomic_fetch_add(&the_record->fired, 1) == 0) {
    snprintf(the_record->where, sizeof the_record->where, "%s %s", function, path);
    site_number(the_record->stack, sizeof the_record->stack);
  }
  end_otherwise();
  errno = plan.error;
  return true;
}

static bool struck_path(call_kind kind, const char *function, const char *path) {
  return plan.active && path && strstr(path, plan.paths) &&
         struck(kind, function, path);
}

static void watch(int descriptor, const char *path) {
  if (plan.active && descriptor >= 0 && descriptor < DESCRIPTORS)
    atomic_store(&watched[descriptor], strstr(path, plan.paths) != NULL);
}

static bool is_watched(int descriptor) {
  return plan.active && descriptor >= 0 && descriptor < DESCRIPTORS &&
         atomic_load(&watched[descriptor]);
}

static bool struck_descriptor(call_kind kind, const char *function, int descriptor) {
  if (!is_watched(descriptor) || kind != plan.kind) return false;
  char link[64], path[TEXT];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  path[length > 0 ? length : 0] = 0;
  return struck(kind, function, path);
}

static bool struck_stream(call_kind kind, const char *function, FILE *stream) {
  return plan.active && stream && struck_descriptor(kind, function, fileno(stream));
}

/* The next function of this name: the C library's or MPI's. */
#define NEXT(name)                                                                     \
  static __typeof__(name) *next;                                                       \
  if (!next) *(void **)&next = dlsym(RTLD_NEXT, #name)

/* ---- names ---- */

static mode_t mode_of(int flags, va_list arguments) {
  /* O_TMPFILE is several bits, one of them O_DIRECTORY. */
  bool creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
  return creates ? va_arg(arguments, mode_t) : 0;
}

#define DEFINE_OPEN(name, parameters, arguments)                                       \
  int name parameters {                                                                \
    NEXT(name);                                                                        \
    va_list after_flags;                                                               \
    va_start(after_flags, flags);                                                      \
    mode_t mode = mode_of(flags, after_flags);                                         \
    va_end(after_flags);                                                               \
    if (struck_path(OPEN, #name, path)) return -1;                                     \
    int descriptor = next arguments;                                                   \
    watch(descriptor, path);                                                           \
    return descriptor;                                                                 \
  }
#define DEFINE_FOPEN(name)                                                             \
  FILE *name(const char *path, const char *mode) {                                     \
    NEXT(name);                                                                        \
    if (struck_path(OPEN, #name, path)) return NULL;                                   \
    FILE *stream = next(path, mode);                                                   \
    if (stream) watch(fileno(stream), path);                                           \
    return stream;                                                                     \
  }
DEFINE_OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
DEFINE_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
DEFINE_OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode))
DEFINE_OPEN(openat64, (int at, const char *path, int flags, ...),
            (at, path, flags, mode))
DEFINE_FOPEN(fopen)
DEFINE_FOPEN(fopen64)

DIR *opendir(const char *path) {
  NEXT(opendir);
  return struck_path(OPEN, "opendir", path) ? NULL : next(path);
}

/* A function of paths that gives 0 or -1. */
#define DEFINE_ON_PATH(kind, name, parameters, arguments)                              \
  int name parameters {                                                                \
    NEXT(name);                                                                        \
    return struck_path(kind, #name, path) ? -1 : next arguments;                       \
  }
DEFINE_ON_PATH(RENAME, rename, (const char *path, const char *to), (path, to))
DEFINE_ON_PATH(UNLINK, unlink, (const char *path), (path))
DEFINE_ON_PATH(UNLINK, rmdir, (const char *path), (path))
DEFINE_ON_PATH(MKDIR, mkdir, (const char *path, mode_t mode), (path, mode))

/* ---- open files ---- */

/* Transfers of `count` bytes. */
#define DEFINE_TRANSFER(kind, name, parameters, whole, half)                           \
  ssize_t name parameters {                                                            \
    NEXT(name);                                                                        \
    if (!struck_descriptor(kind, #name, file)) return next whole;                      \
    return plan.action == SHORT && count > 1 ? next half : -1;                         \
  }
DEFINE_TRANSFER(READ, read, (int file, void *to, size_t count), (file, to, count),
                (file, to, count / 2))
DEFINE_TRANSFER(READ, pread, (int file, void *to, size_t count, off_t at),
                (file, to, count, at), (file, to, count / 2, at))
DEFINE_TRANSFER(READ, pread64, (int file, void *to, size_t count, off64_t at),
                (file, to, count, at), (file, to, count / 2, at))
DEFINE_TRANSFER(READ, readv, (int file, const struct iovec *to, int count),
                (file, to, count), (file, to, count / 2))
DEFINE_TRANSFER(READ, preadv, (int file, const struct iovec *to, int count, off_t at),
                (file, to, count, at), (file, to, count / 2, at))
DEFINE_TRANSFER(WRITE, write, (int file, const void *from, size_t count),
                (file, from, count), (file, from, count / 2))
DEFINE_TRANSFER(WRITE, pwrite, (int file, const void *from, size_t count, off_t at),
                (file, from, count, at), (file, from, count / 2, at))
DEFINE_TRANSFER(WRITE, pwrite64, (int file, const void *from, size_t count, off64_t at),
                (file, from, count, at), (file, from, count / 2, at))
DEFINE_TRANSFER(WRITE, writev, (int file, const struct iovec *from, int count),
                (file, from, count), (file, from, count / 2))
DEFINE_TRANSFER(WRITE, pwritev,
                (int file, const struct iovec *from, int count, off_t at),
                (file, from, count, at), (file, from, count / 2, at))

#define DEFINE_ON_DESCRIPTOR(kind, name, parameters, arguments)                        \
  int name parameters {                                                                \
    NEXT(name);                                                                        \
    return struck_descriptor(kind, #name, file) ? -1 : next arguments;                 \
  }
DEFINE_ON_DESCRIPTOR(SYNC, fsync, (int file), (file))
DEFINE_ON_DESCRIPTOR(SYNC, fdatasync, (int file), (file))
DEFINE_ON_DESCRIPTOR(TRUNCATE, ftruncate, (int file, off_t length), (file, length))
DEFINE_ON_DESCRIPTOR(TRUNCATE, ftruncate64, (int file, off64_t length), (file, length))

/* A file is closed even when that says that earlier writes are lost. */
int close(int file) {
  NEXT(close);
  bool fails = struck_descriptor(CLOSE, "close", file);
  int error = errno;
  if (plan.active && file >= 0 && file < DESCRIPTORS)
    atomic_store(&watched[file], false);
  int result = next(file);
  if (fails) errno = error;
  return fails ? -1 : result;
}

/* ---- streams ---- */

/* As the C library does, so that ferror() tells. \return elements transferred. */
static size_t fail_stream(FILE *stream) {
  enum { ERROR_SEEN = 0x20 };
  stream->_flags |= ERROR_SEEN;
  return 0;
}

size_t fwrite(const void *from, size_t size, size_t count, FILE *stream) {
  NEXT(fwrite);
  return struck_stream(WRITE, "fwrite", stream) ? fail_stream(stream)
                                                : next(from, size, count, stream);
}

size_t fread(void *to, size_t size, size_t count, FILE *stream) {
  NEXT(fread);
  return struck_stream(READ, "fread", stream) ? fail_stream(stream)
                                              : next(to, size, count, stream);
}

int fflush(FILE *stream) {
  NEXT(fflush);
  return struck_stream(WRITE, "fflush", stream) ? EOF : next(stream);
}

int fclose(FILE *stream) {
  NEXT(fclose);
  bool fails = struck_stream(CLOSE, "fclose", stream);
  int error = errno, file = fileno(stream);
  if (plan.active && file >= 0 && file < DESCRIPTORS)
    atomic_store(&watched[file], false);
  int result = next(stream);
  if (fails) errno = error;
  return fails ? EOF : result;
}

/* ---- memory ---- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

/* Whether an allocation has to fail whose caller is at this address. */
static bool struck_caller(const char *function, const void *caller) {
  if (!plan.active || plan.kind != MEMORY) return false;
  int range = range_of(caller);
  if (range < 0 || !ranges[range].allocates) return false;
  plan.error = ENOMEM;
  return struck(MEMORY, function, "");
}
#define STRUCK(function) struck_caller(function, __builtin_return_address(0))

void *malloc(size_t size) {
  return STRUCK("malloc") ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  return STRUCK("calloc") ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
  return STRUCK("realloc") ? NULL : __libc_realloc(memory, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
  if (STRUCK("posix_memalign")) return ENOMEM;
  *memory = __libc_memalign(alignment, size);
  return *memory ? 0 : ENOMEM;
}

void *memalign(size_t alignment, size_t size) {
  return STRUCK("memalign") ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  return STRUCK("aligned_alloc") ? NULL : __libc_memalign(alignment, size);
}

/* These allocate inside the C library, for their caller. */
char *strdup(const char *text) {
  NEXT(strdup);
  return STRUCK("strdup") ? NULL : next(text);
}

int vasprintf(char **text, const char *format, va_list arguments) {
  NEXT(vasprintf);
  return STRUCK("vasprintf") ? -1 : next(text, format, arguments);
}

/* ---- libraries ---- */

int H5open(void) {
  NEXT(H5open);
  return struck(HDF5, "H5open", "") ? -1 : next();
}

#define ON(name, parameters, arguments)                                                \
  int name parameters {                                                                \
    NEXT(name);                                                                        \
    return struck(MPI, #name, "") ? MPI_ERR_OTHER : next arguments;                    \
  }
ON(MPI_Init_thread, (int *argc, char ***argv, int wanted, int *given),
   (argc, argv, wanted, given))
ON(MPI_Finalize, (void), ())
ON(MPI_Barrier, (MPI_Comm comm), (comm))
ON(MPI_Bcast, (void *data, int count, MPI_Datatype type, int root, MPI_Comm comm),
   (data, count, type, root, comm))
ON(MPI_Allreduce,
   (const void *from, void *to, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm),
   (from, to, count, type, op, comm))
ON(MPI_Reduce,
   (const void *from, void *to, int count, MPI_Datatype type, MPI_Op op, int root,
    MPI_Comm comm),
   (from, to, count, type, op, root, comm))
ON(MPI_Allgather,
   (const void *from, int sent, MPI_Datatype type, void *to, int received,
    MPI_Datatype to_type, MPI_Comm comm),
   (from, sent, type, to, received, to_type, comm))
ON(MPI_Allgatherv,
   (const void *from, int sent, MPI_Datatype type, void *to, const int *received,
    const int *places, MPI_Datatype to_type, MPI_Comm comm),
   (from, sent, type, to, received, places, to_type, comm))
ON(MPI_Gather,
   (const void *from, int sent, MPI_Datatype type, void *to, int received,
    MPI_Datatype to_type, int root, MPI_Comm comm),
   (from, sent, type, to, received, to_type, root, comm))
ON(MPI_Send,
   (const void *data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm),
   (data, count, type, to, tag, comm))
ON(MPI_Recv,
   (void *data, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm,
    MPI_Status *status),
   (data, count, type, from, tag, comm, status))
ON(MPI_Sendrecv,
   (const void *data, int count, MPI_Datatype type, int to, int tag, void *answer,
    int answers, MPI_Datatype answer_type, int from, int answer_tag, MPI_Comm comm,
    MPI_Status *status),
   (data, count, type, to, tag, answer, answers, answer_type, from, answer_tag, comm,
    status))
ON(MPI_Comm_split, (MPI_Comm comm, int colour, int key, MPI_Comm *made),
   (comm, colour, key, made))
ON(MPI_Comm_split_type,
   (MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm *made),
   (comm, type, key, info, made))
ON(MPI_Comm_dup, (MPI_Comm comm, MPI_Comm *made), (comm, made))
ON(MPI_Comm_free, (MPI_Comm * comm), (comm))
ON(MPI_Win_allocate,
   (MPI_Aint size, int unit, MPI_Info info, MPI_Comm comm, void *base, MPI_Win *window),
   (size, unit, info, comm, base, window))
ON(MPI_Win_free, (MPI_Win * window), (window))
ON(MPI_Win_lock_all, (int assertion, MPI_Win window), (assertion, window))
ON(MPI_Win_unlock_all, (MPI_Win window), (window))
ON(MPI_Win_flush, (int rank, MPI_Win window), (rank, window))
ON(MPI_Fetch_and_op,
   (const void *value, void *before, MPI_Datatype type, int rank, MPI_Aint place,
    MPI_Op op, MPI_Win window),
   (value, before, type, rank, place, op, window))
ON(MPI_File_open,
   (MPI_Comm comm, const char *name, int mode, MPI_Info info, MPI_File *file),
   (comm, name, mode, info, file))
ON(MPI_File_close, (MPI_File * file), (file))
ON(MPI_File_set_size, (MPI_File file, MPI_Offset size), (file, size))
ON(MPI_File_sync, (MPI_File file), (file))
ON(MPI_File_set_view,
   (MPI_File file, MPI_Offset at, MPI_Datatype unit, MPI_Datatype type,
    const char *format, MPI_Info info),
   (file, at, unit, type, format, info))
ON(MPI_File_write_at,
   (MPI_File file, MPI_Offset at, const void *data, int count, MPI_Datatype type,
    MPI_Status *status),
   (file, at, data, count, type, status))
ON(MPI_File_write_at_all,
   (MPI_File file, MPI_Offset at, const void *data, int count, MPI_Datatype type,
    MPI_Status *status),
   (file, at, data, count, type, status))
