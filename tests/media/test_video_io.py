"""Video in: rates, rotation, sizes, damage."""

import struct
from collections.abc import Generator
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
from media_files import numbered_frames, numbers_of, psnr, smooth_frames, write_timed

from paha.errors import PahaError
from paha.media.audio_io import num_video_frames, read_audio
from paha.media.video_io import fit_image, iter_video, read_video


def even_ms(count: int, fps: float) -> list[int]:
    return [round(1000 * k / fps) for k in range(count)]


def nearest(times_ms: list[int], output: int) -> set[int]:
    """Which source frames are nearest to output frame k of 25 fps (two on a tie)."""
    distances = [abs(time - 40 * output) for time in times_ms]
    return {k for k, distance in enumerate(distances) if distance == min(distances)}


@pytest.mark.parametrize("fps", [10, 12.5, 23.976, 24, 25, 29.97, 30, 50, 60])
def test_any_rate_becomes_25_by_the_nearest_timestamp(tmp_path, fps):
    times = even_ms(40, fps)
    path = write_timed(tmp_path / "a.mp4", numbered_frames(40), times)
    numbers = numbers_of(read_video(path))
    assert abs(len(numbers) - 40 / fps * 25) <= 1
    for output, number in enumerate(numbers):
        assert number in nearest(times, output)


def test_exact_length_at_25(tmp_path):
    path = write_timed(tmp_path / "a.mp4", numbered_frames(31), even_ms(31, 25))
    assert numbers_of(read_video(path)) == list(range(31))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_variable_frame_rate(tmp_path, suffix):
    rng = np.random.default_rng(3)
    times = [0, *np.cumsum(rng.integers(11, 190, 29)).tolist()]
    path = write_timed(tmp_path / f"a.{suffix}", numbered_frames(30), times)
    numbers = numbers_of(read_video(path))
    assert len(numbers) >= times[-1] / 40
    for output, number in enumerate(numbers):
        assert number in nearest(times, output)


def test_other_output_rates(tmp_path):
    path = write_timed(tmp_path / "a.mp4", numbered_frames(20), even_ms(20, 25))
    assert numbers_of(read_video(path, fps=12.5)) == list(range(0, 20, 2))
    assert len(read_video(path, fps=50)) == 40


def test_picture_that_starts_after_its_sound_is_held_from_the_start(tmp_path):
    times = [200 + t for t in even_ms(15, 25)]
    path = write_timed(tmp_path / "a.mkv", numbered_frames(15), times, samples=np.full(12_800, 0.1, np.float32))
    assert numbers_of(read_video(path)) == [0] * 5 + list(range(15))
    assert len(read_audio(path)[0]) == 12_800


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_rotation_is_applied(tmp_path, turns):
    frames = smooth_frames(4)
    path = write_timed(tmp_path / "a.mp4", frames, even_ms(4, 25), rotation=90 * turns)
    upright = np.rot90(frames, turns, axes=(1, 2))
    back = read_video(path)
    assert back.shape == upright.shape
    assert psnr(back, upright) > 28


def test_rotation_as_a_phone_writes_it(tmp_path):
    """ISO 14496-12: p' = a p + c q + tx, q' = b p + d q + ty. Held upright, a phone writes a quarter turn clockwise."""
    frames = smooth_frames(4)
    path = write_timed(tmp_path / "a.mp4", frames, even_ms(4, 25))
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 4 + 40
    one = 1 << 16
    data[at : at + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 48 * one, 0, 1 << 30)
    path.write_bytes(data)
    assert psnr(read_video(path), np.rot90(frames, -1, axes=(1, 2))) > 28


def test_pixels_become_square(tmp_path):
    frames = smooth_frames(3)
    wide = write_timed(tmp_path / "wide.mp4", frames, even_ms(3, 25), aspect=Fraction(4, 3))
    assert read_video(wide).shape == (3, 48, 85, 3)
    rounded = write_timed(tmp_path / "rounded.mp4", frames, even_ms(3, 25), aspect=Fraction(160, 159))
    assert read_video(rounded).shape == (3, 48, 64, 3)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "floor"),
    [
        ("a.mp4", "libx264", "yuv420p", 30),
        ("a.mp4", "libx264", "yuv444p10le", 38),
        ("a.mkv", "ffv1", "yuv444p", 40),
        ("a.avi", "mpeg4", "yuv420p", 25),
        ("a.webm", "libvpx-vp9", "yuv420p", 25),
        ("a.mov", "mjpeg", "yuvj420p", 25),
        ("a.mpg", "mpeg1video", "yuv420p", 25),
    ],
)
def test_containers_and_codecs(tmp_path, name, codec, pix_fmt, floor):
    frames = smooth_frames(12)
    path = write_timed(tmp_path / name, frames, even_ms(12, 25), codec=codec, pix_fmt=pix_fmt)
    back = read_video(path)
    assert (back.dtype, back.shape) == (np.uint8, frames.shape)
    assert psnr(back, frames) > floor


