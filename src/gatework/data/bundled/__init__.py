"""The data sets that ship inside the package: `bundled:beijing-air`, `bundled:japanese-vowels`."""

from dataclasses import dataclass, field
from importlib import resources

from gatework.errors import ConfigError, nearest

PREFIX = "bundled:"


@dataclass(frozen=True)
class Bundled:
    """One data set: where it is from, under which terms, and what its columns are measured in.

    parts: file name by part; a set without parts has the one part "". units: by column, where known.
    target: the column that the demo predicts.
    """

    title: str
    source: str
    licence: str
    citation: str
    parts: dict[str, str]
    target: str
    units: dict[str, str] = field(default_factory=dict)


BUNDLED: dict[str, Bundled] = {
    "beijing-air": Bundled(
        title="Beijing PM2.5: hourly air quality and weather, 2010 to 2014",
        source="UCI Machine Learning Repository, data set 381, https://doi.org/10.24432/C5JS49",
        licence="CC BY 4.0",
        citation="Liang et al. (2015), Assessing Beijing's PM2.5 pollution, Proceedings of the Royal Society A 471, 20150257",
        parts={"": "beijing-air.csv.xz"},
        target="pm2.5",
        units={"pm2.5": "µg/m³", "DEWP": "°C", "TEMP": "°C", "PRES": "hPa", "Iws": "m/s", "Is": "h", "Ir": "h"},
    ),
    "japanese-vowels": Bundled(
        title="Japanese Vowels: which of nine speakers says 'ae'",
        source="UCI Machine Learning Repository, data set 128, https://doi.org/10.24432/C5NS47",
        licence="CC BY 4.0",
        citation="Kudo, Toyama, Shimbo (1999), Multidimensional curve classification using passing-through regions, "
        "Pattern Recognition Letters 20 (11-13), 1103-1111",
        parts={"train": "japanese-vowels-train.ts.xz", "test": "japanese-vowels-test.ts.xz"},
        target="class",
    ),
}


def find_bundled(source: str) -> tuple[Bundled, dict[str, str]]:
    """The data set that `bundled:NAME` or `bundled:NAME/PART` names, and the parts asked for.

    Raises ConfigError for an unknown name or part.
    """
    name, _, part = source.removeprefix(PREFIX).partition("/")
    if name not in BUNDLED:
        raise ConfigError(
            f"There is no bundled data set '{name}'. Expected one of: {', '.join(PREFIX + known for known in BUNDLED)}. "
            f"{nearest(name, BUNDLED)}"
        )
    bundled = BUNDLED[name]
    if part and part not in bundled.parts:
        known = [known for known in bundled.parts if known]
        raise ConfigError(
            f"The bundled data set '{name}' has no part '{part}'. Expected {' or '.join(known) or 'no part: it has none'}. "
            f"Use {PREFIX}{name} for all of it. {nearest(part, known) if known else ''}".rstrip()
        )
    return bundled, {part: bundled.parts[part]} if part else bundled.parts


def bundled_bytes(file_name: str) -> bytes:
    """The content of one file inside the package, still compressed."""
    return (resources.files("gatework.data.bundled") / file_name).read_bytes()


def unit_of(sources: tuple[str, ...], column: str) -> str:
    """The unit of a column where the source is a bundled data set and the unit is known, else empty."""
    for source in sources:
        if source.startswith(PREFIX):
            return find_bundled(source)[0].units.get(column, "")
    return ""


def source_text(name: str) -> str:
    """Source, licence and attribution of a bundled data set, as shipped beside its files."""
    find_bundled(name)
    plain_name = name.removeprefix(PREFIX).partition("/")[0]
    return (resources.files("gatework.data.bundled") / f"{plain_name}.SOURCE.txt").read_text("utf-8")
