"""par_loss: weights act on the squared error before any reduction."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalOperand=false, reportOptionalIterable=false

import torch

from paha.par.loss_weight import AwarenessArea
from paha.par.losses import par_loss, region_losses


def tensors(seed=0):
    g = torch.Generator().manual_seed(seed)
    prediction = torch.randn(2, 3, 4, 5, 6, generator=g, requires_grad=True)
    return prediction, torch.randn(2, 3, 4, 5, 6, generator=g)


def test_all_weights_one_is_plain_mse():
    prediction, target = tensors()
    expected = torch.nn.functional.mse_loss(prediction, target)
    torch.testing.assert_close(par_loss(prediction, target), expected)
    torch.testing.assert_close(par_loss(prediction, target, torch.ones(2, 3, 1, 5, 6)), expected)


def test_samples_with_different_weights_get_different_gradients():
    prediction, target = tensors()
    weight = torch.ones(2, 3, 1, 5, 6)
    weight[1] = 10
    same = torch.zeros_like(target)
    same[:] = target[:1]
    twin = prediction[:1].detach().expand_as(prediction).clone().requires_grad_()
    par_loss(twin, same, weight).backward()
    torch.testing.assert_close(twin.grad[1], 10 * twin.grad[0])


def test_clean_frames_carry_no_loss():
    prediction, target = tensors()
    mask = torch.tensor([[0.0, 1, 1], [1, 1, 1]])
    par_loss(prediction, target, frame_mask=mask).backward()
    assert prediction.grad[0, 0].abs().max() == 0
    assert prediction.grad[0, 1].abs().max() > 0


def test_region_losses_are_means_over_their_areas():
    error = torch.zeros(1, 1, 2, 4, 4)
    error[..., :2, :2] = 3
    error[..., 2:, 2:] = 5
    face = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    face[..., :2, :2] = True
    body = torch.zeros_like(face)
    body[..., 2:, 2:] = True
    losses = region_losses(error, AwarenessArea(hand=torch.zeros_like(face), face=face, body=body | face))
    assert losses["face"] == 3
    assert losses["body"] == 5
    assert losses["background"] == 0
    assert losses["hand"].isnan()
