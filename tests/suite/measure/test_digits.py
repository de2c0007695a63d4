"""The digits: the rows, what a seed draws, and one training with every implementation."""

import math
import sys

import pytest
import torch
from torch import nn

from rmsprop.suite.measure import digits
from rmsprop.suite.measure.digits import draw, load_digits, loss, train_digits
from rmsprop.suite.measure.metrics import digits_job
from rmsprop.suite.measure.workload import CaseSkippedError
from rmsprop.suite.shapes import DIGITS
from rmsprop.suite.sweep.jobs import JOBS

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def rows():
    return load_digits()


def network(params):
    """The same network of torch's own modules."""
    net = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10)).double()
    for own, given in zip(net.parameters(), params, strict=True):
        own.data = given.detach().clone().double()
    return net


def test_the_rows_are_the_1797_digits(rows):
    assert rows.features.shape == (1797, 64) == (JOBS["digits"].rows, 64)
    assert (rows.features.min(), rows.features.max()) == (0, 1)
    assert sorted(set(rows.labels.tolist())) == list(range(10))
    assert rows.detail.startswith("the digits of scikit-learn ")
    # The data set has not changed since scikit-learn has had it.
    assert rows.sha256 == "5889d26819cf830d070975af3c711419825fa0a078137b3d80b8e7d06bd58da0"


def test_the_shapes_are_those_of_torchs_modules():
    assert tuple(tuple(p.shape) for p in network(draw(0, 9, 1)[0]).parameters()) == DIGITS


def test_the_loss_and_its_gradient_are_those_of_torchs_modules(rows):
    params = [param.double().requires_grad_() for param in draw(3, 1797, 1)[0]]
    net = network(params)
    found = loss(params, rows.features, rows.labels)
    expected = nn.CrossEntropyLoss()(net(rows.features), rows.labels)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)
    found.backward()
    expected.backward()
    for own, given in zip(net.parameters(), params, strict=True):
        torch.testing.assert_close(given.grad, own.grad, rtol=1e-12, atol=1e-15)


def test_a_seed_draws_as_linear_does_and_each_epoch_has_each_row_once():
    params, orders = draw(7, 1797, 3)
    for param, inputs in zip(params, (64, 64, 32, 32), strict=True):
        assert param.abs().max() <= 1 / math.sqrt(inputs)
    assert params[0].std().item() == pytest.approx(1 / math.sqrt(3 * 64), rel=0.05)
    assert [sorted(order.tolist()) for order in orders] == [list(range(1797))] * 3
    assert not torch.equal(orders[0], orders[1])
    again, others = draw(7, 1797, 2)
    assert all(map(torch.equal, params, again))
    assert torch.equal(orders[:2], others)
    assert not torch.equal(params[0], draw(8, 1797, 1)[0][0])


def test_a_training_is_the_plain_loop_of_torch(rows):
    def make(params):
        return torch.optim.RMSprop(params, lr=0.01, alpha=0.9)

    run = train_digits(make, rows, "cpu", torch.float64, seed=5, batch_size=100, epochs=2)
    params, orders = draw(5, 1797, 2)
    net = network(params)
    optimizer = make(net.parameters())
    criterion = nn.CrossEntropyLoss()
    losses = [criterion(net(rows.features), rows.labels).item()]
    for order in orders:
        for batch in order.split(100):
            optimizer.zero_grad()
            criterion(net(rows.features[batch]), rows.labels[batch]).backward()
            optimizer.step()
        losses.append(criterion(net(rows.features), rows.labels).item())
    assert run.losses == pytest.approx(losses, rel=1e-10)
    assert run.loss == run.losses[-1]
    assert len(run.epoch_seconds) == 2
    assert losses[0] > 2
    assert losses[-1] < 0.5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_learns_as_the_cpu_does(rows):
    def make(params):
        return torch.optim.RMSprop(params, lr=0.01, alpha=0.9)

    on_cpu, on_gpu = (
        train_digits(make, rows, device, torch.float64, seed=1, batch_size=100, epochs=2)
        for device in ("cpu", "cuda")
    )
    assert on_gpu.losses == pytest.approx(on_cpu.losses, rel=1e-9)


@pytest.mark.parametrize("name", ["scratch", "builtin-loop", "builtin-foreach", "fused"])
def test_every_implementation_learns_the_digits(name):
    threads = torch.get_num_threads()
    try:
        job = digits_job(name, "cpu", "float32", threads=1, seeds=range(2))
    except CaseSkippedError as reason:  # no compiler for the fused one
        pytest.skip(str(reason))
    assert torch.get_num_threads() == threads
    assert all(0.03 < one < 0.15 for one in job.losses)
    assert len(job.epoch_seconds) == 2
    assert all(seconds > 0 for seconds in job.epoch_seconds)


def test_a_case_that_cannot_run_is_skipped_with_its_reason():
    with pytest.raises(CaseSkippedError, match="capturable runs on CUDA alone"):
        digits_job("builtin-capturable", "cpu", "float32")


@pytest.mark.parametrize("module", ["sklearn", "sklearn.datasets"])
def test_without_scikit_learn_it_says_what_to_install(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=r"needs scikit-learn: .*rmsprop-bench\[digits\]"):
        digits.load_digits()
