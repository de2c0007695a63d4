"""Networks end with FusedRMSprop where they end with torch.optim.RMSprop."""

import pytest
import torch
from torch import nn

from rmsprop import FusedRMSprop
from rmsprop.book.surrogate import surrogate_rows


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(36, 10),
            nn.Tanh(),
            nn.Linear(10, 3),
        )


def images():
    """Noisy images of three kinds, by the row that is bright."""
    generator = torch.Generator().manual_seed(1)
    kinds = torch.randint(3, (256,), generator=generator)
    pixels = torch.randn(256, 1, 8, 8, generator=generator)
    pixels[torch.arange(256), 0, 2 * kinds + 1] += 1.0
    return pixels, kinds


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trained(make, loss, model, features, labels, epochs):
    """The losses over all rows before and after the training."""
    optimizer = make(model.parameters())
    losses = [loss(model(features), labels).item()]
    for _ in range(epochs):
        for start in range(0, len(features), 32):
            optimizer.zero_grad()
            loss(model(features[start : start + 32]), labels[start : start + 32]).backward()
            optimizer.step()
        losses.append(loss(model(features), labels).item())
    return losses


@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.9, "lr": 1e-4}, {"centered": True, "weight_decay": 1e-3}], ids=str
)
@pytest.mark.usefixtures("one_thread")
def test_a_network_of_convolutions_learns_as_with_torchs(options):
    options = {"lr": 1e-3, **options}
    ours, theirs = (
        trained(
            lambda p, k=kind: k(p, **options), nn.functional.cross_entropy, network(), *images(), epochs=6
        )
        for kind in (FusedRMSprop, torch.optim.RMSprop)
    )
    assert ours == pytest.approx(theirs, rel=1e-3)
    assert ours[-1] < 0.8 * ours[0]


@pytest.mark.usefixtures("one_thread")
def test_the_books_linear_regression_ends_where_torchs_does():
    rows = torch.from_numpy(surrogate_rows()).float()

    def make(kind):
        model = nn.Linear(5, 1)
        nn.init.normal_(model.weight, std=0.01, generator=torch.Generator().manual_seed(0))
        nn.init.zeros_(model.bias)
        return trained(
            lambda p: kind(p, lr=0.01, alpha=0.9),
            lambda a, b: nn.functional.mse_loss(a, b) / 2,
            model,
            rows[:, :-1],
            rows[:, -1:],
            epochs=3,
        )

    ours, theirs = make(FusedRMSprop), make(torch.optim.RMSprop)
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert 0.24 < ours[-1] < 0.26
