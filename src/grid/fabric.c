#include "grid/fabric.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const fabrics[] = {"infiniband", "cxi", "cxi_user", "gni", "bxi"};
enum { FABRICS = sizeof fabrics / sizeof *fabrics };

/* Entries of a folder that are not hidden; 0 where there is no such folder. */
static int count_entries(const char *path) {
  int entries = 0;
  DIR *folder = opendir(path);
  if (!folder) return 0;
  for (struct dirent *entry; (entry = readdir(folder));)
    entries += entry->d_name[0] != '.';
  closedir(folder);
  return entries;
}

bool zg_has_fabric(const char *classes) {
  if (count_entries(classes) == 0) return true;
  for (int k = 0; k < FABRICS; k++) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", classes, fabrics[k]);
    if (count_entries(path) > 0) return true;
  }
  return false;
}

void zg_fabric_choose(const char *classes) {
  if (getenv("OMPI_MCA_pml") || getenv("OMPI_MCA_mtl") || zg_has_fabric(classes))
    return;
  setenv("OMPI_MCA_pml", "ob1", 1);
}
