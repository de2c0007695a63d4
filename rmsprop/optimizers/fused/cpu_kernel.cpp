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

#include <ATen/OpMathType.h>
#include <ATen/Parallel.h>
#include <ATen/TensorIterator.h>
#include <ATen/cpu/vec/functional.h>
#include <ATen/cpu/vec/vec.h>
#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>
#include <pybind11/pybind11.h>
#include <torch/csrc/DynamicTypes.h>
#include <torch/csrc/Exceptions.h>
#include <torch/csrc/autograd/python_variable.h>
#include <torch/csrc/utils/object_ptr.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <type_traits>
#include <vector>

namespace {

using at::BFloat16;
using at::Half;
using at::ScalarType;
using at::Tensor;
using at::vec::Vectorized;

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

// Two registers of the type that the arithmetic is in: what one register of half types widens to.
template <typename T>
using Registers = std::array<Vectorized<at::opmath_type<T>>, 2>;

template <typename T>
constexpr int64_t kWidth = 2 * Vectorized<at::opmath_type<T>>::size();

#if defined(__GNUC__)
// As many numbers as stand in one register of float, by the bits that they have.
using Bits32 [[gnu::vector_size(sizeof(Vectorized<float>))]] = uint32_t;
using Bits16 [[gnu::vector_size(sizeof(Vectorized<float>) / 2)]] = uint16_t;

template <typename To, typename From>
To bits(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(static_cast<void*>(&to), &from, sizeof to);
  return to;
}

template <typename B>
B loaded(const void* from) {
  B to;
  std::memcpy(&to, from, sizeof to);
  return to;
}
#endif

// How elements lie in the two registers: the first half in one and the second in the other, or those at even
// and at odd places. Arithmetic of elements does not mind, and of bfloat16, which is the upper half of a float,
// the latter takes neither a shuffle to widen nor one to narrow.
enum class Order { halves, pairs };

template <typename param_t, typename state_t>
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
constexpr Order kOrder = std::is_same_v<param_t, BFloat16> && std::is_same_v<state_t, BFloat16> ? Order::pairs : Order::halves;
#else
constexpr Order kOrder = Order::halves;
#endif

template <typename T, Order order>
Registers<T> widen(const T* from) {
  if constexpr (std::is_same_v<T, at::opmath_type<T>>) {
    return {Vectorized<T>::loadu(from), Vectorized<T>::loadu(from + Vectorized<T>::size())};
  }
#if defined(__GNUC__)
  else if constexpr (order == Order::pairs) {
    const auto both = loaded<Bits32>(from);
    return {bits<Vectorized<float>>(both << 16), bits<Vectorized<float>>(both & 0xFFFF0000u)};
  }
#endif
#if defined(CPU_CAPABILITY_AVX2)
  else {
    const auto half = [](const T* begin) {
      const auto read = _mm_loadu_si128(reinterpret_cast<const __m128i*>(begin));
      if constexpr (std::is_same_v<T, Half>) {
        return Vectorized<float>(_mm256_cvtph_ps(read));
      } else {
        return Vectorized<float>(_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(read), 16)));
      }
    };
    return {half(from), half(from + 8)};
  }
#elif defined(CPU_CAPABILITY_AVX512)
  else {
    const auto half = [](const T* begin) {
      const auto read = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(begin));
      if constexpr (std::is_same_v<T, Half>) {
        return Vectorized<float>(_mm512_cvtph_ps(read));
      } else {
        return Vectorized<float>(_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(read), 16)));
      }
    };
    return {half(from), half(from + 16)};
  }
#else
  else {
    auto [low, high] = at::vec::convert_to_float<T>(Vectorized<T>::loadu(from));
    return {low, high};
  }
#endif
}

#if defined(__GNUC__)
// Rounded to the nearest bfloat16, ties to even, in the upper half of each. A NaN stays one if its lower half is
// 0, as that of bfloat16 widened and of those that the processor makes.
inline Bits32 rounded(const Vectorized<float>& values) {
  const auto b = bits<Bits32>(values);
  return b + 0x7FFFu + ((b >> 16) & 1u);
}
#endif

