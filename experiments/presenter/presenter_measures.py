"""What a made video of a drawn presenter is worth against its rig: lips, hands, identity, silence.

Lips and keypoints are read off frames by the pose reader, off true renderings too, so that its errors count on both
sides. Masks are exact: every frame is drawn again from the rig that the corpus keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from paha.dataset.manifest import load_annotations
from paha.dataset.synth.character import sample_character
from paha.dataset.synth.renderer import Renderer
from paha.dataset.synth.signals import RigSignals
from paha.errors import PahaError
from paha.extractors.pixel_codec import PixelCodec
from paha.extractors.pose import PoseTrack, PresenterPose
from paha.media.audio_io import read_audio, to_mono_16k
from paha.runtime.statistics import best_lag, lip_r, loudness_lips
from paha.training.motion.frames import load_clip
from paha.training.motion.pose_reader_job import VISIBLE_SCORE, codec_transform
from paha.types import FPS, LEFT_HAND, RIGHT_HAND, ClipRecord

Row = dict[str, float]
"""What was measured of one clip. NaN: there was nothing to measure."""

WRISTS = np.array([9, 10])
HANDS = np.r_[WRISTS, LEFT_HAND.start : RIGHT_HAND.stop]
ARMS = ((5, 7, 9), (6, 8, 10))
ARM_WIDTH = 0.12
"""Of a read arm, with its hand's margin, in shares of the picture's side."""
REST, SPEECH = 0.1, 0.9
"""The rig's `speaking` below and above which a frame counts as pause and as speech."""
MIN_PAUSE_FRAMES = 3
MAX_LAG = 5


@dataclass(frozen=True)
class Truth:
    """A corpus clip. images: (T, H, W, 3) uint8. background: (T, H, W), where nothing else is drawn. mouth, speaking:
    (T,) of the rig. torso: (4,) px x0 y0 x1 y1. arms: (T, H, W), about arms and hands. face: (T, 4) px. sound: (N,) at
    16 kHz."""

    clip_id: str
    images: np.ndarray
    background: np.ndarray
    mouth: np.ndarray
    speaking: np.ndarray
    torso: np.ndarray
    arms: np.ndarray
    face: np.ndarray
    sound: np.ndarray


def load_truth(data: Path, record: ClipRecord, *, size: int) -> Truth:
    """A clip of a presenter corpus at size x size. Raises PahaError for any other dataset."""
    if not record.source.startswith("paha.synth"):
        raise PahaError(f"{data} is no presenter corpus ({record.clip_id} is of {record.source}); make one: paha synth")
    clip = load_clip(data, record, size=size)
    rig = RigSignals.from_dict(load_annotations(data / record.annotations).rig)
    renderer = Renderer(sample_character(int(record.identity.removeprefix("presenter-"))), size=size)
    drawn = [renderer.draw(rig, t) for t in range(len(clip))]
    psnr = masked_psnr(np.stack([f.image for f in drawn]), clip.images, np.ones(clip.images.shape[:3], bool))
    if psnr < 20:
        raise PahaError(f"{record.clip_id} drawn again is another picture ({psnr:.1f} dB); make the corpus again")
    return Truth(
        clip_id=record.clip_id,
        images=clip.images,
        background=np.stack([f.background for f in drawn]),
        mouth=clip.mouth_open,
        speaking=rig.speaking[: len(clip)],
        torso=torso_box(clip.points[0] * size, size),
        arms=arm_mask(clip.points * size, clip.scores, size),
        face=clip.face_box * size,
        sound=to_mono_16k(*read_audio(data / record.audio)),
    )


def torso_box(points: np.ndarray, size: int) -> np.ndarray:
    """Half a shoulder wide, from 0.35 to 0.9 of a shoulder's width below the shoulders: x0 y0 x1 y1 in whole px."""
    middle, width = points[5:7].mean(0), float(np.ptp(points[5:7, 0]))
    box = middle[[0, 1, 0, 1]] + width * np.array([-0.25, 0.35, 0.25, 0.9])
    box = np.clip(np.round(box), 0, size).astype(int)
    box[:2] = np.minimum(box[:2], box[2:] - 1).clip(0)
    return box


