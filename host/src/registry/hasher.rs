//! Hashing that can be put away and taken up again, in the form that Distribution keeps between two requests.
//!
//! Distribution stores Go's `MarshalBinary` of a hash beside an unfinished upload, so that the next request need not read
//! what is there. The form is that of Go's `crypto/sha256` and `crypto/sha512`: a magic of four bytes, the eight words of
//! the state, the block that is not full yet, padded with zeros, and the number of bytes hashed; all big-endian.

use sha2::block_api::{compress256, compress512};

use super::{Algorithm, Digest};

/// A digest in the making.
#[derive(Clone, Debug)]
pub(super) enum Hasher {
    Sha256(Blocks<u32, 64>),
    Sha512(Blocks<u64, 128>),
}

/// The state of one of the SHA-2 algorithms.
#[derive(Clone, Debug)]
pub(super) struct Blocks<Word, const SIZE: usize> {
    state: [Word; 8],
    /// The last block, of which `length % SIZE` bytes are there.
    partial: [u8; SIZE],
    /// How many bytes were hashed.
    length: u64,
}

impl<Word, const SIZE: usize> Blocks<Word, SIZE> {
    /// Takes bytes: full blocks at once, the rest is kept.
    fn update(&mut self, mut bytes: &[u8], compress: impl Fn(&mut [Word; 8], &[[u8; SIZE]])) {
        // Less than SIZE, which is 64 or 128.
        let filled = (self.length % SIZE as u64) as usize;
        self.length = self.length.wrapping_add(bytes.len() as u64);
        if filled > 0 {
            let (now, later) = bytes.split_at(bytes.len().min(SIZE - filled));
            self.partial[filled..filled + now.len()].copy_from_slice(now);
            if filled + now.len() < SIZE {
                return;
            }
            compress(&mut self.state, std::slice::from_ref(&self.partial));
            bytes = later;
        }
        let (blocks, rest) = bytes.as_chunks::<SIZE>();
        compress(&mut self.state, blocks);
        self.partial[..rest.len()].copy_from_slice(rest);
    }

    /// Pads what is left and takes it.
    fn finish(&mut self, compress: impl Fn(&mut [Word; 8], &[[u8; SIZE]])) {
        let bits = (self.length.wrapping_mul(8)).to_be_bytes();
        let filled = (self.length % SIZE as u64) as usize;
        // The length takes an eighth of a block: 8 bytes, or 16 of which the first 8 are 0.
        let zeros = (2 * SIZE - 1 - filled - SIZE / 8) % SIZE;
        let mut padding = vec![0x80];
        padding.resize(1 + zeros + SIZE / 8 - bits.len(), 0);
        padding.extend_from_slice(&bits);
        self.update(&padding, compress);
    }
}

impl Hasher {
    /// Begins to hash.
    pub(super) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Hasher::Sha256(Blocks { state: H256, partial: [0; 64], length: 0 }),
            Algorithm::Sha512 => Hasher::Sha512(Blocks { state: H512, partial: [0; 128], length: 0 }),
        }
    }

    /// Returns which digest it makes.
    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Hasher::Sha256(_) => Algorithm::Sha256,
            Hasher::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Returns how many bytes were hashed.
    pub(super) fn length(&self) -> u64 {
        match self {
            Hasher::Sha256(blocks) => blocks.length,
            Hasher::Sha512(blocks) => blocks.length,
        }
    }

    /// Hashes more bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(blocks) => blocks.update(bytes, compress256),
            Hasher::Sha512(blocks) => blocks.update(bytes, compress512),
        }
    }

    /// Returns the digest of all that was hashed.
    pub(super) fn digest(&self) -> Digest {
        match self.clone() {
            Hasher::Sha256(mut blocks) => {
                blocks.finish(compress256);
                Digest::from_hash(Algorithm::Sha256, blocks.state.map(u32::to_be_bytes).as_flattened())
            }
            Hasher::Sha512(mut blocks) => {
                blocks.finish(compress512);
                Digest::from_hash(Algorithm::Sha512, blocks.state.map(u64::to_be_bytes).as_flattened())
            }
        }
    }

    /// Returns the state as Go writes it: 108 bytes for SHA-256, 204 for SHA-512.
    pub(super) fn to_state(&self) -> Vec<u8> {
        match self {
            Hasher::Sha256(blocks) => blocks.to_state(MAGIC_256, u32::to_be_bytes),
            Hasher::Sha512(blocks) => blocks.to_state(MAGIC_512, u64::to_be_bytes),
        }
    }

    /// Takes up a state that Go, or [`to_state`](Hasher::to_state), wrote; none if it is not one.
    pub(super) fn from_state(algorithm: Algorithm, state: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Sha256 => Blocks::from_state(state, MAGIC_256, u32::from_be_bytes).map(Hasher::Sha256),
            Algorithm::Sha512 => Blocks::from_state(state, MAGIC_512, u64::from_be_bytes).map(Hasher::Sha512),
        }
    }
}

