"""The ensemble is the sequential loop, seed for seed; and it leaves the process as it found it."""

import random
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rmsprop.book import ensemble as module
from rmsprop.book.airfoil import load_airfoil
from rmsprop.book.chapter import OPTIMIZERS
from rmsprop.book.chapter.rmsprop import RMSPROP
from rmsprop.book.ensemble import ensemble
from rmsprop.book.programs import PROGRAMS
from rmsprop.book.training import shuffled_batches, train

SCRATCH, CONCISE = PROGRAMS["rmsprop-scratch"], PROGRAMS["rmsprop-concise"]
ALL_ROWS = PROGRAMS["sgd-scratch-batch-1500"]
both = pytest.mark.parametrize("program", [SCRATCH, CONCISE], ids=lambda program: program.name)
every = pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)

BOUNDS = {torch.float64: 1e-12, torch.float32: 1e-6}
"""Only the order of sums differs. In float32 one rounding of a loss near 1 is 6e-8, the loop's own mean over
the rows makes a few of them, and RMSProp, which forgets, does not amplify them: 1.2e-7 was the most over
60 seeds of the real rows. float64 rounds 5e8 times finer; 5e-16 was the most there."""


def rows(count=250, features=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(7)
    X = torch.randn(count, features, generator=generator, dtype=torch.float64)
    noise = torch.randn(count, generator=generator, dtype=torch.float64)
    y = (X.sum(1) + noise) / (features + 1) ** 0.5
    return X.to(dtype), y.to(dtype)


def assert_equals_the_loop(result, seeds, X, y, bound):
    for i, seed in enumerate(seeds):
        run = train(result.program, X, y, seed)
        losses = torch.tensor(run.losses, dtype=torch.float64)
        torch.testing.assert_close(result.losses[:, i], losses, rtol=bound, atol=bound)
        torch.testing.assert_close(result.weight[i], run.weight, rtol=10 * bound, atol=10 * bound)
        torch.testing.assert_close(result.bias[i], run.bias, rtol=10 * bound, atol=10 * bound)


@pytest.mark.slow
@every
@pytest.mark.parametrize("dtype", BOUNDS, ids=str)
def test_each_seed_equals_the_sequential_loop_with_that_seed(program, dtype):
    X, y = rows(dtype=dtype)
    seeds = [0, 1, 17, 2**40]
    result = ensemble(program, X, y, seeds)
    evaluations = program.num_epochs * (1 if program.batch_size == 1500 else 2)
    assert result.losses.shape == (1 + evaluations, 4)
    assert result.losses.dtype == torch.float64
    assert result.weight.dtype == result.bias.dtype == dtype
    assert_equals_the_loop(result, seeds, X, y, BOUNDS[dtype])


@both
@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(1, 60),
    features=st.integers(1, 20),
    batch_size=st.integers(1, 70) | st.sampled_from([10, 20, 25, 50, 100]),
    num_epochs=st.integers(0, 4),
    seed=st.integers(0, 2**63 - 1),
)
def test_any_rows_features_batches_and_epochs_equal_the_sequential_loop(
    program, count, features, batch_size, num_epochs, seed
):
    """The last batch is short where the rows do not divide, and counts towards the evaluations as full.

    1e-9: fewer rows than features can be fitted exactly, and g / (sqrt(s) + 1e-8) enlarges rounding there.
    """
    X, y = rows(count, features)
    program = replace(program, batch_size=batch_size, num_epochs=num_epochs)
    assert_equals_the_loop(ensemble(program, X, y, [seed]), [seed], X, y, 1e-9)


@every
def test_hyperparameters_mean_what_they_mean_in_the_sequential_loop(program):
    X, y = rows(100)
    result = ensemble(program, X, y, [4])
    for key, value in program.hyperparameters.items():
        changed = replace(program, hyperparameters={**program.hyperparameters, key: 0.5 * value})
        other = ensemble(changed, X, y, [4])
        assert_equals_the_loop(other, [4], X, y, 1e-12)
        assert not torch.equal(result.weight, other.weight)