def measure_clip(
    truth: Truth, frames: np.ndarray, pose: PresenterPose, codec: PixelCodec
) -> tuple[Row, dict[str, np.ndarray]]:
    """A row of numbers, and curves (T,) of mouth opening by where they were read."""
    tracks = {"generated": pose.detect(frames), "renderings": pose.detect(truth.images)}
    coded = codec_transform(codec)(truth.images)
    tracks["round trips"] = pose.detect(coded)
    curves = {name: mouth(track) for name, track in tracks.items()} | {"truth": truth.mouth}
    still = np.repeat(truth.images[:1], len(frames), 0)
    row = lip_row(truth, curves)
    row |= hand_row(tracks["generated"], tracks["renderings"])
    arms = read_arms(tracks["generated"], truth.images.shape[1])
    videos = {"generated": (frames, arms), "round trips": (coded, truth.arms), "still image": (still, truth.arms[:1])}
    for name, (video, covered) in videos.items():
        row |= {
            f"background PSNR {name}": background_psnr(truth, video),
            f"torso colour error {name}": colour_error(video, truth.images, truth.torso, covered | truth.arms),
        }
    row["background PSNR beside the arms"] = background_psnr(truth, frames, without=arms)
    return row, curves


def lip_row(truth: Truth, curves: dict[str, np.ndarray]) -> Row:
    """Lip r of every curve, lags and amplitudes, and mouths in pauses and in speech."""
    made, seen = curves["generated"], curves["renderings"]
    loudness = loudness_lips(truth.sound, len(truth.mouth))
    row = {f"lip r {name}": lip_r(curve, truth.mouth) for name, curve in curves.items() if name != "truth"}
    lag = best_lag(made, truth.mouth, max_lag=MAX_LAG)
    row |= {
        "lip r loudness": lip_r(loudness, truth.mouth),
        "lip r still image": lip_r(np.full_like(made, seen[0]), truth.mouth),
        "best lag": float(lag),
        "lip r at best lag": lip_r(made, truth.mouth, lag=lag),
        "best lag is 0 or 1": float(lag in (0, 1)),
        "mouth std": float(made.std()),
        "mouth std true": float(seen.std()),
    }
    pause, speech = truth.speaking < REST, truth.speaking > SPEECH
    enough = pause.sum() >= MIN_PAUSE_FRAMES and speech.any()
    for name, curve in (("generated", made), ("renderings", seen), ("truth", truth.mouth)):
        row[f"mouth in pauses {name}"] = float(curve[pause].mean()) if enough else float("nan")
        row[f"mouth in speech {name}"] = float(curve[speech].mean()) if enough else float("nan")
    return row


def hand_row(track: PoseTrack, true: PoseTrack) -> Row:
    """Motion of wrists and hands in generated frames and in true ones, px, px/s, px/s^3, over points that are seen in
    half of the true frames or more; a point that is never seen in the generated ones has not moved."""
    chosen = (true.keypoints.scores > VISIBLE_SCORE).mean(0) >= 0.5
    hands, wrists = HANDS[chosen[HANDS]], WRISTS[chosen[WRISTS]]
    row: Row = {}
    for name, seen_by in (("", track), (" true", true)):
        points, visible = seen_by.keypoints.points, seen_by.keypoints.scores > VISIBLE_SCORE
        row[f"hands seen{name}"] = float(visible[:, HANDS].mean())
        row[f"hand spread{name}"] = spread(points[:, hands], visible[:, hands])
        row[f"wrist speed{name}"] = mean_derivative(points[:, wrists], visible[:, wrists], order=1)
        row[f"wrist jerk{name}"] = mean_derivative(points[:, wrists], visible[:, wrists], order=3)
    return row


def spread(points: np.ndarray, visible: np.ndarray) -> float:
    """Mean over points (T, K, 2) of their deviation over time from their mean place, where visible (T, K); NaN for
    K = 0."""
    if points.shape[1] == 0:
        return float("nan")
    count = np.maximum(visible.sum(0), 1)[:, None]
    mean = (points * visible[..., None]).sum(0) / count
    square = ((points - mean) ** 2 * visible[..., None]).sum(0) / count
    return float(np.sqrt(square.sum(-1)).mean())


