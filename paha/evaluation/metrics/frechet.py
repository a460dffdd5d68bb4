"""Frechet distance of Gaussians, and their statistics gathered batch by batch: the mathematics of FVD and FGD.

Legend: N samples, D feature width, B bootstrap replicates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from zlib import crc32

import numpy as np

from paha.runtime.statistics import Interval

NUM_REPLICATES = 100
"""Replicates of the Poisson bootstrap; its memory is replicates x D x D numbers of 8 bytes, whatever N."""


@dataclass
class GaussianStats:
    """Mean and scatter of samples that come in batches, in float64; equal to those of all samples at once.

    num: samples so far. mean: (D,). scatter: (D, D), sum of (x - mean)(x - mean)^T.
    """

    num: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def empty(cls, dim: int) -> Self:
        """Statistics of no samples of width `dim`."""
        return cls(0, np.zeros(dim), np.zeros((dim, dim)))

    @classmethod
    def of(cls, features_ND: np.ndarray) -> Self:
        """Statistics of one batch (N, D). Raises ValueError for another shape or values that are not finite."""
        stats = cls.empty(features_ND.shape[-1])
        stats.update(features_ND)
        return stats

    def update(self, features_ND: np.ndarray) -> None:
        """Add a batch (N, D), N may be 0. Raises ValueError for another width or values that are not finite."""
        x = np.asarray(features_ND, np.float64)
        if x.ndim != 2 or x.shape[1] != len(self.mean):
            raise ValueError(f"features {x.shape} do not fit statistics of width {len(self.mean)}")
        if not np.isfinite(x).all():
            raise ValueError("features hold values that are not finite")
        if len(x):
            mean = x.mean(0)
            self.merge(GaussianStats(len(x), mean, (x - mean).T @ (x - mean)))

    def merge(self, other: GaussianStats) -> None:
        """Add the samples of other statistics (Chan, Golub and LeVeque 1983)."""
        total = self.num + other.num
        if not total:
            return
        shift = other.mean - self.mean
        self.scatter += other.scatter + np.outer(shift, shift) * (self.num * other.num / total)
        self.mean = self.mean + shift * (other.num / total)
        self.num = total

    def scaled(self, factors: np.ndarray) -> GaussianStats:
        """The statistics of samples whose features are multiplied by `factors` (D,) or (1,)."""
        return GaussianStats(self.num, self.mean * factors, self.scatter * factors * factors[:, None])

    @property
    def covariance(self) -> np.ndarray:
        """(D, D), divided by N - 1 as `numpy.cov` does. Raises ValueError with fewer than two samples."""
        return self.covariance_by(self.num - 1)

    def covariance_by(self, divisor: int) -> np.ndarray:
        """(D, D): the scatter divided by N - 1, or by N as StyleGAN-V and cd-fvd do. Raises ValueError with fewer than
        two samples."""
        if self.num < 2:
            raise ValueError(f"a covariance needs at least 2 samples, there are {self.num}")
        return self.scatter / divisor


def frechet_distance(a: GaussianStats, b: GaussianStats, *, biased: bool = False) -> float:
    """Frechet distance of the Gaussians of two sets of samples (both at least two). biased: covariances by N."""
    first, second = (s.covariance_by(s.num if biased else s.num - 1) for s in (a, b))
    return gaussian_frechet(a.mean, first, b.mean, second)


def gaussian_frechet(
    mean_a: np.ndarray, covariance_a: np.ndarray, mean_b: np.ndarray, covariance_b: np.ndarray
) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)), never below 0 (Dowson and Landau 1982, squared).

    With A = L L^T and B = M M^T the trace of the square root is the sum of the singular values of L^T M: no complex
    numbers, no epsilon on the diagonal, and exact for singular covariances, where `scipy.linalg.sqrtm` wavers.
    """
    singular = np.linalg.svd(_factor(covariance_a).T @ _factor(covariance_b), compute_uv=False)
    shift = float(np.square(mean_a - mean_b).sum())
    return max(0.0, shift + float(np.trace(covariance_a) + np.trace(covariance_b)) - 2 * float(singular.sum()))


def _factor(covariance: np.ndarray) -> np.ndarray:
    """L (D, R) with L L^T = covariance, R its rank: of few samples most eigenvalues are rounding's, and count as 0."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > max(float(values[-1]), 0.0) * len(values) * np.finfo(np.float64).eps
    return vectors[:, kept] * np.sqrt(values[kept])


def _pivoted_cholesky(covariance: np.ndarray) -> np.ndarray:
    """L (D, R) with L L^T = covariance, R its rank, to rounding: a tenth of the eigenvectors' time, for replicates."""
    from scipy.linalg.lapack import dpstrf  # pyright: ignore[reportAttributeAccessIssue]

    lower, order, rank, _ = dpstrf(covariance, lower=1)
    factor = np.empty((len(covariance), rank))
    factor[order - 1] = np.tril(lower)[:, :rank]
    return factor


