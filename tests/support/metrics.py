"""Reads Prometheus text."""

import re

_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Metrics:
    """The samples of one scrape."""

    def __init__(self, text):
        self.text = text
        self.samples = []  # (name, labels, value)
        self.types = {}  # family name to type
        self.help = {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(None, 3)
                self.types[name] = kind
            elif line.startswith("# HELP "):
                _, _, name, words = line.split(None, 3)
                self.help[name] = words
            elif line and not line.startswith("#"):
                match = _SAMPLE.match(line)
                if match is None:
                    raise AssertionError(f"not a Prometheus sample: {line!r}")
                labels = dict(_LABEL.findall(match.group(2) or ""))
                self.samples.append((match.group(1), labels, float(match.group(3))))

    def value(self, name, **labels):
        """The sum over all series of `name` that carry these labels; 0 when there is none."""
        return sum(
            value
            for found, has, value in self.samples
            if found == name and all(has.get(key) == text for key, text in labels.items())
        )

    def families(self):
        return sorted(self.types)
