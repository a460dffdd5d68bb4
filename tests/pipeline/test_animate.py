"""Files in, a video out: resumed after a crash to the same bytes, and nothing overwritten unasked."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from toy import toy_audio, toy_image, toy_pipeline

from paha.cli.animate import AnimateOptions, animate_one
from paha.cli.jobs import failures, run_jobs
from paha.errors import PahaError
from paha.media.audio_io import read_audio, write_wav
from paha.media.image_io import read_image, save_png
from paha.media.provenance import read_provenance
from paha.media.video_io import read_video
from paha.pipeline.animate import animate
from paha.pipeline.options import SampleOptions


@pytest.fixture(scope="module")
def pipeline():
    return toy_pipeline()


@pytest.fixture
def inputs(tmp_path):
    image, audio = tmp_path / "image.png", tmp_path / "speech.wav"
    save_png(image, toy_image())
    write_wav(audio, *toy_audio(0.4))
    return image, audio


def pngs(folder):
    return [path.read_bytes() for path in sorted(folder.glob("*.png"))]


def test_files_in_video_out(pipeline, inputs: tuple[Path, Path], tmp_path):
    out = animate(
        pipeline,
        *inputs,
        tmp_path / "new" / "out.mp4",
        SampleOptions(seed=1),
        save_frames=tmp_path / "frames",
        contact_sheet=tmp_path / "sheet.png",
        progress=False,
    )
    video = read_video(out)
    assert video.shape == (10, 32, 32, 3)
    assert len(pngs(tmp_path / "frames")) == 10
    assert read_image(tmp_path / "sheet.png").shape[0] > 3 * 32
    assert [path.name for path in out.parent.iterdir()] == ["out.mp4"]
    # The file shows what the pipeline samples.
    frames = pipeline(read_image(inputs[0]), read_audio(inputs[1]), seed=1).frames
    assert np.array_equal(read_image(tmp_path / "frames" / "frame_000009.png"), frames[9])
    # Averaged over blocks: H.264 keeps little of colour noise.
    blocks = [v.astype(float).reshape(10, 4, 8, 4, 8, 3).mean(axis=(2, 4)) for v in (video, frames)]
    assert np.abs(blocks[0] - blocks[1]).mean() < 3


def crash_in_segment(index):
    """A guidance that changes nothing and fails when the segment of that index begins."""
    made = []

    def factory(conditioning):
        made.append(conditioning)
        if len(made) > index:
            raise RuntimeError("power cut")
        return lambda z, t, solver_step: solver_step(z)

    return factory


@pytest.mark.parametrize("crash_at", [0, 1, 2])
def test_a_finished_segment_survives_a_crash(pipeline, inputs: tuple[Path, Path], tmp_path, crash_at):
    whole, out = tmp_path / "whole.mp4", tmp_path / "out.mp4"
    animate(pipeline, *inputs, whole, save_frames=tmp_path / "a", progress=False)
    with pytest.raises(RuntimeError, match="power cut"):
        animate(pipeline, *inputs, out, SampleOptions(guidance=crash_in_segment(crash_at)), progress=False)
    assert not out.exists()
    kept = sorted(path.name for path in (tmp_path / "out.mp4.partial").glob("segment*"))
    assert kept == [f"segment_{i:05d}.safetensors" for i in range(crash_at)]

    sampled = []
    count = lambda conditioning: sampled.append(1) or (lambda z, t, solver_step: solver_step(z))  # noqa: E731
    animate(
        pipeline, *inputs, out, SampleOptions(guidance=count), resume=True, save_frames=tmp_path / "b", progress=False
    )
    assert len(sampled) == 3 - crash_at
    assert pngs(tmp_path / "a") == pngs(tmp_path / "b")
    assert np.array_equal(read_video(whole), read_video(out))
    assert not (tmp_path / "out.mp4.partial").exists()


def test_resume_refuses_other_settings_and_names_them(pipeline, inputs: tuple[Path, Path], tmp_path):
    out = tmp_path / "out.mp4"
    with pytest.raises(RuntimeError):
        animate(pipeline, *inputs, out, SampleOptions(guidance=crash_in_segment(1)), progress=False)
    with pytest.raises(PahaError, match="seed, steps changed"):
        animate(pipeline, *inputs, out, SampleOptions(seed=2, steps=4), resume=True, progress=False)
    save_png(inputs[0], toy_image(5))
    with pytest.raises(PahaError, match="image changed"):
        animate(pipeline, *inputs, out, resume=True, progress=False)
    # What is finished is not thrown away unasked.
    with pytest.raises(PahaError, match=r"1 finished segments.*--resume.*--overwrite"):
        animate(pipeline, *inputs, out, progress=False)
    assert (tmp_path / "out.mp4.partial" / "segment_00000.safetensors").exists()
    animate(pipeline, *inputs, out, overwrite=True, progress=False)
    assert len(read_video(out)) == 10


def test_a_damaged_segment_is_named(pipeline, inputs: tuple[Path, Path], tmp_path):
    out = tmp_path / "out.mp4"
    with pytest.raises(RuntimeError):
        animate(pipeline, *inputs, out, SampleOptions(guidance=crash_in_segment(1)), progress=False)
    (tmp_path / "out.mp4.partial" / "segment_00000.safetensors").write_bytes(b"half")
    with pytest.raises(PahaError, match=r"segment_00000\.safetensors is damaged"):
        animate(pipeline, *inputs, out, resume=True, progress=False)
    save_file({"latents": torch.zeros(2, 3, 4, 5)}, tmp_path / "out.mp4.partial" / "segment_00000.safetensors")
    with pytest.raises(PahaError, match=r"segment_00000\.safetensors is damaged"):
        animate(pipeline, *inputs, out, resume=True, progress=False)


def test_a_folder_that_is_not_ours_is_left_as_it_is(pipeline, inputs: tuple[Path, Path], tmp_path):
    mine = tmp_path / "out.mp4.partial" / "thesis.docx"
    mine.parent.mkdir()
    mine.write_text("precious")
    given: tuple[dict[str, Any], ...] = ({}, {"resume": True}, {"overwrite": True})
    for options in given:
        with pytest.raises(PahaError, match=r"thesis\.docx"):
            animate(pipeline, *inputs, tmp_path / "out.mp4", progress=False, **options)
    assert mine.read_text() == "precious"
    mine.unlink()
    (mine.parent / "segment_00000.safetensors").write_text("of no run of ours, but its name is")
    animate(pipeline, *inputs, tmp_path / "out.mp4", progress=False)
    assert not mine.parent.exists()


def test_outputs_never_replace_inputs_nor_unasked_what_is_there(pipeline, inputs: tuple[Path, Path], tmp_path):
    image, audio = inputs
    sheet = tmp_path / "image_sheet.png"
    sheet.write_bytes(image.read_bytes())
    frame = tmp_path / "frames" / "frame_000000.png"
    frame.parent.mkdir()
    frame.write_bytes(image.read_bytes())
    film = tmp_path / "film.mp4"
    animate(pipeline, *inputs, film, progress=False)
    before = {path: path.read_bytes() for path in (image, audio, sheet, frame, film)}
    out, crash = tmp_path / "out.mp4", SampleOptions(guidance=crash_in_segment(0))
    tries: list[tuple[Path, Path, Path, dict]] = [
        (image, film, film, {"overwrite": True}),
        (image, audio, film, {}),
        (sheet, audio, out, {"contact_sheet": sheet, "overwrite": True}),
        (image, audio, out, {"contact_sheet": sheet}),
        (frame, audio, out, {"save_frames": frame.parent, "overwrite": True}),
        (image, audio, out, {"save_frames": frame.parent}),
        (image, audio, out, {"save_frames": audio}),
    ]
    for picture, sound, to, options in tries:
        with pytest.raises(PahaError):
            animate(pipeline, picture, sound, to, crash, progress=False, **options)
        assert {path: path.read_bytes() for path in before} == before
        assert not out.exists()


def test_frames_of_a_longer_video_do_not_stay_among_the_new_ones(pipeline, inputs: tuple[Path, Path], tmp_path):
    for count in (9, 5):
        animate(
            pipeline,
            *inputs,
            tmp_path / "out.mp4",
            num_frames=count,
            save_frames=tmp_path / "f",
            overwrite=True,
            progress=False,
        )
        assert len(list((tmp_path / "f").iterdir())) == count


@pytest.mark.parametrize(("fps", "expected"), [(50, 20), (30, 12), (24, 10), (10, 4), (1, 1), (25, 10)])
def test_another_rate_shows_the_same_moments(pipeline, inputs: tuple[Path, Path], tmp_path, fps, expected):
    out = animate(pipeline, *inputs, tmp_path / "out.mp4", fps=fps, crf=0, save_frames=tmp_path / "f", progress=False)
    assert len(read_video(out, fps=fps)) == len(pngs(tmp_path / "f")) == expected
    animate(pipeline, *inputs, tmp_path / "own.mp4", save_frames=tmp_path / "own", progress=False)
    own, shown = pngs(tmp_path / "own"), pngs(tmp_path / "f")
    at = [own.index(picture) / 25 for picture in shown]
    assert np.abs(np.array(at) - np.arange(expected) / fps).max() <= 0.5 / min(fps, 25) + 0.02


def test_resume_without_anything_kept_starts_at_the_beginning(pipeline, inputs: tuple[Path, Path], tmp_path):
    animate(pipeline, *inputs, tmp_path / "out.mp4", resume=True, progress=False)
    assert len(read_video(tmp_path / "out.mp4")) == 10


def test_fewer_frames_cut_the_sound(pipeline, inputs: tuple[Path, Path], tmp_path):
    out = animate(pipeline, *inputs, tmp_path / "out.mp4", num_frames=5, progress=False)
    assert len(read_video(out)) == 5
    samples, rate_hz = read_audio(out)
    assert len(samples) / rate_hz == pytest.approx(0.2, abs=0.01)


def test_an_output_that_cannot_be_written_is_named_before_sampling(pipeline, inputs: tuple[Path, Path], tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(PahaError, match="taken"):
        animate(pipeline, *inputs, tmp_path / "taken", SampleOptions(guidance=crash_in_segment(0)), progress=False)


def test_the_progress_bar_counts_all_steps(pipeline, inputs: tuple[Path, Path], tmp_path, capsys):
    animate(pipeline, *inputs, tmp_path / "out.mp4")
    assert "9/9" in capsys.readouterr().err


def test_jobs_make_videos_and_list_failures(pipeline, inputs: tuple[Path, Path], tmp_path):
    (tmp_path / "jobs.csv").write_text(
        "image,audio,output\nimage.png,speech.wav,1.mp4\nnone.png,speech.wav,2.mp4\nimage.png,speech.wav,3.mp4\n"
    )
    results = run_jobs(
        tmp_path / "jobs.csv",
        lambda job: animate(
            pipeline, job.image, job.audio, job.output, SampleOptions(seed=job.seed or 0), progress=False
        ),
    )
    assert (tmp_path / "1.mp4").exists()
    assert (tmp_path / "3.mp4").exists()
    assert len(failures(results)) == 1
    assert "none.png" in failures(results)[0]


def test_a_stream_has_finished_segments_before_the_rest_is_sampled(pipeline, inputs: tuple[Path, Path], tmp_path):
    write_wav(inputs[1], *toy_audio(1.2))
    file, seen = io.BytesIO(), []

    def factory(conditioning):
        seen.append(file.getvalue().count(b"moof"))
        return lambda z, t, solver_step: solver_step(z)

    options = SampleOptions(guidance=factory)
    out = tmp_path / "stream.mp4"
    animate(pipeline, *inputs, out, options, stream=file, save_frames=tmp_path / "a", progress=False)
    animate(pipeline, *inputs, tmp_path / "whole.mp4", save_frames=tmp_path / "b", progress=False)
    assert seen == sorted(seen)
    assert seen[-1] >= 2
    assert pngs(tmp_path / "a") == pngs(tmp_path / "b")
    assert not out.exists()
    assert not (tmp_path / "stream.mp4.partial").exists()
    out.write_bytes(file.getvalue())
    assert len(read_video(out)) == 30


def test_standard_output_takes_the_video_alone(pipeline, inputs: tuple[Path, Path], tmp_path, capsysbinary):
    animate_one(pipeline, inputs[0], inputs[1], Path("-"), AnimateOptions(steps=1))
    (tmp_path / "piped.mp4").write_bytes(capsysbinary.readouterr().out)
    assert len(read_video(tmp_path / "piped.mp4")) == 10
    with pytest.raises(PahaError, match="no --resume"):
        animate_one(pipeline, inputs[0], inputs[1], Path("-"), AnimateOptions(steps=1, resume=True))


def test_a_streamed_file_grows_under_its_own_name(pipeline, inputs: tuple[Path, Path], tmp_path):
    animate_one(pipeline, inputs[0], inputs[1], tmp_path / "new" / "s.mp4", AnimateOptions(steps=1), stream=True)
    assert len(read_video(tmp_path / "new" / "s.mp4")) == 10
    assert b"moof" in (tmp_path / "new" / "s.mp4").read_bytes()


def test_a_model_of_pixels_has_no_motion_to_weaken(pipeline, inputs: tuple[Path, Path], tmp_path):
    with pytest.raises(PahaError, match="makes pixels, not motion"):
        animate_one(pipeline, *inputs, tmp_path / "o.mp4", AnimateOptions(strength="1,1,0"))


def test_a_signed_video_says_so(pipeline, inputs: tuple[Path, Path], tmp_path):
    pytest.importorskip("c2pa")
    animate_one(pipeline, *inputs, tmp_path / "s.mp4", AnimateOptions(steps=1, sign=tmp_path / "me"))
    found = read_provenance(tmp_path / "s.mp4")
    assert (found.manifest, found.generated) == ("valid", True)
    assert len(read_video(tmp_path / "s.mp4")) == 10
    with pytest.raises(PahaError, match="leave out --stream or --sign"):
        animate_one(pipeline, *inputs, tmp_path / "t.mp4", AnimateOptions(sign=tmp_path / "me"), stream=True)
    assert not (tmp_path / "t.mp4").exists()
