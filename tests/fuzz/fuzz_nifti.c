/* fuzz_nifti: hostile bytes as NIfTI files. The first byte chooses the container: 0 the bytes as they are (plain or gzip), 1 the bytes
 * gzipped here (so that the header behind the CRC is reached), 2 a pair, cut at twice the second byte plus 340. RAD_TEST_LINK: rad_load */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libdeflate.h>

#include "fuzz.h"
#include "radcohort/load.h"

static char folder[64], single[96], header[96], image[96];

static void clean_up(void) {
    unlink(single);
    unlink(header);
    unlink(image);
    rmdir(folder);
}

static void write_file(const char *path, const uint8_t *p, size_t n) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, p, n) != (ssize_t)n)
        abort();
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "%s/radcohort-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (!mkdtemp(folder))
            abort();
        snprintf(single, sizeof single, "%s/x.nii", folder);
        snprintf(header, sizeof header, "%s/x.hdr", folder);
        snprintf(image, sizeof image, "%s/x.img", folder);
        atexit(clean_up);
    }
    if (size < 2)
        return 0;
    const char *path = single;
    const uint8_t *p = data + 2;
    size_t n = size - 2;
    if (data[0] % 3 == 1) {
        struct libdeflate_compressor *z = libdeflate_alloc_compressor(1);
        size_t room = libdeflate_gzip_compress_bound(z, n);
        uint8_t *packed = malloc(room);
        write_file(single, packed, libdeflate_gzip_compress(z, p, n, packed, room));
        free(packed);
        libdeflate_free_compressor(z);
    } else if (data[0] % 3 == 2) {
        size_t cut = 340 + (size_t)data[1] * 2;
        cut = cut < n ? cut : n;
        write_file(header, p, cut);
        write_file(image, p + cut, n - cut);
        path = header;
    } else
        write_file(single, p, n);

    rad_error err = {0};
    rad_image_info info = {0};
    rad_volume *v = NULL;
    rad_status probe = rad_image_probe(path, &info, &err), st = rad_volume_load(path, &v, &err);
    if (st == RAD_OK) {
        int64_t voxels = 1;
        for (int d = 0; d < 7; d++)
            voxels *= v->info.dim[d];
        if (probe != RAD_OK || (size_t)voxels * rad_voxel_size(v->info.type) != v->bytes || voxels < 1)
            abort();
        float *out = malloc((size_t)voxels * sizeof *out);
        if (out)
            rad_volume_get(v, voxels - 1, -1, voxels, out);
        free(out);
    } else if (rad_status_scope(st) == RAD_SCOPE_RUN || !strstr(err.text, "x."))
        abort(); /* a bad file is a matter of the study, and named */
    rad_image_info_release(&info);
    rad_volume_destroy(&v);
    return 0;
}
