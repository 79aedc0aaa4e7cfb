/** \file
 * A fuzz target without a fuzzer: it is given the files that are named. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static int replay(const char *path) {
  struct stat about;
  FILE *file = fopen(path, "rb");
  if (!file || fstat(fileno(file), &about) != 0) {
    perror(path);
    return 1;
  }
  size_t size = (size_t)about.st_size;
  uint8_t *bytes = malloc(size + 1);
  int failed = !bytes || fread(bytes, 1, size, file) != size;
  fclose(file);
  if (!failed) LLVMFuzzerTestOneInput(bytes, size);
  free(bytes);
  return failed;
}

int main(int argc, char **argv) {
  int failed = argc < 2;
  LLVMFuzzerInitialize(&argc, &argv);
  for (int k = 1; k < argc; k++)
    failed |= replay(argv[k]);
  printf("%d inputs\n", argc - 1);
  return failed;
}
