//! The lines of the file.

use std::collections::HashMap;

use bcrypt::HashParts;

/// What `htpasswd -B` takes by default.
const USUAL_COST: u32 = 5;

/// The highest cost that is taken: a check takes about a second then, and each step of the cost doubles it.
const MAX_COST: u32 = 14;

/// How many entries that cannot be used are named.
const NAMED: usize = 100;

/// The users of a file, each with a hash by bcrypt.
pub(super) struct Entries {
    hashes: HashMap<String, String>,
    /// Why users cannot log in, in sentences for the log.
    unusable: Vec<String>,
    /// What stands in for the hash of a user who does not exist.
    dummy: String,
}

impl Entries {
    /// Reads `USER:HASH` a line; blank lines, and those that begin with `#`, are passed over. Of two lines of one user the
    /// last counts, as it does for Distribution. A user whose hash cannot be checked cannot log in, and the others can.
    ///
    /// The error names the line, never the hash.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        // What editors of Windows put before a text is no part of the first name.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut hashes = HashMap::new();
        let (mut highest, mut unusable) = (USUAL_COST, Vec::new());
        for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let line = std::str::from_utf8(line).map_err(|_| format!("line {number} is not UTF-8"))?;
            let Some((user, hash)) = line.split_once(':').filter(|(user, _)| !user.is_empty()) else {
                return Err(format!("line {number} is no entry; write `USER:HASH`, or let `htpasswd -B` do so"));
            };
            let was_there = match cost(hash) {
                Ok(cost) => {
                    highest = highest.max(cost);
                    hashes.insert(user.to_owned(), hash.to_owned()).is_some()
                }
                Err(why) => {
                    if unusable.len() < NAMED {
                        unusable.push(format!(
                            "line {number}: {why} of the user {user:?}, who cannot log in; set the password again with \
                             `htpasswd -B`"
                        ));
                    }
                    hashes.remove(user).is_some()
                }
            };
            if was_there {
                tracing::warn!(user, line = number, "the user has two entries in the htpasswd file; the last counts");
            }
        }
        Ok(Entries { hashes, unusable, dummy: dummy(highest) })
    }

    /// Returns why users cannot log in, in sentences that name line and user, never the hash: those of the first hundred.
    pub(super) fn unusable(&self) -> &[String] {
        &self.unusable
    }

    /// Returns a user's hash.
    pub(super) fn hash(&self, user: &[u8]) -> Option<&str> {
        self.hashes.get(std::str::from_utf8(user).ok()?).map(String::as_str)
    }

    /// Returns a hash that costs as much to check as the costliest in the file, and is nobody's.
    pub(super) fn dummy(&self) -> &str {
        &self.dummy
    }

    /// Nobody, and a dummy of one's own.
    #[cfg(test)]
    pub(super) fn with_dummy(dummy: String) -> Self {
        Entries { hashes: HashMap::new(), unusable: Vec::new(), dummy }
    }

    /// Returns how many users there are.
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }
}

/// Returns the cost of a hash by bcrypt, or says what the hash is.
fn cost(hash: &str) -> Result<u32, &'static str> {
    // `$2x$` marks hashes by an implementation that was wrong for some passwords: they cannot be checked.
    if !["$2a$", "$2b$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix)) {
        let kinds = [
            ("$apr1$", "only bcrypt is accepted, not the MD5"),
            ("$1$", "only bcrypt is accepted, not the MD5"),
            ("{SHA}", "only bcrypt is accepted, not the SHA-1"),
            ("$5$", "only bcrypt is accepted, not the SHA-256"),
            ("$6$", "only bcrypt is accepted, not the SHA-512"),
        ];
        let kind = kinds.iter().find(|(prefix, _)| hash.starts_with(prefix));
        return Err(kind.map_or("only bcrypt is accepted, not the hash or the plain password", |(_, kind)| kind));
    }
    let cost = hash.parse::<HashParts>().map_err(|_| "no hash by bcrypt is the text")?.get_cost();
    match cost {
        4..=MAX_COST => Ok(cost),
        // Whoever sends any password for that user would keep a processor busy for minutes.
        15..=31 => Err("a cost of at most 14 is accepted, not that of the hash"),
        _ => Err("bcrypt has no such cost as the hash"),
    }
}

