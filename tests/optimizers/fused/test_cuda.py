"""The Triton kernel: run where there is a GPU, else in Triton's interpreter, and compiled ahead in any case.

`TRITON_INTERPRET=1 pytest tests/optimizers/fused/test_cuda.py` shows what the interpreter runs, test by test.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rmsprop.optimizers.fused import cuda as fused_cuda
from rmsprop.optimizers.fused.batches import Batch
from rmsprop.optimizers.fused.cuda import BLOCK
from rmsprop.optimizers.fused.options import StepOptions
from tests.optimizers.fused.reference import FLAGS, assert_stored, bounds

# The interpreter computes in numpy, which warns of overflows as a GPU does not.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:triton")

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
CUDA = torch.cuda.is_available() and not INTERPRETED
DEVICE = "cuda" if CUDA else "cpu"
needs_triton = pytest.mark.skipif(not find_spec("triton"), reason="needs Triton")
runs = pytest.mark.skipif(not (CUDA or INTERPRETED), reason="needs a CUDA device or TRITON_INTERPRET=1")
compiles = pytest.mark.skipif(
    INTERPRETED or not find_spec("triton"), reason="needs Triton, and as a compiler"
)
needs_cuda = pytest.mark.skipif(not CUDA, reason="needs a CUDA device")

DEFAULTS = {
    "lr": 0.01,
    "alpha": 0.9,
    "eps": 1e-8,
    "weight_decay": 0.0,
    "momentum": 0.0,
    "centered": False,
    "maximize": False,
    "eps_inside_sqrt": False,
}
EVERYTHING = {"centered": True, "momentum": 0.9, "weight_decay": 0.1, "maximize": True}
DTYPES = [  # of parameters and state
    (torch.float64, torch.float64),
    (torch.float32, torch.float32),
    (torch.bfloat16, torch.bfloat16),
    (torch.bfloat16, torch.float32),
    (torch.float16, torch.float16),
    (torch.float16, torch.float32),
]
NAMES = ("params", "grads", "square_avg", "grad_avg", "momentum_buffer", "step")


@dataclass
class Tensors:
    """Parameters of the given sizes with all that their steps need: normal numbers, the same each time."""

    sizes: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    state_dtype: torch.dtype | None = None
    options: dict = field(default_factory=dict)
    lists: dict[str, list[Tensor]] = field(init=False)

    def __post_init__(self) -> None:
        self.options = DEFAULTS | self.options
        generator = torch.Generator().manual_seed(0)

        def draw(size: int, dtype: torch.dtype | None, positive: bool = False) -> Tensor:
            drawn = torch.randn(size, dtype=torch.float64, generator=generator)
            return (drawn.square() + 2 if positive else drawn).to(DEVICE, dtype)

        present = {"params": self.dtype, "grads": self.dtype, "square_avg": self.state_dtype or self.dtype}
        if self.options["centered"]:
            present["grad_avg"] = present["square_avg"]
        if self.options["momentum"]:
            present["momentum_buffer"] = present["square_avg"]
        self.lists = {
            name: [draw(size, dtype, name == "square_avg") for size in self.sizes]
            for name, dtype in present.items()
        }
        self.lists["step"] = [torch.zeros((), device=DEVICE) for _ in self.sizes]

    def step(self, **more: object) -> None:
        tensors = tuple(self.lists.get(name, ()) for name in NAMES)
        fused_cuda.step(tensors, StepOptions(**{**self.options, **more}))

    def checked_step(self, **more: object) -> None:
        """A step; all elements are within their bounds, and each step counter is one further."""
        keys = self.lists.keys() - {"params", "grads", "step"}
        counts = [count.item() for count in self.lists["step"]]
        expected = [
            bounds(p, g, {key: self.lists[key][i] for key in keys}, **self.options)
            for i, (p, g) in enumerate(zip(self.lists["params"], self.lists["grads"], strict=True))
        ]
        self.step(**more)
        for i, intervals in enumerate(expected):
            assert intervals.keys() == keys | {"param"}
            for name, interval in intervals.items():
                assert_stored(self.lists["params" if name == "param" else name][i], interval, name)
        assert [count.item() for count in self.lists["step"]] == [count + 1 for count in counts]

    def snapshot(self) -> dict[str, list[Tensor]]:
        return {name: [t.clone() for t in tensors] for name, tensors in self.lists.items()}


def assert_same_bits(a: object, b: object) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


@pytest.fixture(autouse=True)
def interpreter_is_as_strict_as_a_gpu(monkeypatch):
    """Triton's interpreter cuts float32 to bfloat16, loses subnormal numbers, and believes any alignment."""
    if not INTERPRETED:
        return
    from triton.runtime import interpreter  # noqa: PLC0415

    def convert(values, source, target, _rounding):
        dtypes = {"fp32": (np.float32, torch.float32), "bf16": (np.uint16, torch.bfloat16)}
        (raw, given), (wanted, made) = dtypes[source.name], dtypes[target.name]
        plain = torch.from_numpy(np.ascontiguousarray(values).view(raw))
        converted = plain.view(given).to(made)
        return converted.view(torch.from_numpy(np.empty(0, wanted)).dtype).numpy()

    def checked(handle, name, values):
        assert name == "tt.divisibility"
        assert all((handle.data % value == 0).all() for value in values), "the compiler was told wrong"

    monkeypatch.setattr(interpreter, "_convert_float", convert)
    monkeypatch.setattr(interpreter.TensorHandle, "set_attr", checked)


