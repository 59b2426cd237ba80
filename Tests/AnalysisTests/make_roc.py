"""Freezes Tests/AnalysisTests/roc.json: areas under ROC curves by scikit-learn, their curves, and the variance for clustered rows
(Obuchowski 1997, Biometrics 53, equations for S10, S01 and S11) written out pair by pair.

    python3 Tests/AnalysisTests/make_roc.py      (scikit-learn 1.9, NumPy)
"""
import json, os
import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve


def variance(pos, pid, neg, nid, A):
    kernel = (pos[:, None] > neg[None]) + 0.5 * (pos[:, None] == neg[None])
    V10, V01 = kernel.mean(1), kernel.mean(0)
    M, N = len(pos), len(neg)
    ids = sorted(set(pid) | set(nid))
    d10 = {i: sum(V10[pid == i] - A) for i in ids if (pid == i).any()}
    d01 = {i: sum(V01[nid == i] - A) for i in ids if (nid == i).any()}
    S10 = len(d10) / ((len(d10) - 1) * M) * sum(v * v for v in d10.values())
    S01 = len(d01) / ((len(d01) - 1) * N) * sum(v * v for v in d01.values())
    S11 = len(ids) / (len(ids) - 1) * sum(d10.get(i, 0) * d01.get(i, 0) for i in ids)
    return S10 / M + S01 / N + 2 * S11 / (M * N)


rng = np.random.default_rng(5)
cases = []
for name, n, shift, ties in [("paired", 60, 1.0, False), ("tied", 50, 0.5, True), ("reversed", 40, -2.0, False), ("loose", 30, 0.3, False)]:
    pid, nid = np.arange(n), np.arange(n)
    common = rng.normal(size=n)
    pos, neg = common + rng.normal(size=n) + shift, common + rng.normal(size=n)
    if ties:
        pos, neg = np.round(pos), np.round(neg)
    if name == "loose":  # images with one row, and with two of a kind
        pid, nid = pid % 25, nid + 10
    y, s = np.r_[np.ones(n), np.zeros(n)], np.r_[pos, neg]
    fpr, tpr, _ = roc_curve(y, s, drop_intermediate=False)
    A = roc_auc_score(y, s)
    cases.append({"name": name, "positives": pos.tolist(), "positive_images": pid.tolist(), "negatives": neg.tolist(),
                  "negative_images": nid.tolist(), "area": A, "variance": variance(pos, pid, neg, nid, A),
                  "false_positives": fpr.tolist(), "true_positives": tpr.tolist()})
json.dump(cases, open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "roc.json"), "w"))
