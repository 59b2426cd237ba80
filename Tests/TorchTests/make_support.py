"""Freezes Tests/TorchTests/support.json: S_k = H_ik - mean over l of H_lk, and mean over l of H_lk, of small networks, from the
whole Jacobian by PyTorch's autograd in double precision.

    python3 Tests/TorchTests/make_support.py      (torch 2.13.0 CPU)
"""
import json, os, torch

C, D, N = 6, 9, 8
torch.manual_seed(4)
torch.set_num_threads(1)
flat = lambda tensors: [float(x) for t in tensors for x in t.detach().reshape(-1)]
z = torch.randn(N, C) * 3
z[0] = 0  # with a bias of 0, a hidden value of exactly 0: the slope of ReLU there is 0
y = torch.randint(0, C, (N,))
cases = []
for layers in (1, 2, 3):
    sizes = [C] + [D] * (layers - 1) + [C]
    parts = []
    for i in range(layers):
        parts += [torch.nn.Linear(sizes[i], sizes[i + 1])] + ([torch.nn.ReLU()] if i < layers - 1 else [])
    net = torch.nn.Sequential(*parts)
    with torch.no_grad():
        for p in net.parameters():
            p.normal_()
        if layers > 1:
            parts[0].bias[:3] = 0
    parameters = flat(net.parameters())
    net = net.double()
    support, mean = [], []
    for row, label in zip(z.double(), y):
        H = torch.autograd.functional.jacobian(net, row)  # H[l, k] = dg_l / dz_k
        support.append(H[label] - H.mean(0))
        mean.append(H.mean(0))
    cases.append({"layers": layers, "parameters": parameters, "support": flat(support), "mean": flat(mean),
                  "corrected": flat([net(z.double())])})
json.dump({"classes": C, "hidden": D, "rows": N, "logits": flat([z]), "labels": y.tolist(), "cases": cases},
          open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "support.json"), "w"))
