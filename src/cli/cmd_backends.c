/* cmd_backends.c: what is compiled in, what is usable on this machine, and which operators of a network each backend takes. */
#include "cli.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "radcohort/infer.h"

#define RAD_MAX_REFUSAL_TEXT ((size_t)1 << 20)

struct verdict {
    const char *name;
    bool usable;
    char text[512];
    char precisions[64];
    bool asked; /* was a network given? */
    int refused;
    rad_buf why;
};

static void list_precisions(rad_backend *be, struct verdict *v) {
    for (int p = RAD_PREC_FP32; p <= RAD_PREC_BF16; p++)
        if (rad_backend_check_precision(be, (rad_precision)p, NULL) == RAD_OK) {
            const size_t at = strlen(v->precisions);
            (void)snprintf(v->precisions + at, sizeof v->precisions - at, "%s%s", at > 0 ? " " : "", rad_precision_name((rad_precision)p));
        }
}

/* A text view of one backend; a network is checked at batch 1. */
static rad_status examine(struct verdict *v, const rad_graph *g, rad_precision p, rad_error *err) {
    rad_backend *be = NULL;
    rad_buf_init(&v->why, RAD_MAX_REFUSAL_TEXT);
    v->usable = rad_backend_probe(v->name, v->text, sizeof v->text);
    if (!v->usable)
        return RAD_OK;
    rad_status st = rad_backend_open(v->name, &be, err);
    if (st != RAD_OK)
        return st;
    list_precisions(be, v);
    if (g != NULL) {
        v->asked = true;
        v->refused = rad_backend_refusals(be, g, p, &v->why);
    }
    rad_backend_close(&be);
    return RAD_OK;
}

static void print_text(const struct verdict *v, int n) {
    for (int i = 0; i < n; i++) {
        int n_byte = (int)strcspn(v[i].text, "\n");
        rad_cli_say(9, "%-8s %.*s", v[i].name, n_byte, v[i].text);
        for (const char *line = v[i].text + n_byte; *line; line += n_byte) { /* its devices */
            n_byte = (int)strcspn(++line, "\n");
            rad_cli_say(9, "%-8s %.*s", "", n_byte, line);
        }
        if (v[i].usable)
            (void)printf("%-8s precisions: %s\n", "", v[i].precisions);
        if (v[i].asked && v[i].refused == 0)
            (void)printf("%-8s the network runs\n", "");
        if (v[i].asked && v[i].refused > 0)
            (void)printf("%-8s refuses %d nodes of the network:\n%s\n", "", v[i].refused, v[i].why.size > 0 ? v[i].why.data : "");
    }
}

static void print_operators(void) {
    size_t n = 0;
    const rad_op_def *const *op = rad_op_list(&n);
    int column = 0;
    (void)printf("\noperators (%zu):", n);
    for (size_t i = 0; i < n; i++) {
        const int width = (int)strlen(op[i]->name) + 1;
        if (column == 0 || column + width > RAD_CLI_WIDTH) {
            (void)printf("\n ");
            column = 1;
        }
        (void)printf(" %s", op[i]->name);
        column += width;
    }
    (void)printf("\n");
}

/* What a reader of heat maps wants to know before a run: can this network make them, and if not, why. */
static rad_status describe_maps(const rad_graph *g, char *buf, size_t cap, rad_error *err) {
    rad_cam *cam = NULL;
    rad_error why = {0};
    const rad_status st = rad_cam_create_from_graph(g, NULL, &cam, &why);
    if (st == RAD_OK)
        (void)rad_cam_describe(cam, buf, cap);
    else if (st == RAD_E_MODEL || st == RAD_E_LIMIT)
        (void)snprintf(buf, cap, "%s", why.text);
    else
        return rad_error_set(err, st, "%s", why.text);
    rad_cam_destroy(&cam);
    return RAD_OK;
}