@both
def test_given_weights_and_given_orders_replace_what_the_seeds_draw(program):
    X, y = rows(100)
    seeds = range(3)
    starts = [train(replace(program, num_epochs=0), X, y, seed) for seed in seeds]
    initial = torch.stack([torch.cat([run.weight, run.bias[None]]) for run in starts])
    batches = [shuffled_batches(torch.arange(100), y, 10, seed) for seed in seeds]
    orders = torch.stack(
        [torch.stack([torch.cat([rows for rows, _ in b]) for _ in range(2)]) for b in batches]
    )
    drawn = ensemble(program, X, y, seeds)
    replaced = ensemble(program, X, y, [7, 8, 9], initial=initial, orders=orders)
    assert torch.equal(replaced.losses, drawn.losses)
    other_start = ensemble(program, X, y, seeds, initial=initial + 0.5)
    other_order = ensemble(program, X, y, seeds, orders=orders.flip(2))
    assert not torch.isclose(other_start.losses[0], drawn.losses[0]).any()
    assert torch.equal(other_order.losses[0], drawn.losses[0])
    assert not torch.isclose(other_order.losses[-1], drawn.losses[-1], rtol=1e-9).any()


@pytest.mark.parametrize("program", [SCRATCH, CONCISE, ALL_ROWS], ids=lambda program: program.name)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_a_seeds_bits_depend_on_that_seed_alone(program, dtype, monkeypatch):
    X, y = rows(100, dtype=dtype)
    together = ensemble(program, X, y, range(300))
    again = ensemble(program, X, y, range(300))
    backwards = ensemble(program, X, y, range(299, -1, -1))
    alone = ensemble(program, X, y, [170])
    monkeypatch.setattr(module, "CHUNK_BYTES", 1)
    in_chunks = ensemble(program, X, y, range(300))
    for name in ("losses", "weight", "bias"):
        expected = getattr(together, name)
        dim = 1 if name == "losses" else 0
        assert torch.equal(getattr(again, name), expected)
        assert torch.equal(getattr(in_chunks, name), expected)
        assert torch.equal(getattr(backwards, name).flip(dim), expected)
        assert torch.equal(getattr(alone, name).squeeze(dim), expected.select(dim, 170))


def test_progress_adds_up_to_the_number_of_seeds(monkeypatch):
    monkeypatch.setattr(module, "CHUNK_BYTES", 1)
    finished = []
    ensemble(SCRATCH, *rows(50), range(300), progress=finished.append)
    assert finished == [128, 128, 44]


def test_the_final_losses_are_half_the_mean_squared_error_of_the_final_parameters():
    X, y = rows(300)
    result = ensemble(SCRATCH, X, y, range(5))
    half_mse = ((X @ result.weight.T + result.bias - y[:, None]) ** 2).mean(0) / 2
    torch.testing.assert_close(result.final_losses, half_mse, rtol=1e-12, atol=0)
    assert result.seconds > 0


def test_an_evaluation_stays_exact_where_the_rows_are_far_from_zero():
    """A Gram matrix would lose eight of sixteen digits here."""
    X, y = rows(300)
    X, y = X + 1e4, y - 1e4
    result = ensemble(replace(SCRATCH, num_epochs=0), X, y, [0])
    half_mse = ((X @ result.weight.T + result.bias - y[:, None]) ** 2).mean(0) / 2
    torch.testing.assert_close(result.final_losses, half_mse, rtol=1e-12, atol=0)


def test_the_initial_weights_have_the_books_moments():
    """Over 10,000 seeds; Kolmogorov-Smirnov at fixed seeds, so the p-values are constants."""
    X, y = rows(20)
    scratch = ensemble(replace(SCRATCH, num_epochs=0), X, y, range(10_000))
    concise = ensemble(replace(CONCISE, num_epochs=0), X, y, range(10_000))
    assert stats.kstest(scratch.weight.flatten(), stats.norm(0, 0.01).cdf).pvalue > 0.01
    assert torch.equal(scratch.bias, torch.zeros(10_000, dtype=torch.float64))
    for drawn in (concise.weight.flatten(), concise.bias):
        assert drawn.abs().max() <= 5**-0.5
        assert stats.kstest(drawn, stats.uniform(-(5**-0.5), 2 * 5**-0.5).cdf).pvalue > 0.01


def test_the_orders_are_those_of_the_shuffled_dataloader():
    out = torch.empty(3, 4, 250, dtype=torch.int32)
    module.draw_orders(SCRATCH, [0, 5, 2**40], out=out)
    for i, seed in enumerate([0, 5, 2**40]):
        batches = shuffled_batches(torch.arange(250), torch.arange(250), 10, seed)
        for epoch in range(4):
            assert torch.equal(out[i, epoch], torch.cat([rows for rows, _ in batches]))


