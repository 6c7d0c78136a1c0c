#!/usr/bin/python3
"""Makes a small job in a folder: cohort, three networks, job.yaml. Needs nothing but the Python standard library.

usage: fixture.py FOLDER [PATIENTS [SIDE [WIDTH]]]

SIDE: voxels of a slice's side; WIDTH: channels inside the networks, the more the slower.

Patient 2 has a truncated image, patient 3 lacks sequence B, patient 4's file is missing, patient 5 holds a NaN: four kinds of exclusion.
"""
import gzip
import math
import os
import random
import struct
import sys


def varint(n):
    out = b""
    while True:
        low, n = n & 127, n >> 7
        if not n:
            return out + bytes([low])
        out += bytes([low | 128])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, dims, values):
    return b"".join(field(1, d) for d in dims) + field(2, 1) + field(8, name) + field(9, struct.pack("<%df" % len(values), *values))


def attribute(name, value):
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, 2)
    return field(1, name) + b"".join(field(8, v) for v in value) + field(20, 7)


def node(op, inputs, output, **attributes):
    return (b"".join(field(1, i) for i in inputs) + field(2, output) + field(3, output) + field(4, op)
            + b"".join(field(5, attribute(k, v)) for k, v in attributes.items()))


def value_info(name, dims):
    shape = b"".join(field(1, field(2, d) if isinstance(d, str) else field(1, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def network(seed, planes, side, classes, width):
    """conv 3x3 / stride 2 - relu - conv 3x3 - relu - global average pooling - gemm"""
    draw = random.Random(seed)

    def weights(n, fan):
        return [draw.gauss(0, math.sqrt(2 / fan)) for _ in range(n)]

    initializers = [tensor("w1", [width, planes, 3, 3], weights(width * planes * 9, planes * 9)),
                    tensor("b1", [width], weights(width, width)),
                    tensor("w2", [width, width, 3, 3], weights(width * width * 9, width * 9)), tensor("b2", [width], weights(width, width)),
                    tensor("w3", [classes, width], weights(classes * width, 1)), tensor("b3", [classes], weights(classes, 4))]
    nodes = [node("Conv", ["x", "w1", "b1"], "c1", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), node("Relu", ["c1"], "r1"),
             node("Conv", ["r1", "w2", "b2"], "c2", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), node("Relu", ["c2"], "r2"),
             node("GlobalAveragePool", ["r2"], "g"), node("Flatten", ["g"], "f"), node("Gemm", ["f", "w3", "b3"], "y", transB=1)]
    graph = (b"".join(field(1, n) for n in nodes) + field(2, "g") + b"".join(field(5, t) for t in initializers)
             + field(11, value_info("x", ["n", planes, side, side])) + field(12, value_info("y", ["n", classes])))
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


def nifti(path, dims, spacing, values, code):
    """values: numbers, x fastest; code: (NIfTI datatype, bits, struct letter)"""
    datatype, bits, letter = code
    h = bytearray(348)
    struct.pack_into("<i", h, 0, 348)
    struct.pack_into("<8h", h, 40, 3, *dims, 1, 1, 1, 1)
    struct.pack_into("<hh", h, 70, datatype, bits)
    struct.pack_into("<8f", h, 76, 1, *spacing, 1, 1, 1, 1)
    struct.pack_into("<ff", h, 108, 352, 1)
    struct.pack_into("<hh", h, 252, 0, 1)
    for row in range(3):
        affine = [0.0] * 4
        affine[row] = spacing[row]
        affine[3] = -spacing[row] * dims[row] / 2
        struct.pack_into("<4f", h, 280 + 16 * row, *affine)
    h[344:348] = b"n+1\0"
    data = bytes(h) + b"\0" * 4 + struct.pack("<%d%s" % (len(values), letter), *values)
    with (gzip.GzipFile(path, "wb", 1, mtime=0) if path.endswith(".gz") else open(path, "wb")) as f:
        f.write(data)


I16, U8, F32 = (4, 16, "h"), (2, 8, "B"), (16, 32, "f")


def write_tables(cohort, tables):
    """{name: its lines, the heading first} into the folder `cohort`."""
    for name, lines in tables.items():
        with open(os.path.join(cohort, name + ".tsv"), "w") as f:
            f.write("\n".join(lines) + "\n")


def main():
    folder, patients = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 12
    side = int(sys.argv[3]) if len(sys.argv) > 3 else 24
    width = int(sys.argv[4]) if len(sys.argv) > 4 else 8
    cohort, out = os.path.join(folder, "cohort"), 16
    os.makedirs(cohort)
    tables = {"centers": ["center\tcohort", "H1\tinternal", "H2\texternal"], "patients": ["patient\tcenter\tlabel"],
              "images": ["patient\tstudy\tsequence\tpath"], "lesions": ["patient\tlesion\tlabel\tbox\tmask"]}
    draw = random.Random(7)
    for p in range(1, patients + 1):
        name, depth, label = "P%03d" % p, 5 + p % 4, p % 2
        dims, spacing = (side, side + p % 3, depth), (1.0, 1.0, 3.0)
        n = dims[0] * dims[1] * dims[2]
        tables["patients"].append("%s\tH%d\t%s" % (name, 1 + p % 3 // 2, ["benign", "malignant"][label]))
        for sequence in "AB":
            if sequence == "B" and p == 3:
                continue
            path = "%s_%s.nii%s" % (name, sequence, ".gz" if p % 2 else "")
            tables["images"].append("%s\ts1\t%s\t%s" % (name, sequence, path))
            values = [int(draw.gauss(400 + 60 * label, 100)) for _ in range(n)]
            if p == 5:
                values = [float(v) for v in values]
                values[2 * dims[0] * dims[1]:3 * dims[0] * dims[1]] = [math.nan] * (dims[0] * dims[1])
            if p != 4:
                nifti(os.path.join(cohort, path), dims, spacing, values, F32 if p == 5 else I16)
            if p == 2 and sequence == "A":
                os.truncate(os.path.join(cohort, path), 352 + n)
        tables["lesions"].append("%s\tL1\t%s\t4 5 1 14 13 4\t" % (name, ["benign", "malignant"][label]))
        if p % 2:
            mask = [1 if 5 <= i % side < 12 and 6 <= i // side % dims[1] < 15 and 1 <= i // (side * dims[1]) < 4 else 0 for i in range(n)]
            nifti(os.path.join(cohort, name + "_m.nii.gz"), dims, spacing, mask, U8)
            tables["lesions"].append("%s\tL2\t%s\t\t%s_m.nii.gz" % (name, ["benign", "malignant"][label], name))
    write_tables(cohort, tables)
    for name, seed, planes, classes in (("one", 1, 3, 2), ("two", 2, 3, 2), ("pair", 3, 2, 1)):
        with open(os.path.join(folder, name + ".onnx"), "wb") as f:
            f.write(network(seed, planes, out, classes, width))
    with open(os.path.join(folder, "job.yaml"), "w") as f:
        f.write("""job: tiny
cohort: cohort
unit: lesion
classes: [benign, malignant]
positive: malignant
inputs:
  stack:
    channels: [{sequence: A, offset: [-1, 0, 1]}]
    slices: lesion-all
    region: {from: auto, margin_mm: 2}
    window: {low: 0, high: 800}
    resize: {size: %d}
  both:
    channels: [{sequence: A}, {sequence: B}]
    slices: lesion
    region: {from: auto, margin_mm: 2}
    window: {low: 0, high: 800}
    resize: {size: %d}
models:
  - {name: one, file: one.onnx, input: stack, activation: softmax}
  - {name: two, file: two.onnx, input: stack, activation: none}
  - {name: pair, file: pair.onnx, input: both, activation: sigmoid}
aggregate: {lesion: mean, patient: max}
operating_points: [{name: half, threshold: 0.5}]
backend: ref
batch: 4
""" % (out, out))


if __name__ == "__main__":
    main()
