"""Makes Tests/ImagesTests/Pictures: small pictures of every kind, and digests of the pixels that PIL decodes from them
(digests.txt) and makes of them by resizing and cropping (framed.txt).

    python3 Tests/ImagesTests/make_pictures.py      (Pillow 13, NumPy 2; torchvision is asked too where it is there)
"""
import os
import struct
import zlib
import numpy as np
from PIL import Image
from framing import fnv, framed

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Pictures")
os.makedirs(out, exist_ok=True)
rng = np.random.default_rng(4)
y, x = np.mgrid[0:19, 0:23]
colour = np.stack([x * 11, y * 13, (x + y) * 6], -1).astype(np.uint8) ^ rng.integers(0, 8, (19, 23, 3), np.uint8)
rgb = Image.fromarray(colour)
grey = rgb.convert("L")
alpha = Image.merge("RGBA", (*rgb.split(), grey))
exif = Image.Exif()
exif[0x0112] = 6  # rotated
rgb.save(f"{out}/rgb.png")
grey.save(f"{out}/grey.png")
alpha.save(f"{out}/rgba.png")
Image.merge("LA", (grey, grey)).save(f"{out}/grey-alpha.png")
rgb.quantize(16).save(f"{out}/palette.png")
rgb.quantize(16).save(f"{out}/palette-transparent.png", transparency=3)
grey.point(lambda v: 255 * (v > 90)).convert("1").save(f"{out}/one-bit.png")
Image.fromarray((np.asarray(grey) >> 4)).convert("P").save(f"{out}/four-bit.png", bits=4)
rgb.save(f"{out}/444.jpg", quality=90, subsampling=0)
rgb.save(f"{out}/420.jpg", quality=80, subsampling=2)
rgb.save(f"{out}/422.jpg", quality=80, subsampling=1)
rgb.save(f"{out}/progressive.jpg", quality=80, progressive=True)
rgb.save(f"{out}/rotated.jpg", quality=80, exif=exif)
grey.save(f"{out}/grey.jpg", quality=80)
rgb.convert("CMYK").save(f"{out}/cmyk.jpg", quality=90)
adobe = open(f"{out}/cmyk.jpg", "rb").read()
marker = adobe.index(b"\xff\xee")  # without Adobe's marker: PIL takes it as inverted all the same
with open(f"{out}/cmyk-plain.jpg", "wb") as plain:
    plain.write(adobe[:marker] + adobe[marker + 2 + int.from_bytes(adobe[marker + 2:marker + 4], "big"):])
with open(f"{out}/ycck.jpg", "wb") as ycck:  # the same codes, taken as YCCK
    ycck.write(adobe[:marker + 15] + b"\x02" + adobe[marker + 16:])
rgb.save(f"{out}/rgb.jpg", quality=80, keep_rgb=True)


def png(name, depth, kind, samples, *chunks, interlaced=False):
    """Writes what PIL cannot: height × width × channels samples of 1 to 16 bits, chunks before the data."""

    def chunk(tag, data):
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    data = b""
    for top, left, down, right in passes:
        for row in samples[top::down, left::right]:
            bits = np.unpackbits(row.astype(">u2").reshape(-1, 1).view(np.uint8), axis=1)[:, 16 - depth:]
            data += b"\0" + np.packbits(bits.ravel()).tobytes()
    height, width = samples.shape[:2]
    with open(f"{out}/{name}", "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.write(chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced))))
        for tag, content in chunks:
            file.write(chunk(tag, content))
        file.write(chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))


deep = colour.astype(np.uint16) * 257 ^ rng.integers(0, 256, colour.shape, np.uint16)
dark = deep[..., :1] // 150  # about the place where PIL clips 16-bit greyscale
png("grey16.png", 16, 0, dark)
png("grey16-interlaced.png", 16, 0, dark, interlaced=True)
png("grey16-transparent.png", 16, 0, dark, (b"tRNS", struct.pack(">H", dark[3, 3, 0])))
png("grey16-alpha.png", 16, 4, deep[..., :2])
png("rgb16.png", 16, 2, deep)
png("rgb16-interlaced.png", 16, 2, deep, interlaced=True)
png("rgb16-transparent.png", 16, 2, deep, (b"tRNS", struct.pack(">HHH", *deep[3, 3])))
png("rgba16.png", 16, 6, np.concatenate([deep, deep[..., :1]], -1))
for depth in (1, 2, 4):
    low = colour[..., :1] >> (8 - depth)
    palette = bytes(rng.integers(0, 256, 3 << depth, np.uint8))
    png(f"grey{depth}-transparent.png", depth, 0, low, (b"tRNS", struct.pack(">H", 1)))
    png(f"palette{depth}.png", depth, 3, low, (b"PLTE", palette))
    png(f"palette{depth}-interlaced.png", depth, 3, low, (b"PLTE", palette), (b"tRNS", b"\x00\x80"), interlaced=True)
png("palette-short.png", 4, 3, colour[..., :1] >> 4, (b"PLTE", palette[:15]))  # codes without a colour are black
y, x = np.mgrid[0:61, 0:97]
waves = np.stack([128 + 120 * np.sin(x * y / k) for k in (40, 90, 200)], -1).astype(np.uint8)
Image.fromarray(waves).save(f"{out}/waves.png")
Image.fromarray(waves[:1, :1]).save(f"{out}/dot.png")
Image.fromarray(waves.reshape(1, -1, 3)[:, :400]).save(f"{out}/line.png")
Image.fromarray(waves.reshape(-1, 1, 3)[:400]).save(f"{out}/column.png")
names = sorted(name for name in os.listdir(out) if not name.endswith(".txt"))
with open(f"{out}/digests.txt", "w") as digests:
    for name in names:
        image = Image.open(f"{out}/{name}").convert("RGB")
        digests.write(f"{name} {image.width}x{image.height} {fnv(image)}\n")
with open(f"{out}/framed.txt", "w") as digests:
    for name in ["420.jpg", "grey16.png", "ycck.jpg", "waves.png", "dot.png", "line.png", "column.png"]:
        image = Image.open(f"{out}/{name}").convert("RGB")
        for resize, crop in [
            ("16", "14"), ("16", None), ("40", "32"), ("17x29", None), ("61x97", None), ("8", "21x33"), (None, "20"),
            (None, "64"), ("32x32", "15x18"), ("19", "18"), ("19", "17"), ("3", "2"), ("1", "1"),
        ]:
            result = framed(image, resize, crop)
            digests.write(f"{name} {resize or '-'} {crop or '-'} {result.height}x{result.width} {fnv(result)}\n")
