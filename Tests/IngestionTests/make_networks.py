"""Makes Networks/moody.pt: a tiny classifier of 3 x 32 x 32 images that breaks for some of them, so that an ingest meets
logits and gradients that are of no use. Which of three it does is decided by the first red value of the image:

below 0.25 the logits are NaN, from 0.75 on they do not depend on the image, between them all is well.

Run with torch 2.13.0: python make_networks.py
"""
import os

import torch


class Moody(torch.nn.Module):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.weight = torch.nn.Parameter(torch.randn(100, 3, generator=generator))

    def forward(self, x):
        mood = x[:, 0, 0, 0].detach().unsqueeze(1)
        means = x.mean(dim=[2, 3])
        good = torch.nn.functional.linear(means, self.weight)
        flat = self.weight[:, 0].unsqueeze(0) + 0 * good.detach()
        z = torch.where(mood >= 0.75, flat, good)
        # A product: the gradient of a NaN that `where` leaves out is NaN all the same.
        return z * torch.where(mood < 0.25, torch.full_like(mood, float("nan")), torch.ones_like(mood))


folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Networks")
torch.jit.script(Moody().eval()).save(os.path.join(folder, "moody.pt"))
