// What one step is asked to do: the options of a group, and one parameter of it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace {

using at::BFloat16;
using at::Half;
using at::ScalarType;
using at::Tensor;

// What one of param_groups says.
struct Rule {
  double lr, alpha, eps_inside, eps_outside, weight_decay, momentum;  // lr: NaN if it is on another device
  bool decays, maximize, centered, stochastic;
};

struct Job;
using UpdateRange = void (*)(const Job&, int64_t begin, int64_t end);

// One parameter. The tensors are Python's, which keeps them alive. Absent state is null.
struct Job {
  const Rule* rule;
  c10::TensorImpl* parameter;
  const Tensor *step, *tensors[5];  // of the latter, those that the state lacks are null
  void *p, *g, *s, *a, *b;  // elements that lie side by side; those of g are only read, but for a scale
  int64_t size;
  double scale;  // of the gradient, 1 for none
  bool stochastic;
  uint32_t seed;
  UpdateRange update;
};

}  // namespace
