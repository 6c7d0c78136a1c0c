/* The farm's messages: what goes in comes out, every truncation and every single-byte damage is refused or harmless, never a crash. */
#include "unit.h"

#include "farm/wire.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static rad_buf start(void) {
    rad_buf b;
    rad_buf_init(&b, RAD_MAX_MESSAGE);
    return b;
}

static rad_buf lease_bytes(void) {
    static const int64_t volume[] = {1, 5, 6};
    static const rad_wire_image image[] = {{7, "/a/b.nii.gz", 0, 0, NULL, ""}, {9, "/a/ü.nii", 3, 33, volume, "1,5-6"}};
    static const int64_t channel[] = {1, 0, 1};
    static const int64_t listed[] = {0, 7};
    static const rad_wire_input input[] = {{RAD_OK, "", 3, channel, 2, listed},
                                           {RAD_E_CHANNEL, "no image has sequence 'T2'", 0, NULL, 0, NULL}};
    static const int64_t file[] = {3, -1};
    static const rad_wire_case item[] = {{.index = 3,
                                          .case_id = 40,
                                          .n_image = 2,
                                          .image = image,
                                          .mask = "/m.nii",
                                          .has_box = true,
                                          .box = {1, 2, 3, -4, 5, INT64_MIN},
                                          .has_point = true,
                                          .point = {0.5, -0.0, 1e300},
                                          .n_input = 2,
                                          .input = input,
                                          .n_model = 2,
                                          .file = file},
                                         {.index = 0, .case_id = -1}};
    rad_wire_lease m = {2, item};
    rad_buf b = start();
    assert_int_equal(rad_wire_put_lease(&b, &m, NULL), RAD_OK);
    return b;
}

static rad_buf result_bytes(void) {
    static const int64_t slice[] = {4, 5}, stored[] = {9, 8}, box[2][4] = {{1, 2, 3, 4}, {-5, 6, 7, 8}};
    static const double mismatch[] = {0, 1.25}, score[] = {0.25, 0.75, 1.0 / 3, -0.0};
    static const rad_model_result model[] = {{.status = RAD_OK,
                                              .stage = "",
                                              .why = "",
                                              .key = "abc",
                                              .n_slice = 2,
                                              .slice = slice,
                                              .stored_slice = stored,
                                              .box = box,
                                              .mismatch_mm = mismatch,
                                              .score = score},
                                             {.status = RAD_E_TRUNCATED, .stage = "load", .why = "'x' ends early"}};
    static const rad_image_record image[] = {{.image = 7,
                                              .content = "00112233445566778899aabbccddeeff",
                                              .volumes = "1,5-6",
                                              .n_dim = 3,
                                              .dim = {4, 5, 6, 1, 1, 1, 1},
                                              .spacing = {1, 2, 3},
                                              .affine = {{1, 0, 0, -9}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}},
                                              .orientation = "RAS",
                                              .type = "int16",
                                              .warning = NULL,
                                              .file_bytes = 123}};
    rad_wire_result m = {.index = 3,
                         .n_class = 2,
                         .result = {.case_id = 40,
                                    .n_image = 1,
                                    .image = image,
                                    .n_model = 2,
                                    .model = model,
                                    .read_s = 0.5,
                                    .inflate_s = 0.25,
                                    .prepare_s = NAN,
                                    .wait_s = 2,
                                    .infer_s = INFINITY,
                                    .finish_s = 0.125,
                                    .read_bytes = 123}};
    rad_buf b = start();
    assert_int_equal(rad_wire_put_result(&b, &m, NULL), RAD_OK);
    return b;
}

static rad_buf config_bytes(void) {
    const char *sha[] = {"s0", "s1"}, *graph[] = {"g0", "g1"};
    static const int64_t first[] = {1, 0};
    rad_wire_config m = {.text = "",
                         .job_sha256 = "j",
                         .backend = "ref",
                         .backend_version = "ref 1",
                         .precision = "fp32",
                         .crash_tag = "0a 3",
                         .identity = "1d",
                         .batch = 8,
                         .n_known = 70000,
                         .n_model = 2,
                         .first_fold = first,
                         .n_file = 2,
                         .model_sha256 = sha,
                         .graph_hash = graph};
    rad_buf b = start();
    assert_int_equal(rad_wire_put_config(&b, &m, NULL), RAD_OK);
    return b;
}

