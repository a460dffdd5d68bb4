"""Real footage: what each layout makes of a half body with hands and of heads (skipped where it is missing)."""

import pytest

from paha.dataset.prepare.config import layout_config
from paha.dataset.prepare.cutting import plan_cuts
from paha.dataset.prepare.scan import scan_file
from paha.extractors.choose import pose_extractor
from paha.extractors.faces import people_reader
from paha.types import FPS

HEADS = ("grid_bbaf2n.mpg", "grid_lbax4n.mpg", "grid_swiz3n.mpg")
DEFAULT = layout_config("any", pose="mediapipe")


@pytest.fixture(scope="module")
def scans(shared):
    """Every clip scanned once: layouts differ in what they make of it."""
    pytest.importorskip("mediapipe", reason="mediapipe is not installed: pip install 'paha[extract]'")
    if not (shared / "weights" / "hand_landmarker.task").is_file():
        pytest.skip("no MediaPipe weights: ../shared/weights is missing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAHA_WEIGHTS", str(shared / "weights"))
        extractor = pose_extractor("mediapipe")
    reader = people_reader("mediapipe", extractor)
    names = ("latentsync_demo1.mp4", *HEADS)
    yield {name: scan_file(shared / "media" / "clips" / name, reader, DEFAULT) for name in names}
    extractor.close()  # pyright: ignore[reportAttributeAccessIssue]  # MediaPipe has it


def planned(scan, layout: str, **changes) -> tuple[list[float], list[str]]:
    """Seconds of the clips, and reasons of what is left out."""
    cuts, rejected = plan_cuts(scan, layout_config(layout, pose="mediapipe", **changes))
    return [(cut.stop - cut.start) / FPS for cut in cuts], [item.reason for item in rejected]


@pytest.mark.slow
def test_half_a_body_with_hands_is_kept_by_every_layout(scans):
    scan = scans["latentsync_demo1.mp4"]
    assert planned(scan, "any") == ([10.0], [])
    assert planned(scan, "any", hands=False) == ([10.0], [])
    assert planned(scan, "pats") == ([10.0], [])
    assert planned(scan, "cnas") == ([5.0, 5.0], [])


@pytest.mark.slow
@pytest.mark.parametrize("name", HEADS)
def test_heads_of_three_seconds_pass_without_hands_and_never_under_pats(scans, name):
    scan = scans[name]
    assert planned(scan, "any") == ([], ["body_hidden"])
    assert planned(scan, "any", hands=False) == ([3.0], [])
    assert planned(scan, "pats") == ([], ["body_hidden"])
    assert planned(scan, "pats", hands=False) == ([], ["too_short"])
