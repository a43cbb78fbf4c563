"""Search for better parameters: Optuna proposes, and each trial is a run of the DVC graph with other parameters.

A trial only changes parameters. It runs in a workspace of its own (`flows.workspace`), one for each slot, by the same
``python -m flows run``, so that what was run before with the same parameters comes from DVC's cache.

`space` is the file that says what is searched, `settings` the parameters that come of it, `steps` the stages that they
change, `study` what Optuna keeps, `attempt` one trial from its start to its end, `curve` what it reaches, `slots` all
of them, several at a time, `runs` their record in MLflow, `table` what a person sees, `winner` what is written down,
`leftovers` what a search that was killed has left, and `search` all of it in order.
"""
