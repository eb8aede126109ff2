#include "bench/compare/interval.h"

#include <algorithm>
#include <cmath>

namespace millrace {
namespace {

// P(Binomial(n, 1/2) < k).
double BelowInCoinTosses(size_t n, size_t k) {
  double term = std::pow(0.5, static_cast<double>(n));
  double sum = 0;
  for (size_t i = 0; i < k; ++i) {
    sum += term;
    term = term * static_cast<double>(n - i) / static_cast<double>(i + 1);
  }
  return sum;
}

}  // namespace

double MedianOf(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Interval MedianInterval(std::vector<double> values, double confidence) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  size_t k = 1;
  while (2 * (k + 1) <= n + 1 && 1 - 2 * BelowInCoinTosses(n, k + 1) >= confidence) ++k;
  return {.median = MedianOf(values),
          .low = values[k - 1],
          .high = values[n - k],
          .confidence = std::max(0.0, 1 - 2 * BelowInCoinTosses(n, k))};
}

std::vector<double> PairedRatios(std::span<const double> ours, std::span<const double> reference) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(ours.size(), reference.size()); ++i) {
    if (ours[i] > 0 && reference[i] > 0) ratios.push_back(ours[i] / reference[i]);
  }
  return ratios;
}

}  // namespace millrace
