"""Generated CT studies that cost a reader what real ones do: 512 x 512 x 200 int16, patients of different build, tissue, lungs, bone and a table, noise that is
correlated between neighbours as after reconstruction, -3024 outside the scanner's circle, gzip level 6 as dcm2niix writes it. They shrink to 0.43 of their size;
a real abdominal CT of a public collection to 0.437.

Making one takes seven seconds of a core, so they are kept: `make` adds what its folder lacks.
"""
import multiprocessing
import os
import struct
import zlib

HEADER = 352


def voxels(seed, shape):
    """[z, y, x]: rows from anterior to posterior, columns from the patient's right to left."""
    import numpy as np

    nx, ny, nz = shape
    r = np.random.default_rng(seed)
    x, y = np.arange(nx, dtype=np.float32)[None, :] - nx / 2, np.arange(ny, dtype=np.float32)[:, None]
    outside = x**2 + (y - ny / 2) ** 2 > (nx / 2) ** 2
    wide, deep, middle, noise = nx * r.uniform(0.36, 0.42), ny * r.uniform(0.25, 0.30), ny * r.uniform(0.46, 0.50), r.uniform(14, 20)
    liver_x, liver_y = nx * r.uniform(-0.2, -0.1), ny * r.uniform(0.38, 0.48)
    out = np.empty((nz, ny, nx), np.int16)
    for k in range(nz):
        t = k / nz
        a, b = wide * (1 + 0.06 * np.sin(3 * t + seed)), deep * (1 + 0.06 * np.sin(3 * t + seed))
        body = (x / a) ** 2 + ((y - middle) / b) ** 2
        v = np.full((ny, nx), -1000, np.float32)
        v[body < 1] = -95
        v[body < 0.72] = 45
        v[((x - liver_x) / (nx * 0.17)) ** 2 + ((y - liver_y) / (ny * 0.14)) ** 2 < 1 - 3 * (t - 0.5) ** 2] = 105
        for side in (-1, 1):
            v[((x - side * nx * 0.19) / (nx * 0.13)) ** 2 + ((y - middle) / (ny * 0.17)) ** 2 < min(1.0, (t - 0.6) * 6)] = -860
        v[(x / (nx * 0.05)) ** 2 + ((y - middle - b * 0.55) / (ny * 0.045)) ** 2 < 1] = 240
        v[(body > 0.72) & (body < 0.78) & (np.sin(8 * np.arctan2(y - middle, x) + 0.1 * k) > 0.35)] = 450
        v[(y > middle + b + 6) & (y < middle + b + 10) & (abs(x) < nx * 0.4)] = -300
        n = r.standard_normal((ny + 2, nx + 2), dtype=np.float32)
        n = n[:, 1:-1] + 0.22 * (n[:, :-2] + n[:, 2:])
        n = n[1:-1] + 0.22 * (n[:-2] + n[2:])
        v += n * (noise / 1.097) * np.where(body < 1, 1, 0.6)
        out[k] = np.rint(np.where(outside, -3024, np.maximum(v, -1024)))
    return out


def header(shape, spacing=(0.8, 0.8, 1.5)):
    """Of a single NIfTI-1 file in LPS, as dcm2niix leaves the rows of a scanner."""
    h = bytearray(HEADER)
    struct.pack_into("<i", h, 0, 348)
    struct.pack_into("<8h", h, 40, 3, *shape, 1, 1, 1, 1)
    struct.pack_into("<hh", h, 70, 4, 16)  # int16
    struct.pack_into("<8f", h, 76, 1, *spacing, 0, 0, 0, 0)
    struct.pack_into("<fff", h, 108, HEADER, 1, 0)
    struct.pack_into("<hh", h, 252, 0, 1)  # sform
    struct.pack_into("<12f", h, 280, -spacing[0], 0, 0, 200, 0, -spacing[1], 0, 200, 0, 0, spacing[2], -150)
    h[123] = 2  # millimetres
    h[344:348] = b"n+1\0"
    return bytes(h)


def write(task):
    path, seed, shape = task
    z = zlib.compressobj(6, zlib.DEFLATED, 31)
    data = z.compress(header(shape) + voxels(seed, shape).tobytes()) + z.flush()
    with open(path + ".part", "wb") as f:
        f.write(data)
    os.replace(path + ".part", path)


def make(folder, n, shape=(512, 512, 200), workers=2):
    """Paths of `n` different studies in `folder`."""
    os.makedirs(folder, exist_ok=True)
    paths = [os.path.join(folder, "ct-%dx%dx%d-%03d.nii.gz" % (*shape, i)) for i in range(n)]
    missing = [(p, i, shape) for i, p in enumerate(paths) if not os.path.exists(p)]
    if missing:
        with multiprocessing.Pool(workers) as pool:
            pool.map(write, missing, chunksize=1)
    return paths
