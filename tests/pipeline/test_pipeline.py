"""PahaPipeline: segments, noise, guidance and types, against the plain sampler."""

import itertools
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from toy import toy_audio, toy_image, toy_pipeline

from paha.config import override
from paha.errors import PahaError
from paha.extractors.audio import LogMelEncoder
from paha.extractors.image import PooledLatentEncoder
from paha.media.image_io import as_image, fit_image
from paha.pipeline.inputs import PahaWarning
from paha.pipeline.options import SampleOptions
from paha.pipeline.pipeline import PahaPipeline
from paha.presets import preset
from paha.sampling.sampler import sample
from paha.sampling.schedule import Schedule
from paha.univdm.audio_window import audio_windows
from paha.univdm.conditioning import Conditioning

IMAGE, AUDIO = toy_image(), toy_audio(0.4)


@pytest.fixture(scope="module")
def pipeline():
    return toy_pipeline()


def latents_of(pipeline, **options):
    return [output.latents for output in pipeline.stream(IMAGE, AUDIO, SampleOptions(**options))]


def test_the_video_is_as_long_as_the_sound(pipeline):
    frames = pipeline(IMAGE, AUDIO, seed=0).frames
    assert frames.shape == (10, 32, 32, 3)
    assert frames.dtype == np.uint8
    assert pipeline(IMAGE, AUDIO, seed=0, num_frames=6).frames.shape[0] == 6
    assert pipeline(IMAGE, (AUDIO[0].repeat(2, axis=1), 11_025), seed=0).frames.shape[0] == 15