# ---- the arithmetic


@runs
@pytest.mark.parametrize("dtypes", DTYPES, ids=str)
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("flags", FLAGS, ids=str)
def test_each_combination_of_flags_and_dtypes_is_within_rounding_of_float64(flags, inside, dtypes):
    tensors = Tensors((3, 50), *dtypes, {**flags, "eps_inside_sqrt": inside})
    for _ in range(2):
        tensors.checked_step()


@runs
@pytest.mark.parametrize("dtypes", DTYPES[1:4], ids=str)
def test_a_tensor_may_end_anywhere_in_a_block(dtypes):
    sizes = (1, 15, 16, 17, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 16, 2 * BLOCK, 3 * BLOCK + 21)
    Tensors(sizes, *dtypes, {"centered": True}).checked_step()


@runs
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 31, 33])
def test_any_number_of_tensors_is_stepped_in_one_call(count):
    Tensors(tuple(1 + 97 * i % 53 for i in range(count))).checked_step()
    Tensors(tuple(1 + 640 * (i % 5) for i in range(count))).checked_step()


@runs
def test_without_epsilon_a_zero_gradient_moves_nothing_and_another_one_does():
    tensors = Tensors((4,), options={"eps": 0.0, "momentum": 0.5})
    for name, values in (("grads", [0.0, 0.0, 1.0, -1.0]), ("square_avg", [0.0, 1.0, 0.0, 1.0])):
        tensors.lists[name][0].copy_(torch.tensor(values))
    tensors.lists["momentum_buffer"][0].zero_()
    tensors.checked_step()
    assert tensors.lists["momentum_buffer"][0][:2].tolist() == [0, 0]


@runs
def test_a_constant_gradient_stays_finite_when_centered_and_a_nan_stays_a_nan():
    tensors = Tensors((1000,), options={"centered": True, "eps": 1e-8})
    tensors.lists["square_avg"][0].copy_(tensors.lists["grads"][0] ** 2)
    tensors.lists["grad_avg"][0].copy_(tensors.lists["grads"][0])
    for _ in range(5):
        tensors.step()
    assert tensors.lists["params"][0].isfinite().all()
    tensors.lists["grads"][0][7] = torch.nan
    tensors.step()
    assert tensors.lists["params"][0].isnan().nonzero().flatten().tolist() == [7]


