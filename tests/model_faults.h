#ifndef MILLRACE_MODEL_FAULTS_H_
#define MILLRACE_MODEL_FAULTS_H_

#include <memory>
#include <span>
#include <string_view>

#include "tests/log_model_fault.h"

namespace millrace {

struct NamedModelFault {
  std::string_view name;
  std::unique_ptr<ModelFault> (*make)();
};

// Each is a wrong log, or a disk that lies, in one way.
std::span<const NamedModelFault> ModelFaults();

}  // namespace millrace

#endif  // MILLRACE_MODEL_FAULTS_H_