template <typename T, Order order>
void narrow(const Registers<T>& registers, T* to) {
  if constexpr (std::is_same_v<T, at::opmath_type<T>>) {
    registers[0].store(to);
    registers[1].store(to + Vectorized<T>::size());
  }
#if defined(__GNUC__)
  else if constexpr (order == Order::pairs) {
#if defined(CPU_CAPABILITY_AVX512) && defined(__AVX512BF16__)
    // The processor's conversion takes subnormal numbers for 0.
    constexpr int subnormal = 0x20;
    const __m512 even = registers[0], odd = registers[1];
    if (__builtin_expect(!(_mm512_fpclass_ps_mask(even, subnormal) | _mm512_fpclass_ps_mask(odd, subnormal)), 1)) {
      const auto low = bits<Bits16>(_mm512_cvtneps_pbh(even)), high = bits<Bits16>(_mm512_cvtneps_pbh(odd));
      const Bits32 pairs = __builtin_convertvector(low, Bits32) | __builtin_convertvector(high, Bits32) << 16;
      std::memcpy(to, &pairs, sizeof pairs);
      return;
    }
#endif
    const Bits32 pairs = rounded(registers[0]) >> 16 | (rounded(registers[1]) & 0xFFFF0000u);
    std::memcpy(to, &pairs, sizeof pairs);
  }
#endif
#if defined(CPU_CAPABILITY_AVX2)
  else if constexpr (std::is_same_v<T, Half>) {
    for (int i = 0; i < 2; ++i) {
      const auto half = _mm256_cvtps_ph(registers[i], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 8 * i), half);
    }
  }
#endif
  else {
    at::vec::convert_from_float<T>(registers[0], registers[1]).store(to);
  }
}

// Rounds up with the probability of the part that bfloat16 cannot hold: 16 random bits are added below it.
// The bits are a hash of seed and index (the finalizer of MurmurHash3), so threads do not matter.
template <Order order>
void store_stochastically(const Registers<float>& registers, BFloat16* to, uint32_t seed, int64_t index) {
  constexpr int64_t half = Vectorized<float>::size();
  float values[2 * half];
  narrow<float, Order::halves>(registers, values);
  for (int64_t i = 0; i < 2 * half; ++i) {
    const float value = values[order == Order::pairs ? i / 2 + i % 2 * half : i];
    uint32_t bits, hash = seed ^ static_cast<uint32_t>((index + i) * 0x9E3779B97F4A7C15ull >> 32);
    hash = (hash ^ hash >> 16) * 0x85EBCA6Bu;
    hash = (hash ^ hash >> 13) * 0xC2B2AE35u;
    std::memcpy(&bits, &value, sizeof bits);
    const bool finite = (bits & 0x7F800000u) != 0x7F800000u;
    to[i] = finite ? BFloat16(static_cast<uint16_t>((bits + (hash >> 16)) >> 16), BFloat16::from_bits())
                   : BFloat16(value);
  }
}

// What is decided once for a range of elements, since to decide it in each block costs half types a quarter of
// the time: where eps stands, and all that few steps have.
enum class Kind { eps_outside, eps_inside, rare };

template <typename param_t, typename state_t, bool centered, bool momentum>
struct Update {
  using acc_t = at::opmath_type<param_t>;
  using V = Vectorized<acc_t>;
  static constexpr int64_t width = kWidth<param_t>;
  static constexpr Order order = kOrder<param_t, state_t>;

  explicit Update(const Job& job)
      : alpha(job.rule->alpha),
        rest(1 - job.rule->alpha),
        minus_lr(-job.rule->lr),
        eps_inside(job.rule->eps_inside),
        eps_outside(job.rule->eps_outside),
        weight_decay(job.rule->weight_decay),
        mu(job.rule->momentum),
        scale(std::isnan(job.scale) ? std::numeric_limits<acc_t>::quiet_NaN() : static_cast<acc_t>(job.scale)),
        scaled(job.scale != 1),
        decays(job.rule->decays),
        maximize(job.rule->maximize),
        inside(job.rule->eps_inside != 0),
        // The only way to divide by zero: an eps that is 0, or too small for the type.
        divides_by_zero(static_cast<acc_t>(job.rule->eps_inside + job.rule->eps_outside) == 0),
        stochastic(job.stochastic),
        seed(job.seed) {}

  const V alpha, rest, minus_lr, eps_inside, eps_outside, weight_decay, mu, scale, zero{0};
  const bool scaled, decays, maximize, inside, divides_by_zero, stochastic;
  const uint32_t seed;

  Kind kind() const {
    if (scaled || maximize || divides_by_zero || stochastic) {
      return Kind::rare;
    }
    return inside ? Kind::eps_inside : Kind::eps_outside;
  }

  template <Kind kind>
  void element(V& p, V& g, V& s, V& a, V& b) const {
    constexpr bool rare = kind == Kind::rare;
    if (rare && scaled) {
      g = g / scale;
    }
    V h = rare && maximize ? g.neg() : g;
    if (decays) {
      h = at::vec::fmadd(p, weight_decay, h);
    }
    s = at::vec::fmadd(rest * h, h, s * alpha);
    V v = s;
    if constexpr (centered) {
      a = at::vec::fmadd(rest, h - a, a);
      v = at::vec::fnmadd(a, a, s);
      v = V::blendv(v, zero, v <= zero);  // a NaN stays what it is
    }
    const V d = kind == Kind::eps_outside || (rare && !inside) ? v.sqrt() + eps_outside : (v + eps_inside).sqrt();
    V n = momentum ? h : minus_lr * h;
    V q = n / d;
    if (rare && divides_by_zero) {
      q = V::blendv(q, zero, (h == zero) & (d == zero));
    }
    if constexpr (momentum) {
      b = b * mu + q;
      p = at::vec::fmadd(b, minus_lr, p);
    } else {
      p = p + q;
    }
  }

