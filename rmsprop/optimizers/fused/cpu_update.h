// The formula, for each pair of types.
#pragma once

#include <algorithm>
#include <cmath>

#include "cpu_registers.h"

namespace {

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

}  // namespace
