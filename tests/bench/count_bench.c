/* count_bench.c: the hot loops, each as a small fixed piece of work, for instructions to be counted: those a machine executes do not depend
 * on who else uses it. `count_bench LOOP` does one loop's work and prints a checksum of what came out; t_instructions.py runs it under
 * callgrind, which counts only what is called from the loop's function. What comes before it (files, tables) is not counted. */
#include "../unit/store_fixture.h"

#include "farm/wire.h"
#include "load/skim.h"
#include "radcohort/load.h"
#include "radcohort/prepare.h"
#include "radcohort/sched.h"
#include "radcohort/stats.h"

#define MUST(call)                                                                                                                         \
    do {                                                                                                                                   \
        rad_error err = {0};                                                                                                               \
        if ((call) != RAD_OK) {                                                                                                            \
            fprintf(stderr, "count_bench: %s\n", err.text);                                                                                \
            exit(1);                                                                                                                       \
        }                                                                                                                                  \
    } while (0)

enum { SIDE = 96, VOXELS = SIDE * SIDE * SIDE, CASES = 100000, RESULTS = 2000, LEASES = 20000, RANKS = 64 };

typedef struct work {
    char path[160], database[160];
    int16_t *voxel;
    rad_volume volume, *loaded;
    char *file; /* the volume's, as it lies on disk */
    size_t file_bytes;
    uint8_t window[RAD_SKIM_WINDOW];
    float *value;
    rad_input_spec spec;
    rad_prepared prepared;
    int8_t *label;
    double *score;
    rad_estimate estimate;
    fixture f;
    uint64_t sum;
} work;

static uint64_t next(uint64_t *s) {
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return *s >> 33;
}

static uint64_t mix(uint64_t sum, const void *data, size_t n) {
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ p[i]) * 1099511628211u;
    return sum;
}

/* Noise around a few levels, as in a CT: a run of background, then tissue. */
static void make_volume(work *w) {
    uint64_t s = 1;
    w->voxel = malloc(VOXELS * sizeof *w->voxel);
    for (int64_t i = 0; i < VOXELS; i++) {
        int level = i % SIDE < SIDE / 4 ? -3024 : i / SIDE % SIDE < SIDE / 2 ? 45 : -95;
        w->voxel[i] = (int16_t)(level == -3024 ? level : level + (int)(next(&s) % 33) + (int)(next(&s) % 33) - 32);
    }
    w->volume = (rad_volume){.info = {.n_dim = 3,
                                      .dim = {SIDE, SIDE, SIDE, 1, 1, 1, 1},
                                      .spacing = {0.8, 0.8, 1.5},
                                      .affine = {{-0.8, 0, 0, 0}, {0, -0.8, 0, 0}, {0, 0, 1.5, 0}, {0, 0, 0, 1}},
                                      .sform_code = 1,
                                      .orientation = "LPS",
                                      .type = RAD_VOX_I16,
                                      .slope = 1},
                             .voxel = w->voxel,
                             .bytes = VOXELS * sizeof *w->voxel};
}

/* ---------------------------------------------------------------- the loops; their names are those that callgrind counts in */

void loop_inflate(work *w);
void loop_skim(work *w);
void loop_convert(work *w);
void loop_prepare(work *w);
void loop_auc(work *w);
void loop_store(work *w);
void loop_wire(work *w);
void loop_schedule(work *w);

void loop_inflate(work *w) { /* gzip to verified voxels and content hash */
    MUST(rad_volume_load(w->path, &w->loaded, &err));
}

static rad_status read_file(void *w, size_t at, uint8_t *out, size_t n, size_t *ret_n, rad_error *err) {
    const work *v = w;
    (void)err;
    *ret_n = at >= v->file_bytes ? 0 : n < v->file_bytes - at ? n : v->file_bytes - at;
    memcpy(out, v->file + at, *ret_n);
    return RAD_OK;
}