  // `width` elements, of which the first stands at `index` of its tensor.
  template <Kind kind>
  void block(param_t* p, param_t* g, state_t* s, state_t* a, state_t* b, int64_t index) const {
    constexpr bool rare = kind == Kind::rare;
    auto ps = widen<param_t, order>(p);
    auto gs = widen<param_t, order>(g);
    auto ss = widen<state_t, order>(s);
    auto as = centered ? widen<state_t, order>(a) : ss;
    auto bs = momentum ? widen<state_t, order>(b) : ss;
    for (int i = 0; i < 2; ++i) {
      element<kind>(ps[i], gs[i], ss[i], as[i], bs[i]);
    }
    narrow<state_t, order>(ss, s);
    if constexpr (centered) {
      narrow<state_t, order>(as, a);
    }
    if constexpr (momentum) {
      narrow<state_t, order>(bs, b);
    }
    if (rare && scaled) {
      narrow<param_t, order>(gs, g);  // torch's fused optimizers leave the gradient unscaled too
    }
    if constexpr (std::is_same_v<param_t, BFloat16>) {
      if (rare && stochastic) {
        return store_stochastically<order>(ps, p, seed, index);
      }
    }
    narrow<param_t, order>(ps, p);
  }

  static void run(const Job& job, int64_t begin, int64_t end) {
    const Update update(job);
    switch (update.kind()) {
      case Kind::eps_outside:
        return update.template range<Kind::eps_outside>(job, begin, end);
      case Kind::eps_inside:
        return update.template range<Kind::eps_inside>(job, begin, end);
      case Kind::rare:
        return update.template range<Kind::rare>(job, begin, end);
    }
  }

  template <Kind kind>
  void range(const Job& job, int64_t begin, int64_t end) const {
    constexpr bool rare = kind == Kind::rare;
    auto *p = static_cast<param_t*>(job.p), *g = static_cast<param_t*>(job.g);
    auto *s = static_cast<state_t*>(job.s), *a = static_cast<state_t*>(job.a), *b = static_cast<state_t*>(job.b);
    int64_t i = begin;
    for (; i + width <= end; i += width) {
      block<kind>(p + i, g + i, s + i, a + i, b + i, i);
    }
    if (i == end) {
      return;
    }
    // The last ones by the same instructions, so that an element's place never changes its bits.
    param_t tail_p[width]{}, tail_g[width]{};
    state_t tail_s[width]{}, tail_a[width]{}, tail_b[width]{};
    const auto each = [&](auto copy) {
      copy(tail_p, p + i);
      copy(tail_s, s + i);
      if constexpr (centered) {
        copy(tail_a, a + i);
      }
      if constexpr (momentum) {
        copy(tail_b, b + i);
      }
    };
    const auto count = static_cast<size_t>(end - i);
    std::copy_n(g + i, count, tail_g);
    each([count](auto* inside, auto* outside) { std::copy_n(outside, count, inside); });
    block<kind>(tail_p, tail_g, tail_s, tail_a, tail_b, i);
    each([count](auto* inside, auto* outside) { std::copy_n(inside, count, outside); });
    if (rare && scaled) {
      std::copy_n(tail_g, count, g + i);
    }
  }
};

template <typename param_t, typename state_t>
UpdateRange choose(const Rule& rule) {
  if (rule.centered) {
    return rule.momentum > 0 ? Update<param_t, state_t, true, true>::run : Update<param_t, state_t, true, false>::run;
  }
  return rule.momentum > 0 ? Update<param_t, state_t, false, true>::run : Update<param_t, state_t, false, false>::run;
}

// The kernel for these types; null if there is none.
UpdateRange choose(const Rule& rule, ScalarType param, ScalarType state) {
  const bool wide = state == ScalarType::Float;
  if (param != state && !wide) {
    return nullptr;
  }
  switch (param) {
    case ScalarType::Double:
      return wide ? nullptr : choose<double, double>(rule);
    case ScalarType::Float:
      return choose<float, float>(rule);
    case ScalarType::BFloat16:
      return wide ? choose<BFloat16, float>(rule) : choose<BFloat16, BFloat16>(rule);
    case ScalarType::Half:
      return wide ? choose<Half, float>(rule) : choose<Half, Half>(rule);
    default:
      return nullptr;
  }
}

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
