//! The encoding of plain values as bytes. [`Reader`] checks every length against what is really there before it takes
//! anything.

use crate::limits;

/// Why a message of the peer cannot be decoded. The only cure is to drop the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The data ends inside a value.
    #[error("the message ends inside a value")]
    Short,
    /// Bytes follow the last value.
    #[error("{0} bytes follow the end of the message")]
    Trailing(usize),
    /// A length is above its limit.
    #[error("a length of {0} exceeds its limit")]
    TooLong(usize),
    /// A number has no meaning (a frame kind, an enum variant, a known name).
    #[error("{0} is not a known value here")]
    Unknown(u64),
    /// A text of ours is not UTF-8.
    #[error("text is not UTF-8")]
    NotText,
    /// A reason phrase would not stay in its status line.
    #[error("a reason phrase has a control character")]
    Reason,
    /// A header could not be sent as exactly this header.
    #[error("a header has a character that its name or value may not have")]
    Header,
    /// A Content-Length is not a number, or there are several.
    #[error("the Content-Length is not exactly one number")]
    ContentLength,
    /// An answer is one that no script may give: [`crate::question::Answer::check`].
    #[error("an answer has an empty or too long text, too many of them, or one with a control character")]
    Answer,
    /// A close has a code that its sender may not give, or too long a reason.
    #[error("a close has a code that it may not have, or a reason of more than 123 bytes")]
    Close,
    /// A descriptor comes where none belongs.
    #[error("it came with a descriptor")]
    Descriptor,
}

/// Takes values off the front of a byte slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Makes a reader of the whole slice.
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// Takes the next `n` bytes as they are.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(*head)
    }

    /// Takes a byte string that was written with its length in front.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let n = u32::get(self)? as usize;
        self.take(n)
    }

    /// Takes all that is left.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Fails unless everything has been taken.
    pub fn end(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.rest.len())) }
    }
}

/// The digest of a text (FNV-1a, 64 bits), the same in every process.
pub fn digest(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Appends a byte string with its length in front.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // A longer one cannot be sent at all: the frame's own limit is far below 4 GiB and is checked when it is closed.
    (bytes.len().min(u32::MAX as usize) as u32).put(out);
    out.extend_from_slice(bytes);
}

/// A value with exactly one encoding.
pub trait Wire: Sized {
    /// Appends the value.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes a value off the front.
    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Encodes the value alone, as a message.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    /// Decodes the value that makes up the whole message.
    fn from_bytes(data: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(data);
        let value = Self::get(&mut from)?;
        from.end()?;
        Ok(value)
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_ne_bytes());
            }
            fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(<$type>::from_ne_bytes(from.array()?))
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64, i32, i64, f64);

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::get(from)? {
            0 => Ok(false),
            1 => Ok(true),
            n => Err(DecodeError::Unknown(n.into())),
        }
    }
}

impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.as_bytes());
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = from.bytes()?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| DecodeError::NotText)
    }
}

/// A byte string: paths, names and other text that is not ours to decode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl Wire for Bytes {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.0);
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(from.bytes()?.to_vec()))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        bool::get(from)?.then(|| T::get(from)).transpose()
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len().min(u32::MAX as usize) as u32).put(out);
        for item in self {
            item.put(out);
        }
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let n = u32::get(from)? as usize;
        if n > limits::LIST {
            return Err(DecodeError::TooLong(n));
        }
        // No `with_capacity(n)`: `n` is the peer's word, and a short message must not cost memory.
        let mut items = Vec::new();
        for _ in 0..n {
            items.push(T::get(from)?);
        }
        Ok(items)
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok((A::get(from)?, B::get(from)?))
    }
}

/// Declares a struct whose encoding is its fields in order.
macro_rules! message {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$field_doc:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl $crate::codec::Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::codec::Wire::put(&self.$field, out);)*
            }
            fn get(from: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::DecodeError> {
                Ok(Self { $($field: $crate::codec::Wire::get(from)?,)* })
            }
        }
    };
}
pub(crate) use message;

/// Declares an enum that travels as one byte.
macro_rules! byte_enum {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$variant_doc])* $variant = $value,)* }

        impl TryFrom<u8> for $name {
            type Error = $crate::codec::DecodeError;
            fn try_from(value: u8) -> Result<Self, $crate::codec::DecodeError> {
                match value {
                    $($value => Ok(Self::$variant),)*
                    n => Err($crate::codec::DecodeError::Unknown(n.into())),
                }
            }
        }

        impl $crate::codec::Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                out.push(*self as u8);
            }
            fn get(from: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::DecodeError> {
                u8::get(from)?.try_into()
            }
        }
    };
}
pub(crate) use byte_enum;

#[cfg(test)]
mod tests {
    use super::*;

    fn round<T: Wire + PartialEq + std::fmt::Debug>(value: T) {
        assert_eq!(T::from_bytes(&value.to_bytes()), Ok(value));
    }

    #[test]
    fn values_come_back_as_they_were() {
        round(7u8);
        round(u64::MAX);
        round(-3i64);
        round(true);
        round(String::from("naïve"));
        round(Bytes(vec![0, 255]));
        round(Some(Bytes::from("x")));
        round(None::<u32>);
        round(vec![(1u16, Bytes::from("a")), (2, Bytes::default())]);
    }

    #[test]
    fn a_length_beyond_the_data_is_refused() {
        let mut data = Vec::new();
        u32::MAX.put(&mut data);
        assert_eq!(Bytes::from_bytes(&data), Err(DecodeError::Short));
        assert_eq!(Vec::<u8>::from_bytes(&data), Err(DecodeError::TooLong(u32::MAX as usize)));
    }

    #[test]
    fn a_list_has_a_bound() {
        assert_eq!(Vec::<u8>::from_bytes(&vec![0u8; limits::LIST].to_bytes()).map(|list| list.len()), Ok(limits::LIST));
        let longer = vec![0u8; limits::LIST + 1].to_bytes();
        assert_eq!(Vec::<u8>::from_bytes(&longer), Err(DecodeError::TooLong(limits::LIST + 1)));
    }

    #[test]
    fn every_prefix_of_a_message_is_refused() {
        let whole = vec![(Some(1u16), Bytes::from("abc")), (None, Bytes::from("d"))].to_bytes();
        for n in 0..whole.len() {
            assert!(Vec::<(Option<u16>, Bytes)>::from_bytes(&whole[..n]).is_err(), "{n}");
        }
    }

    #[test]
    fn what_follows_a_message_is_refused() {
        assert_eq!(u8::from_bytes(&[1, 2, 3]), Err(DecodeError::Trailing(2)));
    }

    #[test]
    fn only_zero_and_one_are_booleans() {
        assert_eq!(bool::from_bytes(&[2]), Err(DecodeError::Unknown(2)));
    }
}