void loop_skim(work *w) { /* over the same to its last block, without inflating */
    enum { GZIP_HEADER = 10 };
    const rad_skim_place *p = NULL;
    rad_skim *k = rad_skim_create(read_file, w, GZIP_HEADER);
    MUST(k ? rad_skim_to(k, VOXELS * sizeof *w->voxel - 1, &p, &err) : RAD_E_NOMEM);
    memcpy(w->window, p->window, sizeof w->window);
    rad_skim_destroy(&k);
}

void loop_convert(work *w) { /* int16 to float32 */
    for (int64_t row = 0; row < SIDE * SIDE; row++)
        rad_volume_get(&w->volume, row * SIDE, 1, SIDE, w->value + row * SIDE);
}

void loop_prepare(work *w) { /* eight slices cut, windowed, resized and normalised */
    const rad_volume *volume[1] = {&w->volume};
    rad_roi roi = {.has_box = true, .box = {8, 8, 40, 88, 88, 48}};
    MUST(rad_prepare_case(&w->spec, volume, &roi, &w->prepared, &err));
}

void loop_auc(work *w) { /* AUC with DeLong's variance of 100,000 cases */
    MUST(rad_auc(w->label, w->score, CASES, 0.95, &w->estimate, &err));
}

void loop_store(work *w) { /* a run of 200 cases, 4,000 slice scores, into the database */
    rad_store *st = NULL;
    rad_pending_case *p = NULL;
    int64_t run = 0, n = 0;
    bool resumed, finished;
    fx_result *b = malloc(sizeof *b);
    MUST(rad_store_open(w->database, RAD_STORE_WRITE, &st, &err));
    MUST(rad_store_begin_run(st, &w->f.info, &run, &resumed, &finished, &p, &n, &err));
    for (int64_t i = 0; i < n; i++)
        MUST(rad_store_put_result(st, run, fx_make(&w->f, p[i].manifest_index, p[i].case_id, -1, b), &err));
    MUST(rad_store_flush(st, &err));
    rad_store_close(&st);
    w->sum = mix(w->sum, &n, sizeof n);
    free(p);
    free(b);
}

void loop_wire(work *w) { /* 2,000 results packed and unpacked */
    static const int64_t slice[] = {4, 5}, stored[] = {9, 8}, box[2][4] = {{1, 2, 3, 4}, {-5, 6, 7, 8}};
    static const double mismatch[] = {0, 1.25}, score[] = {0.25, 0.75, 0.375, 0.625};
    const rad_model_result model[] = {{.status = RAD_OK,
                                       .stage = "",
                                       .why = "",
                                       .key = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
                                       .n_slice = 2,
                                       .slice = slice,
                                       .stored_slice = stored,
                                       .box = box,
                                       .mismatch_mm = mismatch,
                                       .score = score}};
    for (int64_t i = 0; i < RESULTS; i++) {
        rad_buf b;
        rad_wire_arena arena = {0};
        rad_wire_result m = {.index = i, .n_class = 2, .result = {.case_id = i, .n_model = 1, .model = model}}, got;
        rad_buf_init(&b, RAD_MAX_MESSAGE);
        MUST(rad_wire_put_result(&b, &m, &err));
        MUST(rad_wire_get_result(b.data, b.size, &arena, &got, &err));
        w->sum = mix(w->sum, got.result.model[0].score, sizeof score);
        rad_wire_arena_release(&arena);
        rad_buf_release(&b);
    }
}

void loop_schedule(work *w) { /* 20,000 cases leased to 64 ranks, eight at a time, and completed */
    rad_sched_case *item = calloc(LEASES, sizeof *item);
    rad_sched *s = NULL;
    uint64_t seed = 5;
    for (int64_t i = 0; i < LEASES; i++)
        item[i] = (rad_sched_case){.id = i, .cost = (double)(next(&seed) % 1000)};
    MUST(rad_sched_create(item, LEASES, RANKS, &(rad_sched_opts){0}, &s, &err));
    int64_t got[8], n = 1;
    for (int rank = 0; n > 0; rank = (rank + 1) % RANKS) {
        n = rad_sched_lease(s, rank, 8, 0, got);
        for (int64_t i = 0; i < n; i++)
            if (!rad_sched_complete(s, got[i], rank))
                exit(1);
        w->sum = mix(w->sum, got, (size_t)n * sizeof *got);
    }
    rad_sched_destroy(&s);
    free(item);
}

