"""Holds what `logit support` says of a defender to PyTorch: every S_k and H_ik of every row by autograd in double precision, from
the shards as h5py reads them and the weights as safetensors reads them, and the counts that come of them.

    python3 tools/check_defender.py LOGIT CORPUS DEFENDER [ATTACK] [--split test] [--rows N]

Needs torch (2.13.0 CPU), h5py, hdf5plugin, safetensors.
"""
import argparse, json, os, subprocess, sys

import h5py, hdf5plugin, numpy as np, torch
from safetensors.torch import load_file


def rows(corpus, head, record, attack, split):
    """Logits, labels and status of the head snapshot's rows, in shard order."""
    parts = []
    for shard in json.load(open(f"{corpus}/snapshots/{head}.json"))["shards"]:
        path = f"{corpus}/{shard['path']}"
        with h5py.File(path) as f:
            a = {k: v.decode() if isinstance(v, bytes) else v for k, v in f.attrs.items()}
            if (a["dataset"], a["split"], a["network"], a["attack"]) != (record["dataset"], split, record["network"], attack):
                continue
            z = f["logits"][:].astype(np.float32)
            status = f["status"][:] if "status" in f else np.where(f["prediction"][:] < 0, 3, 0)
            parts.append((z, f["label"][:], f["prediction"][:], status))
    z, y, p, s = (np.concatenate(x) for x in zip(*parts))
    keep = s != 3
    return z[keep], y[keep], p[keep]


def network(folder, layers):
    weights = load_file(f"{folder}/weights.safetensors")
    parts = []
    for i in range(layers):
        w, b = weights[f"weight{i}"], weights[f"bias{i}"]
        linear = torch.nn.Linear(w.shape[1], w.shape[0])
        linear.weight.data, linear.bias.data = w, b
        parts += [linear] + ([torch.nn.ReLU()] if i < layers - 1 else [])
    return torch.nn.Sequential(*parts).double()


def slopes(net, z, y):
    """S and H_ik of each row: two vector-Jacobian products a row, by autograd."""
    x = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    out = net(x)
    own, = torch.autograd.grad(out[torch.arange(len(y)), torch.tensor(y, dtype=torch.long)].sum(), x, retain_graph=True)
    mean, = torch.autograd.grad(out.mean(1).sum(), x)
    return (own - mean).numpy(), own.numpy(), out.detach().numpy()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("logit"); parser.add_argument("corpus"); parser.add_argument("defender")
    parser.add_argument("attack", nargs="?"); parser.add_argument("--split", default="test")
    parser.add_argument("--rows", type=int, default=20, help="rows whose whole result is compared one by one")
    o = parser.parse_args()
    torch.set_num_threads(1)
    record = json.load(open(f"{o.corpus}/defenders/{o.defender}/defender.json"))
    attack = o.attack or record["attacks"][0]
    head = open(f"{o.corpus}/refs/head").read().strip()
    z, y, p = rows(o.corpus, head, record, attack, o.split)
    net = network(f"{o.corpus}/defenders/{o.defender}", record["options"]["layers"])
    # The whole Jacobian of a few rows: what the products are products of.
    for i in range(3):
        H = torch.autograd.functional.jacobian(net, torch.tensor(z[i], dtype=torch.float64)).numpy()
        S, own, _ = slopes(net, z[i:i + 1], y[i:i + 1])
        assert np.abs(S[0] - (H[y[i]] - H.mean(0))).max() < 1e-12 and np.abs(own[0] - H[y[i]]).max() < 1e-12
    S, own, out = (np.concatenate(x) for x in zip(*(slopes(net, z[i:i + 512], y[i:i + 512]) for i in range(0, len(z), 512))))

    def ask(*extra):
        command = [o.logit, "support", o.corpus, "--defender", o.defender, "--attack", attack, "--split", o.split]
        return json.loads(subprocess.check_output(command + ["--format", "json", "--quiet", *extra]))

    said = ask()
    C = z.shape[1]
    counts = np.bincount(np.argsort(-S, 1, kind="stable")[:, :said["top"]].ravel(), minlength=C)
    pulls = np.bincount(np.argsort(-own, 1, kind="stable")[:, :said["top"]].ravel(), minlength=C)
    table = {c["class"]: c for c in said["classes"]}
    worst = max(abs(table[k]["support"] - S[:, k].mean()) for k in range(C))
    pull = max(abs(table[k]["pull"] - own[:, k].mean()) for k in range(C))
    moved = sum(abs(table[k]["count"] - counts[k]) for k in range(C))
    moved_pull = sum(abs(table[k]["pull_count"] - pulls[k]) for k in range(C))
    corrected = int(((p != y) & (out.argmax(1) == y)).sum())
    print(f"{len(z)} rows, {C} classes: images {said['images']}, corrected {said['corrected']} (PyTorch {corrected})")
    print(f"mean S within {worst:.2e}, mean H_ik within {pull:.2e}; of {10 * len(z)} places in tops {moved} and {moved_pull} differ")
    # One image at a time. The ids are the catalogue's.
    listed = [line.rstrip("\n").split("\t") for line in open(f"{o.corpus}/datasets/{record['dataset']}/{o.split}.images.tsv")]
    furthest = 0
    for i in np.linspace(0, len(listed) - 1, o.rows).astype(int):
        try:
            one = ask("--image", listed[i][2], "--top", str(C))
        except subprocess.CalledProcessError:
            continue  # no row of this image
        if len(z) != len(listed):
            continue
        got = np.zeros(C); got_own = np.zeros(C)
        for c in one["classes"]:
            got[c["class"]], got_own[c["class"]] = c["support"], c["pull"]
        furthest = max(furthest, np.abs(got - S[i]).max(), np.abs(got_own - own[i]).max())
    print(f"{o.rows} images one by one: S and H_ik within {furthest:.2e}")
    ok = said["images"] == len(z) and corrected == said["corrected"] and max(worst, pull, furthest) < 1e-5
    ok = ok and max(moved, moved_pull) <= 1e-3 * 10 * len(z)
    print("agrees" if ok else "DIFFERS")
    sys.exit(0 if ok else 1)


main()
