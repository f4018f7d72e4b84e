//! The source of random choices: a seed, or the bytes of a fuzzer.

/// A source of choices. Equal sources give equal choices.
#[derive(Clone, Debug)]
pub struct Choices<'a>(Source<'a>);

#[derive(Clone, Debug)]
enum Source<'a> {
    Seed(u64),
    Bytes(&'a [u8]),
}

impl Choices<'static> {
    /// An endless source (xorshift).
    pub fn of_seed(seed: u64) -> Self {
        // Consecutive seeds must not start with equal choices.
        let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(Source::Seed((state ^ (state >> 31)) | 1))
    }
}

impl<'a> Choices<'a> {
    /// Choices from `bytes`, one for each byte. After the last byte, every choice is the first option.
    pub fn of_bytes(bytes: &'a [u8]) -> Self {
        Self(Source::Bytes(bytes))
    }

    /// Whether all bytes are used up.
    pub fn is_used_up(&self) -> bool {
        matches!(self.0, Source::Bytes([]))
    }

    /// A number less than `below`, which is not 0. From bytes, less than 256.
    pub fn next(&mut self, below: usize) -> usize {
        match &mut self.0 {
            Source::Seed(state) => {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                usize::try_from(*state >> 33).map_or(0, |number| number % below)
            }
            Source::Bytes(bytes) => match bytes.split_first() {
                Some((first, rest)) => {
                    *bytes = rest;
                    usize::from(*first) % below
                }
                None => 0,
            },
        }
    }

    /// True once in `turns`.
    pub fn one_in(&mut self, turns: usize) -> bool {
        self.next(turns) + 1 == turns
    }

    /// An element of `all`, which is not empty.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.next(all.len())]
    }
}
