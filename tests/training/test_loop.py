"""The training loop: resumes to the same bits, stops, reports."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from toy_run import Toy, toy_config, toy_job

from paha.errors import PahaError
from paha.training.checkpoint import PARTS
from paha.training.ema import Ema
from paha.training.job import StepContext
from paha.training.loop import fit, learning_rate_at
from paha.training.report import truncate_stats

SCRIPT = Path(__file__).with_name("toy_run.py")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def layers_of(model: nn.Module) -> Any:
    """The layers of a `Toy`, whose modules the type checker cannot know."""
    return model.get_submodule("layers")


def run(out: Path, **changes) -> int:
    return fit(toy_job(), toy_config(**changes), out, progress=False)


def stats(out: Path) -> list[dict]:
    lines = [json.loads(line) for line in (out / "stats.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def assert_same_bits(a: Path, b: Path) -> None:
    for part in PARTS:
        left, right = (load_file(out / "checkpoint" / f"{part}.safetensors") for out in (a, b))
        assert left.keys() == right.keys()
        assert all(torch.equal(left[key], right[key]) for key in left), part
    assert (a / "model/model.safetensors").read_bytes() == (b / "model/model.safetensors").read_bytes()
    assert stats(a) == stats(b)


def test_fit_learns_and_reports(tmp_path):
    assert run(tmp_path, steps=200) == 200
    lines = stats(tmp_path)
    assert [line["step"] for line in lines] == list(range(1, 201))
    assert {"loss", "lr", "grad_norm", "bias"} < lines[0].keys()
    losses = [line["loss"] for line in lines]
    assert sum(losses[-20:]) < 0.6 * sum(losses[:20])
    assert list((tmp_path / "tensorboard").iterdir())


def test_killed_and_resumed_run_ends_in_the_same_bits(tmp_path):
    run(tmp_path / "whole")
    kill_at = random.randrange(1, 28)  # any step must do
    killed = tmp_path / "killed"
    process = start_script(killed, steps=30)
    wait_for_lines(killed, kill_at, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert kill_at <= len(stats_text(killed)) < 30, "the kill came too late"
    run(killed)
    assert_same_bits(tmp_path / "whole", killed)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_a_checkpoint_and_stops(tmp_path, number, status):
    process = start_script(tmp_path, steps=1000)
    wait_for_lines(tmp_path, 6, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == status
    state = json.loads((tmp_path / "checkpoint/state.json").read_text())
    assert state["step"] == len(stats_text(tmp_path)) >= 6
    assert f"stopped by {number.name} at step {state['step']}" in errors


def start_script(out: Path, *, steps: int) -> subprocess.Popen:
    environment = os.environ | {"TOY_PAUSE_S": "0.01", "PYTHONPATH": str(SCRIPT.parents[2])}
    command = [sys.executable, str(SCRIPT), str(out), str(steps)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def stats_text(out: Path) -> list[str]:
    path = out / "stats.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def wait_for_lines(out: Path, count: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 300
    while len(stats_text(out)) < count:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.003)


def test_slices_of_a_run_equal_the_whole(tmp_path):
    run(tmp_path / "whole")
    sliced = tmp_path / "sliced"
    job = toy_job(pause_s=0.005)
    slices = 0
    while fit(job, toy_config(), sliced, progress=False, stop_after_s=0.08) < 30:
        slices += 1
        job = toy_job(pause_s=0.005)
    assert slices >= 1
    assert_same_bits(tmp_path / "whole", sliced)


def test_a_finished_run_is_left_alone_and_can_be_prolonged(tmp_path):
    run(tmp_path, cosine_decay=False)
    before = (tmp_path / "checkpoint/weights.safetensors").read_bytes()
    assert run(tmp_path, cosine_decay=False) == 30
    assert (tmp_path / "checkpoint/weights.safetensors").read_bytes() == before
    assert run(tmp_path, cosine_decay=False, steps=34) == 34
    with pytest.raises(PahaError, match="already at step 34"):
        run(tmp_path, cosine_decay=False)


def test_another_configuration_is_refused_by_name(tmp_path):
    run(tmp_path, steps=4)
    with pytest.raises(PahaError, match=r"'train\.learning_rate' was 0\.01 and is now 0\.02"):
        run(tmp_path, steps=4, learning_rate=0.02)
    with pytest.raises(PahaError, match=r"'data' was None and is now 'other'"):
        fit(replace(toy_job(), fingerprint={"data": "other"}), toy_config(), tmp_path, progress=False)


@pytest.mark.parametrize("bad_step", [0, 6])
def test_a_loss_that_is_not_finite_stops_before_the_weights(tmp_path, bad_step):
    job = toy_job()

    def loss(model: nn.Module, context: StepContext):
        value, scalars = job.loss(model, context)
        return value * (float("nan") if context.step == bad_step else 1.0), scalars

    with pytest.raises(PahaError, match=f"loss is not finite at step {bad_step + 1}; (the last good|no) checkpoint"):
        fit(replace(job, loss=loss), toy_config(), tmp_path, progress=False)
    assert all(torch.isfinite(value).all() for value in job.model.state_dict().values())
    assert (tmp_path / "checkpoint").exists() == (bad_step > 4)


def test_an_infinite_gradient_stops_too(tmp_path):
    job = toy_job()

    def loss(model: nn.Module, context: StepContext):
        value, scalars = job.loss(model, context)
        return value + (value - value.detach()).abs().sqrt(), scalars  # finite value, infinite slope at 0

    with pytest.raises(PahaError, match="gradient norm is not finite at step 1"):
        fit(replace(job, loss=loss), toy_config(), tmp_path, progress=False)


def test_init_starts_from_earlier_weights(tmp_path):
    run(tmp_path / "a", steps=4)
    other = toy_job()
    with torch.no_grad():
        layers_of(other.model)[0].weight.zero_()
    fit(other, toy_config(steps=1, learning_rate=1e-9), tmp_path / "b", init=tmp_path / "a", progress=False)
    ema = load_file(tmp_path / "a/checkpoint/ema.safetensors")
    for key, value in load_file(tmp_path / "b/checkpoint/weights.safetensors").items():
        torch.testing.assert_close(value, ema[key], rtol=0, atol=1e-7)
    with pytest.raises(PahaError, match="no weights to start from"):
        fit(toy_job(), toy_config(), tmp_path / "c", init=tmp_path, progress=False)


def test_samples_and_probe_see_the_ema_model(tmp_path):
    seen = []

    def sample(model: nn.Module, step: int, path: Path) -> None:
        assert not model.training
        seen.append(next(model.parameters()).clone())
        path.write_bytes(b"picture")

    job = replace(toy_job(), sample=sample, probe=lambda model, step: {"probe": float(step)})
    fit(job, toy_config(sample_every=10), tmp_path, progress=False)
    assert [path.name for path in sorted((tmp_path / "samples").iterdir())] == [
        "000010.png",
        "000020.png",
        "000030.png",
    ]
    assert [line.get("probe") for line in stats(tmp_path)][8:11] == [None, 10.0, None]
    assert torch.equal(seen[-1], load_file(tmp_path / "checkpoint/ema.safetensors")["layers.0.weight"])
    run(tmp_path / "plain")  # looking on changes nothing
    plain = load_file(tmp_path / "plain/checkpoint/weights.safetensors")
    looked_at = load_file(tmp_path / "checkpoint/weights.safetensors")
    assert all(torch.equal(plain[key], looked_at[key]) for key in plain)


def test_ema_is_the_recursion_in_fp32():
    torch.manual_seed(0)
    model = Toy().to(torch.bfloat16)
    ema = Ema(model, 0.9)
    layer, averaged = layers_of(model)[0], layers_of(ema.model)[0]
    expected = layer.weight.detach().double()
    for step in range(1, 101):
        with torch.no_grad():
            layer.weight.add_(torch.randn_like(layer.weight))
        ema.update(model, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * layer.weight.detach().double()
    assert averaged.weight.dtype == torch.float32
    torch.testing.assert_close(averaged.weight.double(), expected, rtol=1e-5, atol=1e-5)


def test_num_micro_batches_equals_the_larger_batch(tmp_path):
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(3))

    def weights(out: Path, parts: int) -> dict:
        job = toy_job()
        layers_of(job.model)[2].p = 0.0

        def loss(model: nn.Module, context: StepContext):
            part = x.chunk(parts)[context.micro]
            return model(part).square().mean(), {}

        fit(replace(job, loss=loss), toy_config(steps=5, num_micro_batches=parts), out, progress=False)
        return load_file(out / "checkpoint/weights.safetensors")

    one, four = weights(tmp_path / "1", 1), weights(tmp_path / "4", 4)
    for key in one:
        torch.testing.assert_close(one[key], four[key], rtol=1e-4, atol=1e-5)


def test_mixed_precision_runs_in_bf16_and_keeps_fp32_weights(tmp_path):
    dtypes = set()
    job = toy_job()
    assert isinstance(job.model, Toy)
    job.model.layers[0].register_forward_hook(lambda module, inputs, output: dtypes.add(output.dtype))
    fit(job, toy_config(steps=3, mixed_precision="bf16"), tmp_path, progress=False)
    assert dtypes == {torch.bfloat16}
    assert {value.dtype for value in load_file(tmp_path / "checkpoint/weights.safetensors").values()} == {torch.float32}


@pytest.mark.skipif(torch.cuda.is_available(), reason="fp16 works on a GPU")
def test_fp16_without_a_gpu_is_one_clear_line(tmp_path):
    with pytest.raises(PahaError, match=r"train\.mixed_precision=fp16 works on a GPU only"):
        run(tmp_path, mixed_precision="fp16")


def test_progress_shows_steps_and_loss(tmp_path, capsys):
    fit(toy_job(), toy_config(steps=3), tmp_path, progress=True)
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert f"loss {stats(tmp_path)[-1]['loss']:.4f}" in shown


def test_learning_rate_warms_up_and_decays_to_a_tenth():
    config = toy_config(steps=105, learning_rate=1.0, warmup_steps=5)
    rates = [learning_rate_at(step, config) for step in range(106)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[55] == pytest.approx(0.55)
    assert rates[105] == pytest.approx(0.1)
    assert learning_rate_at(99, toy_config(cosine_decay=False, learning_rate=1.0)) == 1.0


def test_generators_differ_by_every_counter_and_repeat():
    base = StepContext(step=3, micro=0, seed=1, rank=0, world_size=1, device=torch.device("cpu"))

    def draw(context, name):
        return torch.rand((), generator=context.generator(name)).item()

    others = [replace(base, step=4), replace(base, micro=1), replace(base, seed=2)]
    values = {draw(base, "noise"), draw(base, "batch"), *(draw(other, "noise") for other in others)}
    assert len(values) == 5
    assert draw(base, "noise") == draw(base, "noise") == draw(replace(base, rank=1, world_size=2), "noise")


def test_stats_keep_only_whole_lines_up_to_the_resumed_step(tmp_path):
    path = tmp_path / "stats.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    truncate_stats(path, 2)
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_training_outside_the_main_thread_works(tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(run(tmp_path, steps=3)))
    thread.start()
    thread.join()
    assert results == [3]


def test_without_tensorboard_one_line_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    run(tmp_path, steps=2)
    assert "paha[train]" in capsys.readouterr().err
    assert len(stats(tmp_path)) == 2


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PahaError, match=r"cannot write to .*file"):
        run(tmp_path / "file" / "run")


def test_ema_kept_on_the_cpu_is_the_same(tmp_path):
    run(tmp_path / "plain")
    run(tmp_path / "cpu", ema_on_cpu=True)
    assert_same_bits(tmp_path / "plain", tmp_path / "cpu")


def test_options_younger_than_a_checkpoint_are_told_and_taken(tmp_path, capsys):
    run(tmp_path, steps=4)
    path = tmp_path / "checkpoint/state.json"
    state = json.loads(path.read_text())
    del state["fingerprint"]["train"]["optimizer"]
    path.write_text(json.dumps(state))
    assert run(tmp_path, steps=8) == 8
    assert "does not know yet: train.optimizer = adamw" in capsys.readouterr().err


def test_eight_bit_adamw_learns_and_resumes_to_the_same_bits(tmp_path):
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed (paha[scale])")

    def wide_job():
        torch.manual_seed(7)
        model = nn.Sequential(
            nn.Linear(4, 1024), nn.SiLU(), nn.Linear(1024, 4)
        )  # 4096 weights: large enough for 8 bits
        return replace(toy_job(), model=model, loss=lambda m, c: wide_loss(m, c))

    def wide_loss(model: nn.Module, context: StepContext):
        x = torch.randn(64, 4, generator=context.generator("batch"))
        return (model(x) - x.roll(1, 1)).square().mean(), {}

    options = {"optimizer": "adamw8bit", "cosine_decay": False, "learning_rate": 3e-3}
    for out, parts in {"whole": (40,), "sliced": (25, 40)}.items():
        for steps in parts:
            fit(wide_job(), toy_config(steps=steps, **options), tmp_path / out, progress=False)
    assert_same_bits(tmp_path / "whole", tmp_path / "sliced")
    state = load_file(tmp_path / "whole/checkpoint/optimizer.safetensors")
    assert {value.dtype for key, value in state.items() if key.startswith("0.") and key.endswith("state1")} == {
        torch.uint8
    }
    losses = [line["loss"] for line in stats(tmp_path / "whole")]
    assert losses[-1] < 0.5 * losses[0]


def test_eight_bit_adamw_without_its_library_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(PahaError, match=r"pip install 'paha\[scale\]'"):
        run(tmp_path, optimizer="adamw8bit")


def test_snapshots_keep_the_model_of_their_step(tmp_path):
    run(tmp_path / "whole", steps=6, snapshots=(4,), cosine_decay=False)
    run(tmp_path / "short", steps=4, cosine_decay=False)
    kept = load_file(tmp_path / "whole/model-000004/model.safetensors")
    assert all(torch.equal(value, kept[name]) for name, value in model_of(tmp_path / "short").items())
    assert any(not torch.equal(value, kept[name]) for name, value in model_of(tmp_path / "whole").items())


def model_of(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model/model.safetensors")
