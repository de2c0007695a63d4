"""Train a small network on the airfoil rows with FusedRMSprop and with torch.optim.RMSprop: the same losses.

    python examples/train_fused.py

Rows: `RMSPROP_DATA`, the cache, a download, or the surrogate (see the README); the first line says which.
"""

import time

import torch
from torch import nn

from rmsprop import FusedRMSprop
from rmsprop.book.airfoil import load_airfoil

EPOCHS, BATCH, WIDTH = 20, 64, 256


def train(
    optimizer_class: type[torch.optim.Optimizer], X: torch.Tensor, y: torch.Tensor
) -> tuple[float, float]:
    """Final half mean squared error, and the seconds that the steps of the optimizer took."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(X.shape[1], WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1)
    )
    optimizer = optimizer_class(net.parameters(), lr=1e-3, alpha=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    seconds = 0.0
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(X)).split(BATCH):
            optimizer.zero_grad()
            loss = (net(X[rows]).squeeze(1) - y[rows]).square().mean() / 2
            loss.backward()
            begin = time.perf_counter()
            optimizer.step()
            seconds += time.perf_counter() - begin
        scheduler.step()
    with torch.no_grad():
        return float((net(X).squeeze(1) - y).square().mean() / 2), seconds


def main() -> None:
    """Print one line for each optimizer."""
    data = load_airfoil("auto")
    print(f"rows: {data.source}")
    X, y = data.to("cpu", torch.float32)
    for optimizer_class in (torch.optim.RMSprop, FusedRMSprop):
        train(optimizer_class, X, y)  # what is built, imported and allocated once does not count
        loss, seconds = train(optimizer_class, X, y)
        print(f"{optimizer_class.__name__:>12}: final loss {loss:.5f}, steps {seconds:.3f} s")


if __name__ == "__main__":
    main()
