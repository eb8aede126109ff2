"""The logs that `millrace bench` compares itself with.

LevelDB and RocksDB come from Debian's packages, which only the WORKSPACE build (Bazel 4.2.3) knows.
With MODULE.bazel the benchmark is built without them, so that nothing of Millrace needs them.
"""

# Bazel has had modules since version 6; before, native knows no module_name.
_DEBIAN = not hasattr(native, "module_name")

# Dependencies of a target that measures peers.  They define MILLRACE_HAS_LEVELDB and
# MILLRACE_HAS_ROCKSDB where the packages are installed, and nothing where they are not.
PEER_DEPS = ["@leveldb", "@rocksdb"] if _DEBIAN else []

# Likewise, of what measures the raw device with several writes in flight: MILLRACE_HAS_LIBURING.
LIBURING_DEPS = ["@liburing"] if _DEBIAN else []
