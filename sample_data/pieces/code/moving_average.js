// Smooths a noisy series, for example the daily weight of a beehive on a scale.
//
// A moving average answers each question about today with the mean of the last few days. It is
// late by half of its window, and that is the price for being calm. The version below keeps a
// running sum, so that a window of a hundred days costs no more than a window of three. Missing
// days are given as null: the scale runs on a battery, and the battery does not like the cold.

function movingAverage(values, windowSize) {
  if (!Number.isInteger(windowSize) || windowSize < 1) {
    throw new RangeError(`the window must be a positive whole number, not ${windowSize}`);
  }
  const smoothed = [];
  let sum = 0;
  let known = 0;
  values.forEach((value, day) => {
    if (value !== null) {
      sum += value;
      known += 1;
    }
    // The day that has just fallen out of the window takes its weight with it.
    const leaving = values[day - windowSize];
    if (day >= windowSize && leaving !== null) {
      sum -= leaving;
      known -= 1;
    }
    // If there was no measurement in the whole window, there is nothing that we could say.
    smoothed.push(known > 0 ? sum / known : null);
  });
  return smoothed;
}

// A swarm has left the hive when the weight drops by more than two kilograms between one day and
// the next. This must be looked for in the raw values, because smoothing would hide it.
function swarmDays(values) {
  return values
    .map((value, day) => ({ day, drop: day > 0 && value !== null ? values[day - 1] - value : 0 }))
    .filter(({ drop }) => drop > 2)
    .map(({ day }) => day);
}

const kilograms = [31.2, 31.9, null, 33.0, 34.1, 31.4, 31.6, null, null, 32.5];
console.log(movingAverage(kilograms, 3).map((mean) => (mean === null ? "-" : mean.toFixed(1))));
console.log("swarmed on day", swarmDays(kilograms));
