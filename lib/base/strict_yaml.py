"""YAML that refuses a key given twice, where plain YAML would silently keep the last."""

from pathlib import Path

import yaml

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # C reads ten times faster


class _Strict(Loader):
    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read(path: str | Path) -> dict:
    """A file that holds names with values; ValueError names the file if it is missing, damaged, or has a key twice."""
    try:
        return loads(Path(path).read_text(encoding="utf-8"), str(path))
    except FileNotFoundError as error:
        raise ValueError(f"{path} does not exist") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error


def loads(text: str, name: str) -> dict:
    """As `read`, for a text; `name` is what a message calls it."""
    try:
        value = yaml.load(text, Loader=_Strict)
    except yaml.YAMLError as error:
        raise ValueError(f"{name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{name} holds {type(value).__name__}, expected names with values")
    return value
