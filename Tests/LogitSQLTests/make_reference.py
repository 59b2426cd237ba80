"""Freezes what SciPy and scikit-learn say of small vectors, scores and histograms into reference.json.

    make_reference.py > reference.json      (numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1)
"""
import json
import numpy as np
import scipy.special, scipy.stats, scipy.spatial
import sklearn.metrics

rng = np.random.default_rng(11)


def floats(values):
    return np.asarray(values, np.float32)


vectors = [rng.normal(0, 4, 10), rng.normal(3, 0.01, 33), rng.normal(0, 200, 100), [1.0, 1.0, 1.0], [0.0, -80.0],
           [88.5, 88.25, -3.0e38], rng.normal(-5, 2, 1000)]
scalars = []
for values in vectors:
    z = floats(values)
    d = z.astype(float)
    order = sorted(range(len(z)), key=lambda k: (-z[k], k))
    k = len(z) // 2
    scalars.append(dict(
        z=z.tobytes().hex(), k=k, mean=d.mean(), l2=float(np.linalg.norm(d)), argmax=int(z.argmax()),
        logit=d[k], margin=d[order[0]] - d[order[1]],
        logsumexp=float(scipy.special.logsumexp(d)), logsumexp_t=float(2.5 * scipy.special.logsumexp(d / 2.5)),
        entropy=float(scipy.stats.entropy(scipy.special.softmax(d))),
        entropy_t=float(scipy.stats.entropy(scipy.special.softmax(d / 2.5))),
        softmax=float(scipy.special.softmax(d)[k]), softmax_t=float(scipy.special.softmax(d / 2.5)[k]),
        cosine=float(1 - scipy.spatial.distance.cosine(d, np.roll(d, 1))), rolled=np.roll(z, 1).tobytes().hex(),
        top=order[:3]))

areas = []
for count, digits in [(40, 6), (200, 1), (50, 0), (5, 6)]:
    score = np.round(rng.normal(0, 1, count), digits)
    positive = (rng.random(count) < 0.4).astype(int)
    positive[:2] = [0, 1]
    areas.append(dict(score=score.tolist(), positive=positive.tolist(),
                      auroc=float(sklearn.metrics.roc_auc_score(positive, score))))

losses = []
for rows, classes in [(7, 3), (64, 10), (200, 5)]:
    z = floats(rng.normal(0, 3, (rows, classes)))
    label = rng.integers(0, classes, rows)
    p = scipy.special.softmax(z.astype(float), axis=1)
    losses.append(dict(z=[row.tobytes().hex() for row in z], label=label.tolist(),
                       nll=float(sklearn.metrics.log_loss(label, p, labels=range(classes)))))

pairs = []
for bins in [1, 4, 20]:
    a, b = rng.integers(0, 50, bins), rng.integers(0, 50, bins)
    a[0] += 1
    b[0] += 1
    p, q = a / a.sum(), b / b.sum()
    pairs.append(dict(a=a.tolist(), b=b.tolist(), hellinger=float(np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / np.sqrt(2)),
                      coefficient=float(np.exp(-(-np.log(np.sqrt(p) @ np.sqrt(q)))))))

print(json.dumps(dict(scalars=scalars, areas=areas, losses=losses, pairs=pairs), indent=1))
