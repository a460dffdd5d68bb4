"""An instrument for synchrony that no guidance has seen: trained on the rig's true motion, without latents or noise.

python -m experiments.guidance.sync_instrument --out OUT [--region face] [--speech SPEECH] [--steps 400]

Two small encoders, of a region's signals and of the audio features, matched frame by frame (`frame_loss`); the score of
a clip is SyncNet's own: median less least distance over shifts of -15 to 15 frames (`sync_score`). It shares nothing
with the classifiers: other data, other inputs, other loss. Trained on training voices, told on held-out ones.
Letters: P clips, T frames, S signals, F width.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import torch
import torch.nn.functional as F
import typer
from safetensors.torch import load_file
from torch import Tensor, nn

from experiments.guidance.rig_people import RigPerson, draw_people, signals_of
from paha.config import PahaConfig
from paha.dataset.synth.motion_features import encoder_config
from paha.errors import PahaError
from paha.evaluation.metrics.sync import SyncScore, sync_score
from paha.extractors.weights import file_sha256
from paha.pce.regions import Region
from paha.pipeline.loading import SHIPPED_MODEL
from paha.pipeline.model_folder import read_config
from paha.runtime.atomic import atomic_path, write_bytes
from paha.runtime.network import WEIGHTS_NAME
from paha.runtime.statistics import bootstrap
from paha.runtime.tensors import save_tensors
from paha.training.pce.sync_pretraining import frame_loss

SEED, FRAMES, WIDTH, WINDOW, BATCH = 5151, 150, 64, 64, 12
"""Of the stream that it learns from: seed and length of a clip. WINDOW, BATCH: frames and clips of a step."""
REACH: dict[Region, int] = {"face": 5, "non_face": 11}
"""Frames that a convolution sees; there are two, one after the other."""
UNIT: dict[Region, float] = {"face": 0.02, "non_face": 0.15}
"""Signals are divided by it, face heights."""
WEIGHTS, ABOUT = "instrument.safetensors", "instrument.json"


class SyncInstrument(nn.Module):
    """Embeddings (P, T, F) of signals (P, T, S) and of audio windows (P, T, 2m+1, L, D)."""

    def __init__(self, signals: int, audio: int, region: Region) -> None:
        super().__init__()
        self.region: Region = region
        self.of_motion = nn.Sequential(*_convolutions(2 * signals, REACH[region]))
        self.narrow = nn.Linear(audio, WIDTH)
        self.of_sound = nn.Sequential(*_convolutions(WIDTH, REACH[region]))

    def motion(self, signals: Tensor) -> Tensor:
        """Signals beside their change from frame to frame."""
        x = signals / UNIT[self.region]
        change = torch.diff(x, dim=1, prepend=x[:, :1])
        return self.of_motion(torch.cat([x, 4 * change], -1).mT).mT

    def sound(self, audio: Tensor) -> Tensor:
        """The same of what is heard."""
        return self.of_sound(self.narrow(audio.flatten(2)).mT).mT

    @torch.no_grad()
    def score(self, signals: np.ndarray, audio: Tensor) -> SyncScore:
        """SyncNet's scores of a clip: signals (T, S), audio windows (T, 2m+1, L, D)."""
        own, heard = self.motion(torch.from_numpy(signals)[None])[0], self.sound(audio[None])[0]
        return sync_score(F.normalize(own, dim=-1).numpy(), F.normalize(heard, dim=-1).numpy())


def _convolutions(width: int, reach: int) -> list[nn.Module]:
    pad = reach // 2
    return [
        nn.Conv1d(width, WIDTH, reach, padding=pad),
        nn.GELU(),
        nn.Conv1d(WIDTH, WIDTH, reach, padding=pad),
        nn.GELU(),
        nn.Conv1d(WIDTH, WIDTH, 1),
    ]