static rad_buf known_bytes(void) {
    static const uint8_t key[3 * RAD_SHA256_BYTES] = {1, [33] = 7, [95] = 0xff};
    rad_wire_known m = {3, key};
    rad_buf b = start();
    assert_int_equal(rad_wire_put_known(&b, &m, NULL), RAD_OK);
    return b;
}

static rad_buf stored_bytes(void) {
    rad_model_result model = {.status = RAD_OK, .stored = true};
    memset(model.key, 'a', RAD_SHA256_HEX - 1);
    rad_wire_result m = {.index = 1, .n_class = 2, .result = {.case_id = 4, .n_model = 1, .model = &model}};
    rad_buf b = start();
    assert_int_equal(rad_wire_put_result(&b, &m, NULL), RAD_OK);
    return b;
}

static rad_buf hello_bytes(void) {
    rad_wire_hello m = {"node1", "AVX2", "4 threads", 12, 4};
    rad_buf b = start();
    assert_int_equal(rad_wire_put_hello(&b, &m, NULL), RAD_OK);
    return b;
}

static rad_buf return_bytes(void) {
    int64_t index[] = {5, 0, 77};
    rad_wire_cases m = {3, index};
    rad_buf b = start();
    assert_int_equal(rad_wire_put_return(&b, &m, NULL), RAD_OK);
    return b;
}

static rad_buf fault_bytes(void) {
    int64_t index[] = {5};
    rad_wire_fault m = {RAD_E_DEVICE, "the device is gone", {1, index}};
    rad_buf b = start();
    assert_int_equal(rad_wire_put_fault(&b, &m, NULL), RAD_OK);
    return b;
}

/* Decodes by the kind that the bytes claim, as the farm does. */
static rad_status decode(const void *p, size_t n) {
    rad_wire_arena a = {0};
    rad_wire_kind kind;
    rad_status st = rad_wire_peek(p, n, &kind, NULL);
    if (st == RAD_OK) {
        rad_wire_config c;
        rad_wire_known known;
        rad_wire_hello h;
        rad_wire_lease l;
        rad_wire_result r;
        rad_wire_cases ret;
        rad_wire_fault f;
        int64_t committed;
        switch (kind) {
        case RAD_WIRE_CONFIG:
            st = rad_wire_get_config(p, n, &a, &c, NULL);
            break;
        case RAD_WIRE_KNOWN:
            st = rad_wire_get_known(p, n, &known, NULL);
            break;
        case RAD_WIRE_HELLO:
            st = rad_wire_get_hello(p, n, &a, &h, NULL);
            break;
        case RAD_WIRE_LEASE:
            st = rad_wire_get_lease(p, n, &a, &l, NULL);
            break;
        case RAD_WIRE_RESULT:
            st = rad_wire_get_result(p, n, &a, &r, NULL);
            break;
        case RAD_WIRE_RETURN:
            st = rad_wire_get_return(p, n, &a, &ret, NULL);
            break;
        case RAD_WIRE_FAULT:
            st = rad_wire_get_fault(p, n, &a, &f, NULL);
            break;
        case RAD_WIRE_COMMITTED:
            st = rad_wire_get_committed(p, n, &committed, NULL);
            break;
        case RAD_WIRE_DRAIN:
        case RAD_WIRE_QUIT:
        case RAD_WIRE_LEAVE:
        case RAD_WIRE_ALIVE:
        case RAD_WIRE_BYE:
            break;
        }
    }
    rad_wire_arena_release(&a);
    return st;
}