/* ---------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(work *);
} LOOP[] = {{"inflate", loop_inflate}, {"skim", loop_skim},   {"convert", loop_convert}, {"prepare", loop_prepare},
            {"auc", loop_auc},         {"store", loop_store}, {"wire", loop_wire},       {"schedule", loop_schedule}};

int main(int argc, char **argv) {
    work w = {.sum = 1469598103934665603u};
    size_t i = 0;
    while (argc == 2 && i < sizeof LOOP / sizeof *LOOP && strcmp(argv[1], LOOP[i].name) != 0)
        i++;
    if (argc != 2 || i == sizeof LOOP / sizeof *LOOP) {
        fprintf(stderr, "usage: count_bench inflate|skim|convert|prepare|auc|store|wire|schedule\n");
        return 2;
    }
    const char *folder = unit_folder();
    uint64_t s = 2;
    snprintf(w.path, sizeof w.path, "%s/v.nii.gz", folder);
    snprintf(w.database, sizeof w.database, "%s/count.sqlite", folder);
    make_volume(&w);
    MUST(rad_volume_write(w.path, &w.volume.info, w.voxel, &err));
    MUST(rad_file_read(w.path, (size_t)64 << 20, &w.file, &w.file_bytes, &err));
    w.value = malloc(VOXELS * sizeof *w.value);
    w.label = malloc(CASES);
    w.score = malloc(CASES * sizeof *w.score);
    for (int64_t k = 0; k < CASES; k++) {
        w.label[k] = next(&s) % 3 == 0;
        w.score[k] = (double)(next(&s) % 65536) / 65536 + 0.2 * w.label[k];
    }
    char name[] = "a", sequence[] = "CT";
    w.spec = (rad_input_spec){.name = name,
                              .n_channel = 1,
                              .n_plane = 3,
                              .orientation = "LPS",
                              .slices = RAD_SLICES_LESION_ALL,
                              .window = {.on = true, .low = -160, .high = 240},
                              .resize = {.method = RAD_RESIZE_BILINEAR, .height = 224, .width = 224},
                              .normalise = {.n = 1, .mean = {0.5}, .std = {0.25}}};
    w.spec.channel[0] = (rad_channel_spec){.sequence = sequence, .n_offset = 3, .offset = {-1, 0, 1}};
    fx_create(&w.f, (fx_shape){.n_center = 4, .n_patient = 100, .n_lesion = 2, .n_class = 2, .n_model = 2, .n_slice = 10});
    LOOP[i].run(&w);
    if (w.loaded)
        w.sum = mix(w.sum, w.loaded->voxel, w.loaded->bytes);
    if (LOOP[i].run == loop_skim)
        w.sum = mix(w.sum, w.window, sizeof w.window);
    if (LOOP[i].run == loop_convert)
        w.sum = mix(w.sum, w.value, VOXELS * sizeof *w.value);
    if (w.prepared.data)
        w.sum = mix(w.sum, w.prepared.data,
                    (size_t)(w.prepared.n_slice * w.prepared.n_plane * w.prepared.height * w.prepared.width) * sizeof *w.prepared.data);
    w.sum = mix(w.sum, &w.estimate.se, sizeof w.estimate.se);
    printf("%s %016llx\n", LOOP[i].name, (unsigned long long)w.sum);
    rad_volume_destroy(&w.loaded);
    rad_prepared_release(&w.prepared);
    fx_destroy(&w.f);
    unit_remove(folder);
    free(w.file);
    free(w.voxel);
    free(w.value);
    free(w.label);
    free(w.score);
    return 0;
}
