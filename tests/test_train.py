"""Trainings learn what can be learned, stop where they must, and leave the rest of the process alone."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from gatework.errors import ConfigError, DataError, TrainingError
from gatework.evaluate import evaluate_run
from gatework.model import load_weights
from gatework.runs import HistoryRow, Manifest, Plan, RunFolder
from gatework.train import Request
from gatework.train import loop as loop_module
from gatework.train.schedule import learning_rate
from gatework.train.warn import warnings_in_words
from gatework.train.watch import COLUMNS, PlainLines, Terminal, default_watch
from refusals import refusal
from small_runs import CLASSES, QUICK, latches, means, trained, waves


def score(run: RunFolder, data: pl.DataFrame, metric: str, row: int = 0) -> float:
    value = evaluate_run(run, data=data).rows[row].scores[metric].value
    assert value is not None
    return value


def test_a_forecast_of_a_noisy_sine_has_less_than_half_the_error_of_the_last_value(tmp_path):
    data = waves(600, noise=0.2)
    request = QUICK.model_copy(
        update={"horizon": 6, "window": 24, "epochs": 12, "learning_rate": 1e-2, "dropout": 0.0, "hidden_size": 16}
    )
    evaluation = evaluate_run(trained(data, request, tmp_path / "run"), data=data)
    model, last = evaluation.rows[0].scores["MAE"].value, evaluation.rows[1].scores["MAE"].value
    assert evaluation.rows[1].name == "last value"
    assert model < 0.5 * last


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_gated_cell_remembers_the_first_of_thirty_steps(tmp_path, cell):
    data = latches()
    request = CLASSES.model_copy(update={"cell": cell, "epochs": 15, "learning_rate": 1e-2, "bidirectional": False})
    assert score(trained(data, request, tmp_path / "run"), data, "accuracy") > 0.95


def test_a_regression_on_the_mean_of_a_channel_explains_nine_tenths_of_the_variance(tmp_path):
    data = means()
    request = Request(target="answer", series="id", time="step", task="regress", hidden_size=8, epochs=15, learning_rate=1e-2)
    assert score(trained(data, request.model_copy(update={"dropout": 0.0}), tmp_path / "run"), data, "R²") > 0.9


@pytest.mark.parametrize("options", [{"cell": "rnn"}, {"num_layers": 2}, {"bidirectional": True, "cell": "gru", "num_layers": 2}])
def test_every_shape_of_network_lowers_its_loss(tmp_path, options):
    run = trained(waves(), QUICK.model_copy(update=options), tmp_path / "run")
    history = run.read_history()
    assert history[-1].train_loss < 0.9 * history[0].train_loss
    assert {name: getattr(run.read("config.json", Plan).model, name) for name in options} == options


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    hashes = []
    for number, seed in enumerate((3, 3, 4)):
        torch.manual_seed(number)  # whatever was drawn before does not matter
        run = trained(waves(), QUICK.model_copy(update={"seed": seed, "epochs": 2}), tmp_path / str(number))
        hashes.append(load_weights(run.file("model.safetensors"))[1]["sha256"])
    assert hashes[0] == hashes[1] != hashes[2]


def numpy_state() -> list[int]:
    return np.random.get_state()[1].tolist()  # noqa: NPY002 - the global generator is what must stay as it was


def test_a_training_leaves_random_numbers_and_threads_as_they_were(tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state(), numpy_state(), torch.get_num_threads()
    trained(waves(), QUICK.model_copy(update={"num_layers": 2}), tmp_path / "run")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert numpy_state() == before[1]
    assert torch.get_num_threads() == before[2]


def test_training_keeps_the_best_weights_and_stops_early(tmp_path):
    # targets without any relation to the inputs: the validation loss soon rises
    generator = np.random.default_rng(0)
    data = waves(300).with_columns(pl.Series("load", generator.normal(0, 1, 300)))
    request = QUICK.model_copy(update={"epochs": 40, "patience": 3, "learning_rate": 3e-2, "hidden_size": 32, "dropout": 0.0})
    run = trained(data, request, tmp_path / "run")
    history = run.read_history()
    best = min(history, key=lambda row: row.validation_loss)
    assert len(history) == best.epoch + 3 < 40
    assert [row.epoch for row in history if row.is_best][-1] == best.epoch
    assert judged_again(run, data) == pytest.approx(best.validation_loss, rel=1e-6)  # float32 sums


def judged_again(run: RunFolder, data: pl.DataFrame) -> float:
    from gatework.data.dataset import open_dataset
    from gatework.model import load_trained

    model, _ = load_trained(run)
    dataset = open_dataset(run, data)
    samples = model.task.samples(dataset.prepared, dataset.split, "validation")
    return loop_module.mean_loss(model.network, model.task, samples)


def test_a_time_limit_shortens_the_plan_after_the_first_epoch(tmp_path, monkeypatch):
    clock = iter(range(0, 100_000, 6))  # an epoch reads the clock twice: it lasts 6 seconds
    monkeypatch.setattr(loop_module.time, "perf_counter", lambda: float(next(clock)))
    run = trained(waves(), QUICK.model_copy(update={"epochs": 30, "patience": 30, "minutes": 0.5}), tmp_path / "run")
    assert len(run.read_history()) == 5
    rates = [row.learning_rate for row in run.read_history()]
    assert rates[-1] < 0.05 * max(rates)  # the schedule ends with the shortened plan


def test_a_loss_that_is_not_a_number_stops_at_once_and_says_where(tmp_path, monkeypatch):
    batches = iter([False] * 12 + [True])
    original = loop_module.Training._step

    def step(self, varied, rate):
        if next(batches):
            varied.batch.inputs.values[0, 0] = float("nan")
        return original(self, varied, rate)

    monkeypatch.setattr(loop_module.Training, "_step", step)
    message = refusal(lambda: trained(waves(), QUICK, tmp_path / "run"), TrainingError)
    assert message.startswith("The loss became nan in epoch 2, batch 4 of 9 (samples ")
    assert "the inputs of this batch hold a value that is not finite" in message
    run = RunFolder(tmp_path / "run")
    assert run.read("run.json", Manifest).status == "training"
    assert not run.has("model.safetensors")
    assert len(run.read_history()) == 1


def test_an_exploding_training_names_the_learning_rate(tmp_path):
    request = QUICK.model_copy(update={"learning_rate": 1e30, "clip_norm": 1e30})
    message = refusal(lambda: trained(waves(), request, tmp_path / "run"), TrainingError)
    assert "in epoch 1, batch " in message
    assert "--learning-rate" in message


def test_nothing_is_written_when_the_request_is_impossible(tmp_path):
    impossible = {
        "horizon is 0": {"horizon": 0},
        "Did you mean 'load'": {"target": "laod"},
        "Did you mean 'lstm'": {"cell": "lsmt"},
        "seed is -1": {"seed": -1},
    }
    for said, options in impossible.items():
        with pytest.raises(ConfigError, match=said):
            trained(waves(), QUICK.model_copy(update=options), tmp_path / "run")
    with pytest.raises(DataError, match="A sample needs"):
        trained(waves(), QUICK.model_copy(update={"window": 5000}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_something_is_never_written_into(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("kept")
    assert "is not an empty folder" in refusal(lambda: trained(waves(), QUICK, tmp_path / "run"), ConfigError)
    (tmp_path / "file").write_text("kept")
    assert "cannot be made" in refusal(lambda: trained(waves(), QUICK, tmp_path / "file" / "run"), ConfigError)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_test_rows_change_no_fitted_number_no_weight_and_no_earlier_prediction(tmp_path):
    data = waves(400)
    place = pl.int_range(400) >= 340  # the last 15 %
    changed = data.with_columns(
        pl.when(place).then(pl.col(name) * -7 + 1000).otherwise(pl.col(name)) for name in ("load", "temp")
    )
    runs = [trained(frame, QUICK, tmp_path / str(number)) for number, frame in enumerate((data, changed))]
    assert runs[0].read_text("prepare.json") == runs[1].read_text("prepare.json")
    assert load_weights(runs[0].file("model.safetensors"))[1] == load_weights(runs[1].file("model.safetensors"))[1]
    for part in ("train", "validation"):
        frames = []
        for run, frame in zip(runs, (data, changed), strict=True):
            evaluate_run(run, data=frame, part=part)
            frames.append(pl.read_parquet(run.file(f"predictions-{part}.parquet")))
        assert frames[0].equals(frames[1])
    evaluate_run(runs[0], data=data)
    assert pl.read_parquet(runs[0].file("predictions.parquet")).height > 0


def test_the_learning_rate_warms_up_linearly_and_falls_to_zero():
    rates = [learning_rate(step, 200, 0.5) for step in range(200)]
    np.testing.assert_allclose(rates[:20], 0.5 * np.arange(1, 21) / 20)
    assert max(rates) == 0.5
    assert (np.diff(rates[20:]) < 0).all()
    assert 0 < rates[-1] < 1e-3 * 0.5
    assert learning_rate(500, 200, 0.5) == 0.0  # beyond the plan
    assert learning_rate(0, 1, 0.5) == 0.5  # a training of one step


def row(epoch: int = 1, **changes: object) -> HistoryRow:
    values = {
        "epoch": epoch, "train_loss": 0.5, "validation_loss": 0.6, "learning_rate": 1e-3, "gradient_norm": 0.3, "clip_rate": 0.0,
        "saturated_share": 0.25, "dead_units": 1, "reach_steps": 7, "is_best": False, "elapsed_s": 1.5,
    }  # fmt: skip
    return HistoryRow(**{**values, **changes})


def test_plain_lines_are_a_table_with_the_columns(capsys):
    watch = PlainLines()
    watch.note("a sentence")
    watch.batch(1, 1, 10)
    watch.epoch(row(1, is_best=True))
    watch.epoch(row(2, saturated_share=None, dead_units=None, reach_steps=None))
    watch.close()
    note, header, first, second = capsys.readouterr().err.splitlines()
    assert note == "a sentence"
    assert [name for name in COLUMNS if name] == [part.strip() for part in header.split("  ") if part.strip()]
    assert first.split() == ["1", "0.5000", "0.6000", "0.3", "0%", "25%", "1", "7", "1.5", "best"]
    assert second.split() == ["2", "0.5000", "0.6000", "0.3", "0%", "–", "–", "–", "1.5"]
    assert header.index("seconds") + len("seconds") == len(second)  # columns stand below their names


def test_the_terminal_shows_the_same_row(capsys):
    watch = Terminal()
    watch.batch(1, 1, 2)
    watch.epoch(row(1))
    watch.close()
    output = "".join(capsys.readouterr())
    assert "valid loss" in output
    assert "0.6000" in output


def test_plain_lines_are_chosen_where_there_is_no_terminal(capsys):
    assert isinstance(default_watch(), PlainLines)


PLAN = Plan.model_validate(
    {"data": {"task": "forecast", "targets": ["load"], "fields": []}, "split": {"kind": "time"}, "window": 40, "horizon": 2}
)
WARNINGS = {
    "Gradients vanish: the forecast depends on the last 19 of 40": ({"reach_steps": 19}, {"reach_steps": 20}),
    "Gradients explode: 21% of the steps": ({"clip_rate": 0.21}, {"clip_rate": 0.2}),
    "17 of 64 units hardly move": ({"dead_units": 17}, {"dead_units": 16}),
}


@pytest.mark.parametrize("sentence", WARNINGS)
def test_a_warning_appears_exactly_under_its_condition_and_names_a_remedy(sentence):
    healthy = {"reach_steps": 40, "dead_units": 0}
    bad, just_good = WARNINGS[sentence]
    (said,) = warnings_in_words(PLAN, [row(1, **{**healthy, **bad})])
    assert said.startswith(sentence)
    assert "--" in said
    assert warnings_in_words(PLAN, [row(1, **{**healthy, **just_good})]) == ()


def test_the_warnings_speak_of_the_best_epoch_and_of_where_it_lies():
    def history(*losses: float) -> list[HistoryRow]:
        return [row(number, validation_loss=loss, reach_steps=40) for number, loss in enumerate(losses, start=1)]

    assert warnings_in_words(PLAN, []) == ()
    assert warnings_in_words(PLAN, history(1.0, 0.5, 0.6)) == ()
    assert "overfits at once" in warnings_in_words(PLAN, history(1.0, 1.1, 1.2))[0]
    assert "still falling" in warnings_in_words(PLAN, history(1.0, 0.9, 0.8))[0]
    assert warnings_in_words(PLAN, history(1.0, 0.9, 0.899)) == ()
    assert warnings_in_words(PLAN, history(1.0, 1.1)) == ()  # too few epochs to say anything


def test_the_history_holds_one_line_per_epoch_and_the_manifest_the_hashes(tmp_path):
    run = trained(waves(), QUICK, tmp_path / "run")
    lines = [json.loads(line) for line in run.read_text("history.jsonl").splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert all(0 <= line["clip_rate"] <= 1 and 0 <= line["saturated_share"] <= 1 for line in lines)
    assert [line["elapsed_s"] for line in lines] == sorted(line["elapsed_s"] for line in lines)
    manifest = run.read("run.json", Manifest)
    assert manifest.status == "trained"
    assert set(manifest.files) == {"config.json", "split.json", "prepare.json", "model.safetensors"}
    tensors, _ = load_weights(run.file("model.safetensors"))
    assert manifest.num_parameters == sum(tensor.numel() for tensor in tensors.values())