@runs
def test_float16_keeps_small_gradients():
    tensors = Tensors((64,), torch.float16, options={"alpha": 0.99})
    tensors.lists["square_avg"][0].zero_()
    tensors.lists["grads"][0].copy_(torch.tensor([0.0, 1e-4, 1e-3, 1.0]).repeat(16))
    tensors.checked_step()
    assert tensors.lists["params"][0].isfinite().all()


# ---- memory


@runs
@pytest.mark.parametrize("name", ["params", "grads", "square_avg", "grad_avg", "momentum_buffer"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_misaligned_tensor_is_stepped_and_nothing_beside_it_is_touched(name, dtype):
    tensors = Tensors((100, BLOCK + 40), dtype, options=EVERYTHING)
    held = []
    for i, tensor in enumerate(tensors.lists[name]):
        memory = torch.full((tensor.numel() + 33,), 7.0, dtype=tensor.dtype, device=DEVICE)
        memory[1 : 1 + tensor.numel()] = tensor
        tensors.lists[name][i] = memory[1 : 1 + tensor.numel()]
        held.append(memory)
    tensors.checked_step()
    for memory in held:
        assert (memory[0] == 7).all()
        assert (memory[-32:] == 7).all()


@runs
def test_addresses_beyond_two_to_the_31_elements_are_reached(monkeypatch):
    far = 2**32
    tensors = Tensors((BLOCK + 5,), options=EVERYTHING)
    table = fused_cuda._table

    def begins_far_before(device, given):
        firsts, sizes, *addresses, steps = table(device, given).clone().unflatten(0, (-1, 1))
        addresses = [address - 4 * far for address in addresses]
        return torch.cat([firsts - far // BLOCK, sizes + far, *addresses, steps])

    monkeypatch.setattr(fused_cuda, "_table", begins_far_before)
    expected = Tensors(tensors.sizes, options=EVERYTHING)
    tensors.step()
    monkeypatch.undo()
    expected.step()
    del tensors.lists["step"], expected.lists["step"]  # counted by the first block alone
    assert_same_bits(tensors.lists, expected.lists)


@runs
def test_moved_tensors_are_noticed_and_others_find_their_table(monkeypatch):
    tensors = Tensors((40, 7))
    fused_cuda._TABLES.clear()  # another test's tensors may have had the same addresses
    sent = []
    upload = fused_cuda._upload
    monkeypatch.setattr(fused_cuda, "_upload", lambda *given: sent.append(given) or upload(*given))
    tensors.checked_step()
    tensors.checked_step()
    assert len(sent) == 1
    held = list(tensors.lists["grads"])
    tensors.lists["grads"] = [2 * g for g in held]
    tensors.checked_step()
    assert len(sent) == 2
    tensors.lists["grads"] = held
    tensors.checked_step()
    assert len(sent) == 2


@runs
def test_autograd_sees_that_parameters_changed():
    tensors = Tensors((5,))
    (before,) = (p._version for p in tensors.lists["params"])
    tensors.step()
    assert tensors.lists["params"][0]._version == before + 1


# ---- what is read on the device


@runs
@pytest.mark.parametrize("found", [1.0, 2.0])
def test_nothing_changes_where_an_infinity_was_found(found):
    tensors = Tensors((20, BLOCK + 3), options=EVERYTHING)
    before = tensors.snapshot()
    scalars = (torch.full((), value, device=DEVICE) for value in (4.0, found))
    tensors.step(**dict(zip(("grad_scale", "found_inf"), scalars, strict=True)))
    assert_same_bits(tensors.lists, before)
    tensors.checked_step(found_inf=torch.zeros((), device=DEVICE))


@runs
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_scaled_gradients_are_unscaled_first_and_left_so(dtype):
    plain, scaled = (Tensors((20, BLOCK + 3), dtype, options=EVERYTHING) for _ in range(2))
    for grad in scaled.lists["grads"]:
        grad.mul_(8)
    scaled.step(grad_scale=torch.full((1,), 8.0, device=DEVICE), found_inf=torch.zeros(1, device=DEVICE))
    plain.step()
    assert_same_bits(scaled.lists, plain.lists)


@runs
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_learning_rate_may_be_a_tensor_here_or_there(dtype):
    number, *others = (Tensors((20,), dtype, options=EVERYTHING) for _ in range(3))
    number.step(lr=0.03125)
    for other, device in zip(others, ("cpu", DEVICE), strict=True):
        other.step(lr=torch.tensor(0.03125, device=device))
        assert_same_bits(other.lists, number.lists)


# ---- stochastic rounding


@runs
def test_stochastic_rounding_goes_to_a_neighbour_and_is_right_on_average():
    draws = 4 * BLOCK
    tensors = Tensors((draws,), torch.bfloat16, torch.float32, {"lr": 1.0, "alpha": 0.0, "eps": 0.0})
    for name, value in (("params", 1.0), ("grads", 2.0**-9), ("square_avg", 0.0)):
        tensors.lists[name][0].fill_(value)
    tensors.options |= {"eps": 1.0, "alpha": 0.999}  # p = 1 - 2^-9 / (1 + tiny), between 1 - 2^-8 and 1
    torch.manual_seed(0)
    tensors.step(stochastic_rounding=True)
    found = tensors.lists["params"][0].double()
    assert set(found.tolist()) == {1.0, 1 - 2.0**-8}
    up = (found == 1).double().mean().item()
    assert abs(up - 0.5) < 5 * 0.5 / draws**0.5
    for lag in (1, 2, 4, BLOCK // 4, BLOCK):  # and one element's draw says nothing of another's
        agree = (found[lag:] == found[:-lag]).double().mean().item()
        assert abs(agree - 0.5) < 5 * 0.5 / (draws - lag) ** 0.5


@runs
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_only_bfloat16_is_rounded_stochastically(dtype):
    plain, asked = (Tensors((20, BLOCK + 3), dtype, options=EVERYTHING) for _ in range(2))
    plain.step()
    asked.step(stochastic_rounding=True)
    assert_same_bits(asked.lists, plain.lists)


@runs
def test_stochastic_rounding_follows_torchs_seed_keeps_infinities_and_what_needs_no_rounding():
    def stepped(seed):
        tensors = Tensors((200,), torch.bfloat16, torch.float32)
        tensors.lists["params"][0][:3] = torch.tensor([torch.inf, -torch.inf, torch.nan])
        tensors.lists["params"][0][3:5] = torch.tensor([1.5, -(2.0**-130)])
        tensors.lists["grads"][0][3:5] = 0
        tensors.lists["square_avg"][0].view(torch.int32)[5] = 0x7FFFFFFF  # the NaN that a GPU makes
        torch.manual_seed(seed)
        tensors.step(stochastic_rounding=True)
        return tensors.lists["params"][0]

    first = stepped(1)
    assert_same_bits(first, stepped(1))
    assert not torch.equal(first[6:], stepped(2)[6:])
    assert first[:2].tolist() == [torch.inf, -torch.inf]
    assert first.isnan().nonzero().flatten().tolist() == [2, 5]
    assert first[3:5].tolist() == [1.5, -(2.0**-130)]


# ---- the compiler


class Recorder:
    """Stands in for the kernel: keeps what it would be launched with."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple, dict]] = []

    def __getitem__(self, _grid):
        return lambda *args, **kwargs: self.calls.append((args, kwargs))


@pytest.fixture
def launch(monkeypatch):
    """Steps `Tensors` without a device -> (specialization, function that compiles for the architecture)."""
    import triton  # noqa: PLC0415
    from triton.backends.compiler import GPUTarget  # noqa: PLC0415
    from triton.compiler import ASTSource, make_backend  # noqa: PLC0415
    from triton.runtime.jit import create_function_from_signature  # noqa: PLC0415

    from rmsprop.optimizers.fused import triton_kernel as fused_triton  # noqa: PLC0415

    kernel, recorder = fused_triton.fused_step, Recorder()
    monkeypatch.setattr(fused_triton, "fused_step", recorder)

    def launched(tensors, arch=90, **more):
        tensors.step(**more)
        ((args, kwargs),) = recorder.calls
        recorder.calls.clear()
        target = GPUTarget("cuda", arch, 32)
        backend = make_backend(target)
        bind = create_function_from_signature(kernel.signature, kernel.params, backend)
        bound, specialization, options = bind(*args, **kwargs, debug=False)
        packed = kernel._pack_args(backend, {"debug": False, **kwargs}, bound, specialization, options)
        options, signature, constants, attributes = packed
        source = ASTSource(kernel, signature, constants, attributes)
        return str(specialization), lambda: triton.compile(source, target, options.__dict__).asm

    return launched


@compiles
@pytest.mark.parametrize("arch", [80, 90])
@pytest.mark.parametrize("dtypes", DTYPES, ids=str)
def test_the_compiled_kernel_moves_16_bytes_at_a_time_and_rounds_as_ieee_754_says(launch, arch, dtypes):
    _, compile_ = launch(Tensors((BLOCK,), *dtypes, EVERYTHING), arch)
    compiled = compile_()
    assert compiled["cubin"]
    wide = {
        kind: len(re.findall(rf"{kind}\.global\.v(?:4\.b32|2\.b64)", compiled["ptx"]))
        for kind in ("ld", "st")
    }
    threads = 32 * fused_cuda.WARPS
    p, s = (dtype.itemsize * BLOCK // threads // 16 for dtype in dtypes)
    assert wide == {"ld": 2 * p + 3 * s, "st": p + 3 * s}
    assert not re.search(r"div\.(?:full|approx)|sqrt\.approx|max\.f", compiled["ptx"])  # max drops NaN


@compiles
def test_stochastic_rounding_and_all_that_is_read_on_the_device_compile(launch):
    scalar = torch.ones(())
    tensors = Tensors((BLOCK,), torch.bfloat16, torch.float32, EVERYTHING)
    _, compile_ = launch(tensors, grad_scale=scalar, found_inf=scalar, stochastic_rounding=True)
    assert compile_()["cubin"]


@compiles
def test_the_whole_list_is_one_launch_and_other_numbers_or_tensors_compile_nothing(launch):
    once, _ = launch(Tensors((3, 4, 5), options=EVERYTHING))  # fails unless it is one launch
    values = (
        {"lr": 1.0},
        {"lr": 16.0},
        {"alpha": 0.0},
        {"eps": 0.0},
        {"eps": 1.0},
        {"eps_inside_sqrt": True},
    )
    values += ({"weight_decay": 1.0}, {"momentum": 1.0}, {"momentum": 16}, {"maximize": False})
    for changed in values:
        assert launch(Tensors((3, 4, 5), options=EVERYTHING | changed))[0] == once, changed
    for count in (1, 2, 16, 17, 200):
        assert launch(Tensors((16,) * count, options=EVERYTHING))[0] == once, count
    misaligned = Tensors((3, 4, 5), options=EVERYTHING)
    device = misaligned.lists["grads"][0].device
    misaligned.lists["params"] = [torch.zeros(9, device=device)[1 : 1 + size] for size in misaligned.sizes]
    assert launch(misaligned)[0] == once
    assert launch(Tensors((3,)))[0] != once


@needs_triton
@pytest.mark.slow
@pytest.mark.skipif(CUDA or INTERPRETED, reason="all tests run in this process")
def test_the_kernel_passes_these_tests_in_tritons_interpreter():
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert int(re.search(r"(\d+) passed", found.stdout).group(1)) > 200


def test_without_triton_it_says_so(monkeypatch):
    monkeypatch.setattr(fused_cuda, "find_spec", lambda name: None)
    assert "Triton" in fused_cuda.unavailable()
    monkeypatch.setattr(fused_cuda, "find_spec", lambda name: object())
    assert fused_cuda.unavailable() is None


# ---- the device itself


@needs_cuda
def test_steps_may_be_counted_on_the_host():
    tensors = Tensors((3, 5))
    tensors.lists["step"] = [torch.zeros(()) for _ in tensors.sizes]
    tensors.checked_step()


@needs_cuda
def test_a_cuda_graph_holds_the_step_and_reads_the_learning_rate_anew():
    captured, expected = (Tensors((100, BLOCK + 3), options=EVERYTHING) for _ in range(2))
    lr = torch.tensor(0.01, device=DEVICE)
    captured.step(lr=lr)
    expected.step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        grads = [2 * g for g in captured.lists["grads"]]  # new addresses: of the graph's own memory
        captured.lists["doubled"], captured.lists["grads"] = captured.lists["grads"], grads
        captured.step(lr=lr)
    captured.lists["grads"] = captured.lists.pop("doubled")
    fused_cuda._TABLES.clear()
    for value in (0.01, 0.25, 0.5):
        lr.fill_(value)
        for theirs, ours in zip(expected.lists["grads"], captured.lists["grads"], strict=True):
            ours.add_(1)
            theirs.copy_(2 * ours)
        graph.replay()
        expected.step(lr=torch.tensor(value, device=DEVICE))
        for name in captured.lists.keys() - {"grads"}:
            assert_same_bits(captured.lists[name], expected.lists[name])


@needs_cuda
def test_a_cuda_graph_draws_other_bits_for_stochastic_rounding_in_each_replay():
    tensors = Tensors((BLOCK,), torch.bfloat16, torch.float32)
    before = tensors.snapshot()
    tensors.step(stochastic_rounding=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        tensors.step(stochastic_rounding=True)
    found = []
    for _ in range(2):
        for name, saved in before.items():
            torch._foreach_copy_(tensors.lists[name], saved)
        graph.replay()
        found.append(tensors.lists["params"][0].clone())
    assert not torch.equal(*found)


@needs_cuda
def test_the_profiler_sees_one_kernel_and_no_copy():
    tensors = Tensors(tuple(1 + 640 * (i % 5) for i in range(100)), options=EVERYTHING)
    tensors.step()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        tensors.step()
        torch.cuda.synchronize()
    on_device = [e.name for e in profile.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    assert on_device == ["fused_step"]


@needs_cuda
def test_a_tensor_of_more_than_two_to_the_31_elements_is_stepped_to_its_end():
    size = 2**31 + BLOCK + 5
    if torch.cuda.mem_get_info()[0] < 8 * size:
        pytest.skip("needs 17 GB of free device memory")
    tensors = Tensors((1,), torch.bfloat16)
    for name, value in (("params", 1.0), ("grads", 1.0), ("square_avg", 0.0)):
        tensors.lists[name] = [torch.full((size,), value, dtype=torch.bfloat16, device=DEVICE)]
    tensors.options |= {"lr": 0.25, "alpha": 0.0, "eps": 0.0}
    tensors.step()
    assert (tensors.lists["params"][0] == 0.75).all()


# ---- what is left to foreach


def batch_of(p, g=None, **state):
    g = torch.zeros_like(p) if g is None else g
    state = {"step": torch.zeros(()), "square_avg": torch.zeros_like(p)} | state
    return Batch({}, [p], [g], {key: [tensor] for key, tensor in state.items()})


class Subclass(torch.Tensor):
    """As a DTensor is."""


def test_what_the_kernel_would_misread_is_left_to_foreach():
    half = torch.zeros(3, dtype=torch.bfloat16)
    wide = torch.zeros(3)
    assert fused_cuda.takes(batch_of(wide))
    assert fused_cuda.takes(batch_of(nn.Parameter(half), square_avg=wide))
    assert not fused_cuda.takes(batch_of(torch.zeros(0)))
    assert not fused_cuda.takes(batch_of(half, wide))
    assert not fused_cuda.takes(batch_of(half, square_avg=wide, momentum_buffer=half))
    assert not fused_cuda.takes(batch_of(wide.as_subclass(Subclass)))
