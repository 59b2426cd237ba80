"""What NumPy makes of a corpus's rows: answers to the questions of AgreementTests, as JSON, computed from the shards by h5py.

    reference.py CORPUS
"""
import glob, json, sys
import h5py, hdf5plugin  # noqa: F401  (registers the filter)
import numpy as np

rows = {}
for path in glob.glob(f"{sys.argv[1]}/shards/**/*.h5", recursive=True):
    with h5py.File(path, "r") as file:
        attack = file.attrs["attack"].decode()
        for place, ordinal in enumerate(file["ordinal"][:]):
            rows.setdefault(attack, {})[int(ordinal)] = (file["logits"][place].astype(np.float64), int(file["label"][place]))


def softmax(z, temperature=1.0):
    e = np.exp((z - z.max(axis=-1, keepdims=True)) / temperature)
    return e / e.sum(axis=-1, keepdims=True)


def logsumexp(z, temperature=1.0):
    top = z.max(axis=-1)
    return top + temperature * np.log(np.exp((z - top[..., None]) / temperature).sum(axis=-1))


def ece(z, label, bins):
    p = softmax(z)
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == label
    total = 0.0
    for low, high in zip(np.arange(bins) / bins, np.arange(1, bins + 1) / bins):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return total


clean = [rows["clean"][ordinal] for ordinal in sorted(rows["clean"])]
z = np.array([row[0] for row in clean])
label = np.array([row[1] for row in clean])
both = sorted(set(rows["clean"]) & set(rows["pgd"]))
a, b = (np.array([rows[attack][ordinal][0] for ordinal in both]) for attack in ("clean", "pgd"))
every = np.arange(len(z))
sorted_z = np.sort(z, axis=1)
p = softmax(z)
answers = {
    "mean": z.mean(axis=1), "l2": np.linalg.norm(z, axis=1), "argmax": z.argmax(axis=1),
    "logsumexp": logsumexp(z), "logsumexp 2": logsumexp(z, 2.0),
    "entropy": -(p * np.log(p)).sum(axis=1), "entropy 3": -(softmax(z, 3.0) * np.log(softmax(z, 3.0))).sum(axis=1),
    "margin": sorted_z[:, -1] - sorted_z[:, -2], "softmax": p[every, label], "softmax 0.5": softmax(z, 0.5)[:, 3],
    "logit": z[:, 99], "to_json": z[0],
    "cosine": (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)),
    "vec_mean": z.mean(axis=0), "vec_variance": z.var(axis=0), "vec_variance 1": z.var(axis=0, ddof=1),
    "vec_min": z.min(axis=0), "vec_max": z.max(axis=0), "vec_mean by label": z[label == 3].mean(axis=0),
    "histogram": np.histogram(z.mean(axis=1), 20, (-1, 1))[0], "edges": np.histogram(z.mean(axis=1), 20, (-1, 1))[1],
    "quantile": [np.quantile(z.mean(axis=1), q) for q in (0, 0.1, 0.5, 0.77, 1)],
    "ece": [ece(z, label, bins) for bins in (15, 10, 1)],
    "nll": [(logsumexp(z) - z[every, label]).mean()],
    "top_k": np.argsort(-z[5], kind="stable")[:4],
}
print(json.dumps({name: np.atleast_1d(np.asarray(value, float)).tolist() for name, value in answers.items()}))