def test_the_orders_are_uniform_permutations_independent_between_epochs_and_seeds():
    """Chi-square at fixed seeds, so the p-values are constants."""
    seeds, n = 8000, 20
    orders = module.draw_orders(SCRATCH, range(seeds), out=torch.empty(seeds, 2, n, dtype=torch.int32))
    assert torch.equal(orders.sort(-1).values, torch.arange(n, dtype=torch.int32).expand(seeds, 2, n))
    first, second = orders[:, 0].numpy(), orders[:, 1].numpy()
    for epoch in (first, second):
        for position in range(n):
            assert stats.chisquare(np.bincount(epoch[:, position], minlength=n)).pvalue > 0.01 / n
    pairs = {
        "the same seed's two epochs": (first[:, 0], second[:, 0]),
        "neighbouring seeds": (first[:-1, 0], first[1:, 0]),
    }
    for name, (a, b) in pairs.items():
        table = np.bincount(a * n + b, minlength=n * n).reshape(n, n)
        assert stats.chi2_contingency(table).pvalue > 0.01, name


@both
def test_random_states_threads_and_default_dtype_are_left_as_found(program):
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        state = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
        dtype = torch.get_default_dtype()
        ensemble(program, *rows(50), range(5))
        assert torch.equal(torch.get_rng_state(), state[0])
        assert np.random.get_state()[1].tolist() == state[1]  # noqa: NPY002
        assert random.getstate() == state[2]
        assert (torch.get_num_threads(), torch.get_default_dtype()) == (3, dtype)
    finally:
        torch.set_num_threads(threads)


def test_ctrl_c_gets_through_between_two_steps(monkeypatch):
    threads = torch.get_num_threads()
    steps, finished = [], []

    def press_ctrl_c_at_the_third_step(*arguments):
        steps.append(RMSPROP.step(*arguments))
        if len(steps) == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setitem(module.STEPS, "rmsprop", replace(RMSPROP, step=press_ctrl_c_at_the_third_step))
    with pytest.raises(KeyboardInterrupt):
        ensemble(SCRATCH, *rows(50), range(10), progress=finished.append)
    assert (len(steps), finished) == (3, [])
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("program", "dtype"),
    [(SCRATCH, torch.bfloat16), (SCRATCH, torch.float16), (CONCISE, torch.bfloat16)],
    ids=str,
)
def test_half_precision_trains_and_stays_finite(program, dtype):
    X, y = rows(1500, dtype=dtype)
    result = ensemble(program, X, y, range(200))
    assert result.weight.dtype == result.bias.dtype == dtype
    assert result.losses.isfinite().all()
    assert (result.final_losses < result.losses[0] / 2).all()


def test_concise_in_float16_loses_a_few_seeds_as_the_loop_does():
    """1e-8 is 0 in float16, and so is the mean of small squares: 0 / 0 where a gradient vanishes."""
    X, y = rows(1000, dtype=torch.float16)
    lost = ~ensemble(CONCISE, X, y, range(400)).final_losses.isfinite()
    assert 0 < lost.sum() < 40
    first = lost.nonzero().flatten().tolist()[:3]
    assert any(np.isnan(train(CONCISE, X, y, seed).loss) for seed in first)