def test_output_types_say_the_same(pipeline):
    frames = pipeline(IMAGE, AUDIO, seed=0).frames
    pil = pipeline(Image.fromarray(IMAGE), AUDIO, seed=0, output_type="pil").frames
    assert np.array_equal(np.stack([np.asarray(image) for image in pil]), frames)
    latents = pipeline(IMAGE, AUDIO, seed=0, output_type="latent").frames
    assert latents.shape == (10, 4, 4, 4)
    decoded = ((pipeline.codec.decode(latents) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert np.abs(decoded.astype(int) - frames).max() <= 1


@pytest.mark.parametrize("changes", [{}, {"diffusion.prediction_type": "epsilon"}, {"diffusion.target": "absolute"}])
def test_one_segment_equals_the_plain_sampler_bit_for_bit(changes):
    config = override(preset("debug"), changes)
    pipeline = toy_pipeline(config)
    (output,) = pipeline.stream(IMAGE, AUDIO, SampleOptions(seed=5), num_frames=4)

    # By hand, out of the parts.
    pixels = torch.from_numpy(fit_image(IMAGE, width=32, height=32).copy()).permute(2, 0, 1)[None] / 127.5 - 1
    ref_latent = pipeline.codec.encode(pixels)
    conditioning = Conditioning(
        ref_latent=ref_latent,
        ref_channels=ref_latent,
        image_tokens=PooledLatentEncoder(pool=2).encode(ref_latent),
        audio=audio_windows(LogMelEncoder().encode(AUDIO[0][:, 0], 4), 2)[None],
    )
    schedule = Schedule(config.diffusion)
    ref_time = float(schedule.time_input(0))
    z_0 = sample(
        lambda z, t: pipeline.univdm(z, schedule.time_input(t), conditioning, ref_time=ref_time),
        torch.randn(1, 4, 4, 4, 4, generator=torch.Generator().manual_seed(5)),
        steps=3,
        schedule=schedule,
        prediction_type=config.diffusion.prediction_type,
    )
    assert torch.equal(output.latents, z_0[0])
    if config.diffusion.target == "residual":
        z_0 = ref_latent + config.diffusion.residual_std * z_0
    decoded = ((pipeline.codec.decode(z_0[0]) + 1) * 127.5).round().clamp(0, 255)
    assert np.array_equal(output.frames, decoded.to(torch.uint8).permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize("first_frame_timestep", [0, 20])
def test_segments_share_one_latent_and_resume_to_the_bit(first_frame_timestep):
    config = override(preset("debug"), {"diffusion.first_frame_timestep": first_frame_timestep})
    pipeline = toy_pipeline(config)
    whole = list(pipeline.stream(IMAGE, AUDIO, SampleOptions(seed=3)))
    assert [output.segment.index for output in whole] == [0, 1, 2]
    assert [len(output.frames) for output in whole] == [4, 3, 3]
    for before, after in itertools.pairwise(whole):
        assert torch.equal(after.latents[0], before.last_latent)
    later = {"start_segment": 2, "first_latent": whole[1].last_latent}
    rest = list(pipeline.generate(pipeline.encode_inputs(IMAGE, AUDIO), SampleOptions(seed=3), **later))
    assert len(rest) == 1
    assert torch.equal(rest[0].latents, whole[2].latents)
    assert np.array_equal(rest[0].frames, whole[2].frames)


def test_segments_come_as_they_are_done(pipeline):
    steps = []
    stream = pipeline.stream(IMAGE, AUDIO, callback_on_step_end=lambda pipe, step, t, kw: steps.append((step, t)))
    next(stream)
    assert steps == [(0, 999), (1, 666), (2, 332)]
    next(stream)
    assert [step for step, _ in steps] == [0, 1, 2, 3, 4, 5]


def test_a_callback_may_change_the_latents(pipeline):
    (output,) = pipeline.stream(
        IMAGE,
        AUDIO,
        num_frames=4,
        callback_on_step_end=lambda pipe, step, t, kwargs: {"latents": kwargs["latents"] * 0},
    )
    assert not output.latents.any()


def test_seeds_and_generators_decide_the_noise(pipeline):
    def run(**options):
        return pipeline(IMAGE, AUDIO, num_frames=4, **options).frames

    generator = torch.Generator().manual_seed(1)
    assert np.array_equal(run(seed=1), run(seed=1))
    assert not np.array_equal(run(seed=1), run(seed=2))
    first = run(generator=generator)
    assert not np.array_equal(first, run(generator=generator))
    assert np.array_equal(first, run(generator=torch.Generator().manual_seed(1)))


def test_audio_and_image_reach_the_video(pipeline):
    frames = pipeline(IMAGE, AUDIO, num_frames=4, seed=0).frames
    assert not np.array_equal(frames, pipeline(IMAGE, toy_audio(0.4, seed=9), num_frames=4, seed=0).frames)
    assert not np.array_equal(frames, pipeline(toy_image(9), AUDIO, num_frames=4, seed=0).frames)


def test_classifier_free_guidance_leaves_the_audio_out(pipeline):
    other = toy_audio(0.4, seed=9)

    def run(audio, scale):
        return pipeline(IMAGE, audio, num_frames=4, seed=0, cfg_scale=scale).frames

    # Scale 0 is the prediction without audio, whatever the audio.
    assert np.array_equal(run(AUDIO, 0.0), run(other, 0.0))
    assert not np.array_equal(run(AUDIO, 2.0), run(other, 2.0))
    assert not np.array_equal(run(AUDIO, 2.0), run(AUDIO, 1.0))


def test_guidance_is_made_for_each_segment(pipeline):
    seen = []

    def factory(conditioning):
        seen.append(conditioning.audio.shape)
        return lambda z, t, solver_step: solver_step(z)

    guided = latents_of(pipeline, guidance=factory)
    assert seen == [(1, 4, 5, 4, 80)] * 3
    assert all(torch.equal(a, b) for a, b in zip(guided, latents_of(pipeline), strict=True))
    pushed = latents_of(pipeline, guidance=lambda conditioning: lambda z, t, solver_step: solver_step(z + 0.1))
    assert not torch.equal(pushed[0], guided[0])
    # The given first frame is never changed by guidance (design row 12).
    assert torch.equal(pushed[1][0], pushed[0][-1])


def test_no_motion_is_the_reference_image(pipeline):
    scene = pipeline.encode_inputs(IMAGE, AUDIO)
    frames = pipeline.decode(scene, scene.segments[0], torch.zeros(4, 4, 4, 4))
    still = ((pipeline.codec.decode(scene.ref_latent) + 1) * 127.5).round().to(torch.uint8)[0].permute(1, 2, 0)
    assert all(np.array_equal(frame, still) for frame in frames)


def test_other_sizes_and_types(pipeline):
    assert pipeline(IMAGE, AUDIO, num_frames=2, width=48, height=16).frames.shape == (2, 16, 48, 3)
    wide = toy_pipeline().to(dtype=torch.float64)
    found, expected = (
        wide(IMAGE, AUDIO, num_frames=4, seed=0).frames,
        pipeline(IMAGE, AUDIO, num_frames=4, seed=0).frames,
    )
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_silence_is_exact_and_warned_of(pipeline):
    hiss = (1e-4 * AUDIO[0], AUDIO[1])
    with pytest.warns(PahaWarning, match="silent"):
        frames = pipeline(IMAGE, hiss, num_frames=4, seed=0).frames
    with pytest.warns(PahaWarning, match="silent"):
        assert np.array_equal(frames, pipeline(IMAGE, (0 * AUDIO[0], AUDIO[1]), num_frames=4, seed=0).frames)


@pytest.mark.parametrize(
    ("image", "audio", "options", "message"),
    [
        (IMAGE, toy_audio(0.1), {}, "0.10 s long"),
        (IMAGE, (np.full((9000, 1), np.nan, np.float32), 16_000), {}, "not numbers"),
        (IMAGE[:4], AUDIO, {}, "pixels a side"),
        (IMAGE.astype(float), AUDIO, {}, "uint8"),
        (IMAGE[..., 0], AUDIO, {}, "uint8"),
        (IMAGE, AUDIO, {"num_frames": 0}, "num_frames"),
        (IMAGE, AUDIO, {"width": 40}, "multiples of 16"),
        (IMAGE, AUDIO, {"num_inference_steps": 1001}, "1001"),
        (IMAGE, AUDIO, {"num_inference_steps": 0}, "steps is 0"),
        (IMAGE, AUDIO, {"width": 0}, "multiples of 16"),
        ("no-such.png", AUDIO, {}, "no-such.png"),
        (IMAGE, "no-such.wav", {}, "no-such.wav"),
    ],
)
def test_bad_inputs_are_refused_in_one_line(pipeline, image, audio, options, message):
    with pytest.raises(PahaError, match=message) as caught:
        pipeline(image, audio, **options)
    assert "\n" not in str(caught.value)


def test_integer_samples_mean_the_same(pipeline):
    quantised = np.round(AUDIO[0] * 32768).clip(-32768, 32767).astype(np.int16)
    as_float = (quantised / 32768).astype(np.float32)
    a, b = (pipeline(IMAGE, (s, 16_000), num_frames=4, seed=0).frames for s in (quantised, as_float))
    assert np.array_equal(a, b)


# ---- model folders


@pytest.fixture(scope="module")
def saved(pipeline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    for path in saved.rglob("*"):
        if path.is_file():
            (tmp_path / path.relative_to(saved)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path.relative_to(saved)).write_bytes(path.read_bytes())
    return tmp_path


def test_a_saved_model_gives_the_same_video(pipeline, saved):
    loaded = PahaPipeline.from_pretrained(saved)
    loaded.set_progress_bar_config(disable=True)
    assert loaded.preset == pipeline.preset
    assert not loaded.univdm.training
    assert set(loaded.components) == {"univdm", "codec"}
    frames = loaded(IMAGE, AUDIO, seed=0).frames
    assert np.array_equal(frames, pipeline(IMAGE, AUDIO, seed=0).frames)
    assert {path.suffix for path in saved.rglob("*") if path.is_file()} == {".json", ".yaml", ".safetensors"}


def test_half_precision_weights_load_as_float32(folder):
    path = folder / "univdm" / "diffusion_pytorch_model.safetensors"
    save_file({key: value.half() for key, value in load_file(path).items()}, path)
    assert PahaPipeline.from_pretrained(folder).univdm.dtype == torch.float32
    assert PahaPipeline.from_pretrained(folder, dtype=torch.bfloat16).univdm.dtype == torch.bfloat16
    assert PahaPipeline.from_pretrained(folder, torch_dtype=torch.bfloat16).univdm.dtype == torch.bfloat16


WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.mark.parametrize(
    "name", ["paha.yaml", "univdm/config.json", f"univdm/{WEIGHTS}", "codec/config.json", f"codec/{WEIGHTS}"]
)
@pytest.mark.parametrize("fault", ["missing", "truncated", "foreign"])
def test_a_broken_file_is_named(folder, name, fault):
    path = folder / name
    if fault == "missing":
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if fault == "truncated" else b"\x80\x04 [not: this {file\x00")
    with pytest.raises(PahaError) as caught:
        PahaPipeline.from_pretrained(folder)
    assert path.parent.name in str(caught.value)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["univdm", "codec"])
@pytest.mark.parametrize("fault", ["shape", "missing", "unknown"])
def test_a_weight_that_does_not_fit_is_named(folder, part, fault):
    path = folder / part / WEIGHTS
    weights = load_file(path)
    key = sorted(weights)[3]
    if fault == "shape":
        weights[key] = torch.zeros(7, 7)
    elif fault == "missing":
        del weights[key]
    else:
        key = "no.such.weight"
        weights[key] = torch.zeros(1)
    save_file(weights, path)
    with pytest.raises(PahaError, match=key) as caught:
        PahaPipeline.from_pretrained(folder)
    assert part in str(caught.value)


def test_pickled_weights_are_not_read(folder):
    path = folder / "univdm" / WEIGHTS
    torch.save(load_file(path), path.with_name("diffusion_pytorch_model.bin"))
    path.unlink()
    with pytest.raises(PahaError, match="safetensors"):
        PahaPipeline.from_pretrained(folder)


def test_parts_of_different_models_are_noticed(folder):
    config = json.loads((folder / "univdm" / "config.json").read_text())
    config["num_attention_heads"] = [4, 4]  # no weight's shape tells
    (folder / "univdm" / "config.json").write_text(json.dumps(config))
    with pytest.raises(PahaError, match="different models"):
        PahaPipeline.from_pretrained(folder)


def test_a_swapped_part_is_named(folder):
    (folder / "univdm" / "config.json").write_bytes((folder / "codec" / "config.json").read_bytes())
    with pytest.raises(PahaError, match=r"PixelCodec, not a UniVDM"):
        PahaPipeline.from_pretrained(folder)


@pytest.mark.parametrize("name", ["/no/such/folder", "./nowhere", "nowhere"])
def test_a_missing_folder_is_named(name):
    with pytest.raises(PahaError, match=name.strip("./")):
        PahaPipeline.from_pretrained(name)


def test_a_path_and_the_same_picture_from_pillow_are_one(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.fromarray(toy_image()).save(tmp_path / "turned.png", exif=exif)
    clear = Image.fromarray(toy_image()).convert("RGBA")
    clear.putalpha(100)
    clear.save(tmp_path / "clear.png")
    for name in ("turned.png", "clear.png"):
        with Image.open(tmp_path / name) as picture:
            assert np.array_equal(as_image(picture), as_image(tmp_path / name))


def test_a_callback_ends_the_run_diffusers_way():
    pipeline = toy_pipeline()

    def stop(pipe, step, t, tensors):
        pipe._interrupt = step == 4  # in the second segment, of three steps each
        return tensors

    frames = pipeline(toy_image(), toy_audio(0.4), seed=0, callback_on_step_end=stop).frames
    whole = pipeline(toy_image(), toy_audio(0.4), seed=0).frames
    assert len(frames) == 4
    assert np.array_equal(frames, whole[:4])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"output_type": "mp4"}, "output_type 'mp4'"),
        ({"cfg_scale": float("nan")}, "cfg_scale is nan"),
        ({"cfg_scale": float("inf")}, "cfg_scale is inf"),
        ({"cfg_scale": -1.0}, "cfg_scale is -1"),
        ({"num_inference_steps": 0}, "steps is 0"),
        ({"guidance_rate": 2.0}, "guidance_rate is 2"),
    ],
)
def test_senseless_options_are_one_line(options, named):
    with pytest.raises(PahaError, match=named):
        toy_pipeline()(toy_image(), toy_audio(0.3), **options)


def test_what_is_not_finite_makes_no_video():
    pipeline = toy_pipeline()
    with torch.no_grad():
        next(pipeline.univdm.parameters()).fill_(float("nan"))
    with pytest.raises(PahaError, match="not finite"):
        pipeline(toy_image(), toy_audio(0.3))
