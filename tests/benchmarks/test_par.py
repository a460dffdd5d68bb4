import json

import torch

from benchmarks import par as benchmark
from paha.presets import preset


def test_the_table_is_made_and_written(tmp_path, capsys):
    benchmark.main(repeats=1, gpus=1, gpu_bandwidth_gb_s=1000, small=True, out=tmp_path / "par.json")
    assert "| debug | both measured, one CPU thread |" in capsys.readouterr().out
    rows = json.loads((tmp_path / "par.json").read_text())
    assert len(rows) == 3
    assert all(row["m_s"] > 0 and row["step_s"] > 0 for row in rows)


def test_bytes_are_counted_for_every_operation_but_views():
    x = torch.zeros(1000)
    assert benchmark.count_bytes(lambda: x + x) == 3 * 4000
    assert benchmark.count_bytes(lambda: x.view(10, 100)[3:5]) == 0


def test_what_an_accelerator_computes_is_what_the_cpu_draws():
    config = preset("debug")
    batch = benchmark.random_batch(config, clips=2)
    at_once = benchmark.draw_at_once(batch, config).unflatten(0, (2, -1))
    h, w = batch.latents.shape[-2:]
    cells = at_once.reshape(2, config.num_frames, h, config.height // h, w, config.width // w).mean(dim=(3, 5))
    assert torch.allclose(cells, benchmark.draw(batch, config)[:, :, 0], rtol=1e-5)
