"""Computes what the views of a corpus say once more, with NumPy from the shards and from the files beside the catalogue.

    python views.py CORPUS          prints one line for each figure that differs, and last how many were compared
"""

import collections
import hashlib
import json
import math
import os
import sqlite3
import sys

import h5py
import hdf5plugin  # noqa: F401  (registers zstd)
import numpy as np

corpus = sys.argv[1]
db = sqlite3.connect(f"file:{corpus}/catalog.sqlite?mode=ro", uri=True)
db.row_factory = sqlite3.Row
compared = 0


def same(what, found, expected, relative=0.0, absolute=0.0):
    global compared
    compared += 1
    if found is None or expected is None:
        fine = found is None and expected is None
    elif isinstance(expected, str):
        fine = found == expected
    else:
        fine = abs(found - expected) <= relative * abs(expected) + absolute
    if not fine:
        print(f"{what}: {found!r}, not {expected!r}")


def view(name):
    return [dict(row) for row in db.execute(f"SELECT * FROM {name}")]


def by(rows, *keys):
    found = {tuple(row[key] for key in keys): row for row in rows}
    if len(found) != len(rows):
        print(f"lines are doubled by {keys}")
    return found


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


# The rows of each part, as columns, from the shards.
parts = collections.defaultdict(lambda: collections.defaultdict(list))
means = {}
lines = {}
with open(f"{corpus}/refs/head") as file:
    head = file.read().strip()
with open(f"{corpus}/snapshots/{head}.json") as file:
    paths = [shard["path"] for shard in json.load(file)["shards"]]
for path in paths:
    with h5py.File(f"{corpus}/{path}") as file:
        attributes = {key: file.attrs[key] for key in file.attrs}
        attack = text(attributes["attack"])
        z = file["logits"][:].astype(np.float64)
        label, prediction = file["label"][:], file["prediction"][:]
        status = file["status"][:] if "status" in file else np.where(prediction < 0, 3, -1)
        other = z.copy()
        other[np.arange(len(z)), label] = -np.inf
        own = z[np.arange(len(z)), label]
        with np.errstate(all="ignore"):
            columns = {
                "ordinal": file["ordinal"][:], "image": [text(i) for i in file["image"][:]], "label": label,
                "prediction": prediction, "status": status, "mean": z.mean(1), "minimum": z.min(1),
                "maximum": z.max(1), "l2": np.sqrt((z * z).sum(1)), "label_margin": own - other.max(1),
                "label_rank": (z > own[:, None]).sum(1)
                + ((z == own[:, None]) & (np.arange(z.shape[1]) < label[:, None])).sum(1),
            }
        for column in ("iterations", "perturbation_l2", "perturbation_linf", "status_8bit"):
            if column in file:
                columns[column] = file[column][:]
        key = (text(attributes["dataset"]), text(attributes["split"]), text(attributes["network"]), attack,
               int(attributes["view"]))
        for column, values in columns.items():
            parts[key][column].extend(values)
        valid = status != 3
        means[path] = (int(valid.sum()), z[valid].mean(0) if valid.any() else None)
        lines[path] = attributes
parts = {key: {name: np.array(values) for name, values in columns.items()} for key, columns in parts.items()}
names = ("dataset", "split", "network", "attack", "view")
statistics = ("mean", "minimum", "maximum", "l2", "label_margin", "label_rank", "iterations", "perturbation_l2",
              "perturbation_linf")


def quantiles(what, found, x):
    for name, q in (("p05", 0.05), ("p25", 0.25), ("median", 0.5), ("p75", 0.75), ("p95", 0.95)):
        same(f"{what} {name}", found[name], np.quantile(x, q), 1e-12, 1e-14)
    same(f"{what} mean", found["mean"], math.fsum(x) / len(x), 1e-12)
    same(f"{what} minimum", found["minimum"], x.min())
    same(f"{what} maximum", found["maximum"], x.max())


