/** \file
 * From the entries of a job's zoo list to the paths of files. */
#include "zoo/zoo.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int compare_paths(const void *a, const void *b) {
  return zg_natural_compare(*(char *const *)a, *(char *const *)b);
}

/* A name that exists is that file, whatever characters it has. */
static bool is_pattern(const char *path) {
  return strpbrk(path, "*?[") != NULL && access(path, F_OK) != 0;
}

/* A job's directory is no part of the pattern. */
static char *literal_directory(const char *directory) {
  zg_text text = {0};
  for (; *directory; directory++)
    zg_text_add(&text, strchr("*?[\\", *directory) ? "\\%c" : "%c", *directory);
  return text.data;
}

static zg_status expand_pattern(const char *entry, const char *directory,
                                zg_list *paths) {
  char *literal = literal_directory(directory), *pattern = zg_path_join(literal, entry);
  glob_t found = {0};
  zg_status status = ZG_OK;
  if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
    qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, compare_paths);
    for (size_t f = 0; f < found.gl_pathc; f++)
      zg_list_add(paths, found.gl_pathv[f]);
  } else {
    status =
        zg_fail(ZG_ERR_INPUT, "%s/%s: no file matches this pattern", directory, entry);
  }
  globfree(&found);
  free(pattern);
  free(literal);
  return status;
}

zg_status zg_zoo_expand(const zg_list *entries, const char *directory, zg_list *paths) {
  zg_status status = ZG_OK;
  for (int64_t k = 0; status == ZG_OK && k < entries->count; k++) {
    char *path = zg_path_join(directory, entries->items[k]);
    if (is_pattern(path))
      status = expand_pattern(entries->items[k], directory, paths);
    else
      zg_list_add(paths, path);
    free(path);
  }
  return status;
}
