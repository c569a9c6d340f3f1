/* Times LightGBM's single-row fast call, LGBM_BoosterPredictForMatSingleRowFast, on the
 * models that `generate.py large FOLDER` wrote: raw score, one thread, the best of 60
 * passes over 200 rows. In a virtual environment with the lightgbm package:
 *
 *   LIB=$(python -c 'import lightgbm, pathlib; print(pathlib.Path(lightgbm.__file__).parent / "lib")')
 *   gcc -O2 latency.c -o latency -L"$LIB" -l:lib_lightgbm.so -Wl,-rpath,"$LIB"
 *   ./latency FOLDER
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

/* From LightGBM's c_api.h. */
typedef void *BoosterHandle;
typedef void *FastConfigHandle;
enum { PREDICT_RAW_SCORE = 1, DTYPE_FLOAT64 = 1 };
int LGBM_BoosterCreateFromModelfile(const char *file, int *iterations, BoosterHandle *out);
int LGBM_BoosterPredictForMatSingleRowFastInit(BoosterHandle b, int predict_type, int start, int iterations,
                                               int data_type, int32_t columns, const char *params, FastConfigHandle *out);
int LGBM_BoosterPredictForMatSingleRowFast(FastConfigHandle f, const void *row, int64_t *len, double *out);

enum { COLUMNS = 20, ROWS = 2000, PER_PASS = 200, PASSES = 60 };

static double nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static int measure(const char *folder, const char *name, const double *rows) {
  char path[4096];
  int iterations;
  BoosterHandle booster;
  FastConfigHandle fast;
  snprintf(path, sizeof path, "%s/%s.txt", folder, name);
  if (LGBM_BoosterCreateFromModelfile(path, &iterations, &booster) ||
      LGBM_BoosterPredictForMatSingleRowFastInit(booster, PREDICT_RAW_SCORE, 0, -1, DTYPE_FLOAT64, COLUMNS,
                                                 "num_threads=1", &fast)) {
    fprintf(stderr, "cannot load %s\n", path);
    return 1;
  }
  double best = 1e18, out;
  int64_t len;
  for (int pass = 0; pass < PASSES; pass++) {
    double start = nanoseconds();
    for (int i = 0; i < PER_PASS; i++)
      LGBM_BoosterPredictForMatSingleRowFast(fast, rows + COLUMNS * ((pass * 37 + i) % ROWS), &len, &out);
    double each = (nanoseconds() - start) / PER_PASS;
    if (each < best) best = each;
  }
  printf("%-14s %8.0f ns/row\n", name, best);
  return 0;
}

int main(int argc, char **argv) {
  static double rows[ROWS * COLUMNS];
  char path[4096];
  if (argc != 2) {
    fprintf(stderr, "usage: latency FOLDER\n");
    return 2;
  }
  snprintf(path, sizeof path, "%s/rows.f64", argv[1]);
  FILE *f = fopen(path, "rb");
  if (!f || fread(rows, sizeof(double), ROWS * COLUMNS, f) != ROWS * COLUMNS) {
    fprintf(stderr, "cannot read %s\n", path);
    return 1;
  }
  const char *names[] = {"numbers-100x31", "numbers-500x31", "mixed-100x31", "mixed-500x31"};
  for (int i = 0; i < 4; i++)
    if (measure(argv[1], names[i], rows)) return 1;
  return 0;
}
