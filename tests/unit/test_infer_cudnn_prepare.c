/* RAD_TEST_LINK: rad_prepare rad_load
 * The preparation kernel's arithmetic (prep_core.h) on what rad_prepare_plan_make decides, pixel by pixel on the CPU, against
 * rad_prepare_case: the same bits for every kind of input, and an error where that makes one. */
#include "unit.h"

#include "../backend/prep_random.h"
#include "infer/cudnn/prep_core.h"

enum { CASES = 4000 };

/* The plan as the kernel sees it, with the volumes where they are. */
static void follow(const rad_prepare_plan *p, float *out, int *bad) {
    struct prep_image image[RAD_MAX_CHANNELS];
    const size_t planes = (size_t)(p->result.n_slice * p->result.n_plane);
    struct prep_plane *plane = calloc(planes, sizeof *plane);
    assert_non_null(plane);
    memset(image, 0, sizeof image);
    for (int k = 0; k < p->n_image; k++) {
        const rad_prepare_image *m = &p->image[k];
        image[k] = (struct prep_image){.voxel = m->voxel,
                                       .first = m->first,
                                       .slope = m->slope,
                                       .inter = m->inter,
                                       .low = m->tone.low,
                                       .span = m->tone.span,
                                       .mean = m->tone.mean,
                                       .sd = m->tone.sd,
                                       .black = m->tone.black,
                                       .padding = m->tone.padding,
                                       .nonfinite = m->tone.nonfinite,
                                       .stored = (int)m->type,
                                       .component = m->component,
                                       .same = m->same,
                                       .window = m->tone.window,
                                       .has_padding = m->tone.has_padding,
                                       .replace = m->tone.replace,
                                       .zscore = m->tone.zscore};
        memcpy(image[k].step, m->step, sizeof m->step);
        memcpy(image[k].dim, m->dim, sizeof m->dim);
        memcpy(image[k].to, m->to, sizeof m->to);
    }
    for (size_t i = 0; i < planes; i++)
        plane[i] = (struct prep_plane){.image = p->plane[i].image,
                                       .empty = p->plane[i].empty,
                                       .z = p->plane[i].z,
                                       .matched = p->plane[i].matched,
                                       .value = p->plane[i].value};
    struct prep_args a = {.n_slice = p->result.n_slice,
                          .n_plane = p->result.n_plane,
                          .height = p->result.height,
                          .width = p->result.width,
                          .edge_zero = p->edge_zero,
                          .match_nearest = p->match_nearest,
                          .n_normalise = p->n_normalise,
                          .mean = p->mean,
                          .std = p->std,
                          .image = image,
                          .plane = plane,
                          .x = {p->x.in, p->x.out, p->x.taps, p->x.start, p->x.count, p->x.weight},
                          .y = {p->y.in, p->y.out, p->y.taps, p->y.start, p->y.count, p->y.weight},
                          .out = out,
                          .bad = bad};
    memcpy(a.box, p->box, sizeof a.box);
    memcpy(a.low, p->low, sizeof a.low);
    memcpy(a.high, p->high, sizeof a.high);
    for (int64_t i = 0; i < prep_check_count(&a); i++)
        prep_check(&a, i);
    for (int64_t i = 0; i < (int64_t)planes * a.height * a.width; i++)
        prep_pixel(&a, i);
    free(plane);
}

static void every_bit_is_the_cpus(void **state) {
    (void)state;
    int prepared = 0, nonfinite = 0, refused = 0, other_grid = 0;
    struct prep_case *c = malloc(sizeof *c);
    assert_non_null(c);
    for (uint32_t number = 0; number < CASES; number++) {
        rad_prepared p = {0};
        rad_prepare_plan *plan = NULL;
        rad_error err = {0}, why = {0};
        int bad = 0;
        prep_random(number, c);
        assert_true(rad_prepare_plan_takes(&c->spec, NULL));
        const rad_roi *roi = c->has_roi ? &c->roi : NULL;
        const rad_status st = rad_prepare_case(&c->spec, c->volume, roi, &p, &err);
        const rad_status planned = rad_prepare_plan_make(&c->spec, c->volume, roi, &plan, &why);
        if (planned != RAD_OK) {
            assert_int_not_equal(st, RAD_OK);
            assert_null(plan);
            refused++;
            continue;
        }
        const size_t count = (size_t)(plan->result.n_slice * plan->result.n_plane * plan->result.height * plan->result.width);
        float *out = calloc(count, sizeof *out);
        assert_non_null(out);
        follow(plan, out, &bad);
        if (bad != (st == RAD_E_NONFINITE) || (bad == 0) != (st == RAD_OK))
            fail_msg("case %u: %s: %s, and the kernel says %d", number, rad_status_reason(st), err.text, bad);
        if (st == RAD_OK) {
            assert_true(prep_same_lists(&p, &plan->result));
            for (size_t i = 0; i < count; i++)
                if (memcmp(&out[i], &p.data[i], sizeof *out) != 0)
                    fail_msg("case %u: pixel %zu is %.9g, on the CPU %.9g", number, i, (double)out[i], (double)p.data[i]);
            for (int k = 1; k < plan->n_image; k++)
                other_grid += plan->image[k].voxel != NULL && !plan->image[k].same;
            prepared++;
        } else {
            nonfinite++;
        }
        free(out);
        rad_prepared_release(&p);
        rad_prepare_plan_destroy(&plan);
    }
    free(c);
    print_message("%d prepared, %d images on other grids, %d not finite, %d refused\n", prepared, other_grid, nonfinite, refused);
    assert_true(prepared > CASES / 3 && nonfinite > CASES / 100 && other_grid > CASES / 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_bit_is_the_cpus)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
