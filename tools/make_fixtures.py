#!/usr/bin/env python3
"""Draws the fixture images and trains the fixture networks on them. Run through tools/make-fixtures.

100 classes = 10 shapes x 10 patterns, 32 x 32 colour, random pose, colours and noise. `train.tar` holds the first 40 images
of each class, `test.tar` 12 others. The networks learn from the training images and from further ones drawn the same way,
which are not kept: a corpus needs fewer images than a network.

    make_fixtures.py --out fixtures                  draw and train
    make_fixtures.py --out fixtures --check          compare the committed images with freshly drawn ones, pixel by pixel
    make_fixtures.py --out fixtures --network plain  train and save this network only; may be given several times
"""
import argparse, io, os, struct, sys, tarfile, time, zlib
import numpy as np

SHAPES = ["circle", "square", "triangle", "plus", "ring", "star", "diamond", "crescent", "dome", "tee"]
PATTERNS = ["solid", "rows", "columns", "slashes", "backslashes", "checks", "dots", "rings", "halves", "speckle"]
CLASSES = [f"{s}-{p}" for s in SHAPES for p in PATTERNS]
NETWORKS = ["plain", "residual", "dense"]
TRAIN, TEST, EXTRA = 40, 12, 160
SIDE = 32


def shape_mask(name, x, y):
    r = np.hypot(x, y)
    if name == "circle": return r < 0.95
    if name == "square": return np.maximum(abs(x), abs(y)) < 0.82
    if name == "triangle": return (y < 0.75) & (y > 1.9 * abs(x) - 1.0)
    if name == "plus": return (np.minimum(abs(x), abs(y)) < 0.3) & (np.maximum(abs(x), abs(y)) < 0.98)
    if name == "ring": return (r < 1.0) & (r > 0.5)
    if name == "star": return r < 0.42 + 0.58 * abs(np.cos(2.5 * (np.arctan2(x, -y)))) ** 3
    if name == "diamond": return abs(x) * 1.3 + abs(y) < 1.05
    if name == "crescent": return (r < 1.0) & (np.hypot(x - 0.5, y) > 0.75)
    if name == "dome": return (r < 1.0) & (y < 0.15)
    return ((abs(y + 0.65) < 0.3) & (abs(x) < 0.95)) | ((abs(x) < 0.28) & (y > -0.65) & (y < 0.98))  # tee


def pattern(name, u, v, rng):
    """0 or 1 for each pixel; u, v in pixels."""
    period, phase = rng.uniform(4.5, 6.5), rng.uniform(0, 6, 2)
    wave = lambda t, k: ((t + phase[k]) % period) < period / 2
    if name == "solid": return np.zeros_like(u, bool)
    if name == "rows": return wave(v, 0)
    if name == "columns": return wave(u, 0)
    if name == "slashes": return wave((u + v) * 0.7071, 0)
    if name == "backslashes": return wave((u - v) * 0.7071, 0)
    if name == "checks": return wave(u, 0) ^ wave(v, 1)
    if name == "dots":
        a, b = (u + phase[0]) % period - period / 2, (v + phase[1]) % period - period / 2
        return a * a + b * b < (0.3 * period) ** 2
    if name == "rings": return wave(np.hypot(u - 16, v - 16), 0)
    if name == "halves": return u + rng.uniform(-2, 2) < 16
    grid = rng.random((11, 11)) < 0.5  # speckle
    return grid[(v / 3).astype(int), (u / 3).astype(int)]


def draw(index, number):
    """Image `number` of class `index`: a function of the two alone."""
    rng = np.random.Generator(np.random.PCG64([20261124, index, number]))
    v, u = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    angle, scale = rng.uniform(-0.4, 0.4), rng.uniform(6.5, 12.5)
    cx, cy = rng.uniform(13.5, 17.5, 2)
    cover = np.zeros((SIDE, SIDE))
    for du in (-0.25, 0.25):
        for dv in (-0.25, 0.25):
            a, b = (u + du - cx) / scale, (v + dv - cy) / scale
            x, y = np.cos(angle) * a + np.sin(angle) * b, np.cos(angle) * b - np.sin(angle) * a
            cover += shape_mask(SHAPES[index // 10], x, y) / 4
    ink = pattern(PATTERNS[index % 10], u, v, rng)
    while True:
        back, one, two = rng.uniform(20, 235, (3, 3))
        if min(abs(back - one).max(), abs(back - two).max(), abs(one - two).max()) > 40:
            break
    tilt = rng.uniform(-1, 1, 3)[None, None] * (u / SIDE - 0.5)[..., None] * 50
    figure = np.where(ink[..., None], two, one)
    image = cover[..., None] * figure + (1 - cover[..., None]) * (back + tilt)
    image += rng.normal(0, 12, image.shape)
    return (np.clip(np.rint(image), 0, 255).astype(np.uint8) >> 3) << 3  # five bits: small files


def png(image):
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    # Filter "up" on each line.
    lines = image.reshape(SIDE, -1)
    up = np.diff(lines, axis=0, prepend=np.zeros((1, lines.shape[1]), np.uint8))
    raw = b"".join(b"\2" + line.tobytes() for line in up)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def pixels(data):
    """The pixels of one of our own PNG files."""
    raw = zlib.decompress(data[data.index(b"IDAT") + 4:])
    lines = np.frombuffer(raw, np.uint8).reshape(SIDE, -1)[:, 1:]
    return np.cumsum(lines, axis=0, dtype=np.uint8).reshape(SIDE, SIDE, 3)


def numbers(split):
    return range(TRAIN) if split == "train" else range(100_000, 100_000 + TEST)


def write_images(out):
    for split in ("train", "test"):
        with tarfile.open(f"{out}/{split}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for index in sorted(range(100), key=lambda i: CLASSES[i]):
                for number in numbers(split):
                    data = png(draw(index, number))
                    info = tarfile.TarInfo(f"{CLASSES[index]}/{number:06d}.png")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
        print(f"{out}/{split}.tar: {os.path.getsize(f'{out}/{split}.tar'):,} bytes")


def check_images(out):
    wrong = count = 0
    for split in ("train", "test"):
        with tarfile.open(f"{out}/{split}.tar") as tar:
            for member in tar:
                name, file = member.name.split("/")
                fresh = draw(CLASSES.index(name), int(file[:-4]))
                wrong += not np.array_equal(pixels(tar.extractfile(member).read()), fresh)
                count += 1
    print(f"{count} images compared, {wrong} differ")
    return 1 if wrong or count != 100 * (TRAIN + TEST) else 0


def dataset(split, extra=0):
    order = sorted(range(100), key=lambda i: CLASSES[i])  # class index: sorted folder names
    chosen = list(numbers(split)) + list(range(TRAIN, TRAIN + extra))
    images = np.stack([draw(index, n) for index in order for n in chosen])
    labels = np.repeat(np.arange(100), len(chosen))
    return images, labels


def train_networks(out, names, epochs, threads):
    import torch, fixture_networks
    torch.set_num_threads(threads)
    training, test = dataset("train", EXTRA), dataset("test")
    os.makedirs(f"{out}/networks", exist_ok=True)
    for name in names:
        path, begun = f"{out}/networks/{name}.pt", time.time()
        fixture_networks.train(name, *training, *test, epochs).save(path)
        print(f"{path}: {os.path.getsize(path):,} bytes, {time.time() - begun:.0f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="fixtures")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--network", action="append", choices=NETWORKS)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.check:
        return check_images(options.out)
    if not options.network:
        write_images(options.out)
    train_networks(options.out, options.network or NETWORKS, options.epochs, options.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
