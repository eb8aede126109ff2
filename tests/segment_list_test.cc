// Goal: the chain that readers follow without a lock is given up without one too.
// Method: threads that let go of a long chain from different places at once; under
// ThreadSanitizer any access to a node that another thread's is not ordered with fails.

#include "wal/segment_list.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace millrace {
namespace {

std::vector<std::shared_ptr<SegmentNode>> MakeChain(uint64_t segments) {
  std::vector<std::shared_ptr<SegmentNode>> nodes;
  for (uint64_t i = 1; i <= segments; ++i) nodes.push_back(std::make_shared<SegmentNode>(i, i, i));
  for (uint64_t i = 0; i + 1 < segments; ++i) nodes[i]->Seal(0, nodes[i]->number, nodes[i + 1]);
  return nodes;
}

TEST(SegmentNodeTest, GivesUpLongChainWithoutRecursion) {
  std::vector<std::shared_ptr<SegmentNode>> nodes = MakeChain(200'000);
  const std::weak_ptr<SegmentNode> last = nodes.back();
  std::shared_ptr<SegmentNode> first = nodes.front();
  nodes.clear();
  EXPECT_FALSE(last.expired());
  first = nullptr;
  EXPECT_TRUE(last.expired());
}

TEST(SegmentNodeTest, KeepsWhatComesAfterHeldNode) {
  std::vector<std::shared_ptr<SegmentNode>> nodes = MakeChain(9);
  const std::weak_ptr<SegmentNode> second = nodes[1];
  const std::weak_ptr<SegmentNode> last = nodes.back();
  std::shared_ptr<SegmentNode> held = nodes[4];
  std::shared_ptr<SegmentNode> first = nodes.front();
  nodes.clear();
  first = nullptr;
  EXPECT_TRUE(second.expired());
  EXPECT_EQ(held->next()->number, 6u);
  held = nullptr;
  EXPECT_TRUE(last.expired());
}

// As a truncation, which reads the old chain and lets go of it, beside the thread that
// gives up the dropped segments.
TEST(SegmentNodeTest, ReaderLetsGoWhileAnotherThreadGivesUpTheChain) {
  for (int round = 0; round < 200; ++round) {
    std::vector<std::shared_ptr<SegmentNode>> nodes = MakeChain(16);
    std::shared_ptr<SegmentNode> first = nodes.front();
    std::shared_ptr<SegmentNode> middle = nodes[8];
    nodes.clear();
    std::atomic<bool> go{false};
    std::thread reader([&go, node = std::move(middle)]() mutable {
      // relaxed: only makes the two threads run at once.
      while (!go.load(std::memory_order_relaxed)) std::this_thread::yield();
      while (node->sealed()) node = node->next();
    });
    std::thread owner([&go, node = std::move(first)]() mutable {
      // relaxed: as above.
      while (!go.load(std::memory_order_relaxed)) std::this_thread::yield();
      node = nullptr;
    });
    go.store(true, std::memory_order_relaxed);  // relaxed: as above
    reader.join();
    owner.join();
  }
}

}  // namespace
}  // namespace millrace
