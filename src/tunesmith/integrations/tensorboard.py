"""TensorBoard: event files in `<run folder>/tensorboard`, or in the folder named. TensorBoard keeps single precision."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.integrations import EXPORTERS, Exporter, flat, imported, numbers, tag


@EXPORTERS.add("tensorboard")
class TensorBoard(Exporter):
    """Writes event files by TensorBoard's own writer, without TensorFlow."""

    def __init__(self, info: Mapping[str, Any], destination: str | Path | None = None) -> None:
        self._event = imported("tensorboard.compat.proto.event_pb2", "tensorboard").Event
        self._summary = imported("tensorboard.compat.proto.summary_pb2", "tensorboard")
        self._tensor = imported("tensorboard.compat.proto.tensor_pb2", "tensorboard").TensorProto
        writer = imported("tensorboard.summary.writer.event_file_writer", "tensorboard").EventFileWriter
        self._writer = writer(str(destination or Path(info["folder"]) / "tensorboard"))
        self._text("recipe", "```\n" + json.dumps(flat(info.get("recipe", {})), indent=1, ensure_ascii=False) + "\n```")
        self._step = 0

    def signals(self, name: str, steps: Any, values: Any, where: str = "") -> None:
        for step, value in zip(steps, values, strict=True):
            self._scalar(tag(name, where), float(value), int(step))

    def evaluation(self, row: Mapping[str, Any]) -> None:
        self._step = int(row["step"])
        for name, value in numbers(row, "evaluation").items():
            self._scalar(name, value, self._step)
        self._writer.flush()

    def scores(self, scores: Mapping[str, Any]) -> None:
        for name, value in numbers(scores, "scores").items():
            self._scalar(name, value, self._step)

    def close(self, status: str) -> None:
        self._text("status", status)
        self._writer.close()

    def _scalar(self, name: str, value: float, step: int) -> None:
        self._add(self._summary.Summary.Value(tag=name, simple_value=value), step)

    def _text(self, name: str, text: str) -> None:
        plugin = self._summary.SummaryMetadata.PluginData(plugin_name="text")
        tensor = self._tensor(dtype="DT_STRING", string_val=[text.encode("utf-8")])
        metadata = self._summary.SummaryMetadata(plugin_data=plugin)
        self._add(self._summary.Summary.Value(tag=f"{name}/text_summary", metadata=metadata, tensor=tensor), 0)

    def _add(self, value: Any, step: int) -> None:
        summary = self._summary.Summary(value=[value])
        self._writer.add_event(self._event(wall_time=time.time(), step=step, summary=summary))
