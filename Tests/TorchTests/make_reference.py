"""Freezes Tests/TorchTests/reference.json: Adam steps of small fully connected networks by PyTorch.

    python3 Tests/TorchTests/make_reference.py      (torch 2.13.0 CPU)
"""
import json, os, torch

C, D, N = 5, 7, 12
torch.manual_seed(2)
torch.set_num_threads(1)
z, y, v = torch.randn(N, C) * 3, torch.randint(0, C, (N,)), torch.randn(N, C)
flat = lambda tensors: [float(x) for t in tensors for x in t.detach().reshape(-1)]
cases = []
for layers in (1, 2, 3):
    sizes = [C] + [D] * (layers - 1) + [C]
    parts = []
    for i in range(layers):
        parts += [torch.nn.Linear(sizes[i], sizes[i + 1])] + ([torch.nn.ReLU()] if i < layers - 1 else [])
    net = torch.nn.Sequential(*parts)
    before = flat(net.parameters())
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2, weight_decay=1e-2)
    losses = []
    for _ in range(10):
        loss = torch.nn.functional.cross_entropy(net(z), y)
        optimiser.zero_grad(); loss.backward(); optimiser.step()
        losses.append(loss.item())
    x = z.clone().requires_grad_(True)
    out = net(x)
    gradient, = torch.autograd.grad((out * v).sum(), x)
    cases.append({"layers": layers, "before": before, "after": flat(net.parameters()), "losses": losses,
                  "corrected": flat([out]), "gradient": flat([gradient])})
json.dump({"classes": C, "hidden": D, "rows": N, "logits": flat([z]), "labels": y.tolist(), "cotangent": flat([v]),
           "cases": cases}, open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "reference.json"), "w"))
