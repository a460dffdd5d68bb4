"""The invisible mark: read again after re-encoding and scaling, not seen, not found where none is."""

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from paha.cli.main import app
from paha.media.invisible_mark import (
    BITS,
    MAX_NUMBER,
    Marker,
    bit_scores,
    find_mark,
    mean_brightness,
    read_mark,
)
from paha.media.video_io import iter_video, write_video
from paha.media.video_writer import VideoWriter

NUMBER = 0xC0FFEE42


def picture(seed: int, height: int = 384, width: int = 320) -> np.ndarray:
    """A sky that gets darker, shapes, and noise of several sizes on the lower half."""
    draw = np.random.default_rng(seed)
    image = np.broadcast_to(np.linspace(220, 150, height)[:, None, None], (height, width, 3)).copy()
    for size, strength in ((3, 12), (15, 40), (61, 300)):
        noise = cv2.GaussianBlur(draw.normal(size=(height, width)).astype(np.float32), (0, 0), size / 3)
        image[height // 2 :] += strength * noise[height // 2 :, :, None]
    for _ in range(12):
        y, x, r = draw.integers(0, (height, width, 60))
        cv2.circle(image, (int(x), int(y)), int(r), draw.integers(0, 256, 3).tolist(), -1, cv2.LINE_AA)
    return np.clip(image, 0, 255).astype(np.uint8)


def moving(seed: int, frames: int = 10) -> np.ndarray:
    """A video of that picture with something that moves in it."""
    video = np.stack([picture(seed)] * frames)
    for index, frame in enumerate(video):
        cv2.ellipse(frame, (160, 200), (50, 70), 6 * index, 0, 360, (190, 140, 120), -1, cv2.LINE_AA)
    return video


def test_a_number_survives_re_encoding_and_scaling(tmp_path):
    frames = moving(0)
    write_video(tmp_path / "a.mp4", frames, mark=NUMBER)
    assert getattr(read_mark(tmp_path / "a.mp4"), "number", None) == NUMBER
    write_video(tmp_path / "b.mp4", np.stack(list(iter_video(tmp_path / "a.mp4"))), crf=28, comment="nothing")
    assert getattr(read_mark(tmp_path / "b.mp4"), "number", None) == NUMBER
    small = np.stack([cv2.resize(f, (240, 288), interpolation=cv2.INTER_AREA) for f in iter_video(tmp_path / "a.mp4")])
    write_video(tmp_path / "c.mp4", small, crf=20)
    assert read_mark(tmp_path / "c.mp4") is not None


def test_it_is_faint_and_faintest_on_plain_surfaces():
    image = picture(1)
    changed = Marker(NUMBER, image.shape[1], image.shape[0]).put(image)
    difference = changed.astype(int) - image
    assert (difference.max(-1) == difference.min(-1))[(image > 8).all(-1) & (image < 247).all(-1)].all()  # grey alone
    assert 10 * np.log10(255**2 / (difference**2).mean()) >= 42
    plain = np.full((256, 256, 3), 128, np.uint8)
    assert np.abs(Marker(NUMBER, 256, 256).put(plain).astype(int) - 128).max() <= 3
    assert np.abs(Marker(NUMBER, 256, 256).put(plain).astype(float) - 128).mean() < 0.8


def test_nothing_is_found_where_nothing_is_and_the_stated_rate_holds():
    """The sum of squared scores is chi-squared with one degree of freedom a bit."""
    brightness = [mean_brightness([picture(seed)]) for seed in range(30)]
    assert all(find_mark(mean) is None for mean in brightness)
    sums = np.array([(bit_scores(mean) ** 2).sum() for mean in brightness])
    assert abs(sums.mean() - BITS) < 4 * np.sqrt(2 * BITS / len(sums))
    assert sums.max() < 80
    assert find_mark(mean_brightness([np.zeros((64, 64, 3), np.uint8)])) is None
    assert find_mark(mean_brightness([])) is None


@pytest.mark.parametrize("number", [0, 1, MAX_NUMBER, 0x80000000])
def test_every_bit_counts(number):
    image = picture(2)
    mark = find_mark(mean_brightness([Marker(number, image.shape[1], image.shape[0]).put(image)]))
    assert mark is not None
    assert mark.number == number
    assert mark.false_rate < 1e-20


def test_a_weak_mark_is_found_but_its_number_not_guessed():
    image = picture(3)
    mean = mean_brightness([image])
    marked = mean_brightness([Marker(NUMBER, image.shape[1], image.shape[0]).put(image)])
    weak = find_mark(mean + 0.1 * (marked - mean))
    assert weak is not None
    assert weak.number is None


def test_a_number_out_of_range_is_refused():
    with pytest.raises(ValueError, match="a mark is a number from 0 to 4294967295"):
        Marker(MAX_NUMBER + 1, 64, 64)


def test_verify_says_what_it_finds(tmp_path):
    pytest.importorskip("c2pa")
    with VideoWriter(tmp_path / "a.mp4", width=320, height=384, mark=7) as writer:
        writer.write(moving(4))
    write_video(tmp_path / "b.mp4", moving(4))
    lines = [CliRunner().invoke(app, ["verify", str(tmp_path / name)]).output for name in ("a.mp4", "b.mp4")]
    assert "invisible mark: 7 (as much by chance: one video of 10^" in lines[0]
    assert "invisible mark: none" in lines[1]
