#ifndef MILLRACE_BENCH_COMPARE_INTERVAL_H_
#define MILLRACE_BENCH_COMPARE_INTERVAL_H_

#include <cstddef>
#include <span>
#include <vector>

namespace millrace {

// The median of some rounds, and between what bounds the true one lies.
//
// The bounds are two of the values themselves, in order of size: whatever the distribution, the
// median of it lies between the k-th lowest and the k-th highest of n values with the probability
// 1 - 2 P(Binomial(n, 1/2) < k). Taken is the largest k that keeps the confidence asked for: of 7
// values the lowest and the highest (98.4 %), of 9 the second from each end (96.1 %). Below 6
// values nothing reaches 95 %; the bounds are then the extremes, and `confidence` says what
// that is worth.
struct Interval {
  double median = 0;
  double low = 0;
  double high = 0;
  double confidence = 0;
};

inline constexpr double kConfidence = 0.95;

// The middle value, or the mean of the middle two; 0 of none.
double MedianOf(std::vector<double> values);

// All zero of none.
Interval MedianInterval(std::vector<double> values, double confidence = kConfidence);

// ours[i] / reference[i], round by round, as far as both go; rounds in which either is not above 0
// are left out. What a busy machine does to one round it does to both, so that pairs vary less
// than rounds.
std::vector<double> PairedRatios(std::span<const double> ours, std::span<const double> reference);

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_INTERVAL_H_
