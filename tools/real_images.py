"""Real networks and images of a folder DATA for tools/crosscheck and tools/bench-attacks, as arrays that every side is fed.

DATA holds networks/*.ts.pt, cifar10/test-lossless-1000.bin and imagenet/one-per-class.tar (one folder a class, whose sorted
order is the class index).
"""
import dataclasses, io, tarfile
import numpy as np
from PIL import Image


@dataclasses.dataclass
class Real:
    name: str
    module: str
    side: int
    classes: int


NETWORKS = {
    "resnet20": Real("resnet20", "cifar10_resnet20.ts.pt", 32, 10),
    "densenet40_12": Real("densenet40_12", "cifar10_densenet40_12.ts.pt", 32, 10),
    "mobilenet_v2": Real("mobilenet_v2", "mobilenet_v2_1.0_224_qat.ts.pt", 224, 1000),
    "squeezenet1_1": Real("squeezenet1_1", "squeezenet1_1.ts.pt", 224, 1000),
}


def images(data, side, count):
    """float32 [count, 3, side, side] in [0,1] and int32 labels."""
    return _cifar(data, count) if side == 32 else _imagenet(data, count)


def _cifar(data, count):
    raw = np.fromfile(f"{data}/cifar10/test-lossless-1000.bin", np.uint8).reshape(-1, 3073)[:count]
    return raw[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / np.float32(255), raw[:, 0].astype(np.int32)


def _imagenet(data, count):
    """Spread over the classes: shorter side to 256 (bilinear), centre 224."""
    with tarfile.open(f"{data}/imagenet/one-per-class.tar") as tar:
        names = sorted(m.name for m in tar if m.isfile())
        classes = sorted({n.split("/")[-2] for n in names})
        chosen = [names[i * len(names) // count] for i in range(count)]
        pixels = np.stack([_crop(Image.open(io.BytesIO(tar.extractfile(n).read())).convert("RGB")) for n in chosen])
    labels = np.array([classes.index(n.split("/")[-2]) for n in chosen], np.int32)
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255), labels


def _crop(image):
    scale = 256 / min(image.size)
    image = image.resize([max(256, int(s * scale)) for s in image.size], Image.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    return np.asarray(image.crop((left, top, left + 224, top + 224)))