def train(people: Sequence[RigPerson], region: Region, *, steps: int, seed: int = 0) -> SyncInstrument:
    """From nothing, on windows of the people's true motion."""
    signals = torch.stack([torch.from_numpy(signals_of(person.motion(), region)) for person in people])
    audio = torch.stack([person.clip.audio_windows for person in people])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SyncInstrument(signals.shape[-1], audio[0, 0].numel(), region)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    generator, size = torch.Generator().manual_seed(seed), min(WINDOW, signals.shape[1])
    for _ in range(steps):
        chosen = torch.randperm(len(people), generator=generator)[:BATCH]
        start = int(torch.randint(signals.shape[1] - size + 1, (), generator=generator))
        window = slice(start, start + size)
        loss = frame_loss(model.motion(signals[chosen, window]), model.sound(audio[chosen, window]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def told(model: SyncInstrument, people: Sequence[RigPerson]) -> list[str]:
    """Lines of what it says of true motion with its own sound and with others."""
    lines = [f"| {model.region} | confidence | offset 0 or 1 |", "|---|---|---|"]
    signals = [signals_of(person.motion(), model.region) for person in people]
    sounds = [person.clip.audio_windows for person in people]
    for name, heard in {"true": sounds, "another's sound": sounds[1:] + sounds[:1]}.items():
        found = [model.score(s, a) for s, a in zip(signals, heard, strict=True)]
        near = np.mean([abs(score.offset) <= 1 for score in found])
        lines.append(f"| {name} | {bootstrap([score.confidence for score in found])} | {near:.2f} |")
    return lines


def save(model: SyncInstrument, out: Path, *, ears: str) -> None:
    """OUT/instrument.safetensors and what is needed to read it. ears: `ears_of` the model whose audio features it
    knows."""
    out.mkdir(parents=True, exist_ok=True)
    signals = model.of_motion.get_parameter("0.weight").shape[1] // 2
    about = {"region": model.region, "signals": signals, "audio": model.narrow.in_features, "ears": ears}
    with atomic_path(out / WEIGHTS) as temporary:
        save_tensors(model.state_dict(), temporary)
    write_bytes(out / ABOUT, json.dumps(about).encode())


def load(folder: Path, *, model: Path) -> SyncInstrument:
    """An instrument of `save`, to score what `model` makes. Raises PahaError where there is none, or where it was
    trained on the audio features of other ears, which would mean nothing to it."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        made = SyncInstrument(about["signals"], about["audio"], about["region"])
        made.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, ValueError, KeyError) as error:
        raise PahaError(f"no instrument in {folder} ({error}); train one with sync_instrument") from error
    if about.get("ears") not in (None, ears_of(model)):  # None: made before they were written down
        raise PahaError(f"{folder} hears with other ears than {model}; train it with `sync_instrument --model {model}`")
    return made.eval()


def ears_of(model: Path) -> str:
    """What tells a model folder's audio encoder from others: the hash of its weights, or the name it goes by."""
    audio = model_config(model).audio
    weights = Path(audio.name) / WEIGHTS_NAME
    return file_sha256(weights) if weights.is_file() else f"{audio.kind} {audio.name}"


def model_config(model: Path) -> PahaConfig:
    """A model folder's configuration with its own audio encoder."""
    config = read_config(model)
    return config.model_copy(update={"audio": encoder_config(config, model)})


def main(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the instrument.")],
    region: Annotated[str, typer.Option(help="face (lips) or non_face (arms).")] = "face",
    model: Annotated[Path, typer.Option(help="Model folder: whose ears and frames.")] = SHIPPED_MODEL,
    speech: Annotated[Path | None, typer.Option(help="Folder of aligned natural speech.")] = None,
    people: Annotated[int, typer.Option(help="Clips to learn from.", min=BATCH)] = 160,
    tested: Annotated[int, typer.Option(help="Held-out people.", min=2)] = 24,
    steps: Annotated[int, typer.Option(min=1)] = 400,
) -> None:
    """Train it and say what it tells apart."""
    if region not in REACH:
        raise PahaError(f"--region {region}: give face or non_face")
    chosen: Region = "face" if region == "face" else "non_face"
    config, hands = model_config(model), region == "non_face"
    drawn = draw_people(config, people, seed=SEED, num_frames=FRAMES, held_out=False, speech=speech, hands=hands)
    made = train(drawn, chosen, steps=steps)
    save(made, out, ears=ears_of(model))
    held = draw_people(config, tested, seed=SEED + 1, num_frames=FRAMES, held_out=True, speech=speech, hands=hands)
    typer.echo("\n".join(told(made, held)))


if __name__ == "__main__":
    try:
        typer.run(main)
    except PahaError as error:
        raise SystemExit(f"sync_instrument: error: {error}") from error