static rad_status print_json(const struct verdict *v, int n, const char *maps, rad_error *err) {
    json_t *list = json_array(), *operators = json_array();
    size_t n_op = 0;
    const rad_op_def *const *op = rad_op_list(&n_op);
    bool ok = list != NULL && operators != NULL;
    for (int i = 0; ok && i < n; i++) {
        json_t *o = json_pack("{s:s, s:b, s:s, s:s}", "name", v[i].name, "usable", v[i].usable ? 1 : 0, "text", v[i].text, "precisions",
                              v[i].precisions);
        if (v[i].asked)
            ok = json_object_set_new(o, "refused", json_integer(v[i].refused)) == 0 &&
                 json_object_set_new(o, "why", json_string(v[i].why.size > 0 ? v[i].why.data : "")) == 0;
        ok = json_array_append_new(list, o) == 0 && ok;
    }
    for (size_t i = 0; ok && i < n_op; i++)
        ok = json_array_append_new(operators, json_string(op[i]->name)) == 0;
    json_t *root = ok ? json_pack("{s:O, s:O}", "backends", list, "operators", operators) : NULL;
    if (root != NULL && maps[0] != '\0')
        ok = json_object_set_new(root, "class_activation_maps", json_string(maps)) == 0;
    ok = ok && root != NULL && json_dumpf(root, stdout, JSON_INDENT(1)) == 0 && putchar('\n') != EOF;
    json_decref(root);
    json_decref(list);
    json_decref(operators);
    return ok ? RAD_OK : rad_error_set(err, RAD_E_NOMEM, "cannot write JSON");
}

static rad_status backends(const char *path, const char *precision, bool json, rad_error *err) {
    rad_model *model = NULL;
    rad_graph *graph = NULL;
    rad_status st = RAD_OK;
    rad_precision p = RAD_PREC_FP32;
    struct verdict verdict[16];
    char maps[RAD_ERROR_TEXT + 16] = "";
    int n = 0;
    memset(verdict, 0, sizeof verdict);
    RAD_TRY(rad_precision_parse(precision, &p, err));
    if (path != NULL) {
        RAD_TRY(rad_model_open(path, &model, err));
        /* A network that only exists at its own batch is looked at there. */
        if (rad_graph_build(model, &(rad_graph_opts){.batch = 1}, &graph, err) != RAD_OK)
            RAD_TRY(rad_graph_build(model, &(rad_graph_opts){0}, &graph, err));
        RAD_TRY(describe_maps(graph, maps, sizeof maps, err));
    }
    for (const char *const *name = rad_backend_names(); *name != NULL && n < 16; name++) {
        verdict[n].name = *name;
        RAD_TRY(examine(&verdict[n++], graph, p, err));
    }
    if (json) {
        RAD_TRY(print_json(verdict, n, maps, err));
    } else {
        print_text(verdict, n);
        if (path == NULL)
            print_operators();
        else
            (void)printf("%s\n", maps);
    }
out:
    for (int i = 0; i < n; i++)
        rad_buf_release(&verdict[i].why);
    rad_graph_destroy(&graph);
    rad_model_close(&model);
    return st;
}

static int run(int argc, char **argv) {
    const char *model = NULL, *precision = "fp32", *none = NULL;
    bool json = false;
    const rad_target target[] = {{"--model", &model, NULL}, {"--precision", &precision, NULL}, {"--json", NULL, &json}, {NULL, NULL, NULL}};
    rad_error err = {0};
    int n = 0;
    rad_status st = rad_cli_parse(&rad_command_backends, argc, argv, target, &none, 0, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    st = backends(model, precision, json, &err);
    return st == RAD_OK ? RAD_EXIT_OK : rad_cli_fail(&rad_command_backends, st, &err);
}

static const rad_option options[] = {
    {"--model", "FILE", RAD_FILL_ONNX,
     "also say which nodes of this network each backend would refuse, and why, and whether it can have class activation maps"},
    {"--precision", "P", RAD_FILL_PRECISION, "for the question above (default fp32)"},
    RAD_OPTION_JSON,
    RAD_OPTION_END,
};

const rad_command rad_command_backends = {
    .name = "backends",
    .group = RAD_GROUP_NETWORK,
    .usage = {"[options]"},
    .summary = "lists inference backends: compiled in, usable here, operators",
    .about = "A backend that is not usable on this machine says why. A run never changes its backend by itself.",
    .option = options,
    .exits = "0 told, 1 failed, 2 invalid input",
    .example = {{"radcohort backends", "what can compute here?"},
                {"radcohort backends --model resnet50.onnx", "and could it compute this network?"}},
    .run = run,
};
