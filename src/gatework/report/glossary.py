"""The terms of the report: what each means, a link to it where it is used, and the list of those that were used."""

import re

from gatework.report.markup import Html, element, escape, join, slug
from gatework.runs import MetricInfo

# term: (other forms of it, what it means)
TERMS: dict[str, tuple[tuple[str, ...], str]] = {
    "baseline": (
        ("baselines",),
        (
            "A simple method, fitted on the same training part and scored on the same samples. A model that does not beat it "
            "is not worth its cost."
        ),
    ),
    "bootstrap": (
        (),
        (
            "A way to see how much a score depends on which samples happened to be in the test part: it is computed again on "
            "many random redraws of them."
        ),
    ),
    "95 % interval": (
        ("95 % intervals", "interval", "intervals"),
        (
            "The range that holds the score in 95 of 100 bootstrap redraws of the test part. It does not cover training again "
            "with another seed, nor data of another kind."
        ),
    ),
    "training part": (
        ("training rows", "training sequences"),
        "The data that the weights, the scales and the categories are fitted on.",
    ),
    "validation part": (
        ("validation",),
        "Data that the weights are not fitted on; it decides when to stop and which epoch is kept.",
    ),
    "test part": ((), "Data that nothing was fitted on and nothing was chosen by; the scores come from it."),
    "sequence": (("sequences",), "The steps of one series, in their order. Sequences may differ in length."),
    "window": (("windows",), "The stretch of past steps that the model reads before it predicts."),
    "horizon": ((), "How many steps ahead are predicted."),
    "target": (("targets",), "What is to be predicted."),
    "epoch": (("epochs",), "One pass through all training samples."),
    "loss": (
        ("losses",),
        "The number that training makes small. It is measured on scaled targets, so it is not in the units of the data.",
    ),
    "gap": (
        ("generalisation gap",),
        (
            "Validation loss minus the loss on training samples. A gap that grows while the training loss falls means that the "
            "model learns its training samples by heart."
        ),
    ),
    "early stopping": (
        ("early stop", "stopped early"),
        ("Training ends when the validation loss has not improved for a number of epochs, and the best weights so far are kept."),
    ),
    "patience": ((), "How many epochs without improvement are waited for before training stops."),
    "learning rate": (("learning rates",), "How far one training step moves the weights."),
    "weight decay": ((), "Every training step pulls the weights a little towards zero; this holds back learning by heart."),
    "dropout": (
        (),
        "In training, random values are set to zero, so that the model cannot rely on any single one. Off in prediction.",
    ),
    "batch": (("batches",), "The samples that one training step looks at together."),
    "gradient norm": ((), "The length of the gradient, the direction in which a training step moves the weights."),
    "clipping": (
        ("clipped",),
        "A gradient longer than a limit is shortened to it, so that one unlucky batch cannot throw the weights away.",
    ),
    "gate": (("gates",), "A value between 0 and 1 that scales what passes: 0 lets nothing through, 1 everything."),
    "saturated gate": (
        ("saturated gates",),
        (
            "A gate value below 0.1 or above 0.9. Such a gate is nearly a switch; if almost all are, the network hardly "
            "learns any more."
        ),
    ),
    "dead unit": (("dead units",), "A hidden unit whose output hardly moves, whatever the input."),
    "reach": (
        (),
        (
            "The lag, in steps, within which 99 % of the gradient of the prediction with respect to the inputs lies: how far "
            "back the model looks."
        ),
    ),
    "hidden unit": (("hidden units", "units"), "One memory of a recurrent layer; a layer has many side by side."),
    "cell state": (("cell states",), "What a unit of an LSTM holds from one step to the next."),
    "parameter": (("parameters",), "A number that training sets: one weight or bias."),
    "seed": ((), "The number from which all random choices follow: same seed, same data, same machine, same result."),
    "known ahead": (
        (),
        (
            "A column whose future values are known when the prediction is made, such as the hour of the day. It is read over "
            "the horizon too."
        ),
    ),
    "SHA-256": ((), "A fingerprint of a file: if one byte changes, it changes."),
    "last value": ((), "A baseline: the last observed value, repeated."),
    "seasonal naive": ((), "A baseline: the value one season earlier, such as the same hour yesterday."),
    "climatology": ((), "A baseline: the average of the training part for the same place in the season."),
    "ridge": ((), "A baseline: a linear model on the same window, with its weights held small."),
    "majority class": ((), "A baseline: always the most frequent class of the training part."),
    "confusion matrix": ((), "How often each true class was predicted as each class; what is right lies on the diagonal."),
    "calibration": (
        ("calibrated",),
        "Whether predicted probabilities are frequencies: of the samples given 70 %, about 70 % should be right.",
    ),
}


class Glossary:
    """Links the terms in a text and remembers which were used; a term is linked once in every section."""

    def __init__(self, metrics: tuple[MetricInfo, ...] = ()):
        entries = dict(TERMS)
        entries.update({metric.name: ((), metric.meaning) for metric in metrics})
        self._meanings = {term: meaning for term, (_, meaning) in entries.items()}
        self._term_of = {form.casefold(): term for term, (forms, _) in entries.items() for form in (term, *forms)}
        self._ids: dict[str, str] = {}
        for term in entries:
            self._ids[term] = "term-" + slug(term, (taken.removeprefix("term-") for taken in self._ids.values()))
        longest_first = sorted(self._term_of, key=len, reverse=True)
        self._pattern = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, longest_first))})(?![\w-])", re.IGNORECASE)
        self._used: set[str] = set()
        self._seen: set[str] = set()

    def begin_section(self) -> None:
        """From here on, each term is linked again at its first occurrence."""
        self._seen = set()

    def link(self, text: str) -> Html:
        """Plain text as HTML, its terms linked to their definitions; HTML stays as it is."""
        if isinstance(text, Html):
            return text
        pieces: list[Html] = []
        end = 0
        for hit in self._pattern.finditer(text):
            term = self._term_of[hit[0].casefold()]
            pieces += [escape(text[end : hit.start()]), self._linked(term, hit[0])]
            end = hit.end()
        return join([*pieces, escape(text[end:])])

    def entries(self) -> list[tuple[str, str, str]]:
        """(id, term, meaning) of the terms that were used, in alphabetical order."""
        return [(self._ids[term], term, self._meanings[term]) for term in sorted(self._used, key=str.casefold)]

    def _linked(self, term: str, text: str) -> Html:
        if term in self._seen:
            return escape(text)
        self._seen.add(term)
        self._used.add(term)
        return element("a", text, class_="term", href=f"#{self._ids[term]}")
