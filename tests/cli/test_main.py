"""`paha` as a person types it: what it makes, and the one line that it ends in where something is wrong."""

import json
import shutil
import struct
import subprocess
import sys
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from toy import toy_audio, toy_image, toy_pipeline

from paha.cli import main as cli
from paha.media.audio_io import read_audio, write_wav
from paha.media.image_io import read_image, save_png
from paha.media.video_io import read_video
from paha.media.video_writer import AI_COMMENT, VideoWriter
from paha.presets import preset

WEIGHTS = "diffusion_pytorch_model.safetensors"


@dataclass(frozen=True)
class Ended:
    """How a call of `paha` ended."""

    status: int
    out: str
    err: str

    def error(self, *naming: object) -> str:
        """The one line of a failed call; checks that it is the only one and names what it should."""
        lines = self.err.strip().splitlines()
        assert self.status not in (0, None)
        assert len(lines) == 1, self.err
        assert lines[0].startswith("paha: error: ")
        for name in naming:
            assert str(name) in lines[0]
        return lines[0]

    @property
    def last_error(self) -> str:
        """The last line of a call that failed after progress bars."""
        line = self.err.strip().splitlines()[-1]
        assert self.status != 0
        assert line.startswith("paha: error: ")
        assert "Traceback" not in self.err
        return line

    def done(self) -> str:
        """What a successful call printed."""
        assert self.status == 0, self.err
        return self.out


def call(capsys, *arguments: object) -> Ended:
    """`paha ARGUMENTS` in this process."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("default")  # Python's own, not pytest's
        patch.setattr(sys, "argv", ["paha", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    printed = capsys.readouterr()
    return Ended(ended.value.code, printed.out, printed.err)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def paha(capsys):
    return lambda *arguments: call(capsys, *arguments)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "model"
    toy_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    save_png(folder / "image.png", toy_image())
    write_wav(folder / "speech.wav", *toy_audio(0.4))
    return folder / "image.png", folder / "speech.wav"


@pytest.fixture
def animate(paha, model, tmp_path):
    """`paha animate IMAGE AUDIO -o OUT --model MODEL ...`, one DDIM step."""
    return lambda image, audio, *more, out=None: paha(
        "animate", image, audio, "-o", out or tmp_path / "out.mp4", "--model", model, "--steps", 1, *more
    )


# What it makes


def test_animate_writes_the_video_and_what_goes_with_it(animate, inputs, tmp_path):
    options = ("--contact-sheet", "--label", "--save-frames", tmp_path / "frames", "--seed", 3, "--size", "48x32")
    ended = animate(*inputs, *options)
    assert ended.done() == f"{tmp_path / 'out.mp4'} and {tmp_path / 'out_sheet.png'}\n"
    labelled = read_video(tmp_path / "out.mp4")
    assert labelled.shape == (10, 32, 48, 3)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.metadata["comment"] == AI_COMMENT
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]
    assert read_image(tmp_path / "out_sheet.png").shape[1] > 3 * 48
    assert len(list((tmp_path / "frames").glob("*.png"))) == 10

    plain = tmp_path / "plain.mp4"
    animate(*inputs, *options[2:], out=plain).error("frame_", "--overwrite")
    animate(*inputs, *options[2:], "--overwrite", out=plain).done()
    assert not np.array_equal(read_video(plain), labelled)
    again = tmp_path / "again.mp4"
    animate(*inputs, *options[2:], "--overwrite", out=again).done()
    assert np.array_equal(read_video(plain), read_video(again))


def test_a_stretch_of_the_recording_at_another_rate(animate, inputs, tmp_path):
    animate(*inputs, "--start", 0.1, "--duration", 0.2, "--fps", 50, "--crf", 30).done()
    assert read_video(tmp_path / "out.mp4", fps=50).shape[0] == 10
    animate(*inputs, "--start", 5, out=tmp_path / "b.mp4").error("--start 5", "0.40 s")
    animate(*inputs, "--cfg-scale", "inf", out=tmp_path / "b.mp4").error("cfg-scale")


def test_sound_and_picture_out_of_pipes(model, inputs, tmp_path):
    command = (
        f"{sys.executable} -m paha.cli.main animate <(cat {inputs[0]}) - -o {tmp_path}/o.mp4 --model {model} --steps 1"
    )
    ended = subprocess.run(["bash", "-c", f"cat {inputs[1]} | {command}"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert len(read_video(tmp_path / "o.mp4")) == 10


def test_the_version(paha):
    assert paha("--version").done().startswith("paha ")
    assert "Reference image" in paha("animate", "-h").done()


def test_weights_that_are_no_numbers(animate, inputs, copy):
    path = copy / "univdm" / WEIGHTS
    state = load_file(path)
    key = sorted(state)[0]
    save_file({**state, key: np.nan * state[key]}, path, {"format": "pt"})
    animate(*inputs, "--model", copy).error(key, "not numbers")


def test_guidance_and_a_lower_precision(animate, inputs, tmp_path):
    animate(*inputs, "--cfg-scale", 2, "--dtype", "bfloat16", "--device", "cpu").done()
    assert len(read_video(tmp_path / "out.mp4")) == 10


def test_silent_audio_is_a_warning(animate, inputs, tmp_path):
    write_wav(tmp_path / "silent.wav", np.zeros(6400, np.float32), 16_000)
    ended = animate(inputs[0], tmp_path / "silent.wav")
    ended.done()
    said = [line for line in ended.err.splitlines() if line.startswith("paha: ")]
    assert len(said) == 1
    assert said[0].startswith("paha: warning: the audio is silent")
    assert len(read_video(tmp_path / "out.mp4")) == 10


def test_the_sound_of_a_video_is_used(animate, inputs, tmp_path):
    clip = tmp_path / "clip.mp4"
    samples, rate_hz = toy_audio(0.4)
    with VideoWriter(clip, width=32, height=32, audio=(samples, rate_hz)) as writer:
        writer.write(np.zeros((10, 32, 32, 3), np.uint8))
    animate(inputs[0], clip).done()
    heard, heard_hz = read_audio(tmp_path / "out.mp4")
    assert heard_hz == rate_hz
    assert len(heard) == len(samples)
    assert np.corrcoef(heard[:, 0], samples[:, 0])[0, 1] > 0.7
    assert len(read_video(tmp_path / "out.mp4")) == 10


def test_a_list_goes_on_after_a_failed_row_and_resumes(paha, model, inputs, tmp_path):
    image, audio = inputs
    jobs = tmp_path / "jobs.csv"
    write_wav(tmp_path / "silent.wav", np.zeros(6400, np.float32), 16_000)
    (tmp_path / "none.png").write_text("no picture")
    rows = [f"{image},silent.wav,a.mp4,", f"none.png,{audio},b.mp4,", f"{image},silent.wav,c.mp4,7"]
    jobs.write_text("image,audio,output,seed\n" + "\n".join(rows) + "\n")
    command = ("animate", "--jobs", jobs, "--model", model, "--steps", 1, "--save-frames", tmp_path / "frames")
    ended = paha(*command)
    for what in ("1 of 3 jobs failed", "row 3", "b.mp4", "none.png"):
        assert what in ended.last_error
    assert ended.err.count("paha: warning: ") == 2  # one for each silent recording
    assert "2 made, 0 were there already, 1 failed" in ended.out
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["a", "c"]
    made = {name: (tmp_path / name).read_bytes() for name in ("a.mp4", "c.mp4")}

    paha(*command).error("row 2", "a.mp4", "--overwrite", "--resume")
    (tmp_path / "none.png").unlink()
    paha(*command, "--resume").error("row 3", "none.png", "nothing was made yet")
    shutil.copy(image, tmp_path / "none.png")
    assert "1 made, 2 were there already, 0 failed" in paha(*command, "--resume").done()
    assert made == {name: (tmp_path / name).read_bytes() for name in made}
    assert len(read_video(tmp_path / "b.mp4")) == 10


# One line for everything that a person can mend


def write_huge(path):
    """The first bytes of a PNG of 60000 x 60000 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))))


