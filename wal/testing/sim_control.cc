// What a test does to a SimFileSystem from outside: crashes, images, faults,
// damage at rest, and looking.

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "millrace/testing/sim_file_system.h"
#include "wal/check.h"
#include "wal/io_status.h"
#include "wal/testing/sim_state.h"

namespace millrace {
namespace {

using Lock = std::lock_guard<std::mutex>;

// The directory and the name in "directory/name".
std::pair<std::string_view, std::string_view> SplitPath(std::string_view path) {
  const size_t slash = path.rfind('/');
  WAL_CHECK(slash != std::string_view::npos);
  return {slash == 0 ? path.substr(0, 1) : path.substr(0, slash), path.substr(slash + 1)};
}

enum class Side : uint8_t { kCached, kDurable };

SimInode* Find(const SimDisk& disk, std::string_view path, Side side) {
  const auto [parent, name] = SplitPath(path);
  const auto directory = disk.directories.find(parent);
  if (directory == disk.directories.end()) return nullptr;
  const SimEntries& entries =
      side == Side::kCached ? directory->second.cached : directory->second.durable;
  const auto found = entries.find(name);
  return found == entries.end() ? nullptr : found->second.get();
}

SimInode& MustFind(const SimDisk& disk, std::string_view path) {
  SimInode* inode = Find(disk, path, Side::kCached);
  WAL_CHECK(inode != nullptr);
  return *inode;
}

}  // namespace

SimFileSystem::SimFileSystem(const SimOptions& options)
    : SimFileSystem(std::make_unique<State>(options)) {}
SimFileSystem::SimFileSystem(const SimScript& script) : SimFileSystem(script.options) {
  for (const SimRule& rule : script.rules) AddRule(rule);
  SetCapacity(script.capacity);
}
SimFileSystem::SimFileSystem(std::unique_ptr<State> state) : state_(std::move(state)) {
  WAL_CHECK(state_->options.sector_bytes == 512 || state_->options.sector_bytes == 4096);
}
SimFileSystem::~SimFileSystem() = default;

void SimFileSystem::CrashAt(uint64_t number, CrashMoment moment) {
  const Lock lock(state_->mutex);
  WAL_CHECK_GT(number, 0u);
  state_->crash_at = state_->mutating_calls + number;
  state_->crash_moment = moment;
}

void SimFileSystem::CutPower() {
  const Lock lock(state_->mutex);
  state_->powered = false;
}

bool SimFileSystem::powered() const {
  const Lock lock(state_->mutex);
  return state_->powered;
}

void SimFileSystem::PowerOn(ImageId id) {
  const Lock lock(state_->mutex);
  state_->disk = state_->disk.CrashImage(state_->options, id, nullptr);
  state_->powered = true;
  state_->read_only = false;
  state_->crash_at = 0;
  ++state_->generation;
  ++state_->boots;
}

void SimFileSystem::KillProcess() {
  const Lock lock(state_->mutex);
  ++state_->generation;
  for (auto& [path, directory] : state_->disk.directories) {
    for (auto& [name, inode] : directory.cached) {
      inode->exclusive_holder = 0;
      inode->shared_holders.clear();
    }
  }
}

std::unique_ptr<SimFileSystem> SimFileSystem::CrashImage(ImageId id, DamageCounts* damage) const {
  const Lock lock(state_->mutex);
  auto image = std::make_unique<State>(state_->options);
  image->disk = state_->disk.CrashImage(state_->options, id, damage);
  image->random = state_->random;
  image->boots = state_->boots + 1;
  return std::unique_ptr<SimFileSystem>(new SimFileSystem(std::move(image)));
}

uint64_t SimFileSystem::PendingUnits() const {
  const Lock lock(state_->mutex);
  return state_->disk.PendingUnits(state_->options);
}

uint64_t SimFileSystem::ForEachCrashImage(uint64_t budget, uint64_t seed, const ImageVisitor& visit,
                                          DamageCounts* damage) const {
  constexpr uint64_t kExhaustiveUnits = 10;
  if (budget == 0) return 0;
  uint64_t visited = 0;
  const auto show = [&](ImageId id) {
    const std::unique_ptr<SimFileSystem> image = CrashImage(id, damage);
    visit(*image, id);
    ++visited;
  };
  const uint64_t units = PendingUnits();
  if (units == 0) {
    show(kSubsetImage);
    return visited;
  }
  if (units <= kExhaustiveUnits && (uint64_t{1} << units) <= budget) {
    for (uint64_t mask = 0; mask < (uint64_t{1} << units); ++mask) show(kSubsetImage | mask);
  }
  SimRandom seeds(seed);
  while (visited < budget) show(seeds.Next() & ~kSubsetImage);
  return visited;
}

std::unique_ptr<SimFileSystem> SimFileSystem::Clone() const {
  const Lock lock(state_->mutex);
  auto clone = std::make_unique<State>(state_->options);
  clone->disk = state_->disk.Clone();
  clone->random = state_->random;
  clone->boots = state_->boots;
  // Pending operations carry the numbers of their calls; later ones come after.
  clone->mutating_calls = state_->mutating_calls;
  clone->capacity = state_->capacity;
  clone->read_only = state_->read_only;
  return std::unique_ptr<SimFileSystem>(new SimFileSystem(std::move(clone)));
}

uint64_t SimFileSystem::Hash() const {
  const Lock lock(state_->mutex);
  return state_->disk.Hash();
}

int SimFileSystem::AddRule(const SimRule& rule) {
  const Lock lock(state_->mutex);
  state_->rules.push_back({.rule = rule});
  return static_cast<int>(state_->rules.size()) - 1;
}

void SimFileSystem::ClearRules() {
  const Lock lock(state_->mutex);
  state_->rules.clear();
}

uint64_t SimFileSystem::RuleHits(int rule) const {
  const Lock lock(state_->mutex);
  WAL_CHECK_LT(static_cast<size_t>(rule), state_->rules.size());
  return state_->rules[static_cast<size_t>(rule)].hits;
}

void SimFileSystem::SetHook(Hook hook) {
  const Lock lock(state_->mutex);
  state_->hook = hook == nullptr ? nullptr : std::make_shared<const Hook>(std::move(hook));
}

void SimFileSystem::SetCapacity(std::optional<uint64_t> bytes) {
  const Lock lock(state_->mutex);
  state_->capacity = bytes;
}

void SimFileSystem::SetDelay(Delay delay) {
  const Lock lock(state_->mutex);
  state_->delay = delay == nullptr ? nullptr : std::make_shared<const Delay>(std::move(delay));
}

FaultCounts SimFileSystem::Faults() const {
  const Lock lock(state_->mutex);
  return state_->faults;
}

SimScript SimFileSystem::Script() const {
  const Lock lock(state_->mutex);
  SimScript script{.options = state_->options, .capacity = state_->capacity, .rules = {}};
  for (const State::ActiveRule& active : state_->rules) script.rules.push_back(active.rule);
  return script;
}

void SimFileSystem::FlipBit(const std::string& path, uint64_t offset, int bit) {
  const Lock lock(state_->mutex);
  SimInode& inode = MustFind(state_->disk, path);
  WAL_CHECK_LT(offset, inode.cached.size());
  const bool shared = &inode.cached.get() == &inode.durable.get();
  std::string& bytes = inode.cached.Mutable();
  bytes[offset] = static_cast<char>(bytes[offset] ^ (1 << bit));
  if (shared) {
    inode.durable = inode.cached;
  } else if (offset < inode.durable.size()) {
    std::string& durable = inode.durable.Mutable();
    durable[offset] = static_cast<char>(durable[offset] ^ (1 << bit));
  }
}

void SimFileSystem::WriteFileBytes(const std::string& path, std::string_view bytes) {
  const Lock lock(state_->mutex);
  const auto [parent, name] = SplitPath(path);
  SimDirectoryState& directory = state_->disk.directories[std::string(parent)];
  std::shared_ptr<SimInode>& inode = directory.cached[std::string(name)];
  if (inode == nullptr) {
    inode = std::make_shared<SimInode>();
    inode->id = state_->disk.next_inode++;
  }
  inode->cached = inode->durable = SimBytes(std::string(bytes));
  inode->pending.clear();
  inode->phantom = false;
  std::erase_if(directory.pending, [&](const auto& entry) { return entry.inode == inode; });
  directory.durable[std::string(name)] = inode;
}

void SimFileSystem::DeleteFile(const std::string& path) {
  const Lock lock(state_->mutex);
  const auto [parent, name] = SplitPath(path);
  MustFind(state_->disk, path);
  SimDirectoryState& directory = state_->disk.directories.find(parent)->second;
  const auto found = directory.cached.find(name);
  const std::shared_ptr<SimInode> inode = found->second;
  directory.cached.erase(found);
  const auto is_it = [&](const auto& entry) { return entry.second == inode; };
  std::erase_if(directory.durable, is_it);
  std::erase_if(directory.pending, [&](const auto& entry) { return entry.inode == inode; });
}

void SimFileSystem::SetLinkCount(const std::string& path, uint64_t links) {
  const Lock lock(state_->mutex);
  MustFind(state_->disk, path).links = links;
}

std::optional<std::string> SimFileSystem::ReadFileBytes(const std::string& path) const {
  const Lock lock(state_->mutex);
  const SimInode* inode = Find(state_->disk, path, Side::kCached);
  if (inode == nullptr) return std::nullopt;
  return inode->cached.get();
}

std::optional<std::string> SimFileSystem::ReadDurableBytes(const std::string& path) const {
  const Lock lock(state_->mutex);
  const SimInode* inode = Find(state_->disk, path, Side::kDurable);
  if (inode == nullptr) return std::nullopt;
  return inode->durable.get();
}

std::vector<std::string> SimFileSystem::FileNames(const std::string& directory) const {
  const Lock lock(state_->mutex);
  std::vector<std::string> names;
  const auto found = state_->disk.directories.find(directory);
  if (found == state_->disk.directories.end()) return names;
  for (const auto& [name, inode] : found->second.cached) names.push_back(name);
  return names;
}

uint64_t SimFileSystem::MutatingCalls() const {
  const Lock lock(state_->mutex);
  return state_->mutating_calls;
}

uint64_t SimFileSystem::Calls(FileOp op) const {
  const Lock lock(state_->mutex);
  return state_->calls[static_cast<size_t>(op)];
}

std::string SimFileSystem::Describe() const {
  const Lock lock(state_->mutex);
  std::string text;
  for (size_t i = 0; i < state_->log.size(); ++i) {
    const State::LoggedCall& logged = state_->log[(state_->log_next + i) % state_->log.size()];
    absl::StrAppendFormat(&text, "#%d %s %s at %d, %d bytes: ", logged.call.number,
                          FileOpName(logged.call.op), logged.name.data(), logged.call.offset,
                          logged.call.bytes);
    if (logged.result < 0) {
      absl::StrAppendFormat(&text, "%s\n", ErrnoName(static_cast<int>(-logged.result)));
    } else {
      absl::StrAppendFormat(&text, "%d\n", logged.result);
    }
  }
  return text;
}

}  // namespace millrace
