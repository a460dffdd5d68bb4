"""What a classifier could know of the sound: one that is fed the true movements of lips or arms instead of latents.

python -m experiments.guidance.signal_classifier --data FEATURES --model MODEL --out OUT --region non_face --steps 900

The reference beside which the classifier of that region is reported. Its judge, pairs, loop and report are those of
`paha train classifier`; what it sees is clean and exact, so that it scores the same at every timestep, and its
negatives are real clips out of step or with another's sound. Letters: B clips, T frames, J points, S = 2J signals.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import torch
import typer
from safetensors.torch import load_file
from torch import Tensor, nn

from paha.cli.options import parse_settings
from paha.config import PahaConfig
from paha.dataset.dataset import ClipFeatures, FeatureDataset
from paha.errors import PahaError
from paha.pce.classifier import ClassifierConfig, SyncHead, bce_loss
from paha.pce.regions import Region
from paha.pipeline.model_folder import read_config
from paha.runtime.device import pick_device
from paha.runtime.tensors import save_tensors
from paha.sampling.schedule import Schedule
from paha.training.job import Job, StepContext
from paha.training.loop import fit
from paha.training.pce.job import ClassifierRun, classifier_run
from paha.training.pce.pair_store import ClipStore
from paha.training.pce.pairs import PairDataset
from paha.training.pce.report import markdown, write_report
from paha.types import FACE, LEFT_HAND, RIGHT_HAND

LIPS = tuple(range(FACE.start + 48, FACE.start + 68))
ARMS = (*range(5, 11), LEFT_HAND.start + 12, RIGHT_HAND.start + 12)
"""Shoulders, elbows, wrists, and the tips of the middle fingers."""
POINTS: dict[Region, tuple[int, ...]] = {"face": LIPS, "non_face": ARMS}
UNIT = {"face": 0.005, "non_face": 0.05}
"""Movements of so much of the picture's side are of size 1."""
WEIGHTS = "signal_classifier.safetensors"


class SignalClassifier(SyncHead):
    """Logits of the synchronisation score from point movements (B, T, S, 1, 1) and audio windows (B, T, 2m+1, L, D)."""

    def __init__(self, config: PahaConfig, options: ClassifierConfig, *, region: Region) -> None:
        super().__init__()
        self.config = {"region": region}
        model = config.model
        self.signal_proj = nn.Linear(4 * len(POINTS[region]), options.width)
        self.audio_proj = nn.Linear((2 * model.audio_margin + 1) * model.audio_layers * model.audio_dim, options.width)
        size = {"num_layers": options.num_layers, "num_heads": options.num_heads}
        self.build_head(options.width, **size, frame_similarity=options.frame_similarity)

    def forward(self, signals: Tensor, audio: Tensor) -> Tensor:
        """Logits (B,). Positions count from their mean over the window, beside their change from frame to frame."""
        place = signals.flatten(2)
        speed = torch.diff(place, dim=1, prepend=place[:, :1])
        video = self.signal_proj(torch.cat([place - place.mean(dim=1, keepdim=True), 3 * speed], dim=2))
        return self.logits(video, self.audio_proj(audio.flatten(2)))


class SignalStore(ClipStore):
    """Points of the clips in place of their latents, (P, T, S, 1, 1)."""

    def __init__(self, region: Region) -> None:
        super().__init__({})
        self.region: Region = region

    def latents(self, places: Sequence[tuple[ClipFeatures | int, int]], length: int) -> Tensor:
        """As `FrameStore`; of clips alone."""
        cut = []
        for clip, start in places:
            assert not isinstance(clip, int)
            points = clip.tensors["points"][start : start + length, list(POINTS[self.region])]
            cut.append(points.nan_to_num(0.5).clamp(-1, 2).flatten(1))
        return torch.stack(cut).float()[..., None, None] / UNIT[self.region]


class SignalPairs(PairDataset):
    """Pairs of movements and sounds."""

    def __init__(self, dataset: FeatureDataset, *, region: Region, config: PahaConfig, **options: Any) -> None:
        # Points as they are, not their difference to a reference frame over the latents' spread.
        plain = config.model_copy(update={"diffusion": config.diffusion.model_copy(update={"target": "absolute"})})
        super().__init__(dataset, None, config=plain, **options)
        self._store = SignalStore(region)

    def _store_on(self, device: torch.device) -> ClipStore:
        return self._store


