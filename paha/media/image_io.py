"""Pictures in and out: any still to RGB uint8, crops to a size, PNG files and contact sheets."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from paha.errors import PahaError
from paha.runtime.atomic import atomic_path
from paha.runtime.faults import is_want_of_memory
from paha.runtime.paths import check_input

MIN_IMAGE_PX = 16
MAX_IMAGE_PIXELS = 100_000_000
_FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "TIFF", "PPM", "TGA", "JPEG2000")
_PLUGINS = {".heic": "pillow-heif", ".heif": "pillow-heif", ".hif": "pillow-heif", ".avif": "pillow 11.3 or newer"}
"""What reads pictures that pillow itself may not, by a file's ending."""


def read_image(path: Path | str) -> np.ndarray:
    """A still picture as (H, W, 3) uint8 RGB: upright by its EXIF tag, transparency over white, first frame of several.

    16-bit, grey, palette and CMYK pictures are converted. Raises PahaError that names the file if it is missing, no
    picture, truncated, smaller than 16 pixels on a side or larger than 100 megapixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = Path(path)
    check_input(path, "file")
    try:
        with warnings.catch_warnings(), _opened(path) as image:
            _check_size(path, *image.size)
            image.load()
            return _rgb(ImageOps.exif_transpose(image))
    except PahaError:
        raise
    except UnidentifiedImageError as error:
        plugin = _PLUGINS.get(path.suffix.lower())
        remedy = f"pip install '{plugin}', or give a PNG or JPEG" if plugin else "give a PNG or JPEG"
        raise PahaError(f"{path} is no picture that can be read; {remedy}") from error
    except Image.DecompressionBombError as error:
        raise PahaError(f"{path} has more than {MAX_IMAGE_PIXELS // 10**6} megapixels; shrink it") from error
    except Exception as error:  # Pillow's readers raise anything at all on damaged files
        if is_want_of_memory(error):
            raise
        raise PahaError(f"cannot read the picture {path}: {error}; is it whole?") from error


def fit_image(image: np.ndarray, *, width: int, height: int, at: tuple[float, float] = (0.5, 0.5)) -> np.ndarray:
    """Crop of (H, W, 3) uint8 to the aspect of width x height, then antialiased resize: (height, width, 3).

    at: where the crop lies in the room that there is, (x, y) in [0, 1]; the middle by default, 0 is left and top.
    """
    from PIL import Image

    source_height, source_width = image.shape[:2]
    if (source_width, source_height) == (width, height):
        return image
    scale = min(source_width / width, source_height / height)
    crop_width, crop_height = min(width * scale, source_width), min(height * scale, source_height)  # rounding
    left, top = (source_width - crop_width) * at[0], (source_height - crop_height) * at[1]
    # Area averaging while shrinking; bicubic has no ringing to speak of while enlarging.
    method = Image.Resampling.BOX if scale >= 2 else Image.Resampling.BICUBIC
    box = (left, top, left + crop_width, top + crop_height)
    return np.array(Image.fromarray(image).resize((width, height), method, box=box))


def save_png(path: Path | str, image: np.ndarray) -> None:
    """Write (H, W, 3) or (H, W) uint8 as PNG, atomically. Raises PahaError if it cannot be written."""
    from PIL import Image

    with atomic_path(path) as temporary:
        Image.fromarray(np.ascontiguousarray(image)).save(temporary, format="PNG")


def contact_sheet(frames: np.ndarray | Sequence[np.ndarray], *, columns: int, gap: int = 2) -> np.ndarray:
    """Frames (T, H, W, 3) uint8 in a grid, row by row, with thin white gaps: one (H', W', 3) uint8 picture."""
    height, width = frames[0].shape[:2]
    columns = min(columns, len(frames))
    rows = math.ceil(len(frames) / columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for index, frame in enumerate(frames):
        y, x = index // columns * (height + gap), index % columns * (width + gap)
        sheet[y : y + height, x : x + width] = frame
    return sheet


def _opened(path: Path):
    """The file as Pillow's lazy image. Only raster formats: its EPS reader, for one, runs another program."""
    from PIL import Image

    # Pillow warns of sizes (ours is checked before any pixel is decoded) and of damage, which ends in an error anyway.
    warnings.simplefilter("ignore")
    with suppress(ImportError):  # a plug-in that a person has installed
        from pillow_heif import register_heif_opener  # pyright: ignore[reportMissingImports]

        register_heif_opener()
    Image.init()  # so that a format which this Pillow was built without is known to be missing
    source = io.BytesIO(path.read_bytes()) if path.is_fifo() else path
    return Image.open(source, formats=[name for name in _FORMATS if name in Image.OPEN])


def _check_size(path: Path | str, width: int, height: int) -> None:
    if min(width, height) < MIN_IMAGE_PX:
        raise PahaError(f"{path} is {width}x{height} pixels; a picture needs at least {MIN_IMAGE_PX} on each side")
    if width * height > MAX_IMAGE_PIXELS:
        raise PahaError(f"{path} is {width}x{height} pixels, over {MAX_IMAGE_PIXELS // 10**6} megapixels; shrink it")


def _rgb(image) -> np.ndarray:
    """Any Pillow mode to (H, W, 3) uint8, transparent parts over white."""
    from PIL import Image

    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, np.float32)
        # 32-bit modes hold 16-bit greys (PNG) or anything at all (TIFF): the range in use decides.
        top = 65535.0 if image.mode.startswith("I;16") or values.max() > 255 else 255.0
        grey = np.clip(np.rint(values * (255.0 / top)), 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return np.array(Image.alpha_composite(white, rgba).convert("RGB"))
    return np.array(image.convert("RGB"))


ImageInput: TypeAlias = Any
"""uint8 (H, W, 3) array, PIL image, or path."""


def as_image(image: ImageInput) -> np.ndarray:
    """(H, W, 3) uint8 RGB. Raises PahaError that says what is wrong with it."""
    if isinstance(image, str | Path):
        return read_image(image)
    if hasattr(image, "convert"):  # a PIL image
        from PIL import ImageOps

        _check_size("the image", *image.size)
        image = _rgb(ImageOps.exif_transpose(image))
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise PahaError(f"the image is {image.dtype} {image.shape}; give uint8 of shape (height, width, 3)")
    if min(image.shape[:2]) < MIN_IMAGE_PX:
        raise PahaError(f"the image is {image.shape[1]} x {image.shape[0]}; give at least {MIN_IMAGE_PX} pixels a side")
    return image
