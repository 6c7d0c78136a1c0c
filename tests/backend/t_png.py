#!/usr/bin/env python3
"""Stills and cine: PNG files of every kind against their pixels, crops, frames as slices, colour planes, through dump_prepare."""
import os, struct, subprocess, sys, tempfile, zlib

try:
    import numpy as np
except ImportError as e:
    print(f"SKIP: {e}")
    sys.exit(77)
dump = os.path.join(os.environ["RAD_BUILD"], "tests/backend/dump_prepare")
rng = np.random.default_rng(7)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(path, rows, depth, colour, extra=b"", cut=0):
    """rows: bytes of each row; filter 0"""
    h, w = len(rows), rows_width(rows, depth, colour)
    data = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, 0)) + extra
            + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + r for r in rows))) + chunk(b"IEND", b""))
    open(path, "wb").write(data[:len(data) - cut] if cut else data)


def rows_width(rows, depth, colour):
    return len(rows[0]) * 8 // (depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour])


def nifti(path, a):
    """uint8, x fastest; affine runs to the left and back like a still's"""
    h = bytearray(352)
    struct.pack_into("<i", h, 0, 348)
    struct.pack_into("<8h", h, 40, a.ndim, *a.shape, *[1] * (7 - a.ndim))
    struct.pack_into("<hh", h, 70, 2, 8)
    struct.pack_into("<8f", h, 76, 1, 1, 1, 1, 1, 0, 0, 0)
    struct.pack_into("<f", h, 108, 352)
    struct.pack_into("<hh", h, 252, 0, 1)
    struct.pack_into("<12f", h, 280, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0)
    h[344:348] = b"n+1\0"
    open(path, "wb").write(bytes(h) + a.astype(np.uint8).tobytes(order="F"))


def ask(tmp, path, n_slices_word=0, crop=(0, 0, 0, 0), frames=0, components=(0,), box=None):
    out = os.path.join(tmp, "out.f32")
    f = [out, "LPS", n_slices_word, 0, 1 if box is None else 2, 1, 0, 0, 0] + [0, 0, 0] + [0, 0, 0, 0] + [0]
    f += [0 if box is None else 1] + list(box or [0] * 6) + [0, 0, 0] + [0, 0, 0, 0, *crop, frames, "-", len(components)]
    for c in components:
        f += [path, 1, 0, c] + [0] * 11
    r = subprocess.run([dump], input="\t".join(map(str, f)) + "\n", capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    if not r.stdout.startswith("ok"):
        return r.stdout.strip()
    dims = [int(x) for x in r.stdout.split()[1:5]]
    return np.fromfile(out, "<f4").reshape(dims)


with tempfile.TemporaryDirectory() as tmp:
    at = lambda name: os.path.join(tmp, name)
    grey = rng.integers(0, 256, (11, 16), dtype=np.uint8)
    png(at("g8.png"), [r.tobytes() for r in grey], 8, 0)
    assert (ask(tmp, at("g8.png"))[0, 0] == grey).all()
    wide = rng.integers(0, 65536, (9, 7)).astype(np.uint16)
    png(at("g16.png"), [r.astype(">u2").tobytes() for r in wide], 16, 0)
    assert (ask(tmp, at("g16.png"))[0, 0] == wide).all()
    bits = rng.integers(0, 2, (5, 16), dtype=np.uint8)
    png(at("g1.PNG"), [np.packbits(r).tobytes() for r in bits], 1, 0)
    assert (ask(tmp, at("g1.PNG"))[0, 0] == bits * 255).all()
    rgb = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    png(at("rgb.png"), [r.tobytes() for r in rgb], 8, 2)
    got = ask(tmp, at("rgb.png"), components=(1, 2, 3, 0))[0]
    assert (got[:3] == rgb.transpose(2, 0, 1)).all()
    assert np.abs(got[3] - rgb @ np.array([0.299, 0.587, 0.114])).max() < 1e-4
    assert (ask(tmp, at("g8.png"), components=(1, 2, 3))[0] == grey).all(), "grey replicated"
    table = rng.integers(0, 256, (256, 3), dtype=np.uint8)
    png(at("pal.png"), [r.tobytes() for r in grey], 8, 3, chunk(b"PLTE", table.tobytes()))
    assert (ask(tmp, at("pal.png"), components=(1, 2, 3))[0] == table[grey].transpose(2, 0, 1)).all()
    # crop: top, bottom, left, right
    assert (ask(tmp, at("g8.png"), crop=(2, 3, 4, 1))[0, 0] == grey[2:8, 4:15]).all()
    assert (ask(tmp, at("g8.png"), crop=(2, 3, 4, 1), box=(0, 0, 0, 3, 3, 1))[0, 0] == grey[2:5, 4:7]).all(), "a box is moved inside"
    assert "leaves nothing" in ask(tmp, at("g8.png"), crop=(6, 5, 0, 0))
    # refusals
    png(at("alpha.png"), [bytes(8)] * 3, 8, 6)
    assert ask(tmp, at("alpha.png")).startswith("unsupported|") and "transparent" in ask(tmp, at("alpha.png"))
    png(at("deep.png"), [bytes(12)] * 3, 16, 2)
    assert "16 bits per colour" in ask(tmp, at("deep.png"))
    png(at("cut.png"), [r.tobytes() for r in grey], 8, 0, cut=40)
    assert ask(tmp, at("cut.png")).startswith("truncated|"), ask(tmp, at("cut.png"))
    data = bytearray(open(at("g8.png"), "rb").read())
    data[60] ^= 1
    open(at("bad.png"), "wb").write(data)
    assert ask(tmp, at("bad.png")).startswith("format|"), ask(tmp, at("bad.png"))
    open(at("no.png"), "wb").write(b"GIF89a is not it")
    assert "no PNG file" in ask(tmp, at("no.png"))
    big = chunk(b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 0, 0, 0, 0))
    open(at("bomb.png"), "wb").write(b"\x89PNG\r\n\x1a\n" + big + chunk(b"IDAT", b""))
    assert ask(tmp, at("bomb.png")).startswith("limit|"), ask(tmp, at("bomb.png"))
    # cine: x, y, one slice, frames
    cine = rng.integers(0, 256, (5, 4, 1, 9))
    nifti(at("cine.nii"), cine)
    assert (ask(tmp, at("cine.nii"), 2)[:, 0] == cine[:, :, 0, 0].T).all(), "without frames: the first"
    assert (ask(tmp, at("cine.nii"), 2, frames=1)[:, 0] == cine[:, :, 0].transpose(2, 1, 0)).all()
    assert (ask(tmp, at("cine.nii"), 1, frames=1, box=(0, 0, 3, 5, 4, 6))[:, 0].shape[0]) == 3
    nifti(at("both.nii"), rng.integers(0, 256, (5, 4, 3, 2)))
    assert "3 slices and 2 frames" in ask(tmp, at("both.nii"), frames=1)
print("PNG, crop and cine as written")
