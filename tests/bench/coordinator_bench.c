/* coordinator_bench.c: how many results per second rank 0 really takes: the coordinator of src/farm with its scheduler, its messages and
 * its database, fed by ranks that answer a lease at once with results of the right form (inference replaced by nothing). `coordinator_bench
 * JOB DATABASE RANKS [SLICES [WINDOW]]`; coordinator_bench.py makes the job. */
#include "farm/coordinator.h"
#include "farm/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_SLICE 64

struct letter {
    struct letter *next;
    int from;
    rad_buf b;
};

struct ranks { /* all of them, behind the coordinator's transport */
    const rad_plan *plan;
    struct letter *first, **end;
    int64_t n_slice, n_message, n_case;
    double answering, answering_cpu; /* seconds that are theirs, not the coordinator's */
};

static double processor_seconds(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

static void die(const rad_error *err) {
    fprintf(stderr, "coordinator_bench: %s\n", err->text);
    exit(1);
}

static void post(struct ranks *r, int from, rad_buf b) {
    struct letter *l = calloc(1, sizeof *l);
    if (!l)
        exit(1);
    *l = (struct letter){NULL, from, b};
    *r->end = l;
    r->end = &l->next;
}

static void answer(struct ranks *r, int rank, const rad_wire_case *c) {
    static const int64_t box[MAX_SLICE][4] = {{0, 0, 8, 8}};
    const rad_job *job = r->plan->job;
    int64_t slice[MAX_SLICE];
    double score[MAX_SLICE * RAD_MAX_CLASSES];
    rad_error err = {0};
    rad_image_record image = {.image = c->n_image > 0 ? c->image[0].image : 0,
                              .n_dim = 3,
                              .dim = {64, 64, 20},
                              .spacing = {1, 1, 5},
                              .orientation = "LAS",
                              .type = "int16",
                              .file_bytes = 100000};
    rad_model_result model[RAD_MAX_MODELS] = {{0}};
    rad_wire_result m = {.index = c->index, .n_class = job->n_class};
    for (int64_t s = 0; s < r->n_slice; s++) {
        slice[s] = s;
        for (int k = 0; k < job->n_class; k++)
            score[s * job->n_class + k] = 1.0 / (double)(2 + s + k + c->case_id % 97);
    }
    for (int i = 0; i < job->n_model; i++) {
        char text[64];
        snprintf(text, sizeof text, "case %lld model %d", (long long)c->case_id, i);
        model[i] = (rad_model_result){
            .file = (int)c->file[i], .n_slice = r->n_slice, .slice = slice, .stored_slice = slice, .box = box, .score = score};
        if (rad_sha256(text, strlen(text), model[i].key, &err) != RAD_OK)
            die(&err);
    }
    rad_xxh128(&c->case_id, sizeof c->case_id, image.content);
    m.result = (rad_case_result){.case_id = c->case_id,
                                 .n_image = 1,
                                 .image = &image,
                                 .n_model = job->n_model,
                                 .model = model,
                                 .read_s = 0.01,
                                 .prepare_s = 0.01,
                                 .infer_s = 0.1,
                                 .read_bytes = 100000};
    rad_buf b;
    rad_buf_init(&b, RAD_MAX_MESSAGE);
    if (rad_wire_put_result(&b, &m, &err) != RAD_OK)
        die(&err);
    post(r, rank, b);
    r->n_case++;
}

static rad_status send_to(void *state, int to, rad_buf *b, rad_error *err) {
    struct ranks *r = state;
    const double t = rad_clock_seconds(), used = processor_seconds();
    rad_wire_kind kind;
    rad_wire_arena a = {0};
    rad_wire_lease lease;
    r->n_message++;
    rad_status st = rad_wire_peek(b->data, b->size, &kind, err);
    if (st == RAD_OK && kind == RAD_WIRE_LEASE) {
        st = rad_wire_get_lease(b->data, b->size, &a, &lease, err);
        for (int64_t i = 0; st == RAD_OK && i < lease.n_case; i++)
            answer(r, to, &lease.item[i]);
    }
    rad_wire_arena_release(&a);
    rad_buf_release(b);
    r->answering += rad_clock_seconds() - t;
    r->answering_cpu += processor_seconds() - used;
    return st;
}

static rad_status poll_any(void *state, int *ret_from, rad_buf *ret, bool *ret_got, rad_error *err) {
    struct ranks *r = state;
    struct letter *l = r->first;
    (void)err;
    *ret_got = l != NULL;
    if (!l)
        return RAD_OK;
    r->first = l->next;
    if (!r->first)
        r->end = &r->first;
    *ret_from = l->from;
    *ret = l->b;
    free(l);
    r->n_message++;
    return RAD_OK;
}

static rad_status tell_all(void *state, rad_buf *b, rad_error *err) {
    (void)state, (void)b, (void)err;
    return RAD_OK;
}

static bool flushed(void *state, double seconds) {
    (void)state, (void)seconds;
    return true;
}

static void close_all(void *state, bool abandon) {
    struct ranks *r = state;
    (void)abandon;
    for (struct letter *l = r->first, *next; l; l = next) {
        next = l->next;
        rad_buf_release(&l->b);
        free(l);
    }
}

static const rad_transport_ops OPS = {"bench", send_to, poll_any, tell_all, flushed, close_all};

static void greet(struct ranks *r, int rank, int64_t window) {
    const rad_wire_hello h = {"node1", "bench", "1 thread", window, 1};
    rad_error err = {0};
    rad_buf b;
    rad_buf_init(&b, RAD_MAX_MESSAGE);
    if (rad_wire_put_hello(&b, &h, &err) != RAD_OK)
        die(&err);
    post(r, rank, b);
}

static rad_status serve(rad_coordinator *c, rad_transport *t, rad_error *err) {
    bool over = false, got = true;
    rad_status st = RAD_OK;
    while (st == RAD_OK && !over) {
        for (int i = 0; i < 256 && st == RAD_OK; i++) { /* as farm.c */
            int from;
            rad_buf b;
            st = rad_transport_poll(t, &from, &b, &got, err);
            if (st != RAD_OK || !got)
                break;
            st = rad_coordinator_handle(c, from, &b, err);
            rad_buf_release(&b);
        }
        if (st == RAD_OK)
            st = rad_coordinator_tick(c, false, &over, err);
    }
    return st;
}

static int number(int argc, char **argv, int i, int otherwise, int most) {
    int64_t v = otherwise;
    if (i < argc && (!rad_parse_int(argv[i], &v) || v < 1 || v > most)) {
        fprintf(stderr, "coordinator_bench: '%s': a number from 1 to %d was expected\n", argv[i], most);
        exit(2);
    }
    return (int)v;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: coordinator_bench JOB DATABASE RANKS [SLICES [WINDOW]]\n");
        return 2;
    }
    const int n_rank = number(argc, argv, 3, 64, 1000000), window = number(argc, argv, 5, 4, 256);
    rad_plan plan = {0};
    struct ranks ranks = {.plan = &plan, .n_slice = number(argc, argv, 4, 1, MAX_SLICE)};
    ranks.end = &ranks.first;
    const rad_farm_opts opts = {.job_path = argv[1], .database = argv[2], .quiet = true, .command_line = "coordinator_bench"};
    rad_farm_outcome out = {0};
    rad_transport *t = NULL;
    rad_coordinator *c = NULL;
    bool nothing = false;
    rad_error err = {0};
    rad_status st = RAD_OK;
    double at[5] = {rad_clock_seconds()}, cpu[5] = {processor_seconds()};
    RAD_TRY(rad_plan_read_job(&opts, true, &plan, &err));
    RAD_TRY(rad_plan_complete(&opts, &plan, &err));
    at[1] = rad_clock_seconds();
    cpu[1] = processor_seconds();
    RAD_TRY(rad_transport_create(&OPS, &ranks, 0, n_rank + 1, 1, &t, &err));
    RAD_TRY(rad_coordinator_create(&opts, &plan, t, 1, &out, NULL, &c, &nothing, &err));
    at[2] = rad_clock_seconds();
    cpu[2] = processor_seconds();
    for (int r = 1; r <= n_rank; r++)
        greet(&ranks, r, window);
    RAD_TRY(serve(c, t, &err));
    at[3] = rad_clock_seconds();
    cpu[3] = processor_seconds();
    st = rad_coordinator_finish(c, st, &err);
    at[4] = rad_clock_seconds();
    cpu[4] = processor_seconds();
    const double own = at[3] - at[2] - ranks.answering, own_cpu = cpu[3] - cpu[2] - ranks.answering_cpu, n = (double)ranks.n_case;
    printf("%lld cases, %d models, %lld slices, %d ranks, %lld messages; seconds by the clock and of the processor\n",
           (long long)plan.manifest->n_case, plan.job->n_model, (long long)ranks.n_slice, n_rank, (long long)ranks.n_message);
    printf("plan     %8.2f %8.2f  job, tables, manifest, models, sizes of the files\n", at[1] - at[0], cpu[1] - cpu[0]);
    printf("begin    %8.2f %8.2f  database, manifest, schedule\n", at[2] - at[1], cpu[2] - cpu[1]);
    printf("serve    %8.2f %8.2f  %.0f and %.0f results/s, %.0f and %.0f messages/s\n", own, own_cpu, n / own, n / own_cpu,
           (double)ranks.n_message / own, (double)ranks.n_message / own_cpu);
    printf("finish   %8.2f %8.2f  aggregation, check, statistics, seals\n", at[4] - at[3], cpu[4] - cpu[3]);
out:
    if (st != RAD_OK)
        die(&err);
    rad_coordinator_destroy(&c);
    rad_transport_close(&t, true);
    rad_plan_release(&plan);
    return 0;
}