def test_size_crops_to_the_aspect(tmp_path):
    path = write_timed(tmp_path / "a.mp4", smooth_frames(3), even_ms(3, 25))
    whole = read_video(path)
    np.testing.assert_array_equal(read_video(path, size=(32, 32))[1], fit_image(whole[1], width=32, height=32))
    assert read_video(path, size=(40, 20)).shape == (3, 20, 40, 3)


def test_iter_video_streams(tmp_path):
    path = write_timed(tmp_path / "a.mp4", numbered_frames(20), even_ms(20, 25))
    stream = iter_video(path)
    assert isinstance(stream, Generator)
    assert numbers_of([next(stream), next(stream)]) == [0, 1]
    stream.close()


@pytest.mark.parametrize("every", [3, 10])
@pytest.mark.parametrize("fps", [10, 25, 60])
def test_every_nth_frame_is_that_of_the_whole(tmp_path, every, fps):
    """Also where a frame of the file is shown several times, or not at all."""
    path = write_timed(tmp_path / "a.mp4", numbered_frames(30), even_ms(30, fps))
    np.testing.assert_array_equal(list(iter_video(path, every=every)), read_video(path)[::every])


@pytest.mark.parametrize("keep", [0.002, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_truncated_files_are_named(tmp_path, name, keep):
    noise = np.random.default_rng(0).integers(0, 255, (40, 48, 64, 3), np.uint8)
    path = write_timed(tmp_path / name, noise, even_ms(40, 25))
    data = path.read_bytes()
    if name == "a.mp4":  # index first, as web video has it: else nothing of a cut file opens
        from paha.media.video_writer import write_video

        write_video(path, noise)
        data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(PahaError, match=name.replace(".", r"\.")) as caught:
        read_video(path)
    assert "\n" not in str(caught.value)


def test_index_at_the_end_of_a_truncated_mp4(tmp_path):
    path = write_timed(tmp_path / "a.mp4", smooth_frames(20), even_ms(20, 25))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(PahaError, match=r"a\.mp4"):
        read_video(path)


@pytest.mark.parametrize("where", [0.3, 0.5, 0.8])
def test_damaged_pictures_are_named_and_quiet(tmp_path, where, capfd):
    rng = np.random.default_rng(0)
    path = write_timed(tmp_path / "a.mp4", rng.integers(0, 255, (40, 48, 64, 3), np.uint8), even_ms(40, 25))
    data = bytearray(path.read_bytes())
    at = int(len(data) * where)
    data[at : at + 3000] = rng.integers(0, 255, 3000, np.uint8).tobytes()
    path.write_bytes(data)
    with pytest.raises(PahaError, match=r"a\.mp4"):
        read_video(path)
    assert capfd.readouterr() == ("", "")


def test_no_video(tmp_path, speech_wav):
    with pytest.raises(PahaError, match=r"speech\.wav has no picture"):
        read_video(speech_wav)
    (tmp_path / "art.txt").write_text("FFmpeg plays text as a video\n" * 20)
    with pytest.raises(PahaError, match=r"art\.txt is text"):
        read_video(tmp_path / "art.txt")
    with pytest.raises(PahaError, match="does not exist"):
        read_video(tmp_path / "none.mp4")


def test_trimmed_by_an_edit_list_is_whole(tmp_path):
    """A phone's trim leaves frames in the file that are not shown: fewer than the file holds, and not truncated."""
    path = write_timed(tmp_path / "a.mp4", numbered_frames(40), even_ms(40, 25))
    data = bytearray(path.read_bytes())
    at = data.find(b"elst") + 4 + 8  # version and flags, count; then duration (ms), media time
    duration, media_time = struct.unpack(">Ii", data[at : at + 8])
    assert duration == 1600
    data[at : at + 8] = struct.pack(">Ii", 800, media_time)
    path.write_bytes(data)
    assert numbers_of(read_video(path))[:20] == list(range(20))
    assert len(read_video(path)) <= 22


@pytest.mark.parametrize(("name", "shape"), [("grid_bbaf2n.mpg", (288, 360, 3)), ("grid_swiz3n.mpg", (288, 360, 3))])
def test_real_mpeg(shared, name, shape):
    frames = list(iter_video(shared / "media/clips" / name))
    assert len(frames) == 75
    assert {frame.shape for frame in frames} == {shape}
    samples, rate_hz = read_audio(shared / "media/clips" / name)
    assert abs(num_video_frames(len(samples), rate_hz) - 75) <= 1


def test_real_portrait_mp4(shared):
    stream = iter_video(shared / "media/clips/latentsync_demo1.mp4", size=(72, 128))
    assert isinstance(stream, Generator)
    frames = np.stack(list(islice(stream, 12)))
    stream.close()
    assert frames.shape == (12, 128, 72, 3)
    assert 40 < frames.mean() < 220
    assert 0.1 < np.abs(np.diff(frames.astype(np.int16), axis=0)).mean() < 20