@both
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "rmsprob"}, "optimizer 'rmsprob': expected one of"),
        ({"features": torch.ones(4)}, r"features \(4,\).*expected floating \(rows, features\)"),
        ({"features": torch.ones(4, 2, dtype=torch.int64)}, r"features \(4, 2\) of torch.int64"),
        ({"features": torch.ones(0, 2)}, r"features \(0, 2\)"),
        ({"labels": torch.ones(4, 1)}, r"labels \(4, 1\).*expected \(4,\)"),
        ({"labels": torch.ones(4, dtype=torch.float64)}, r"labels .*float64.*expected .*float32"),
        ({"seeds": []}, r"seeds \[\]: expected at least one"),
        ({"seeds": [3, -1]}, r"seeds \[3, -1\]: .*none below 0"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"num_epochs": -1}, "num_epochs -1"),
        ({"initial": torch.ones(2, 2)}, r"initial \(2, 2\).*\(2, 3\)"),
        ({"orders": torch.zeros(2, 2, 3, dtype=torch.int64)}, r"orders \(2, 2, 3\).*\(2, 2, 4\)"),
        ({"orders": torch.zeros(2, 2, 4)}, r"orders \(2, 2, 4\) of torch.float32: expected whole"),
        ({"orders": torch.full((2, 2, 4), 4)}, r"orders: expected rows from 0 to 3, found 4\.\.4"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_arguments_that_do_not_fit_are_refused_with_what_was_expected(program, change, message):
    of_program = {key: change[key] for key in ("optimizer", "batch_size", "num_epochs") if key in change}
    change = {key: value for key, value in change.items() if key not in of_program}
    arguments = {"features": torch.ones(4, 2), "labels": torch.ones(4), "seeds": [0, 1]}
    with pytest.raises(ValueError, match=message):
        ensemble(replace(program, **of_program), **arguments | change)


@every
def test_what_only_wrong_programs_have_is_the_loop_with_that_change(program):
    """The loop of the chapter written out for each change, one seed, in float64."""
    X, y = rows(60)
    for change in (
        {"shuffle": "once"}, {"shuffle": "never"}, {"bias": False}, {"zero_grad": False}, {"loss_factor": 2.0}
    ):  # fmt: skip
        wrong = replace(program, **change)
        result = ensemble(wrong, X, y, [5])
        assert_close(result.weight[0], loop_with(wrong, X, y, 5)[:-1])
        assert_close(result.bias[0], loop_with(wrong, X, y, 5)[-1])


def loop_with(program, X, y, seed):
    start = train(replace(program, **RIGHT, num_epochs=0), X, y, seed)
    p = torch.cat([start.weight, start.bias[None]])
    optimizer = OPTIMIZERS[program.optimizer]
    make = optimizer.from_scratch if program.loop == "scratch" else optimizer.from_torch
    step = make([p], program.hyperparameters)
    ones = torch.cat([X, torch.ones(len(X), 1, dtype=X.dtype)], 1)
    drawn = shuffled_batches(torch.arange(len(X)), y, program.batch_size, seed)
    first = torch.cat([batch for batch, _ in drawn])
    drawn = shuffled_batches(torch.arange(len(X)), y, program.batch_size, seed)
    for _ in range(program.num_epochs):
        order = {"each epoch": lambda: torch.cat([batch for batch, _ in drawn]), "once": lambda: first}.get(
            program.shuffle, lambda: torch.arange(len(X))
        )()
        for batch in order.split(program.batch_size):
            gradient = program.loss_factor * ones[batch].T @ (ones[batch] @ p - y[batch]) / len(batch)
            if not program.bias:
                gradient[-1] = 0
            p.grad = gradient if program.zero_grad or p.grad is None else p.grad + gradient
            step()
    return p


RIGHT = {"shuffle": "each epoch", "bias": True, "zero_grad": True, "loss_factor": 1.0}


def assert_close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


@both
def test_a_gpu_gives_the_losses_of_the_cpu(program):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    for dtype, bound in BOUNDS.items():
        X, y = rows(dtype=dtype)
        here = ensemble(program, X, y, range(200))
        there = ensemble(program, X.cuda(), y.cuda(), range(200))
        assert there.weight.device.type == there.bias.device.type == "cuda"
        torch.testing.assert_close(there.losses, here.losses, rtol=bound, atol=bound)


@pytest.mark.slow
@both
def test_the_real_rows_give_the_losses_of_the_sequential_loop(program, real_data):
    X, y = load_airfoil(real_data).to("cpu", torch.float32)
    assert_equals_the_loop(ensemble(program, X, y, range(3)), range(3), X, y, BOUNDS[torch.float32])


def test_scratch_on_the_real_rows_has_the_known_mean_and_spread(real_data):
    """Known from 10,000 seeds of a program with other random numbers: mean .24426, sd .0018.

    Over 2,000 seeds the standard error of the mean is .0018 / √2000 = 4.1e-5, and that of the sd, at a
    kurtosis of 8, 5.4e-5. The bounds are four of these, the known values' own error included by √1.2,
    and half a unit of their last printed digit.
    """
    losses = ensemble(SCRATCH, *load_airfoil(real_data).to("cpu", torch.float32), range(2000)).final_losses
    assert losses.mean().item() == pytest.approx(0.24426, abs=4 * 1.1 * 4.1e-5 + 5e-6)
    assert losses.std().item() == pytest.approx(0.0018, abs=4 * 1.1 * 5.4e-5 + 5e-5)
    assert losses.min() > 0.241688
