"""Programs that people have, with FusedRMSprop in place of torch.optim.RMSprop: `tox -e clients`."""

import warnings

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from rmsprop import FusedRMSprop

BOTH = [FusedRMSprop, torch.optim.RMSprop]
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def rows():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(64, 8, generator=generator)
    return features, features.sum(1, keepdim=True) + 0.1 * torch.randn(64, 1, generator=generator)


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))


def assert_same_training(ours, theirs):
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)


# ---- Lightning


def lightning_module(kind):
    lightning = pytest.importorskip("lightning")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network, self.lr = network(), 1e-3

        def training_step(self, batch, _):
            loss = nn.functional.mse_loss(self.network(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def configure_optimizers(self):
            optimizer = kind(self.parameters(), lr=self.lr, momentum=0.9)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=100)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    return Module()


def trainer(folder, **options):
    lightning = pytest.importorskip("lightning")
    return lightning.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        **options,
    )


def loader():
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*rows()), batch_size=16)


def test_lightning_clips_gradients_and_continues_from_a_checkpoint(tmp_path):
    trained = []
    for kind in BOTH:
        folder = tmp_path / kind.__name__
        first = trainer(folder, max_epochs=2, gradient_clip_val=0.5)
        first.fit(lightning_module(kind), loader())
        first.save_checkpoint(folder / "saved.ckpt")
        module = lightning_module(kind)
        trainer(folder, max_epochs=4, gradient_clip_val=0.5).fit(
            module, loader(), ckpt_path=folder / "saved.ckpt", weights_only=False
        )
        trained.append(module)
    assert_same_training(*trained)


def test_lightning_clips_gradients_under_mixed_precision(tmp_path):
    """Its plugin refuses an optimizer that takes the scale itself."""
    precision = pytest.importorskip("lightning.pytorch.plugins.precision")
    trained = []
    for kind in BOTH:
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
        plugin = precision.MixedPrecision("16-mixed", "cpu", scaler)
        module = lightning_module(kind)
        trainer(tmp_path, max_epochs=2, gradient_clip_val=0.5, plugins=[plugin]).fit(module, loader())
        trained.append(module)
    for p, q in zip(*(module.parameters() for module in trained), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-2, atol=1e-3)  # the forward pass is in float16
    plugin = precision.MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))
    taking = lightning_module(lambda params, **options: FusedRMSprop(params, **options, amp_scaling=True))
    with pytest.raises(RuntimeError, match="does not allow for gradient clipping"):
        trainer(tmp_path, max_epochs=1, gradient_clip_val=0.5, plugins=[plugin]).fit(taking, loader())


@pytest.mark.parametrize("kind", BOTH)
def test_lightnings_tuner_finds_a_learning_rate(kind, tmp_path):
    """It loads a checkpoint from before its own scheduler, whose key the groups have by then."""
    tuner = pytest.importorskip("lightning.pytorch.tuner")
    found = tuner.Tuner(trainer(tmp_path, max_epochs=3)).lr_find(
        lightning_module(kind), loader(), num_training=20
    )
    assert found.suggestion() is None or found.suggestion() > 0


# ---- accelerate


@pytest.mark.parametrize("accumulate", [1, 2])
def test_accelerate_trains_clips_and_restores(accumulate, tmp_path):
    accelerate = pytest.importorskip("accelerate")
    trained = []
    for kind in BOTH:
        accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=accumulate)
        model = network()
        optimizer = kind(model.parameters(), lr=1e-2, centered=True)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
        model, optimizer, data, schedule = accelerator.prepare(model, optimizer, loader(), schedule)
        for epoch in range(3):
            for features, labels in data:
                with accelerator.accumulate(model):
                    accelerator.backward(nn.functional.mse_loss(model(features), labels))
                    accelerator.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.step()
                    schedule.step()
                    optimizer.zero_grad()
            if epoch == 0:
                accelerator.save_state(str(tmp_path / kind.__name__))
        accelerator.load_state(str(tmp_path / kind.__name__))
        trained.append(accelerator.unwrap_model(model))
        assert accelerator.unwrap_model(model) is not None
    assert_same_training(*trained)


# ---- ignite and stable-baselines3


@pytest.mark.parametrize("kind", BOTH)
def test_ignites_learning_rate_finder_restores_the_optimizer(kind):
    engine = pytest.importorskip("ignite.engine")
    handlers = pytest.importorskip("ignite.handlers")
    model = network()
    optimizer = kind(model.parameters(), lr=1e-4)
    steps = engine.create_supervised_trainer(model, optimizer, nn.functional.mse_loss)
    finder = handlers.FastaiLRFinder()
    with finder.attach(steps, {"model": model, "optimizer": optimizer}, end_lr=1.0, num_iter=8) as finding:
        finding.run(loader(), max_epochs=2)
    assert optimizer.param_groups[0]["lr"] == 1e-4
    steps.run(loader(), max_epochs=1)


def test_stable_baselines3_learns_as_with_torchs():
    sb3 = pytest.importorskip("stable_baselines3")
    found = []
    for kind in BOTH:
        policy = {"optimizer_class": kind, "optimizer_kwargs": {"alpha": 0.99, "eps": 1e-5}}
        model = sb3.A2C(
            "MlpPolicy", "CartPole-v1", policy_kwargs=policy, seed=0, device="cpu", use_rms_prop=False
        )
        model.learn(200)
        found.append(model.policy)
    assert_same_training(*found)


# ---- FSDP2 over gloo


def fsdp_worker(rank, folder, kind, results):
    # In the two processes that use them: they take seconds to import.
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict  # noqa: PLC0415
    from torch.distributed.fsdp import fully_shard  # noqa: PLC0415

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    model = network()
    for layer in (model[0], model[2]):
        fully_shard(layer, mesh=dist.device_mesh.init_device_mesh("cpu", (2,)))
    fully_shard(model, mesh=dist.device_mesh.init_device_mesh("cpu", (2,)))
    optimizer = kind(model.parameters(), lr=1e-2, momentum=0.9)
    features, labels = (t[rank::2] for t in rows())
    for step in range(4):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(features), labels).backward()
        optimizer.step()
        if step == 1:
            saved = get_optimizer_state_dict(model, optimizer)
            optimizer = kind(model.parameters(), lr=1e-2, momentum=0.9)
            set_optimizer_state_dict(model, optimizer, saved)
    whole = [p.full_tensor().detach() for p in model.parameters()]
    sharded = [type(s["square_avg"]).__name__ for s in optimizer.state.values()]
    if rank == 0:
        torch.save((whole, sharded), results)
    dist.destroy_process_group()


def test_fsdp2_shards_and_continues_as_with_torchs(tmp_path):
    pytest.importorskip("torch.distributed.fsdp")
    found = []
    for kind in BOTH:
        folder = tmp_path / kind.__name__
        folder.mkdir()
        mp.spawn(fsdp_worker, (str(folder), kind, str(folder / "found.pt")), nprocs=2)
        whole, sharded = torch.load(folder / "found.pt", weights_only=False)
        assert set(sharded) == {"DTensor"}
        found.append(whole)
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-7)
