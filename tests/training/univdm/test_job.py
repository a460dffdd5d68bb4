"""Training of UniVDM."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalOperand=false, reportOptionalIterable=false

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_features import write_features
from torch import nn

from paha import config as configuration
from paha import presets
from paha.dataset.dataset import FeatureDataset, measure_residual_std
from paha.errors import PahaError
from paha.extractors.pixel_codec import PixelCodec
from paha.sampling.schedule import Schedule
from paha.sampling.target import from_target, to_target
from paha.training.loop import fit
from paha.training.univdm.job import build_univdm, draw_noise, resolve, univdm_job, univdm_loss
from paha.training.univdm.probe import audio_probe, mouth_mask
from paha.univdm.conditioning import Conditioning

DEBUG = presets.preset("debug")
GOLDEN = Path(__file__).parents[2] / "golden" / "univdm_debug_curve.json"


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def features(tmp_path):
    return write_features(tmp_path / "features", DEBUG)


def batch_of(features, config=DEBUG, *, size=8):
    return FeatureDataset(features, config=config).batch(torch.Generator().manual_seed(0), size)


def with_options(**changes):
    return configuration.override(DEBUG, {name.replace("__", "."): value for name, value in changes.items()})


class Spy(nn.Module):
    """Stands in for the network where a test is about what it is given: returns a constant, keeps the inputs."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, z, time, conditioning, *, ref_time, cache=None):
        self.z, self.time, self.conditioning, self.ref_time = z, time, conditioning, ref_time
        return self.value.expand_as(z)


