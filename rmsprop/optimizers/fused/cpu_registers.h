// Half types in pairs of registers: how their numbers are widened, rounded and narrowed.
#pragma once

#include <ATen/OpMathType.h>
#include <ATen/cpu/vec/functional.h>
#include <ATen/cpu/vec/vec.h>

#include <cstring>
#include <type_traits>

#include "cpu_job.h"

namespace {

using at::vec::Vectorized;

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

}  // namespace
