"""How optim.json was made: by torch 2.13.0's AdamW, in float64.

    python tests/golden/make_optim.py

Two parameters, w with weight decay and b without, take seven steps.  The gradients have very
different sizes, some are zero, and every step has another learning rate.
"""
import json
from pathlib import Path

import numpy as np

BETAS, EPS, DECAY = (0.85, 0.97), 1e-6, 0.3
RATES = [0.1, 0.03, 0.5, 0.0, 0.01, 0.2, 0.001]


def draw(seed=20241126):
    """Initial values of w (2, 3) and b (4,), and their gradients (7, 2, 3) and (7, 4)."""
    rng = np.random.default_rng(seed)
    steps = len(RATES)
    grads = {"w": rng.standard_normal((steps, 2, 3)) * 10.0 ** rng.integers(-6, 4, (steps, 2, 3)),
             "b": rng.standard_normal((steps, 4)) * (rng.random((steps, 4)) < 0.6)}
    return {"w": rng.standard_normal((2, 3)), "b": rng.standard_normal(4)}, grads


def run(first, grads, betas=BETAS, eps=EPS, decay=DECAY, rates=RATES):
    """The parameters after each step of torch's AdamW: {name: list of values}."""
    import torch
    p = {name: torch.tensor(x, requires_grad=True) for name, x in first.items()}
    optimizer = torch.optim.AdamW([{"params": [p["w"]], "weight_decay": decay},
                                   {"params": [p["b"]], "weight_decay": 0.0}],
                                  betas=betas, eps=eps)
    after = {name: [] for name in p}
    for step, lr in enumerate(rates):
        for group in optimizer.param_groups:
            group["lr"] = lr
        for name, x in p.items():
            x.grad = torch.tensor(grads[name][step])
        optimizer.step()
        for name, x in p.items():
            after[name].append(x.detach().numpy().tolist())
    return after


def main():
    first, grads = draw()
    case = {"betas": BETAS, "eps": EPS, "decay": DECAY, "rates": RATES,
            "first": {name: x.tolist() for name, x in first.items()},
            "grads": {name: x.tolist() for name, x in grads.items()},
            "after": run(first, grads)}
    Path(__file__).with_name("optim.json").write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    main()