static void lease_round_trip(void **state) {
    (void)state;
    rad_error err = {0};
    rad_buf b = lease_bytes();
    rad_wire_arena a = {0};
    rad_wire_lease m;
    rad_wire_kind kind;
    assert_ok(rad_wire_peek(b.data, b.size, &kind, &err));
    assert_int_equal(kind, RAD_WIRE_LEASE);
    assert_ok(rad_wire_get_lease(b.data, b.size, &a, &m, &err));
    assert_int_equal(m.n_case, 2);
    const rad_wire_case *c = &m.item[0];
    assert_true(c->index == 3 && c->case_id == 40 && c->n_image == 2 && c->image[1].image == 9 && c->has_box && c->has_point);
    assert_string_equal(c->image[1].path, "/a/ü.nii");
    assert_true(c->image[0].n_volume == 0 && c->image[1].n_volume == 3 && c->image[1].n_total == 33 && c->image[1].volume[2] == 6);
    assert_string_equal(c->image[1].volumes, "1,5-6");
    assert_string_equal(c->mask, "/m.nii");
    assert_true(c->box[3] == -4 && c->box[5] == INT64_MIN && c->point[2] == 1e300 && signbit(c->point[1]));
    assert_true(c->n_input == 2 && c->input[0].n_channel == 3 && c->input[0].channel[2] == 1 && c->input[0].n_listed == 2 &&
                c->input[0].listed[1] == 7 && c->input[1].status == RAD_E_CHANNEL);
    assert_string_equal(c->input[1].why, "no image has sequence 'T2'");
    assert_true(c->n_model == 2 && c->file[0] == 3 && c->file[1] == -1 && m.item[1].n_model == 0);
    assert_true(m.item[1].n_image == 0 && m.item[1].case_id == -1 && !m.item[1].mask);
    rad_wire_arena_release(&a);
    rad_buf_release(&b);
}

static void result_round_trip(void **state) {
    (void)state;
    rad_error err = {0};
    rad_buf b = result_bytes();
    rad_wire_arena a = {0};
    rad_wire_result m;
    assert_ok(rad_wire_get_result(b.data, b.size, &a, &m, &err));
    const rad_case_result *r = &m.result;
    assert_true(m.index == 3 && m.n_class == 2 && r->case_id == 40 && r->n_image == 1 && r->n_model == 2);
    assert_true(r->image[0].dim[2] == 6 && r->image[0].affine[0][3] == -9 && r->image[0].file_bytes == 123 && !r->image[0].warning);
    assert_string_equal(r->image[0].content, "00112233445566778899aabbccddeeff");
    assert_string_equal(r->image[0].volumes, "1,5-6");
    assert_string_equal(r->image[0].orientation, "RAS");
    assert_string_equal(r->image[0].type, "int16");
    const double score[] = {0.25, 0.75, 1.0 / 3, -0.0};
    assert_memory_equal(r->model[0].score, score, sizeof score);
    assert_true(r->model[0].box[1][0] == -5 && r->model[0].stored_slice[1] == 8 && r->model[0].slice[0] == 4);
    assert_string_equal(r->model[0].key, "abc");
    assert_int_equal(r->model[1].status, RAD_E_TRUNCATED);
    assert_string_equal(r->model[1].stage, "load");
    assert_true(r->read_s == 0.5 && r->inflate_s == 0.25 && r->wait_s == 2 && r->finish_s == 0.125);
    assert_true(isnan(r->prepare_s) && isinf(r->infer_s) && r->read_bytes == 123);
    rad_wire_arena_release(&a);
    rad_buf_release(&b);
}

