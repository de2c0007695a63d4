// From the param_groups and the state of an optimizer to jobs.
#pragma once

#include <Python.h>

#include <torch/csrc/DynamicTypes.h>
#include <torch/csrc/Exceptions.h>
#include <torch/csrc/autograd/python_variable.h>
#include <torch/csrc/utils/object_ptr.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>

#include "cpu_update.h"

namespace {

// The keys of param_groups and state, made once.
struct Keys {
#define KEY(name) PyObject* name = PyUnicode_InternFromString(#name);
  KEY(params) KEY(lr) KEY(alpha) KEY(eps) KEY(weight_decay) KEY(momentum) KEY(centered) KEY(maximize)
  KEY(capturable) KEY(eps_inside_sqrt) KEY(stochastic_rounding)
  KEY(step) KEY(square_avg) KEY(grad_avg) KEY(momentum_buffer)
#undef KEY
};

PyObject* item(PyObject* dict, PyObject* key) {
  PyObject* found = PyDict_GetItemWithError(dict, key);
  if (found == nullptr) {
    if (!PyErr_Occurred()) {
      PyErr_SetObject(PyExc_KeyError, key);
    }
    throw python_error();
  }
  return found;
}

double number(PyObject* dict, PyObject* key) {
  PyObject* found = item(dict, key);
  if (THPVariable_Check(found)) {
    return THPVariable_Unpack(found).item().toDouble();
  }
  const double value = PyFloat_AsDouble(found);
  if (value == -1 && PyErr_Occurred()) {
    throw python_error();
  }
  return value;
}

bool flag(PyObject* dict, PyObject* key) {
  const int value = PyObject_IsTrue(item(dict, key));
  if (value < 0) {
    throw python_error();
  }
  return value != 0;
}

Rule rule_of(PyObject* group, const Keys& keys) {
  // A scheduler may set anything; NaN is out of every range.
  const auto least = [&](const char* words, PyObject* key) {
    const double value = number(group, key);
    TORCH_CHECK_VALUE(value >= 0, "Invalid ", words, ": ", value);
    return value;
  };
  const double eps = least("epsilon value", keys.eps), alpha = least("alpha value", keys.alpha);
  TORCH_CHECK_VALUE(alpha < 1, "Invalid alpha value: ", alpha);
  const bool inside = flag(group, keys.eps_inside_sqrt);
  PyObject* lr = item(group, keys.lr);
  const bool elsewhere = THPVariable_Check(lr) && !THPVariable_Unpack(lr).is_cpu();
  TORCH_CHECK_VALUE(!elsewhere || THPVariable_Unpack(lr).numel() == 1, "Tensor lr must be 1-element");
  const double rate = elsewhere ? std::numeric_limits<double>::quiet_NaN() : least("learning rate", keys.lr);
  const double weight_decay = least("weight_decay value", keys.weight_decay);
  const double momentum = least("momentum value", keys.momentum);
  return {
      rate,
      alpha,
      inside ? eps : 0,
      inside ? 0 : eps,
      weight_decay,
      momentum,
      weight_decay != 0,
      flag(group, keys.maximize),
      flag(group, keys.centered),
      flag(group, keys.stochastic_rounding),
  };
}

// A tensor with memory of its own on the device that holds its values as they are.
bool plain(const Tensor& tensor, c10::Device device = at::kCPU) {
  using c10::DispatchKey;
  static constexpr c10::DispatchKeySet other(
      {DispatchKey::Conjugate, DispatchKey::Negative, DispatchKey::ZeroTensor, DispatchKey::Python,
       DispatchKey::Functionalize});
  const auto* impl = tensor.unsafeGetTensorImpl();
  return impl->device() == device && impl->layout() == at::kStrided && impl->unsafe_storage() &&
      !impl->key_set().has_any(other);
}

// Whether so many bytes at both share some at different places.
bool partly_overlap(const void* one, const void* other, int64_t bytes) {
  const auto distance = std::abs(static_cast<const char*>(one) - static_cast<const char*>(other));
  return distance > 0 && distance < bytes;
}

// Whether the elements of both lie in memory in the same order without gaps.
bool aligned(const Tensor& one, const Tensor& other) {
  return one.sizes() == other.sizes() &&
      ((one.is_contiguous() && other.is_contiguous()) ||
       (one.strides() == other.strides() && one.is_non_overlapping_and_dense()));
}

// A parameter and what belongs to it; what is not there, or is no tensor, is null.
struct Found {
  PyObject *parameter, *state, *kept[4];  // under the keys of step, square_avg, grad_avg and momentum_buffer
  const Tensor *p, *g, *tensors[4];       // those that are kept
};

// Asks for memory that is soon read and written: that of an object, or so many bytes of it.
template <typename T>
void touch([[maybe_unused]] const T* object, [[maybe_unused]] size_t bytes = sizeof(T)) {
#if defined(__GNUC__)
  const auto* memory = reinterpret_cast<const char*>(object);
  for (size_t i = 0; i < bytes; i += 64) {
    __builtin_prefetch(memory + i, 1);
  }
  __builtin_prefetch(memory + bytes - 1, 1);
#endif
}

void touch_storage(const Tensor& tensor) {
  touch(tensor.unsafeGetTensorImpl()->unsafe_storage().unsafeGetStorageImpl());
}

// Where a tensor counts its versions.
void touch_version(const Tensor& tensor) {
  const auto& version = tensor.unsafeGetTensorImpl()->version_counter();
  const c10::VariableVersion* counter;
  static_assert(sizeof counter == sizeof version);
  std::memcpy(&counter, static_cast<const void*>(&version), sizeof counter);
  touch(counter, 16);
}

// Finds what belongs to the parameters, a block of them at a time. All of it lies behind chains of pointers,
// and after a backward pass in no cache. So one link of all chains in the block is followed after the other,
// and each asks for the memory of the next: the processor then waits for many at once.
class Finder {
 public:
  static constexpr Py_ssize_t kBlock = 16;

