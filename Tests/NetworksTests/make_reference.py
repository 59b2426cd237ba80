"""Freezes Tests/NetworksTests/reference.json: logits and sign attacks on the fixture network by plain PyTorch.

    python3 Tests/NetworksTests/make_reference.py       (torch 2.13.0 CPU, numpy, pillow)

PGD starts from the documented random numbers: Philox4x32-10 with each image's key, 24 bits a float, four to a counter.
"""
import io, json, os, tarfile
import numpy as np, torch
from PIL import Image

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.join(here, "..", "..", "fixtures")
COUNT, KEEP, EPS, ALPHA, T = 8, 2, 16 / 255, 2 / 255, 10


def philox(key, n):
    out = np.empty(n, np.float32)
    for block in range((n + 3) // 4):
        c, k = [block, 0, 0, 0], [key & 0xFFFFFFFF, key >> 32]
        for _ in range(10):
            a, b = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
            c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
            k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
        for i in range(min(4, n - 4 * block)):
            out[4 * block + i] = np.float32(c[i] >> 8) * np.float32(2.0 ** -24)
    return out


with tarfile.open(f"{root}/test.tar") as tar:
    names = sorted(m.name for m in tar)
    chosen = [names[7 * i] for i in range(COUNT)]
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(tar.extractfile(n).read())).convert("RGB")) for n in chosen])
classes = sorted({n.split("/")[0] for n in names})
y = torch.tensor([classes.index(n.split("/")[0]) for n in chosen])
x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255).contiguous()
net = torch.jit.load(f"{root}/networks/residual.pt").eval()


def gradient(images):
    images = images.clone().requires_grad_(True)
    loss = torch.nn.functional.cross_entropy(net(images), y, reduction="sum")
    return torch.autograd.grad(loss, images)[0]


def iterate(start, step, momentum):
    images, m = start.clone(), torch.zeros_like(x)
    for _ in range(T):
        g = gradient(images)
        if momentum:
            m = m + g / g.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-12)
            g = m
        images = images + step * g.sign()
        images = (x + (images - x).clamp(-EPS, EPS)).clamp(0, 1)
    return images


noise = np.stack([philox((i * 0x9E3779B97F4A7C15) % 2 ** 64, 3072).reshape(3, 32, 32) for i in range(COUNT)])
start = (x + (2 * torch.from_numpy(noise) - 1) * EPS).clamp(0, 1)
flat = lambda t: [float(np.format_float_positional(v, unique=True)) for v in t[:KEEP].reshape(-1).numpy()]
with torch.no_grad():
    logits = net(x)
json.dump({
    "count": COUNT, "logits": [float(np.format_float_positional(v, unique=True)) for v in logits.reshape(-1).numpy()],
    "fgsm": flat((x + EPS * gradient(x).sign()).clamp(0, 1)), "bim": flat(iterate(x, ALPHA, False)),
    "mim": flat(iterate(x, EPS / T, True)), "pgd": flat(iterate(start, ALPHA, False)),
}, open(f"{here}/reference.json", "w"))