static void small_round_trips(void **state) {
    (void)state;
    rad_error err = {0};
    rad_wire_arena a = {0};
    rad_buf b = config_bytes();
    rad_wire_config c;
    assert_ok(rad_wire_get_config(b.data, b.size, &a, &c, &err));
    assert_true(c.status == RAD_OK && c.batch == 8 && c.n_model == 2 && c.first_fold[0] == 1 && c.first_fold[1] == 0 && c.n_file == 2 &&
                !c.quit);
    assert_int_equal(c.n_known, 70000);
    assert_string_equal(c.graph_hash[1], "g1");
    assert_string_equal(c.backend_version, "ref 1");
    assert_string_equal(c.crash_tag, "0a 3");
    assert_string_equal(c.identity, "1d");
    rad_buf told = start();
    int64_t n = 0;
    assert_ok(rad_wire_put_committed(&told, 77, &err));
    assert_ok(rad_wire_get_committed(told.data, told.size, &n, &err));
    assert_int_equal(n, 77);
    assert_fails(rad_wire_get_committed(told.data, told.size - 1, &n, &err), RAD_E_COMM, "ends early");
    rad_buf_release(&told);
    rad_wire_hello h;
    assert_fails(rad_wire_get_hello(b.data, b.size, &a, &h, &err), RAD_E_COMM, "another kind");
    rad_buf_release(&b);
    b = known_bytes();
    rad_wire_known k;
    assert_ok(rad_wire_get_known(b.data, b.size, &k, &err));
    assert_true(k.n == 3 && k.key[0] == 1 && k.key[33] == 7 && k.key[95] == 0xff);
    rad_buf_release(&b);
    b = stored_bytes();
    rad_wire_result stored;
    assert_ok(rad_wire_get_result(b.data, b.size, &a, &stored, &err));
    assert_true(stored.result.model[0].stored && stored.result.model[0].n_slice == 0);
    rad_buf_release(&b);
    b = hello_bytes();
    assert_ok(rad_wire_get_hello(b.data, b.size, &a, &h, &err));
    assert_true(h.window == 12 && h.threads == 4);
    assert_string_equal(h.room, "4 threads");
    rad_buf_release(&b);
    b = return_bytes();
    rad_wire_cases r;
    assert_ok(rad_wire_get_return(b.data, b.size, &a, &r, &err));
    assert_true(r.n == 3 && r.index[2] == 77);
    rad_buf_release(&b);
    b = fault_bytes();
    rad_wire_fault f;
    assert_ok(rad_wire_get_fault(b.data, b.size, &a, &f, &err));
    assert_true(f.status == RAD_E_DEVICE && f.guilty.n == 1);
    assert_string_equal(f.text, "the device is gone");
    rad_buf_release(&b);
    rad_wire_arena_release(&a);
}

static void refusals(void **state) {
    (void)state;
    rad_error err = {0};
    rad_wire_arena a = {0};
    rad_wire_lease l;
    rad_wire_kind kind;
    rad_buf b = lease_bytes();
    assert_ok(rad_buf_put(&b, "x", 1, &err));
    assert_fails(rad_wire_get_lease(b.data, b.size, &a, &l, &err), RAD_E_COMM, "left over");
    b.size--;
    b.data[8]++;
    assert_fails(rad_wire_peek(b.data, b.size, &kind, &err), RAD_E_COMM, "version");
    b.data[8]--;
    b.data[0] ^= 1;
    assert_fails(rad_wire_peek(b.data, b.size, &kind, &err), RAD_E_COMM, "begin");
    b.data[0] ^= 1;
    memset(b.data + 24, 0x7f, 8); /* a count that would take all memory */
    assert_fails(rad_wire_get_lease(b.data, b.size, &a, &l, &err), RAD_E_COMM, "too many cases");
    rad_buf_release(&b);
    int64_t two[2] = {0, 5};
    rad_wire_input input = {RAD_OK, "", 2, two, 0, NULL};
    const int64_t volume[] = {3, 3};
    rad_wire_image image = {.image = 1, .path = "p", .volumes = ""};
    rad_wire_case item = {.n_image = 1, .image = &image, .n_input = 1, .input = &input};
    b = start();
    assert_ok(rad_wire_put_lease(&b, &(rad_wire_lease){1, &item}, &err));
    assert_fails(rad_wire_get_lease(b.data, b.size, &a, &l, &err), RAD_E_COMM, "not there");
    rad_buf_release(&b);
    b = start();
    image = (rad_wire_image){1, "p", 2, 4, volume, "3,3"}; /* not ascending */
    assert_ok(rad_wire_put_lease(&b, &(rad_wire_lease){1, &item}, &err));
    assert_fails(rad_wire_get_lease(b.data, b.size, &a, &l, &err), RAD_E_COMM, "has not");
    rad_buf_release(&b);
    b = start();
    rad_wire_result res = {.n_class = 1, .result = {.n_model = 1, .model = &(rad_model_result){.status = RAD_E_STORE}}};
    assert_ok(rad_wire_put_result(&b, &res, &err));
    assert_fails(rad_wire_get_result(b.data, b.size, &a, &res, &err), RAD_E_COMM, "condemns more");
    rad_buf_release(&b);
    /* stored, but without a key; stored, with scores; stored, with a reason for none */
    double score = 0.5;
    int64_t slice = 0, box[1][4] = {{0}};
    rad_model_result odd[] = {
        {.stored = true, .key = "abc"},
        {.stored = true, .n_slice = 1, .slice = &slice, .stored_slice = &slice, .box = (const int64_t(*)[4])box, .score = &score},
        {.stored = true, .status = RAD_E_TRUNCATED}};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        if (i > 0)
            memset(odd[i].key, 'a', RAD_SHA256_HEX - 1);
        b = start();
        res = (rad_wire_result){.n_class = 1, .result = {.n_model = 1, .model = &odd[i]}};
        assert_ok(rad_wire_put_result(&b, &res, &err));
        assert_fails(rad_wire_get_result(b.data, b.size, &a, &res, &err), RAD_E_COMM, "a stored result with");
        rad_buf_release(&b);
    }
    /* keys: one cut off, more than a message may hold */
    rad_wire_known known;
    uint8_t *many = calloc(RAD_MAX_WIRE_KEYS + 1, RAD_SHA256_BYTES);
    assert_non_null(many);
    b = known_bytes();
    b.data[24]--;
    assert_fails(rad_wire_get_known(b.data, b.size - 1, &known, &err), RAD_E_COMM, "cut off");
    rad_buf_release(&b);
    b = start();
    assert_ok(rad_wire_put_known(&b, &(rad_wire_known){RAD_MAX_WIRE_KEYS + 1, many}, &err));
    assert_fails(rad_wire_get_known(b.data, b.size, &known, &err), RAD_E_COMM, "too many keys");
    rad_buf_release(&b);
    free(many);
    rad_wire_arena_release(&a);
}

