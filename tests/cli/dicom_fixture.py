"""Small DICOM series for the tests: a writer of explicit little endian files (PS3.5), a few lines on purpose. Made up, nobody's images."""
import os
import struct
import zlib

import numpy as np

WIDE = {"OB", "OW", "SQ", "UN", "UT"}


def element(group, number, vr, value):
    if isinstance(value, str):
        value = value.encode("utf-8")
    elif vr in ("DS", "IS") and not isinstance(value, bytes):
        value = "\\".join(f"{v:.10g}" for v in np.atleast_1d(value)).encode()
    elif vr == "US" and not isinstance(value, bytes):
        value = struct.pack("<H", value)
    elif vr == "FD":
        value = struct.pack("<d", value)
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "OW") else b" "
    head = struct.pack("<HH2s", group, number, vr.encode())
    return head + (struct.pack("<HI", 0, len(value)) if vr in WIDE else struct.pack("<H", len(value))) + value


def write(path, tags, pixels=None):
    """tags: {(group, number): (vr, value)}; pixels int16 [rows, columns]."""
    tags = dict(tags)
    if pixels is not None:
        rows, columns = pixels.shape
        tags.update({(0x28, 2): ("US", 1), (0x28, 4): ("CS", "MONOCHROME2"), (0x28, 0x10): ("US", rows), (0x28, 0x11): ("US", columns),
                     (0x28, 0x100): ("US", 16), (0x28, 0x101): ("US", 16), (0x28, 0x102): ("US", 15), (0x28, 0x103): ("US", 1),
                     (0x7FE0, 0x10): ("OW", pixels.astype("<i2").tobytes())})
    body = b"".join(element(g, n, vr, v) for (g, n), (vr, v) in sorted(tags.items()))
    meta = element(2, 2, "UI", tags[0x8, 0x16][1]) + element(2, 3, "UI", tags[0x8, 0x18][1]) + element(2, 0x10, "UI", "1.2.840.10008.1.2.1")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(bytes(128) + b"DICM" + element(2, 0, "UL", struct.pack("<I", len(meta))) + meta + body)


def series(folder, patient, uid, study_uid, date, description, n=5, modality="MR", time="101500", number=1, more=None, rng=None, size=(12, 10),
           orientation=(1, 0, 0, 0, 1, 0), name="IM{:04d}", order=None):
    """Writes n slices 3 mm apart along the normal; returns the pixels [n, rows, columns] in order of position. `order`: instance numbers."""
    rng = rng or np.random.default_rng(int(uid.split(".")[-1]))
    pixels = rng.integers(0, 2000, (n, *size)).astype(np.int16)
    row, column = np.array(orientation[:3], float), np.array(orientation[3:], float)
    normal = np.cross(row, column)
    for k in range(n):
        instance = order[k] if order else k + 1
        tags = {(0x8, 0x8): ("CS", "ORIGINAL\\PRIMARY"), (0x8, 0x16): ("UI", "1.2.840.10008.5.1.4.1.1.4" if modality == "MR" else "1.2.840.10008.5.1.4.1.1.2"),
                (0x8, 0x18): ("UI", f"{uid}.{instance}"), (0x8, 0x20): ("DA", date), (0x8, 0x30): ("TM", "100000"), (0x8, 0x32): ("TM", time),
                (0x8, 0x50): ("SH", patient["accession"]), (0x8, 0x60): ("CS", modality), (0x8, 0x70): ("LO", "SIEMENS"),
                (0x8, 0x80): ("LO", patient.get("institution", "North Hospital")), (0x8, 0x90): ("PN", "Referrer^Rita"),
                (0x8, 0x103E): ("LO", description), (0x8, 0x1090): ("LO", "Skyra"), (0x10, 0x10): ("PN", patient["name"]),
                (0x10, 0x20): ("LO", patient["id"]), (0x10, 0x30): ("DA", patient["birth"]), (0x10, 0x40): ("CS", patient["sex"]),
                (0x18, 0x50): ("DS", 3), (0x20, 0xD): ("UI", study_uid), (0x20, 0xE): ("UI", uid), (0x20, 0x11): ("IS", number),
                (0x20, 0x13): ("IS", instance), (0x20, 0x32): ("DS", np.array([-5.0, -6.0, 7.0]) + 3.0 * k * normal), (0x20, 0x37): ("DS", orientation),
                (0x20, 0x52): ("UI", study_uid + ".9"), (0x20, 0x1041): ("DS", 7.0 + 3 * k), (0x28, 0x30): ("DS", (0.5, 0.75)),
                (0x20, 0x4000): ("LT", f"comment on {patient['name']}")}
        if modality == "MR":
            tags.update({(0x18, 0x20): ("CS", "SE"), (0x18, 0x80): ("DS", 3000), (0x18, 0x81): ("DS", 90), (0x18, 0x87): ("DS", 3)})
        else:
            tags.update({(0x18, 0x60): ("DS", 120), (0x18, 0x1210): ("SH", "B30f"), (0x28, 0x1052): ("DS", -1024), (0x28, 0x1053): ("DS", 1)})
        tags.update(more or {})
        write(os.path.join(folder, name.format(instance)), tags, pixels[k])
    return pixels


def deflate(path):
    """Rewrites a file of write() in the deflated transfer syntax (PS3.5 A.5)."""
    with open(path, "rb") as f:
        b = f.read()
    end = 132 + 12 + struct.unpack_from("<I", b, 132 + 8)[0]  # the meta information says how long it is
    body = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = body.compress(b[end:]) + body.flush()
    plain, deflated = element(0x2, 0x10, "UI", "1.2.840.10008.1.2.1"), element(0x2, 0x10, "UI", "1.2.840.10008.1.2.1.99")
    assert plain in b[:end]
    meta = b[:132 + 8] + struct.pack("<I", end - 144 + len(deflated) - len(plain)) + b[144:end].replace(plain, deflated)
    with open(path, "wb") as f:
        f.write(meta + body + b"\0" * (len(body) % 2))