def loss_of(model, batch, config=DEBUG, *, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return univdm_loss(model, batch, config=config, schedule=Schedule(config.diffusion), generator=generator, **options)


def drawn(config=DEBUG, *, size=2000, seed=0):
    return draw_noise(torch.Size((size, 4, 1, 1, 1)), config=config, generator=torch.Generator().manual_seed(seed))


def test_timesteps_modes_and_dropout_have_their_frequencies():
    draw = drawn()
    first = draw.frame_mask[:, 0] == 0
    assert 0.46 < first.float().mean() < 0.54
    assert (draw.frame_mask[:, 1:] == 1).all()
    assert (draw.timesteps[~first] == draw.timesteps[~first, :1]).all()
    assert (draw.timesteps[:, 1:] == draw.timesteps[:, 1:2]).all()
    assert set(draw.timesteps[first, 0].tolist()) == set(range(101))
    t = draw.timesteps[:, 1]
    assert t.min() >= 0
    assert 980 <= t.max() <= 999
    assert abs(float(t.float().mean()) - 499.5) < 20
    for kept in (draw.keep_reference, draw.keep_audio):
        assert 0.87 < kept.mean() < 0.93
    both = (1 - draw.keep_reference) * (1 - draw.keep_audio)
    assert 0.003 < both.mean() < 0.02  # independent: 0.01


def test_probabilities_do_not_move_the_other_random_numbers():
    a = drawn(with_options(diffusion__first_frame_prob=0.0, train__drop_audio_prob=0.0))
    b = drawn(with_options(diffusion__first_frame_prob=1.0))
    assert torch.equal(a.eps, b.eps)
    assert torch.equal(a.timesteps[:, 1:], b.timesteps[:, 1:])
    assert torch.equal(a.keep_reference, b.keep_reference)
    assert (a.frame_mask == 1).all()
    assert (b.frame_mask[:, 0] == 0).all()


def test_dropping_the_reference_zeroes_slot_channels_and_tokens_together(features):
    batch = batch_of(features, size=4)
    keep = torch.tensor([1.0, 0.0, 1.0, 0.0])
    c = Conditioning.of_batch(batch, channel_scale=5.0, keep_reference=keep, keep_audio=1 - keep)
    for value in (c.ref_latent, c.ref_channels, c.image_tokens):
        assert (value[1] == 0).all()
        assert (value[0] != 0).any()
    assert c.ref_latent is not None
    torch.testing.assert_close(c.ref_channels, 5.0 * c.ref_latent)
    assert c.audio_mask.tolist() == [0.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize("target", ["absolute", "residual"])
def test_the_network_gets_the_noised_target_and_its_time(features, target):
    config = with_options(diffusion__target=target, diffusion__residual_std=0.3)
    schedule, batch, spy = Schedule(config.diffusion), batch_of(features), Spy()
    loss_of(spy, batch, config, seed=3)
    draw = draw_noise(batch.latents.shape, config=config, generator=torch.Generator().manual_seed(3))
    z_0 = batch.latents if target == "absolute" else (batch.latents - batch.ref_latent[:, None]) / 0.3
    alpha, sigma = (f(draw.timesteps)[..., None, None, None] for f in (schedule.alpha, schedule.sigma))
    torch.testing.assert_close(spy.z, alpha * z_0 + sigma * draw.eps)
    torch.testing.assert_close(spy.time, (sigma / alpha).log().squeeze() / 4)
    assert spy.ref_time == pytest.approx(float(schedule.time_input(0)))


def test_target_round_trip(features):
    batch = batch_of(features)
    for target in ("absolute", "residual"):
        diffusion = with_options(diffusion__target=target, diffusion__residual_std=0.3).diffusion
        there = to_target(batch.latents, batch.ref_latent, diffusion)
        torch.testing.assert_close(from_target(there, batch.ref_latent, diffusion), batch.latents)


def test_plain_loss_is_the_mean_squared_error_of_v_over_frames_that_count(features):
    config = with_options(par__enabled=False, diffusion__target="absolute")
    batch, schedule = batch_of(features), Schedule(config.diffusion)
    loss, scalars = loss_of(Spy(0.25), batch, config, seed=4)
    draw = draw_noise(batch.latents.shape, config=config, generator=torch.Generator().manual_seed(4))
    v = schedule.v_target(batch.latents, draw.eps, draw.timesteps)
    error = ((0.25 - v) ** 2).mean(dim=(2, 3, 4))
    assert 0 < (draw.frame_mask == 0).sum() < 8
    torch.testing.assert_close(loss, error[draw.frame_mask == 1].mean())
    assert {"background", "face"} <= scalars.keys()


def test_loss_space_epsilon_is_alpha_squared_times_the_v_error(features):
    names = {"par__enabled": False, "diffusion__first_frame_prob": 0.0}
    batch = batch_of(features, size=1)
    v_loss, _ = loss_of(Spy(0.1), batch, with_options(**names), seed=5)
    eps_loss, _ = loss_of(Spy(0.1), batch, with_options(**names, diffusion__loss_space="epsilon"), seed=5)
    t = draw_noise(batch.latents.shape, config=DEBUG, generator=torch.Generator().manual_seed(5)).timesteps[0, 1]
    alpha = Schedule(DEBUG.diffusion).alpha(t)
    torch.testing.assert_close(eps_loss, alpha**2 * v_loss, rtol=1e-4, atol=1e-6)


def test_epsilon_prediction_is_eq_1_to_the_letter(features):
    config = with_options(par__enabled=False, diffusion__prediction_type="epsilon", diffusion__first_frame_prob=0.0)
    batch = batch_of(features)
    loss, _ = loss_of(Spy(0.0), batch, config, seed=6)
    eps = draw_noise(batch.latents.shape, config=config, generator=torch.Generator().manual_seed(6)).eps
    torch.testing.assert_close(loss, eps.square().mean())


def test_loss_weights_act_before_the_reduction(features):
    """Raising the scores of the face of one clip raises its share of the gradient, and of no other clip's."""
    config = with_options(diffusion__first_frame_prob=0.0, par__body_weight=1.0)
    batch = batch_of(features, size=2)
    batch.scores.zero_()
    shift = nn.Parameter(torch.zeros_like(batch.latents))

    def gradient():
        class Shift(Spy):
            def forward(self, z, time, conditioning, *, ref_time, cache=None):
                return shift

        loss, _ = loss_of(Shift(), batch, config, seed=7)
        return torch.autograd.grad(loss, shift)[0]

    plain = gradient()
    batch.scores[0, :, 23:91] = 1.0
    raised = gradient()
    assert (raised[0].abs().sum() / plain[0].abs().sum()) > 1.3
    assert torch.equal(raised[1], plain[1])
    ratio = (raised[0] / plain[0]).amax(dim=1)  # the same for all channels of a cell
    torch.testing.assert_close(ratio, (raised[0] / plain[0]).amin(dim=1), rtol=1e-3, atol=1e-4)


def test_probe_and_loss_run_on_the_real_network(features):
    model = build_univdm(DEBUG)
    batch = batch_of(features)
    loss, scalars = loss_of(model, batch)
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    assert scalars.keys() <= {"t_low", "t_mid", "t_high", "face", "hand", "body", "background"}
    schedule = Schedule(DEBUG.diffusion)
    probed = audio_probe(model, [batch, batch_of(features, size=3)], config=DEBUG, schedule=schedule)
    assert len(probed) == 9
    assert probed["probe/gap_600"] == pytest.approx(0, abs=1e-6)  # the audio layers start at zero
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "audio" in name:
                parameter.add_(0.3)
    moved = audio_probe(model, [batch], config=DEBUG, schedule=schedule)
    assert abs(moved["probe/gap_600"]) > 1e-4
    assert audio_probe(model, [batch], config=DEBUG, schedule=schedule) == moved


def test_mouth_mask_covers_the_lips_area_exactly():
    points = torch.zeros(1, 1, 133, 2)
    points[..., 71:91, 0] = torch.linspace(0.25, 0.5, 20)
    points[..., 71:91, 1] = torch.linspace(0.5, 0.75, 20)
    mask = mouth_mask(points, height=4, width=8, margin=0.0)
    assert mask.shape == (1, 1, 1, 4, 8)
    expected = torch.zeros(4, 8)
    expected[2, 2:4] = 1
    torch.testing.assert_close(mask[0, 0, 0], expected)
    grown = mouth_mask(points, height=4, width=8, margin=0.5)
    assert float(grown.sum()) == pytest.approx(1.5 * 1.5 * 2)


def test_residual_std_is_measured_unless_given(features):
    dataset = FeatureDataset(features, config=DEBUG)
    assert resolve(DEBUG, dataset).diffusion.residual_std == pytest.approx(measure_residual_std(dataset), abs=1e-5)
    given = with_options(diffusion__residual_std=0.7)
    assert resolve(given, dataset) == given
    absolute = with_options(diffusion__target="absolute")
    assert resolve(absolute, dataset) == absolute


def test_fresh_models_depend_on_the_seed_alone():
    torch.manual_seed(1)
    a = build_univdm(DEBUG)
    state = torch.get_rng_state()
    b = build_univdm(DEBUG)
    assert torch.equal(state, torch.get_rng_state())
    c = build_univdm(with_options(train__seed=1))
    first, second, other = (model.state_dict()["conv_in.weight"] for model in (a, b, c))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def debug_curve(folder: Path) -> list[float]:
    """Losses of 20 steps of the debug preset on the tiny features."""
    features = write_features(folder / "features", DEBUG)
    fit(univdm_job(DEBUG, FeatureDataset(features, config=DEBUG)), DEBUG.train, folder / "run", progress=False)
    return [json.loads(line)["loss"] for line in (folder / "run/stats.jsonl").read_text().splitlines()]


def test_golden_curve(tmp_path):
    golden = json.loads(GOLDEN.read_text())
    first, second = debug_curve(tmp_path / "a"), debug_curve(tmp_path / "b")
    assert first == second
    assert first == pytest.approx(golden["loss"], rel=1e-3)


def test_job_trains_resumes_probes_and_saves(features, tmp_path):
    config = with_options(train__sample_every=3, train__checkpoint_every=2, train__steps=6, sample__steps=2)
    codec = PixelCodec.from_codec_config(config.codec)
    out = tmp_path / "run"

    def run(config):
        fit(
            univdm_job(config, FeatureDataset(features, config=config), codec=codec, probe_batches=1),
            config.train,
            out,
            progress=False,
        )

    run(with_options(train__sample_every=3, train__checkpoint_every=2, train__steps=4, sample__steps=2))
    run(config)
    lines = [json.loads(line) for line in (out / "stats.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [("probe/gap_300" in line) for line in lines] == [False, False, True] * 2
    assert sorted(path.name for path in (out / "samples").iterdir()) == ["000003.png", "000006.png"]
    saved = configuration.load(out / "model/paha.yaml")
    assert saved.diffusion.residual_std != 1.0
    whole = tmp_path / "whole"
    fit(univdm_job(config, FeatureDataset(features, config=config), codec=codec), config.train, whole, progress=False)
    a, b = (load_file(each / "model/univdm/diffusion_pytorch_model.safetensors") for each in (out, whole))
    assert all(torch.equal(a[key], b[key]) for key in a)
    fit(
        univdm_job(with_options(train__steps=1), FeatureDataset(features, config=DEBUG)),
        with_options(train__steps=1).train,
        tmp_path / "c",
        init=out,
    )
    with pytest.raises(PahaError, match=r"'diffusion\.prediction_type' was 'v_prediction' and is now 'epsilon'"):
        run(with_options(train__steps=8, train__sample_every=3, diffusion__prediction_type="epsilon"))


def test_gradient_checkpointing_does_not_change_the_gradient(features):
    batch = batch_of(features, size=2)
    gradients = []
    for flag in (False, True):
        config = with_options(train__gradient_checkpointing=flag)
        model = build_univdm(config).train()
        loss_of(model, batch, config)[0].backward()
        assert isinstance(model.conv_in, nn.Conv2d)
        gradients.append(model.conv_in.weight.grad)
    torch.testing.assert_close(*gradients)


if __name__ == "__main__":
    # Writes the golden curve anew: python tests/training/test_univdm.py
    import tempfile

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        curve = debug_curve(Path(folder))
    record = {"command": "python tests/training/test_univdm.py", "torch": torch.__version__, "loss": curve}
    GOLDEN.write_text(json.dumps(record, indent=1) + "\n")
