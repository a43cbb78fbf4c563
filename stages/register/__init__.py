"""The register of models: each task's selected model in MLflow, and the best that there has been as its champion."""
