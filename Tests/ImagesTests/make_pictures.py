"""Makes Tests/ImagesTests/Pictures: small pictures of every kind, and digests of the pixels that PIL decodes from them.

    python3 Tests/ImagesTests/make_pictures.py      (Pillow 12, NumPy 2)
"""
import os
import numpy as np
from PIL import Image

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
with open(f"{out}/digests.txt", "w") as digests:
    for name in sorted(os.listdir(out)):
        if name.endswith(".txt"):
            continue
        image = Image.open(f"{out}/{name}").convert("RGB")
        value = 2166136261
        for byte in np.asarray(image).tobytes():
            value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
        digests.write(f"{name} {image.width}x{image.height} {value:x}\n")
