"""Does the rig move like a person? Its motion in numbers and curves, and its lips against GRID's speakers.

python -m experiments.rig_report [--speech ../shared/speech] [--media ../shared/media] [--out out/rig_report]

Writes OUT/rig_report.md and OUT/rig_report.png. Without aligned speech espeak-ng speaks; without GRID's clips,
MediaPipe's models or pocketsphinx the second table is left out, with the reason. `--vary` adds r for other values of
each constant that was compared on the clips.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import typer

from experiments.grid_speakers import Speaker, read_speaker
from paha.dataset.synth import lips as lips_module
from paha.dataset.synth.lips import lips
from paha.dataset.synth.loudness import at_frames, loudness
from paha.dataset.synth.natural_speech import NaturalSpeech
from paha.dataset.synth.person_motion import OPEN_HEIGHT, person_motion
from paha.dataset.synth.speech import Speech, random_speech
from paha.errors import PahaError
from paha.motion.person import PersonMotion
from paha.types import FPS

SPEECHES, SECONDS = 6, 15.0
COMPARED = {
    "LEAD_S": (0.06, 0.08, 0.1),
    "CARRY_S": (0.03, 0.04, 0.05),
    "JAW_LAG_S": (0.0, 0.01, 0.02),
    "LOUDNESS_SHARE": (0.0, 0.25, 0.5),
    "BREATH_OPEN": (0.0, 0.3, 0.4),
    "BREATH_S": (0.3, 0.4, 0.5),
}


def act(folder: Path | None) -> list[tuple[Speech, PersonMotion]]:
    """Some speeches and what the rig does to them."""
    acted = []
    natural = None if folder is None else NaturalSpeech(folder, held_out=True)
    for seed in range(SPEECHES):
        rng = np.random.default_rng([1, seed])
        speech = (
            random_speech(rng, language="en", min_seconds=SECONDS)
            if natural is None
            else natural.random_speech(rng, min_seconds=SECONDS)
        )
        acted.append((speech, person_motion(speech, rng=rng)))
    return acted


def blink_seconds(lids: np.ndarray, *, closed: float = 0.05) -> list[float]:
    """How long each blink of lids (T,) keeps them more than `closed`, 1 being whole."""
    edges = np.flatnonzero(np.diff((lids > closed).astype(int), prepend=0, append=0))
    return [float(stop - start) / FPS for start, stop in edges.reshape(-1, 2)]


def motion_table(motions: list[PersonMotion]) -> list[str]:
    """Deviation, extremes and jerk of each signal, and blinks."""
    rows = ["| signal | deviation | smallest | largest | jerk, a second cubed |", "|---|---|---|---|---|"]
    curves = {
        "mouth opening, face heights": [m.mouth_open for m in motions],
        "mouth width, face heights": [m.mouth_wide for m in motions],
        "lip press": [m.lip_press for m in motions],
        "yaw, degrees": [np.rad2deg(m.head_rotation[:, 0]) for m in motions],
        "pitch, degrees": [np.rad2deg(m.head_rotation[:, 1]) for m in motions],
        "roll, degrees": [np.rad2deg(m.head_rotation[:, 2]) for m in motions],
        "head shift, face heights": [m.head_shift[:, 0] for m in motions],
        "brows, face heights": [m.brows[:, 0] for m in motions],
        "gaze, x": [m.gaze[:, 0] for m in motions],
        "shoulder, y, face heights": [m.parts[:, 0, 1] for m in motions],
        "wrists, y, face heights": [m.parts[:, side, 1] for m in motions for side in (4, 5)],
    }
    for name, parts in curves.items():
        whole = np.concatenate(parts)
        jerk = float(np.mean([np.abs(np.diff(part, 3)).mean() for part in parts])) * FPS**3
        rows.append(f"| {name} | {whole.std():.4f} | {whole.min():.3f} | {whole.max():.3f} | {jerk:.3g} |")
    blinks = [length for m in motions for length in blink_seconds(m.lids[:, 0])]
    minutes = sum(len(m) for m in motions) / FPS / 60
    rows += ["", f"Blinks: {len(blinks) / minutes:.1f} a minute, {np.mean(blinks):.3f} s long in the mean."]
    return rows


def rig_opening(speaker: Speaker) -> np.ndarray:
    """(T,) the rig's lips to a speaker's sound, face heights; cut to the speaker's frames."""
    return OPEN_HEIGHT * at_frames(lips(speaker.speech)[0])[: len(speaker.opening)]


def correlation(speaker: Speaker, opening: np.ndarray) -> float:
    """r with the speaker's own lips, over the frames that both have."""
    return float(np.corrcoef(opening, speaker.opening[: len(opening)])[0, 1])


