"""The data: where it came from, what each column is for, and which part was used for what."""

from gatework.report.glossary import Glossary
from gatework.report.markup import Html, code, element, join, listed
from gatework.report.material import Material
from gatework.report.numbers import counted, percent, plain_times, size
from gatework.report.section import Ingredients, bullets, paragraph
from gatework.runs import FieldPlan, Part

ROLES = {
    "label": "says which steps are anomalies; only judges",
    "target": "target",
    "past": "known up to now",
    "known_future": "known ahead",
    "static": "constant in a series",
    "series": "names the series",
    "time": "orders the steps",
    "split": "names the part",
    "group": "whom a series belongs to",
    "ignored": "not used",
}
MISSING = {
    "previous": "last known value",
    "linear": "straight line between neighbours",
    "mean": "mean of the training part",
    "mask": "marked by an input of its own",
    "decay": "faded towards the mean, and marked by inputs of their own",
    "drop": "rows left out",
}
SPLIT_RULES = {
    "time": "The data is divided by time: the model is trained on the past and scored on what came later.",
    "group": "Whole groups are divided, so that no group is in two parts.",
    "stratified": "Whole sequences are divided, each class in the same proportion in every part.",
    "column": "A column of the data says which part each row belongs to.",
    "files": "Separate files are the parts.",
}
PARTS: tuple[Part, ...] = ("train", "validation", "test")
PART_WORDS = {"train": "training", "validation": "validation", "test": "test"}
MOST_OPEN_ROWS = 24


def write_data(given: Ingredients) -> Html:
    """Sources, columns and split."""
    material, glossary = given.material, given.glossary
    parts = [
        _sources(material, glossary),
        element("h3", "Columns"),
        _columns(material, glossary),
        element("h3", "Which part was used for what"),
        paragraph(glossary, SPLIT_RULES[material.split.kind], _learned_from(material)),
        _bar(material),
        _boundaries(material),
    ]
    notes = [*material.split.notes, *material.preparation_notes]
    if notes:
        parts += [element("h3", "What was changed or assumed"), bullets([glossary.link(note) for note in dict.fromkeys(notes)])]
    return join(parts)


def _learned_from(material: Material) -> str:
    return " Scales and categories were fitted on the training part only; the test part was used for nothing but the scores."


def _sources(material: Material, glossary: Glossary) -> Html:
    if not material.manifest.sources:
        named = material.plan.data.sources
        return element("p", "Read from ", listed(map(code, named)) if named else "a table in memory", ".")
    rows = [
        element(
            "tr",
            element("th", code(source.path), scope="row"),
            element("td", size(source.size_bytes), data_label="size"),
            element("td", code(source.sha256), data_label="SHA-256"),
        )
        for source in material.manifest.sources
    ]
    head = element(
        "tr",
        element("th", "source", scope="col"),
        element("th", "size", scope="col"),
        element("th", glossary.link("SHA-256"), scope="col"),
    )
    return _folded(_table(head, rows), len(rows), "file")


def _columns(material: Material, glossary: Glossary) -> Html:
    used = [field for field in material.plan.data.fields if field.role != "ignored"]
    ignored = [field.name for field in material.plan.data.fields if field.role == "ignored"]
    heads = ("column", "kind", "role", "missing values")
    head = element("tr", *(element("th", name, scope="col") for name in heads))
    table = _folded(_table(head, [_column(field, glossary) for field in used]), len(used), "column")
    if not ignored:
        return table
    return join([table, element("p", "Not used: ", listed(map(code, ignored)), ".", class_="note")])


def _column(field: FieldPlan, glossary: Glossary) -> Html:
    fills = field.role not in ("series", "time", "split", "group")
    missing = f"constant {field.constant:g}" if field.missing == "constant" else MISSING.get(field.missing, field.missing)
    return element(
        "tr",
        element("th", code(field.name), scope="row"),
        element("td", field.kind, data_label="kind"),
        element("td", glossary.link(ROLES[field.role]), data_label="role"),
        element("td", missing if fills else "–", data_label="missing values"),
    )


def _table(head: Html, rows: list[Html]) -> Html:
    return element("div", element("table", element("thead", head), element("tbody", *rows), class_="cards"), class_="table")


def _folded(table: Html, num_rows: int, noun: str) -> Html:
    if num_rows <= MOST_OPEN_ROWS:
        return table
    return element("details", element("summary", f"All {counted(num_rows, noun)}"), table)


def _bar(material: Material) -> Html:
    counts = material.split.counts
    total = sum(counts.get(part, 0) for part in PARTS)
    noun = "sequence" if material.split.sequences else "row"
    blocks: list[Html] = []
    for part in PARTS:
        count = counts.get(part, 0)
        share = count / total if total else 0.0
        blocks.append(
            element(
                "div",
                element("div", class_="bar"),
                element("strong", PART_WORDS[part]),
                element("span", counted(count, noun), element("br"), percent(share)),
                class_=part,
                style=f"flex:{max(share, 0.001):.4f} 1 0",
            )
        )
    label = ", ".join(f"{PART_WORDS[part]} {counted(counts.get(part, 0), noun)}" for part in PARTS)
    return element("div", *blocks, class_="split", role="img", aria_label=label)


def _boundaries(material: Material) -> Html:
    boundaries = material.split.boundaries
    if boundaries:
        starts = [
            Html("the ")
            + PART_WORDS[part]
            + " part begins at "
            + element("strong", plain_times(boundaries[part]), class_="whole")
            for part in PARTS
            if part in boundaries
        ]
        others = [code(name) + " is " + code(value) for name, value in boundaries.items() if name not in PARTS]
        return element("p", "In time, ", listed([*starts, *others]), ".", class_="note")
    listing = [
        element(
            "p",
            element("strong", PART_WORDS[part]),
            ": ",
            listed(map(code, _abridged(material.split.sequences[part]))),
            class_="note",
        )
        for part in PARTS
        if material.split.sequences.get(part)
    ]
    return element("details", element("summary", "The sequences of each part"), *listing) if listing else Html("")


def _abridged(names: tuple[str, ...], limit: int = 60) -> list[str]:
    return list(names) if len(names) <= limit else [*names[:limit], f"… {len(names) - limit} more"]
