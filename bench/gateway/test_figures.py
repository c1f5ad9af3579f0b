"""Tests of the pure parts of the driver."""

import unittest

from gateway import figures
from gateway.figures import Goal, Row


class Compare(unittest.TestCase):
    def test_ratio_and_verdict(self):
        values = {"ours": [10.0, 20.0, 30.0], "envoy": [20.0, 20.0, 20.0]}
        rows = figures.compare("time", values, [Goal(0.9, "envoy"), Goal(1.1, "envoy")], "µs")
        self.assertEqual(rows[0], Row("time, µs", "ours 20.0; envoy 20.0"))
        self.assertEqual(rows[1].measured, "1.00 (0.50 to 1.50, 3 rounds)")
        self.assertEqual([rows[1].passed, rows[2].passed], [False, True])
        self.assertEqual(rows[1].target, "≤ 0.9 × envoy")

    def test_higher_is_better(self):
        values = {"ours": [30.0], "nginx": [20.0]}
        row = figures.compare("rate", values, [Goal(1.4, "nginx", at_most=False, word="must")])[1]
        self.assertEqual((row.target, row.passed), ("≥ 1.4 × nginx (must)", True))

    def test_no_verdict_without_both(self):
        for values in ({"envoy": [1.0]}, {"ours": [1.0]}, {"ours": [1.0], "envoy": []}):
            row = figures.compare("time", values, [Goal(1, "envoy")])[1]
            self.assertIsNone(row.passed)
            self.assertIn("not measured", row.measured)

    def test_floor_hides_noise(self):
        self.assertEqual(figures.ratios([-3.0, 40.0], [1.0, -5.0], floor=20.0), [1.0, 2.0])
        self.assertEqual(figures.ratios([1.0], [0.0]), [])


class Highest(unittest.TestCase):
    def test_finds_every_edge_in_few_questions(self):
        steps = list(range(100, 4100, 100))
        for edge in (0, 100, 1900, 4000, 9000):
            asked = []

            def fits(rate, edge=edge, asked=asked):
                asked.append(rate)
                return rate <= edge

            self.assertEqual(figures.highest(steps, fits), min(edge, 4000))
            self.assertLessEqual(len(asked), 12)

    def test_one_bad_answer_is_forgiven(self):
        answers = iter([False, True, True, True, True, True, True, True])
        self.assertEqual(figures.highest([1, 2, 3, 4], lambda _: next(answers)), 4)


class Others(unittest.TestCase):
    def test_growth_ignores_the_start_and_single_peaks(self):
        self.assertEqual(figures.growth([1, 5, 9, 9, 9, 9, 9, 50]), 20.5)
        self.assertEqual(figures.growth([10, 20, 30, 30, 30, 30, 30, 31, 30, 30, 99, 30]), 0)
        self.assertEqual(figures.growth([3, 4]), 0)

    def test_hit_rates(self):
        self.assertEqual(figures.hit_rates(100, 25, 20), (0.75, 0.8))
        self.assertEqual(figures.hit_rates(0, 0, 0), (0.0, 0.0))

    def test_everybody_takes_turns(self):
        self.assertEqual(list(figures.turns(["a", "b"], 3)), ["a", "b", "b", "a", "a", "b"])
        self.assertEqual(list(figures.turns([], 3)), [])

    def test_numbers(self):
        shown = [figures.number(value) for value in (0.456, 45.64, 456.4, 45640)]
        self.assertEqual(shown, ["0.46", "45.6", "456", "45,640"])


if __name__ == "__main__":
    unittest.main()
