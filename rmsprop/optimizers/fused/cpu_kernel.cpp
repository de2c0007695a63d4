// FusedRMSprop's step on the CPU: one pass over memory, one call for all tensors of an optimizer. For the
// tensors on CUDA it makes the table of addresses that one launch of the Triton kernel steps.
//
//   g = (-g if maximize, else g) / scale + weight_decay p
//   s = alpha s + (1 - alpha) g^2
//   a = a + (1 - alpha) (g - a)                              if centered
//   d = sqrt(v + eps_inside) + eps_outside                   v = max(s - a^2, 0) if centered, else s
//   b = momentum b + g / d,  p = p - lr b                    if momentum, else p = p - lr g / d
//
// The order of operations and the one fused multiply-add of each line are those of torch's loop, so that
// float32 and float64 agree with it. bfloat16 and float16 are computed in float.
//
// `step` gathers all tensors before it changes one. It only walks memory that p, its gradient and its
// state share element by element; whatever is not of that kind it leaves alone and gives back.

#include <Python.h>

#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu_gather.h"
#include "cpu_launches.h"
#include "cpu_work.h"

namespace {

// step(param_groups, state, scale, partly, serial, launched, block) -> None if nothing is left to do, or
//     ([(group, parameter), ...], [Launch, ...])
//
// Takes one step of all parameters with a gradient on the CPU, and gives back those that are not for a
// kernel: no state yet, another device, another memory layout. If there are any and `partly` is false, it does
// nothing else. Those on devices of the type `launched` it gives back as launches, `block` elements to a
// program; their versions, and their steps if they are counted on the CPU, have then advanced. ("cuda"; "" for
// none; "cpu" is for Triton's interpreter.) `serial` takes one parameter after the other, and launches none.
// state_dtype is not looked at: what is there is updated in the type that it has.
PyObject* step(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  HANDLE_TH_ERRORS
  static const Keys keys;
  TORCH_CHECK_TYPE(
      count == 7 && PyList_Check(arguments[0]) && PyDict_Check(arguments[1]) && PyUnicode_Check(arguments[5]),
      "step(param_groups: list, state: dict, scale: float, partly: bool, serial: bool, launched: str, block: int)");
  PyObject *groups = arguments[0], *states = arguments[1];
  const double scale = PyFloat_AsDouble(arguments[2]);
  const bool partly = PyObject_IsTrue(arguments[3]) == 1, serial = PyObject_IsTrue(arguments[4]) == 1;
  const auto is_launched = [named = arguments[5]](const char* name) {
    return PyUnicode_CompareWithASCIIString(named, name) == 0;
  };
  const bool cuda_launched = is_launched("cuda"), cpu_launched = is_launched("cpu");
  const int64_t block = PyLong_AsLongLong(arguments[6]);
  if (PyErr_Occurred()) {
    throw python_error();
  }

  THPObjectPtr rest(PyList_New(0));
  if (!rest) {
    throw python_error();
  }
  std::vector<Rule> rules;
  rules.reserve(PyList_GET_SIZE(groups));  // jobs point into it
  std::vector<Job> jobs, there;  // for this kernel, and for launches
  std::vector<PyObject*> groups_there;
  Finder finder(states, keys);
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(groups); ++i) {
    PyObject* group = PyList_GET_ITEM(groups, i);
    TORCH_CHECK_TYPE(PyDict_Check(group), "expected param_groups of dicts");
    rules.push_back(rule_of(group, keys));
    auto& rule = rules.back();
    const bool capturable = flag(group, keys.capturable);
    PyObject* params = item(group, keys.params);
    TORCH_CHECK_TYPE(PyList_Check(params), "expected the params of a group as a list");
    jobs.reserve(jobs.size() + PyList_GET_SIZE(params));
    const auto gather = [&](const Found& found) {
      const auto& p = *found.p;
      TORCH_CHECK(
          !p.is_inference() || c10::InferenceMode::is_enabled(),
          "Inplace update to inference tensor outside InferenceMode is not allowed.");
      const bool launched = !serial && ((cuda_launched && p.is_cuda()) || (cpu_launched && p.is_cpu()));
      if (launched || (p.is_cpu() && !capturable)) {
        auto& chosen = launched ? there : jobs;
        auto& job = chosen.emplace_back();
        if (make_job(found, rule, scale != 1, job) && (!launched || !capturable || counts_there(job))) {
          if (launched) {
            groups_there.push_back(group);
          } else if (std::isnan(rule.lr)) {
            rule.lr = number(group, keys.lr);  // waits for the device
            TORCH_CHECK_VALUE(rule.lr >= 0, "Invalid learning rate: ", rule.lr);
          }
          job.scale = scale;
          return;
        }
        chosen.pop_back();
      }
      THPObjectPtr left(PyTuple_Pack(2, group, found.parameter));
      if (!left || PyList_Append(rest, left) < 0) {
        throw python_error();
      }
    };
    for (Py_ssize_t begin = 0; begin < PyList_GET_SIZE(params); begin += Finder::kBlock) {
      for (const auto& found : finder.block(params, begin, rule)) {
        if (found.g != nullptr) {
          gather(found);
        }
      }
    }
  }
  const bool leaves = PyList_GET_SIZE(rest.get()) > 0;
  if (leaves && !partly) {
    return Py_BuildValue("(O[])", rest.get());
  }
  THPObjectPtr launches(leaves || !there.empty() ? launches_of(there, groups_there, block) : nullptr);
  for (auto& job : there) {
    if (!counts_there(job)) {
      advance(*job.step);
    }
    job.parameter->bump_version();
  }

  uint32_t seed = 0;
  if (std::any_of(jobs.begin(), jobs.end(), [](const Job& job) { return job.stochastic; })) {
    seed = static_cast<uint32_t>(at::empty({}, at::kLong).random_().item<int64_t>());
  }
  for (auto& job : jobs) {
    job.seed = seed += 0x9E3779B9u;
    advance(*job.step);
    job.parameter->bump_version();  // autograd sees what was saved and then changed
  }
  const Work work(std::move(jobs), serial);
  if (work.elements() <= kKeepsPython) {
    work.run();
  } else {
    const auto kept = work.storages();  // another thread may give a parameter another gradient meanwhile
    pybind11::gil_scoped_release release;
    work.run();
  }
  if (there.empty() && !leaves) {
    Py_RETURN_NONE;
  }
  return Py_BuildValue("(OO)", rest.get(), launches.get());
  END_HANDLE_TH_ERRORS
}

PyMethodDef methods[] = {
    {"step", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(step)), METH_FASTCALL, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef definition = {PyModuleDef_HEAD_INIT, "fused_cpu", nullptr, -1, methods};

}  // namespace

PyMODINIT_FUNC PyInit_fused_cpu() {
  return PyModule_Create(&definition);
}