const MAGIC_256: &[u8; 4] = b"sha\x03";
const MAGIC_512: &[u8; 4] = b"sha\x07";

impl<Word: Copy, const SIZE: usize> Blocks<Word, SIZE> {
    fn to_state<const N: usize>(&self, magic: &[u8; 4], bytes: impl Fn(Word) -> [u8; N]) -> Vec<u8> {
        let mut partial = self.partial;
        // Older bytes may lie behind.
        partial[(self.length % SIZE as u64) as usize..].fill(0);
        let mut state = magic.to_vec();
        state.extend(self.state.iter().flat_map(|word| bytes(*word)));
        state.extend_from_slice(&partial);
        state.extend_from_slice(&self.length.to_be_bytes());
        state
    }

    fn from_state<const N: usize>(text: &[u8], magic: &[u8; 4], word: impl Fn([u8; N]) -> Word) -> Option<Self> {
        let (words, rest) = text.strip_prefix(magic)?.split_at_checked(8 * N)?;
        let (partial, length) = rest.split_at_checked(SIZE)?;
        let length = u64::from_be_bytes(length.try_into().ok()?);
        let (words, _) = words.as_chunks::<N>();
        let words: &[[u8; N]; 8] = words.try_into().ok()?;
        Some(Blocks { state: words.map(word), partial: partial.try_into().ok()?, length })
    }
}

/// The first 32 bits of the fractional parts of the square roots of the first eight primes (FIPS 180-4, 5.3.3).
const H256: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The first 64 bits of the same (FIPS 180-4, 5.3.5).
const H512: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
    use super::*;
    use proptest::prelude::*;

    const BOTH: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

    proptest! {
        #[test]
        fn any_pieces_with_the_state_put_away_in_between_give_the_digest_of_the_whole(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..6)
        ) {
            for algorithm in BOTH {
                let mut hasher = Hasher::new(algorithm);
                for piece in &pieces {
                    hasher.update(piece);
                    hasher = Hasher::from_state(algorithm, &hasher.to_state()).unwrap();
                }
                prop_assert_eq!(hasher.digest(), Digest::of(algorithm, &pieces.concat()));
                prop_assert_eq!(hasher.length(), pieces.concat().len() as u64);
            }
        }
    }

    /// The form of `driver-facts`, written out; that Go takes it up is shown by the tests with `docker-registry`.
    #[test]
    fn a_state_is_written_as_go_writes_it() {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(b"abc");
        let mut expected = b"sha\x03".to_vec();
        expected.extend(H256.iter().flat_map(|word| word.to_be_bytes()));
        expected.extend_from_slice(b"abc");
        expected.resize(4 + 32 + 64, 0);
        expected.extend_from_slice(&3u64.to_be_bytes());
        assert_eq!(hasher.to_state(), expected);
        assert_eq!((hasher.to_state().len(), Hasher::new(Algorithm::Sha512).to_state().len()), (108, 204));
    }

    #[test]
    fn what_is_no_state_is_not_taken_up() {
        let state = Hasher::new(Algorithm::Sha256).to_state();
        for bad in [&state[..107], &[&state[..], b"x"].concat(), b"", b"sha\x03"] {
            assert!(Hasher::from_state(Algorithm::Sha256, bad).is_none());
        }
        assert!(Hasher::from_state(Algorithm::Sha512, &state).is_none());
    }
}