  Finder(PyObject* states, const Keys& keys) : states_(states), keys_(keys) {}

  // What belongs to a block of parameters, of which `begin` is the first; valid until the next call.
  c10::ArrayRef<Found> block(PyObject* params, Py_ssize_t begin, const Rule& rule) {
    const Py_ssize_t count = std::min(kBlock, PyList_GET_SIZE(params) - begin);
    const auto each = [&](const auto& follow) {
      for (Py_ssize_t i = 0; i < count; ++i) {
        follow(found_[i]);
      }
    };
    PyObject** parameter = PySequence_Fast_ITEMS(params) + begin;
    each([&](Found& it) {
      it = {*parameter++};
      touch(reinterpret_cast<THPVariable*>(it.parameter));
      it.state = next_state(it.parameter);
      touch(reinterpret_cast<PyDictObject*>(it.state));
    });
    each([](Found& it) {
      TORCH_CHECK_TYPE(THPVariable_Check(it.parameter), "expected tensors in the params of a group");
      it.p = &THPVariable_Unpack(it.parameter);
      touch(it.p->unsafeGetTensorImpl());
      if (it.state != nullptr && PyDict_Check(it.state)) {
        touch(reinterpret_cast<PyDictObject*>(it.state)->ma_keys, 128);
      }
    });
    each([](Found& it) {
      touch(it.p->unsafeGetTensorImpl()->autograd_meta(), 64);
      touch_storage(*it.p);
      touch_version(*it.p);
    });
    PyObject* const wanted[4] = {
        keys_.step, keys_.square_avg, rule.centered ? keys_.grad_avg : nullptr,
        rule.momentum > 0 ? keys_.momentum_buffer : nullptr};
    each([&](Found& it) {
      const auto& g = it.p->unsafeGetTensorImpl()->grad();
      if (!g.defined()) {
        return;
      }
      it.g = &g;
      touch(g.unsafeGetTensorImpl());
      if (it.state == nullptr && (it.state = PyDict_GetItemWithError(states_, it.parameter)) == nullptr && PyErr_Occurred()) {
        throw python_error();
      }
      for (int k = 0; k < 4 && it.state != nullptr && PyDict_Check(it.state); ++k) {
        it.kept[k] = wanted[k] == nullptr ? nullptr : PyDict_GetItemWithError(it.state, wanted[k]);
        touch(reinterpret_cast<THPVariable*>(it.kept[k]));
      }
    });
    each([](Found& it) {
      for (int k = 0; k < 4; ++k) {
        if (it.kept[k] != nullptr && THPVariable_Check(it.kept[k])) {
          it.tensors[k] = &THPVariable_Unpack(it.kept[k]);
          touch(it.tensors[k]->unsafeGetTensorImpl());
        }
      }
    });
    each([](Found& it) {
      if (it.g != nullptr) {
        touch_storage(*it.g);
      }
      for (const auto* tensor : it.tensors) {
        if (tensor != nullptr) {
          touch_storage(*tensor);
        }
      }
    });
    each([](Found& it) {
      if (it.tensors[0] != nullptr && plain(*it.tensors[0])) {
        touch(static_cast<const char*>(it.tensors[0]->const_data_ptr()), 8);
      }
    });
    return {found_.data(), static_cast<size_t>(count)};
  }

