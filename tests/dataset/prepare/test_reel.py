"""The reel: raw footage with planted faults. `make test` plans two minutes of it, `make test-slow` prepares ten."""

import json

import pytest
import torch
from reel import Stretch, kept_share, write_reels

from paha.dataset.manifest import load_annotations, read_manifest
from paha.dataset.prepare.config import layout_config
from paha.dataset.prepare.cutting import plan_cuts
from paha.dataset.prepare.run import prepare_dataset
from paha.dataset.prepare.scan import scan_file
from paha.extractors.choose import pose_extractor
from paha.extractors.faces import people_reader
from paha.media.video_io import read_video
from paha.types import FACE, FPS

SLACK_S = 0.7
"""What may be kept of a fault's ends: half a window, and the time that somebody needs to be out of the picture."""
CONFIG = layout_config("any", pose="presenter", hands=False, width=128, height=128, scan_fps=2)


def check(stretches: list[Stretch], kept: list[tuple[float, float]], rejected: list[tuple[float, float, str]]) -> None:
    assert kept_share(stretches, kept) >= 0.95
    for stretch in (s for s in stretches if s.reasons):
        inside = [r for r in rejected if r[0] < stretch.end_s and r[1] > stretch.start_s]
        assert any(reason in stretch.reasons for _, _, reason in inside), stretch
        for start, end in kept:
            assert min(end, stretch.end_s) - max(start, stretch.start_s) < SLACK_S, (stretch, start, end)


def test_two_minutes_are_cut_as_expected(tmp_path):
    torch.set_num_threads(1)
    reader = people_reader("presenter", pose_extractor("presenter"))
    files = write_reels(tmp_path, seeds=[11, 12, 13], block_s=9.0)
    seconds = 0.0
    for path, stretches in files.items():
        scan = scan_file(path, reader, CONFIG)
        cuts, rejected = plan_cuts(scan, CONFIG)
        check(
            stretches,
            [(cut.start / FPS, cut.stop / FPS) for cut in cuts],
            [(r.start_s, r.end_s, r.reason) for r in rejected],
        )
        seconds += scan.num_frames / FPS
        for cut in cuts:
            assert cut.crop.width == cut.crop.height
    assert seconds >= 105


@pytest.mark.slow
def test_ten_minutes_become_a_dataset(tmp_path):
    files = write_reels(tmp_path / "raw", seeds=[11, 12, 13, 14], block_s=80.0)
    done = prepare_dataset(list(files), tmp_path / "out", config=CONFIG, progress=False)
    assert done.seconds >= 600
    rejected = [json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()]
    for path, stretches in files.items():
        own = [r.source.split()[1].split("-") for r in done.records if r.source.startswith(path.name)]
        check(
            stretches,
            [(float(start), float(end)) for start, end in own],
            [(r["start_s"], r["end_s"], r["reason"]) for r in rejected if r["source"] == path.name],
        )
    for record in read_manifest(tmp_path / "out"):
        scores = load_annotations(tmp_path / "out" / record.annotations).keypoints.scores
        assert scores[:, FACE].mean() > 0.8
        assert len(read_video(tmp_path / "out" / record.video)) == record.num_frames
