"""Recomputes every accuracy of a report from the shards, the selections and the defenders' weights, with h5py and NumPy.

    tools/check-report CORPUS REPORT      (a folder that logit report wrote)

Nothing of ours is called: predictions are read or taken anew as the arg max of stored logits, and a defender is its two or
more matrices. Where two classes of a corrected row are so close that float32 cannot tell them apart, either counts.
"""

import csv
import json
import pathlib
import sys

import h5py
import hdf5plugin  # noqa: F401  (registers zstd)
import numpy
from safetensors.numpy import load_file

CLOSE = 1e-4  # of the row's largest magnitude


def manifest_of(corpus, page):
    snapshot = page.split("Snapshot <code>", 1)[1].split("</code>", 1)[0]
    return json.loads((corpus / "snapshots" / f"{snapshot}.json").read_text())


class Rows:
    """The valid rows of one variant, by ordinal."""

    def __init__(self, corpus, manifest, key):
        self.ordinal, self.label, self.prediction, self.logits = [], [], [], []
        names = ("dataset", "split", "network", "attack")
        for shard in manifest["shards"]:
            if tuple(shard[name] for name in names) != key or shard["view"] != 0:
                continue
            with h5py.File(corpus / shard["path"]) as file:
                prediction = file["prediction"][:]
                valid = prediction >= 0
                if "status" in file:
                    valid &= file["status"][:] != 3
                logits = file["logits"][:]
                self.ordinal.append(file["ordinal"][:][valid])
                self.label.append(file["label"][:][valid])
                self.prediction.append(prediction[valid])
                self.logits.append(logits[valid].astype(numpy.float64))
        if not self.ordinal:
            raise SystemExit(f"check-report: the snapshot has no rows of {'/'.join(key)}")
        for name in ("ordinal", "label", "prediction", "logits"):
            setattr(self, name, numpy.concatenate(getattr(self, name)))

    def among(self, ordinals):
        return numpy.ones(len(self.ordinal), bool) if ordinals is None else numpy.isin(self.ordinal, ordinals)


def corrected(corpus, defender, logits):
    tensors = load_file(corpus / "defenders" / defender / "weights.safetensors")
    layers = len(tensors) // 2
    values = logits
    for layer in range(layers):
        weight, bias = (tensors[f"{name}{layer}"].astype(numpy.float64) for name in ("weight", "bias"))
        values = values @ weight.T + bias
        if layer < layers - 1:
            values = numpy.maximum(values, 0)
    return values


class Checker:
    def __init__(self, corpus, report):
        self.corpus = pathlib.Path(corpus)
        self.report = pathlib.Path(report)
        self.manifest = manifest_of(self.corpus, (self.report / "index.html").read_text())
        self.rows, self.outputs = {}, {}
        self.figures = self.failures = self.ambiguous = 0

    def rows_of(self, key):
        if key not in self.rows:
            self.rows[key] = Rows(self.corpus, self.manifest, key)
        return self.rows[key]

    def selection(self, name):
        return json.loads((self.corpus / "selections" / f"{name}.json").read_text())

    def counts(self, line):
        """(rows, correct, how many of them are too close to tell) for each seed of a figure."""
        rows = self.rows_of(tuple(line[name] for name in ("dataset", "split", "network", "logits")))
        ordinals = None
        is_folded = line["images"].endswith(" folds")
        if line["images"] != "full" and not is_folded:
            ordinals = self.selection(line["images"])["ordinals"]
        chosen = rows.among(ordinals)
        if line["defence"] == "none":
            return [(int(chosen.sum()), int((rows.prediction == rows.label)[chosen].sum()), 0)]
        seeds = {}
        for defender in line["defenders"].split():
            described = json.loads((self.corpus / "defenders" / defender / "defender.json").read_text())
            part = chosen
            if is_folded:
                unseen = set(self.selection(described["selection"])["ordinals"])
                part = ~numpy.isin(rows.ordinal, list(unseen))
            key = (defender,) + tuple(line[name] for name in ("dataset", "split", "network", "logits"))
            if key not in self.outputs:
                values = corrected(self.corpus, defender, rows.logits)
                top = numpy.sort(values, axis=1)[:, -2:]
                close = top[:, 1] - top[:, 0] <= CLOSE * numpy.abs(values).max(axis=1)
                self.outputs[key] = (values.argmax(axis=1) == rows.label, close)
            right, close = self.outputs[key]
            sums = seeds.setdefault(described["options"]["seed"], [0, 0, 0])
            for place, mask in enumerate((part, part & right, part & close)):
                sums[place] += int(mask.sum())
        return [tuple(seeds[seed]) for seed in sorted(seeds)]

    def check(self, line):
        self.figures += 1
        found = self.counts(line)
        told = [int(count) for count in line["correct"].split()]
        fine = len(found) == len(told) and all(
            rows == int(line["rows"]) and abs(correct - count) <= close
            for (rows, correct, close), count in zip(found, told)
        )
        share = sum(told) / len(told) / int(line["rows"])
        low, high = wilson(share, int(line["rows"]))
        for name, value in (("percent", share), ("low_95", low), ("high_95", high)):
            fine = fine and abs(float(line[name]) - 100 * value) < 6e-5
        self.ambiguous += sum(correct != count for (_, correct, _), count in zip(found, told))
        if not fine:
            self.failures += 1
            print(f"differs: {line}\n  recomputed (rows, correct, too close to tell): {found}")

    def run(self):
        for path in sorted(self.report.glob("*.csv")):
            with path.open(newline="") as file:
                for line in csv.DictReader(file):
                    if "defence" in line:
                        self.check(line)
        print(
            f"check-report: {self.figures} accuracies recomputed, {self.failures} differ"
            f" ({self.ambiguous} by rows too close to tell)"
        )
        return 1 if self.failures or not self.figures else 0


def wilson(share, total):
    z = 1.959963984540054
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * (share * (1 - share) / total + z * z / (4 * total * total)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: tools/check-report CORPUS REPORT")
    sys.exit(Checker(sys.argv[1], sys.argv[2]).run())
