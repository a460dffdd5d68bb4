"""Tables as Markdown, JSON and pictures."""

import json
import math

from paha.evaluation.tables.render import Column, Row, Table, to_json, to_markdown, write_table
from paha.runtime.statistics import Interval

COLUMNS = [Column("fvd", "FVD", "lower", 1), Column("bas", "BAS", "higher"), Column("sync", "Sync-C", "higher")]
TABLE = Table(
    "2",
    "guidance rate",
    COLUMNS,
    [
        Row(
            "0 %", {"fvd": 10.0, "bas": Interval(0.5, 0.4, 0.6, 8), "sync": "no SyncNet weights"}, {"fvd": 2047.53}, x=0
        ),
        Row("50 %", {"fvd": 12.0, "bas": 0.7, "sync": "no SyncNet weights"}, {"fvd": 2052.95, "bas": 0.1561}, x=0.5),
        Row("w/o PAR", paper={"fvd": 2145.72}, absent="give --no-par-model"),
    ],
    notes=["40 clips"],
    provenance={"seed": 3},
    x_label="rate",
)


def test_markdown_shows_ours_the_paper_and_what_is_absent():
    text = to_markdown(TABLE)
    assert "| 0 % | **10.0** (2047.53) | 0.500 [0.400, 0.600], N 8 | - |" in text
    assert "| 50 % | 12.0 (2052.95) | **0.700** (0.1561) | - |" in text
    assert "| w/o PAR *(absent)* | - (2145.72) | - | - |" in text
    assert "- w/o PAR: absent, give --no-par-model" in text
    assert text.count("no SyncNet weights") == 1
    assert "FVD ↓" in text
    assert "- 40 clips" in text


def test_floors_are_shown_but_never_the_best():
    rows = [Row("a", {"bas": 0.2}), Row("b", {"bas": 0.3}), Row("floor", {"bas": 0.9}, ranked=False)]
    text = to_markdown(Table("3", "t", COLUMNS[1:2], rows))
    assert "| b | **0.300** |" in text
    assert "| floor | 0.900 |" in text


def test_json_is_plain_and_complete():
    data = json.loads(json.dumps(to_json(TABLE), allow_nan=False))
    assert data["rows"][0]["measured"]["bas"] == {"mean": 0.5, "low": 0.4, "high": 0.6, "num": 8}
    assert data["rows"][2]["absent"] == "give --no-par-model"
    assert data["provenance"] == {"seed": 3}


def test_files_are_written_and_numbers_that_are_none_are_not_drawn(tmp_path):
    files = write_table(TABLE, tmp_path)
    assert [file.name for file in files] == ["table_2.md", "table_2.json", "table_2.png"]
    assert all(file.stat().st_size > 100 for file in files)
    empty = Table("3", "nothing", COLUMNS, [Row("a", {"fvd": math.nan})])
    assert [file.suffix for file in write_table(empty, tmp_path / "b")] == [".md", ".json"]
    assert json.loads((tmp_path / "b/table_3.json").read_text())["rows"][0]["measured"]["fvd"] is None


def test_one_clip_is_a_point_up_to_rounding(tmp_path):
    """Its mean may lie a rounding outside its interval, and a plot takes no bar of negative length."""
    rows = [Row(name, {"bas": Interval(0.5, 0.5 + 1e-9, 0.5 - 1e-9, 1)}, x=x) for name, x in (("a", 0.0), ("b", 1.0))]
    assert [file.suffix for file in write_table(Table("2", "one", COLUMNS[1:2], rows), tmp_path)][-1] == ".png"
