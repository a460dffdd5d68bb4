"""`paha features`: cached features, by one process, by several, or on a Ray cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paha.cli.options import (
    FOLDER,
    CodecFolder,
    Device,
    Engine,
    PresetName,
    Settings,
    Split,
    SplitChoice,
    configuration,
    parse_part,
)
from paha.errors import PahaError
from paha.runtime.paths import Output

if TYPE_CHECKING:
    from paha.config import PahaConfig


FEATURES = Output("folder", marks=("*/features.json", "*/*.safetensors"))
PARTS_OF_WORKER = 4
"""So that a bar has something to count."""


def features(
    data: Annotated[Path, typer.Argument(help="Dataset folder (manifest.jsonl)."), FOLDER],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the features (DATA/features by default)."), FEATURES
    ] = None,
    codec: CodecFolder = None,
    preset: PresetName = "presenter",
    settings: Settings = [],  # noqa: B006
    device: Device = None,
    shard: Annotated[str, typer.Option(help="I/N: only the I-th of N parts, for N machines.")] = "0/1",
    workers: Annotated[int, typer.Option(help="So many parts at once.", min=1)] = 1,
    engine: Engine = "local",
    split: SplitChoice = Split.all,
) -> None:
    """Compute and cache what training reads: codec latents, audio features, keypoints."""
    config, part = configuration(preset, settings), parse_part(shard, "--shard")
    own = {"codec": codec, "device": device, "shard": part, "workers": workers, "engine": engine}
    own |= {"split": split, "out": out}
    folder = features_by_workers(data, config, **own)
    typer.echo(f"features in {folder}")


def features_by_workers(
    data: Path,
    config: PahaConfig,
    *,
    codec: Path | None,
    device: str | None,
    shard: tuple[int, int],
    workers: int,
    engine: str,
    split: Split = Split.all,
    out: Path | None = None,
) -> Path:
    """`preset_features` with its clips shared among `workers` parts; returns the folder.

    engine: as in `paha.runtime.engine.run_tasks`; on Ray a part asks for a GPU where `device` is one. A part that was
    stopped goes on where it was. Raises PahaError at the end where parts failed, with their reasons.
    """
    from paha.dataset.features import INDEX, list_again
    from paha.runtime.device import pick_device
    from paha.runtime.engine import run_tasks
    from paha.runtime.progress import tracked

    if (workers == 1 and engine == "local") or (data / INDEX).is_file():
        return preset_features(data, config, codec=codec, device=device, shard=shard, split=split, out=out)
    first, every = shard
    data = data.resolve()
    codec, out = (None if path is None else path.resolve() for path in (codec, out))
    # The clips first, first + every, ... are what the parts take in turn.
    count = workers * PARTS_OF_WORKER
    parts = [(first + every * part, every * count) for part in range(count)]
    tasks = [(data, config, codec, device, part, split, out) for part in parts]
    gpus = int((device or str(pick_device(None))).startswith("cuda"))
    done = run_tasks(features_of_part, tasks, workers=workers, engine=engine, gpus=gpus)
    outcomes = list(tracked(done, "parts of the features", total=len(tasks)))
    folders = [folder for _, folder, _ in outcomes if folder]
    if folders:
        list_again(folders[0], data)
    errors = [f"part {parts[index][0]}/{parts[index][1]}: {error}" for index, _, error in outcomes if error]
    if errors:
        raise PahaError(f"{len(errors)} of {len(parts)} parts failed: {'; '.join(errors)}")
    return folders[0]


def features_of_part(
    data: Path,
    config: PahaConfig,
    codec: Path | None,
    device: str | None,
    shard: tuple[int, int],
    split: Split,
    out: Path | None,
) -> Path:
    """The features of one part, in a process of its own, on one core."""
    import torch

    torch.set_num_threads(1)
    own = {"codec": codec, "device": device, "shard": shard, "split": split, "out": out}
    return preset_features(data, config, **own, progress=False)


def preset_features(
    data: Path,
    config: PahaConfig,
    *,
    codec: Path | None,
    device: str | None = None,
    shard: tuple[int, int] = (0, 1),
    split: Split = Split.all,
    out: Path | None = None,
    progress: bool = True,
) -> Path:
    """The features of a dataset, or of one of its parts, by the encoders of a configuration; returns their folder."""
    from paha.dataset.features import make_features
    from paha.extractors.audio import load_audio_encoder
    from paha.extractors.image import load_image_encoder
    from paha.runtime.device import pick_device

    return make_features(
        data,
        out,
        config=config,
        codec=load_codec_of(config, codec),
        audio_encoder=load_audio_encoder(config.audio),
        image_encoder=load_image_encoder(config.image) if config.image.kind == "clip" else None,
        device=pick_device(device),
        shard=shard,
        split=split.value,
        progress=progress,
    )


def model_features(data: Path, model: Path, device: str | None, split: Split = Split.all) -> Path:
    """The features of a dataset by the codec and encoders of a model folder, made where they are missing.

    Raises PahaError for a model that nothing can be trained on any more.
    """
    from paha.dataset.features import make_features
    from paha.extractors.audio import load_audio_encoder
    from paha.extractors.image import load_image_encoder
    from paha.pipeline.model_folder import check_trainable, load_model_codec, read_config
    from paha.runtime.device import pick_device

    config = read_config(model)
    check_trainable(model, config)
    return make_features(
        data,
        config=config,
        codec=load_model_codec(model, config),
        audio_encoder=load_audio_encoder(config.audio, model),
        image_encoder=load_image_encoder(config.image, model) if config.image.kind == "clip" else None,
        device=pick_device(device),
        split=split.value,
    )


def load_codec_of(config: PahaConfig, folder: Path | None) -> Any:
    """The codec in a folder. Raises PahaError for motion latents, which are made of no files."""
    from paha.extractors.codec import load_codec

    if config.codec.kind == "motion":
        raise PahaError(f"the preset {config.name} draws its clips itself and needs no features; give another --preset")
    return load_codec(config.codec, folder)
