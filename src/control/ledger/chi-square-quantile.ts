/**
 * The value that a chi-square variable of `degrees` degrees of freedom doesn't exceed with the probability `p`, to about 12 digits. Only
 * even degrees (2, 4, …): for those the distribution is a sum of Poisson terms (NIST Engineering Statistics Handbook, 1.3.6.6.6), and the
 * intervals of failure rates need no others.
 */
export function chiSquareQuantile(p: number, degrees: number): number {
  let low = 0
  let high = 2 * degrees + 100
  // Each halving gives a bit; there are 53 to be had.
  for (let step = 0; step < 64; step += 1) {
    const middle = (low + high) / 2
    if (1 - poissonUpTo(degrees / 2 - 1, middle / 2) < p) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** The probability of at most `count` events where `mean` are expected. Terms by their logarithms: e^-1000 is no number here. */
function poissonUpTo(count: number, mean: number): number {
  let logarithm = -mean
  let sum = Math.exp(logarithm)
  for (let events = 1; events <= count; events += 1) {
    logarithm += Math.log(mean / events)
    sum += Math.exp(logarithm)
  }
  return sum
}
