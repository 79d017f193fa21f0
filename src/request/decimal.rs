//! Numbers as text, for variables of requests.
#![forbid(unsafe_code)]

/// A number in decimal digits without a heap allocation.
pub struct Decimal {
    digits: [u8; 10],
    start: usize,
}

impl Decimal {
    /// The digits of a number.
    pub fn of(number: impl Into<u32>) -> Self {
        let (mut digits, mut start, mut rest) = ([b'0'; 10], 10, number.into());
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                return Self { digits, start };
            }
        }
    }

    /// The digits as text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_have_no_leading_zeros() {
        for n in [0u32, 7, 10, 65535, u32::MAX] {
            assert_eq!(Decimal::of(n).as_bytes(), n.to_string().as_bytes());
        }
    }
}