class PoissonBootstrap:
    """Bootstrap replicates of `GaussianStats` over clips, in one pass and memory that does not grow with their number.

    Every clip enters replicate b with its own Poisson(1) weight, all of its samples together (Hanley and MacGibbon
    2006), so that the windows of one clip are not taken for independent. The weights follow from the seed and the
    clip's name: two sets with the same names are resampled together, as pairs.
    """

    def __init__(self, dim: int, *, replicates: int = NUM_REPLICATES, seed: int = 0) -> None:
        self._seed = seed
        self._origin: np.ndarray | None = None  # near the mean, so that sums of squares lose no digits
        self._count = np.zeros(replicates)
        self._sum = np.zeros((replicates, dim))
        self._square = np.zeros((replicates, dim, dim))

    def add(self, features_ND: np.ndarray, clip: str) -> None:
        """Add the samples (N, D) of the clip of that name."""
        x = np.asarray(features_ND, np.float64)
        if not len(x):
            return
        origin = self._origin = x.mean(0) if self._origin is None else self._origin
        x = x - origin
        rng = np.random.default_rng([self._seed, crc32(clip.encode())])
        weights = rng.poisson(1.0, len(self._count)).astype(np.float64)
        self._count += weights * len(x)
        self._sum += weights[:, None] * x.sum(0)
        square = x.T @ x
        for b in np.flatnonzero(weights):
            self._square[b] += weights[b] * square

    def replicates(self) -> list[GaussianStats | None]:
        """The replicates, in the order of their weights; None where one holds fewer than two samples."""
        made: list[GaussianStats | None] = []
        for count, total, square in zip(self._count, self._sum, self._square, strict=True):
            if count < 2 or self._origin is None:
                made.append(None)
                continue
            mean = total / count
            made.append(GaussianStats(int(count), self._origin + mean, square - np.outer(mean, mean) * count))
        return made


class FrechetSide:
    """One side of a Frechet distance: its statistics, its bootstrap replicates and the number of clips.

    biased: covariances are divided by N, not by N - 1.
    """

    def __init__(self, dim: int, *, replicates: int = NUM_REPLICATES, seed: int = 0, biased: bool = False) -> None:
        self.biased = biased
        self.stats = GaussianStats.empty(dim)
        self.bootstrap = PoissonBootstrap(dim, replicates=replicates, seed=seed)
        self.clips = 0
        self._factors: list[tuple[np.ndarray, np.ndarray] | None] | None = None

    def add(self, features_ND: np.ndarray, clip: str) -> None:
        """Add the samples (N, D) of the clip of that name."""
        self.stats.update(features_ND)
        self.bootstrap.add(features_ND, clip)
        self.clips += bool(len(features_ND))
        self._factors = None

    def replicate_factors(self) -> list[tuple[np.ndarray, np.ndarray] | None]:
        """Of every replicate the mean and a factor L with L L^T = covariance, kept: the real side is compared with many
        others."""
        if self._factors is None:
            made = self.bootstrap.replicates()
            self._factors = [r and (r.mean, _pivoted_cholesky(self.covariance(r))) for r in made]
        return self._factors

    def covariance(self, stats: GaussianStats) -> np.ndarray:
        """(D, D) of this side's samples, or of a replicate of them, by N or N - 1."""
        return stats.covariance_by(stats.num if self.biased else stats.num - 1)


def frechet_interval(real: FrechetSide, fake: FrechetSide, *, floor: float | None = None) -> Interval | None:
    """The distance with the 2.5 and 97.5 % quantiles over pairs of replicates; N is the fake side's clips.

    The interval is the percentile interval moved so that its middle replicate lies at the estimate: resampling with
    replacement always raises a Frechet distance (fewer different samples), by an amount that says nothing about its
    uncertainty. floor: every feature is first divided by its standard deviation in the real set, for features of
    different units, or by `floor` where it hardly varies there. None with fewer than two samples on a side.
    """
    if min(real.stats.num, fake.stats.num) < 2:
        return None
    scale = np.ones(1)
    if floor is not None:
        scale = 1 / np.maximum(np.sqrt(np.diag(real.covariance(real.stats))), floor)
    value = frechet_distance(real.stats.scaled(scale), fake.stats.scaled(scale), biased=real.biased)
    drawn = drawn_distances(real, fake, scale)
    if not len(drawn):
        return Interval(value, value, value, fake.clips)
    low, middle, high = np.quantile(drawn, [0.025, 0.5, 0.975])
    return Interval(value, max(0.0, value + low - middle), value + high - middle, fake.clips)


def drawn_distances(real: FrechetSide, fake: FrechetSide, scale: np.ndarray | None = None) -> np.ndarray:
    """(R,) distances between replicates of equal weights, by a symmetric eigenvalue problem: fast, and to 1e-6 or so.

    scale: (D,) or (1,) that the features are multiplied by.
    """
    drawn, scale = [], np.ones(1) if scale is None else scale
    for a, b in zip(real.replicate_factors(), fake.bootstrap.replicates(), strict=False):
        if a is None or b is None:
            continue
        origin, factor = a
        mean, covariance = (origin - b.mean) * scale, fake.covariance(b) * scale * scale[:, None]
        own = factor * scale[:, None]
        roots = np.sqrt(np.clip(np.linalg.eigvalsh(own.T @ covariance @ own), 0, None)).sum()
        drawn.append(max(0.0, float(mean @ mean + np.square(own).sum() + np.trace(covariance) - 2 * roots)))
    return np.array(drawn)
