#include "tools/quickstart_demo/checks.h"

#include <numeric>
#include <string_view>

#include "absl/strings/str_format.h"
#include "tools/quickstart_demo/consumer.h"

namespace millrace {
namespace {

constexpr uint64_t kLeastPercent = 20;
constexpr uint64_t kMostPercent = 80;

Check MakeCheck(bool kept, std::string promise, std::string evidence) {
  return {kept ? Check::Result::kOk : Check::Result::kFailed, std::move(promise),
          std::move(evidence)};
}

Check CheckKill(const Workload& workload, const KillPicture& picture) {
  const uint64_t acknowledged = picture.total_acknowledged();
  return MakeCheck(KilledInTheMiddle(workload, picture),
                   "the writer was killed in the middle of its work",
                   absl::StrFormat("%d %% acknowledged, %d appends in flight",
                                   acknowledged * 100 / workload.records(),
                                   picture.total_issued() - acknowledged));
}

Check CheckRecovered(const Workload& workload, const KillPicture& picture, Oracle* oracle) {
  uint64_t missing = 0;
  uint64_t surplus = 0;
  uint64_t recovered = 0;
  for (uint32_t p = 0; p < workload.producers(); ++p) {
    const uint64_t held = oracle->recovered(p);
    recovered += held;
    if (held < picture.acknowledged[p]) missing += picture.acknowledged[p] - held;
    if (held > picture.issued[p]) surplus += held - picture.issued[p];
  }
  return MakeCheck(missing == 0 && surplus == 0,
                   "after the kill the log holds all that was acknowledged, and nothing else",
                   absl::StrFormat("%d acknowledged, %d found, %d missing, %d never issued",
                                   picture.total_acknowledged(), recovered, missing, surplus));
}

uint64_t NeverDelivered(const Workload& workload, uint32_t consumer, Oracle* oracle) {
  uint64_t missing = 0;
  for (uint32_t p = 0; p < workload.producers(); ++p) {
    for (uint64_t i = 0; i < workload.per_producer(); ++i) {
      if (oracle->deliveries(consumer, {p, i}) == 0) ++missing;
    }
  }
  return missing;
}

void CheckConsumer(const Workload& workload, uint32_t consumer, Oracle* oracle,
                   std::vector<Check>* checks) {
  const Tally& tally = oracle->tally(consumer);
  const std::string name(kConsumerNames[consumer]);
  const uint64_t missing = NeverDelivered(workload, consumer, oracle);
  checks->push_back(
      MakeCheck(missing == 0 && tally.lost == 0, name + " was given every acknowledged record",
                absl::StrFormat("%d of %d, %d reported lost", workload.records() - missing,
                                workload.records(), tally.lost)));
  checks->push_back(MakeCheck(tally.altered == 0, name + " was given them byte for byte",
                              absl::StrFormat("%d altered", tally.altered)));
  checks->push_back(MakeCheck(tally.invented == 0, name + " was given no invented record",
                              absl::StrFormat("%d invented", tally.invented)));
  checks->push_back(MakeCheck(
      tally.out_of_order == 0 && tally.renumbered == 0,
      name + " was given each producer's records in order",
      absl::StrFormat("%d out of order, %d renumbered", tally.out_of_order, tally.renumbered)));
}

Check CheckRepeats(Oracle* oracle) {
  const Tally& audit = oracle->tally(0);
  return MakeCheck(audit.repeated == 0, "audit, in one sitting, was given nothing twice",
                   absl::StrFormat("%d twice", audit.repeated));
}

Check CheckRedelivery(SequenceNumber checkpointed, SequenceNumber committed, const Tally& tally) {
  const SequenceNumber first = tally.first_of_last_sitting;
  const bool kept = tally.repeated_too_early == 0 && first > checkpointed && first <= committed + 1;
  return MakeCheck(kept, "billing, killed and restarted, was given twice only what it may be",
                   absl::StrFormat("checkpoint %d, commit %d, went on at %d, %d twice",
                                   checkpointed, committed, first, tally.repeated));
}

}  // namespace

uint64_t KillPicture::total_issued() const {
  return std::accumulate(issued.begin(), issued.end(), uint64_t{0});
}

uint64_t KillPicture::total_acknowledged() const {
  return std::accumulate(acknowledged.begin(), acknowledged.end(), uint64_t{0});
}

KillPicture PictureOf(const Workload& workload, const Oracle& oracle) {
  KillPicture picture;
  for (uint32_t p = 0; p < workload.producers(); ++p) {
    picture.issued.push_back(oracle.issued(p));
    picture.acknowledged.push_back(oracle.acknowledged(p));
  }
  return picture;
}

bool KilledInTheMiddle(const Workload& workload, const KillPicture& picture) {
  const uint64_t acknowledged = picture.total_acknowledged();
  return picture.total_issued() > acknowledged &&
         acknowledged * 100 >= kLeastPercent * workload.records() &&
         acknowledged * 100 <= kMostPercent * workload.records();
}

std::vector<Check> AllChecks(const Workload& workload, const KillPicture& picture,
                             const Tally& billing_when_killed, Oracle* oracle) {
  std::vector<Check> checks = {CheckKill(workload, picture),
                               CheckRecovered(workload, picture, oracle)};
  for (uint32_t consumer = 0; consumer < kConsumers; ++consumer) {
    CheckConsumer(workload, consumer, oracle, &checks);
  }
  checks.push_back(CheckRepeats(oracle));
  checks.push_back(CheckRedelivery(billing_when_killed.checkpointed, billing_when_killed.committed,
                                   oracle->tally(1)));
  return checks;
}

}  // namespace millrace