@torch.no_grad()
def clean_score(
    model: Any, z_0: Tensor, audio: Tensor, box: Tensor, t: Tensor, eps: Tensor, schedule: Schedule
) -> np.ndarray:
    """Logits (B,) as `paha.training.pce.report.score`, but that nothing is noised or masked."""
    device = next(model.parameters()).device
    return model(z_0.to(device), audio.to(device)).float().cpu().numpy()


@dataclass(frozen=True)
class Reference:
    """What it is trained and measured on."""

    config: PahaConfig
    dataset: FeatureDataset
    region: Region
    run: ClassifierRun

    def pairs(self, split: Any) -> SignalPairs:
        """Pairs of one part of the identities."""
        return SignalPairs(self.dataset, region=self.region, config=self.config, pairs=self.run.pairs, split=split)

    def model(self) -> SignalClassifier:
        """With random weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.run.train.seed)
            return SignalClassifier(self.config, self.run.network, region=self.region)

    def train(self, out: Path, *, progress: bool = True) -> None:
        """Into OUT, as `paha train classifier` does."""
        pairs = self.pairs("train")

        def loss(model: nn.Module, context: StepContext) -> tuple[Tensor, dict[str, Tensor]]:
            count = max(1, self.run.train.batch_size // 2)
            batch = pairs.batch(context.generator("batch"), count, device=context.device)
            logits = model(torch.cat([batch.real, batch.fake]), torch.cat([batch.audio, batch.fake_audio]))
            target = (torch.arange(2 * count, device=logits.device) < count).float()
            return bce_loss(logits, target), {"accuracy": ((logits > 0) == (target > 0.5)).float().mean()}

        def save(model: nn.Module, folder: Path) -> None:
            save_tensors(model.state_dict(), folder / WEIGHTS)

        job = Job(name=f"signals_{self.region}", model=self.model(), loss=loss, save=save)
        fit(job, self.run.train, out, progress=progress)

    def report(self, out: Path, *, clips: int) -> dict[str, Any]:
        """OUT/report of the classifier in OUT/model on the held-out identities."""
        model: Any = self.model().eval().requires_grad_(False)  # `clean_score` calls it by its own arguments
        model.load_state_dict(load_file(out / "model" / WEIGHTS))
        model.to(pick_device(None))
        length = min(self.run.pairs.lengths)
        options: dict[str, Any] = {"schedule": Schedule(self.config.diffusion), "num_clips": clips, "length": length}
        return write_report(model, self.pairs("held_out"), out / "report", **options, score=clean_score)


def main(
    data: Annotated[Path, typer.Option(help="Features of a corpus (its folder of that model's).")],
    model: Annotated[Path, typer.Option(help="Model folder: whose preset and frames.")],
    out: Annotated[Path, typer.Option("--out", "-o")],
    region: Annotated[str, typer.Option(help="face (true lips) or non_face (true arms).")] = "non_face",
    steps: Annotated[int, typer.Option(min=1)] = 900,
    report_clips: Annotated[int, typer.Option(min=2)] = 40,
    settings: Annotated[list[str], typer.Option("--set", help="As `paha train classifier` takes them.")] = [],  # noqa: B006
) -> None:
    """Train the reference and report it."""
    if region not in POINTS:
        raise PahaError(f"--region {region}: give face or non_face")
    config = read_config(model)
    given = {"pairs.lengths": [config.num_frames], "train.steps": steps, **parse_settings(settings)}
    run = classifier_run(config, given | {"pairs.hard_prob": 1.0})
    chosen: Region = "face" if region == "face" else "non_face"
    reference = Reference(config, FeatureDataset(data, config=config), chosen, run)
    reference.train(out)
    typer.echo(markdown(reference.report(out, clips=report_clips)))


if __name__ == "__main__":
    try:
        typer.run(main)
    except PahaError as error:
        raise SystemExit(f"signal_classifier: error: {error}") from error
