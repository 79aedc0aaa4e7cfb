#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[ZG_FUZZ_PATH_BYTES / 2];

static void remove_directory(void) {
  rmdir(directory);
}

char *zg_fuzz_path(const char *name, char path[ZG_FUZZ_PATH_BYTES]) {
  if (!directory[0]) {
    snprintf(directory, sizeof directory, "/dev/shm/zoogram-fuzz-%d", (int)getpid());
    mkdir(directory, 0700);
    atexit(remove_directory);
  }
  snprintf(path, ZG_FUZZ_PATH_BYTES, "%s/%.48s", directory, name);
  return path;
}

void zg_fuzz_write(const char *path, const uint8_t *data, size_t size) {
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
    perror(path);
    abort();
  }
}
