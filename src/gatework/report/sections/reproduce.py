"""How to get the same again: the command, the same in Python, the versions and the files."""

from gatework.report.markup import Html, code, element, join
from gatework.report.numbers import duration
from gatework.report.section import Ingredients, pairs, paragraph


def write_reproduce(given: Ingredients) -> Html:
    """Command, Python, versions, files."""
    material, glossary = given.material, given.glossary
    manifest, plan = material.manifest, material.plan
    parts: list[Html] = []
    if manifest.command:
        parts += [element("h3", "On the command line"), element("pre", element("code", manifest.command))]
    if plan.python:
        parts += [element("h3", "In Python"), element("pre", element("code", plan.python))]
    parts.append(
        paragraph(glossary, "The same data, the same seed and the same versions on the same machine give the same weights.")
    )
    rows = [
        ("gatework", manifest.gatework),
        ("Python", manifest.python),
        ("PyTorch", manifest.torch),
        ("machine", manifest.platform),
        ("seed", str(manifest.seed)),
        ("started", manifest.started_at),
    ]
    rows += [(f"time for {stage}", duration(seconds)) for stage, seconds in manifest.wall_time_s.items()]
    parts.append(pairs(rows))
    if manifest.files:
        lines = [
            element("div", element("dt", code(name)), element("dd", code(sha256))) for name, sha256 in manifest.files.items()
        ]
        summary = element("summary", "Fingerprints (SHA-256) of the files of this run")
        parts.append(element("details", summary, element("dl", *lines, class_="pairs")))
    return join(parts)