def check_parts():
    accuracy, success = by(view("accuracy"), *names), by(view("attack_success"), *names)
    found, margins = by(view("statistics"), *names, "statistic"), by(view("margins"), *names)
    sizes = by(view("perturbations"), *names, "norm")
    expected = 0
    for key, columns in parts.items():
        valid = columns["status"] != 3
        right = columns["prediction"] == columns["label"]
        same(f"{key} rows", accuracy[key]["rows"], int(valid.sum()))
        same(f"{key} correct", accuracy[key]["correct"], int((right & valid).sum()))
        same(f"{key} invalid", accuracy[key]["invalid"], int((~valid).sum()))
        if key[3] == "clean":
            if key in success:
                print(f"{key} is no attack")
        else:
            counts = [int((columns["status"] == code).sum()) for code in range(3)]
            for name, count in zip(("fooled", "failed", "trivial"), counts):
                same(f"{key} {name}", success[key][name], count)
            same(f"{key} rows", success[key]["rows"], sum(counts))
            share = counts[0] / (counts[0] + counts[1]) if counts[0] + counts[1] else None
            same(f"{key} success", success[key]["success"], share, 1e-15)
            rounded = columns.get("status_8bit")
            for code, name in enumerate(("fooled_8bit", "failed_8bit", "trivial_8bit")):
                count = None if rounded is None else int(((rounded == code) & valid).sum())
                same(f"{key} {name}", success[key][name], count)
            for norm in ("l2", "linf"):
                x = columns[f"perturbation_{norm}"][columns["status"] == 0].astype(np.float64)
                if len(x):
                    same(f"{key} {norm} rows", sizes[key + (norm,)]["rows"], len(x))
                    quantiles(f"{key} {norm}", sizes[key + (norm,)], x)
        for statistic in statistics:
            if statistic not in columns:
                continue
            x = columns[statistic][valid].astype(np.float64)
            expected += 1
            line = found[key + (statistic,)]
            what = f"{key} {statistic}"
            same(f"{what} rows", line["rows"], len(x))
            same(f"{what} sum", line["sum"], math.fsum(x), 1e-12)
            same(f"{what} squares", line["sum_of_squares"], math.fsum(x * x), 1e-12)
            same(f"{what} mean", line["mean"], math.fsum(x) / len(x), 1e-12)
            same(f"{what} variance", line["variance"], np.var(x), 1e-11, 1e-15 * abs(np.mean(x)))
            same(f"{what} minimum", line["minimum"], x.min(), 1e-12)
            same(f"{what} maximum", line["maximum"], x.max(), 1e-12)
        x = columns["label_margin"][valid]
        same(f"{key} margins", margins[key]["rows"], len(x))
        same(f"{key} positive", margins[key]["positive"], np.mean(x > 0), 1e-15)
        quantiles(f"{key} margins", margins[key], x)
    same("lines of statistics", len(found), expected)
    same("lines of accuracy", len(accuracy), len(parts))


def check_means():
    """Only of units that this version indexed: a former one kept no means."""
    found = view("mean_logits")
    totals = collections.defaultdict(float)
    for path, (rows, mean) in means.items():
        if rows:
            key = tuple(text(lines[path][name]) for name in names[:4]) + (int(lines[path]["view"]),)
            totals[key] = totals[key] + np.append(mean * rows, rows)
    by(found, *names, "class")
    if found:
        same("lines of mean_logits", len(found), sum(len(total) - 1 for total in totals.values()))
    for row in found:
        total = totals[tuple(row[name] for name in names)]
        what = f"{row['network']} {row['attack']} class {row['class']}"
        same(f"{what} rows", row["rows"], int(total[-1]))
        same(what, row["mean"], total[row["class"]] / total[-1], 1e-12, 1e-13)
    return len(found)


def check_networks_together():
    images = collections.defaultdict(dict)
    for (dataset, split, network, attack, number), columns in parts.items():
        valid = columns["status"] != 3
        for place in np.flatnonzero(valid):
            images[dataset, split, attack, number, int(columns["ordinal"][place])][network] = (
                int(columns["prediction"][place]), int(columns["label"][place]))
    pairs = collections.Counter()
    votes = by(view("votes"), "dataset", "split", "attack", "view", "ordinal")
    same("lines of votes", len(votes), len(images))
    for key, found in images.items():
        counts = collections.Counter(prediction for prediction, _ in found.values())
        vote = min(counts, key=lambda prediction: (-counts[prediction], prediction))
        label = next(iter(found.values()))[1]
        expected = (len(found), len(counts), vote, counts[vote], int(vote == label))
        line = votes[key]
        same(f"{key} votes", str((line["networks"], line["classes"], line["vote"], line["votes"], line["correct"])),
             str(expected))
        for network in found:
            for other in found:
                if network < other:
                    (a, label), (b, _) = found[network], found[other]
                    for name, true in (("images", 1), ("same", a == b), ("both_wrong", a != label and b != label),
                                       ("same_wrong", a == b != label)):
                        pairs[key[:4] + (network, other), name] += true
    agreement = by(view("agreement"), "dataset", "split", "attack", "view", "network", "other")
    same("lines of agreement", len(agreement), len({key for key, _ in pairs}))
    for (key, name), count in pairs.items():
        same(f"{key} {name}", agreement[key][name], count)


