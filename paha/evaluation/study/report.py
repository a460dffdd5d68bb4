"""`paha study report`: preferences with intervals, agreement between raters, and what was left out (Table 4).

Percentages are of all answers to a question, as the paper's are (its columns add up to 100).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paha.evaluation.study.answers import Answer, Answers
from paha.evaluation.study.plan import ANSWERS, CHECK, Study, load_study
from paha.evaluation.tables.render import Column, Row, Table, write_table
from paha.runtime.statistics import Interval

PAPER = {
    "SDT": (15.0, 8.2, 10.0, 6.2),
    "MM-Diffusion": (8.6, 13.6, 11.8, 10.6),
    "S2G": (12.6, 15.6, 13.6, 13.8),
    "PAHA-DG": (63.8, 62.6, 64.6, 69.4),
}
"""Table 4, per cent: realness, diversity, synchrony, overall quality."""
_PAPER_QUESTIONS = ("realness", "diversity", "synchrony", "overall")


@dataclass(frozen=True)
class StudyResult:
    """Preferences by question and method, Fleiss' kappa by question, who counts and who does not and why."""

    preferences: dict[str, dict[str, Interval]]
    kappa: dict[str, float | None]
    raters: int
    left_out: dict[int, str]
    places: dict[int, int]
    """How often each place from the left was chosen: even where order plays no part."""


def report_study(folder: Path, out: Path) -> Table:
    """Write OUT/table_4.md, .json and .png out of a study's answers. Raises PahaError where there are none."""
    study = load_study(folder)
    result = evaluate_answers(study, Answers(folder / ANSWERS).all())
    rows = [
        Row(name, {q: shares[name] for q, shares in result.preferences.items()}, _paper(study, name))
        for name in study.methods
    ]
    columns = [Column(question, question.capitalize(), "higher", 1, "%") for question in study.questions]
    provenance = {
        "study": str(folder),
        "items": [item.name for item in study.items],
        "seed": study.seed,
        "raters": result.raters,
        "left_out": {str(number): why for number, why in result.left_out.items()},
        "fleiss_kappa": result.kappa,
        "places": {str(place): count for place, count in result.places.items()},
    }
    table = Table("4", "user study", columns, rows, notes=_notes(study, result), provenance=provenance)
    write_table(table, out)
    return table


def evaluate_answers(study: Study, answers: Sequence[Answer]) -> StudyResult:
    """Percentages of preference, bootstrapped over raters (whose own answers are correlated)."""
    failed = _failed_check(study, answers)
    kept = [a for a in answers if a.item != CHECK and a.participant not in failed]
    raters = sorted({answer.participant for answer in kept})
    preferences: dict[str, dict[str, Interval]] = {}
    kappa: dict[str, float | None] = {}
    for question in study.questions:
        asked = [answer for answer in kept if answer.question == question]
        counts = np.array(
            [[sum(a.participant == r and a.method == m for a in asked) for m in study.methods] for r in raters], float
        ).reshape(len(raters), len(study.methods))
        if counts.sum():
            preferences[question] = dict(zip(study.methods, percentages(counts), strict=True))
        kappa[question] = fleiss_kappa(_ratings(study, asked))
    places = Counter(answer.place for answer in kept)
    return StudyResult(preferences, kappa, len(raters), failed, dict(sorted(places.items())))


def percentages(counts_RM: np.ndarray, *, samples: int = 2000, seed: int = 0) -> list[Interval]:
    """Share of each method in per cent with a bootstrap 95 % interval, from counts by rater and method (R, M)."""
    shares = 100 * counts_RM.sum(0) / counts_RM.sum()
    drawn = counts_RM[np.random.default_rng(seed).integers(len(counts_RM), size=(samples, len(counts_RM)))].sum(1)
    drawn = 100 * drawn / np.maximum(drawn.sum(1, keepdims=True), 1)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    values = zip(shares.tolist(), low.tolist(), high.tolist(), strict=True)
    return [Interval(mean, a, b, len(counts_RM)) for mean, a, b in values]


def fleiss_kappa(ratings_IM: np.ndarray) -> float | None:
    """Agreement beyond chance (Fleiss 1971) from counts by item and method (I, M), every item rated as often.

    1 is perfect, 0 is chance. None with fewer than two raters, without items, or where everyone always chose the same.
    """
    if not len(ratings_IM) or len(set(ratings_IM.sum(1).tolist())) != 1 or ratings_IM[0].sum() < 2:
        return None
    raters = ratings_IM[0].sum()
    agreement = ((np.square(ratings_IM).sum(1) - raters) / (raters * (raters - 1))).mean()
    chance = np.square(ratings_IM.sum(0) / ratings_IM.sum()).sum()
    return None if chance >= 1 else float((agreement - chance) / (1 - chance))


def _ratings(study: Study, asked: Sequence[Answer]) -> np.ndarray:
    """Counts (I, M) over the raters who answered all items, so that every item has as many."""
    items = [item.name for item in study.items if item.name != CHECK]
    answered = Counter(answer.participant for answer in asked)
    whole = {participant for participant, count in answered.items() if count == len(items)}
    return np.array(
        [
            [sum(a.participant in whole and a.item == item and a.method == m for a in asked) for m in study.methods]
            for item in items
        ],
        float,
    )


def _failed_check(study: Study, answers: Sequence[Answer]) -> dict[int, str]:
    expected = next((item.expected for item in study.items if item.name == CHECK), None)
    wrong = {a.participant for a in answers if a.item == CHECK and a.method != expected}
    return dict.fromkeys(sorted(wrong), "failed the attention check")


def _paper(study: Study, name: str) -> dict[str, float]:
    numbers = PAPER.get(name, ())
    return {q: value for q, value in zip(_PAPER_QUESTIONS, numbers, strict=False) if q in study.questions}


def _notes(study: Study, result: StudyResult) -> list[str]:
    kappa = ", ".join(f"{q} {'-' if k is None else f'{k:.2f}'}" for q, k in result.kappa.items())
    notes = [
        f"{result.raters} raters of {study.raters} planned; shares of all answers in per cent; intervals are bootstrap "
        "95 % over raters.",
        f"Fleiss' kappa of the raters who answered every page: {kappa}.",
        f"Chosen by place from the left: {', '.join(f'{p + 1}: {n}' for p, n in result.places.items()) or 'none'}.",
    ]
    if result.left_out:
        notes.append(f"Left out: {', '.join(f'rater {n} ({why})' for n, why in result.left_out.items())}.")
    return notes
