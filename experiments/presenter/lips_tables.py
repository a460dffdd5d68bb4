"""The tables of the cases: lips with their ceiling and floors, then sharpness and seams."""

from __future__ import annotations

from experiments.presenter.lips import Row, all_numbers
from experiments.presenter.tables import Line, Numbers, count_at_least, extreme_of, mean_of

WORST_R, SHARE_ABOVE = 0.8, 38 / 40


def lip_lines(rows: dict[str, Row]) -> list[Line]:
    """The decisive scores are the first three; the others say what they are worth."""
    numbers = all_numbers(rows)
    if not numbers:
        return [Line("videos", "none")]
    below = {name: {"below": row["ceiling r"] - row["generated r"]} for name, row in numbers.items()}
    return [
        Line("lips r", mean_of(numbers, "generated r"), low=0.92),
        Line("lips r below the ceiling, paired", mean_of(below, "below"), high=0.03),
        Line(f"people with r of {WORST_R:g} and more, share", _share(numbers), low=SHARE_ABOVE),
        Line("lips r, worst", extreme_of(numbers, "generated r", min)),
        Line("ceiling: true motion rendered, r", mean_of(numbers, "ceiling r")),
        Line("ceiling, worst", extreme_of(numbers, "ceiling r", min)),
        Line("floor: loudness-only lips, r", mean_of(numbers, "loudness r")),
        Line("floor: another clip's audio, r", mean_of(numbers, "other clip r"), low=-0.1, high=0.1),
        Line("read off the latents, r", mean_of(numbers, "latents r")),
        Line("amplitude over the true motion's, both rendered", mean_of(numbers, "amplitude of ceiling"), 0.8, 1.25),
        Line("amplitude over the rig's", mean_of(numbers, "generated amplitude")),
        Line("amplitude over the rig's, ceiling", mean_of(numbers, "ceiling amplitude")),
        Line("amplitude over the rig's, off the latents", mean_of(numbers, "latents amplitude")),
        Line(
            "opening in pauses, where the rig's lips are closed, over that elsewhere",
            mean_of(numbers, "generated pauses"),
        ),
        Line("the same, ceiling", mean_of(numbers, "ceiling pauses")),
        Line("frames in which MediaPipe finds the face", mean_of(numbers, "generated found"), low=0.99),
        Line("the same, ceiling", mean_of(numbers, "ceiling found")),
        Line("videos", f"{len(numbers)} of {len(rows)}"),
        *(Line(name, row["refused"].replace("|", "/")) for name, row in rows.items() if "refused" in row),
    ]


def sharpness_lines(rows: dict[str, Row]) -> list[Line]:
    """Of the same videos."""
    numbers = all_numbers(rows)
    if not numbers:
        return [Line("videos", "none")]
    return [
        Line(
            "variance of the Laplacian in the face over the photograph's",
            mean_of(numbers, "generated sharpness"),
            0.8,
            1.2,
        ),
        Line("the same, least", extreme_of(numbers, "generated sharpness", min)),
        Line("the same, most", extreme_of(numbers, "generated sharpness", max)),
        Line("the same, true motion", mean_of(numbers, "ceiling sharpness")),
        Line(
            "largest change outside the person's reach, grey levels",
            extreme_of(numbers, "generated outside", max),
            high=0,
        ),
        Line("change at segment borders over elsewhere", mean_of(numbers, "generated seams"), high=1.2),
        Line("the same, true motion at the same frames", mean_of(numbers, "ceiling seams")),
    ]


def _share(numbers: Numbers) -> float:
    return count_at_least(numbers, "generated r", WORST_R) / len(numbers)
