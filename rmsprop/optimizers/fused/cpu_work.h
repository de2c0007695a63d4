// All elements of all parameters, shared out to threads.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/TensorIterator.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "cpu_job.h"

namespace {

// Elements that one thread takes at a time, a whole number of blocks: three float arrays of it fit an L2 cache.
constexpr int64_t kChunk = 1 << 14;
// What one core does before a second one has woken up.
constexpr int64_t kSerial = 1 << 15;
// Up to so many, less than a millisecond or two, Python waits; to let it go takes a reference for each tensor.
constexpr int64_t kKeepsPython = 1 << 22;

// All jobs as one list of elements, cut in chunks whatever the tensors' sizes.
class Work {
 public:
  Work(std::vector<Job> jobs, bool serial) : jobs_(std::move(jobs)), serial_(serial) {
    int64_t room = 0;
    for (size_t j = 0; j < jobs_.size(); ++j) {
      for (int64_t begin = 0; begin < jobs_[j].size;) {
        if (room == 0) {
          chunks_.push_back({j, begin});
          room = kChunk;
        }
        const auto taken = std::min(room, jobs_[j].size - begin);
        begin += taken;
        room -= taken;
      }
      elements_ += jobs_[j].size;
    }
  }

  int64_t elements() const { return elements_; }

  // What keeps the memory that is walked alive.
  std::vector<c10::Storage> storages() const {
    std::vector<c10::Storage> kept;
    for (const auto& job : jobs_) {
      for (const auto* tensor : job.tensors) {
        if (tensor != nullptr) {
          kept.push_back(tensor->storage());
        }
      }
    }
    return kept;
  }

  void run() const {
    const auto chunks = static_cast<int64_t>(chunks_.size());
    const auto threads = serial_ || elements_ <= kSerial ? 1 : std::min<int64_t>(at::get_num_threads(), chunks);
    if (threads <= 1) {
      for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        run(chunk);
      }
      return;
    }
    // Each thread has a share of its own, the same in each step and so perhaps in its cache; one that is
    // done goes on with what is left of the others', because a shared machine's cores are never equal.
    struct alignas(64) Share {
      std::atomic<int64_t> next;
      int64_t end;
    };
    const auto shares = std::make_unique<Share[]>(threads);
    for (int64_t t = 0; t < threads; ++t) {
      shares[t].next = t * chunks / threads;
      shares[t].end = (t + 1) * chunks / threads;
    }
    in_parallel(threads, [&](int64_t thread) {
      for (int64_t t = 0; t < threads; ++t) {
        auto& share = shares[(thread + t) % threads];
        for (int64_t chunk; (chunk = share.next++) < share.end;) {
          run(chunk);
        }
      }
    });
  }

 private:
  void run(int64_t chunk) const {
    int64_t left = kChunk;
    auto [j, begin] = chunks_[chunk];
    for (; left > 0 && j < jobs_.size(); ++j, begin = 0) {
      const auto end = std::min(jobs_[j].size, begin + left);
      jobs_[j].update(jobs_[j], begin, end);
      left -= end - begin;
    }
  }

  // f(0) ... f(threads - 1) on torch's own threads. at::parallel_for is compiled into its caller, and would
  // start a second OpenMP runtime here, whose threads fight with torch's for the cores; TensorIterator's
  // loop is compiled into torch. The tensor that it iterates over is only a range of addresses.
  template <typename F>
  static void in_parallel(int64_t threads, const F& f) {
    const auto range = at::empty({threads}, at::kByte);
    const auto* first = static_cast<const char*>(range.const_data_ptr());
    auto iterator = at::TensorIteratorConfig().add_const_input(range).build();
    iterator.for_each(
        [&](char** data, const int64_t* strides, int64_t size) {
          for (int64_t i = 0; i < size; ++i) {
            f(data[0] + i * strides[0] - first);
          }
        },
        /*grain_size=*/1);
  }

  struct Chunk {
    size_t job;
    int64_t begin;
  };
  std::vector<Job> jobs_;
  std::vector<Chunk> chunks_;
  int64_t elements_ = 0;
  const bool serial_;
};

}  // namespace
