// From jobs on CUDA to the launches of the Triton kernel.
#pragma once

#include <Python.h>

#include <ATen/ops/empty.h>
#include <torch/csrc/utils/object_ptr.h>

#include <algorithm>
#include <vector>

#include "cpu_gather.h"

namespace {

// Parameters on one device that one launch steps: of one group, alike in their types.
struct Launch {
  PyObject* group;
  std::vector<const Job*> jobs;

  bool takes(PyObject* of, const Job& job) const {
    const auto alike = [](const Tensor* one, const Tensor* other) {
      return one->device() == other->device() && one->scalar_type() == other->scalar_type();
    };
    const auto& first = *jobs.front();
    return group == of && alike(job.tensors[0], first.tensors[0]) && alike(job.tensors[2], first.tensors[2]) &&
        alike(job.step, first.step);
  }

  // What cuda.Launch holds. The table has a row of int64 for each of: the tensors' first programs, their
  // sizes, the addresses of p, g, s, of a if centered, of b if momentum, and of the steps if they are on the
  // device; a row is as long as the next power of two, and filled up with the number of programs.
  PyObject* object(int64_t block) const {
    const auto& first = *jobs.front();
    const bool counts = counts_there(first), centered = first.rule->centered, momentum = first.rule->momentum > 0;
    size_t width = 1;
    while (width < jobs.size()) {
      width *= 2;
    }
    const size_t rows = 5 + centered + momentum + counts;
    THPObjectPtr table(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(rows * width * sizeof(int64_t))));
    if (!table) {
      throw python_error();
    }
    auto* cells = reinterpret_cast<int64_t*>(PyBytes_AS_STRING(table.get()));
    int64_t programs = 0;
    for (size_t i = 0; i < jobs.size(); ++i) {
      const auto& job = *jobs[i];
      auto* cell = cells + i;
      const auto put = [&](int64_t value) {
        *cell = value;
        cell += width;
      };
      const auto address = [](const void* memory) { return static_cast<int64_t>(reinterpret_cast<intptr_t>(memory)); };
      put(programs);
      put(job.size);
      put(address(job.p));
      put(address(job.g));
      put(address(job.s));
      if (centered) {
        put(address(job.a));
      }
      if (momentum) {
        put(address(job.b));
      }
      if (counts) {
        put(address(job.step->mutable_data_ptr()));
      }
      programs += std::max<int64_t>(1, (job.size + block - 1) / block);  // an empty tensor's step is counted too
    }
    for (size_t row = 0; row < rows; ++row) {
      std::fill(cells + row * width + jobs.size(), cells + (row + 1) * width, programs);
    }
    const auto dtype = [](ScalarType type) {
      return reinterpret_cast<PyObject*>(torch::getTHPDtype(at::toRealValueType(type)));
    };
    return Py_BuildValue(
        "(OiOOOOOLO)", group, static_cast<int>(first.tensors[0]->device().index()),
        dtype(first.tensors[0]->scalar_type()), dtype(first.tensors[2]->scalar_type()),
        counts ? dtype(first.step->scalar_type()) : Py_None, centered ? Py_True : Py_False,
        momentum ? Py_True : Py_False, static_cast<long long>(programs), table.get());
  }
};

// [Launch, ...] as Python has them, for jobs of which each has its group.
PyObject* launches_of(const std::vector<Job>& jobs, const std::vector<PyObject*>& groups, int64_t block) {
  std::vector<Launch> launches;
  for (size_t i = 0; i < jobs.size(); ++i) {
    auto launch = std::find_if(
        launches.rbegin(), launches.rend(), [&](const Launch& each) { return each.takes(groups[i], jobs[i]); });
    if (launch == launches.rend()) {
      launches.push_back({groups[i], {}});
      launch = launches.rbegin();
    }
    launch->jobs.push_back(&jobs[i]);
  }
  THPObjectPtr made(PyList_New(0));
  if (!made) {
    throw python_error();
  }
  for (const auto& launch : launches) {
    THPObjectPtr object(launch.object(block));
    if (!object || PyList_Append(made, object) < 0) {
      throw python_error();
    }
  }
  return made.release();
}

}  // namespace
