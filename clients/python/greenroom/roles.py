"""What a file of an artifact is for, as CNCF ModelPack distinguishes layers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePosixPath


class Role(StrEnum):
    """What a file is for."""

    WEIGHT = "weight"
    """Model weights."""
    CONFIG = "config"
    """Configuration of the weights: tokenizer, generation settings, preprocessing parameters."""
    CODE = "code"
    """Code: preprocessing pipelines, evaluation scripts."""
    DOC = "doc"
    """Documentation: model card, licence."""
    DATASET = "dataset"
    """Dataset or sample of one."""

    @property
    def media_type(self) -> str:
        """Media type of a raw (not archived, not compressed) layer with this role."""
        kind = "weight.config" if self is Role.CONFIG else self.value
        return f"application/vnd.cncf.model.{kind}.v1.raw"


_DOC_STEMS = frozenset(
    {"readme", "license", "licence", "notice", "copying", "authors", "citation", "model_card", "modelcard"}
)
_CONFIG_NAMES = frozenset({"vocab.txt", "merges.txt", "requirements.txt", "modelfile", "tokenizer.model"})
_SUFFIXES = {
    Role.CONFIG: "json yaml yml toml cfg ini properties jinja jinja2",
    Role.CODE: "py ipynb sh r jl go java scala ts js sql cpp cc c h hpp rs",
    Role.DOC: "md rst txt pdf html adoc bib png jpg jpeg svg",
    Role.DATASET: "csv tsv parquet jsonl ndjson arrow feather avro orc",
}
_ROLE_OF_SUFFIX = {f".{suffix}": role for role, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}


def guess_role(path: str) -> Role:
    """Return what a file is most likely for, by its name alone; `weight` when the name tells nothing."""
    name = PurePosixPath(path.casefold())
    if name.name in _CONFIG_NAMES:
        return Role.CONFIG
    if name.name.split(".", 1)[0] in _DOC_STEMS and name.suffix != ".json":
        return Role.DOC
    return _ROLE_OF_SUFFIX.get(name.suffix, Role.WEIGHT)
