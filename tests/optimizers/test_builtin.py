import pytest
import torch
from torch import nn

from rmsprop.optimizers import builtin

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
HYPERPARAMETERS = {"lr": 0.01, "alpha": 0.9, "eps": 1e-8}
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
needs_compiler = pytest.mark.skipif(
    builtin.compiled_unavailable(CPU, torch.float32) is not None, reason="needs a C++ compiler"
)


def parameters(device="cpu", count=2):
    generator = torch.Generator().manual_seed(0)
    made = [nn.Parameter(torch.randn(5, generator=generator).to(device)) for _ in range(count)]
    for p in made:
        p.grad = torch.randn(5, generator=generator).to(device)
    return made


def after_three_steps(make, device="cpu"):
    params = parameters(device)
    optimizer = make(params, **HYPERPARAMETERS)
    for _ in range(3):
        optimizer.step()
    return [p.detach().cpu() for p in params]


def default(params, **hyperparameters):
    return torch.optim.RMSprop(params, **hyperparameters)


def test_the_variants_are_torchs_own_flags():
    for make, foreach in ((builtin.loop, False), (builtin.foreach, True)):
        group = make(parameters(), **HYPERPARAMETERS).param_groups[0]
        assert (group["foreach"], group["capturable"]) == (foreach, False)
        assert (group["lr"], group["alpha"], group["eps"]) == (0.01, 0.9, 1e-8)


@pytest.mark.parametrize("make", [builtin.loop, builtin.foreach])
def test_each_variant_takes_the_default_step(make):
    for ours, theirs in zip(after_three_steps(make), after_three_steps(default), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


@needs_compiler
@pytest.mark.slow
def test_a_compiled_step_is_the_default_step_and_stays_compiled_beyond_torchs_limit():
    generator = torch.Generator().manual_seed(1)
    with torch._dynamo.config.patch(recompile_limit=2, fail_on_recompile_limit_hit=True):  # 8, and False
        for count in range(1, 5):
            params = [nn.Parameter(torch.randn(2, generator=generator)) for _ in range(count % 2 + 1)]
            same = [nn.Parameter(p.detach().clone()) for p in params]
            optimizer = builtin.compiled(params, **HYPERPARAMETERS)
            loop = builtin.loop(same, **HYPERPARAMETERS)
            for step in range(4):
                for p, q in zip(params, same, strict=True):
                    p.grad = q.grad = torch.randn(2, generator=generator)
                with torch.compiler.set_stance("default" if step < 2 else "fail_on_recompile"):
                    optimizer.step()
                loop.step()
            torch.testing.assert_close(params, same, rtol=1e-6, atol=1e-7)


def test_capturable_runs_on_cuda_alone_and_says_so():
    assert builtin.capturable_unavailable(CUDA, torch.float32) is None
    assert builtin.capturable_unavailable(CPU, torch.float32) == "capturable runs on CUDA alone, not on cpu"


def test_without_a_compiler_the_compiled_step_names_the_one_it_missed(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    reason = builtin.compiled_unavailable(CPU, torch.float32)
    assert (
        reason
        == "torch.compile needs a C++ compiler on the CPU, and there is no no-such-compiler (CXX names it)"
    )


def test_without_triton_there_is_no_compiled_step_on_cuda(monkeypatch):
    monkeypatch.setattr(builtin, "find_spec", lambda name: None)
    assert "Triton" in builtin.compiled_unavailable(CUDA, torch.float32)
    assert "not on mps" in builtin.compiled_unavailable(torch.device("mps"), torch.float32)


@pytest.mark.filterwarnings("ignore:This instance was constructed with capturable")
@needs_cuda
@pytest.mark.parametrize("make", [builtin.loop, builtin.foreach, builtin.capturable, builtin.compiled])
def test_each_variant_takes_the_default_step_on_cuda(make):
    if make is builtin.compiled and (reason := builtin.compiled_unavailable(CUDA, torch.float32)):
        pytest.skip(reason)
    for ours, theirs in zip(after_three_steps(make, "cuda"), after_three_steps(default), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
