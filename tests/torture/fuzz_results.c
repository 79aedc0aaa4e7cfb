/** \file
 * Any file as a results file: inspected, and every tensor of it read. */
#include "fuzz.h"
#include "results/read.h"

#include <stdlib.h>
#include <unistd.h>

static char path[ZG_FUZZ_PATH_BYTES];

static void clear(void) {
  unlink(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  zg_fuzz_path("results.h5", path);
  atexit(clear);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  zg_filetype type;
  zg_results_info *info = NULL;
  zg_fuzz_write(path, data, size);
  if (zg_filetype_of(path, &type) == ZG_OK && type == ZG_FILE_RESULTS &&
      zg_results_inspect(path, &info) == ZG_OK)
    for (int64_t k = 0; k < info->tensor_count; k++) {
      int64_t counts[ZG_CODE_VALUES];
      zg_tensor *tensor = NULL;
      zg_tensor_read(path, info->tensors[k].name, &tensor);
      zg_tensor_destroy(&tensor);
      zg_tensor_count_codes(path, info->tensors[k].name, counts);
    }
  zg_results_info_destroy(&info);
  return 0;
}
