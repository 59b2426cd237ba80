"""Bends sound shards out of shape with h5py and prints the names of the files made.

Usage: bend.py WHOLE FOLDER, where WHOLE.raw and WHOLE.zstd are shards of 40 attacked rows of 5 classes.
"""
import os
import shutil
import struct
import sys

import h5py
import hdf5plugin  # noqa: F401  registers filter 32015
import numpy as np

whole, folder = sys.argv[1:]
OTHER = os.path.join(folder, "other.h5")
with h5py.File(OTHER, "w") as other:
    other["label"] = np.zeros(40, "<i4")
open(os.path.join(folder, "elsewhere.bin"), "wb").write(bytes(4096))


def bend(name, change, codec="raw"):
    path = os.path.join(folder, name + ".h5")
    shutil.copy(f"{whole}.{codec}", path)
    with h5py.File(path, "r+", libver=("v110", "v110")) as shard:
        change(shard)
    print(name + ".h5")


def attribute(key, value):
    def change(shard):
        del shard.attrs[key]
        if value is not None:
            shard.attrs[key] = value
    return change


def dataset(key, **options):
    def change(shard):
        del shard[key]
        if options:
            shard.create_dataset(key, **options)
    return change


def link(key, value):
    def change(shard):
        del shard[key]
        shard[key] = value
    return change


def virtual(shard):
    del shard["label"]
    layout = h5py.VirtualLayout(shape=(40,), dtype="<i4")
    layout[:] = h5py.VirtualSource(OTHER, "label", shape=(40,))
    shard.create_virtual_dataset("label", layout)


def chunk(data, mask=0):
    def change(shard):
        shard["logits"].id.write_direct_chunk((0, 0), data, mask)
    return change


def remake_unwritten(shard):
    del shard["logits"]
    shard.create_dataset("logits", shape=(40, 5), dtype="<f4", chunks=(40, 5), shuffle=True, compression=32015)


bend("newer", attribute("format_version", np.int64(2)))
bend("older", attribute("format_version", np.int64(0)))
bend("kind", attribute("kind", np.bytes_(b"image")))
bend("codec", attribute("codec", np.bytes_(b"lz77")))
bend("other-codec", attribute("codec", np.bytes_(b"zstd")))
bend("one-class", attribute("classes", np.int64(1)))
bend("many-classes", attribute("classes", np.int64(2**62)))
bend("negative", attribute("view", np.int64(-1)))
bend("no-network", attribute("network", None))
bend("array", attribute("view", np.zeros(9, "<i8")))
bend("fraction", attribute("view", np.float64(0.5)))
bend("variable-text", attribute("dataset", "d"))
bend("no-label", dataset("label"))
bend("long", dataset("ordinal", shape=(2**40,), dtype="<i8", chunks=(1024,)))
bend("short", dataset("prediction", data=np.zeros(39, "<i4")))
bend("wide", dataset("image", shape=(40,), dtype="S1000000", chunks=(1,)))
bend("variable-names", dataset("image", data=["x"] * 40, dtype=h5py.string_dtype()))
bend("double", dataset("logits", data=np.zeros((40, 5), "<f8")))
bend("packed-column", dataset("label", data=np.zeros(40, "<i4"), compression="gzip"))
bend("elsewhere", dataset("logits", shape=(40, 5), dtype="<f4", external=os.path.join(folder, "elsewhere.bin")))
bend("external", link("label", h5py.ExternalLink(OTHER, "label")))
bend("virtual", virtual)
# A zstd frame header that declares 2^62 bytes, and one of 800 whose block is cut off.
bend("huge-frame", chunk(struct.pack("<IBQ", 0xFD2FB528, 0xE0, 2**62) + b"\x01\x00\x00"), "zstd")
bend("cut-frame", chunk(struct.pack("<IBI", 0xFD2FB528, 0xA0, 800) + b"\xff\xff\xff"), "zstd")
bend("masked", chunk(np.zeros((40, 5), "<f4").tobytes(), 3), "zstd")
bend("unwritten", remake_unwritten, "zstd")
