#include "wal/testing/sim_state.h"

#include <fnmatch.h>

#include <algorithm>

#include "wal/check.h"

namespace millrace {

bool SimFileSystem::State::Mutates(FileOp op) {
  switch (op) {
    case FileOp::kMakeDirectory:
    case FileOp::kCreate:
    case FileOp::kWrite:
    case FileOp::kSync:
    case FileOp::kTruncate:
    case FileOp::kAllocate:
    case FileOp::kRename:
    case FileOp::kUnlink:
    case FileOp::kDirectorySync:
      return true;
    default:
      return false;
  }
}

SimFileSystem::State::Admission SimFileSystem::State::Admit(FileCall* call,
                                                            uint64_t caller_generation,
                                                            SimVerdict verdict) {
  Admission admission;
  if (!powered || caller_generation != generation) {
    admission.error = -EIO;
    return admission;
  }
  ++calls[static_cast<int>(call->op)];
  if (Mutates(call->op)) {
    call->number = ++mutating_calls;
    if (call->number == crash_at) {
      admission.last = true;
      admission.unheard = crash_moment != CrashMoment::kAfter;
      if (crash_moment == CrashMoment::kBefore) admission.error = -EIO;
    }
  }
  ApplyRules(*call, &admission);
  const bool can_pretend =
      Mutates(call->op) && call->op != FileOp::kCreate && call->op != FileOp::kMakeDirectory;
  if (verdict == SimVerdict::kPretend) admission.pretend = true;
  if (!can_pretend) admission.pretend = false;
  return admission;
}

void SimFileSystem::State::ApplyRules(const FileCall& call, Admission* admission) {
  bool acted = false;
  for (ActiveRule& active : rules) {
    const SimRule& rule = active.rule;
    if (rule.op != call.op) continue;
    if (fnmatch(rule.name.c_str(), std::string(call.name).c_str(), 0) != 0) continue;
    const uint64_t match = ++active.matches;
    if (acted || match < rule.first || match - rule.first >= rule.count) continue;
    acted = true;
    ++active.hits;
    switch (rule.action) {
      case SimRule::Action::kFail:
        if (admission->error == 0) admission->error = -rule.error;
        break;
      case SimRule::Action::kShort:
        admission->limit = rule.bytes;
        break;
      case SimRule::Action::kLosePages:
        admission->lose_pages = true;
        admission->lose_error = rule.error;
        break;
      case SimRule::Action::kPretend:
        admission->pretend = true;
        break;
    }
  }
}

void SimFileSystem::State::Record(const FileCall& call, IoResult result) {
  constexpr size_t kLogged = 256;
  if (log.size() < kLogged) {
    log.emplace_back();
    log_next = log.size() - 1;
  }
  LoggedCall& logged = log[log_next];
  logged.call = call;
  logged.name = call.name;
  logged.call.name = {};
  logged.result = result;
  log_next = (log_next + 1) % kLogged;
}

uint64_t SimFileSystem::State::Room(const SimInode& inode, uint64_t offset, uint64_t total) const {
  const uint64_t end = offset + total;
  if (!capacity.has_value() || end <= inode.cached.size()) return total;
  const uint64_t growth = end - inode.cached.size();
  const uint64_t used = disk.UsedBytes();
  const uint64_t free = *capacity > used ? *capacity - used : 0;
  if (growth <= free) return total;
  return total - std::min(total, growth - free);
}

}  // namespace millrace
