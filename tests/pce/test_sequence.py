"""The classifier's sequence (Eq. 4-6): [CLS], video, audio, with E_m and E_t, judged from [CLS]."""

import torch
from classifier_toys import inputs, toy_classifier
from torch import nn

FRAMES = 5


def encoder_io(classifier) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What the transformer was given and gave, (B, S, D), and what the head was given."""
    kept = {}
    handles = [
        classifier.encoder.register_forward_hook(lambda _, given, out: kept.update(given=given[0], out=out)),
        classifier.head.register_forward_pre_hook(lambda _, given: kept.update(head=given[0])),
    ]
    classifier(*inputs(frames=FRAMES))
    for handle in handles:
        handle.remove()
    return kept["given"], kept["out"], kept["head"]


def test_each_modality_has_its_own_embedding_on_every_token():
    classifier = toy_classifier()
    with_embedding, _, _ = encoder_io(classifier)
    assert with_embedding.shape[1] == 1 + 2 * FRAMES
    of_video, of_audio = classifier.modal_encoding.detach().clone()
    assert (of_video - of_audio).norm() > 0.01
    classifier.modal_encoding.data.zero_()
    without, _, _ = encoder_io(classifier)
    added = with_embedding - without
    torch.testing.assert_close(added[:, 0], torch.zeros_like(added[:, 0]))
    torch.testing.assert_close(added[:, 1 : 1 + FRAMES], of_video.expand_as(added[:, 1 : 1 + FRAMES]))
    torch.testing.assert_close(added[:, 1 + FRAMES :], of_audio.expand_as(added[:, 1 + FRAMES :]))


def test_the_score_depends_on_which_modality_is_which():
    classifier = toy_classifier()
    before = classifier(*inputs(frames=FRAMES))
    classifier.modal_encoding.data = 10 * classifier.modal_encoding.data.flip(0)
    assert not torch.allclose(classifier(*inputs(frames=FRAMES)), before, atol=1e-6)


def test_video_and_audio_of_a_frame_share_its_time_embedding():
    """E_t is the same for both tokens of a frame and differs from frame to frame."""
    classifier = toy_classifier()
    for name in ("video_proj", "audio_proj"):  # nothing but the embeddings is left
        for parameter in getattr(classifier, name).parameters():
            parameter.data.zero_()
    classifier.modal_encoding.data.zero_()
    given, _, _ = encoder_io(classifier)
    video, audio = given[:, 1 : 1 + FRAMES], given[:, 1 + FRAMES :]
    torch.testing.assert_close(video, audio)
    assert torch.cdist(video[0], video[0]).add(10 * torch.eye(FRAMES)).min() > 0.1


def test_the_head_reads_the_cls_token():
    classifier = toy_classifier()
    given, out, head = encoder_io(classifier)
    torch.testing.assert_close(given[:, 0], classifier.cls_token.expand(2, -1))
    assert torch.equal(head, out[:, 0])
    assert not torch.allclose(out[:, 0], out[:, -1], atol=1e-3)


def test_where_no_layer_mixes_the_tokens_the_score_is_that_of_the_cls_token_alone():
    """The head then sees neither the video nor the audio."""
    classifier = toy_classifier()
    for layer in classifier.encoder.layers:  # residual blocks that add nothing
        assert isinstance(layer, nn.TransformerEncoderLayer)
        for last in (layer.self_attn.out_proj, layer.linear2):
            for parameter in last.parameters():
                parameter.data.zero_()
    logits = classifier(*inputs(seed=0))
    torch.testing.assert_close(logits, classifier.head(classifier.cls_token).expand(2), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(classifier(*inputs(seed=1)), logits)
