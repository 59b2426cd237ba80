"""What `logit histogram` and `logit bhattacharyya` say, once more with NumPy from the shards.

    python histograms.py LOGIT CORPUS      prints a line for each figure that differs, and last how many were compared
"""

import itertools
import json
import subprocess
import sys

import h5py
import hdf5plugin  # noqa: F401  (registers zstd)
import numpy as np

logit, corpus = sys.argv[1:]
compared = 0


def ask(*arguments):
    ran = subprocess.run([logit, *arguments, "--format", "json", "--quiet"], capture_output=True, text=True)
    if ran.returncode:
        print(f"{arguments}: {ran.stderr}")
        sys.exit(1)
    return json.loads(ran.stdout)


def close(what, found, expected, relative):
    global compared
    compared += 1
    if found is None or not np.allclose(found, expected, rtol=relative, atol=1e-15):
        print(f"{what}: {found}, not {expected}")


def statistics(file):
    """By name, of the rows that are not invalid, with their ordinals."""
    z = file["logits"][:].astype(np.float64)
    label, rows = file["label"][:], np.arange(len(z))
    valid = file["status"][:] != 3 if "status" in file else file["prediction"][:] >= 0
    z, label, rows = z[valid], label[valid], rows[: valid.sum()]
    other = z.copy()
    other[rows, label] = -np.inf
    ordered = np.sort(z, 1)
    total = ordered[:, -1] + np.log(np.exp(z - ordered[:, -1:]).sum(1))
    p = np.exp(z - total[:, None])
    found = {
        "mean": z.mean(1), "l2": np.sqrt((z * z).sum(1)), "maximum": ordered[:, -1],
        "label_margin": z[rows, label] - other.max(1), "logsumexp": total, "entropy": -(p * np.log(p)).sum(1),
        "margin": ordered[:, -1] - ordered[:, -2], "probability": p.max(1),
    }
    for name in ("iterations", "perturbation_l2"):
        if name in file:
            found[name] = file[name][:][valid].astype(np.float64)
    return file["ordinal"][:][valid], found


def check(variants, statistic, bins, values):
    attack = ",".join(variants)
    common = [corpus, "--attack", attack, "--statistic", statistic, "--bins", str(bins)]
    shared = ask("histogram", *common)
    edges = np.histogram_bin_edges(np.concatenate([values[name][statistic] for name in variants]), bins)
    close(f"{statistic} edges", shared["edges"], edges, 1e-12)
    own = ask("histogram", *common, "--edges", "own")
    counts = {}
    for name, first, second in zip(variants, shared["variants"], own["variants"]):
        x = values[name][statistic]
        counts[name] = np.histogram(x, edges)[0]
        close(f"{statistic} counts of {name}", first["counts"], counts[name], 0)
        expected, edges_of_own = np.histogram(x, bins)
        close(f"{statistic} own counts of {name}", second["counts"], expected, 0)
        close(f"{statistic} own edges of {name}", second["edges"], edges_of_own, 1e-12)
    found = {(pair["first"], pair["second"]): pair for pair in ask("bhattacharyya", *common)["pairs"]}
    for a, b in itertools.combinations(variants, 2):
        p, q = counts[a] / counts[a].sum(), counts[b] / counts[b].sum()
        coefficient = np.sqrt(p * q).sum()
        close(f"{statistic} coefficient of {a}, {b}", found[a, b]["coefficient"], coefficient, 1e-12)
        close(f"{statistic} Hellinger of {a}, {b}", found[a, b]["hellinger"], np.sqrt(max(0, 1 - coefficient)), 1e-7)
        _, first, second = np.intersect1d(values[a]["ordinal"], values[b]["ordinal"], return_indices=True)
        rose = values[b][statistic][second] > values[a][statistic][first]
        close(f"{statistic} rose from {a} to {b}", found[a, b]["share_rose"]["count"], rose.sum(), 0)
        close(f"{statistic} images of {a}, {b}", found[a, b]["share_rose"]["total"], len(rose), 0)
    close(f"{statistic} rose", shared["share_rose"]["count"], found[variants[0], variants[1]]["share_rose"]["count"], 0)


values = {}
for shard in ask("sql", corpus, "SELECT shard, attack FROM lineage"):
    with h5py.File(f"{corpus}/{shard['shard']}") as file:
        ordinals, found = statistics(file)
    found["ordinal"] = ordinals
    kept = values.setdefault(shard["attack"], found)
    if kept is not found:
        values[shard["attack"]] = {name: np.concatenate([kept[name], found[name]]) for name in kept}
for statistic in ("mean", "l2", "maximum", "label_margin", "logsumexp", "entropy", "margin", "probability"):
    check(["clean", "pgd", "fgsm"], statistic, 20, values)
for statistic in ("iterations", "perturbation_l2"):
    check(["pgd", "fgsm"], statistic, 7, values)
check(["clean", "pgd"], "mean", 1, values)
print(f"{compared} figures compared")
