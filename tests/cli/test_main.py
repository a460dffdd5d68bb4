"""`paha` as a person types it: what it makes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
from paha_calls import Ended
from toy import toy_audio

from paha.media.audio_io import read_audio, write_wav
from paha.media.image_io import read_image, save_png
from paha.media.video_io import read_video
from paha.media.video_writer import AI_COMMENT, VideoWriter
from paha.presets import preset


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


def piped(path: Path) -> int:
    """The reading end of a pipe that holds a (small) file."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(path.read_bytes())
    return reading


def test_sound_and_picture_out_of_pipes(animate, inputs, tmp_path, monkeypatch):
    picture = piped(inputs[0])  # what a shell makes of <(cat image.png)
    with os.fdopen(piped(inputs[1])) as sound:
        monkeypatch.setattr(sys, "stdin", sound)
        animate(f"/dev/fd/{picture}", "-", out=tmp_path / "o.mp4").done()
    os.close(picture)
    assert len(read_video(tmp_path / "o.mp4")) == 10


def test_the_version(paha):
    assert paha("--version").done().startswith("paha ")
    assert "Reference image" in paha("animate", "-h").done()


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
    smaller = ("--set", "train.batch_size=4", "--set", "model.layers_per_block=1")
    text = paha("train", "univdm", "--plan", "--preset", "debug", "--gpus", 2, *smaller).done()
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


def test_an_error_is_one_line_in_a_real_process():
    command = [sys.executable, "-m", "paha.cli.main", "animate", "no.png", "no.wav", "-o", "o.mp4"]
    ended = subprocess.run(command, capture_output=True, text=True)
    Ended(ended.returncode, ended.stdout, ended.stderr).error("no.png does not exist")
