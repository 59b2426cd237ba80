"""Holds a defender's training to PyTorch: from the same first weights, on the same batches of the sampler's stream, with the same
dropout masks, the losses of the first steps and the weights after them.

    python3 tools/check_training.py .build/release/logit-bench [--steps 50] [--classes 1000] [--hidden 10000] [--dropout 0.5]

Needs torch (2.13.0 CPU) and NumPy.
"""
import argparse, json, subprocess, sys, tempfile
import numpy as np, torch

M = (1 << 64) - 1


def mix(x):
    """splitmix64's finaliser, on arrays of uint64 (Sources/CTorch/mlp_kernels.h)."""
    x = (x + np.uint64(0x9E3779B97F4A7C15))
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def mask(seed, step, layer, shape, dropout):
    """Which hidden values of a step are kept."""
    one = lambda v: np.array([v & M], np.uint64)
    key = mix(mix(mix(one(~seed)) ^ one(step)) ^ one(layer))[0]
    kept = (mix(key ^ np.arange(np.prod(shape), dtype=np.uint64)) >> np.uint64(32)) < np.uint64(int((1 - dropout) * 2**32))
    return torch.from_numpy(kept.reshape(shape).astype(np.float32)) / (1 - dropout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bench"); parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--classes", type=int, default=1000); parser.add_argument("--hidden", type=int, default=10000)
    parser.add_argument("--layers", type=int, default=2); parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--rows", type=int, default=4096); parser.add_argument("--corpus")
    o = parser.parse_args()
    np.seterr(over="ignore")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([o.bench, "train", "--folder", o.corpus or f"{folder}/corpus", "--rows", str(o.rows), "--classes", str(o.classes),
                        "--hidden", str(o.hidden), "--layers", str(o.layers), "--dropout", str(o.dropout),
                        "--steps", str(o.steps), "--trace", f"{folder}/trace"], check=True)
        read = lambda name, kind: np.fromfile(f"{folder}/trace/{name}", kind)
        about = json.load(open(f"{folder}/trace/about.json"))
        parameters, trained = read("parameters", np.float32), read("trained", np.float32)
        logits, labels = read("logits", np.float32).reshape(-1, o.classes), read("labels", np.int32)
        counts, losses = read("counts", np.int32), read("losses", np.float64)
    parts, offset, linears = [], 0, []
    for l in range(o.layers):
        linear = torch.nn.Linear(o.classes if l == 0 else o.hidden, o.classes if l == o.layers - 1 else o.hidden)
        for p in (linear.weight, linear.bias):
            p.data = torch.from_numpy(parameters[offset:offset + p.numel()].reshape(p.shape).copy())
            offset += p.numel()
        linears.append(linear)
    adam = torch.optim.Adam([p for l in linears for p in (l.weight, l.bias)], lr=about["learning_rate"], weight_decay=about["weight_decay"])
    row, worst = 0, 0
    for step, count in enumerate(counts, 1):
        x, y = torch.from_numpy(logits[row:row + count]), torch.from_numpy(labels[row:row + count].astype(np.int64))
        row += count
        for l, linear in enumerate(linears):
            x = linear(x)
            if l < o.layers - 1:
                x = torch.relu(x)
                if o.dropout > 0:
                    x = x * mask(int(about["seed"]), step, l, tuple(x.shape), o.dropout)
        loss = torch.nn.functional.cross_entropy(x, y)
        adam.zero_grad(); loss.backward(); adam.step()
        worst = max(worst, abs(loss.item() - losses[step - 1]) / max(1, abs(loss.item())))
        if step in (1, 2, 5, 10, 20, 50) or step == len(counts):
            print(f"step {step}: loss {losses[step - 1]:.7f}, PyTorch {loss.item():.7f}")
    theirs = np.concatenate([p.detach().numpy().ravel() for l in linears for p in (l.weight, l.bias)])
    moved, apart = np.abs(trained - parameters).max(), np.abs(trained - theirs)
    print(f"losses within {worst:.2e} (relative); of the weights, which moved by up to {moved:.2e}, the furthest is {apart.max():.2e} apart, "
          f"the mean {apart.mean():.2e}")
    ok = worst < 1e-5 and apart.mean() < 1e-3 * moved
    print("agrees" if ok else "DIFFERS")
    sys.exit(0 if ok else 1)


main()
