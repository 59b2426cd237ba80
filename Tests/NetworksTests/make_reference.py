"""Freezes Tests/NetworksTests/reference.json: logits and attacks on the fixture network by plain PyTorch.

    tools/crosscheck --install && .venv-crosscheck/bin/python Tests/NetworksTests/make_reference.py

The attacks are those of tools/reference_attacks.py, which this script first holds against foolbox and ART. PGD starts from the
documented random numbers with each image's key.
"""
import io, json, os, sys, tarfile
import numpy as np, torch
from PIL import Image

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.join(here, "..", "..", "fixtures")
sys.path.insert(0, os.path.join(here, "..", "..", "tools"))
import peer_attacks as peers, reference_attacks as reference

COUNT, KEEP, EPS, ALPHA, T = 8, 2, 16 / 255, 2 / 255, 10
DEEPFOOL = {"candidates": 10, "steps": 100, "overshoot": 0.02}
CW = {"confidence": 0, "learning-rate": 0.01, "steps": 25, "search-steps": 4, "initial-cost": 10}

torch.set_num_threads(1)
with tarfile.open(f"{root}/test.tar") as tar:
    names = sorted(m.name for m in tar)
    chosen = [names[7 * i] for i in range(COUNT)]
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(tar.extractfile(n).read())).convert("RGB")) for n in chosen])
classes = sorted({n.split("/")[0] for n in names})
y = torch.tensor([classes.index(n.split("/")[0]) for n in chosen])
x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255).contiguous()
network = peers.load(f"{root}/networks/residual.pt", x.shape[1:], len(classes))
net = network.module
with torch.no_grad():
    logits = net(x)
clean = logits.argmax(1)


def numbers(tensor):
    """The shortest decimals that are these float32."""
    return [float(np.format_float_positional(v, unique=True)) for v in tensor.detach().reshape(-1).numpy()]


def distances(images):
    return (images - x).flatten(1).double().norm(dim=1)


def agree(name, ours, theirs, labels, gate):
    """Of the images that were right before: the largest relative difference of the L2 norms is within the gate."""
    right = clean == labels
    relative = ((distances(ours) - distances(theirs)).abs() / distances(theirs))[right].max().item()
    print(f"{name}: L2 within {relative:.1e} of {int(right.sum())} images")
    assert relative <= gate, name


def record(attacked):
    with torch.no_grad():
        after = net(attacked.images)
    result = {"iterations": attacked.iterations, "l2": numbers(distances(attacked.images).float()), "logits": numbers(after),
              "images": numbers(attacked.images[:KEEP])}
    return result | ({"cost": attacked.cost} if attacked.cost else {})


deepfool = reference.deepfool(net, x, *DEEPFOOL.values())
clipped = reference.deepfool(net, x, *DEEPFOOL.values(), clipped=True)
agree("DeepFool and foolbox", deepfool.images, peers.job("foolbox", "deepfool", DEEPFOOL, network, COUNT)(x, clean), clean, 0.05)
agree("DeepFool clipped as ART's and ART", clipped.images, peers.job("art", "deepfool", DEEPFOOL, network, 1)(x, clean), clean, 1e-3)
aborting, whole = (reference.cw(net, x, y, *CW.values(), abort) for abort in (True, False))
agree("C&W and foolbox", whole.images, peers.job("foolbox", "cw", CW, network, COUNT, abort=False)(x, y), y, 1e-3)

keys = [(i * 0x9E3779B97F4A7C15) % 2 ** 64 for i in range(COUNT)]
noise = reference.start_noise(keys, x.shape[1:], EPS)
frozen = {
    "fgsm": reference.fgsm(net, x, y, EPS), "bim": reference.iterate(net, x, y, EPS, ALPHA, T),
    "mim": reference.iterate(net, x, y, EPS, EPS / T, T, decay=1.0), "pgd": reference.iterate(net, x, y, EPS, ALPHA, T, noise),
}
json.dump(
    {"count": COUNT, "logits": numbers(logits)} | {name: numbers(attacked.images[:KEEP]) for name, attacked in frozen.items()}
    | {"deepfool": record(deepfool), "cw": record(aborting), "cw_whole": record(whole)},
    open(f"{here}/reference.json", "w"))
