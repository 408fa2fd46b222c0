"""The report: its numbers are the evaluation's, names are escaped, nothing comes from outside."""

import html
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from gatework.errors import MissingExtra, RunError
from gatework.report import write_report
from gatework.report.figures import draw
from gatework.report.markup import slug
from gatework.report.palette import Looks
from gatework.report.sections.verdict import best_names
from gatework.runs import Evaluation, Line, LinesFigure, MetricInfo, RunFolder, SourceFile, leaderboard
from report_runs import (
    FORECAST_METRICS,
    forecast_evaluation,
    forecast_figures,
    forecast_plan,
    forecast_rows,
    manifest,
    write_classify_run,
    write_forecast_run,
)

HOSTILE = (
    "<script>alert(1)</script>",
    "\"&'",
    "</style><b>",
    "a\u202eb\x00c",
    "$x^2$",
    "_hidden",
    "名前",
    "http://evil.example/x",
)


class Page(HTMLParser):
    """What a browser would find in a page: elements, ids, links, exact table numbers."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.numbers: list[float] = []
        self.shown: list[tuple[float, str]] = []
        self.text = ""
        self._reading_number = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.ids += [given["id"]] if given.get("id") else []
        self.links += [given["href"]] if given.get("href") else []
        if tag == "data":
            self.numbers.append(float(given["value"] or "nan"))
            self._reading_number = True

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._reading_number:
            self.shown.append((self.numbers[-1], data))
            self._reading_number = False


@pytest.fixture(scope="module")
def forecast_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = write_forecast_run(tmp_path_factory.mktemp("runs") / "air")
    write_report(run)
    return run


@pytest.fixture(scope="module")
def classify_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = write_classify_run(tmp_path_factory.mktemp("runs") / "vowels")
    write_report(run)
    return run


@pytest.fixture(params=["forecast", "classify"])
def any_run(request: pytest.FixtureRequest) -> RunFolder:
    run: RunFolder = request.getfixturevalue(f"{request.param}_run")
    return run


def test_the_report_reaches_for_nothing_outside(any_run: RunFolder) -> None:
    text = any_run.read_text("report.html")
    assert "http:" not in text
    assert "https:" not in text
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert "default-src 'none'" in html.unescape(text)
    assert "script" not in Page(text).tags


def test_the_report_stays_small(any_run: RunFolder) -> None:
    assert any_run.file("report.html").stat().st_size < 2_000_000


def test_every_number_of_the_table_is_the_evaluations(any_run: RunFolder) -> None:
    evaluation = any_run.read("evaluation.json", Evaluation)
    page = Page(any_run.read_text("report.html"))
    scores = [row.scores[metric.name] for row in leaderboard(evaluation) for metric in evaluation.metrics]
    expected = [
        number
        for score in scores
        if score.value is not None
        for number in (score.value, score.low, score.high)
        if number is not None
    ]
    assert page.numbers == expected
    for exact, shown in page.shown:
        decimals = len(shown.partition(".")[2])
        assert float(shown.replace("\u2212", "-").replace("\u202f", "")) == pytest.approx(exact, abs=0.5 * 10**-decimals + 1e-12)


def test_the_best_value_of_each_column_is_said_in_words() -> None:
    evaluation = forecast_evaluation()
    assert best_names(evaluation, FORECAST_METRICS[0]) == {"lstm"}
    assert best_names(evaluation, FORECAST_METRICS[4]) == {"lstm"}
    only_model = forecast_evaluation(rows=forecast_rows()[:1])
    assert best_names(only_model, FORECAST_METRICS[0]) == set()


def test_all_figures_stand_in_the_page_and_as_files(any_run: RunFolder) -> None:
    evaluation = any_run.read("evaluation.json", Evaluation)
    page = any_run.read_text("report.html")
    names = ["training", *(slug(figure.name) for figure in evaluation.figures)]
    assert sorted(path.stem for path in any_run.file("figures").glob("*.svg")) == sorted(names)
    for name in names:
        assert f'id="figure-{name}"' in page
        assert f'aria-labelledby="{name}-wide-title {name}-wide-desc"' in page
    for figure in evaluation.figures:
        file = any_run.read_text(f"figures/{slug(figure.name)}.svg")
        assert f">{figure.title}</title>" in file
        assert "w3.org" not in file.replace('xmlns="http://www.w3.org/2000/svg"', "")


def test_every_link_inside_the_report_arrives(any_run: RunFolder) -> None:
    page = Page(any_run.read_text("report.html"))
    assert len(page.ids) == len(set(page.ids))
    for link in set(page.links):
        assert link[1:] in page.ids if link.startswith("#") else any_run.has(link), link


def test_the_glossary_holds_exactly_the_terms_that_are_linked(any_run: RunFolder) -> None:
    page = Page(any_run.read_text("report.html"))
    entries = {name for name in page.ids if name.startswith("term-")}
    assert entries == {link[1:] for link in page.links if link.startswith("#term-")}
    assert len(entries) > 10


def test_the_same_folder_gives_the_same_bytes(forecast_run: RunFolder) -> None:
    names = ["report.html", *(f"figures/{path.name}" for path in forecast_run.file("figures").glob("*.svg"))]
    before = {name: forecast_run.file(name).read_bytes() for name in names}
    write_report(str(forecast_run.path))
    assert {name: forecast_run.file(name).read_bytes() for name in names} == before


def test_figures_do_not_depend_on_the_users_matplotlib_settings() -> None:
    import matplotlib

    figure = forecast_figures()[2]
    before = draw(figure, Looks(), 360)
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 30, "svg.fonttype": "path"}):
        assert draw(figure, Looks(), 360) == before
        assert matplotlib.rcParams["font.size"] == 30


def test_hostile_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    evaluation = forecast_evaluation(
        verdict=HOSTILE,
        notes=HOSTILE,
        resampled=HOSTILE[0],
        rows=tuple(
            row.model_copy(update={"name": name, "description": name})
            for name, row in zip(HOSTILE, forecast_rows(), strict=False)
        ),
        metrics=(*FORECAST_METRICS[:4], MetricInfo(name="skill", unit=HOSTILE[0], better="higher", meaning=HOSTILE[0])),
        figures=tuple(
            figure.model_copy(update={"name": f"../../{name}", "title": name, "caption": name, "x_label": name, "y_label": name})
            for name, figure in zip(HOSTILE, forecast_figures(), strict=False)
        ),
    )
    hostile_figure = LinesFigure(
        name="x", title="t", caption="c", x_label="x", y_label="y", x=HOSTILE,
        lines=tuple(Line(name=name, y=tuple(range(len(HOSTILE)))) for name in HOSTILE), marks=((HOSTILE[0], HOSTILE[1]),),
    )  # fmt: skip
    evaluation = evaluation.model_copy(update={"figures": (*evaluation.figures, hostile_figure)})
    plan = forecast_plan(HOSTILE).model_copy(update={"reasons": {name: name for name in HOSTILE}, "python": HOSTILE[0]})
    run = write_forecast_run(tmp_path / "run", plan, evaluation)
    run.write(
        "run.json", manifest(command=HOSTILE[0], notes=HOSTILE, sources=(SourceFile(path=HOSTILE[0], sha256="0", size_bytes=1),))
    )
    write_report(run)
    text = run.read_text("report.html")
    page = Page(text)
    assert "script" not in page.tags
    assert text.count("<style") == text.count("</style") == 1
    assert "\x00" not in text
    assert "\u202e" not in text
    assert not any("evil" in link for link in page.links)
    assert page.text.count("<script>alert(1)</script>") >= 8
    assert all(path.parent.name == "figures" for path in tmp_path.rglob("*.svg"))
    assert "$x^2$" in "".join(path.read_text("utf-8") for path in tmp_path.rglob("*.svg"))


def test_hostile_class_names_are_text_in_the_matrix(tmp_path: Path) -> None:
    run = write_classify_run(tmp_path / "run", HOSTILE)
    write_report(run)
    assert "script" not in Page(run.read_text("report.html")).tags


def test_without_an_evaluation_the_report_says_how_to_get_one(tmp_path: Path) -> None:
    run = write_forecast_run(tmp_path / "my run")
    run.file("evaluation.json").unlink()
    run.file("predictions.parquet").unlink()
    text = Page(write_report(run).read_text("utf-8")).text
    assert "Not evaluated yet" in text
    assert f"gatework evaluate '{run.path}'" in text
    assert "early stop" in text


def test_before_the_first_epoch_the_report_is_written_too(tmp_path: Path) -> None:
    run = write_forecast_run(tmp_path / "run")
    run.write_history([])
    assert "No epoch has been finished" in Page(write_report(run).read_text("utf-8")).text


@pytest.mark.parametrize("name", ["evaluation.json", "prepare.json", "predictions.parquet", "history.jsonl"])
def test_a_truncated_file_is_an_error_that_names_it_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    run = write_forecast_run(tmp_path / "run")
    content = run.file(name).read_bytes()
    run.file(name).write_bytes(content[: len(content) // 2])
    with pytest.raises(RunError, match=re.escape(name)):
        write_report(run)
    assert not run.has("report.html")


def test_without_matplotlib_the_error_names_the_command_that_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_forecast_run(tmp_path / "run")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=re.escape('pip install "gatework[app]"')):
        write_report(run)


def test_a_missing_folder_is_an_error_in_three_parts(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run folder.*Expected.*Check the path"):
        write_report(tmp_path / "nowhere")


@pytest.mark.parametrize(("sha256", "is_said"), [("cd" * 32, True), ("ab" * 32, False)])
def test_scores_of_other_weights_are_called_so(tmp_path: Path, sha256: str, is_said: bool) -> None:
    run = write_forecast_run(tmp_path / "run", evaluation=forecast_evaluation(model_sha256="ab" * 32, figures=()))
    safetensors.numpy.save_file({"weight": np.zeros(3)}, run.file("model.safetensors"), metadata={"sha256": sha256})
    assert ("The scores are of other weights" in write_report(run).read_text("utf-8")) == is_said


def test_the_window_is_said_in_time_units(forecast_run: RunFolder, classify_run: RunFolder) -> None:
    text = Page(forecast_run.read_text("report.html")).text
    assert "168 steps (7 days)" in text
    assert "Forecasting pm2.5, 24 hours ahead" in text
    assert "window" not in Page(classify_run.read_text("report.html")).text.partition("Glossary")[2]
