"""Fragmented mp4 as it is made: whole in every prefix, the same pixels, tagged."""

import io
from pathlib import Path

import av
import numpy as np
import pytest

from paha.errors import PahaError
from paha.media.remux import remux
from paha.media.video_io import read_video
from paha.media.video_writer import AI_COMMENT, VideoWriter, write_video

RATE_HZ = 16_000
SOUND = (0.1 * np.random.default_rng(1).normal(size=(2 * RATE_HZ, 1)).astype(np.float32), RATE_HZ)


def moving(count: int, height: int = 64, width: int = 96) -> np.ndarray:
    x = np.arange(width)[None, None, :, None] + 3 * np.arange(count)[:, None, None, None]
    return np.broadcast_to(128 + 100 * np.sin(x / 9), (count, height, width, 3)).astype(np.uint8)


def streamed(frames: np.ndarray, **options) -> tuple[bytes, list[int]]:
    """The file, and how many bytes were there after each frame."""
    file, sizes = io.BytesIO(), []
    height, width = frames.shape[1:3]
    with VideoWriter("name", width=width, height=height, audio=SOUND, stream=file, **options) as writer:
        for frame in frames:
            writer.write(frame[None])
            sizes.append(len(file.getvalue()))
    return file.getvalue(), sizes


def decoded(data: bytes) -> list[np.ndarray]:
    with av.open(io.BytesIO(data), "r") as container:
        return [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]


def test_what_has_come_plays_before_the_rest_is_made():
    data, sizes = streamed(moving(50))
    assert len(decoded(data)) == 50
    assert len(decoded(data[: sizes[25]])) >= 15
    assert len(decoded(data[: sizes[40]])) >= 30
    assert sizes[30] > sizes[12] > sizes[2]


def test_the_pixels_are_those_of_a_whole_file(tmp_path):
    frames = moving(30)
    write_video(tmp_path / "whole.mp4", frames, crf=0, audio=SOUND)
    whole = decoded((tmp_path / "whole.mp4").read_bytes())
    assert all(np.array_equal(a, b) for a, b in zip(decoded(streamed(frames, crf=0)[0]), whole, strict=True))


def test_it_is_tagged_and_has_its_sound(tmp_path):
    (tmp_path / "a.mp4").write_bytes(streamed(moving(50))[0])
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.metadata["comment"] == AI_COMMENT
        assert "encoder" not in container.metadata
        assert sum(frame.samples for frame in container.decode(audio=0)) >= 2 * RATE_HZ
    assert read_video(tmp_path / "a.mp4").shape == (50, 64, 96, 3)


def test_a_stream_becomes_a_plain_file_of_the_same_packets(tmp_path):
    data = streamed(moving(50))[0]
    (tmp_path / "a.mp4").write_bytes(data)
    remux(tmp_path / "a.mp4", tmp_path / "b.mp4")
    plain = (tmp_path / "b.mp4").read_bytes()
    assert plain.index(b"moov") < plain.index(b"mdat"), "the index comes first"
    assert b"moof" not in plain
    assert all(np.array_equal(a, b) for a, b in zip(decoded(plain), decoded(data), strict=True))
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.metadata["comment"] == AI_COMMENT
    (tmp_path / "c.mp4").write_bytes(b"no video at all")
    with pytest.raises(PahaError):
        remux(tmp_path / "c.mp4", tmp_path / "d.mp4")
    assert not (tmp_path / "d.mp4").exists()


class Closed(io.RawIOBase):
    """A pipe whose reader has gone."""

    def write(self, data: object) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_reader_that_goes_is_one_line(tmp_path):
    with (
        pytest.raises(PahaError, match="cannot write standard output: Broken pipe"),
        VideoWriter("standard output", width=96, height=64, stream=Closed()) as writer,  # type: ignore[arg-type]
    ):
        writer.write(moving(60))
    assert not Path("standard output").exists()
