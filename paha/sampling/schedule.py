"""The forward process z_t = alpha_t z_0 + sigma_t eps, and the conversions between z_0, eps and v (design row 5).

Notation (code -> paper): alpha_t -> lambda_t of Eq. 1 (alpha(t) of Algorithm 1), sigma_t -> sigma_t, eps -> epsilon.
Every `t` is an integer or an integer tensor whose shape is a prefix of the latents' shape, so that (B, T) timesteps go
with (B, T, C, H, W) latents frame by frame. A negative t means the clean end: alpha 1, sigma 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from paha.config import DiffusionConfig


def scaled_linear_betas(*, start: float, end: float, num_steps: int) -> Tensor:
    """(num_steps,) float32 betas, linear in their square root: Stable Diffusion's schedule."""
    return torch.linspace(start**0.5, end**0.5, num_steps, dtype=torch.float32) ** 2


def broadcast_like(value: Tensor, z: Tensor) -> Tensor:
    """A per-clip or per-frame value with trailing axes of length 1, so that it broadcasts over the latents z."""
    return value.to(z.device).reshape(value.shape + (1,) * (z.ndim - value.ndim))


class Schedule:
    """Variance-preserving noise levels of `config.num_train_timesteps` timesteps: alpha_t^2 + sigma_t^2 = 1."""

    def __init__(self, config: DiffusionConfig) -> None:
        self.num_train_timesteps = config.num_train_timesteps
        betas = scaled_linear_betas(start=config.beta_start, end=config.beta_end, num_steps=config.num_train_timesteps)
        alphas_squared = torch.cumprod(1 - betas, dim=0)
        # Entry 0 is the clean end; timestep t is entry t + 1.
        clean = torch.ones(1)
        self._alphas = torch.cat([clean, alphas_squared.sqrt()])
        self._sigmas = torch.cat([clean * 0, (1 - alphas_squared).sqrt()])
        self._copies: dict[tuple[int, torch.device], Tensor] = {}

    def is_first(self, t: Tensor) -> bool:
        """Whether t are those of the first solver step: trailing spacing starts at the last training timestep."""
        return int(t.max()) == self.num_train_timesteps - 1

    def alpha(self, t: int | Tensor) -> Tensor:
        """alpha_t, float32 of t's shape and device; 1 where t < 0."""
        return self._entry(self._alphas, t)

    def sigma(self, t: int | Tensor) -> Tensor:
        """sigma_t, float32 of t's shape and device; 0 where t < 0."""
        return self._entry(self._sigmas, t)

    def time_input(self, t: int | Tensor) -> Tensor:
        """UniVDM's time input for t >= 0: ln(sigma_t / alpha_t) / 4, the c_noise of EDM and of SVD (design row 5)."""
        return (self.sigma(t) / self.alpha(t)).log() / 4

    def add_noise(self, z_0: Tensor, eps: Tensor, t: int | Tensor) -> Tensor:
        """z_t = alpha_t z_0 + sigma_t eps: the forward process under Eq. 1, frame by frame where t is (B, T)."""
        return broadcast_like(self.alpha(t), z_0) * z_0 + broadcast_like(self.sigma(t), z_0) * eps

    def v_target(self, z_0: Tensor, eps: Tensor, t: int | Tensor) -> Tensor:
        """v = alpha_t eps - sigma_t z_0."""
        return broadcast_like(self.alpha(t), z_0) * eps - broadcast_like(self.sigma(t), z_0) * z_0

    def v_to_z0(self, z_t: Tensor, v: Tensor, t: int | Tensor) -> Tensor:
        """z_0 = alpha_t z_t - sigma_t v."""
        return broadcast_like(self.alpha(t), z_t) * z_t - broadcast_like(self.sigma(t), z_t) * v

    def v_to_eps(self, z_t: Tensor, v: Tensor, t: int | Tensor) -> Tensor:
        """eps = alpha_t v + sigma_t z_t."""
        return broadcast_like(self.alpha(t), z_t) * v + broadcast_like(self.sigma(t), z_t) * z_t

    def eps_to_z0(self, z_t: Tensor, eps: Tensor, t: int | Tensor) -> Tensor:
        """z_0 = (z_t - sigma_t eps) / alpha_t."""
        return (z_t - broadcast_like(self.sigma(t), z_t) * eps) / broadcast_like(self.alpha(t), z_t)

    def eps_to_v(self, z_t: Tensor, eps: Tensor, t: int | Tensor) -> Tensor:
        """v = (eps - sigma_t z_t) / alpha_t."""
        return (eps - broadcast_like(self.sigma(t), z_t) * z_t) / broadcast_like(self.alpha(t), z_t)

    def z0_to_eps(self, z_t: Tensor, z_0: Tensor, t: int | Tensor) -> Tensor:
        """eps = (z_t - alpha_t z_0) / sigma_t, for t >= 0."""
        return (z_t - broadcast_like(self.alpha(t), z_t) * z_0) / broadcast_like(self.sigma(t), z_t)

    def z0_to_v(self, z_t: Tensor, z_0: Tensor, t: int | Tensor) -> Tensor:
        """v = (alpha_t z_t - z_0) / sigma_t, for t >= 0."""
        return (broadcast_like(self.alpha(t), z_t) * z_t - z_0) / broadcast_like(self.sigma(t), z_t)

    def target(self, z_0: Tensor, eps: Tensor, t: int | Tensor, prediction_type: str) -> Tensor:
        """What the network is trained to output: v, or eps."""
        return eps if _is_epsilon(prediction_type) else self.v_target(z_0, eps, t)

    def to_z0_eps(
        self, z_t: Tensor, prediction: Tensor, t: int | Tensor, prediction_type: str
    ) -> tuple[Tensor, Tensor]:
        """(z_0, eps) by a network's output."""
        if _is_epsilon(prediction_type):
            return self.eps_to_z0(z_t, prediction, t), prediction
        return self.v_to_z0(z_t, prediction, t), self.v_to_eps(z_t, prediction, t)

    def _entry(self, table: Tensor, t: int | Tensor) -> Tensor:
        t = torch.as_tensor(t)
        if t.device != table.device:  # kept there: a copy at every step would have a GPU wait
            key = (id(table), t.device)
            if key not in self._copies:
                self._copies[key] = table.to(t.device)
            table = self._copies[key]
        return table[(t + 1).clamp(min=0)]


def _is_epsilon(prediction_type: str) -> bool:
    if prediction_type not in ("v_prediction", "epsilon"):
        raise ValueError(f"unknown prediction_type '{prediction_type}'; known: v_prediction, epsilon")
    return prediction_type == "epsilon"