fn dummy(cost: u32) -> String {
    format!("$2b${cost:02}${:.<53}", "")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const HASH: &str = "$2y$05$L50RfUt1/lX6HMo1u6ENZepEokg3sIuTHkptvcEdm299S0NZ89Zfe";

    fn refused(text: &str) -> String {
        Entries::parse(text.as_bytes()).err().unwrap()
    }

    #[test]
    fn comments_blank_lines_and_line_ends_of_windows_are_passed_over() {
        let text = format!("# users\r\n\r\n  \nalice:{HASH}\r\n  bob:{HASH}  \n#carol:{HASH}");
        let entries = Entries::parse(text.as_bytes()).unwrap();
        assert_eq!((entries.hash(b"alice"), entries.hash(b"bob")), (Some(HASH), Some(HASH)));
        assert_eq!((entries.len(), entries.hash(b"carol"), entries.hash(b"#carol")), (2, None, None));
    }

    #[test]
    fn every_form_of_bcrypt_is_read() {
        for version in ["2a", "2b", "2y"] {
            let hash = HASH.replace("2y", version);
            assert_eq!(Entries::parse(format!("alice:{hash}").as_bytes()).unwrap().hash(b"alice"), Some(hash.as_str()));
        }
    }

    #[test]
    fn a_hash_that_cannot_be_checked_keeps_its_user_out_alone_and_is_never_printed() {
        for (hash, kind) in [
            ("$apr1$c5jUl2Av$WJUHQqbqTEk5tRgYSAXwp/", "MD5"),
            ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "SHA-1"),
            ("$5$abcdefgh$ijklmnop", "SHA-256"),
            ("$6$abcdefgh$ijklmnop", "SHA-512"),
            ("rqXexS6ZhobKA", "plain"),
            ("$2x$05$L50RfUt1/lX6HMo1u6ENZepEokg3sIuTHkptvcEdm299S0NZ89Zfe", "bcrypt"),
            ("$2y$05$L50RfUt1/lX6HMo1u6ENZepEokg3sIu", "bcrypt"),
            ("$2y$99$L50RfUt1/lX6HMo1u6ENZepEokg3sIuTHkptvcEdm299S0NZ89Zfe", "cost"),
            ("$2y$05$L50RfUt1/lX6HMo1u6ENZepEokg3sIuTHkptvcEdm299S0NZ89Z\u{e9}", "bcrypt"),
            ("$2y$15$L50RfUt1/lX6HMo1u6ENZepEokg3sIuTHkptvcEdm299S0NZ89Zfe", "at most 14"),
            ("$2b$31$L50RfUt1/lX6HMo1u6ENZepEokg3sIuTHkptvcEdm299S0NZ89Zfe", "at most 14"),
            ("", "plain"),
        ] {
            // One of another form takes the place of one before it, too: nobody knows which is meant.
            let text = format!("# one\nalice:{HASH}\nbob:{HASH}\nbob:{hash}\ncarol:{HASH}\n");
            let entries = Entries::parse(text.as_bytes()).unwrap();
            let [said] = entries.unusable() else { panic!("{:?}", entries.unusable()) };
            assert_eq!((entries.len(), entries.hash(b"bob")), (2, None), "{hash}");
            assert_eq!((entries.hash(b"alice"), entries.hash(b"carol")), (Some(HASH), Some(HASH)));
            for word in ["line 4", "\"bob\"", "`htpasswd -B`", kind] {
                assert!(said.contains(word), "{word}: {said}");
            }
            assert!((hash.is_empty() || !said.contains(hash)) && !said.contains(HASH), "{said}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_name() {
        let entries = Entries::parse(format!("\u{feff}alice:{HASH}").as_bytes()).unwrap();
        assert_eq!(entries.hash(b"alice"), Some(HASH));
    }

    #[test]
    fn a_line_that_is_no_entry_is_refused_by_its_number_and_never_printed() {
        for line in ["hunter2", ":hunter2"] {
            let error = refused(&format!("alice:{HASH}\n{line}\n"));
            assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
        }
        assert!(Entries::parse(b"\xff:x").err().unwrap().contains("line 1"));
    }

    #[test]
    fn the_last_of_two_entries_counts() {
        let last = HASH.replace("$05$", "$06$");
        let entries = Entries::parse(format!("alice:{HASH}\nalice:{last}\n").as_bytes()).unwrap();
        assert_eq!(entries.hash(b"alice"), Some(last.as_str()));
    }

    #[test]
    fn the_dummy_can_be_checked_and_costs_as_much_as_the_costliest_entry() {
        for (costs, expected) in [(&[][..], 5), (&[4][..], 5), (&[10, 14, 11][..], 14)] {
            let line = |cost: &u32| format!("user{cost}:{}\n", HASH.replace("$05$", &format!("${cost:02}$")));
            let text: String = costs.iter().map(line).collect();
            let entries = Entries::parse(text.as_bytes()).unwrap();
            assert_eq!(cost(entries.dummy()), Ok(expected), "{costs:?}");
        }
    }
}