def mean_derivative(points: np.ndarray, visible: np.ndarray, *, order: int) -> float:
    """Mean length of the order-th derivative in time of points (T, K, 2), px/s^order, where order + 1 frames in a row
    show them; 0 where none do, NaN for K = 0."""
    if points.shape[1] == 0:
        return float("nan")
    steps = np.linalg.norm(np.diff(points, n=order, axis=0), axis=-1) * FPS**order
    seen = np.logical_and.reduce([visible[k : len(visible) - order + k] for k in range(order + 1)])
    return float(steps[seen].mean()) if seen.any() else 0.0


def colour_error(frames: np.ndarray, others: np.ndarray, box: np.ndarray, covered: np.ndarray) -> float:
    """Median over a box's pixels (4,) px of the colour difference of two videos (T, H, W, 3), mean over channels, then
    over frames: grey levels. covered: (T, H, W), pixels to leave out. NaN where they are all.

    The difference of two median colours would jump wherever a garment has two colours.
    """
    x0, y0, x1, y1 = box
    difference = np.abs(frames[:, y0:y1, x0:x1].astype(np.float32) - others[:, y0:y1, x0:x1]).mean(-1)
    seen = np.broadcast_to(~covered[:, y0:y1, x0:x1], difference.shape)
    medians = [np.median(frame[mask]) for frame, mask in zip(difference, seen, strict=True) if mask.any()]
    return float(np.mean(medians)) if medians else float("nan")


def background_psnr(truth: Truth, frames: np.ndarray, *, without: np.ndarray | None = None) -> float:
    """dB over pixels that the renderer marks background both in the reference and in the true frame of that moment.

    without: (T, H, W), pixels to leave out: arms gesture where the true ones do not.
    """
    mask = truth.background & truth.background[0]
    return masked_psnr(frames, truth.images, mask if without is None else mask & ~without)


def masked_psnr(frames: np.ndarray, others: np.ndarray, mask: np.ndarray) -> float:
    """PSNR in dB of uint8 frames (T, H, W, 3) over the mask (T, H, W); NaN where it is empty."""
    if not mask.any():
        return float("nan")
    error = frames[mask].astype(np.float32) - others[mask].astype(np.float32)
    return float(10 * np.log10(255**2 / max(float(np.square(error).mean()), 1e-6)))


def read_arms(track: PoseTrack, side: int) -> np.ndarray:
    """(T, side, side): pixels about the arms and hands that the reader sees."""
    return arm_mask(track.keypoints.points, track.keypoints.scores, side)


def arm_mask(points: np.ndarray, scores: np.ndarray, side: int) -> np.ndarray:
    """(T, side, side): pixels about arms and visible hands, by points (T, 133, 2) in px and scores (T, 133)."""
    masks = np.zeros((len(points), side, side), np.uint8)
    width = max(1, round(ARM_WIDTH * side))
    for mask, at, seen in zip(masks, points, scores > VISIBLE_SCORE, strict=True):
        for arm, hand in zip(ARMS, (LEFT_HAND, RIGHT_HAND), strict=True):
            cv2.polylines(mask, [at[list(arm)].round().astype(np.int32)], False, 1, width)
            for x, y in at[hand][seen[hand]].round().astype(int).tolist():
                cv2.circle(mask, (x, y), width // 2, 1, -1)
    return masks.astype(bool)


def mouth(track: PoseTrack) -> np.ndarray:
    """Mouth opening (T,) of a track that has one."""
    assert track.mouth_open is not None
    return track.mouth_open


def add_other_clips(rows: dict[str, Row], curves: dict[str, dict[str, np.ndarray]]) -> None:
    """Add to each row lip r against the truth of all *other* clips, in the mean: of its generated lips, and of its own
    true ones (the reference: what speech has in common with any speech). NaN for a lone clip."""
    for clip, row in rows.items():
        for name, of in (("lip r other clips", "generated"), ("lip r truth, other clips", "truth")):
            pairs = [(curves[clip][of], other["truth"]) for key, other in curves.items() if key != clip]
            values = [lip_r(a[: len(b)], b[: len(a)]) for a, b in pairs]
            row[name] = float(np.mean(values)) if values else float("nan")
