"""Bends sound shards out of shape with h5py and prints each file made with words that the refusal must have.

Usage: bend.py WHOLE FOLDER, where WHOLE.raw and WHOLE.zstd are shards of 40 attacked rows of 5 classes with float images of 2 x 3.
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


def bend(name, reason, change, codec="raw"):
    path = os.path.join(folder, name + ".h5")
    shutil.copy(f"{whole}.{codec}", path)
    with h5py.File(path, "r+", libver=("v110", "v110")) as shard:
        change(shard)
    print(f"{name}.h5\t{reason}")


def attribute(key, value):
    def change(shard):
        del shard.attrs[key]
        if value is not None:
            shard.attrs[key] = value
    return change


def text(key, value):
    def change(shard):
        shard.attrs.create(key, value.encode(), dtype=h5py.string_dtype("utf-8", len(value)))
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


def chunk(data, mask=0, key="logits", start=(0, 0)):
    def change(shard):
        shard[key].id.write_direct_chunk(start, data, mask)
    return change


def remake_unwritten(shard):
    del shard["logits"]
    shard.create_dataset("logits", shape=(40, 5), dtype="<f4", chunks=(40, 5), shuffle=True, compression=32015)


bend("newer", "use the newer program", attribute("format_version", np.int64(2)))
bend("older", "format version 0", attribute("format_version", np.int64(0)))
bend("kind", "another kind", text("kind", "image"))
bend("codec", "unknown codec lz77", text("codec", "lz77"))
bend("other-codec", "chunks of another shape", text("codec", "zstd"))
bend("one-class", "1 classes", attribute("classes", np.int64(1)))
bend("many-classes", "4611686018427387904 classes", attribute("classes", np.int64(2**62)))
bend("negative", "view is -1", attribute("view", np.int64(-1)))
bend("no-network", "network is missing", attribute("network", None))
bend("array", "no 64-bit integer", attribute("view", np.zeros(9, "<i8")))
bend("fraction", "no 64-bit integer", attribute("view", np.float64(0.5)))
bend("variable-text", "dataset is no text", attribute("dataset", "d"))
bend("no-label", "label is missing", dataset("label"))
bend("long", "another shape", dataset("ordinal", shape=(2**40,), dtype="<i8", chunks=(1024,)))
bend("short", "not 40 entries", dataset("prediction", data=np.zeros(39, "<i4")))
bend("wide", "no names", dataset("image", shape=(40,), dtype="S1000000", chunks=(1,)))
bend("variable-names", "no names", dataset("image", data=["x"] * 40, dtype=h5py.string_dtype()))
bend("double", "another type", dataset("logits", data=np.zeros((40, 5), "<f8")))
bend("packed-column", "one run", dataset("label", data=np.zeros(40, "<i4"), compression="gzip"))
bend("elsewhere", "one run", dataset("logits", shape=(40, 5), dtype="<f4", external=os.path.join(folder, "elsewhere.bin")))
bend("external", "label is missing", link("label", h5py.ExternalLink(OTHER, "label")))
bend("virtual", "one run", virtual)
# A zstd frame header that declares 2^62 bytes, and one of 800 whose block is cut off.
bend("huge-frame", "rows 0 to 39", chunk(struct.pack("<IBQ", 0xFD2FB528, 0xE0, 2**62) + b"\x01\x00\x00"), "zstd")
bend("cut-frame", "rows 0 to 39", chunk(struct.pack("<IBI", 0xFD2FB528, 0xA0, 800) + b"\xff\xff\xff"), "zstd")
bend("masked", "index of the chunks of /logits", chunk(np.zeros((40, 5), "<f4").tobytes(), 3), "zstd")
bend("unwritten", "index of the chunks of /logits", remake_unwritten, "zstd")
IMAGES = np.zeros((40, 3, 2, 3), "<f4")
bend("no-images", "perturbed is missing", dataset("perturbed"))
bend("no-image-checksums", "perturbed_checksum is missing", dataset("perturbed_checksum"))
bend("double-images", "another type", dataset("perturbed", data=IMAGES.astype("<f8")))
bend("few-images", "not 40 images", dataset("perturbed", data=IMAGES[:39]))
bend("grey-images", "not 40 images", dataset("perturbed", data=IMAGES[:, :1]))
bend("flat-images", "another shape", dataset("perturbed", data=IMAGES[:, 0, 0]))
bend("wide-images", "not 40 images", dataset("perturbed", shape=(40, 3, 2, 2**24), dtype="<f4", chunks=(1, 3, 2, 3)))
bend("packed-images", "one run", dataset("perturbed", data=IMAGES, compression="gzip"))
bend("image-chunks", "chunks of another shape",
     dataset("perturbed", data=IMAGES, chunks=(2, 3, 2, 3), shuffle=True, compression=32015), "zstd")
bend("image-frame", "image of row 7", chunk(struct.pack("<IBQ", 0xFD2FB528, 0xE0, 2**62) + b"\x01\x00\x00", key="perturbed",
                                            start=(7, 0, 0, 0)), "zstd")
