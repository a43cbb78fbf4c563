"""The DVC graph run by Prefect. Stages know nothing of it; `dvc repro` does the same, one by one.

Importing this package settles how Prefect runs unless the environment says otherwise: its state
lies in the project, it sends nothing home, and it leaves the terminal to the run's own progress: what there is to
be read goes to its server.
"""

import os

from stages import paths

SETTINGS = {
    "PREFECT_HOME": str(paths.STATE / "prefect"),
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL": "INFO",  # with what stages print: to the server
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "INFO",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "1",
}

ENVIRONMENT = dict(os.environ)
"""As it was before: what a flow in another workspace starts from, whose state lies elsewhere."""

for _name, _value in SETTINGS.items():  # Prefect reads them when it is first imported
    os.environ.setdefault(_name, _value)