BAD_IMAGES = {
    "text": (lambda path: path.write_text("a cat"), "no picture"),
    "1x1": (lambda path: Image.new("RGB", (1, 1)).save(path), "1x1"),
    "huge": (write_huge, "megapixels"),
    "empty": (lambda path: path.write_bytes(b""), "picture"),
    "folder": (lambda path: path.mkdir(), "folder"),
    "missing": (lambda path: None, "does not exist"),
}


@pytest.mark.parametrize(("write", "reason"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_images(animate, inputs, tmp_path, write, reason):
    write(tmp_path / "bad.png")
    animate(tmp_path / "bad.png", inputs[1]).error(tmp_path / "bad.png", reason)
    assert not (tmp_path / "out.mp4").exists()


def write_silent_film(path):
    with VideoWriter(path, width=32, height=32) as writer:
        writer.write(np.zeros((5, 32, 32, 3), np.uint8))


BAD_SOUND = {
    "no-samples.wav": (lambda path: write_wav(path, np.zeros(0, np.float32), 16_000), "sample"),
    "short.wav": (lambda path: write_wav(path, *toy_audio(0.1)), "0.10 s"),
    "text.wav": (lambda path: path.write_text("hello"), ""),
    "film.mp4": (write_silent_film, "no sound"),
    "missing.wav": (lambda path: None, ""),
}


@pytest.mark.parametrize("name", BAD_SOUND)
def test_bad_sound(animate, inputs, tmp_path, name):
    write, reason = BAD_SOUND[name]
    write(tmp_path / name)
    animate(inputs[0], tmp_path / name).error(tmp_path / name, reason)


@pytest.mark.parametrize("out", ["below/a/file.mp4", "folder"])
def test_an_output_that_cannot_be_written(animate, inputs, tmp_path, out):
    (tmp_path / "below").write_text("")
    (tmp_path / "folder").mkdir()
    animate(*inputs, out=tmp_path / out).error(tmp_path / out)


BAD_OPTIONS = {
    "dtype": (["--dtype", "float99"], "float99"),
    "steps": (["--steps", "0"], "--steps"),
    "no-number": (["--steps", "many"], "--steps"),
    "size": (["--size", "axb"], "axb"),
    "size-multiple": (["--size", "33"], "33 x 33"),
    "size-nothing": (["--size", "0"], "0 x 0"),
    "size-empty": (["--size", "x"], "--size"),
    "size-large": (["--size", "1600000"], "at most 4096"),
    "device": (["--device", "nosuch"], "nosuch"),
    "device-meta": (["--device", "meta"], "meta"),
    "seed": (["--seed", "-1"], "--seed"),
    "seed-huge": (["--seed", str(2**80)], "seed"),
    "cfg": (["--cfg-scale", "nan"], "--cfg-scale"),
    "unknown": (["--nosuch"], "--nosuch"),
    "surplus": (["third"], "third"),
    "jobs-too": (["--jobs", __file__], "--jobs"),
}


@pytest.mark.parametrize(("options", "naming"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_bad_options(animate, inputs, options, naming):
    animate(*inputs, *options).error(naming)


COMMANDS = {
    "no-image": (["animate"], "IMAGE"),
    "no-audio": (["animate", __file__, "-o", "o.mp4"], "AUDIO"),
    "no-list": (["animate", "--jobs", "/nowhere/jobs.csv", "--model", "MODEL"], "/nowhere/jobs.csv"),
    "verb": (["animat"], "animat"),
    "nothing": ([], "give a command (see paha --help)"),
    "set-range": (["train", "univdm", "--plan", "--set", "num_frames=0"], "'num_frames'"),
    "preset": (["train", "univdm", "--plan", "--preset", "huge"], "unknown preset 'huge'; known: debug"),
    "preset-codec": (["train", "codec", "--data", "MODEL", "-o", "o", "--preset", "huge"], "'huge'"),
    "no-data": (["train", "univdm", "--preset", "debug"], "--data"),
    "data": (["features", "/nowhere", "--preset", "debug", "--codec", "MODEL/codec"], "/nowhere"),
    "codec": (["features", "MODEL", "--preset", "debug", "--codec", "/none"], "/none"),
    "set": (["train", "univdm", "--plan", "--set", "train.stops=3"], "'train.stops'"),
    "set-section": (["train", "univdm", "--plan", "--set", "tram.steps=3"], "'tram'"),
    "set-value": (["train", "univdm", "--plan", "--set", "train.steps=many"], "'train.steps'"),
    "set-bare": (["train", "univdm", "--plan", "--set", "train.steps"], "NAME=VALUE"),
    "set-yaml": (["train", "univdm", "--plan", "--set", "train.steps=[1"], "[1"),
    "synth": (["synth", "/dev/null/corpus", "--clips", "1", "--size", "32", "--workers", "1"], "/dev/null/corpus"),
    "synth-seconds": (["synth", "SCRATCH", "--clips", "1", "--seconds", "3", "1"], "seconds"),
}


@pytest.mark.parametrize(("arguments", "naming"), COMMANDS.values(), ids=COMMANDS)
def test_bad_commands(paha, model, tmp_path, arguments, naming):
    words = [word.replace("MODEL", str(model)).replace("SCRATCH", str(tmp_path / "new")) for word in arguments]
    paha(*words).error(naming)


# Damaged model folders

FILES = ["paha.yaml", "model_index.json", "univdm/config.json", "codec/config.json"]
FILES += [f"univdm/{WEIGHTS}", f"codec/{WEIGHTS}"]
FOREIGN = {
    "paha.yaml": "name: toy\nwheels: 4\n",
    "model_index.json": '{"_class_name": "StableDiffusionPipeline"}',
    "univdm/config.json": '{"_class_name": "UNet2DModel", "sample_size": 32}',
    "codec/config.json": '{"_class_name": "AutoencoderKL"}',
}


def damage(folder, name, how):
    path = folder / name
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif name in FOREIGN:
        path.write_text(FOREIGN[name])
    else:
        other = {"univdm": "codec", "codec": "univdm"}[path.parent.name]
        shutil.copy(folder / other / WEIGHTS, path)


@pytest.fixture
def copy(model, tmp_path):
    return shutil.copytree(model, tmp_path / "copy")


# A folder put together without model_index.json works.
@pytest.mark.parametrize(
    ("name", "how"),
    [(n, how) for n in FILES for how in ("missing", "truncated", "foreign") if (n, how) != (FILES[1], "missing")],
)
def test_damaged_model_folders(animate, inputs, copy, name, how):
    damage(copy, name, how)
    # Foreign weights fit no key: the folder and the key are named.
    named = (copy / name).parent if name.endswith(WEIGHTS) else copy / name
    animate(*inputs, "--model", copy).error(named)


def test_the_configuration_of_another_model(animate, inputs, copy):
    text = (copy / "paha.yaml").read_text()
    (copy / "paha.yaml").write_text(text.replace("audio_hidden_dim: 32", "audio_hidden_dim: 48"))
    animate(*inputs, "--model", copy).error(copy / "paha.yaml")


def test_a_wrong_shape_names_the_key(animate, inputs, copy):
    path = copy / "univdm" / WEIGHTS
    state = load_file(path)
    key = sorted(key for key, value in state.items() if value.ndim == 2)[0]
    state[key] = state[key][:-1].contiguous()
    save_file(state, path)
    animate(*inputs, "--model", copy).error(key, path.parent, tuple(state[key].shape))


@pytest.mark.parametrize("name", ["nowhere", "a/b/c"])
def test_no_model_folder(animate, inputs, tmp_path, name):
    animate(*inputs, "--model", tmp_path / name).error(tmp_path / name)


# Training


def test_from_nothing_to_a_video(paha, tmp_path):
    data, codec, run = tmp_path / "data", tmp_path / "codec", tmp_path / "run"
    paha("synth", data, "--clips", 2, "--size", 32, "--seconds", 1, 1.2, "--workers", 1).done()
    debug = ("--preset", "debug", "--steps", 3)
    paha("train", "codec", "--data", data, "-o", codec, *debug, "--set", "train.batch_size=2").done()
    codec_model = codec / "model"
    said = paha("features", data, "--preset", "debug", "--codec", codec_model).done()
    features = Path(said.removeprefix("features in ").strip())
    assert (features / "features.json").is_file()

    univdm = ("train", "univdm", "--data", data, "--codec", codec_model)
    paha(*univdm, "-o", run, *debug).done()
    steps = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in steps] == [1, 2, 3]
    assert len(list(features.parent.iterdir())) == 1

    video = next((data / "clips").glob("*.mp4"))
    save_png(tmp_path / "frame.png", read_video(video)[0])
    out = tmp_path / "out.mp4"
    paha("animate", tmp_path / "frame.png", video.with_suffix(".wav"), "-o", out, "--model", run / "model").done()
    assert len(read_video(out)) == len(read_video(video))

    # Stopped at once, from those weights, without PAR; then on to the end by the same command.
    other = tmp_path / "other"
    again = (*univdm, "-o", other, *debug, "--no-par", "--init", run / "model" / "univdm")
    paha(*again, "--stop-after-minutes", 0).done()
    assert len((other / "stats.jsonl").read_text().splitlines()) < 3
    assert "par:\n  enabled: false" in (other / "model" / "paha.yaml").read_text()
    assert "going on from step 1 of 3" in (ended := paha(*again)).err + ended.out
    assert ended.status == 0
    assert "par.enabled" in paha(*univdm, "-o", other, *debug).last_error
    nowhere = tmp_path / "nowhere"
    assert str(nowhere) in paha(*univdm, "-o", tmp_path / "third", *debug, "--init", nowhere).last_error
    assert "fp16" in paha(*univdm, "-o", run, *debug, "--set", "train.mixed_precision=fp16").last_error


def test_the_plan_needs_no_data(paha):
    text = paha("train", "univdm", "--plan", "--preset", "debug", "--gpus", 2, "--set", "train.batch_size=4").done()
    config = preset("debug")
    assert f"debug: {config.width} x {config.height}" in text
    assert "batch 4 on 2 GPUs" in text
    assert "a step" in text


# In a process of its own


def test_help_imports_nothing_heavy():
    script = (
        "import sys; sys.argv = ['paha', '--help']\n"
        "from paha.cli import main as cli\n"
        "try: cli.main()\n"
        "finally: print('HEAVY', sorted({'torch', 'diffusers', 'transformers', 'numpy', 'av'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "animate" in ended.stdout
    assert "HEAVY []" in ended.stdout
    assert not ended.stderr


def test_an_error_is_one_line_in_a_real_process(tmp_path):
    command = [sys.executable, "-m", "paha.cli.main", "train", "univdm", "--plan", "--preset", "huge"]
    ended = subprocess.run(command, capture_output=True, text=True)
    Ended(ended.returncode, ended.stdout, ended.stderr).error("unknown preset 'huge'")