 private:
  // State stands in the order of the parameters as a rule: walking along saves hashing each tensor.
  PyObject* next_state(PyObject* parameter) {
    PyObject *key = nullptr, *state = nullptr;
    Py_ssize_t place = place_;
    if (!PyDict_Next(states_, &place, &key, &state) || key != parameter) {
      return nullptr;
    }
    place_ = place;
    return state;
  }

  PyObject* states_;
  const Keys& keys_;
  Py_ssize_t place_ = 0;
  std::array<Found, kBlock> found_;
};

// Makes the job of a parameter; false if no kernel takes it as it is. On CUDA its step may be on the CPU.
bool make_job(const Found& found, const Rule& rule, bool scaled, Job& job) {
  const auto &p = *found.p, &g = *found.g;
  const auto device = p.device();
  if (!plain(p, device) || !plain(g, device) || !aligned(g, p) || g.scalar_type() != p.scalar_type()) {
    return false;
  }
  job.rule = &rule;
  job.tensors[0] = &p;
  job.tensors[1] = &g;
  size_t taken = 2;
  job.p = p.mutable_data_ptr();
  job.g = scaled || device.is_cuda() ? g.mutable_data_ptr() : const_cast<void*>(g.const_data_ptr());
  if (partly_overlap(job.p, job.g, p.numel() * static_cast<int64_t>(p.itemsize()))) {
    return false;
  }
  std::optional<ScalarType> type;
  const auto take = [&](const Tensor* tensor, void*& data) {
    if (tensor == nullptr || !plain(*tensor, device) || !aligned(*tensor, p) || tensor->is_complex() != p.is_complex() ||
        tensor->scalar_type() != type.value_or(tensor->scalar_type())) {
      return false;
    }
    type = tensor->scalar_type();
    data = tensor->mutable_data_ptr();
    job.tensors[taken++] = tensor;
    return true;
  };
  const auto [step, square_avg, grad_avg, momentum_buffer] = found.tensors;
  if (!take(square_avg, job.s) || (rule.centered && !take(grad_avg, job.a)) ||
      (rule.momentum > 0 && !take(momentum_buffer, job.b))) {
    return false;
  }
  job.update = choose(rule, at::toRealValueType(p.scalar_type()), at::toRealValueType(*type));
  job.step = step;
  if (job.update == nullptr || job.step == nullptr || job.step->numel() != 1 ||
      !(plain(*job.step) || (device.is_cuda() && plain(*job.step, device))) ||
      (job.step->scalar_type() != ScalarType::Float && job.step->scalar_type() != ScalarType::Double)) {
    return false;
  }
  job.parameter = p.unsafeGetTensorImpl();
  job.stochastic = rule.stochastic && p.scalar_type() == ScalarType::BFloat16;
  job.size = p.numel() * (p.is_complex() ? 2 : 1);  // complex numbers are two reals
  return true;
}

void advance(const Tensor& step) {
  void* counter = step.mutable_data_ptr();
  if (step.scalar_type() == ScalarType::Float) {
    *static_cast<float*>(counter) += 1;
  } else {
    *static_cast<double*>(counter) += 1;
  }
}

// Whether the step is counted where the parameter is.
bool counts_there(const Job& job) {
  return job.step->device() == job.tensors[0]->device();
}

}  // namespace
