"""Wrong values for every kind of option, and wrong files for every kind of path."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

NUMBERS = [
    "",
    "½",
    str(2**80),
    "nan",
    "inf",
    "-inf",
    "-1",
    "0",
    "-0.5",
    "1e30",
    "1e-30",
    "many",
    "3,5",
    "0x10",
    "1e400",
]
TEXTS = ["", "\n", "é" * 300, "a" * 5000, "bogus", "..", "-", "x,y", "a=b", "[1", "{}", "1,2", "nan,nan,nan,nan", "9/2"]
TEXTS += [
    "0,0,0,0",
    "0/0",
    "axb",
    "-1/2",
    "-5x-5",
    "999999x999999",
    "=/nowhere",
    "a@b@c=:",
    "mps:99",
    "cuda:99",
    "%s%n",
]
SETTINGS = """\
width=7 width=0 width=1e9 height=33 num_frames=0 num_frames=1000000000000 name=../x = a.b.c=d train=3 model=null par.x=1
train.steps=-1 train.steps=many train.learning_rate=nan train.learning_rate=inf train.batch_size=0
train.batch_size=100000000000 train.ema_decay=2 train.mixed_precision=fp8 train.mixed_precision=fp16 train.sharding=half
train.checkpoint_every=0 train.log_every=0 train.warmup_steps=-1 train.grad_clip=nan train.seed=-1 par.radius=-1
par.radius=nan model.block_out_channels=[] model.block_out_channels=[0] model.block_out_channels=[33,64]
model.audio_margin=-1 audio.name=/nowhere diffusion.num_timesteps=0 codec.latent_channels=0 codec.downsample=3
sample.steps=0"""


def write_bad_files(folder: Path, good: Path) -> dict[str, Path]:
    """Files and folders that are something else than they seem, by what they are. good: the fixtures."""
    folder.mkdir(parents=True)
    bad: dict[str, Path] = {"missing": folder / "missing", "below a file": good / "image.png" / "x"}
    bad |= {
        "device": Path("/dev/null"),
        "no text": Path(os.fsdecode(bytes(folder) + b"/\xff\xfe")),
        "long": Path("x" * 300),
    }
    bad["empty name"], bad["dash"], bad["root"] = Path(), Path("-"), Path("/")

    def file(name: str, data: bytes | str) -> None:
        bad[name] = folder / name
        bad[name].write_bytes(data if isinstance(data, bytes) else data.encode())

    noise = random.Random(0).randbytes(3000)
    for name in ("empty.png", "empty.wav", "empty.mp4", "empty.yaml", "empty.csv", "empty.safetensors"):
        file(name, b"")
    for ending in ("png", "wav", "mp4", "csv", "yaml", "json", "safetensors", "pt"):
        file(f"noise.{ending}", noise)
    for name in ("image.png", "speech.wav", "film.mp4"):
        file(f"half_{name}", (good / name).read_bytes()[: (good / name).stat().st_size // 2])
    file("letter.txt", "Dear sir,\n" * 50)
    file("jobs_missing.csv", "image,audio,output\nnone.png,none.wav,o.mp4\n")
    file("jobs_twice.csv", "image,audio,output\na,b,o.mp4\na,b,./o.mp4\n")
    file("jobs_device.csv", f"image,audio,output\n{good}/image.png,{good}/speech.wav,/dev/null\n")
    file("jobs_over_input.csv", f"image,audio,output\n{good}/image.png,{good}/film.mp4,{good}/film.mp4\n")
    for number, text in enumerate(
        ("frames: many", "frames: -1", "frames: .nan", "[1, 2]", "size: [a]", "stride: 0", "{")
    ):
        file(f"protocol{number}.yaml", text)
    (folder / "empty folder").mkdir()
    bad["empty folder"] = folder / "empty folder"
    _bad_folders(folder, good, bad)
    return bad


def _bad_folders(folder: Path, good: Path, bad: dict[str, Path]) -> None:
    def copied(name: str, source: str, change: Callable[[Path], object]) -> None:
        bad[name] = folder / name
        shutil.copytree(good / source, bad[name], ignore=shutil.ignore_patterns("features"))
        change(bad[name])

    def record(path: Path, **changes: object) -> None:
        lines = (path / "manifest.jsonl").read_text().splitlines()
        first = json.dumps({**json.loads(lines[0]), **changes})
        (path / "manifest.jsonl").write_text("\n".join([first, *lines[1:]]) + "\n")

    changes: dict[str, dict[str, object]] = {
        "negative frames": {"num_frames": -3},
        "no frames": {"num_frames": 0},
        "too many frames": {"num_frames": 10**12},
        "no rate": {"fps": 0},
        "rate nan": {"fps": "nan"},
        "no width": {"width": 0},
        "outside": {"video": "../../../../etc/passwd"},
        "absolute": {"audio": "/etc/passwd"},
        "odd name": {"clip_id": "../../x"},
        "empty id": {"clip_id": ""},
        "lost video": {"video": "clips/none.mp4"},
        "unknown field": {"colour": "red"},
    }
    for name, change in changes.items():
        copied(f"data {name}", "data", lambda path, change=change: record(path, **change))
    manifest = "manifest.jsonl"
    copied("data half a line", "data", lambda p: (p / manifest).write_text((p / manifest).read_text()[:-40]))
    copied("data empty", "data", lambda p: (p / manifest).write_text(""))
    copied("data binary", "data", lambda p: (p / manifest).write_bytes(b"\xff\xfe\x00"))
    copied("data hurt", "data", lambda p: [f.write_bytes(f.read_bytes()[:100]) for f in p.glob("clips/*")])

    def config(path: Path, old: str, new: str) -> None:
        text = (path / "paha.yaml").read_text()
        assert old in text, old
        (path / "paha.yaml").write_text(text.replace(old, new, 1))

    frames = next(line for line in (good / "model/paha.yaml").read_text().splitlines() if line.startswith("num_frames"))
    copied("model endless", "model", lambda p: config(p, frames, "num_frames: 1000000000000"))
    copied("model frameless", "model", lambda p: config(p, frames, "num_frames: 0"))
    copied("model no yaml", "model", lambda p: (p / "paha.yaml").write_text("- 1\n- 2\n"))
    copied("model nan", "model", _without_numbers)
    copied("model cut", "model", lambda p: [f.write_bytes(f.read_bytes()[:200]) for f in p.rglob("*.safetensors")])


def _without_numbers(model: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    for path in (model / "univdm").glob("*.safetensors"):
        save_file({k: torch.full_like(v, torch.nan) for k, v in load_file(path).items()}, path, {"format": "pt"})