def grid_table(speakers: list[Speaker]) -> list[str]:
    """r of the rig's lips and of loudness with the speakers' own, and amplitudes."""
    rows = [
        "| speaker | r of the rig | r of loudness | deviation of the rig | of the speaker |",
        "|---|---|---|---|---|",
    ]
    scores = []
    for speaker in speakers:
        opening = rig_opening(speaker)
        loud = at_frames(loudness(speaker.speech.samples))[: len(opening)]
        scores.append((correlation(speaker, opening), correlation(speaker, loud), opening.std(), speaker.opening.std()))
    for name, row in [*zip([s.name for s in speakers], scores, strict=True), ("mean", np.mean(scores, axis=0))]:
        rows.append(f"| {name} | {row[0]:.3f} | {row[1]:.3f} | {row[2]:.4f} | {row[3]:.4f} |")
    return rows


def constants_table(speakers: list[Speaker]) -> list[str]:
    """Mean r for other values of each constant, the others as they are."""
    rows = ["| constant | " + " | ".join(["value: mean r"] * 3) + " |", "|---|---|---|---|"]
    for name, values in COMPARED.items():
        kept, cells = getattr(lips_module, name), []
        for value in values:
            setattr(lips_module, name, value)
            cells.append(f"{value}: {np.mean([correlation(s, rig_opening(s)) for s in speakers]):.3f}")
        setattr(lips_module, name, kept)
        rows.append(f"| {name} (used: {kept}) | " + " | ".join(cells) + " |")
    return rows


def draw(acted: tuple[Speech, PersonMotion], speakers: list[Speaker], path: Path) -> None:
    """Curves of one speech, and of each GRID speaker beside the rig."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    speech, motion = acted
    at_s = (np.arange(len(motion)) + 0.5) / FPS
    panels = {
        "mouth: opening, width (face heights)": np.stack([motion.mouth_open, motion.mouth_wide], 1),
        "head: yaw, pitch, roll (degrees)": np.rad2deg(motion.head_rotation),
        "lids, and gaze x, y": np.concatenate([motion.lids[:, :1], motion.gaze], 1),
        "brows x 10, shoulder x 10 (face heights)": 10 * np.stack([motion.brows[:, 0], motion.parts[:, 0, 1]], 1),
        "wrists: left x, y, right x, y (face heights)": motion.parts[:, 4:6].reshape(len(motion), 4),
    }
    figure, axes = pyplot.subplots(len(panels) + len(speakers), 1, figsize=(16, 2.6 * (len(panels) + len(speakers))))
    for axis, (title, curves) in zip(axes, panels.items(), strict=False):
        axis.plot(at_s, curves)
        axis.set_title(title, loc="left", fontsize=9)
    for phoneme in speech.phonemes:
        axes[0].text(phoneme.start_s, motion.mouth_open.max(), phoneme.symbol, fontsize=6)
    for axis, speaker in zip(axes[len(panels) :], speakers, strict=True):
        opening = rig_opening(speaker)
        axis.plot(speaker.opening, "k", label="speaker")
        axis.plot(opening, "r", label="rig")
        axis.set_title(f"{speaker.name}: {speaker.speech.text}", loc="left", fontsize=9)
        axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=70)


def main(
    speech: Annotated[Path, typer.Option(help="Folder of aligned speech; espeak-ng where it is missing.")] = Path(
        "../shared/speech"
    ),
    media: Annotated[Path, typer.Option(help="Folder with clips/grid_*.mpg.")] = Path("../shared/media"),
    out: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("out/rig_report"),
    vary: Annotated[bool, typer.Option(help="Add a table of other values of the compared constants.")] = False,
) -> None:
    """Write the report."""
    acted = act(speech if speech.is_dir() else None)
    rows = ["# The rig's motion", "", *motion_table([motion for _, motion in acted]), "", "## Against GRID", ""]
    speakers: list[Speaker] = []
    try:
        speakers = [read_speaker(clip) for clip in sorted((media / "clips").glob("grid_*.mpg"))]
    except PahaError as error:
        rows.append(f"Left out: {error}")
    if speakers:
        rows += grid_table(speakers) + (["", *constants_table(speakers)] if vary else [])
    out.mkdir(parents=True, exist_ok=True)
    draw(acted[0], speakers, out / "rig_report.png")
    (out / "rig_report.md").write_text("\n".join(rows) + "\n", encoding="utf-8")
    print("\n".join(rows))


if __name__ == "__main__":
    typer.run(main)
