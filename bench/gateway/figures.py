"""From measured numbers to the rows of the table: pure, no clock and no process."""

import dataclasses
import statistics


@dataclasses.dataclass
class Row:
    """One line of the table; `passed` is None where there is no goal, or nothing to compare."""

    figure: str
    measured: str
    target: str = ""
    passed: bool | None = None

    def cells(self):
        return self.figure, self.measured, self.target, self.passed


@dataclasses.dataclass
class Goal:
    """A bound of a ratio. A must and a goal are both marked when they are missed."""

    bound: float
    beside: str
    at_most: bool = True
    word: str = ""

    def text(self):
        sign = "≤" if self.at_most else "≥"
        return f"{sign} {self.bound:g} × {self.beside}" + (f" ({self.word})" if self.word else "")

    def met(self, ratio):
        return ratio <= self.bound if self.at_most else ratio >= self.bound


def number(value):
    """Three digits that mean something, thousands with a comma."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values, unit=""):
    """The median and the range of all rounds."""
    if not values:
        return "nothing"
    middle = f"{number(statistics.median(values))}{unit}"
    if len(values) == 1:
        return middle
    return f"{middle} ({number(min(values))} to {number(max(values))}, {len(values)} rounds)"


def ratios(ours, theirs, floor=0.0):
    """Round by round; what lies below `floor` counts as `floor`, where only noise is."""
    return [
        max(mine, floor) / max(other, floor)
        for mine, other in zip(ours, theirs, strict=True)
        if max(other, floor) > 0
    ]


def compare(figure, values, goals, unit="", floor=0.0):
    """Rows of one measure: first what everybody reached, then one row for each goal.

    `values` maps names to the numbers of the rounds; a goal whose peer was not measured, or a
    table without `ours`, gives no verdict.
    """
    medians = "; ".join(
        f"{name} {number(statistics.median(found))}" for name, found in values.items() if found
    )
    rows = [Row(f"{figure}{f', {unit}' if unit else ''}", medians)]
    ours = values.get("ours")
    for goal in goals:
        title = f"{figure}: ours beside {goal.beside}"
        theirs = values.get(goal.beside)
        if not ours or not theirs:
            missing = "ours" if not ours else goal.beside
            rows.append(Row(title, f"not measured: no {missing}", goal.text()))
            continue
        found = ratios(ours, theirs, floor)
        if not found:
            rows.append(Row(title, f"no ratio: {goal.beside} has 0", goal.text()))
            continue
        passed = goal.met(statistics.median(found))
        rows.append(Row(title, spread(found), goal.text(), passed))
    return rows


def highest(steps, fits):
    """The largest of the ascending `steps` that fits, when all below it fit too; 0 if none does.

    Asks about log2(len(steps)) of them. `fits` is noisy on a busy machine: a step that does not
    fit is asked about once more before it counts.
    """
    low, high = -1, len(steps) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if fits(steps[middle]) or fits(steps[middle]):
            low = middle
        else:
            high = middle - 1
    return steps[low] if low >= 0 else 0


def growth(samples):
    """How much a series of sizes grew, from its second quarter to its last: medians, not ends."""
    quarter = len(samples) // 4
    if quarter == 0:
        return 0
    early = statistics.median(samples[quarter : 2 * quarter])
    return statistics.median(samples[-quarter:]) - early


def hit_rates(answered, asked_upstream, distinct):
    """The share of answers that the upstream did not give, and the best that a cache can do."""
    if answered <= 0:
        return 0.0, 0.0
    return max(0.0, 1 - asked_upstream / answered), 1 - distinct / answered


def turns(names, rounds):
    """Who is measured when: everybody once a round, beginning with another one each time."""
    for at in range(rounds):
        shift = at % len(names) if names else 0
        yield from names[shift:] + names[:shift]
