#include "engine/llama/perplexity.hpp"

namespace deepseek::engine::llama {
namespace {

// Prose, letters, lists and code, so that many kinds of what a model knows are asked for. What is
// measured with one text is not comparable with what was measured with another.
constexpr std::string_view text = R"(
The harbour master kept two books. In the first he wrote what came in: timber from the north,
salt, oranges in thin paper, and once a piano that nobody had ordered. In the second he wrote
the weather, because he believed that the one explained the other. When the wind stood in the
east for more than three days, ships waited outside the bar and the price of bread rose by a
tenth; when it turned, everything came at once and the porters slept on the quay. His daughter,
who could add faster than he could read, noticed that the pages did not agree. Seven crates of
tea had been unloaded on the ninth of March, but only six had left the warehouse, and the rats,
she said, do not drink tea.

To compute the mean of a list, add its elements and divide the sum by their number. The median
is less easily moved by a single large value: sort the list and take the element in the middle,
or the mean of the two in the middle when their number is even.

```python
def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2 == 1:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
```

Water boils at a lower temperature on a mountain than at the sea, since the air above it weighs
less. A cook who moves from the coast to a village at three thousand metres finds that beans
stay hard, that bread rises quickly and dries out, and that tea never tastes as it did. None of
this is in the recipe. The recipe says only: boil until done.

Dear Mrs. Alvarez, thank you for your letter of 14 May. We are sorry that the lamp arrived with
a broken shade. A new one will leave our workshop on Friday and should reach you within a week;
you need not send back the old one. If anything else is missing, please write to us with the
number of your order, and we will see to it at once. Yours sincerely, the office.

The first railway in the valley was built to carry stone, not people. It ran for eleven miles
from the quarry to the canal, and on the way down the loaded wagons pulled the empty ones up by
a rope over a drum. Nobody thought of passengers until the summer of the great fair, when the
owner put benches into six wagons and sold tickets at a penny. He took more money in three days
than the stone had earned in a month. By the next spring there was a timetable, a bell, and a
man in a blue coat who was paid to shout the names of the stations, of which there were two.

Question: A train leaves at 9:40 and arrives at 12:05. How long does the journey take? Answer:
From 9:40 to 12:00 is two hours and twenty minutes, and five minutes more make two hours and
twenty-five minutes.

Question: Which is larger, three fifths or five eighths? Answer: Write both with the same
denominator. Three fifths are twenty-four fortieths, five eighths are twenty-five fortieths, so
five eighths are larger.

Bees find their way home by the sun, and on cloudy days by the pattern of its light in the sky,
which they can see and we cannot. A worker that has found a good field dances on the comb when
she returns. The angle of her dance to the vertical is the angle between the field and the sun;
how long she waggles tells how far it is. The others do not see this in the dark of the hive.
They follow her with their feelers, learn the dance by touch, and fly.

```c
/* Returns the greatest common divisor of two numbers, of which at least one is not zero. */
unsigned gcd(unsigned a, unsigned b) {
  while (b != 0) {
    unsigned rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}
```

In the kitchen of the old inn hung a clock that had stopped at ten past four. Guests asked about
it, and each of the three sisters told another story. The eldest said that it had stopped when
their father died. The second said that it had never run, and that he had bought it for the
painted ships on its face. The youngest said nothing, but once a year, on a night in November,
she took it down, cleaned the glass with vinegar, and moved the hands forward by a minute.

Minutes of the meeting of 3 June. Present: Mr. Okafor (chair), Ms. Lind, Mr. Petrov, Dr. Haas.
1. The minutes of the last meeting were approved. 2. Ms. Lind reported that the roof of the
library will be repaired in July. The cost is within the budget. The reading room stays open;
the archive will be closed for two weeks. 3. Mr. Petrov asked whether the library could lend
tools as well as books. It was agreed to try this with drills, ladders and a sewing machine, for
six months. 4. The next meeting is on 1 July at five o'clock.

Light takes a little more than eight minutes to come from the sun to the earth, and about four
hours to reach Neptune. When we look at the nearest star beyond the sun, we see it as it was
more than four years ago. The farther we look, the older is what we see, so that a telescope is
also a kind of memory: somewhere in its mirror there is light that left its galaxy before there
were people, before there were trees, before there was an earth for it to fall upon.

How to plant a tree. Dig a hole twice as wide as the roots and no deeper than they are. Loosen
the soil at the sides with a fork. Set the tree in the hole so that the mark of the old soil on
its trunk is level with the ground, fill in the earth a little at a time, and press it down with
your foot. Drive a stake on the side from which the wind comes, and tie the trunk to it loosely.
Water it well, and again every week in the first summer if there is no rain.

She had been told that the desert was empty, and for the first two days she believed it. On the
third she began to see. There were tracks like stitches where a beetle had crossed the sand in
the night, and a hollow under a stone where a fox had waited for it. The plants that looked dead
were only patient; one of them, no larger than a hand, was older than the road. On the last
evening a cloud the size of a coat came over the hills, rained for as long as it takes to drink
a cup of coffee, and was gone. In the morning the whole plain was yellow with flowers.

The parliament met on Tuesday to vote on the new law on fishing. It forbids nets with meshes
narrower than nine centimetres and closes the northern bay for two months each spring. Fishermen
from the islands had protested against an earlier draft, which would have closed it for half a
year. "We can live with two months," said their speaker after the vote. "The cod can too, I
hope." The law comes into force in January.

To repair a bicycle tyre you need two levers, a pump, sandpaper, glue and a patch. Take off the
wheel and press out all the air. Lift one side of the tyre over the rim with the levers and pull
out the tube. Pump it up a little and hold it under water: where bubbles rise, there is the
hole. Dry it, roughen the place with the sandpaper, spread a thin layer of glue, and wait for
five minutes before you press the patch upon it. Before you put the tube back, feel along the
inside of the tyre with your fingers. What made the hole may still be there.

{"order": 20417, "customer": {"name": "Ines Duarte", "city": "Porto"}, "items": [{"name":
"lamp", "count": 2, "price": 34.5}, {"name": "shade", "count": 2, "price": 12.0}], "total":
93.0, "paid": true}

My grandfather said that there are two kinds of carpenters, those who measure and those who
look. He belonged to the second kind and was proud of it, though every table he made stood on
three legs and a folded newspaper. When he was old he made one for me. He measured every board
four times, wrote the numbers on the wall, and would not let anybody sweep the floor until he
was done. It stands without a newspaper. I have never told him that it is a little too high.

An hour has sixty minutes because the people who first divided it counted in sixties, and they
counted in sixties because sixty can be shared among two, three, four, five or six without a
rest. Ten can be shared only among two and five. Had they had six fingers on each hand, we might
count in dozens, and nobody would find it strange that a foot has twelve inches.
)";

}  // namespace

std::string_view sample_text() {
  return text.substr(1);
}

}  // namespace deepseek::engine::llama