static void damage(void **state) {
    (void)state;
    rad_buf (*const all[])(void) = {lease_bytes,  result_bytes, config_bytes, known_bytes,
                                    stored_bytes, hello_bytes,  return_bytes, fault_bytes};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        rad_buf b = all[k]();
        assert_int_equal(decode(b.data, b.size), RAD_OK);
        for (size_t n = 0; n < b.size; n++) { /* exact allocation, so that a sanitizer sees a read past the end */
            char *copy = malloc(n ? n : 1);
            assert_non_null(copy);
            memcpy(copy, b.data, n);
            assert_int_equal(decode(copy, n), RAD_E_COMM);
            free(copy);
        }
        for (size_t i = 0; i < b.size; i++)
            for (int bit = 0; bit < 8; bit++) {
                b.data[i] = (char)(b.data[i] ^ (1 << bit));
                rad_status st = decode(b.data, b.size);
                assert_true(st == RAD_OK || st == RAD_E_COMM);
                b.data[i] = (char)(b.data[i] ^ (1 << bit));
            }
        rad_buf_release(&b);
    }
}

static void memory_runs_out(void **state) {
    (void)state;
    rad_buf (*const all[])(void) = {lease_bytes, result_bytes, config_bytes, fault_bytes};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        rad_buf b = all[k]();
        for (int64_t after = 1;; after++) {
            rad_mem_fail_after(after);
            rad_status st = decode(b.data, b.size);
            rad_mem_fail_after(0);
            if (st == RAD_OK)
                break;
            assert_int_equal(st, RAD_E_NOMEM);
            assert_true(after < 1000);
        }
        rad_buf_release(&b);
    }
}

int main(void) {
    const struct CMUnitTest t[] = {cmocka_unit_test(lease_round_trip),
                                   cmocka_unit_test(result_round_trip),
                                   cmocka_unit_test(small_round_trips),
                                   cmocka_unit_test(refusals),
                                   cmocka_unit_test(damage),
                                   cmocka_unit_test(memory_runs_out)};
    return cmocka_run_group_tests(t, NULL, NULL);
}
