"""Loading a network: no random weights are drawn for it, and other threads' networks get theirs."""

import threading

import torch
from torch import nn

from paha.runtime.network import Network, register_to_config
from paha.univdm.pretrained import load_part


class Toy(Network):
    """A layer, beside which another thread builds one while this is being built."""

    elsewhere: nn.Linear
    drawn: bool

    @register_to_config
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        before = torch.get_rng_state()
        self.layer = nn.Linear(width, width)
        Toy.drawn = not torch.equal(before, torch.get_rng_state())
        thread = threading.Thread(target=self._elsewhere)
        thread.start()
        thread.join()

    def _elsewhere(self) -> None:
        torch.manual_seed(0)
        Toy.elsewhere = nn.Linear(4, 4)


def test_only_the_network_that_is_loaded_goes_without_random_weights(tmp_path):
    kept = Toy()
    assert Toy.drawn
    kept.save_pretrained(tmp_path)
    loaded = load_part(Toy, tmp_path)
    assert not Toy.drawn
    assert torch.equal(loaded.layer.weight, kept.layer.weight)
    torch.manual_seed(0)
    assert torch.equal(Toy.elsewhere.weight, nn.Linear(4, 4).weight)
