"""The code of a registered model: MLflow runs this file where it answers, and there is no pickle.

It and the package that it imports lie beside the model's weights, so that the model answers as it did when it was
registered.
"""

import logging
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from stages.corpus.tables import TEXT_COLUMNS
from stages.predict.predictor import Answer, Predictor, Refusal
from stages.predict.source import ARTIFACT


class Served(PythonModel):
    """Texts in the columns ``text`` and, of pairs, ``text_pair``; answers as `stages.predict` writes them."""

    def load_context(self, context: PythonModelContext) -> None:
        self._predictor = Predictor(Path(context.artifacts[ARTIFACT]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        columns = [name for name in TEXT_COLUMNS if name in model_input.columns]
        answers = self._predictor.answer(model_input[columns].values.tolist(), columns)
        bad = [f"row {n}: {one.reason}" for n, one in enumerate(answers, start=1) if isinstance(one, Refusal)]
        if bad:
            raise MlflowException.invalid_parameter_value("; ".join(bad[:20]))
        given = [answer for answer in answers if isinstance(answer, Answer)]
        if cut := sum(answer.is_cut for answer in given):
            logging.getLogger(__name__).warning("texts cut to %s tokens: %s", self._predictor.max_length, cut)
        return pd.DataFrame([answer.values for answer in given], columns=self._predictor.columns)


set_model(Served())
