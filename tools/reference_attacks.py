"""The attacks of this project once more in plain PyTorch, to check the product and the other libraries against.

Written for reading, not for speed: DeepFool and C&W take one image at a time, so that nothing can depend on a neighbour.
Images are float32 [n, 3, h, w] in [0,1], labels int64 [n]; a network maps such images to logits.
"""
import dataclasses, math
import numpy as np, torch


@dataclasses.dataclass
class Attacked:
    images: torch.Tensor
    iterations: list  # an image: the gradient evaluations of C&W, the steps of DeepFool
    cost: list = None  # C&W: the c of the last search step
    least_slope: torch.Tensor = None  # MIM: the smallest mean |gradient| of each image that divided a gradient


def uniform(keys, values):
    """U[0,1) for each key: Philox4x32-10 with a 64-bit key, 24 bits a float, four to a counter; float32 [keys, values]."""
    mask = np.uint64(0xFFFFFFFF)
    keys = np.asarray(keys, np.uint64)[:, None]
    blocks = (values + 3) // 4
    c = [np.tile(np.arange(blocks, dtype=np.uint64), (len(keys), 1))] + [np.zeros((len(keys), blocks), np.uint64)] * 3
    k = [keys & mask, keys >> np.uint64(32)]
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> np.uint64(32)) ^ c[1] ^ k[0], b & mask, (a >> np.uint64(32)) ^ c[3] ^ k[1], a & mask]
        k = [(k[0] + np.uint64(0x9E3779B9)) & mask, (k[1] + np.uint64(0xBB67AE85)) & mask]
    words = np.stack(c, -1).reshape(len(keys), -1)[:, :values]
    return (words >> np.uint64(8)).astype(np.float32) * np.float32(2.0 ** -24)


def start_noise(keys, shape, epsilon):
    """The η of PGD's start, U(−ε, ε), for images of that shape [3, h, w]."""
    unit = torch.from_numpy(uniform(keys, math.prod(shape))).reshape(len(keys), *shape)
    return (2 * unit - 1) * np.float32(epsilon)


def gradient(net, images, labels):
    """d Σ CE / d images, and the logits."""
    images = images.detach().clone().requires_grad_(True)
    logits = net(images)
    loss = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    return torch.autograd.grad(loss, images)[0], logits.detach()


def fgsm(net, x, y, epsilon):
    return Attacked((x + epsilon * gradient(net, x, y)[0].sign()).clamp(0, 1), [1] * len(x))


def iterate(net, x, y, epsilon, step, steps, noise=None, decay=None):
    """BIM; PGD with a start; MIM with a decay."""
    images = x.clone() if noise is None else (x + noise).clamp(0, 1)
    momentum = torch.zeros_like(x)
    least = torch.full((len(x),), torch.inf)
    for _ in range(steps):
        g = gradient(net, images, y)[0]
        if decay is not None:
            mean = g.abs().mean((1, 2, 3), keepdim=True)
            least = torch.minimum(least, mean.flatten())
            momentum = decay * momentum + g / mean.clamp_min(1e-12)
            g = momentum
        images = images + step * g.sign()
        images = (x + (images - x).clamp(-epsilon, epsilon)).clamp(0, 1)
    return Attacked(images, [steps] * len(x), least_slope=least)


def deepfool(net, x, candidates, steps, overshoot, clipped=False):
    """clipped: keep x + r in [0,1] after each step, as ART does; the product never clips r."""
    results = [_deepfool(net, image, candidates, steps, overshoot, clipped) for image in x]
    return Attacked(torch.stack([r[0] for r in results]), [r[1] for r in results])


def _deepfool(net, x, candidates, steps, overshoot, clipped):
    r = torch.zeros_like(x, dtype=torch.float64)
    left = None
    for step in range(steps + 1):
        point = (x + r).clamp(0, 1).float()[None].requires_grad_(True)
        z = net(point)[0]
        order = torch.sort(z.detach(), descending=True, stable=True).indices[:candidates]
        left = order[0] if left is None else left
        if order[0] != left or step == steps:
            break
        slopes = [torch.autograd.grad(z[k], point, retain_graph=True)[0][0].double() for k in order]
        best = None
        for k, slope in zip(order[1:], slopes[1:]):
            w = slope - slopes[0]
            if (norm := w.norm().item()) == 0:
                continue
            p = (abs((z[k] - z[order[0]]).item()) + 1e-5) / norm
            if best is None or p < best[0]:
                best = p, w / norm
        if best is None:
            break
        r += best[0] * best[1]
        if clipped:
            r = (x + r).clamp(0, 1) - x
    return (x + (1 + overshoot) * r).clamp(0, 1).float(), step


def cw(net, x, y, confidence, rate, steps, searches, initial_cost, abort):
    """The attack of Carlini and Wagner in L2; abort: each image's own, or none."""
    results = [_cw(net, *pair, confidence, rate, steps, searches, initial_cost, abort) for pair in zip(x, y)]
    images, iterations, cost = zip(*results)
    return Attacked(torch.stack(images), list(iterations), list(cost))


def _cw(net, x, y, confidence, rate, steps, searches, cost, abort):
    w0 = torch.atanh((2 * x - 1) * 0.999999)
    round_trip = (torch.tanh(w0) + 1) / 2
    with torch.no_grad():
        if net(x[None])[0].argmax() != y:
            return x.clone(), 0, cost  # wrong already: L2 0 is exact
    low, high, best, image, evaluations = 0.0, math.inf, math.inf, x.clone(), 0
    for search in range(searches):
        if search > 0:
            if success:
                high = min(high, cost)
            else:
                low = max(low, cost)
            cost = (low + high) / 2 if math.isfinite(high) else cost * 10
            if searches >= 10 and search == searches - 1:
                cost = min(high, 1e10)
        delta = torch.zeros_like(x, requires_grad=True)
        adam = torch.optim.Adam([delta], lr=rate)
        previous, success = 1e6, False
        for step in range(steps):
            candidate = (torch.tanh(w0 + delta) + 1) / 2
            z = net(candidate[None])[0]
            evaluations += 1
            margin = z[y] - torch.cat([z[:y], z[y + 1:]]).max() + confidence
            squares = (candidate - round_trip).square().sum()
            loss = squares + cost * margin.clamp_min(0)
            if abort and step % max(1, steps // 10) == 0:
                if loss.item() > 0.9999 * previous:
                    break
                previous = loss.item()
            if margin.item() < 0:
                success = True
                if squares.item() < best:
                    best, image = squares.item(), candidate.detach().clone()
            delta.grad = torch.autograd.grad(loss, delta)[0]
            adam.step()
    return image, evaluations, cost
