/* dump_volume OUT_DIR FILE...: what load/ reads from each file, one JSON line per file to stdout; the scaled float32 voxels go to
 * OUT_DIR/N.f32 (N = 0, 1, ... in order). Also checks that probe and load agree. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "radcohort/load.h"

static void put_text(const char *s) {
    putchar('"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            putchar('\\');
        putchar(*s);
    }
    putchar('"');
}

static void put_info(const rad_image_info *i) {
    printf("\"n_dim\": %d, \"dim\": [", i->n_dim);
    for (int d = 0; d < 7; d++)
        printf("%s%lld", d ? ", " : "", (long long)i->dim[d]);
    printf("], \"spacing\": [%.17g, %.17g, %.17g], \"affine\": [", i->spacing[0], i->spacing[1], i->spacing[2]);
    for (int r = 0; r < 4; r++)
        printf("%s[%.17g, %.17g, %.17g, %.17g]", r ? ", " : "", i->affine[r][0], i->affine[r][1], i->affine[r][2], i->affine[r][3]);
    printf("], \"sform\": %d, \"qform\": %d, \"disagreement\": %.17g, \"orientation\": \"%s\", \"type\": \"%s\", ", i->sform_code,
           i->qform_code, i->form_disagreement_mm, i->orientation, rad_voxel_type_name(i->type));
    printf("\"slope\": %.17g, \"inter\": %.17g, \"swapped\": %s, \"gzip\": %s, \"version\": %d, \"pair\": %s, \"file_bytes\": %zu, "
           "\"warning\": ",
           i->slope, i->inter, i->swapped ? "true" : "false", i->gzip ? "true" : "false", i->nifti_version, i->pair ? "true" : "false",
           i->file_bytes);
    if (i->warning)
        put_text(i->warning);
    else
        printf("null");
}

static int write_voxels(const rad_volume *v, const char *dir, int number) {
    char name[4096];
    int64_t n = 1, row = v->info.dim[0];
    for (int d = 0; d < 7; d++)
        n *= v->info.dim[d];
    snprintf(name, sizeof name, "%s/%d.f32", dir, number);
    FILE *f = fopen(name, "wb");
    float *line = malloc((size_t)row * sizeof *line);
    if (!f || !line)
        return 1;
    for (int64_t first = 0; first < n; first += row) {
        rad_volume_get(v, first, 1, row, line);
        fwrite(line, sizeof *line, (size_t)row, f);
    }
    free(line);
    return fclose(f) != 0;
}

int main(int argc, char **argv) {
    for (int a = 2; a < argc; a++) {
        rad_error err = {0}, probe_err = {0};
        rad_image_info info = {0};
        rad_volume *v = NULL;
        rad_status probe = rad_image_probe(argv[a], &info, &probe_err), st = rad_volume_load(argv[a], &v, &err);
        printf("{\"status\": \"%s\", \"probe\": \"%s\", \"error\": ", rad_status_reason(st), rad_status_reason(probe));
        put_text(err.text);
        if (st == RAD_OK) {
            bool same = probe == RAD_OK && memcmp(info.dim, v->info.dim, sizeof info.dim) == 0 &&
                        memcmp(info.affine, v->info.affine, sizeof info.affine) == 0 && info.file_bytes == v->info.file_bytes;
            printf(", \"probe_agrees\": %s, \"content\": \"%s\", ", same ? "true" : "false", v->content);
            put_info(&v->info);
            if (write_voxels(v, argv[1], a - 2))
                return 1;
        }
        printf("}\n");
        rad_image_info_release(&info);
        rad_volume_destroy(&v);
    }
    return 0;
}
