"""How often the photograph warning errs: pictures that it must warn of, and held-out presenters that it must not.

python -m benchmarks.photograph_warning --photographs ../shared/media --photographs skimage/data --data work/heldout

Photographs: all pictures and the first frames of all videos below the folders; presenters: the first frames of a corpus
whose seeds no training uses. Each also in changed copies (`paha.training.likeness.changed`).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from paha.data.image_io import fit_image, read_image
from paha.data.manifest import read_manifest
from paha.data.video_io import iter_video
from paha.extractors.choose import PRESENTER_READER
from paha.likeness import image_distance
from paha.training.likeness import changed

PICTURES, VIDEOS = (".png", ".jpg", ".jpeg"), (".mp4", ".mpg", ".mov")


def main(
    photographs: Annotated[list[Path], typer.Option(help="Folders of photographs and videos.")],
    data: Annotated[Path, typer.Option(help="Corpus of held-out presenters (`paha synth --seed 900000`).")],
    copies: Annotated[int, typer.Option(help="Changed copies of each picture.", min=0)] = 2,
) -> None:
    """Print the rates, and the pictures on the wrong side."""
    files = sorted(path for folder in photographs for path in folder.rglob("*") if path.suffix in PICTURES + VIDEOS)
    found = {str(path): read_image(path) if path.suffix in PICTURES else next(iter_video(path)) for path in files}
    records = read_manifest(data)
    report("photographs", found, copies=copies, warned_is_right=True)
    drawn = {record.clip_id: next(iter_video(data / record.video)) for record in records}
    report("presenters", drawn, copies=copies, warned_is_right=False)


def report(kind: str, images: dict[str, np.ndarray], *, copies: int, warned_is_right: bool) -> None:
    """Count the warnings among images (H, W, 3) uint8 and their copies, and name each image on the wrong side."""
    rng, begin = np.random.default_rng(1), time.monotonic()
    plain = {name: distance(image) for name, image in images.items()}
    seconds = (time.monotonic() - begin) / max(1, len(plain))
    others = [distance(changed(square(image), rng)) for image in images.values() for _ in range(copies)]
    warned = [sum(value > 1 for value in values) for values in (plain.values(), others)]
    print(f"{kind}: warned of {warned[0]} of {len(plain)}, copies {warned[1]} of {len(others)}; {seconds:.2f} s each")
    for name, value in sorted(plain.items(), key=lambda item: item[1]):
        if (value > 1) != warned_is_right:
            print(f"  {value:.2f} {name}")


def square(image: np.ndarray) -> np.ndarray:
    """The middle of a picture, as the model would see it."""
    side = min(image.shape[:2])
    return np.asarray(fit_image(image, width=side, height=side))


def distance(image: np.ndarray) -> float:
    """Of an image from the shipped cloud; the limit is 1."""
    value = image_distance(image, PRESENTER_READER)
    assert value is not None
    return value


if __name__ == "__main__":
    typer.run(main)
