//! The same random numbers every time, and what is made of them. Knows no sound.

/// A linear congruential generator.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        random.next();
        random
    }

    /// 0 to 1.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Mean 0, deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

/// How packets get lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Loss {
    /// Each for itself, this fraction.
    Random(f64),
    /// Gilbert's model: a good state and a bad one, in which all is lost; this fraction, in bursts of `mean`.
    Bursty { fraction: f64, mean: f64 },
}

impl Loss {
    /// Whether each of `count` packets arrives.
    pub(crate) fn arrivals(self, count: usize, random: &mut Random) -> Vec<bool> {
        let mut bad = false;
        (0..count)
            .map(|_| match self {
                Self::Random(fraction) => random.next() >= fraction,
                Self::Bursty { fraction, mean } => {
                    let recover = 1.0 / mean;
                    let begin = recover * fraction / (1.0 - fraction);
                    bad = if bad { random.next() >= recover } else { random.next() < begin };
                    !bad
                }
            })
            .collect()
    }
}
