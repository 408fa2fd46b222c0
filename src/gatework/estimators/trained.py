"""A trained model as an estimator carries it: the files of its run as bytes, and the model, read from them when asked for."""

import tempfile
from pathlib import Path

from gatework.evaluate import Predictor
from gatework.runs import RunFolder


class Carried:
    """A run folder in memory: JSON and safetensors, so that copying or unpickling it runs no code.

    Any other file of the run, such as a fitted threshold, is carried as well, but for the checkpoint of a finished training.
    """

    def __init__(self, folder: RunFolder):
        self.files = {
            path.name: path.read_bytes()
            for path in sorted(folder.path.iterdir())
            if path.is_file() and not path.name.startswith("checkpoint")
        }
        self._predictor: Predictor | None = None

    def write(self, path: Path) -> RunFolder:
        """The files in a folder, which is made."""
        path.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (path / name).write_bytes(content)
        return RunFolder(path)

    def predictor(self) -> Predictor:
        """The model, ready to predict; read once."""
        if self._predictor is None:
            with tempfile.TemporaryDirectory() as folder:
                self._predictor = Predictor(self.write(Path(folder)))
        return self._predictor

    def __getstate__(self) -> dict[str, bytes]:
        return self.files

    def __setstate__(self, state: dict[str, bytes]) -> None:
        self.files = dict(state)
        self._predictor = None
