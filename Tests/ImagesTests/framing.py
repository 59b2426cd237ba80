"""Resizing and cropping as torchvision does it with PIL images, in PIL's terms.

    python3 Tests/ImagesTests/framing.py TAR RESIZE CROP OUT     frames every image of an archive for FramingTests

torchvision.transforms on a PIL image is this arithmetic around `Image.resize`, `Image.crop` and a zero border; where
torchvision can be imported every result is compared with its own.
"""
import io
import sys
import tarfile
import numpy as np
from PIL import Image

try:
    from torchvision import transforms
except (ImportError, RuntimeError):
    transforms = None


def sides(text):
    """224 -> [224]; 224x256 -> [224, 256]"""
    return [int(part) for part in text.split("x")]


def framed(image, resize=None, crop=None):
    """An RGB image after Resize(resize) and CenterCrop(crop), each an option's text or None."""
    result = image
    if resize:
        wanted = sides(resize)
        if len(wanted) == 2:
            height, width = wanted
        elif image.width <= image.height:
            width, height = wanted[0], int(wanted[0] * image.height / image.width)
        else:
            height, width = wanted[0], int(wanted[0] * image.width / image.height)
        result = result.resize((width, height), Image.BILINEAR)
    if crop:
        height, width = sides(crop)[0], sides(crop)[-1]
        left, top = max(0, width - result.width) // 2, max(0, height - result.height) // 2
        padded = Image.new("RGB", (max(width, result.width), max(height, result.height)))
        padded.paste(result, (left, top))
        x, y = round((padded.width - width) / 2), round((padded.height - height) / 2)
        result = padded.crop((x, y, x + width, y + height))
    if transforms:
        steps = [transforms.Resize(sides(resize) if "x" in resize else int(resize))] if resize else []
        steps += [transforms.CenterCrop(sides(crop))] if crop else []
        assert np.array_equal(np.asarray(result), np.asarray(transforms.Compose(steps)(image))), (image, resize, crop)
    return result


def fnv(image):
    """FNV-1a of an image's bytes."""
    value = 2166136261
    for byte in np.asarray(image).tobytes():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return f"{value:x}"


if __name__ == "__main__":
    archive, resize, crop, out = sys.argv[1:]
    with tarfile.open(archive) as members, open(out, "wb") as pixels:
        names = sorted((member.name for member in members if member.isfile()), key=str.encode)
        for name in names:
            image = Image.open(io.BytesIO(members.extractfile(name).read())).convert("RGB")
            pixels.write(np.asarray(framed(image, resize, crop)).tobytes())
    print(f"{len(names)} images;", "compared with torchvision" if transforms else "torchvision is not there: PIL alone")
