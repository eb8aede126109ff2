#include "wal/testing/sim_state.h"

#include <fnmatch.h>

#include <algorithm>
#include <cstring>

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
    if (call->number == crash_at) Crash(crash_moment, &admission);
  }
  if (!rules.empty()) ApplyRules(*call, &admission);
  if (read_only && Mutates(call->op) && admission.error == 0) {
    admission.error = -EROFS;
    ++faults.read_only;
  }
  const bool can_pretend =
      Mutates(call->op) && call->op != FileOp::kCreate && call->op != FileOp::kMakeDirectory;
  if (verdict == SimVerdict::kPretend) admission.pretend = true;
  if (!can_pretend) admission.pretend = false;
  if (admission.pretend && admission.error == 0) ++faults.pretended;
  return admission;
}

void SimFileSystem::State::ApplyRules(const FileCall& call, Admission* admission) {
  bool acted = false;
  const std::string name(call.name);
  for (ActiveRule& active : rules) {
    if (active.rule.op != call.op || fnmatch(active.rule.name.c_str(), name.c_str(), 0) != 0) {
      continue;
    }
    ++active.matches;
    const bool delays = active.rule.action == SimRule::Action::kDelay;
    if ((acted && !delays) || !IsDue(&active)) continue;
    acted = acted || !delays;
    ++active.hits;
    Act(active.rule, admission);
  }
}

bool SimFileSystem::State::IsDue(ActiveRule* active) {
  const SimRule& rule = active->rule;
  if (active->matches < rule.first) return false;
  if (rule.one_in <= 1) return active->matches - rule.first < rule.count;
  return active->hits < rule.count && rule_random.OneIn(rule.one_in);
}

void SimFileSystem::State::Act(const SimRule& rule, Admission* admission) {
  switch (rule.action) {
    case SimRule::Action::kFail:
      if (admission->error == 0) admission->error = -rule.error;
      ++faults.failed;
      return;
    case SimRule::Action::kShort:
      admission->limit = rule.bytes;
      return;
    case SimRule::Action::kLosePages:
      admission->lose_pages = true;
      admission->lose_error = rule.error;
      return;
    case SimRule::Action::kPretend:
      admission->pretend = true;
      return;
    case SimRule::Action::kLimit:
      admission->end = rule.bytes;
      admission->end_error = rule.error;
      return;
    case SimRule::Action::kCorrupt:
      admission->corrupt_bits = rule.bits;
      return;
    case SimRule::Action::kDelay:
      admission->delayed = true;
      admission->delay += rule.delay;
      ++faults.delays;
      return;
    case SimRule::Action::kCrashBefore:
      return Crash(CrashMoment::kBefore, admission);
    case SimRule::Action::kCrashInside:
      return Crash(CrashMoment::kInside, admission);
    case SimRule::Action::kCrashAfter:
      return Crash(CrashMoment::kAfter, admission);
  }
}

void SimFileSystem::State::Crash(CrashMoment moment, Admission* admission) {
  admission->last = true;
  admission->unheard = moment != CrashMoment::kAfter;
  if (moment == CrashMoment::kBefore) admission->error = -EIO;
  ++faults.crashes;
}

void SimFileSystem::State::Record(const FileCall& call, IoResult result) {
  constexpr size_t kLogged = 256;
  if (log.size() < kLogged) {
    if (log.empty()) log.reserve(64);
    log.emplace_back();
    log_next = log.size() - 1;
  }
  LoggedCall& logged = log[log_next];
  logged.call = call;
  const size_t length = std::min(call.name.size(), logged.name.size() - 1);
  memcpy(logged.name.data(), call.name.data() + (call.name.size() - length), length);
  logged.name[length] = '\0';
  logged.call.name = {};
  logged.result = result;
  log_next = (log_next + 1) % kLogged;
}

IoResult SimFileSystem::State::Room(const SimInode& inode, uint64_t offset, uint64_t total,
                                    const Admission& admission) {
  uint64_t room = total;
  if (total > admission.end || offset > admission.end - total) {
    room = admission.end > offset ? admission.end - offset : 0;
    ++faults.limited;
    if (room == 0) return -admission.end_error;
  }
  const uint64_t end = offset + room;
  if (!capacity.has_value() || end <= inode.cached.size()) return static_cast<IoResult>(room);
  const uint64_t growth = end - inode.cached.size();
  const uint64_t used = disk.UsedBytes();
  const uint64_t free = *capacity > used ? *capacity - used : 0;
  if (growth <= free) return static_cast<IoResult>(room);
  ++faults.full;
  room -= std::min(room, growth - free);
  return room == 0 ? -ENOSPC : static_cast<IoResult>(room);
}

void SimFileSystem::State::CorruptRead(uint32_t bits, std::span<char> bytes) {
  if (bits == 0 || bytes.empty()) return;
  ++faults.corrupted_reads;
  for (uint32_t i = 0; i < bits; ++i) {
    char& byte = bytes[rule_random.Below(bytes.size())];
    byte = static_cast<char>(byte ^ (1 << rule_random.Below(8)));
    ++faults.flipped_bits;
  }
}

}  // namespace millrace