def sha256(path):
    with open(f"{corpus}/{path}", "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def check_lineage():
    manifests = {}
    for name in os.listdir(f"{corpus}/snapshots"):
        with open(f"{corpus}/snapshots/{name}") as file:
            manifests[name[:-5]] = json.load(file)
    held = collections.defaultdict(set)
    # By content: another snapshot may hold the rows in a former file.
    for snapshot, manifest in manifests.items():
        for shard in manifest["shards"]:
            held[shard["content_digest"]].add(snapshot)
    lineage = by(view("lineage"), "shard")
    same("lines of lineage", len(lineage), len(lines))
    for (path,), row in lineage.items():
        attributes = lines[path]
        same(f"{path} dataset", row["dataset_digest"], sha256(f"datasets/{row['dataset']}/{row['split']}.images.tsv"))
        same(f"{path} network", row["network_digest"], sha256(f"networks/{row['network_digest']}.pt"))
        same(f"{path} attack", row["attack_parameters"], text(attributes["attack_parameters"]))
        same(f"{path} content", row["content_digest"], text(attributes["content_digest"]))
        same(f"{path} file", row["file_digest"], sha256(path))
        if row["software"] is not None:
            same(f"{path} software", row["software"], text(attributes["software"]))
        same(f"{path} snapshots", str(sorted((row["snapshots"] or "").split(","))), str(sorted(held[row["content_digest"]]) or [""]))
    chains = {(row["snapshot"], row["steps"]): row["ancestor"] for row in view("ancestry")}
    count = 0
    for snapshot in manifests:
        parent, steps = manifests[snapshot].get("parent"), 1
        while parent:
            same(f"{snapshot} {steps}", chains.get((snapshot, steps)), parent)
            parent, steps, count = manifests[parent].get("parent"), steps + 1, count + 1
    same("lines of ancestry", len(chains), count)


def check_images():
    classes = {}
    for row in view("classes"):
        classes[row["dataset"], row["label"]] = row["class"]
    count = 0
    for row in view("datasets"):
        with open(f"{corpus}/datasets/{row['dataset']}/{row['split']}.json") as file:
            names = json.load(file)["class_names"]
        same(f"{row['dataset']} classes", str([classes[row["dataset"], k] for k in range(len(names))]), str(names))
        same(f"{row['dataset']} classes", row["classes"], len(names))
        count += row["images"]
    images = view("images")
    same("images", len(images), count)
    for row in images:
        if row["class"] != classes[row["dataset"], row["label"]]:
            print(f"{row['image']} is of class {row['class']}")


def check_defenders():
    defenders = {}
    for name in os.listdir(f"{corpus}/defenders"):
        with open(f"{corpus}/defenders/{name}/defender.json") as file:
            defenders[name] = json.load(file)
    for row in view("defender_lineage"):
        defender = defenders[row["defender"]]
        same(f"{row['defender']} snapshot", row["snapshot"], defender["snapshot"])
        same(f"{row['defender']} weights", row["weights_digest"],
             sha256(f"defenders/{row['defender']}/weights.safetensors"))
        same(f"{row['defender']} network", row["network_digest"], sha256(f"networks/{row['network_digest']}.pt"))
    newest = {}
    results = by(view("defender_results"), "evaluation", "attack")
    count = 0
    for name in os.listdir(f"{corpus}/evaluations"):
        with open(f"{corpus}/evaluations/{name}") as file:
            evaluation = json.load(file)
        for figure in evaluation["figures"]:
            count += 1
            row = results[name[:-5], figure["attack"]]
            same(f"{name} trained", row["trained_attacks"], ",".join(defenders[evaluation["defender"]]["attacks"]))
            same(f"{name} corrected", row["corrected_accuracy"], figure["corrected_correct"] / figure["rows"], 1e-15)
            same(f"{name} gain", row["gain"],
                 (figure["corrected_correct"] - figure["undefended_correct"]) / figure["rows"], 1e-15)
            key = tuple(evaluation.get(field) for field in ("defender", "dataset", "split", "selection", "network"))
            key += (figure["attack"],)
            newest[key] = max(newest.get(key, ("",)), (evaluation["created"], name, row["corrected_accuracy"]))
    same("lines of defender_results", len(results), count)
    transfer = by(view("transfer"), "defender", "dataset", "split", "selection", "network", "attack")
    same("lines of transfer", len(transfer), len(newest))
    for key, (_, _, accuracy) in newest.items():
        same(f"{key} transfer", transfer[key]["corrected_accuracy"], accuracy, 1e-15)


check_parts()
mean_count = check_means()
check_networks_together()
check_lineage()
check_images()
check_defenders()
print(f"{compared} figures compared, {mean_count} means")
