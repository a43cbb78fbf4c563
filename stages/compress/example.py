"""What the model in this folder says of texts: ``python example.py "a text" "another"``."""

import json
import sys
from pathlib import Path

from onnxruntime import InferenceSession
from tokenizers import Tokenizer

folder = Path(__file__).parent
config = json.loads((folder / "classifier.json").read_text(encoding="utf-8"))
session, tokenizer = InferenceSession(folder / "model.onnx"), Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.no_padding()
tokenizer.enable_truncation(config["max_length"])
for text in sys.argv[1:]:
    ids = tokenizer.encode(text).ids
    (logits,) = session.run(["logits"], {"input_ids": [ids], "attention_mask": [[1] * len(ids)]})[0].tolist()
    print(json.dumps(dict(zip(config["labels"], logits, strict=True)) or logits))
